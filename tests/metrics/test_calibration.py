"""Calibration: the debiased error against a loop over splits, slope and intercept against statsmodels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, logit

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import EvaluationSpec, IntervalSpec, Policy, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Estimate, Undefined, Verdict
from imgid_audit.core.slices import TOTAL
from imgid_audit.core.task import Task
from imgid_audit.evaluation import breakdown, evaluate
from imgid_audit.evaluation.envelopes import beyond_noise
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.calibration import CalibrationBand, folded_mean, unfolded

Make = Callable[..., Decisions]
TASK = Task("binary", ("no", "yes"), "yes")
QUICK = IntervalSpec(draws=200)


def decisions_of(
    score: np.ndarray, label: np.ndarray, group: np.ndarray | None = None, subject: np.ndarray | None = None
) -> Decisions:
    def factor(name: str, codes: np.ndarray) -> Factor:
        return Factor(name, tuple(f"{name}{i}" for i in range(codes.max() + 1)), codes.astype(np.int32))

    label = label.astype(np.int32)
    attributes = () if group is None else (factor("group", group),)
    who = None if subject is None else factor("subject", subject)
    return Decisions(TASK, label, label, np.column_stack([1 - score, score]), who, attributes)


def planted(rows: int, seed: int, slope: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    line = 1.5 * generator.normal(size=rows)
    return expit(line), generator.random(rows) < expit(slope * line + shift)


def total(decisions: Decisions, metric: str) -> Estimate:
    return evaluate(decisions, EvaluationSpec((metric,), (), QUICK)).estimates[0]


@pytest.mark.parametrize("images", [1, 4])
def test_debiased_is_the_mean_over_random_splits(images: int) -> None:
    """By the definition: of three random parts each is multiplied with the sign that the other two give."""
    score, label = planted(2400, 1, 0.8)
    owner = np.arange(2400) // images
    decisions = decisions_of(score, label, None, owner if images > 1 else None)
    bins, excess = np.floor(score * 15).astype(int), score - label
    held = np.array([len(np.unique(owner[bins == b])) for b in range(15)])
    generator = np.random.default_rng(0)
    found = []
    for _ in range(1500):
        part = generator.integers(0, 3, owner.max() + 1)[owner]
        value = 0.0
        for k in range(3):
            inside = np.bincount(bins[part == k], excess[part == k], 15)
            others = np.pad(np.bincount(bins[part != k], excess[part != k], 15), 1)
            window = others[1:-1] + (others[:-2] + others[2:]) / (1 + held / 50)
            value += (np.sign(window) * inside).sum()
        found.append(value / 2400)
    error = np.std(found) / np.sqrt(len(found))
    assert_allclose(total(decisions, "ece_debiased").value, np.mean(found), atol=4 * error + 5e-4)


def test_a_calibrated_group_of_thirty_is_near_zero_and_a_shifted_one_is_not() -> None:
    values = {"calibrated": [], "plug-in": [], "shifted": []}
    for seed in range(150):
        values["calibrated"].append(total(decisions_of(*planted(30, seed)), "ece_debiased").value)
        values["plug-in"].append(total(decisions_of(*planted(30, seed)), "ece").value)
        values["shifted"].append(total(decisions_of(*planted(30, seed, 1.0, -2.0)), "ece_debiased").value)
    mean = {name: np.mean(found) for name, found in values.items()}
    assert mean["plug-in"] > 0.19
    assert mean["calibrated"] < 0.06
    assert np.median(values["calibrated"]) < 0.03
    assert min(values["calibrated"]) == 0
    # the truth: the mean of expit(l) - expit(l - 2), all of one sign
    line = 1.5 * np.random.default_rng(0).normal(size=200_000)
    assert_allclose(mean["shifted"], (expit(line) - expit(line - 2)).mean(), atol=0.04)


def test_one_row_and_one_subject_know_of_no_error() -> None:
    score, label = planted(40, 3, 0.3)
    assert total(decisions_of(score[:1], label[:1]), "ece_debiased").value == 0
    one = total(decisions_of(score, label, None, np.zeros(40, dtype=int)), "ece_debiased")
    assert one.value == 0
    assert one.interval.high > 0.6


def test_the_debiased_value_is_never_above_the_plug_in_by_more_than_rounding(random_decisions: Make) -> None:
    for subjects in (None, 30):
        decisions = random_decisions(n=300, subjects=subjects, seed=4)
        spec = EvaluationSpec(("ece", "ece_debiased"), (), QUICK)
        found = {(e.metric, e.slice): e for e in evaluate(decisions, spec).estimates}
        for (metric, where), one in found.items():
            if metric == "ece" and not isinstance(one.value, Undefined):
                other = found["ece_debiased", where]
                assert other.value <= one.value
                # one truth, one interval, widened only to hold the value shown
                assert one.interval.high == pytest.approx(max(other.interval.high, one.value))


def test_folded_mean_against_integration_and_its_inverse() -> None:
    from scipy.integrate import quad
    from scipy.stats import norm

    k = np.array([0.0, 0.3, 1.0, 2.5, 8.0])
    expected = [quad(lambda x, m=m: abs(x) * norm.pdf(x, m), -20, 30, points=[0, m], limit=200)[0] for m in k]
    assert_allclose(folded_mean(k), expected, rtol=1e-9)
    assert_allclose(unfolded(folded_mean(k)), k, atol=1e-7)
    assert unfolded(np.array([0.5]))[0] < 1e-12


def test_laws_of_the_band() -> None:
    shown, raw, plug = (
        np.array(part) for part in ([0.0, 0.05, 0.3, 0.0], [-0.02, 0.05, 0.3, 0.0], [0.2, 0.1, 0.31, 0.0])
    )
    error, noise = np.array([0.05, 0.02, 0.03, 0.0]), np.array([0.2, 0.1, 0.05, 0.0])
    band = CalibrationBand(shown, raw, plug, error, noise, np.full(4, 50.0), "subjects")
    inner = band.limits(0.5)
    for level in (0.8, 0.95, 0.9999):
        low, high = band.limits(level)
        assert np.all((low >= 0) & (low <= shown) & (shown <= high) & (high <= 1) & (low < high))
        assert np.all((low <= inner[0] + 1e-12) & (high >= inner[1] - 1e-12))
        inner = low, high
    low, high = band.scaled(np.full(4, 10_000.0)).limits(0.95)
    assert_allclose(low, shown, atol=1e-3)
    assert_allclose(high, shown, atol=5e-3)
    assert_allclose(band.scaled(np.ones(4)).limits(0.95), band.limits(0.95))
    assert np.all(band.standard_error() > 0)


@pytest.mark.parametrize("images", [1, 5])
def test_slope_and_intercept_are_statsmodels(images: int) -> None:
    import statsmodels.api as sm

    score, label = planted(600, 7, 0.6, 0.4)
    score[:3] = [0.0, 1.0, 1e-12]  # saturated scores count as float32's epsilon
    owner = np.arange(600) // images
    group = (owner % 3).astype(int)
    decisions = decisions_of(score, label, group, owner if images > 1 else None)
    line = logit(np.clip(score, np.finfo(np.float32).eps, 1 - np.finfo(np.float32).eps))
    part = breakdown(decisions, ("group",))
    sample = Sample(Rows(decisions), part, QUICK)
    slope, intercept = (
        METRICS[name].measure(sample)[0].band for name in ("calibration_slope", "calibration_intercept")
    )
    for i in range(3):
        rows = group == i
        options = {"groups": owner[rows], "use_correction": False}
        units = len(np.unique(owner[rows]))
        whole = sm.GLM(label[rows].astype(float), sm.add_constant(line[rows]), family=sm.families.Binomial()).fit(
            cov_type="cluster", cov_kwds=options, tol=1e-12
        )
        large = sm.GLM(
            label[rows].astype(float), np.ones((rows.sum(), 1)), family=sm.families.Binomial(), offset=line[rows]
        ).fit(cov_type="cluster", cov_kwds=options, tol=1e-12)
        correction = np.sqrt(units / (units - 1))
        assert_allclose(slope.value[i], whole.params[1], rtol=1e-7)
        assert_allclose(slope.error[i], whole.bse[1] * correction, rtol=1e-6)
        assert_allclose(intercept.value[i], large.params[0], rtol=1e-7)
        assert_allclose(intercept.error[i], large.bse[0] * correction, rtol=1e-6)
        low, high = slope.limits(0.95)
        assert low[i] < slope.value[i] < high[i]


def test_a_line_that_cannot_be_fitted_says_why() -> None:
    score, label = planted(40, 5)
    flat, one_label = np.full(40, 0.3), np.ones(40, dtype=bool)
    perfect = score > 0.5
    cases = {
        "all scores are equal": (flat, label),
        "one outcome alone": (score, one_label),
        "separate": (score, perfect),
    }
    for reason, (scores, labels) in cases.items():
        found = total(decisions_of(scores, labels), "calibration_slope")
        assert isinstance(found.value, Undefined)
        assert reason in found.value.reason
        assert found.interval is None
    # the intercept needs no spread
    assert_allclose(total(decisions_of(flat, label), "calibration_intercept").value, logit(label.mean()) - logit(0.3))
    for name in ("calibration_slope", "calibration_intercept"):
        alone = total(decisions_of(score, label, None, np.zeros(40, dtype=int)), name)
        assert "too few subjects" in alone.value.reason


def test_extreme_scores_converge() -> None:
    generator = np.random.default_rng(2)
    line = 30 * generator.normal(size=500)
    label = generator.random(500) < expit(0.05 * line)
    found = total(decisions_of(expit(line), label), "calibration_slope")
    assert not isinstance(found.value, Undefined)
    assert 0 < found.value < 0.3


def test_gaps_and_rules_on_ece_compare_the_debiased_value() -> None:
    score, label = planted(1500, 9)
    group = np.repeat([0, 0, 0, 0, 1], 300)
    label = np.where(group == 1, np.random.default_rng(1).random(1500) < expit(logit(score) - 1.5), label)
    decisions = decisions_of(score, label, group)
    rules = Policy((Rule("r", "ece", "max_gap", 0.05, ("group",)), Rule("v", "ece", "max_value", 0.1, ("group",))))
    found = evaluate(decisions, EvaluationSpec(("ece",), (), QUICK, rules))
    assert {e.metric for e in found.estimates} == {"ece"}
    assert {"ece_debiased", "calibration_slope", "calibration_intercept", "brier", "log_loss"} == {
        e.metric for e in found.beside
    }
    debiased = {e.slice.levels: e.value for e in found.beside if e.metric == "ece_debiased" and e.slice != TOTAL}
    gap = next(g for g in found.gaps if g.metric == "ece" and g.kind == "difference")
    assert gap.value == pytest.approx(max(debiased.values()) - min(debiased.values()))
    assert gap.envelope is not None
    assert gap.envelope.mean < gap.envelope.upper < gap.value
    assert [v.status for v in found.verdicts] == ["fail", "fail"]
    assert found.verdicts[0].observed == pytest.approx(gap.value)
    # both names are one hypothesis: adjusting does not count it twice
    both = evaluate(decisions, EvaluationSpec(("ece", "ece_debiased"), (), QUICK))
    assert {g.p_adjusted for g in both.gaps if g.metric.startswith("ece")} == {gap.p_adjusted}


@pytest.mark.parametrize("shift", [0.0, -0.4, -1.5])
def test_envelope_and_p_value_are_of_the_same_draws(shift: float) -> None:
    """p <= .05 exactly where the gap is above the 95 % envelope; both kinds of gap and both names share it."""
    group = np.repeat([0, 1], 300)
    spec = IntervalSpec(draws=399)  # 400 p <= 20 where at most 19 of 399 draws are as large
    for seed in range(12):
        score, label = planted(600, seed)
        label = np.where(group == 1, np.random.default_rng(seed).random(600) < expit(logit(score) + shift), label)
        decisions = decisions_of(score, label, group)
        gaps = evaluate(decisions, EvaluationSpec(("ece", "ece_debiased"), (), spec)).gaps
        found = [g for g in gaps if g.metric.startswith("ece")]
        assert len({g.p_value for g in found}) == 1
        gap = found[0]
        assert (gap.p_value <= 0.05) == (gap.value > gap.envelope.upper)
        assert 400 * gap.p_value == pytest.approx(round(400 * gap.p_value))
        if shift == -1.5:
            assert gap.p_value == 1 / 400
    equal = decisions_of(np.full(40, 0.5), np.arange(40) % 2, np.arange(40) // 20)
    gap = evaluate(equal, EvaluationSpec(("ece",), (), spec)).gaps[0]
    assert (gap.value, gap.p_value) == (0, 1)


def test_a_fail_within_the_noise_is_inconclusive() -> None:
    score, label = planted(120, 4)
    decisions = decisions_of(score, label, np.arange(120) % 2)
    sample = Sample(Rows(decisions), breakdown(decisions, ("group",)), QUICK)
    measured = {"ece_debiased": METRICS["ece_debiased"].measure(sample)}
    rule = Rule("r", "ece", "max_gap", 0.01, ("group",))
    spec = EvaluationSpec((), (), QUICK, Policy((rule,)))
    broken = Verdict("r", "fail", "said", 0.02, 0.011, 0.2, 0.01, None, None)
    softened = beyond_noise(broken, rule, sample, measured, spec)
    assert softened.status == "inconclusive"
    assert "equally calibrated groups" in softened.reason
    beyond = replace(broken, observed=0.6)
    assert beyond_noise(beyond, rule, sample, measured, spec) is beyond
    passed = replace(broken, status="pass")
    assert beyond_noise(passed, rule, sample, measured, spec) is passed


def test_values_that_may_be_negative_have_gaps_and_no_ratios() -> None:
    score, label = planted(400, 6, 0.7, -0.3)
    decisions = decisions_of(score, label, np.arange(400) % 2)
    rules = Policy(
        (
            Rule("i", "calibration_intercept", "min_value", -1.5),
            Rule("s", "calibration_slope", "max_gap", 2.0, ("group",)),
        )
    )
    found = evaluate(decisions, EvaluationSpec(("calibration_intercept", "calibration_slope"), (), QUICK, rules))
    for gap in found.gaps:
        if gap.metric.startswith("calibration"):
            assert isinstance(gap.value, Undefined) == (gap.kind == "ratio")
    assert [v.status for v in found.verdicts] == ["pass", "pass"]


@pytest.mark.parametrize("metric", ["ece", "ece_debiased", "calibration_slope", "calibration_intercept"])
def test_copies_of_a_subjects_row_tell_nothing_new(metric: str) -> None:
    """Ten equal rows of a subject are one: value, limits and standard error stay."""
    score, label = planted(120, 8, 0.7)
    group = np.arange(120) % 2
    once = decisions_of(score, label, group, np.arange(120))
    ten = decisions_of(*(np.repeat(part, 10) for part in (score, label, group, np.arange(120))))
    measured = [
        METRICS[metric].measure(Sample(Rows(one), breakdown(one, ("group",)), QUICK))[0].band for one in (once, ten)
    ]
    assert_allclose(measured[1].value, measured[0].value, atol=1e-9)
    assert_allclose(measured[1].limits(0.95), measured[0].limits(0.95), atol=1e-9)


def test_copies_do_not_narrow_the_envelope() -> None:
    score, label = planted(240, 8)
    group = np.arange(240) % 2
    found = []
    for copies in (1, 10):
        rows = (np.repeat(part, copies) for part in (score, label, group, np.arange(240)))
        decisions = decisions_of(*rows)
        spec = EvaluationSpec(("ece",), (), IntervalSpec(draws=4000))
        gap = next(g for g in evaluate(decisions, spec).gaps if g.kind == "difference")
        found.append((gap.envelope.mean, gap.envelope.upper))
    assert_allclose(found[1], found[0], rtol=0.2)
