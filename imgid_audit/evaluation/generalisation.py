"""How much better a network is on the rows it learnt from than on validation rows, and for whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from imgid_audit.core.fit import GeneralisationGap
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Interval, Undefined
from imgid_audit.evaluation.breakdowns import breakdown
from imgid_audit.metrics.rates import ACCURACY
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.bands import RateBand
from imgid_audit.stats.intervals import Bounds, bonferroni
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.methods import PROPORTION, method
from imgid_audit.stats.requested import between_limits, pair_method

TOGETHER = "simultaneous over the groups"


def generalisation(train: Decisions, val: Decisions, spec: IntervalSpec) -> tuple[GeneralisationGap, ...]:
    """Accuracy on train less that on val: of all rows, then of every level of every attribute.

    `train` and `val` are decisions of one network on rows of one manifest, so that attributes and levels
    are the same (ValueError otherwise). Limits are those of two independent proportions, on effective
    counts where there are subjects; those of levels hold for all levels together (Bonferroni), and so do those
    of accuracy on either side, which are Clopper and Pearson's there. A level without rows on either side has
    no gap: `Undefined`. No level is too small for its interval.

    Source: Newcombe (1998) Stat. Med. 17:873, method 10, or what `spec` asks for.
    """
    if [(f.name, f.levels) for f in train.attributes] != [(f.name, f.levels) for f in val.attributes]:
        raise ValueError("train and val have different attributes or levels: they are not of one manifest")
    names = [(), *((factor.name,) for factor in val.attributes)]
    pairs = [_Pair.of(train, val, one, spec) for one in names]
    kinds = [(pair.defined, pair.train.defined, pair.val.defined) for pair in pairs[1:]]
    both, of_train, of_val = (sum(int(each[kind].sum()) for each in kinds) for kind in range(3))
    found = list(pairs[0].gaps(spec.level, (1, 1, 1)))
    for pair in pairs[1:]:
        found += pair.gaps(spec.level, (both, of_train, of_val))
    return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """Accuracy over one breakdown on both sides."""

    train: Measured
    val: Measured

    @staticmethod
    def of(train: Decisions, val: Decisions, names: tuple[str, ...], spec: IntervalSpec) -> _Pair:
        one, other = (ACCURACY.measure(Sample(Rows(side), breakdown(side, names), spec))[0] for side in (train, val))
        return _Pair(one, other)

    @property
    def defined(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return self.train.defined & self.val.defined

    def gaps(self, level: float, groups: tuple[int, int, int]) -> Iterator[GeneralisationGap]:
        """One gap a slice; limits of gaps, of train and of val are such that so many `groups` hold at `level` each."""
        limits, how = _limits(self.train, self.val, bonferroni(level, groups[0]))
        estimates = zip(self.train.estimates(level), self.val.estimates(level), strict=True)
        on_train, on_val = _side(self.train, level, groups[1]), _side(self.val, level, groups[2])
        for i, (train, val) in enumerate(estimates):
            missing = [name for name, one in (("train", train), ("val", val)) if isinstance(one.value, Undefined)]
            value: float | Undefined = Undefined("empty", f"no rows on {' and '.join(missing)}")
            interval = None
            if isinstance(train.value, float) and isinstance(val.value, float):
                value = train.value - val.value
                low, high = min(float(limits[0][i]), value), max(float(limits[1][i]), value)
                interval = Interval(low, high, level, how + (f", {TOGETHER}" if groups[0] > 1 else ""))
            yield GeneralisationGap(
                slice=train.slice,
                value=value,
                interval=interval,
                train=train.value,
                val=val.value,
                train_n=train.n or 0,
                val_n=val.n or 0,
                train_subjects=train.subjects,
                val_subjects=val.subjects,
                train_interval=on_train[i],
                val_interval=on_val[i],
            )


def _side(side: Measured, level: float, groups: int) -> tuple[Interval | None, ...]:
    """Intervals of accuracy on one side, None where it is undefined; of several `groups` they hold together at `level`.

    Those of groups are exact: far out in the tails Wilson's upper limit lies below a high accuracy too often, and
    which groups are low is read off that limit alone.
    """
    if groups < 2:
        return tuple(one.interval for one in side.estimates(level))
    band = side.band
    assert isinstance(band, RateBand)  # accuracy is one
    low, high = band.sides(bonferroni(level, groups))
    name = f"{method(PROPORTION, 'clopper_pearson', clustered=band.subjects is not None).name}, {TOGETHER}"
    return tuple(
        Interval(below, above, level, name) if defined else None
        for below, above, defined in zip(low.tolist(), high.tolist(), side.defined.tolist(), strict=True)
    )


def _limits(train: Measured, val: Measured, level: float) -> tuple[Bounds, str]:
    """Limits of the difference on every slice, and their method's name."""
    one, other = train.band, val.band
    if not isinstance(one, RateBand) or not isinstance(other, RateBand):
        raise TypeError("accuracy is a proportion")
    return between_limits(one, other, level), pair_method(one, "difference").name
