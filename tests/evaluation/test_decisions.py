"""Which rows are evaluated, what is predicted of them, and where the operating point lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.core.predictions import Predictions
from imgid_audit.core.task import Task
from imgid_audit.evaluation import decide, find_operating_point, given_operating_point

TASK = Task("binary", ("no", "yes"), "yes")


def codes(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def manifest() -> Manifest:
    status = np.zeros(6, dtype=np.int8)
    status[4] = Status.EXCLUDED
    return Manifest(
        ids=np.array(list("abcdef"), dtype=object),
        label=Factor("label", TASK.labels, codes(0, 1, 1, 0, -1, 1)),
        split=Factor("split", SPLITS, codes(2, 2, 2, 0, 2, 1)),
        attributes=(Factor("sex", ("F", "M"), codes(0, 1, 0, 1, 0, 1)),),
        subject=Factor("subject", ("p", "q"), codes(0, 0, 1, 1, 0, 1)),
        images=None,
        status=status,
        reason=np.array([""] * 6, dtype=object),
    )


def predictions(predicted: np.ndarray | None = None, scores: bool = True) -> Predictions:
    yes = np.array([0.2, 0.6, np.nan, 0.9, np.nan, 0.4])
    status = np.array([1, 1, 2, 1, 3, 1], dtype=np.int8)
    return Predictions(
        np.column_stack([1 - yes, yes]) if scores else None, predicted, status, np.array([""] * 6, dtype=object)
    )


def test_only_predicted_rows_of_the_test_split() -> None:
    found = decide(TASK, manifest(), predictions())
    assert found.label.tolist() == [0, 1]
    assert found.predicted.tolist() == [0, 1]
    assert found.attributes[0].codes.tolist() == [0, 1]
    assert found.subject.codes.tolist() == [0, 0]
    assert len(found) == 2
    assert decide(TASK, manifest(), predictions(), split="val").label.tolist() == [1]


def test_threshold_then_the_users_labels_then_the_highest_score() -> None:
    given = codes(1, 0, -1, 0, -1, 0)
    assert decide(TASK, manifest(), predictions(given)).predicted.tolist() == [1, 0]
    assert decide(TASK, manifest(), predictions(given), given_operating_point(0.6)).predicted.tolist() == [0, 1]
    assert decide(TASK, manifest(), predictions(), given_operating_point(0.2)).predicted.tolist() == [1, 1]
    assert decide(TASK, manifest(), predictions(given, scores=False)).scores is None


def test_positive_may_be_the_first_label() -> None:
    task = Task("binary", ("no", "yes"), "no")
    found = decide(task, manifest(), predictions(), given_operating_point(0.8))
    assert found.predicted.tolist() == [0, 1]


def test_impossible_operating_points_are_refused() -> None:
    with pytest.raises(InputError, match="only predicted labels"):
        decide(TASK, manifest(), predictions(codes(1, 0, -1, 0, -1, 0), scores=False), given_operating_point(0.5))
    with pytest.raises(InputError, match="multiclass"):
        decide(Task("multiclass", ("no", "yes")), manifest(), predictions(), given_operating_point(0.5))
    with pytest.raises(InputError, match="neither"):
        decide(TASK, manifest(), predictions(scores=False))


def columns(score: list[float]) -> np.ndarray:
    return np.column_stack([1 - np.array(score), score])


def test_search_on_a_small_table() -> None:
    label = codes(0, 0, 0, 0, 1, 1, 1, 1)
    scores = columns([0.1, 0.2, 0.4, 0.6, 0.3, 0.5, 0.7, 0.8])
    found = find_operating_point(TASK, label, scores, "specificity", 0.75)
    assert (found.threshold, found.achieved) == (0.5, 0.75)
    assert (found.criterion, found.source) == ("specificity >= 0.75", "val")
    found = find_operating_point(TASK, label, scores, "sensitivity", 0.75)
    assert (found.threshold, found.achieved) == (0.5, 0.75)
    found = find_operating_point(TASK, label, scores, "fpr", 0.25)
    assert (found.threshold, found.achieved) == (0.5, 0.25)
    found = find_operating_point(TASK, label, scores, "specificity", 1.0)
    assert found.threshold == 0.7
    nothing = find_operating_point(TASK, codes(1, 0), columns([0.2, 0.9]), "fpr", 0.0)
    assert nothing.threshold == np.nextafter(0.9, 1)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(st.booleans(), st.integers(0, 10)), min_size=2, max_size=60),
    value=st.integers(0, 20).map(lambda v: v / 20),
    at=st.sampled_from(["specificity", "sensitivity", "fpr"]),
)
def test_tie_rule_by_brute_force(rows: list[tuple[bool, int]], value: float, at: str) -> None:
    label = np.array([row[0] for row in rows], dtype=np.int32)
    score = np.array([row[1] / 10 for row in rows])
    counted = label == 1 if at == "sensitivity" else label == 0
    if not counted.any():
        with pytest.raises(InputError, match=r"no (positive|negative) rows"):
            find_operating_point(TASK, label, columns(list(score)), at, value)
        return
    candidates = [*sorted(set(score)), np.nextafter(score.max(), np.inf)]

    def reached(threshold: float) -> float:
        called = (score[counted] >= threshold).mean()
        return 1 - called if at == "specificity" else called

    met = [c for c in candidates if (reached(c) <= value if at == "fpr" else reached(c) >= value - 1e-12)]
    found = find_operating_point(TASK, label, columns(list(score)), at, value)
    assert found.threshold == (max(met) if at == "sensitivity" else min(met))
    assert found.achieved == pytest.approx(reached(found.threshold))


def test_search_problems_are_all_named() -> None:
    with pytest.raises(InputError) as caught:
        find_operating_point(Task("multiclass", ("a", "b")), codes(0, 1), columns([0.1, 0.9]), "youden", 2)
    assert len(caught.value.problems) == 3
