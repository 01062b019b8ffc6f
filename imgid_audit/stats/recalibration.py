"""Logistic recalibration of many slices at once: slope and intercept with cluster-robust errors.

Outcomes are regressed on the logit of the score (Cox 1958, Biometrika 45:562). The slope is that of the
regression with an intercept; the intercept is the one with the slope held at 1 (calibration in the
large; Van Calster et al. 2019, BMC Medicine 17:230). Calibrated scores have slope 1 and intercept 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from imgid_audit.stats.bands import Methods, containing
from imgid_audit.stats.intervals import Bounds, Floats, quantile
from imgid_audit.stats.methods import RECALIBRATION, method
from imgid_audit.stats.units import Index

CLIP = float(np.finfo(np.float32).eps)
"""Scores are clipped to [CLIP, 1 - CLIP]: what a network in float32 calls 0 or 1 is no nearer."""

PART = 1 << 15
"""Rows that are worked on at once."""

CELLS = 64
"""Cells of logits that the fit starts from."""

STEPS, HALVINGS = 100, 30
SMALL_STEP = 0.1
"""Newton's steps below this need no safeguard."""
LONGEST = 4.0
"""No Newton step is longer than this in either parameter."""


def logit(score: Floats) -> Floats:
    """log(s / (1 - s)) of clipped scores in [0, 1]."""
    return np.asarray(special.logit(np.clip(score, CLIP, 1 - CLIP)))


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Fits of outcome on intercept + slope * logit, arrays (slices,); NaN where `reason` says why not.

    `influence_of_intercept`, `influence_of_slope` (n,): each row's first-order share in the estimate,
    0 in slices without one.
    """

    intercept: Floats
    slope: Floats
    reason: tuple[str | None, ...]
    influence_of_intercept: Floats
    influence_of_slope: Floats


def fit_line(x: Floats, outcome: NDArray[np.bool_], keys: Index, slices: int, *, slope: bool) -> Line:
    """Maximum likelihood in every slice; with `slope` False that is held at 1.

    `x` (n,): logits; `outcome` (n,); `keys` (n,): slices in [0, `slices`).
    """
    reason = _reasons(x, outcome, keys, slices, slope=slope)
    wanted = np.array([one is None for one in reason], dtype=bool)
    rows = _Rows(x, outcome.astype(np.float64), np.ones(len(x)), keys, slices)
    start = _maximise(_grouped(rows), np.zeros(slices), np.ones(slices), wanted, slope=slope)
    a, b, converged = _maximise(rows, start[0], start[1], wanted, slope=slope)
    reason = tuple(
        "the fit does not converge" if one is None and not ok else one
        for one, ok in zip(reason, converged, strict=True)
    )
    fitted = np.array([one is None for one in reason], dtype=bool)
    of_a, of_b = _influences(rows, a, b, slope=slope)
    if not fitted.all():
        of_a, of_b = (np.where(fitted[keys], one, 0.0) for one in (of_a, of_b))
    return Line(np.where(fitted, a, np.nan), np.where(fitted, b, np.nan), reason, of_a, of_b)


def pooled_line(x: Floats, outcome: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Intercept and slope of all rows as one slice, from `CELLS` cells of logits; None where there is no fit."""
    keys = np.zeros(len(x), dtype=np.intp)
    if _reasons(x, outcome, keys, 1, slope=True)[0] is not None:
        return None
    cells = _grouped(_Rows(x, outcome.astype(np.float64), np.ones(len(x)), keys, 1))
    a, b, converged = _maximise(cells, np.zeros(1), np.ones(1), np.ones(1, dtype=bool), slope=True)
    return (float(a[0]), float(b[0])) if converged[0] else None


def recalibrated(
    score: Floats, x: Floats, outcome: NDArray[np.bool_], rows: NDArray[np.bool_] | slice = slice(None)
) -> Floats:
    """The frequency (n,) that the pooled line of some rows gives every score; the score itself where there is none."""
    line = pooled_line(x[rows], outcome[rows])
    return score if line is None else np.asarray(special.expit(line[0] + line[1] * x))


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Rows, or groups of rows that are `weight` (n,) each, with their mean logit `x` and mean outcome `y`."""

    x: Floats
    y: Floats
    weight: Floats
    keys: Index
    slices: int

    def sums(self, values: Floats) -> Floats:
        """Sum of `values` (n,) in each slice."""
        return np.bincount(self.keys, weights=values, minlength=self.slices).astype(np.float64)


def _grouped(rows: _Rows) -> _Rows:
    """The rows in cells of about equal logits: a starting point at next to no cost."""
    place = np.clip(((rows.x / logit(np.array([1.0]))[0] + 1) * (CELLS / 2)).astype(np.intp), 0, CELLS - 1)
    cell = rows.keys * CELLS + place
    size = rows.slices * CELLS
    count = np.bincount(cell, minlength=size)
    held = np.flatnonzero(count)
    x, y = (np.bincount(cell, weights=values, minlength=size)[held] / count[held] for values in (rows.x, rows.y))
    return _Rows(x, y, count[held].astype(np.float64), held // CELLS, rows.slices)


def _maximise(
    rows: _Rows, a: Floats, b: Floats, wanted: NDArray[np.bool_], *, slope: bool
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Newton from (a, b), halving steps where the likelihood would fall; and where it has converged."""
    converged = ~wanted
    for _ in range(STEPS):
        if converged.all():
            break
        step_a, step_b = (
            np.where(converged, 0.0, np.clip(one, -LONGEST, LONGEST)) for one in _step(rows, a, b, slope=slope)
        )
        step = np.maximum(np.abs(step_a), np.abs(step_b))
        size = _share(rows, a, b, step_a, step_b) if step.max() > SMALL_STEP else np.ones(rows.slices)
        a, b = a + size * step_a, b + size * step_b
        # quadratic convergence: the step after one of 1e-6 is below rounding
        converged = converged | (step < 1e-6 * (1 + np.abs(a) + np.abs(b)))
    return a, b, converged


def _share(rows: _Rows, a: Floats, b: Floats, step_a: Floats, step_b: Floats) -> Floats:
    """How much of each slice's step, (slices,), keeps the likelihood from falling."""
    size, before = np.ones(rows.slices), _likelihood(rows, a, b)
    for _ in range(HALVINGS):
        falls = _likelihood(rows, a + size * step_a, b + size * step_b) < before - 1e-9 * np.abs(before)
        if not falls.any():
            break
        size[falls] /= 2
    return size


def _reasons(x: Floats, outcome: NDArray[np.bool_], keys: Index, slices: int, *, slope: bool) -> tuple[str | None, ...]:
    """Why a slice has no finite fit: one outcome alone, scores without spread, or outcomes that they separate."""
    side = outcome * slices + keys
    least, most = np.full(2 * slices, np.inf), np.full(2 * slices, -np.inf)
    np.minimum.at(least, side, x)
    np.maximum.at(most, side, x)
    lowest, highest = least.reshape(2, slices), most.reshape(2, slices)
    none = np.isinf(lowest)
    separated = (highest[0] <= lowest[1]) | (highest[1] <= lowest[0])
    flat = highest.max(axis=0) - lowest.min(axis=0) <= 1e-9
    found: list[str | None] = []
    for i in range(slices):
        if none[:, i].any():
            found.append("one outcome alone")
        elif slope and flat[i]:
            found.append("all scores are equal")
        elif slope and separated[i]:
            found.append("the scores separate the outcomes: the slope has no upper end")
        else:
            found.append(None)
    return tuple(found)


def _likelihood(rows: _Rows, a: Floats, b: Floats) -> Floats:
    """Log likelihood (slices,)."""
    eta = a[rows.keys] + b[rows.keys] * rows.x
    return rows.sums(rows.weight * (rows.y * eta - np.logaddexp(0.0, eta)))


def _step(rows: _Rows, a: Floats, b: Floats, *, slope: bool) -> tuple[Floats, Floats]:
    """The Newton step of each slice, from sums over parts of the rows that stay in the processor's cache."""
    sums = np.zeros((5, rows.slices))
    for start in range(0, len(rows.x), PART):
        part = slice(start, start + PART)
        x, keys, weight = rows.x[part], rows.keys[part], rows.weight[part]
        expected = special.expit(a[keys] + b[keys] * x)
        residual, spread = weight * (rows.y[part] - expected), weight * expected * (1 - expected)
        addends = (residual, spread, residual * x, spread * x, spread * x * x)
        for place, values in enumerate(addends if slope else addends[:2]):
            sums[place] += np.bincount(keys, weights=values, minlength=rows.slices)
    r, w, rx, wx, wxx = sums
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if not slope:
            return _finite(r / w), np.zeros(rows.slices)
        inverse = 1 / (w * wxx - wx**2)
        return _finite((wxx * r - wx * rx) * inverse), _finite((w * rx - wx * r) * inverse)


def _influences(rows: _Rows, a: Floats, b: Floats, *, slope: bool) -> tuple[Floats, Floats]:
    """Inverse information times each row's score: its influence at the maximum."""
    x, keys = rows.x, rows.keys
    expected = special.expit(a[keys] + b[keys] * x)
    residual, weight = rows.y - expected, rows.weight * expected * (1 - expected)
    w = rows.sums(weight)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if not slope:
            return _finite(1 / w)[keys] * residual, np.zeros_like(residual)
        wx, wxx = rows.sums(weight * x), rows.sums(weight * x * x)
        inverse = 1 / (w * wxx - wx**2)
        aa, ab, bb = (_finite(part * inverse)[keys] for part in (wxx, wx, w))
    return (aa - ab * x) * residual, (bb * x - ab) * residual


def _finite(values: Floats) -> Floats:
    """0 where a slice has no information."""
    return np.where(np.isfinite(values), values, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class LineBand:
    """Value and standard error with a t quantile (units - 1 degrees of freedom), without bounds; arrays (slices,)."""

    value: Floats
    error: Floats
    units: Floats
    unit: str

    def degrees(self) -> Floats:
        return np.maximum(self.units - 1, 1.0)

    def limits(self, level: float) -> Bounds:
        half = quantile(level, self.degrees()) * self.error
        return containing(self.value, (self.value - half, self.value + half))

    def methods(self, _level: float, /) -> Methods:
        return (method(RECALIBRATION, "sandwich", clustered=self.unit == "subjects").name,) * len(self.value)

    def standard_error(self) -> Floats:
        return self.error

    def scaled(self, factor: Floats) -> LineBand:
        return replace(self, error=self.error / np.sqrt(factor), units=self.units * factor)
