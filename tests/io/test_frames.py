"""Views for pandas and fairlearn: the same numbers, and nothing undefined that looks like one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score, recall_score, roc_auc_score

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Factor
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Contrast, Envelope, Estimate, Evaluation, Gap, Interval, Undefined, Verdict
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.core.task import Task
from imgid_audit.io.frames import contrasts_frame, estimates_frame, gaps_frame, metric_frame, verdicts_frame

TASK = Task("binary", ("n", "y"), "y")
INTERVAL = Interval(0.1, 0.9, 0.95, "Wilson")
F, M = Slice(("sex",), ("F",)), Slice(("sex",), ("M",))


def evaluation() -> Evaluation:
    undefined = Undefined("empty", "no rows of class 'y'")
    return Evaluation(
        task=TASK,
        estimates=(
            Estimate("recall", "y", TOTAL, 0.5, INTERVAL, 10, 4, None),
            Estimate("recall", "y", Slice(("sex", "view"), ("F", "PA")), undefined, None, 3, 0, 2),
        ),
        gaps=(
            Gap("recall", "y", "sex", "difference", 0.2, INTERVAL, F, M, 0.03, 0.06),
            Gap("recall", "y", "view", "ratio", Undefined("not_applicable", "one level"), None, None, None, None, None),
        ),
        verdicts=(Verdict("floor", "inconclusive", "too few", 0.7, 0.5, 0.9, 0.8, M, {"M": 40}),),
        confusion=np.zeros((2, 2), dtype=np.int64),
        reliability=(),
        operating_point=None,
    )


def test_estimates() -> None:
    frame = estimates_frame(evaluation())
    assert frame.loc[0, ["breakdown", "group", "value", "low", "high", "level", "n"]].tolist() == [
        *("", "", 0.5, 0.1, 0.9, 0.95, 10)
    ]
    assert frame.loc[1, "breakdown"] == "sex*view"
    assert frame.loc[1, "group"] == "F * PA"
    assert frame["slice"].tolist() == [{}, {"sex": "F", "view": "PA"}]
    assert frame.loc[1, "value"] is pd.NA
    assert frame.loc[1, "undefined"] == "empty"
    assert frame.loc[1, "reason"] == "no rows of class 'y'"
    assert frame["subjects"].isna().tolist() == [True, False]
    assert str(frame["value"].dtype) == "Float64"


def test_contrasts_and_envelopes() -> None:
    noise = Envelope(0.05, 0.12, 0.95, "normal approximation")
    one = Contrast("recall", "y", "sex", F, "overall", TOTAL, "ratio", 1.2, Interval(0.9, np.inf, 0.95, "MOVER"))
    found = replace(
        evaluation(), gaps=(replace(evaluation().gaps[0], envelope=noise), evaluation().gaps[1]), contrasts=(one,)
    )
    gaps, contrasts = gaps_frame(found), contrasts_frame(found)
    assert gaps["envelope_upper"].tolist() == [0.12, pd.NA]
    assert contrasts.loc[0, ["slice", "against", "reference", "kind", "value", "high"]].tolist() == [
        *({"sex": "F"}, "overall", {}, "ratio", 1.2, np.inf)
    ]


def test_gaps_and_verdicts() -> None:
    gaps = gaps_frame(evaluation())
    assert gaps["worst"].tolist() == [{"sex": "M"}, None]
    assert gaps["value"].isna().tolist() == [False, True]
    verdicts = verdicts_frame(evaluation())
    assert verdicts.loc[0, "subjects_needed"] == '{"M": 40}'
    assert verdicts.loc[0, "worst"] == {"sex": "M"}


def test_frames_without_rows_have_their_columns() -> None:
    nothing = Evaluation(TASK, (), (), (), np.zeros((2, 2), dtype=np.int64), (), None)
    assert "value" in estimates_frame(nothing)
    assert len(verdicts_frame(nothing)) == len(gaps_frame(nothing)) == 0


def decisions(classes: int = 2, n: int = 400) -> Decisions:
    rng = np.random.default_rng(classes)
    label = rng.integers(0, classes, n).astype(np.int32)
    scores = rng.dirichlet(np.ones(classes), n)
    scores[np.arange(n), label] += 0.3
    scores /= scores.sum(axis=1, keepdims=True)
    sex = Factor("sex", ("F", "M", "(missing)"), rng.integers(0, 3, n).astype(np.int32))
    view = Factor("view", ("AP", "PA"), rng.integers(0, 2, n).astype(np.int32))
    task = TASK if classes == 2 else Task("multiclass", tuple("abcd"[:classes]))
    return Decisions(task, label, scores.argmax(axis=1).astype(np.int32), scores, None, (sex, view))


def test_metric_frame_has_the_numbers_of_scikit_learn() -> None:
    rows = decisions()
    frame = metric_frame(rows, ["accuracy", "recall", "f1", "auroc"], ["sex", "view"])
    assert len(frame.by_group) == 6
    assert rows.scores is not None
    for (sex, view), found in frame.by_group.iterrows():
        inside = (rows.attribute("sex").texts() == sex) & (rows.attribute("view").texts() == view)
        true, predicted = rows.label[inside], rows.predicted[inside]
        expected = [accuracy_score(true, predicted), recall_score(true, predicted), f1_score(true, predicted)]
        expected.append(roc_auc_score(true, rows.scores[inside, 1]))
        np.testing.assert_allclose(found.tolist(), expected, rtol=0, atol=1e-12)
    assert frame.overall["accuracy"] == accuracy_score(rows.label, rows.predicted)
    assert frame.difference()["recall"] > 0


def test_metric_frame_of_many_classes_is_macro() -> None:
    rows = decisions(4)
    frame = metric_frame(rows, "recall", "sex")
    assert frame.overall["recall"] == pytest.approx(
        recall_score(rows.label, rows.predicted, average="macro"), abs=1e-12
    )


def test_what_is_undefined_is_nan_there() -> None:
    rows = decisions(n=4)
    rows.label[:] = 0
    assert np.isnan(metric_frame(rows, "recall", "sex").overall["recall"])


def test_unknown_names_are_errors_all_at_once() -> None:
    with pytest.raises(InputError) as caught:
        metric_frame(decisions(4), ["recal", "selection_rate"], ["sx"])
    text = str(caught.value)
    assert "did you mean 'recall'" in text
    assert "did you mean 'sex'" in text
    assert "'selection_rate' has no macro mean" in text
