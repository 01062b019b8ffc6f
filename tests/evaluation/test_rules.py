"""Rules of a policy: who is compared, what is said, and what is never passed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest

from imgid_audit.core.factor import MISSING, Factor
from imgid_audit.core.policy import EvaluationSpec, IntervalSpec, Policy, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Undefined, Verdict
from imgid_audit.core.slices import TOTAL
from imgid_audit.core.task import Task
from imgid_audit.evaluation import evaluate

Make = Callable[..., Decisions]
BINARY = Task("binary", ("no", "yes"), "yes")


def cohort(*groups: tuple[str, int, int, int, int], subjects: int | None = None) -> Decisions:
    """Groups as (level, TP, FN, FP, TN) of attribute ``group``."""
    label, predicted, codes = [], [], []
    for code, (_, tp, fn, fp, tn) in enumerate(groups):
        label += [1] * (tp + fn) + [0] * (fp + tn)
        predicted += [1] * tp + [0] * fn + [1] * fp + [0] * tn
        codes += [code] * (tp + fn + fp + tn)
    n = len(label)
    subject = None
    if subjects is not None:
        subject = Factor("subject", tuple(map(str, range(subjects))), (np.arange(n) % subjects).astype(np.int32))
    group = Factor("group", tuple(name for name, *_ in groups), np.array(codes, dtype=np.int32))
    return Decisions(
        BINARY, np.array(label, dtype=np.int32), np.array(predicted, dtype=np.int32), None, subject, (group,)
    )


def answer(decisions: Decisions, rule: Rule, **policy: object) -> Verdict:
    spec = EvaluationSpec((), (), IntervalSpec(draws=200), Policy((rule,), **policy))
    (verdict,) = evaluate(decisions, spec).verdicts
    assert verdict.rule == rule.id
    assert verdict.tolerance == rule.tolerance
    if verdict.status == "inconclusive" or verdict.status == "not_evaluated":
        assert verdict.reason
    if verdict.status != "inconclusive":
        assert verdict.subjects_needed is None
    return verdict


GAP = Rule("gap", "recall", "max_gap", 0.10, ("group",))


def test_pass_fail_and_cannot_tell() -> None:
    passed = answer(cohort(("F", 900, 100, 10, 500), ("M", 910, 90, 10, 500)), GAP)
    assert passed.status == "pass"
    assert passed.low <= passed.observed <= passed.high <= 0.10
    failed = answer(cohort(("F", 600, 400, 10, 500), ("M", 910, 90, 10, 500)), GAP)
    assert failed.status == "fail"
    assert failed.low > 0.10
    assert failed.worst.levels == ("F",)
    assert all(text in failed.reason for text in ("group = F", "0.6000", "n = 1000", "group = M", "0.9100"))
    unsure = answer(cohort(("F", 18, 2, 1, 50), ("M", 19, 1, 1, 50)), GAP)
    assert unsure.status == "inconclusive"
    assert unsure.low <= 0.10 < unsure.high
    assert unsure.subjects_needed.keys() == {"F", "M"}
    assert all(count > 20 for count in unsure.subjects_needed.values())


def test_the_worst_level_follows_the_metrics_direction() -> None:
    decisions = cohort(("F", 500, 500, 600, 400), ("M", 500, 500, 100, 900))
    missed = answer(decisions, Rule("r", "false_positive_rate", "max_gap", 0.1, ("group",)))
    assert (missed.status, missed.worst.levels) == ("fail", ("F",))
    called = answer(decisions, Rule("r", "selection_rate", "min_ratio", 0.8, ("group",)))
    assert (called.status, called.worst.levels) == ("fail", ("M",))
    assert called.high < 0.8
    assert called.observed == pytest.approx(600 / 1100)


def test_adding_the_subjects_that_were_asked_for_settles_the_rule() -> None:
    rule = Rule("gap", "recall", "max_gap", 0.04, ("group",))
    one, two = (450, 50, 50, 450), (440, 60, 50, 450)
    small = answer(cohort(("F", *one), ("M", *two)), rule)
    assert small.status == "inconclusive"

    def grown(share: float) -> str:
        groups = []
        for name, counts in (("F", one), ("M", two)):
            factor = 1 + share * small.subjects_needed.get(name, 0) / 1000
            groups.append((name, *(round(count * factor) for count in counts)))
        return answer(cohort(*groups), rule).status

    assert grown(1.1) == "pass"
    assert grown(0.3) == "inconclusive"


def test_subjects_are_counted_where_there_are_subjects() -> None:
    verdict = answer(cohort(("F", 45, 5, 5, 45), ("M", 44, 6, 5, 45), subjects=20), GAP)
    assert verdict.status == "inconclusive"
    rows = answer(cohort(("F", 45, 5, 5, 45), ("M", 44, 6, 5, 45)), GAP)
    assert verdict.subjects_needed["F"] < rows.subjects_needed["F"]


def test_on_the_tolerance_no_number_settles_it() -> None:
    verdict = answer(cohort(("F", 45, 5, 5, 45), ("M", 40, 10, 5, 45)), GAP)
    assert verdict.status == "inconclusive"
    assert verdict.subjects_needed is None
    assert "no realistic number" in verdict.reason


def test_levels_under_the_minimum_support_are_named_and_block_a_pass() -> None:
    decisions = cohort(("F", 900, 100, 10, 500), ("M", 910, 90, 10, 500), ("X", 7, 0, 3, 90))
    verdict = answer(decisions, GAP)
    assert verdict.status == "inconclusive"
    assert "group = X (7)" in verdict.reason
    assert verdict.subjects_needed == {"X": 43}  # 100 rows hold 7 positives; 143 would hold 10
    assert verdict.high <= 0.10
    compared = answer(decisions, GAP, min_support=7)
    assert "not compared" not in compared.reason
    # 7 of 7 is observed as the best, and is the one that may be far below the others
    assert compared.worst.levels == ("X",)
    # negatives are what a false positive rate counts
    assert answer(decisions, Rule("r", "false_positive_rate", "max_gap", 0.2, ("group",))).status == "pass"


def test_what_is_broken_without_the_small_level_is_broken() -> None:
    decisions = cohort(("F", 600, 400, 10, 500), ("M", 910, 90, 10, 500), ("X", 7, 0, 3, 90))
    verdict = answer(decisions, GAP)
    assert verdict.status == "fail"
    assert "group = X (7)" in verdict.reason


def test_an_empty_level_cannot_pass_unless_it_is_ignored() -> None:
    decisions = cohort(("F", 900, 100, 10, 500), ("M", 910, 90, 10, 500), (MISSING, 0, 0, 5, 20))
    verdict = answer(decisions, GAP, min_support=0)
    assert verdict.status == "inconclusive"
    assert MISSING in verdict.reason
    ignoring = answer(decisions, Rule("gap", "recall", "max_gap", 0.10, ("group",), ignore=(MISSING,)))
    assert ignoring.status == "pass"
    assert f"left out: {MISSING}" in ignoring.reason


def test_one_level_is_no_gap_and_two_small_ones_prove_nothing() -> None:
    alone = answer(cohort(("F", 90, 10, 10, 50), ("M", 0, 0, 10, 50)), GAP)
    assert alone.status == "not_evaluated"
    assert "group = M: no rows of class 'yes'" in alone.reason
    assert alone.observed is alone.low is alone.high is alone.worst is None
    small = answer(cohort(("F", 4, 1, 10, 50), ("M", 5, 0, 10, 50)), GAP)
    assert small.status == "inconclusive"
    assert small.subjects_needed.keys() == {"F", "M"}


def test_values_over_levels_and_over_all_rows() -> None:
    decisions = cohort(("F", 900, 100, 10, 500), ("M", 700, 300, 10, 500))
    floor = answer(decisions, Rule("floor", "recall", "min_value", 0.8, ("group",)))
    assert (floor.status, floor.worst.levels, floor.observed) == ("fail", ("M",), 0.7)
    total = answer(decisions, Rule("total", "recall", "min_value", 0.75))
    assert (total.status, total.observed, total.worst.levels) == ("pass", 0.8, ())
    assert "all rows" in total.reason
    ceiling = answer(decisions, Rule("ceiling", "false_negative_rate", "max_value", 0.05))
    assert (ceiling.status, ceiling.low > 0.05) == ("fail", True)
    near = answer(cohort(("F", 41, 9, 1, 9)), Rule("total", "recall", "min_value", 0.75))
    assert near.status == "inconclusive"
    assert near.subjects_needed.keys() == {"all rows"}


def test_equalized_odds_is_the_worse_of_two_gaps() -> None:
    decisions = cohort(("F", 900, 100, 300, 700), ("M", 900, 100, 100, 900))
    worst = answer(decisions, Rule("eo", "equalized_odds", "max_gap", 0.1, ("group",)))
    assert worst.status == "fail"
    assert worst.observed == pytest.approx(0.2)
    assert worst.reason.startswith("equalized odds of 'yes' must differ by at most 0.1; false positive rate: group = ")
    mean = answer(decisions, Rule("eo", "equalized_odds_mean", "max_gap", 0.15, ("group",)))
    assert mean.status == "pass"
    assert mean.observed == pytest.approx(0.1)
    parity = answer(decisions, Rule("dp", "demographic_parity", "max_gap", 0.05, ("group",)))
    assert parity.observed == pytest.approx(0.1)
    assert parity.status == "fail"


def test_a_rule_without_class_holds_for_every_class(random_decisions: Make) -> None:
    generator = np.random.default_rng(0)
    n = 3000
    label = generator.integers(0, 3, n).astype(np.int32)
    predicted = label.copy()
    wrong = (label == 2) & (generator.random(n) < 0.4)
    predicted[wrong] = 0
    group = Factor("group", ("x", "y"), generator.integers(0, 2, n).astype(np.int32))
    decisions = Decisions(Task("multiclass", ("a", "b", "c")), label, predicted, None, None, (group,))

    def of(class_name: str | None, metric: str = "recall") -> Verdict:
        return answer(decisions, Rule("r", metric, "min_value", 0.9, ("group",), class_name))

    assert of(None).status == "fail"
    assert "'c'" in of(None).reason
    assert of("a").status == of("b").status == "pass"
    assert of("c").status == "fail"
    assert of("macro").observed == pytest.approx(0.87, abs=0.03)
    assert of("macro").reason.startswith("recall (mean of classes) must be at least 0.9;")
    assert of(None, "accuracy").reason.startswith("accuracy must be at least")
    assert of("d").status == "not_evaluated"
    assert "'d'" in of("d").reason
    assert "no macro" in of("macro", "selection_rate").reason
    assert "no classes" in of("a", "accuracy").reason
    assert of(None, "accuracy").worst is not None


def test_a_rule_over_classes_is_adjusted_for_them(random_decisions: Make) -> None:
    decisions = random_decisions(n=900, classes=3, levels=(2,))
    spec = IntervalSpec(draws=0)
    alone, together = (
        evaluate(
            decisions,
            EvaluationSpec((), (), spec, Policy((Rule("r", "recall", "max_value", 0.1, (), name),))),
        ).verdicts[0]
        for name in ("class 1", None)
    )
    found = evaluate(decisions, EvaluationSpec(("recall",), (), spec)).estimates
    counts = {
        one.class_name: (round(one.value * one.support), one.support)
        for one in found
        if one.slice == TOTAL and one.class_name is not None
    }

    def lower(level: float, *names: str) -> float:
        return max(binomtest(*counts[name]).proportion_ci(level, "exact").low for name in names)

    assert alone.low == pytest.approx(lower(0.95, "class 1"))
    assert together.low == pytest.approx(lower(1 - 0.05 / 3, *counts))


def test_not_applicable_is_not_evaluated() -> None:
    decisions = cohort(("F", 90, 10, 10, 50), ("M", 90, 10, 10, 50))
    verdict = answer(decisions, Rule("r", "auroc", "max_gap", 0.1, ("group",)))
    assert verdict.status == "not_evaluated"
    assert "scores" in verdict.reason
    negative = answer(decisions, Rule("r", "recall", "max_gap", 0.1, ("group",), "no"))
    assert negative.status == "not_evaluated"
    assert answer(decisions, Rule("r", "recall", "max_gap", 0.1, ("group",), "macro")).status == "not_evaluated"


def test_a_ratio_of_levels_that_are_all_0_is_no_number() -> None:
    impact = Rule("r", "recall", "min_ratio", 0.8, ("group",))
    verdict = answer(cohort(("F", 0, 40, 10, 50), ("M", 0, 50, 10, 50)), impact)
    assert verdict.status == "not_evaluated"
    assert verdict.observed is None
    assert "no denominator" in verdict.reason
    # the only level above 0 has too little support to be compared
    weak = answer(cohort(("F", 0, 40, 10, 50), ("M", 0, 50, 10, 50), ("X", 3, 1, 1, 1)), impact)
    assert weak.status == "inconclusive"
    assert weak.observed is None
    assert "group = X (4)" in weak.reason
    # one class of two parts: the recalls are 0, the false positive rates are not
    odds = answer(
        cohort(("F", 0, 40, 10, 50), ("M", 0, 50, 20, 40)), Rule("r", "equalized_odds", "min_ratio", 0.8, ("group",))
    )
    assert odds.status == "not_evaluated"


def test_any_metric_over_any_combination(random_decisions: Make) -> None:
    decisions = random_decisions(n=900, levels=(2, 2))
    across = ("attribute 1", "attribute 0")
    rules = tuple(
        Rule(name, name, kind, tolerance, across)
        for name, kind, tolerance in (
            ("auroc", "max_gap", 0.5), ("ece", "max_value", 0.9), ("brier", "max_gap", 0.9),
            ("balanced_accuracy", "min_value", 0.1), ("log_loss", "max_value", 20.0), ("f1", "min_ratio", 0.1),
        )
    )  # fmt: skip
    found = evaluate(decisions, EvaluationSpec(("accuracy",), (), IntervalSpec(draws=200), Policy(rules)))
    assert [verdict.status for verdict in found.verdicts] == ["pass"] * len(rules)
    assert [verdict.rule for verdict in found.verdicts] == [rule.id for rule in rules]
    # a rule's breakdown is judged, not reported
    assert all(one.metric == "accuracy" and len(one.slice.levels) < 2 for one in found.estimates)


def test_a_passing_rule_never_rests_on_an_undefined_value() -> None:
    generator = np.random.default_rng(5)
    for _ in range(40):
        groups = [(name, *generator.integers(0, 60, 4)) for name in "abc"]
        decisions = cohort(*groups)
        for kind, tolerance in (("max_gap", 0.3), ("min_value", 0.2), ("min_ratio", 0.5)):
            rule = Rule("r", "recall", kind, tolerance, ("group",))
            spec = EvaluationSpec(("recall",), (), IntervalSpec(draws=0), Policy((rule,)))
            found = evaluate(decisions, spec)
            if found.verdicts[0].status == "pass":
                levels = [one for one in found.estimates if one.slice.attributes]
                assert all(not isinstance(one.value, Undefined) and one.support >= 10 for one in levels)


@pytest.mark.parametrize(("criterion", "metric"), [("equal_opportunity", "recall"), ("predictive_parity", "precision")])
@pytest.mark.parametrize(("kind", "tolerance"), [("max_gap", 0.05), ("min_ratio", 0.8)])
def test_named_criteria_are_their_metrics_gap(criterion: str, metric: str, kind: str, tolerance: float) -> None:
    decisions = cohort(("F", 900, 100, 150, 850), ("M", 700, 300, 100, 900))
    named, plain = (answer(decisions, Rule("r", name, kind, tolerance, ("group",))) for name in (criterion, metric))
    assert (named.status, named.low, named.high) == (plain.status, plain.low, plain.high)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("ece", "ECE"),
        ("ece_debiased", "debiased ECE"),
        ("log_loss", "log loss"),
        ("auroc", "AUROC of 'yes'"),
        ("f1", "F1 of 'yes'"),
        ("average_precision", "average precision of 'yes'"),
    ],
)
def test_reasons_speak_of_metrics_by_their_spoken_names(random_decisions: Make, metric: str, said: str) -> None:
    decisions = random_decisions(n=200)
    name = decisions.task.positive
    reason = answer(decisions, Rule("r", metric, "max_value", 0.001)).reason
    assert reason.startswith(f"{said.replace('yes', str(name))} must be at most 0.001;")
