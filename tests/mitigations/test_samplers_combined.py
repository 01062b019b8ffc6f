"""Which samplers go together, and with what: by the rules that hold for all methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imgid_audit.mitigations import find
from imgid_audit.mitigations.base import Ask, Scope
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import MethodSettings
from imgid_audit.pipeline.comparing.laboratory import Setting
from imgid_audit.pipeline.comparing.tuning import trials_of
from imgid_audit.vision.treatment import Part

Entry = str | dict[str, Any]
TOMEK = {"name": "imblearn", "params": {"sampler": "TomekLinks"}}
NEARMISS = {"name": "imblearn", "params": {"sampler": "NearMiss"}}
BY_BOTH = {"name": "oversample", "params": {"by": "class_and_group"}}
BY_GROUP = {"name": "oversample", "params": {"by": "group"}}
HFLIP = {"name": "augment", "params": {"hflip": 0.5}}


def remedy(first: Entry, *others: Entry) -> Remedy:
    entry = {"name": first} if isinstance(first, str) else dict(first)
    return Remedy.of(MethodSettings.model_validate({**entry, "with": list(others)}), find)


def misfits(scope: Scope, *entries: Entry) -> list[str]:
    return list(remedy(*entries).misfits(Ask(("a", "b"), True, scope)))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (("oversample", "undersample"), "both act on the sampler"),
        (("oversample", "sqrt_sampling"), "both act on the sampler"),
        (("smote", NEARMISS), "both act on the embeddings"),
        (("smote", "oversample"), "correct it twice"),
        (({"name": "smote", "params": {"space": "pixels"}}, "undersample"), "correct it twice"),
        (("oversample", NEARMISS), "correct it twice"),
        (("oversample", "class_weights"), "correct it twice"),
        (("smote", "class_weights"), "correct it twice"),
        (
            (
                {"name": "group_dro", "params": {"by": "class_and_group"}},
                {"name": "logit_adjustment", "params": {"mode": "posthoc"}},
            ),
            "correct it twice",
        ),
        ((BY_BOTH, "class_weights"), "correct it twice"),
        (("smote", "smote"), "combined with itself"),
        (("augment", {"name": "augment", "params": {"vflip": 0.5}}), "combined with itself"),
    ],
)
def test_what_does_not_go_together(entries: tuple[Entry, ...], message: str) -> None:
    told = misfits("head", *(HFLIP if entry == "augment" else entry for entry in entries))
    assert len(told) == 1
    assert message in told[0]


@pytest.mark.parametrize(
    "entries",
    [
        ("oversample", HFLIP),
        ("smote", HFLIP),
        (BY_GROUP, "smote"),
        (TOMEK, "oversample"),
        (BY_GROUP, "class_weights"),
        (BY_GROUP, "logit_adjustment"),
        (BY_GROUP, "balanced_softmax"),
        (BY_GROUP, "group_dro"),
        ("group_dro", {"name": "logit_adjustment", "params": {"mode": "posthoc"}}),
        ({"name": "group_dro", "params": {"by": "class_and_group"}}, BY_BOTH),
        (BY_BOTH, {"name": "group_dro", "params": {"by": "class_and_group"}}),
        (NEARMISS, {"name": "group_dro", "params": {"by": "class_and_group"}}),
        (HFLIP, "focal"),
    ],
)
def test_what_does(entries: tuple[Entry, ...]) -> None:
    assert misfits("head", *entries) == []


def test_what_shifts_in_passing_is_recalibrated_and_may_stand_beside_what_corrects() -> None:
    assert remedy(BY_GROUP).shifts_prior
    assert remedy("group_dro").shifts_prior
    assert not remedy(TOMEK).shifts_prior
    assert remedy("dfr").uses_adjust
    assert remedy(BY_GROUP, "dfr").uses_adjust
    assert not remedy(BY_GROUP, "group_dro").uses_adjust


def test_weights_without_beta_are_one_setting_whatever_it_is() -> None:
    plain = remedy("class_weights")
    assert plain.parameters == {"class_weights.scheme": "inverse"}
    assert {tuple(plain.with_values({"class_weights.beta": beta}).parameters) for beta in (0.99, 0.999)} == {
        ("class_weights.scheme",)
    }
    trials = trials_of(plain, Setting(0.01, 0.0001), 200, "head")
    tried = [(setting, *sorted(one.parameters.items())) for one, setting in trials]
    assert len(set(tried)) == len(tried) == 9 * 4  # nine settings of inverse weights, and of three values of beta
    given = remedy({"name": "class_weights", "params": {"beta": 0.5}})
    assert "class_weights.beta" not in given.parameters
    assert given.with_values({"class_weights.scheme": "effective_number"}).parameters["class_weights.beta"] == 0.5


def test_warnings_are_of_the_methods_that_give_them() -> None:
    assert [text.split(":")[0] for text in remedy("group_thresholds", BY_GROUP).warnings] == ["group_thresholds"]
    assert remedy(BY_GROUP).warnings == ()


def test_smote_is_for_heads() -> None:
    assert misfits("full", "smote") == ["smote works in scope head alone, not in scope full"]


def test_a_combination_does_both() -> None:
    both = remedy(TOMEK, "oversample").treatment(Ask(("a", "b"), True, "head"))
    assert both.points is not None
    assert both.rows is not None
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [80, 20]).astype(np.int32)
    part = Part((rng.normal(size=(100, 2)) + labels[:, None]).astype(np.float32), labels, None)
    cleaned = both.points(part, 2, 0)
    assert len(cleaned) < 100
    rows = both.rows(cleaned.labels, None, 0)
    assert len(set(np.bincount(cleaned.labels[rows]))) == 1


def test_what_a_layer_fitted_anew_would_throw_away_is_refused_in_scope_head() -> None:
    from imgid_audit.mitigations import find
    from imgid_audit.mitigations.base import Ask
    from imgid_audit.mitigations.combined import Remedy
    from imgid_audit.mitigations.settings import MethodSettings

    both = Remedy.of(
        MethodSettings.model_validate({"name": "oversample", "params": {"by": "group"}, "with": ["dfr"]}), find
    )
    (why,) = both.misfits(Ask(("a", "b"), False, "head"))
    assert "oversample has no effect" in why
    assert not list(both.misfits(Ask(("a", "b"), False, "full")))
