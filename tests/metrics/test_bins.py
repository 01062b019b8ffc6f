"""Bins of the calibration error at their edges."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal, assert_array_max_ulp

from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task
from imgid_audit.metrics.rows import Rows, bin_edges


def test_edges_are_torchs() -> None:
    import torch

    theirs = torch.linspace(0, 1, 16, dtype=torch.float64).numpy()
    # theirs depend on the machine's fused multiply-add by one unit in the last place, but not where decimals are
    assert_array_max_ulp(bin_edges(), theirs, 1)
    assert_array_equal(bin_edges()[::3], [0, 0.2, 0.4, 0.6, 0.8, 1])
    assert_array_equal(theirs[::3], [0, 0.2, 0.4, 0.6, 0.8, 1])


def test_scores_at_and_beside_every_edge() -> None:
    edges = bin_edges()
    near = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, 1), np.arange(101) / 100])
    generator = np.random.default_rng(0)
    scores = np.concatenate([near, generator.random(2000)])
    label = np.zeros(len(scores), dtype=np.int32)
    task = Task("binary", ("no", "yes"), "yes")
    rows = Rows(Decisions(task, label, label, np.column_stack([1 - scores, scores]), None, ()))
    assert_array_equal(rows.bins, np.searchsorted(edges, scores, side="right") - 1)
