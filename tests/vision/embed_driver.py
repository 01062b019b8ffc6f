"""Embeds a folder of images in a process that kills itself: `embed_driver.py IMAGES DIES_AT OUT...`.

DIES_AT: how many images go through the network before it does; 0: it does not.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch
from predict_driver import manifest_of
from torch import nn

from imgid_audit.io.content import hash_images
from imgid_audit.vision.embed import embed
from imgid_audit.vision.infer import rows_to_predict
from imgid_audit.vision.models import SmallCNN
from imgid_audit.vision.settings import PredictSettings
from imgid_audit.vision.transforms import InputTransform
from imgid_audit.vision.weights import LoadedModel


def main(images: Path, dies_at: int, folders: list[Path]) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = SmallCNN(3, 3).eval()
    seen = 0

    def count(_module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        nonlocal seen
        seen += len(inputs[0])
        if dies_at and seen >= dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    module.register_forward_pre_hook(count)
    manifest = manifest_of(images)
    model = LoadedModel(module, InputTransform(16), None, "0" * 64)
    settings = PredictSettings(device="cpu", batch_size=4, workers=1, shard_rows=10)
    hashes, _ = hash_images(manifest, images)
    for out in folders:
        embed(manifest, rows_to_predict(manifest), images, model, settings, out, classes=3, image_sha256=hashes)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), [Path(out) for out in sys.argv[3:]])
