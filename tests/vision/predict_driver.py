"""Predicts a folder of images in processes that tests may kill: `predict_driver.py IMAGES WEIGHTS SHARD_ROWS`.

Imports once; then, for each line ``MOMENT FOLDER`` on stdin, forks a process that predicts into the folder,
and prints its exit status once it has ended. It kills itself at the MOMENT: ``sync:N``, before the N-th time (from
1) that it syncs a file or a folder; ``batch:N``, before its N-th batch; ``none``.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.io.shards import ShardStore
from imgid_audit.vision.batching import Forward
from imgid_audit.vision.infer import predict, rows_to_predict
from imgid_audit.vision.settings import ModelSettings, PredictSettings
from imgid_audit.vision.weights import load_model


def manifest_of(folder: Path) -> Manifest:
    names = np.array(sorted(path.name for path in folder.iterdir()), dtype=object)
    zeros = np.zeros(len(names), dtype=np.int32)
    label = Factor("label", ("a", "b", "c"), zeros)
    nothing = np.full(len(names), "", dtype=object)
    return Manifest(names, label, Factor("split", SPLITS, zeros), (), None, names, zeros.astype(np.int8), nothing)


def run(images: Path, weights: Path, shard_rows: int, out: Path) -> None:
    torch.set_num_threads(1)
    manifest = manifest_of(images)
    model = load_model(ModelSettings(), weights, 3)
    settings = PredictSettings(device="cpu", batch_size=16, workers=1, shard_rows=shard_rows)
    store = ShardStore(out, "the key", rows_to_predict(manifest), settings.shard_rows)
    predictions = predict(manifest, images, model, settings, store)
    assert (predictions.status == Status.PREDICTED).all()


def dies_at(moment: str) -> None:
    what, _, count = moment.partition(":")
    if what == "sync":
        os.fsync = dying(os.fsync, int(count))
    elif what == "batch":
        Forward.__call__ = dying(Forward.__call__, int(count))


def dying(work: Callable, count: int) -> Callable:
    """`work`, whose `count`-th call kills the process instead."""
    calls = itertools.count(1)

    def counted(*args: object) -> object:
        if next(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return work(*args)

    return counted


def main(images: str, weights: str, shard_rows: str) -> None:
    for line in sys.stdin:
        moment, _, out = line.rstrip("\n").partition(" ")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                dies_at(moment)
                run(Path(images), Path(weights), int(shard_rows), Path(out))
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
