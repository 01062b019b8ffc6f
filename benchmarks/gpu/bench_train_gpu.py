"""Images a second and peak memory of training on CUDA, against a bare PyTorch loop. Without CUDA: says so, and ends.

python benchmarks/gpu/bench_train_gpu.py [--repeats 9] [--images 2048]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from record import record, verdict
from training_step import Case, Timed, epochs_of, timed

AT_MOST = 1.1
SETTINGS = (
    ("float32", {"precision": "float32", "compile": "never"}),
    ("bfloat16", {"precision": "bfloat16", "compile": "never"}),
    ("bfloat16, compiled", {"precision": "bfloat16", "compile": "always"}),
    ("bfloat16, in 4 parts", {"precision": "bfloat16", "compile": "never", "accumulate": 4}),
)
NETWORKS = (("resnet18", 64, 256), ("resnet50", 224, 64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--images", type=int, default=2048)
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print(f"skipped: torch {torch.__version__} finds no CUDA device here; nothing was measured")
        return
    device = torch.device("cuda")
    table = []
    for architecture, side, batch in NETWORKS:
        for name, settings in SETTINGS:
            label = f"{architecture}, {side} px, batches of {batch}, {name}"
            case = Case(label, architecture, side, batch, given.images, settings)
            found = timed(case, device, given.repeats, torch.cuda.synchronize)
            table.append(row(case, found, *(peak(case, device, which) for which in (0, 1))))
            print("; ".join(table[-1]), flush=True)
    note = (
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, channels-last, AdamW, cached pixels in ordinary "
        f"memory; {given.repeats} epochs of both in turn. The bare loop computes every batch in one part. Memory is "
        "the most that tensors held in two epochs (`torch.cuda.max_memory_allocated`)."
    )
    columns = ("what", "ours", "bare loop", "ratio of times", "memory: ours", "bare", "goal", "met")
    record("benchmarks/gpu/bench_train_gpu.py", "Training on a GPU", columns, table, note)


def row(case: Case, found: Timed, ours: float, bare: float) -> list[str]:
    judged = "parts" not in case.name  # parts trade time for memory
    return [
        case.name, f"{case.images / found.ours:,.0f} images/s", f"{case.images / found.bare:,.0f} images/s",
        f"{found.ratio:.3f}x", f"{ours / 2**20:,.0f} MiB", f"{bare / 2**20:,.0f} MiB",
        f"at most {AT_MOST}x" if judged else "", verdict(found.ratio <= AT_MOST) if judged else "",
    ]  # fmt: skip


def peak(case: Case, device: torch.device, which: int) -> float:
    """Bytes that one of the two held at most, the other's network aside."""
    with epochs_of(case, device) as both:
        resting = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        for number in (1, 2):
            both[which](number)
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - resting / 2  # both networks rest there, equal in size


if __name__ == "__main__":
    main()
