"""Trials: as many for each method, the same learning rates for all, and only of what matters."""

from __future__ import annotations

import pytest

from imgid_audit.mitigations import find
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import MethodSettings
from imgid_audit.pipeline.comparing.laboratory import Setting
from imgid_audit.pipeline.comparing.tuning import best, trials_of

DEFAULT = Setting(0.01, 0.0001)


def remedy(name: str, **params: object) -> Remedy:
    return Remedy.of(MethodSettings(name=name, params=params), find)


def test_the_first_trial_is_as_given_and_all_differ() -> None:
    for name in ("baseline", "focal", "group_dro", "tau_norm"):
        one = remedy(name)
        trials = trials_of(one, DEFAULT, 8, "head")
        assert len(trials) == 8
        assert trials[0] == (one, DEFAULT)
        assert len({repr((setting, each.parameters)) for each, setting in trials}) == 8


def test_learning_rates_and_weight_decays_are_the_same_for_every_method() -> None:
    seen = {
        name: [setting for _, setting in trials_of(remedy(name), DEFAULT, 8, "head")] for name in ("baseline", "focal")
    }
    assert seen["baseline"] == seen["focal"]


def test_what_the_user_gave_is_not_varied() -> None:
    trials = trials_of(remedy("focal", gamma=3.5), DEFAULT, 8, "head")
    assert {each.parameters["focal.gamma"] for each, _ in trials} == {3.5}
    assert len({each.parameters["focal.gamma"] for each, _ in trials_of(remedy("focal"), DEFAULT, 8, "head")}) > 1


def test_a_layer_fitted_anew_is_not_tried_with_settings_that_it_never_sees() -> None:
    assert len(trials_of(remedy("dfr"), DEFAULT, 8, "head")) == 1
    assert len(trials_of(remedy("dfr"), DEFAULT, 8, "full")) == 8, "end to end they are the backbone's"
    assert {setting for _, setting in trials_of(remedy("crt"), DEFAULT, 8, "head")} == {DEFAULT}


def test_more_trials_than_there_are_settings_are_all_of_them() -> None:
    assert len(trials_of(remedy("baseline"), DEFAULT, 100, "head")) == 9


@pytest.mark.parametrize(
    ("values", "place"), [([0.1, 0.3, 0.3], 1), ([None, 0.0], 1), ([None, None], None), ([], None)]
)
def test_the_best_is_the_first_of_the_highest(values: list[float | None], place: int | None) -> None:
    assert best(values) == place
