"""Which settings mattered: planted shares, against their analytic values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from imgid_audit.vision.search import Space
from imgid_audit.vision.search.importance import ENOUGH, importance
from imgid_audit.vision.search.records import Record
from imgid_audit.vision.search.sampling import propose
from imgid_audit.vision.settings import ModelSettings, TrainSettings
from imgid_audit.vision.study_settings import SearchSettings

ENTRIES = {
    "dropout": {"low": 0, "high": 1},
    "augment.hflip": {"low": 0, "high": 1},
    "augment.vflip": [0.0, 1.0],
    "augment.colour": [0.5],
}
SPACE = Space.of(SearchSettings.model_validate({"space": ENTRIES}), ModelSettings(), TrainSettings())


def records(weights: tuple[float, float, float], trials: int, seed: int = 0) -> list[Record]:
    """Random trials of a sum, after the settings as given, which lie outside the space (colour 0)."""
    found = [Record(0, SPACE.given, "complete", -100.0, {}, 5, "", 0)]
    for position in range(1, trials + 1):
        one = propose(SPACE, "random", seed, position, (), higher=True)
        found.append(Record(position, one, "complete", value_of(one, weights), {}, 5, "", position))
    return found


def value_of(parameters: dict[str, Any], weights: tuple[float, float, float]) -> float:
    return sum(w * parameters[name] for w, name in zip(weights, ENTRIES, strict=False))


@pytest.mark.parametrize("weights", [(3.0, 1.0, 0.0), (0.5, 0.5, 2.0), (0.0, 4.0, 1.0)])
def test_shares_are_those_of_a_sum(weights: tuple[float, float, float]) -> None:
    """Each independent term has the share of its variance: its weight squared times 1/12 (uniform) or 1/4 (coin)."""
    variances = np.array([weights[0] ** 2 / 12, weights[1] ** 2 / 12, weights[2] ** 2 / 4])
    shares, note = importance(SPACE, records(weights, 80), higher=True)
    found = dict(shares)
    assert note == ""
    assert sum(found.values()) == pytest.approx(1)
    assert found["augment.colour"] == 0  # it took one value
    for name, expected in zip(ENTRIES, variances / variances.sum(), strict=False):
        assert found[name] == pytest.approx(expected, abs=0.12)
    assert [share for _, share in shares] == sorted(found.values(), reverse=True)


def test_the_same_trials_have_the_same_shares_whatever_is_better() -> None:
    trials = records((3.0, 1.0, 0.0), 20)
    assert importance(SPACE, trials, higher=True) == importance(SPACE, trials, higher=True)
    assert importance(SPACE, trials, higher=True) == importance(SPACE, trials, higher=False)


def test_too_few_trials_have_no_shares() -> None:
    shares, note = importance(SPACE, records((3.0, 1.0, 0.0), ENOUGH - 1), higher=True)
    assert shares == ()
    assert note == f"{ENOUGH - 1} trials inside the space are complete, and shares need {ENOUGH}"
    assert importance(SPACE, records((3.0, 1.0, 0.0), ENOUGH), higher=True)[0]


def test_equal_objectives_have_none_either() -> None:
    shares, note = importance(SPACE, records((0.0, 0.0, 0.0), 20), higher=True)
    assert (shares, note) == ((), "all complete trials have the same objective")


def test_only_complete_trials_say_anything() -> None:
    """What a trial of fewer epochs reached tells of the epochs: dropout, which matters, would look as if it did not."""
    trials = records((3.0, 1.0, 0.0), 20)
    ended = [
        replace(one, state=state, value=None)
        for one, state in zip(trials[1:], ("failed", "running", "pruned"), strict=False)
    ]
    ended = [replace(one, position=30 + place, reported={1: 50.0}) for place, one in enumerate(ended)]
    assert importance(SPACE, [*trials, *ended], higher=True) == importance(SPACE, trials, higher=True)
    pruned = [replace(one, state="pruned", value=None, reported={1: 9.0, 2: one.value}) for one in trials[:9]]
    shares, note = importance(SPACE, [*pruned, *trials[9:]], higher=True)
    assert (shares, note) == ((), f"12 trials inside the space are complete, and shares need {ENOUGH}")
