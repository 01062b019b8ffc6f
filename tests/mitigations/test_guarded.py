"""A user's own treatment is held to its contract: every wrong return is an error that says what is wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.mitigations.guarded import guarded
from imgid_audit.vision.treatment import LinearHead, LossBatch, Material, Part, PlainLoss, Scored, Treatment

LABELS = np.array([0, 1, 1, 0], dtype=np.int32)
HEAD = LinearHead(np.ones((2, 3)), np.zeros(2))
PART = Part(np.ones((4, 3), dtype=np.float32), LABELS, None)
SCORED = Scored(np.full((4, 2), 0.5), LABELS, None)
BATCH = LossBatch(torch.zeros(4, 2), torch.from_numpy(LABELS.astype(np.int64)), None, 1, 1)


def rows_of(found: Any) -> Any:
    made = guarded("mine:M", Treatment(rows=lambda *_: found), ("sampler",))
    assert made.rows is not None
    return made.rows(LABELS, None, 0)


@pytest.mark.parametrize(
    "found",
    [np.array([True, False, True, True]), np.array([0.0, 1.0]), np.array([4]), np.array([-1]), np.zeros(0, int),
     np.zeros((2, 2), int), [0, 1], None],
)  # fmt: skip
def test_rows_are_row_numbers(found: Any) -> None:
    with pytest.raises(InputError, match=r"mine:M: `rows` must return integers \(m,\) from 0 to 3"):
        rows_of(found)


def test_right_rows_pass() -> None:
    assert rows_of(np.array([3, 3, 0])).tolist() == [3, 3, 0]


def loss_of(found: Any) -> torch.Tensor:
    made = guarded("mine:M", Treatment(loss=lambda _: lambda _batch: found), ("loss",))
    assert made.loss is not None
    return made.loss(Material(LABELS, None, 2))(BATCH)


@pytest.mark.parametrize("found", [torch.tensor(1.0), torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64), None, 0.0])
def test_a_loss_is_one_number_a_row(found: Any) -> None:
    with pytest.raises(InputError, match="must return one number a row"):
        loss_of(found)


def test_a_plain_function_is_a_loss_and_predicts_as_it_was_trained() -> None:
    made = guarded("mine:M", Treatment(loss=lambda _: lambda _batch: torch.ones(4)), ("loss",))
    assert made.loss is not None
    loss = made.loss(Material(LABELS, None, 2))
    assert loss(BATCH).tolist() == [1.0] * 4
    assert loss.finished(HEAD) is HEAD
    assert type(loss).finished is PlainLoss.finished


@pytest.mark.parametrize(
    "found", [LinearHead(np.ones((2, 3)), np.zeros(1)), LinearHead(np.ones((1, 3)), np.zeros(2)), None, 3]
)
def test_a_refit_returns_a_layer_of_the_same_shape(found: Any) -> None:
    made = guarded("mine:M", Treatment(refits=(lambda *_: found,)), ("head",))
    with pytest.raises(InputError, match="`refits` must return"):
        made.refits[0](None, HEAD, 0)  # type: ignore[arg-type]


def decided(found: Any) -> Any:
    made = guarded("mine:M", Treatment(decide=lambda _fit, rows, _seed: found(rows)), ("decision",))
    assert made.decide is not None
    return made.decide(SCORED, SCORED, 0)


@pytest.mark.parametrize(
    "found",
    [lambda rows: rows.scores[:, 0], lambda _: 1, lambda _: np.full(4, 7), lambda _: np.zeros(3, int), lambda _: None,
     lambda rows: rows.labels],
)  # fmt: skip
def test_a_decision_is_a_class_code_a_row_and_labels_are_out_of_sight(found: Any) -> None:
    with pytest.raises(InputError, match="`decide` must return class codes"):
        decided(found)


def test_right_decisions_pass() -> None:
    assert decided(lambda rows: rows.scores.argmax(axis=1)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    "found",
    [Part(np.ones((4, 2), np.float32), LABELS, None), Part(np.full((4, 3), np.nan, np.float32), LABELS, None),
     Part(np.ones((4, 3), np.float32), LABELS + 1, None), Part(np.ones((3, 3), np.float32), LABELS, None), None],
)  # fmt: skip
def test_points_fit_the_rows_that_they_join(found: Any) -> None:
    made = guarded("mine:M", Treatment(points=lambda *_: found), ("embeddings",))
    assert made.points is not None
    with pytest.raises(InputError, match="`points`"):
        made.points(PART, 2, 0)


def test_what_raises_is_told_and_a_stop_passes() -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("age")

    def stopped(*_: Any) -> Any:
        raise StoppedError("enough")

    for work, error, text in ((broken, InputError, "`rows` raised KeyError: 'age'"), (stopped, StoppedError, "enough")):
        made = guarded("mine:M", Treatment(rows=work), ("sampler",))
        assert made.rows is not None
        with pytest.raises(error, match=text):
            made.rows(LABELS, None, 0)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (Treatment(rows=lambda *_: LABELS, refits=(lambda *_: HEAD,)), "fills `refits`"),
        (Treatment(views="x"), "`views` must be a count"),  # type: ignore[arg-type]
        (Treatment(weight_decay=-1.0), "`weight_decay` must be 0 or more"),
        (Treatment(rows=3), "`rows` must be a function"),  # type: ignore[arg-type]
    ],
)
def test_a_treatment_does_what_was_declared(made: Treatment, text: str) -> None:
    with pytest.raises(InputError, match=text):
        guarded("mine:M", made, ("sampler",))
