"""Which samplers go together, and with what: by the rules that hold for all methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from imgid_audit.mitigations import find
from imgid_audit.mitigations.base import Ask, Scope
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import MethodSettings
from imgid_audit.vision.treatment import Part

Entry = str | dict[str, Any]
TOMEK = {"name": "imblearn", "params": {"sampler": "TomekLinks"}}
NEARMISS = {"name": "imblearn", "params": {"sampler": "NearMiss"}}
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
        (HFLIP, "focal"),
    ],
)
def test_what_does(entries: tuple[Entry, ...]) -> None:
    assert misfits("head", *entries) == []


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
