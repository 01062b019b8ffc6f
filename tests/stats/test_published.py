"""Published values: intervals of one proportion and of two, and worked examples of group fairness."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.testing import assert_allclose

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import EvaluationSpec, Policy, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Evaluation, Gap
from imgid_audit.core.task import Task
from imgid_audit.evaluation import evaluate
from imgid_audit.stats import two_samples
from imgid_audit.stats.intervals import clopper_pearson, wilson


@pytest.mark.parametrize(
    ("x", "n", "score", "exact"),
    [
        (18, 20, (0.6989663548, 0.9721335188), (0.6830172860, 0.9876514728)),
        (4, 20, (0.0806576626, 0.4160174323), (0.0573339971, 0.4366140030)),
        (4, 200, (0.0078044264, 0.0502870869), (0.0054755656, 0.0504136091)),
    ],
)
def test_one_proportion(x: int, n: int, score: tuple[float, float], exact: tuple[float, float]) -> None:
    assert_allclose(wilson(x, n, 0.95), score, atol=1e-10)
    assert_allclose(clopper_pearson(x, n, 0.95), exact, atol=1e-10)


# 7/34 against 1/34 (Perondi et al. 2004), the example of Fagerland, Lydersen & Laake (2015) Stat. Methods Med. Res.
# 24:224; four digits as their contingencytables package prints them. Of the rounded forms, .028 to .34 is the score
# interval of the difference without N/(N-1), and 1.21 to 43 that of the ratio with it, whatever they are quoted as.
PERONDI = (7, 34, 1, 34)


@pytest.mark.parametrize(
    ("function", "low", "high", "digits"),
    [
        (two_samples.newcombe, 0.019, 0.34, (3, 2)),
        (two_samples.mee, 0.028, 0.34, (3, 2)),
        (two_samples.mee, 0.0284, 0.3439, (4, 4)),
        (two_samples.katz, 0.91, 54, (2, 0)),
        (two_samples.katz, 0.9096, 53.8695, (4, 4)),
        (two_samples.miettinen_nurminen_ratio, 1.21, 43, (2, 0)),
        (two_samples.miettinen_nurminen_ratio, 1.2086, 43.0330, (4, 4)),
        (two_samples.koopman, 1.2209, 42.5757, (4, 4)),
        (two_samples.mover_r, 1.1537, 41.9763, (4, 4)),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_two_proportions(function: two_samples.TwoSamples, low: float, high: float, digits: tuple[int, int]) -> None:
    found = function(*PERONDI, 0.95)
    assert (round(float(found[0]), digits[0]), round(float(found[1]), digits[1])) == (low, high)


def test_miettinen_nurminen() -> None:
    """Newcombe (1998), table II (a), method 6; Ritland et al. (2007) and a small table from contingencytables."""
    for pair, expected in (
        ((56, 70, 48, 80), (0.0528, 0.3382)),
        ((0, 16, 15, 72), (-0.3164, -0.0056)),
        ((2, 10, 1, 10), (-0.2595, 0.4454)),
    ):
        assert_allclose(two_samples.miettinen_nurminen(*pair, 0.95), expected, atol=5e-5)
    # the short form of Perondi et al. is within the correction N/(N-1) of it
    assert_allclose(two_samples.miettinen_nurminen(*PERONDI, 0.95), (0.028, 0.34), atol=0.006)
    assert_allclose(two_samples.miettinen_nurminen_ratio(2, 10, 1, 10, 0.95), (0.2888, 14.6551), atol=5e-5)
    assert_allclose(two_samples.mee(56, 70, 48, 80, 0.95), (0.0533, 0.3377), atol=5e-5)


def binary(label: Sequence[int], predicted: Sequence[int], group: Sequence[str]) -> Decisions:
    levels = tuple(sorted(set(group)))
    codes = np.array([levels.index(level) for level in group], dtype=np.int32)
    return Decisions(
        Task("binary", ("0", "1"), "1"),
        np.array(label, dtype=np.int32),
        np.array(predicted, dtype=np.int32),
        None,
        None,
        (Factor("group", levels, codes),),
    )


def value(found: Evaluation, metric: str, level: str) -> float:
    (one,) = [e for e in found.estimates if e.metric == metric and e.slice.key == {"group": level}]
    assert isinstance(one.value, float)
    return one.value


def gap(found: Evaluation, metric: str, kind: str = "difference") -> Gap:
    (one,) = [g for g in found.gaps if g.metric == metric and g.kind == kind]
    return one


def test_the_example_of_fairlearns_documentation() -> None:
    """The 18 rows of the user guide on common fairness metrics."""
    label = [0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    predicted = [0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0]
    group = list("bbabbcccaacabccbcc")
    found = evaluate(
        binary(label, predicted, group), EvaluationSpec(("recall", "false_positive_rate", "selection_rate"))
    )
    assert [value(found, "recall", level) for level in "abc"] == pytest.approx([0.5, 0.6, 0.4])
    assert [value(found, "false_positive_rate", level) for level in "abc"] == pytest.approx([1.0, 0.0, 2 / 3])
    assert gap(found, "demographic_parity").value == pytest.approx(0.25)
    assert gap(found, "demographic_parity", "ratio").value == pytest.approx(0.6667, abs=5e-5)
    assert gap(found, "equalized_odds").value == pytest.approx(1.0)
    assert gap(found, "selection_rate").value == gap(found, "demographic_parity").value


def test_fairlearn_itself_says_so() -> None:
    from fairlearn import metrics as fairlearn

    label = [0, 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    predicted = [0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 0]
    group = list("bbabbcccaacabccbcc")
    found = evaluate(binary(label, predicted, group), EvaluationSpec(("recall",)))
    asked = {"sensitive_features": group}
    for metric, kind, theirs in (
        ("demographic_parity", "difference", fairlearn.demographic_parity_difference(label, predicted, **asked)),
        ("demographic_parity", "ratio", fairlearn.demographic_parity_ratio(label, predicted, **asked)),
        ("equalized_odds", "difference", fairlearn.equalized_odds_difference(label, predicted, **asked)),
        (
            "equalized_odds_mean",
            "difference",
            fairlearn.equalized_odds_difference(label, predicted, agg="mean", **asked),
        ),
    ):
        assert gap(found, metric, kind).value == pytest.approx(theirs)


SELECTED = {"F": (1424, 2828), "M": (1306, 2632)}
"""The example of New York City's rules under Local Law 144 (DCWP, 2023): selected, applicants."""


def test_the_impact_ratio_of_local_law_144() -> None:
    """From counts, not from the rounded rates 50 % and 50 %, whose ratio would be 1."""
    group = [level for level, (_, n) in SELECTED.items() for _ in range(n)]
    predicted = [int(i < x) for x, n in SELECTED.values() for i in range(n)]
    rules = tuple(
        Rule(f"impact-{ratio}", "selection_rate", "min_ratio", ratio, across=("group",)) for ratio in (0.80, 0.999)
    )
    found = evaluate(
        binary([0, 1] * (len(group) // 2), predicted, group),
        EvaluationSpec(("selection_rate",), policy=Policy(rules=rules)),
    )
    expected = (1306 / 2632) / (1424 / 2828)
    assert round(expected, 2) == 0.99
    impact = gap(found, "selection_rate", "ratio")
    assert impact.value == pytest.approx(expected, rel=1e-12)
    assert impact.worst is not None
    assert impact.worst.levels == ("M",)
    passed, undecided = found.verdicts
    assert passed.observed == undecided.observed == pytest.approx(expected, rel=1e-12)
    assert passed.status == "pass"
    assert passed.low is not None
    assert passed.low > 0.80
    assert undecided.status == "inconclusive"
