"""What a training step costs, against a bare PyTorch loop with the same network, loader and precision. On the CPU.

python benchmarks/bench_train.py [--repeats 15]
"""

from __future__ import annotations

import argparse

import torch
from record import record, verdict
from training_step import Case, timed

CASES = (
    Case("smallcnn, 28 px, batches of 64", "smallcnn", 28, 64, 640, {}),
    Case("smallcnn, 64 px, batches of 64", "smallcnn", 64, 64, 320, {}),
    Case("resnet18, 64 px, batches of 32", "resnet18", 64, 32, 96, {}),
)
AT_MOST = 1.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    given = parser.parse_args()
    table = []
    for case in CASES:
        steps = -(-case.images // case.batch)
        found = timed(case, torch.device("cpu"), given.repeats)
        table.append(
            [
                case.name, f"{1000 * found.ours / steps:.1f} ms", f"{1000 * found.bare / steps:.1f} ms",
                f"{found.ratio:.3f}x", f"at most {AT_MOST}x", verdict(found.ratio <= AT_MOST),
            ]
        )  # fmt: skip
        print("; ".join(table[-1]), flush=True)
    note = (
        f"A step of float32, AdamW, channels-last, cached pixels; torch {torch.__version__} on "
        f"{torch.get_num_threads()} CPU threads; epochs of both in turn, {given.repeats} each: medians, and the median "
        "of the ratios of neighbours. Ours also counts losses and accuracy by class and by two attributes' levels."
    )
    columns = ("what", "ours", "bare loop", "ratio", "goal", "met")
    record("benchmarks/bench_train.py", "Training step", columns, table, note)


if __name__ == "__main__":
    main()
