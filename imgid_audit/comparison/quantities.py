"""Everything that is estimated of one method, in a fixed order, from its networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from imgid_audit.comparison.halves import Halves
from imgid_audit.comparison.levels import Levels, Network
from imgid_audit.comparison.runs import ComparisonSpec, MethodRuns
from imgid_audit.comparison.series import Series, gap, single, worst
from imgid_audit.core.comparison import Quantity
from imgid_audit.core.slices import Breakdown
from imgid_audit.core.task import Task
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.base import Bools

CALIBRATION = ("ece", "brier")
"""Estimated of every method, as decided and recalibrated."""

Key = tuple[Quantity, str, str | None, str, bool]
"""Quantity, metric, class, level's text ('' for all rows), and whether of recalibrated scores."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """What is the same for all methods.

    - `everything`, `groups`: the breakdowns, `groups` None where the primary is over all rows
    - `used`, `classes`: groups, and classes, that the worst and the gap are over
    - `left_out`: the others, with the reason
    - `halves`: of the test rows
    """

    spec: ComparisonSpec
    task: Task
    class_name: str | None
    everything: Breakdown
    groups: Breakdown | None
    used: Bools
    classes: Bools
    left_out: Mapping[str, str]
    halves: Halves


def networks(runs: MethodRuns, spec: ComparisonSpec) -> list[Network]:
    """One a seed."""
    return [Network(one, spec.intervals) for one in runs.decisions]


def primary_class(spec: ComparisonSpec, task: Task) -> str | None:
    """The class of the primary metric: the positive one of a binary task where none was named."""
    if spec.primary.class_name is None and METRICS[spec.primary.metric].per_class:
        return task.positive
    return spec.primary.class_name


def frame(base: Sequence[Network], spec: ComparisonSpec, everything: Breakdown, groups: Breakdown | None) -> Frame:
    """What the baseline's networks leave in: every method is then judged on the same groups and classes."""
    task = base[0].decisions.task
    class_name = primary_class(spec, task)
    left_out: dict[str, str] = {}
    used = np.zeros(0, dtype=bool)
    if groups is not None:
        levels = [one.levels(spec.primary.metric, class_name, groups) for one in base]
        names = [", ".join(where.levels) for where in groups.slices]
        ignored = [bool(set(where.levels) & set(spec.primary.ignore)) for where in groups.slices]
        used = _kept(levels, names, ignored, spec.min_support, left_out)
    recalls = [one.recalls for one in base]
    names = [f"class {label}" for label in task.labels]
    classes = _kept(recalls, names, [False] * len(names), spec.min_support, left_out)
    halves = Halves([one.decisions for one in base], groups, spec.intervals.seed)
    return Frame(spec, task, class_name, everything, groups, used, classes, left_out, halves)


def _kept(
    levels: Sequence[Levels], names: Sequence[str], ignored: Sequence[bool], least: int, left_out: dict[str, str]
) -> Bools:
    kept = np.ones(len(names), dtype=bool)
    for a, name in enumerate(names):
        undefined = next((why for each in levels if (why := each.undefined[a]) is not None), None)
        support = min(int(each.support[a]) for each in levels)
        if ignored[a]:
            left_out[name] = "ignored, as declared"
        elif undefined is not None:
            left_out[name] = undefined.reason
        elif support < least:
            of = levels[0].scarce[a]
            whose = "" if of is None else f" for class {of!r}"
            left_out[name] = f"{support} rows that count{whose}, fewer than policy.min_support ({least})"
        kept[a] = name not in left_out
    return kept


def quantities(of: Sequence[Network], recalibrated: Sequence[Network] | None, frame: Frame) -> dict[Key, Series]:
    """All series of one method; the primary one among them."""
    found: dict[Key, Series] = {}
    primary = frame.spec.primary.metric
    asked = dict.fromkeys((primary, *frame.spec.metrics, *CALIBRATION))
    for name in asked:
        own = (frame.class_name,) if name == primary else ()
        for class_name in dict.fromkeys((*own, *_summaries(name, frame.task))):
            found["overall", name, class_name, "", False] = _overall(of, name, class_name, frame)
    if frame.groups is not None:
        found |= _by_group([one.levels(primary, frame.class_name, frame.groups) for one in of], frame)
    found["worst_class", "recall", None, "", False] = worst(
        "worst_class", [one.recalls for one in of], frame.classes, "higher", frame.halves
    )
    for name in CALIBRATION if recalibrated is not None else ():
        found["overall", name, None, "", True] = _overall(recalibrated or (), name, None, frame)
    return found


def primary_key(frame: Frame) -> Key:
    """Where the primary quantity stands among the `quantities`."""
    primary = frame.spec.primary
    if primary.quantity == "worst_class":
        return "worst_class", "recall", None, "", False
    return primary.quantity, primary.metric, frame.class_name, "", False


def primary_series(of: Sequence[Network], frame: Frame) -> Series:
    """The primary quantity alone."""
    metric = frame.spec.primary.metric
    if frame.spec.primary.quantity == "worst_class":
        return worst("worst_class", [one.recalls for one in of], frame.classes, "higher", frame.halves)
    if frame.groups is None or frame.spec.primary.quantity == "overall":
        return _overall(of, metric, frame.class_name, frame)
    levels = [one.levels(metric, frame.class_name, frame.groups) for one in of]
    if frame.spec.primary.quantity == "gap":
        return gap(levels, frame.used, frame.halves)
    return worst("worst_group", levels, frame.used, METRICS[metric].better, frame.halves)


def _overall(of: Sequence[Network], metric: str, class_name: str | None, frame: Frame) -> Series:
    return single("overall", [one.levels(metric, class_name, frame.everything) for one in of], 0)


def _by_group(levels: Sequence[Levels], frame: Frame) -> dict[Key, Series]:
    metric, class_name = frame.spec.primary.metric, frame.class_name
    found: dict[Key, Series] = {}
    for a, where in enumerate(levels[0].slices):
        found["group", metric, class_name, str(where), False] = single("group", levels, a)
    better = METRICS[metric].better
    found["worst_group", metric, class_name, "", False] = worst("worst_group", levels, frame.used, better, frame.halves)
    found["gap", metric, class_name, "", False] = gap(levels, frame.used, frame.halves)
    return found


def _summaries(metric: str, task: Task) -> tuple[str | None, ...]:
    """The classes that stand for a metric: its mean over classes, the positive one, or each where there is no mean."""
    one = METRICS[metric]
    if not one.per_class or (one.macro and task.kind == "multiclass"):
        return (None,)
    return tuple(task.labels[k] for k in task.scored_classes)
