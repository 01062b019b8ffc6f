"""What was audited, as facts for the first page: model, data, counts, operating point, date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgid_audit.core.predictions import OperatingPoint
from imgid_audit.report import numbers
from imgid_audit.report.blocks import Fact
from imgid_audit.report.compared import wording
from imgid_audit.report.facts import Facts
from imgid_audit.report.trained.wording import choice, glance


def facts(of: Facts) -> tuple[Fact, ...]:
    """The facts in the order of the first page."""
    task = of.result.evaluation.task
    what = (
        f"positive class “{task.positive}”" if task.positive else numbers.plural(len(task.labels), "class", "classes")
    )
    return (
        *_model(of),
        *_trained(of),
        Fact("Task", f"{task.kind}, {what}"),
        *_table(of),
        Fact("Rows", _rows(of)),
        Fact("Evaluated", _evaluated(of)),
        *_operating_point(of),
        *_compared(of),
        Fact("Date of the report", numbers.date_time(of.epoch)),
    )


def hashes(provenance: Mapping[str, Any]) -> Mapping[str, str]:
    """Hashes of provenance by what they are of; those that are absent are left out."""
    found = provenance.get("hashes") or {}
    return {str(key): str(value) for key, value in found.items() if value}


def _model(of: Facts) -> list[Fact]:
    settings = of.result.settings
    digests = hashes(of.result.provenance)
    model = settings.get("model")
    if not model:
        table = (settings.get("predictions") or {}).get("table")
        source = f"predictions brought in the table {table}" if table else "predictions brought as a table"
        told = [Fact("Model", f"not seen: {source}")]
        return told + [Fact("Predictions SHA-256", digest, code=True) for digest in _some(digests, "predictions")]
    weights = model.get("weights")
    fit = of.result.fit
    chosen = {} if fit is None or fit.search is None else choice(fit.search) or {}
    architecture = chosen.get("architecture", model.get("architecture", "not named"))
    how = f"weights from {weights}, audited as they are" if weights else "trained in this run"
    told = [Fact("Model", f"{architecture}, {how}")]
    return told + [Fact("Weights SHA-256", digest, code=True) for digest in _some(digests, "weights")]


def _some(digests: Mapping[str, str], key: str) -> tuple[str, ...]:
    return (digests[key],) if key in digests else ()


def _table(of: Facts) -> list[Fact]:
    data = of.result.settings.get("data") or {}
    manifest = data.get("manifest")
    return [Fact("Data", str(manifest))] if manifest else []


def _rows(of: Facts) -> str:
    data = of.result.data
    subjects = "" if data.subjects is None else f", of {numbers.plural(data.subjects, 'subject')}"
    return (
        f"{numbers.count(data.rows)} in the table{subjects}: {numbers.count(data.predicted)} predicted, "
        f"{numbers.count(data.failed)} failed, {numbers.count(data.excluded)} excluded"
    )


def _evaluated(of: Facts) -> str:
    if of.evaluated is None:
        return "rows of the test split, their number hidden"
    return f"{numbers.plural(of.evaluated, 'row')} of the test split"


def _operating_point(of: Facts) -> list[Fact]:
    evaluation = of.result.evaluation
    if evaluation.operating_point is None and evaluation.costs is None:
        return []
    return [Fact("Operating point", operating_point(of))]


def _trained(of: Facts) -> list[Fact]:
    """Who chose the settings, where a search did."""
    fit = of.result.fit
    return [] if fit is None or fit.search is None else [Fact("Training", glance(fit.search))]


def _compared(of: Facts) -> list[Fact]:
    found = of.result.comparison
    return [] if found is None else [Fact("Mitigations compared", wording.glance(found))]


def operating_point(of: Facts) -> str:
    """The decision rule in one sentence."""
    evaluation = of.result.evaluation
    point, costs, task = evaluation.operating_point, evaluation.costs, evaluation.task
    if costs is not None:
        threshold = costs.threshold(task)
        same = "" if threshold is None else f", the same as a threshold of {numbers.decimal(threshold, 4)}"
        of_what = "" if threshold is None else f" on the score of “{task.positive}”"
        return f"the class of least expected cost{same}{of_what}"
    if point is None:
        return "the class with the highest score, or the class that the table says"
    found = "as given" if point.source == "given" else f"found on the {point.source} split for {point.criterion}"
    told = [] if point.achieved is None else [f"reached there: {reached(point, point.achieved)}"]
    if point.low is not None and point.high is not None:
        told.append(f"were that split drawn again: {threshold_interval(point)}")
    aside = f" ({'; '.join(told)})" if told else ""
    return f"positive where the score is {numbers.at_least(point.threshold)}, {found}{aside}"


def reached(point: OperatingPoint, value: float) -> str:
    """A value of the criterion: rates as percentages, F1 and Youden's index as plain numbers."""
    return numbers.decimal(value) if point.criterion.startswith("max ") else numbers.percent(value)


def threshold_interval(point: OperatingPoint) -> str:
    """``0.4132 to 0.5510 (95 %)``; the point must have an interval."""
    assert point.low is not None
    assert point.high is not None
    assert point.level is not None
    ends = f"{numbers.decimal(point.low, 4)} to {numbers.decimal(point.high, 4)}"
    return f"{ends} ({numbers.level(point.level)})"
