"""Accuracy on train less that on val: against statsmodels and a score test by search, and laws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import Forms, IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Interval, Undefined
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.evaluation.generalisation import generalisation

SPEC = IntervalSpec()


def sides(random_decisions: Callable[..., Decisions], **options: object) -> tuple[Decisions, Decisions]:
    made = [random_decisions(n=n, seed=seed, scores=False, **options) for n, seed in ((500, 1), (300, 2))]
    train, val = made
    remembered = np.where(np.arange(500) % 3 > 0, train.label, train.predicted).astype(np.int32)
    return replace(train, predicted=remembered), val


def right(one: Decisions, where: Slice) -> tuple[int, int]:
    inside = np.ones(len(one), dtype=bool)
    for name, level in where.key.items():
        inside &= one.attribute(name).texts() == level
    return int((one.label == one.predicted)[inside].sum()), int(inside.sum())


def score(a: int, n: int, b: int, m: int, difference: float) -> float:
    """|z| of a difference by Miettinen & Nurminen (1985), the restricted maximum found by search."""

    def unlikely(p: float) -> float:
        return -float(stats.binom.logpmf(a, n, p + difference) + stats.binom.logpmf(b, m, p))

    ends = max(0.0, -difference) + 1e-9, min(1.0, 1 - difference) - 1e-9
    p = optimize.minimize_scalar(unlikely, bounds=ends, method="bounded", options={"xatol": 1e-12}).x
    q, all_rows = p + difference, n + m
    variance = (q * (1 - q) / n + p * (1 - p) / m) * all_rows / (all_rows - 1)
    return float(abs(a / n - b / m - difference) / variance**0.5)


@pytest.mark.parametrize("form", ["newcombe", "miettinen_nurminen"])
def test_intervals_are_those_of_statsmodels_and_of_the_score_test(
    random_decisions: Callable[..., Decisions], form: str
) -> None:
    train, val = sides(random_decisions)
    spec = IntervalSpec(level=0.9, forms=Forms(difference=form))
    found = generalisation(train, val, spec)
    levels = [Slice((f.name,), (level,)) for f in train.attributes for level in f.levels]
    assert [gap.slice for gap in found] == [TOTAL, *levels]
    for gap in found:
        alpha = 0.1 / (5 if gap.slice.attributes else 1)  # five levels in all, which hold together
        (a, n), (b, m) = right(train, gap.slice), right(val, gap.slice)
        assert isinstance(gap.interval, Interval)
        assert gap.value == pytest.approx(a / n - b / m)
        assert (gap.train, gap.val, gap.train_n, gap.val_n) == (a / n, b / m, n, m)
        assert (gap.interval.level, gap.train_subjects, gap.val_subjects) == (0.9, None, None)
        assert gap.interval.method.startswith("MOVER" if form == "newcombe" else "Miettinen-Nurminen")
        assert gap.interval.method.endswith("simultaneous over the groups") == bool(gap.slice.attributes)
        for side, hits, of in ((gap.train_interval, a, n), (gap.val_interval, b, m)):
            assert side is not None
            exact = "beta" if gap.slice.attributes else "wilson"
            expected = proportion_confint(hits, of, alpha=alpha, method=exact)
            assert (side.low, side.high) == pytest.approx(expected, abs=1e-9)
            assert side.level == 0.9
            assert side.method.endswith("simultaneous over the groups") == bool(gap.slice.attributes)
        ends = (gap.interval.low, gap.interval.high)
        if form == "newcombe":
            expected = confint_proportions_2indep(a, n, b, m, method="newcomb", compare="diff", alpha=alpha)
            assert ends == pytest.approx(expected, abs=1e-9)
        for end in ends if form != "newcombe" else ():  # each end is what the score test just rejects
            assert score(a, n, b, m, end) == pytest.approx(stats.norm.isf(alpha / 2), rel=1e-4)


def test_few_subjects_on_one_side_count_as_few(random_decisions: Callable[..., Decisions]) -> None:
    """A row a subject, 20 on val: Student's quantile with 19 degrees of freedom; k / (k - 1) is 1 % of it."""
    made = [random_decisions(n=n, seed=seed, scores=False, levels=()) for n, seed in ((500, 1), (20, 2))]
    own = [replace(one, subject=Factor("s", tuple(map(str, range(len(one)))), np.arange(len(one), dtype=np.int32)))
           for one in made]  # fmt: skip
    gap = generalisation(own[0], own[1], IntervalSpec(forms=Forms(difference="miettinen_nurminen")))[0]
    assert gap.interval is not None
    counts = (*right(own[0], TOTAL), *right(own[1], TOTAL))
    for end in (gap.interval.low, gap.interval.high):
        assert score(*counts, end) == pytest.approx(stats.t.isf(0.025, 19), rel=0.02)


def test_the_other_way_round_is_the_negative(random_decisions: Callable[..., Decisions]) -> None:
    train, val = sides(random_decisions, subjects=60)
    for one, other in zip(generalisation(train, val, SPEC), generalisation(val, train, SPEC), strict=True):
        assert one.interval is not None
        assert other.interval is not None
        assert (one.value, one.interval.low) == pytest.approx((-other.value, -other.interval.high))
        assert (one.train_subjects, one.train_n) == (other.val_subjects, other.val_n)


def test_rows_that_are_alike_may_be_counted(random_decisions: Callable[..., Decisions]) -> None:
    train, val = sides(random_decisions, subjects=60)
    assert generalisation(train.distinct(), val.distinct(), SPEC) == generalisation(train, val, SPEC)


def test_more_images_of_the_same_subjects_tell_nothing_more(random_decisions: Callable[..., Decisions]) -> None:
    """Every image three times: of subjects the interval stays as wide, of independent rows it would shrink."""
    train, val = sides(random_decisions, levels=())
    own = [replace(one, subject=Factor("s", tuple(map(str, range(len(one)))), np.arange(len(one), dtype=np.int32)))
           for one in (train, val)]  # fmt: skip
    tripled = [replace(one, count=np.full(len(one), 3, dtype=np.int64)) for one in own]
    once, thrice = (generalisation(a, b, SPEC)[0].interval for a, b in (own, tripled))
    assert once is not None
    assert thrice is not None
    assert thrice.high - thrice.low >= 0.99 * (once.high - once.low)
    rows = generalisation(*(replace(one, subject=None) for one in tripled), SPEC)[0].interval
    assert rows is not None
    assert rows.high - rows.low < 0.6 * (once.high - once.low)


def test_a_perfect_memory_still_has_an_interval(random_decisions: Callable[..., Decisions]) -> None:
    train, val = sides(random_decisions)
    gap = generalisation(replace(train, predicted=train.label), val, SPEC)[0]
    assert isinstance(gap.value, float)
    assert gap.interval is not None
    assert gap.train == 1.0
    assert gap.interval.low < gap.value < gap.interval.high


def test_a_side_without_rows_has_no_gap(random_decisions: Callable[..., Decisions]) -> None:
    train, val = sides(random_decisions)
    factor = val.attributes[0]
    kept = np.flatnonzero(factor.codes != 1)
    parts = {name: getattr(val, name)[kept] for name in ("label", "predicted")}
    less = replace(val, **parts, attributes=tuple(one.take(kept) for one in val.attributes))
    found = {str(gap.slice): gap for gap in generalisation(train, less, SPEC)}
    gap = found["attribute 0 = level 1"]
    assert gap.value == Undefined("empty", "no rows on val")
    assert (gap.interval, gap.val_interval, gap.val_n) == (None, None, 0)
    assert isinstance(gap.train, float)
    assert gap.train_interval is not None
    none = np.zeros(0, dtype=np.intp)
    parts = {name: getattr(val, name)[none] for name in ("label", "predicted")}
    empty = replace(val, **parts, attributes=tuple(one.take(none) for one in val.attributes))
    assert {gap.value for gap in generalisation(train, empty, SPEC)} == {Undefined("empty", "no rows on val")}
    assert generalisation(empty, empty, SPEC)[0].value == Undefined("empty", "no rows on train and val")


def test_sides_of_different_manifests_are_refused(random_decisions: Callable[..., Decisions]) -> None:
    train, val = sides(random_decisions)
    with pytest.raises(ValueError, match="not of one manifest"):
        generalisation(train, replace(val, attributes=val.attributes[:1]), SPEC)
