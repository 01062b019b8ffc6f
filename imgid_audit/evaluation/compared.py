"""A metric in two runs, side by side on the same slices, with the band of its change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.result import Undefined
from imgid_audit.metrics.base import Bools, Influential, Metric, OverSameRows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.effective_n import segment_sum
from imgid_audit.stats.flips import flip_test
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.paired import ChangeBand, FlipBand, flip_effect, p_by_inversion

PAIRED = "MOVER of both intervals with their correlation, paired rows"
PAIRED_BY_SUBJECT = "MOVER of both intervals with their correlation by subject, paired rows"
NO_CORRELATION = "MOVER of both intervals, pairing not used"
UNPAIRED = "MOVER of both intervals, not paired"


@dataclass(frozen=True, slots=True, eq=False)
class UnitFlips:
    """Rows that flipped, and rows that count, of every unit (subjects, or rows), sorted by slice at `offsets`."""

    gained: Floats
    lost: Floats
    rows: Floats
    offsets: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Compared:
    """One class of a metric in both runs; `band` is that of second - first, on the breakdown of both.

    `flips` is there where the change is one of flips: its p-value is then exact.
    """

    first: Measured
    second: Measured
    band: FlipBand | ChangeBand
    flips: UnitFlips | None
    clustered: bool

    @cached_property
    def undefined(self) -> tuple[Undefined | None, ...]:
        """Why there is no change on a slice: the metric is undefined in a run."""
        sides = zip(self.first.undefined, self.second.undefined, strict=True)
        return tuple(_reason(one, two) for one, two in sides)

    @property
    def defined(self) -> Bools:
        return np.array([reason is None for reason in self.undefined], dtype=bool)

    def p_values(self) -> Floats:
        """That the change is 0, (slices,): McNemar's for flips, else by inverting the interval."""
        if self.flips is None:
            return p_by_inversion(self.band, self.defined)
        net = (self.flips.gained - self.flips.lost).astype(np.int64)
        edges = self.flips.offsets
        return np.array([flip_test(net[edges[i] : edges[i + 1]], self.clustered)[0] for i in range(len(edges) - 1)])


def compare(metric: Metric, first: Sample, second: Sample, *, paired: bool) -> Iterator[Compared]:
    """The metric's classes in two samples with the same slices.

    `paired`: row i of one is row i of the other, with the same label, subject and slice.
    """
    clustered = first.units is not None
    for one, two in zip(metric.measure(first), metric.measure(second), strict=True):
        flips = _flips(metric, first, second, one.class_name) if paired else None
        band: FlipBand | ChangeBand
        band = _change_band(metric, first, second, one, two, paired) if flips is None else _flip_band(flips, clustered)
        yield Compared(one, two, band, flips, clustered)


def flips_by_unit(sample: Sample, before: Bools, after: Bools, counted: Bools) -> UnitFlips:
    """Flips of the `counted` rows between two answers, all masks (n,)."""
    parts = (counted & after & ~before, counted & before & ~after, counted)
    if sample.units is not None:
        gained, lost, rows = (sample.units.sums(part.astype(np.float64)) for part in parts)
        return UnitFlips(gained, lost, rows, sample.units.offsets)
    order = np.argsort(sample.keys, kind="stable")
    offsets = np.searchsorted(sample.keys[order], np.arange(sample.size + 1))
    gained, lost, rows = (part[order].astype(np.float64) for part in parts)
    return UnitFlips(gained, lost, rows, offsets)


def _flips(metric: Metric, first: Sample, second: Sample, class_name: str | None) -> UnitFlips | None:
    """The flips that change the metric; None where its change is not one of flips."""
    if not isinstance(metric, OverSameRows):
        return None
    before, after = metric.outcomes(first, class_name), metric.outcomes(second, class_name)
    if before is None or after is None:
        return None
    return flips_by_unit(first, before[0], after[0], before[1])


def _flip_band(flips: UnitFlips, clustered: bool) -> FlipBand:
    gained, lost, rows = (segment_sum(part, flips.offsets) for part in (flips.gained, flips.lost, flips.rows))
    if not clustered:
        return FlipBand(gained, lost, rows, rows)
    effect, subjects = flip_effect(flips.gained, flips.lost, flips.rows, flips.offsets)
    return FlipBand(gained, lost, rows, rows / effect, subjects)


def _change_band(
    metric: Metric, first: Sample, second: Sample, one: Measured, two: Measured, paired: bool
) -> ChangeBand:
    held = [each.support if each.subjects is None else each.subjects for each in (one, two)]
    units = np.minimum(*held).astype(np.float64)
    if not paired:
        return ChangeBand(one.band, two.band, None, units, UNPAIRED)
    known = one.defined & two.defined
    if not isinstance(metric, Influential) or not known.any():
        return ChangeBand(one.band, two.band, None, units, NO_CORRELATION)
    shares = metric.influence(first, one.class_name), metric.influence(second, two.class_name)
    how = PAIRED if first.units is None else PAIRED_BY_SUBJECT
    return ChangeBand(one.band, two.band, _correlation(first, *shares), units, how)


def _correlation(sample: Sample, first: Floats, second: Floats) -> Floats:
    """Correlation (slices,) of two estimates from the rows' shares (n,), summed by subject; NaN where one is fixed."""
    if sample.units is not None:
        a, b = sample.units.sums(first), sample.units.sums(second)
        sums = [segment_sum(part, sample.units.offsets) for part in (a * b, a * a, b * b)]
    else:
        products = first * second, first * first, second * second
        sums = [np.asarray(np.bincount(sample.keys, part, sample.size), dtype=np.float64) for part in products]
    joint, one, two = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(joint / np.sqrt(one * two))


def _reason(first: Undefined | None, second: Undefined | None) -> Undefined | None:
    if first is None and second is None:
        return None
    if first is not None and second is not None and first.reason == second.reason:
        return first
    kind = first.kind if first is not None else second.kind if second is not None else "empty"
    told = [f"{when}: {one.reason}" for when, one in (("before", first), ("after", second)) if one is not None]
    return Undefined(kind, "; ".join(told))
