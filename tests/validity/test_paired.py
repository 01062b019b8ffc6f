"""A short version of the simulation of paired changes; the whole is `python -m tests.validity.paired`."""

from __future__ import annotations

import numpy as np

from tests.validity.paired import FLIP_GRID, SCORE_GRID, study_flips, study_scores


def test_paired_intervals_cover():
    cells = tuple(cell for cell in FLIP_GRID if cell.subjects in (10, 50, 200))[::4]
    found = list(study_flips(cells, 300))
    assert min(one.coverage for one in found if one.cell.subjects >= 50) > 0.92 - 3 * 0.016
    assert min(one.coverage for one in found) > 0.90 - 3 * 0.017
    assert np.mean([one.coverage for one in found]) > 0.94
    assert np.mean([one.wrong_pass for one in found]) < 0.05
    assert np.mean([one.wrong_fail for one in found]) < 0.05
    assert sum(one.zero_width for one in found) == 0


def test_paired_intervals_of_other_metrics_cover():
    found = list(study_scores(SCORE_GRID[:2], 150))
    assert min(paired for _, _, paired, _ in found) > 0.90 - 3 * 0.025
    assert np.mean([paired for _, _, paired, _ in found]) > 0.93
