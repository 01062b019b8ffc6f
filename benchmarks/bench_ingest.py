"""Ingest, side by side: 1024x768 JPEG files to 224x224 tensors by this package and by Pillow, on one thread.

Prints one line a kind of JPEG: milliseconds an image each way, their ratio, and the largest
difference of a pixel in levels of 255. The aim is a ratio of 2 or more and a difference of 1 or less.

    python benchmarks/bench_ingest.py [--images N] [--rounds N]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from record import record, verdict

from imgid_audit.vision.images import decode
from imgid_audit.vision.transforms import InputTransform

WIDTH, HEIGHT, SIZE = 1024, 768, 224
KINDS = {
    "quality 75, 4:2:0": {"quality": 75, "subsampling": "4:2:0"},
    "quality 90, 4:2:0": {"quality": 90, "subsampling": "4:2:0"},
    "quality 90, 4:4:4": {"quality": 90, "subsampling": "4:4:4"},
    "quality 75, grey": {"quality": 75, "grey": True},
}


def photograph(rng: np.random.Generator) -> Image.Image:
    """Smooth shapes at several scales, edges, and a little sensor noise: the entropy of a photograph."""
    pixels = np.zeros((HEIGHT, WIDTH, 3))
    for cells in (4, 16, 64):
        coarse = Image.fromarray(rng.integers(0, 256, (cells * 3, cells * 4, 3), dtype=np.uint8))
        pixels += np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=float) / (cells**0.5)
    pixels *= 200 / pixels.max()
    for _ in range(20):
        top, left = rng.integers(0, HEIGHT), rng.integers(0, WIDTH)
        pixels[top : top + rng.integers(20, 200), left : left + rng.integers(20, 200)] += rng.uniform(-60, 60, 3)
    return Image.fromarray(np.clip(pixels + rng.normal(0, 2, pixels.shape), 0, 255).astype(np.uint8))


def by_pillow(path: Path) -> torch.Tensor:
    """The usual loader: open, convert, resize, to a tensor."""
    with Image.open(path) as image:
        mode = "L" if image.mode == "L" else "RGB"
        small = image.convert(mode).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    pixels = torch.from_numpy(np.array(small))
    return pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1).contiguous()


def by_us(path: Path) -> torch.Tensor:
    return InputTransform(SIZE).fit(decode(path)).contiguous()


def seconds(load: Callable[[Path], torch.Tensor], paths: list[Path]) -> float:
    start = time.perf_counter()
    for path in paths:
        load(path)
    return (time.perf_counter() - start) / len(paths)


def measure(paths: list[Path], rounds: int) -> tuple[float, float, int]:
    """Best seconds an image by Pillow and by us, rounds interleaved, and the largest difference."""
    difference = max(int((by_pillow(path).int() - by_us(path).int()).abs().max()) for path in paths)
    times = [(seconds(by_pillow, paths), seconds(by_us, paths)) for _ in range(rounds)]
    return min(pillow for pillow, _ in times), min(us for _, us in times), difference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        pictures = [photograph(rng) for _ in range(options.images)]
        for kind, asked in KINDS.items():
            asked = dict(asked)
            grey = asked.pop("grey", False)
            paths = [Path(folder) / f"{number}.jpg" for number in range(len(pictures))]
            for picture, path in zip(pictures, paths, strict=True):
                (picture.convert("L") if grey else picture).save(path, "JPEG", **asked)
            pillow, us, difference = measure(paths, options.rounds)
            print(
                f"{kind:18}  Pillow {pillow * 1e3:5.2f} ms  imgid-audit {us * 1e3:5.2f} ms  "
                f"ratio {pillow / us:4.2f}  largest difference {difference} of 255"
            )
            met = verdict(pillow / us >= 2 and difference <= 1)
            times = (f"{pillow * 1e3:.2f} ms", f"{us * 1e3:.2f} ms")
            rows.append([kind, *times, f"{pillow / us:.2f}x", f"{difference} of 255", met])
    columns = ("JPEG, 1024x768 to 224x224", "Pillow", "ours", "ratio (at least 2x)", "pixels differ (at most 1)", "met")
    record("benchmarks/bench_ingest.py", "Images to tensors, one thread", columns, rows)


if __name__ == "__main__":
    main()
