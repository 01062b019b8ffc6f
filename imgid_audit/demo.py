"""The embedded example: real handwritten digits, photographed by *simulated* devices.

The digits are scikit-learn's copy of the test part of "Optical Recognition of Handwritten Digits"
(E. Alpaydin and C. Kaynak, 1998, UCI; 1,797 images of 8 x 8 pixels, real handwriting). Everything
else is made up here, with a fixed seed, so that it is known what an audit must find:

- `device`: a clean ``scanner``, a blurred low-contrast ``copier``, and a noisy, tilted ``handheld``,
  which is rare and hard to read;
- `site`: goes along with the device without being the same, so that a gap between devices shows up
  between sites too, which the audit must point out;
- digits are not equally frequent.

Nothing is known of the writers, so there is no subject column and rows count as independent.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgid_audit.io.atomic import write_bytes

SEED = 20261123
SIDE = 32

DEVICES: dict[str, float] = {"scanner": 0.50, "copier": 0.28, "handheld": 0.22}
"""How often each simulated device was used."""

SITES: dict[str, dict[str, float]] = {
    "scanner": {"north": 0.80, "centre": 0.15, "south": 0.05},
    "copier": {"north": 0.15, "centre": 0.75, "south": 0.10},
    "handheld": {"north": 0.06, "centre": 0.14, "south": 0.80},
}
"""Where each simulated device stands: the site goes along with the device."""

KEPT: tuple[float, ...] = (1.0, 1.0, 0.9, 0.9, 0.8, 0.8, 0.7, 0.7, 0.6, 0.5)
"""Share of each digit's images that is kept, so that digits are not equally frequent."""

SIMULATED = "device and site are simulated"

CONFIG = """\
# The embedded example of imgid-audit: real digits, simulated acquisition devices and sites.
name: digits by device
notes:
  - The handwritten digits are real; the acquisition devices, the sites and how often each occurs are simulated.
task: {type: multiclass, labels: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}
data:
  manifest: metadata.csv
  image: image
  label: digit
  split: {val: 0.15, test: 0.4, seed: 0}
  attributes:
    device: {}
    site: {}
  intersections: [[device, site]]
model:
  architecture: smallcnn
  input: {size: 32, channels: 1, mean: [0.5], std: [0.5]}
train: {epochs: 15, batch_size: 32, lr: 0.005, select: average, groups: [device], seed: 0}
predict: {shard_rows: 512}
metrics: [accuracy, balanced_accuracy, recall, precision, f1, auroc, ece, brier]
intervals: {level: 0.95, draws: 1000, seed: 0}
policy:
  on_inconclusive: fail
  min_support: 10
  rules:
    - {id: overall, metric: accuracy, min_value: 0.80}
    - {id: device-gap, metric: accuracy, across: device, max_gap: 0.10}
    - {id: site-gap, metric: accuracy, across: site, max_gap: 0.10}
    - {id: digit-recall, metric: recall, min_value: 0.70}
mitigations:
  scope: head
  seeds: 5
  trials: 4
  methods:
    - {name: oversample, params: {by: group}, label: oversample devices}
    - group_dro
    - balanced_softmax
  primary: {metric: accuracy, across: device}
report: {formats: [html, pdf, json, csv], worst_images: 12}
"""

README = """\
imgid-audit demo
================

images/       handwritten digits from scikit-learn's `load_digits`: the test part of "Optical
              Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine Learning
              Repository, 1998, CC BY 4.0), enlarged and then changed as the device would.
metadata.csv  one row an image. The columns `device` and `site` are SIMULATED: no such devices or
              sites exist. `source_index` is the image's number in `load_digits`.
audit.yaml    the audit: `imgid-audit run audit.yaml`

What was planted, and what an audit must find: images of the rare `handheld` device are noisy and
tilted, so a model is worse on them than on those of the `scanner`; sites go along with devices, so
the same gap shows between sites although no site makes images worse.
"""


def write_demo(folder: Path) -> Path:
    """Write images, ``metadata.csv``, ``README.txt`` and ``audit.yaml`` to `folder`; the config's path.

    The bytes are the same every time. Files that are there under these names are overwritten.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels: NDArray[np.float64] = digits.images
    labels: NDArray[np.int64] = digits.target
    rng = np.random.default_rng(SEED)
    source = np.flatnonzero(rng.random(len(labels)) < np.asarray(KEPT)[labels])
    devices = rng.choice(list(DEVICES), size=len(source), p=list(DEVICES.values()))
    sites = _sites(devices, rng)
    rows = ["image,digit,device,site,source_index,note"]
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number, (index, device, site) in enumerate(zip(source, devices, sites, strict=True)):
        name = f"images/{number:04d}.png"
        (folder / name).write_bytes(_png(_photograph(pixels[index], str(device), rng)))
        rows.append(f"{name},{labels[index]},{device},{site},{index},{SIMULATED}")
    write_bytes(folder / "metadata.csv", ("\n".join(rows) + "\n").encode())
    write_bytes(folder / "README.txt", README.encode())
    write_bytes(folder / "audit.yaml", CONFIG.encode())
    return folder / "audit.yaml"


def _sites(devices: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """A site for every row, drawn from its device's own frequencies."""
    sites = np.empty(len(devices), dtype=object)
    for device, shares in SITES.items():
        rows = np.flatnonzero(devices == device)
        sites[rows] = rng.choice(list(shares), size=len(rows), p=list(shares.values()))
    return sites


def _photograph(digit: NDArray[np.float64], device: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """One 8 x 8 digit (ink 0 to 16) as the device sees it: uint8, shape (SIDE, SIDE), dark ink on light paper."""
    from PIL import Image, ImageFilter

    ink = Image.fromarray(np.round(digit * 255 / 16).astype(np.uint8))
    image = Image.new("L", (SIDE, SIDE))
    image.paste(ink.resize((SIDE - 8, SIDE - 8), Image.Resampling.BICUBIC), (4, 4))
    # Every device draws the same random numbers, so that one device's settings never move another's images.
    tilt, noise = rng.uniform(-1, 1), rng.standard_normal((SIDE, SIDE))
    contrast, grain = 0.9, 3.0
    if device == "copier":
        image, contrast, grain = image.filter(ImageFilter.GaussianBlur(1.3)), 0.5, 5.0
    elif device == "handheld":
        image = image.rotate(40 * tilt, Image.Resampling.BILINEAR)
        contrast, grain = 0.6, 45.0
    paper = 235 - contrast * np.asarray(image, dtype=np.float64) + grain * noise
    return np.clip(np.round(paper), 0, 255).astype(np.uint8)


def _png(pixels: NDArray[np.uint8]) -> bytes:
    """The pixels as PNG; Pillow writes no time into it, so that the same pixels give the same bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()
