"""Factors, tasks, slices, errors and registries."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass

import numpy as np
import pytest

from imgid_audit.core.errors import AuditError, InputError, Problem, StoppedError, raise_all
from imgid_audit.core.factor import Factor
from imgid_audit.core.registry import Registry
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.core.task import Task


@dataclass(frozen=True)
class Plugin:
    name: str
    summary: str = "does nothing"


def test_factor() -> None:
    factor = Factor("sex", ("F", "M", "X"), np.array([1, 0, -1, 1], dtype=np.int32))
    assert factor.texts().tolist() == ["M", "F", None, "M"]
    assert factor.counts().tolist() == [1, 2, 0]
    assert factor.take(np.array([True, False, True, False])).codes.tolist() == [1, -1]
    assert factor.take(np.array([3])).levels == ("F", "M", "X")
    assert len(factor) == 4
    with pytest.raises(FrozenInstanceError):
        factor.name = "gender"


def test_task() -> None:
    task = Task("binary", ("no", "yes"), "yes")
    assert (task.positive_index, task.scored_classes) == (1, (1,))
    assert Task("multiclass", ("a", "b", "c")).scored_classes == (0, 1, 2)
    for kind, labels, positive in (
        ("binary", ("a", "b"), None),
        ("binary", ("a", "b", "c"), "a"),
        ("binary", ("a", "b"), "c"),
        ("multiclass", ("a",), None),
        ("multiclass", ("a", "b"), "a"),
        ("multiclass", ("a", "a"), None),
    ):
        with pytest.raises(ValueError):
            Task(kind, labels, positive)


def test_slices_have_text_and_key() -> None:
    assert str(TOTAL) == "all rows"
    assert TOTAL.key == {}
    both = Slice(("sex", "view"), ("F", "PA"))
    assert str(both) == "sex = F, view = PA"
    assert both.key == {"sex": "F", "view": "PA"}


def test_registry_keeps_order_and_suggests() -> None:
    registry: Registry[Plugin] = Registry("metric", (Plugin("recall"), Plugin("auroc")))
    registry.register(Plugin("ece"))
    assert registry.names == ("recall", "auroc", "ece")
    assert [plugin.name for plugin in registry] == list(registry.names)
    assert len(registry) == 3
    assert "ece" in registry
    with pytest.raises(
        InputError, match=r"unknown metric 'recal': did you mean 'recall'\? known are recall, auroc, ece"
    ):
        registry["recal"]
    with pytest.raises(ValueError, match="registered twice"):
        registry.register(Plugin("ece"))


def test_errors_carry_every_problem_and_an_exit_code() -> None:
    raise_all(())
    with pytest.raises(InputError) as caught:
        raise_all(Problem(f"row {i}", "is wrong") for i in range(3))
    assert len(caught.value.problems) == 3
    assert str(caught.value).count("\n") == 2
    assert (InputError.exit_code, StoppedError.exit_code, AuditError.exit_code) == (2, 3, 4)
    assert str(InputError("plain").problems[0]) == "plain"
