"""What the sections read: the result, indexed, and what the caller adds to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imgid_audit.core.result import AuditResult, Estimate, Gap, Undefined
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.metrics import METRICS
from imgid_audit.report import numbers, words

Series = tuple[str, str | None]
"""A metric and the class that it speaks of."""


@dataclass(frozen=True, slots=True)
class WorstImage:
    """One of the most confident errors, as a PNG with no identity.

    `png`: bytes of a picture made of pixels alone (no EXIF, no comment); `score`: what the model
    gave the label that it chose, in [0, 1]; `attributes`: the levels of the row.
    """

    png: bytes
    label: str
    predicted: str
    score: float | None
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class WorstImages:
    """The pictures of `report.worst_images`, worst first, out of `errors` wrong rows in all."""

    images: tuple[WorstImage, ...]
    errors: int


def rules_by_id(result: AuditResult) -> Mapping[str, Mapping[str, Any]]:
    """The policy's rules by the id of their verdict; a rule that the settings do not hold is left out.

    Verdicts stand in the order of the rules, so a rule whose id was left to its default is known
    by its place.
    """
    policy = result.settings.get("policy") or {}
    rules = tuple(policy.get("rules") or ())
    verdicts = result.evaluation.verdicts
    named = {str(rule["id"]): rule for rule in rules if rule.get("id") is not None}
    if len(rules) == len(verdicts):
        placed = zip(verdicts, rules, strict=True)
        named = {**{v.rule: rule for v, rule in placed if rule.get("id") is None}, **named}
    return named


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """The result with an index of its estimates, the date that the report bears, and pictures."""

    result: AuditResult
    epoch: datetime
    images: WorstImages | None
    index: Mapping[tuple[str, str | None, tuple[str, ...]], tuple[Estimate, ...]]
    rows: Mapping[Slice, int | None]
    """Evaluated rows of every slice that was estimated."""

    @staticmethod
    def of(result: AuditResult, epoch: datetime, images: WorstImages | None = None) -> Facts:
        index: dict[tuple[str, str | None, tuple[str, ...]], list[Estimate]] = defaultdict(list)
        for estimate in result.evaluation.estimates:
            index[estimate.metric, estimate.class_name, estimate.slice.attributes].append(estimate)
        rows = {e.slice: e.n for e in result.evaluation.estimates}
        return Facts(result, epoch, images, {key: tuple(found) for key, found in index.items()}, rows)

    @property
    def multiclass(self) -> bool:
        return self.result.evaluation.task.kind == "multiclass"

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that were asked for, in that order."""
        return tuple(dict.fromkeys(name for name, _, _ in self.index))

    @property
    def series(self) -> tuple[Series, ...]:
        """One series a metric: the positive class, the mean of the classes, or no class.

        A multiclass metric that has no mean over the classes has none; it is in the section by class.
        """
        return tuple(
            (name, class_name)
            for name, class_name, attributes in self.index
            if not attributes and (class_name is None or not self.multiclass)
        )

    @property
    def attributes(self) -> tuple[str, ...]:
        """Attributes whose levels were estimated, in the order of the result."""
        return tuple(dict.fromkeys(attributes[0] for _, _, attributes in self.index if len(attributes) == 1))

    @property
    def intersections(self) -> tuple[tuple[str, ...], ...]:
        """Intersections that were estimated, in the order of the result."""
        return tuple(dict.fromkeys(attributes for _, _, attributes in self.index if len(attributes) > 1))

    def estimates(self, series: Series, attributes: tuple[str, ...] = ()) -> tuple[Estimate, ...]:
        """The estimates of a series over a breakdown, in the order of the result; none if not asked for."""
        return self.index.get((*series, attributes), ())

    def total(self, series: Series) -> Estimate | None:
        """The estimate over all rows; None where it was not asked for."""
        return next(iter(self.estimates(series)), None)

    def gaps(self, attribute: str, kind: str = "difference") -> tuple[Gap, ...]:
        """Gaps over one attribute or intersection (names joined by ``*``)."""
        return tuple(g for g in self.result.evaluation.gaps if g.attribute == attribute and g.kind == kind)

    def size(self, of: Slice | None, series: Series) -> str:
        """``n = 128 that count``: rows of a group that a metric counts, as verdicts say it; '' where none is known.

        A criterion of several metrics has no such number: then ``n = 300 rows``.
        """
        if of is None:
            return ""
        counted = (words.COMPARED.get(series[0], series[0]), series[1])
        n, what = next((e.support for e in self.estimates(counted, of.attributes) if e.slice == of), None), "that count"
        if n is None:
            n, what = self.rows.get(of), "rows"
        return "" if n is None else f"n{numbers.NBSP}={numbers.NBSP}{numbers.count(n)} {what}"

    def say(self, series: Series) -> str:
        """The series in words."""
        return words.series(*series, multiclass=self.multiclass)

    @property
    def rules(self) -> Mapping[str, Mapping[str, Any]]:
        """The policy's rules by the id of their verdict, as `rules_by_id` finds them."""
        return rules_by_id(self.result)

    @property
    def unit_of_sampling(self) -> str:
        """``subject`` where intervals account for subjects, else ``image``."""
        return "image" if self.result.data.subjects is None else "subject"

    @property
    def evaluated(self) -> int | None:
        """Rows that estimates speak of; None where their number is hidden."""
        evaluation = self.result.evaluation
        return self.rows.get(TOTAL) if not evaluation.confusion.size else int(evaluation.confusion.sum())


def worst_first(estimates: tuple[Estimate, ...]) -> tuple[Estimate, ...]:
    """Defined estimates from worst to best in the metric's own direction, then the undefined in their order.

    Metrics without a direction go from low to high. Ties keep the order of the result.
    """
    defined = [e for e in estimates if not isinstance(e.value, Undefined)]
    undefined = [e for e in estimates if isinstance(e.value, Undefined)]
    name = estimates[0].metric if estimates else ""
    lower_is_better = name in METRICS and METRICS[name].better == "lower"
    return (*sorted(defined, key=lambda e: -_value(e) if lower_is_better else _value(e)), *undefined)


def _value(estimate: Estimate) -> float:
    assert not isinstance(estimate.value, Undefined)
    return estimate.value
