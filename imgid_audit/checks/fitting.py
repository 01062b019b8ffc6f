"""What the checks of fit share: where it is not known, how gaps are told, what can be changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from imgid_audit.checks.base import CheckContext, not_applicable, percent
from imgid_audit.core.factor import tally
from imgid_audit.core.fit import GeneralisationGap
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.result import Interval, Undefined
from imgid_audit.core.slices import Slice

OFF: Mapping[str, Any] = {"hflip": 0.0, "vflip": 0.0, "rotation": 0.0, "crop": 1.0, "colour": 0.0, "randaugment": 0}
"""Of `train.augment`, where nothing is changed."""


NOT_TRAINED = not_applicable("nothing was trained in this audit")


def whole(gaps: tuple[GeneralisationGap, ...]) -> GeneralisationGap | None:
    """The gap of all rows."""
    return next((gap for gap in gaps if not gap.slice.attributes), None)


def points(value: float) -> str:
    """A difference of shares in [-1, 1] for a sentence: ``-3.1``, of 100; 0 only where exact."""
    return ("-" if value < 0 else "") + percent(abs(value)).removesuffix(" %")


def told(gap: GeneralisationGap) -> str:
    """``for device = old: 39.4 points (95 % interval 28.8 to 50.2)``; the gap is defined."""
    assert isinstance(gap.value, float)
    assert gap.interval is not None
    name = f"for {gap.slice}: " if gap.slice.attributes else ""
    return f"{name}{points(gap.value)} points ({between(gap.interval)})"


def between(interval: Interval) -> str:
    return f"{100 * interval.level:g} % interval {points(interval.low)} to {points(interval.high)}"


def shown(gap: GeneralisationGap) -> dict[str, Any]:
    """A gap as evidence."""
    interval = gap.interval
    return {
        "slice": gap.slice.key,
        "train": _value(gap.train),
        "val": _value(gap.val),
        "gap": _value(gap.value),
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "method": None if interval is None else interval.method,
        "train_rows": gap.train_n,
        "val_rows": gap.val_n,
    }


def _value(value: float | Undefined) -> float | None:
    return None if isinstance(value, Undefined) else value


def label_counts(manifest: Manifest, where: Slice) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Training rows of a slice by label, (classes,)."""
    rows = manifest.rows("train")
    rows = rows[np.isin(manifest.status[rows], (Status.PENDING, Status.PREDICTED)) & (manifest.label.codes[rows] >= 0)]
    for name, level in where.key.items():
        factor = next(one for one in manifest.attributes if one.name == name)
        rows = rows[factor.codes[rows] == factor.levels.index(level)]
    return tally(manifest.label.codes[rows], len(manifest.label.levels), manifest.counted(rows))


def setting(context: CheckContext, trail: str, default: Any = None, *, given: bool = False) -> Any:
    """A setting that the network was trained with, by its dotted trail; `default` where it has none.

    `given`: as the config was written.
    """
    place: Any = context.given if given else context.settings
    for key in trail.split("."):
        place = place.get(key) if isinstance(place, Mapping) else None
    return default if place is None else place


def named(context: CheckContext, trail: str) -> str:
    """``train.lr (0.001)``; the name alone where its value is not known. One that a search chose is told as that."""
    value = setting(context, trail)
    if value is None:
        return trail
    text = f"{value:g}" if isinstance(value, float | int) else str(value)
    return f"{trail} ({text}{', as the search chose' if searched(context, trail) else ''})"


def searched(context: CheckContext, trail: str) -> bool:
    """Whether the network was trained with another value than the config was written with."""
    return bool(context.given) and setting(context, trail) != setting(context, trail, given=True)


def augments(context: CheckContext) -> bool:
    """Whether training images are changed at random."""
    given = setting(context, "train.augment", {})
    return any(given.get(name, off) != off for name, off in OFF.items())


def number(value: float) -> str:
    """A loss in nats with two digits, or as many as it takes not to be 0."""
    return f"{value:.2f}" if value >= 0.01 or value == 0 else f"{value:.1e}"
