"""Seeds and test rows combined: against t tests, analysis of variance, published numbers, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from imgid_audit.stats.seeds import OverSeeds, RowSampling, estimate_limits, over_seeds, row_sampling

NOTHING = RowSampling(0.0, 0.0, 0.0, 1000, 999.0)


def everything(n: int) -> np.ndarray:
    return np.ones(n, dtype=bool)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_without_a_share_of_rows_it_is_the_paired_t_test(level: float) -> None:
    generator = np.random.default_rng(0)
    before, after = generator.normal(size=(2, 5))
    found = over_seeds(after - before, NOTHING)
    oracle = stats.ttest_rel(after, before)
    low, high = oracle.confidence_interval(level)
    assert_allclose([found.value - found.half(level), found.value + found.half(level)], [low, high], rtol=1e-9)
    assert_allclose(found.p_value(), oracle.pvalue, rtol=1e-9)


def test_seeds_that_agree_leave_a_t_test_over_rows() -> None:
    """Every seed flips the same rows: a one-sample t test of the rows' changes, but for the flips that are not seen."""
    generator = np.random.default_rng(1)
    change = generator.choice([-1.0, 0.0, 1.0], p=[0.1, 0.7, 0.2], size=400)
    shares = np.tile((change - change.mean()) / 400, (5, 1))
    rows = row_sampling(shares, everything(400), change != 0, None, 1 / 400)
    found = over_seeds(np.full(5, change.mean()), rows)
    assert_allclose(rows.variance - rows.unseen, stats.sem(change) ** 2, rtol=1e-9)
    assert_allclose(rows.unseen, 2 / 400**2)
    assert rows.interaction == pytest.approx(0, abs=1e-18)
    assert found.seed_error == 0
    alone = OverSeeds(found.value, 0.0, 5, RowSampling(rows.variance - rows.unseen, 0.0, 0.0, 400, 399.0))
    assert_allclose(alone.p_value(), stats.ttest_1samp(change, 0).pvalue, rtol=1e-9)
    assert found.p_value() > alone.p_value()


def test_near_the_published_interval_of_a_paired_difference() -> None:
    """Bonett & Price's: 12, 4, 26 and 6 pairs, standard error .0945 of the difference .44 (R's statpsych)."""
    change = np.repeat([0.0, -1.0, 1.0, 0.0], [12, 4, 26, 6])
    rows = row_sampling(np.tile((change - change.mean()) / 48, (2, 1)), everything(48), change != 0, None, 1 / 48)
    assert_allclose(np.sqrt(rows.variance), 0.09448809, rtol=0.05)


def test_the_parts_are_those_of_a_crossed_analysis_of_variance() -> None:
    """Rows x seeds without replication: the rows', the seeds' and the residual mean square, over all values."""
    import pandas as pd
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    generator = np.random.default_rng(2)
    n, seeds = 30, 4
    y = generator.normal(size=(1, n)) + 0.5 * generator.normal(size=(seeds, 1)) + generator.normal(size=(seeds, n))
    shares = (y - y.mean(axis=1, keepdims=True)) / n
    rows = row_sampling(shares, everything(n), everything(n), None, 0.0)
    found = over_seeds(y.mean(axis=1), rows)
    s, i = np.indices(y.shape)
    table = anova_lm(ols("y ~ C(s) + C(i)", pd.DataFrame({"y": y.ravel(), "s": s.ravel(), "i": i.ravel()})).fit())
    square = table["sum_sq"] / table["df"]
    assert_allclose(rows.variance, square["C(i)"] / y.size, rtol=1e-9)
    assert_allclose(found.seed_variance, square["C(s)"] / y.size, rtol=1e-9)
    # shares are centred by seed, which costs a row of n
    assert_allclose(rows.interaction * n / (n - 1), square["Residual"] / y.size, rtol=1e-9)


def test_the_interval_holds_exactly_where_the_p_value_is_above() -> None:
    generator = np.random.default_rng(3)
    for _ in range(200):
        variance = generator.exponential()
        units = int(generator.integers(2, 50))
        rows = RowSampling(variance, generator.random() * variance, 0.0, units, units - 1.0)
        value, seeds = float(generator.normal() * 4), int(generator.integers(2, 8))
        for apart in (None, value, 0.0, float(value + generator.normal()), -value):
            one = OverSeeds(value, float(generator.exponential()), seeds, rows, apart)
            p = one.p_value()
            for level in (0.5, 0.9, 0.95, 0.99):
                low, high = one.limits(level)
                assert (low > 0 or high < 0) == (p < 1 - level)


def test_no_change_has_p_one_and_some_width() -> None:
    rows = row_sampling(np.zeros((5, 100)), everything(100), ~everything(100), None, 0.01)
    found = over_seeds(np.zeros(5), rows)
    assert found.value == 0
    assert found.p_value() == 1
    # three of a hundred is what no flip in a hundred rows leaves possible, by the rule of three
    assert 0.02 < found.half(0.95) < 0.035


def test_tiny_p_values_are_numbers() -> None:
    found = OverSeeds(0.9, 1e-12, 5, RowSampling(1e-6, 0.0, 0.0, 5000, 4999.0))
    assert 0 < found.p_value() < 1e-9


def test_subjects_of_one_row_are_rows() -> None:
    generator = np.random.default_rng(4)
    shares = generator.normal(size=(3, 60))
    shares -= shares.mean(axis=1, keepdims=True)
    moved = generator.random(60) < 0.5
    of_rows = row_sampling(shares, everything(60), moved, None, 0.1)
    of_subjects = row_sampling(shares, everything(60), moved, np.arange(60, dtype=np.int32), 0.1)
    for name in ("variance", "interaction", "unseen", "units", "freedom"):
        assert_allclose(getattr(of_subjects, name), getattr(of_rows, name))


def test_subjects_of_equal_rows_count_once() -> None:
    """Copies of a row say nothing new: with many subjects that flip, the variance is nearly that of one row each."""
    generator = np.random.default_rng(5)
    change = generator.choice([-1.0, 0.0, 1.0], p=[0.2, 0.4, 0.4], size=500)
    alone = row_sampling(np.tile((change - change.mean()) / 500, (2, 1)), everything(500), change != 0, None, 0.0)
    copied = np.repeat(change, 4)
    subject = np.repeat(np.arange(500), 4).astype(np.int32)
    found = row_sampling(np.tile((copied - copied.mean()) / 2000, (2, 1)), everything(2000), copied != 0, subject, 0.0)
    assert_allclose(found.variance, alone.variance, rtol=0.02)
    assert found.units == 500


def test_few_subjects_with_flips_are_not_believed() -> None:
    """One subject of ten holds a flip: the variance is nearly that of a correlation of one half."""
    change = np.zeros(100)
    change[3] = 1.0
    subject = np.repeat(np.arange(10), 10).astype(np.int32)
    share = np.tile((change - change.mean()) / 100, (2, 1))
    of_rows = row_sampling(share, everything(100), change != 0, None, 0.0).variance
    found = row_sampling(share, everything(100), change != 0, subject, 0.0).variance
    assert found > 4 * of_rows


def test_the_hull_holds_both_values() -> None:
    """The interval around either value is inside, and no wider than both; the p-value is the larger of the two."""
    rows = RowSampling(0.01, 0.0, 0.0, 101, 100.0)
    pair = OverSeeds(0.3, 0.001, 5, rows, 0.25)
    one, two = OverSeeds(0.3, 0.001, 5, rows), OverSeeds(0.25, 0.001, 5, rows)
    assert_allclose(pair.limits(0.9), [two.limits(0.9)[0], one.limits(0.9)[1]])
    assert pair.p_value() == two.p_value() > one.p_value() == pair.p_alone()
    assert OverSeeds(0.3, 0.001, 5, rows, -0.3).p_value() == 1
    assert OverSeeds(0.3, 0.001, 5, rows, 0.0).p_value() == 1
    values = np.array([0.1, 0.3, 0.2])
    assert_allclose(over_seeds(values, rows, values - 0.15).apart, 0.05)


@pytest.mark.parametrize(("large", "sizes"), [(3, 100), (5, 60), (12, 30)])
def test_few_large_subjects_among_many_small_ones_are_few(large: int, sizes: int) -> None:
    """Degrees of freedom are about those of the large ones alone; without weight on them, those of the others."""
    subject = np.concatenate([np.repeat(np.arange(large), sizes), large + np.arange(1000)]).astype(np.int32)
    n, big = len(subject), subject < large
    shares = np.random.default_rng(0).normal(size=(2, n))
    found = row_sampling(
        shares, everything(n), everything(n), subject, 0.0, np.where(big, 1 / (large * sizes), 1 / 1000)
    )
    assert large - 1 <= found.freedom < large + 0.5
    spared = row_sampling(shares, everything(n), everything(n), subject, 0.0, np.where(big, 0.0, 1 / 1000))
    assert_allclose(spared.freedom, 999)


@pytest.mark.parametrize("few", [2, 6, 30])
def test_two_groups_have_welchs_degrees_of_freedom(few: int) -> None:
    """Of two means of equal spread, one of few rows: near Welch's, which the smaller group bounds from below."""
    many = 1000
    generator = np.random.default_rng(1)
    weight = np.repeat([1 / few, 1 / many], [few, many])
    n = few + many
    found = row_sampling(generator.normal(size=(2, n)), everything(n), everything(n), None, 0.0, weight)
    welch = (1 / few + 1 / many) ** 2 / (1 / few**2 / (few - 1) + 1 / many**2 / (many - 1))
    assert_allclose(found.freedom, welch, rtol=0.1)


def test_subjects_alike_have_one_less_than_there_are() -> None:
    subject = np.repeat(np.arange(40), 5).astype(np.int32)
    found = row_sampling(np.random.default_rng(2).normal(size=(2, 200)), everything(200), everything(200), subject, 0.1)
    assert_allclose(found.freedom, 39)


@pytest.mark.parametrize("large", [3, 6])
def test_few_large_subjects_are_covered(large: int) -> None:
    """Means of two groups: few subjects of 50 alike rows, and 500 rows of their own."""
    generator = np.random.default_rng(3)
    sizes = np.repeat([50, 1], [large, 500])
    subject = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    first = subject < large
    n, draws, held = len(subject), 1000, 0
    weight = np.where(first, 1 / (50 * large), 1 / 500)
    for _ in range(draws):
        y = generator.normal(size=len(sizes))[subject]
        value = y[first].mean() - y[~first].mean()
        share = np.where(first, (y - y[first].mean()), (y[~first].mean() - y)) * weight
        rows = row_sampling(np.tile(share, (2, 1)), everything(n), everything(n), subject, 0.0, weight)
        held += abs(value) <= over_seeds(np.full(2, value), rows).half(0.95)
    assert held / draws >= 0.95 - 3 * np.sqrt(0.0475 / draws)


def test_one_seed_has_no_scatter() -> None:
    with pytest.raises(ValueError, match="two seeds"):
        over_seeds(np.array([0.1]), NOTHING)


@pytest.mark.parametrize("sizes", [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.5, 1.0, 0.5), (1.0, 0.3, 1.0)])
def test_crossed_normal_effects_are_covered(sizes: tuple[float, float, float]) -> None:
    """Seeds, rows and their interaction in any proportion: 95 % intervals hold, also at Holm's level for eight."""
    of_seeds, of_rows, of_both = sizes
    generator = np.random.default_rng(6)
    n, seeds, draws = 60, 5, 1500
    held = {0.95: 0, 1 - 0.05 / 8: 0}
    for _ in range(draws):
        y = of_seeds / np.sqrt(n) * generator.normal(size=(seeds, 1)) + of_rows * generator.normal(size=n)
        y = y + of_both * generator.normal(size=(seeds, n)) * np.sqrt(seeds)
        rows = row_sampling((y - y.mean(axis=1, keepdims=True)) / n, everything(n), everything(n), None, 0.0)
        found = over_seeds(y.mean(axis=1), rows)
        for level in held:
            held[level] += abs(found.value) <= found.half(level)
    for level, count in held.items():
        assert count / draws >= level - 3 * np.sqrt(level * (1 - level) / draws)


def test_limits_of_a_mean_add_in_squares() -> None:
    values = np.array([0.8, 0.82, 0.84])
    mean, low, high = estimate_limits(values, values - 0.03, values + 0.04, 0.95)
    half = stats.t.ppf(0.975, 2) * 0.02 / np.sqrt(3)
    assert_allclose([mean, low, high], [0.82, 0.82 - np.hypot(half, 0.03), 0.82 + np.hypot(half, 0.04)])


def test_the_half_width_by_hand() -> None:
    """Five seeds of variance .04; rows' 0.09, of which .05 differs between seeds, and 101 units."""
    t4, t100 = stats.t.ppf(0.975, 4), stats.t.ppf(0.975, 100)
    rows = RowSampling(0.09, 0.05, 0.01, 101, 100.0)
    assert_allclose(OverSeeds(1.0, 0.04, 5, rows).half(0.95), np.hypot(t4 * 0.2, t100 * 0.2))
    # seeds that happen to agree do not make test rows more certain than they are
    assert_allclose(OverSeeds(1.0, 1e-9, 5, rows).half(0.95), t100 * 0.3)
    # an interaction that is larger by chance leaves the unseen flips
    rows = RowSampling(0.09, 0.2, 0.01, 101, 100.0)
    assert_allclose(OverSeeds(1.0, 0.16, 5, rows).half(0.95), np.hypot(t4 * 0.4, t100 * 0.1))
