"""Rates to assume for the size of a further study, from the rates that an inconclusive one observed.

Observed rates mislead in two ways. The largest of many gaps is an overestimate: with more than two
slices, or fewer than `PLENTY` effective rows in one, rates are shrunk towards their mean by how far
their spread exceeds noise (DerSimonian & Laird 1986; Efron & Morris 1975, JASA 70:311). And a study
is only asked for after an inconclusive answer, which itself says where the estimate fell: with two
slices or one, the assumed quantity is the median-unbiased one given that (truncated normal).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from imgid_audit.stats.bands import RateBand
from imgid_audit.stats.intervals import Floats, one_sided, quantile
from imgid_audit.stats.verdicts import PAIRED, Judgement, Part, Requirement, judge

PLENTY = 400
"""One or two slices with at least as many effective rows each are not shrunk."""

TOUCHING = 0.08
"""An observed quantity this near to the tolerance, in standard errors, would take 1,000 times the sample."""

Truth = tuple[Floats, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Assumed:
    """The value of every slice, an array (slices,) a part: to plan with, and one standard error either way.

    In `smaller` the rule's quantity is smaller, in `larger` it is larger.
    """

    middle: Truth
    smaller: Truth
    larger: Truth


def assume(parts: tuple[Part, ...], asked: Requirement) -> Assumed:
    """What to assume after the inconclusive answer of these parts."""
    if len(parts) == 1 and _plain(parts[0]):
        return Assumed(*((_placed(parts[0], asked, at),) for at in _given_inconclusive(parts, asked)))
    middle = tuple(shrunk(part) for part in parts)
    smaller, larger = (_shifted(parts, asked, middle, sign) for sign in (-1.0, 1.0))
    return Assumed(middle, smaller, larger)


def on_tolerance(parts: tuple[Part, ...], asked: Requirement) -> bool:
    """Whether the observed quantity is as good as at the tolerance: nearer than `TOUCHING` standard errors."""
    now = judge(parts, asked)
    return abs(now.observed - asked.tolerance) <= TOUCHING * _error(now, asked)


def _error(now: Judgement, asked: Requirement) -> float:
    """Standard error of the rule's quantity, read off the bound that decides `pass`."""
    return abs(now.passing - now.observed) / max(float(quantile(one_sided(asked.level))), 1e-9)


def quantity(parts: tuple[Part, ...], asked: Requirement, truth: Truth) -> float:
    """What the rule bounds, were `truth` so."""
    each = []
    for part, value in zip(parts, truth, strict=True):
        v = value[part.used]
        if asked.kind not in PAIRED:
            each.append(float(v.max() if asked.upper else v.min()))
        elif PAIRED[asked.kind] == "ratio":
            each.append(float(v.min() / v.max()) if v.max() > 0 else 1.0)
        else:
            each.append(float(v.max() - v.min()))
    if asked.mean:
        return float(np.mean(each))
    return max(each) if asked.upper else min(each)


def _plain(part: Part) -> bool:
    band = part.band
    if not isinstance(band, RateBand) or band.transform is not None or part.used.sum() > 2:
        return False
    return bool(np.all(band.effective_n[part.used] >= PLENTY))


def _given_inconclusive(parts: tuple[Part, ...], asked: Requirement) -> tuple[float, float, float]:
    """The rule's quantity, median-unbiased, and its 16 % and 84 % limits, given that the answer is open."""
    now = judge(parts, asked)
    error = _error(now, asked)
    # where the estimate would have decided: its distance to each bound, about the tolerance
    edges = sorted((asked.tolerance - (now.passing - now.observed), asked.tolerance + (now.observed - now.failing)))
    middle, smaller, larger = (truncated(now.observed, error, edges[0], edges[1], share) for share in (0.5, 0.84, 0.16))
    return middle, smaller, larger


def truncated(observed: float, error: float, low: float, high: float, share: float) -> float:
    """The mean of a normal whose draws within [low, high] are below `observed` in this `share`.

    Within 8 standard errors of `observed`, which is returned where it is outside or the error is 0.
    """
    if not low < observed < high or error <= 0:
        return observed

    def below(mean: float) -> float:
        a, x, b = ((limit - mean) / error for limit in (low, observed, high))
        if a > 0:  # the far upper tail: by symmetry, where numbers are exact
            a, x, b = -b, -x, -a
            return 1 - float((special.ndtr(x) - special.ndtr(a)) / (special.ndtr(b) - special.ndtr(a)))
        return float((special.ndtr(x) - special.ndtr(a)) / (special.ndtr(b) - special.ndtr(a)))

    least, most = observed - 8 * error, observed + 8 * error
    if below(least) <= share:
        return least
    if below(most) >= share:
        return most
    return float(optimize.brentq(lambda mean: below(mean) - share, least, most, xtol=1e-9))


def _placed(part: Part, asked: Requirement, at: float) -> Floats:
    """The observed values, moved so that the rule's quantity is `at`."""
    value, used = part.band.value.copy(), np.flatnonzero(part.used)
    low, high = used[np.argmin(value[used])], used[np.argmax(value[used])]
    centre = float(value[used].mean())
    if asked.kind not in PAIRED:
        value[high if asked.upper else low] = at
    elif PAIRED[asked.kind] == "ratio":
        ratio = float(np.clip(at, 0.0, 1.0))
        value[high] = 2 * centre / (1 + ratio)
        value[low] = ratio * value[high]
    else:
        gap = max(0.0, at)
        value[low], value[high] = centre - gap / 2, centre + gap / 2
    return np.asarray(np.clip(value, 0.0, 1.0))


def shrunk(part: Part) -> Floats:
    """The slices' values, (slices,), with the used ones shrunk towards their mean."""
    value, used = part.band.value.astype(np.float64), part.used
    if used.sum() < 2:
        return value
    v, error = value[used], _pooled_error(part)[used]
    weight = 1 / error**2
    mean = float((weight * v).sum() / weight.sum())
    excess = float((weight * (v - mean) ** 2).sum()) - (len(v) - 1)
    spread = max(0.0, excess / float(weight.sum() - (weight**2).sum() / weight.sum()))
    out = value.copy()
    out[used] = mean + spread / (spread + error**2) * (v - mean)
    return out


def _pooled_error(part: Part) -> Floats:
    """Standard errors (slices,): of rates at their common value, which is never 0."""
    band, used = part.band, part.used
    if not isinstance(band, RateBand) or band.transform is not None:
        return band.standard_error()
    n = band.effective_n
    pooled = ((band.value * n)[used].sum() + 0.5) / (n[used].sum() + 1.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.sqrt(pooled * (1 - pooled) / n))


def _shifted(parts: tuple[Part, ...], asked: Requirement, truth: Truth, sign: float) -> Truth:
    """The assumed values with the rule's quantity one standard error larger (`sign` 1) or smaller (-1)."""
    out = []
    for part, value in zip(parts, truth, strict=True):
        moved, at = value.copy(), np.flatnonzero(part.used)
        error = _pooled_error(part)
        low, high = at[np.argmin(value[at])], at[np.argmax(value[at])]
        if asked.kind in PAIRED:
            wider = sign if PAIRED[asked.kind] == "difference" else -sign
            gap, step = float(value[high] - value[low]), float(np.hypot(error[low], error[high]))
            if gap > 1e-9:
                centre = float(value[at].mean())
                moved[at] = centre + (value[at] - centre) * max(0.0, gap + wider * step) / gap
            elif wider > 0:
                moved[high] += step
        else:
            moved[high if asked.upper else low] += sign * error[high if asked.upper else low]
        out.append(np.clip(moved, 0.0, 1.0) if isinstance(part.band, RateBand) else moved)
    return tuple(out)
