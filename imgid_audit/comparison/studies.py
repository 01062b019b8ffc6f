"""Ways of training compared on the same rows: steps from one to another, what is enough, where a curve flattens. Pure.

A step has one answer a slice, in three families: all rows; the groups and the worst of them; the classes and the
worst of them. Each family holds together by itself (Bonferroni): with the chance of the level no `better`, `same` or
`worse` of it is wrong. One family for all would leave five seeds nothing to say beside ten classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from imgid_audit.comparison.compare import compare_methods, primary_left_out
from imgid_audit.comparison.runs import ComparisonSpec, MethodRuns
from imgid_audit.core.comparison import MethodChange, MethodEstimate, Primary
from imgid_audit.core.factor import Factor
from imgid_audit.core.fit import Answer, Flattening, Step
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.core.values import Interval, Undefined
from imgid_audit.stats.intervals import bonferroni

SHOWN = {("overall", "accuracy"), ("group", "accuracy"), ("worst_group", "accuracy"), ("worst_class", "recall")}
"""Quantities and metrics of a study."""

CLASS = "class"
"""The quantity of a step that is about the rows of one true class."""

TRUE_CLASS = "true class"
"""The attribute of a class's slice."""

FAMILY = {"overall": "all", "group": "groups", "worst_group": "groups", CLASS: "classes", "worst_class": "classes"}
"""By quantity: the family whose answers hold together."""

Key = tuple[str, Slice]
"""Quantity and slice of a step; the worst's slice is TOTAL here, for it differs from step to step."""

Found = Mapping[Key, Step]


@dataclass(frozen=True, slots=True)
class StudySpec:
    """What a study asks.

    - `across`: attributes whose levels are groups, () for none; `tolerance` in (0, 1): a change that counts as none
    - `intervals`: their level is that of all intervals of one family of a step together
    - `min_support`: groups and classes with fewer rows stay out of the worst
    - `classes`: every true class is a slice too
    """

    across: tuple[str, ...]
    tolerance: float
    intervals: IntervalSpec
    min_support: int
    classes: bool = False


def study_estimates(variants: Sequence[MethodRuns], spec: StudySpec) -> tuple[MethodEstimate, ...]:
    """Accuracy of all rows, groups, worst group and worst class of each variant, by seed and as the mean.

    Each interval is at the level of `spec.intervals` by itself.
    """
    found = compare_methods(variants[0], variants[1:], _asked(spec, spec.across, spec.intervals.level))
    return tuple(one for one in found.estimates if (one.quantity, one.metric) in SHOWN and not one.recalibrated)


def left_out(decisions: Decisions, spec: StudySpec) -> dict[str, dict[str, str]]:
    """Groups that stay out of the worst group, and classes out of the worst class, with the reason; by quantity.

    Of the rows that judge, which are the same for all networks.
    """
    asked = _asked(spec, spec.across, spec.intervals.level)
    classes = replace(asked, primary=Primary("recall", None, (), "worst_class"))
    groups = dict(primary_left_out(decisions, asked)) if spec.across else {}
    return {"worst_group": groups, "worst_class": dict(primary_left_out(decisions, classes))}


def steps(before: MethodRuns, after: Sequence[MethodRuns], spec: StudySpec) -> tuple[tuple[Step, ...], ...]:
    """The steps from one variant to each of `after`, paired by seed and row: all rows first, then the other slices.

    Raises ValueError for other rows or seeds.
    """
    if not after:
        return ()
    found = {spec.intervals.level: _changes(before, after, spec, spec.intervals.level)}
    levels = _levels(found[spec.intervals.level], spec.intervals.level)
    for level in set(levels.values()) - set(found):
        found[level] = _changes(before, after, spec, level)
    return tuple(
        tuple(
            _step(before.name, one.name, key[0], found[levels[FAMILY[key[0]]]][place][key], spec.tolerance)
            for key in found[spec.intervals.level][place]
        )
        for place, one in enumerate(after)
    )


def _levels(plain: Sequence[Mapping[Key, MethodChange]], level: float) -> dict[str, float]:
    """The level of every interval by family, so that as many as are defined hold together at `level`."""
    counts = [
        Counter(FAMILY[key[0]] for key, each in found.items() if not isinstance(each.value, Undefined))
        for found in plain
    ]
    return {family: bonferroni(level, max(each[family] for each in counts)) for family in FAMILY.values()}


def answer_of(interval: Interval | None, tolerance: float) -> Answer:
    """`same` where the interval is inside the tolerance, else `better` or `worse` where 0 is outside it.

    `same` comes first: a change that is shown, and shown to be within the tolerance, is one that does not matter.
    """
    if interval is None:
        return "unknown"
    if -tolerance <= interval.low and interval.high <= tolerance:
        return "same"
    return "better" if interval.low > 0 else "worse" if interval.high < 0 else "unknown"


def enough(names: Sequence[str], found: Mapping[tuple[str, str], Sequence[Step]]) -> str | None:
    """The smallest variant of a ladder than which no larger one is better for all rows, or for any slice of them.

    `names` in the ladder's order; `found`: the steps of every pair (smaller, larger). Every larger one must be
    `same` or `worse` for all rows, and `better` for no slice; None where that holds of none but the largest, or the
    data cannot tell of the first that none is better than. All larger ones have to agree, so their
    number makes the answer no likelier to be wrong.
    """
    for place, name in enumerate(names[:-1]):
        larger = [found[name, other] for other in names[place + 1 :]]
        if any(step.answer == "better" for each in larger for step in each):
            continue
        return None if any(step.answer == "unknown" for each in larger for step in each[:1]) else name
    return None


def flattening(
    names: Sequence[str],
    rows: Mapping[str, Mapping[Slice, int]],
    found: Mapping[tuple[str, str], Sequence[Step]],
) -> tuple[Flattening, ...]:
    """Where the curve of all rows, of each group and of each class stops rising along a data ladder.

    `names` in the ladder's order; `rows`: training rows of every slice of a variant; `found`: the steps of every
    pair (smaller, larger). A curve is flat from the first rung on from which every pair of rungs is `same`: small steps
    that add up are a rise. A slice that no row is of at the last rung is left out.
    """
    answers = {pair: {_key(step): step.answer for step in each} for pair, each in found.items()}
    last = names[-1]
    out = []
    for key in answers[names[-2], last]:
        where = key[1]
        if key[0] not in ("overall", "group", CLASS) or not rows[last].get(where, 0):
            continue
        flat = [_flat(names[place:], key, answers) for place in range(len(names) - 1)]
        at = next((rows[name].get(where, 0) for name, yes in zip(names, flat, strict=False) if yes), None)
        out.append(Flattening(where, rows[last][where], at, answers[names[-2], last][key]))
    return tuple(out)


def _flat(names: Sequence[str], key: Key, answers: Mapping[tuple[str, str], Mapping[Key, Answer]]) -> bool:
    pairs = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
    return all(answers[pair].get(key, "unknown") == "same" for pair in pairs)


def _key(step: Step) -> Key:
    return step.quantity, TOTAL if step.quantity.startswith("worst") else step.slice


def _changes(
    before: MethodRuns, after: Sequence[MethodRuns], spec: StudySpec, level: float
) -> list[dict[Key, MethodChange]]:
    """Every slice's change from `before` to each of `after`, intervals at `level`."""
    found: dict[str, dict[Key, MethodChange]] = {one.name: {} for one in after}
    for change in compare_methods(before, after, _asked(spec, spec.across, level)).changes:
        if (change.quantity, change.metric) in SHOWN and not change.recalibrated:
            where = TOTAL if change.quantity.startswith("worst") else change.slice
            found[change.method][change.quantity, where] = change
    if spec.classes:
        asked = _asked(spec, (TRUE_CLASS,), level)
        for change in compare_methods(_by_class(before), [_by_class(one) for one in after], asked).changes:
            if (change.quantity, change.metric) == ("group", "accuracy"):
                found[change.method][CLASS, change.slice] = change
    return [found[one.name] for one in after]


def _asked(spec: StudySpec, across: tuple[str, ...], level: float) -> ComparisonSpec:
    primary = Primary("accuracy", None, across, "worst_group" if across else "overall")
    return ComparisonSpec(primary, (), replace(spec.intervals, level=level), spec.min_support)


def _by_class(runs: MethodRuns) -> MethodRuns:
    """The same networks with the true class as an attribute."""

    def told(one: Decisions) -> Decisions:
        return replace(one, attributes=(Factor(TRUE_CLASS, one.task.labels, one.label), *one.attributes))

    return replace(runs, decisions=tuple(told(one) for one in runs.decisions))


def _step(before: str, after: str, quantity: str, change: MethodChange, tolerance: float) -> Step:
    answer, where = answer_of(change.interval, tolerance), change.slice
    if quantity == "worst_class" and change.class_name is not None:
        where = Slice((TRUE_CLASS,), (change.class_name,))
    return Step(before, after, quantity, where, change.value, change.interval, answer)
