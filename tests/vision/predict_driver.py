"""Predicts a folder of images as one process that tests may kill: `predict_driver.py IMAGES WEIGHTS OUT SHARD_ROWS`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.io.shards import ShardStore
from imgid_audit.vision.infer import predict, rows_to_predict
from imgid_audit.vision.settings import ModelSettings, PredictSettings
from imgid_audit.vision.weights import load_model


def manifest_of(folder: Path) -> Manifest:
    names = np.array(sorted(path.name for path in folder.iterdir()), dtype=object)
    zeros = np.zeros(len(names), dtype=np.int32)
    label = Factor("label", ("a", "b", "c"), zeros)
    nothing = np.full(len(names), "", dtype=object)
    return Manifest(names, label, Factor("split", SPLITS, zeros), (), None, names, zeros.astype(np.int8), nothing)


def main(images: str, weights: str, out: str, shard_rows: str) -> None:
    torch.set_num_threads(1)
    manifest = manifest_of(Path(images))
    model = load_model(ModelSettings(), Path(weights), 3)
    print("ready", flush=True)
    settings = PredictSettings(device="cpu", batch_size=16, workers=1, shard_rows=int(shard_rows))
    store = ShardStore(Path(out), "the key", rows_to_predict(manifest), settings.shard_rows)
    predictions = predict(manifest, Path(images), model, settings, store)
    assert (predictions.status == Status.PREDICTED).all()
    print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
