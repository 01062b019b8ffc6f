"""Views of a result for people who live in pandas or fairlearn. Both are imported on use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem, raise_all
from imgid_audit.core.policy import EvaluationSpec, IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import AuditResult, Evaluation, Finding, Interval, Undefined
from imgid_audit.core.slices import Slice
from imgid_audit.io.messages import did_you_mean, listed

if TYPE_CHECKING:
    import pandas as pd
    from fairlearn.metrics import MetricFrame

_NUMBERS = (
    *("value", "low", "high", "level", "p_value", "p_adjusted", "envelope_mean", "envelope_upper"),
    *("observed", "tolerance"),
)
_COUNTS = ("n", "support", "subjects")
_SLICES = ("slice", "best", "worst", "reference")

_ESTIMATES = (
    *("metric", "class", "slice", "breakdown", "group", "value", "undefined", "reason"),
    *("low", "high", "level", "method", "n", "support", "subjects"),
)
_GAPS = (
    *("metric", "class", "attribute", "kind", "value", "undefined", "reason"),
    *("low", "high", "level", "method", "best", "worst", "p_value", "p_adjusted", "envelope_mean", "envelope_upper"),
)
_CONTRASTS = (
    *("metric", "class", "attribute", "slice", "against", "reference", "kind", "value", "undefined", "reason"),
    *("low", "high", "level", "method"),
)
_VERDICTS = (
    *("rule", "status", "reason", "observed", "low", "high", "tolerance", "worst", "subjects_needed"),
    *("waiver", "method"),
)
_FINDINGS = ("code", "title", "status", "severity", "reason", "evidence")


def result_frame(result: AuditResult, table: str) -> pd.DataFrame:
    """``estimates``, ``gaps``, ``contrasts``, ``verdicts`` or ``findings`` of a result as a data frame."""
    views: dict[str, Callable[[], pd.DataFrame]] = {
        "estimates": lambda: estimates_frame(result.evaluation),
        "gaps": lambda: gaps_frame(result.evaluation),
        "contrasts": lambda: contrasts_frame(result.evaluation),
        "verdicts": lambda: verdicts_frame(result.evaluation),
        "findings": lambda: findings_frame(result.findings),
    }
    if table not in views:
        raise InputError(f"no table {table!r}: {did_you_mean(table, views)}there are {listed(views)}")
    return views[table]()


def estimates_frame(evaluation: Evaluation) -> pd.DataFrame:
    """One row an estimate. What is undefined is <NA>, with its kind and its reason beside it.

    `slice` is ``{attribute: level}`` as in audit.json; for grouping and filtering, `breakdown` is the
    attribute (or attributes joined by ``*``) and `group` the level (or levels), '' for the total.
    `level` is the confidence of `low` and `high`.
    """
    rows = [
        {
            "metric": estimate.metric,
            "class": estimate.class_name,
            "slice": estimate.slice.key,
            "breakdown": "*".join(estimate.slice.attributes),
            "group": " * ".join(estimate.slice.levels),
            **_value(estimate.value),
            **_interval(estimate.interval),
            "n": estimate.n,
            "support": estimate.support,
            "subjects": estimate.subjects,
        }
        for estimate in evaluation.estimates
    ]
    return _frame(rows, _ESTIMATES)


def gaps_frame(evaluation: Evaluation) -> pd.DataFrame:
    """One row a gap; `best` and `worst` are ``{attribute: level}``, as in audit.json."""
    rows = [
        {
            "metric": gap.metric,
            "class": gap.class_name,
            "attribute": gap.attribute,
            "kind": gap.kind,
            **_value(gap.value),
            **_interval(gap.interval),
            "best": _slice(gap.best),
            "worst": _slice(gap.worst),
            "p_value": gap.p_value,
            "p_adjusted": gap.p_adjusted,
            "envelope_mean": None if gap.envelope is None else gap.envelope.mean,
            "envelope_upper": None if gap.envelope is None else gap.envelope.upper,
        }
        for gap in evaluation.gaps
    ]
    return _frame(rows, _GAPS)


def contrasts_frame(evaluation: Evaluation) -> pd.DataFrame:
    """One row a slice compared with the best, the overall or the reference one; a limit may be infinite."""
    rows = [
        {
            "metric": one.metric,
            "class": one.class_name,
            "attribute": one.attribute,
            "slice": _slice(one.slice),
            "against": one.against,
            "reference": _slice(one.reference),
            "kind": one.kind,
            **_value(one.value),
            **_interval(one.interval),
        }
        for one in evaluation.contrasts
    ]
    return _frame(rows, _CONTRASTS)


def verdicts_frame(evaluation: Evaluation) -> pd.DataFrame:
    """One row a rule; `subjects_needed` and `waiver` are JSON objects, or <NA>."""
    rows = [
        {
            "rule": verdict.rule,
            "status": verdict.status,
            "reason": verdict.reason,
            "observed": verdict.observed,
            "low": verdict.low,
            "high": verdict.high,
            "tolerance": verdict.tolerance,
            "worst": _slice(verdict.worst),
            "subjects_needed": None if verdict.subjects_needed is None else _json(verdict.subjects_needed),
            "waiver": None if verdict.waiver is None else _json(asdict(verdict.waiver)),
            "method": verdict.method,
        }
        for verdict in evaluation.verdicts
    ]
    return _frame(rows, _VERDICTS)


def findings_frame(findings: Sequence[Finding]) -> pd.DataFrame:
    """One row a check; `evidence` is a JSON object."""
    rows = [{name: getattr(finding, name) for name in _FINDINGS} for finding in findings]
    return _frame([{**row, "evidence": _json(row["evidence"])} for row in rows], _FINDINGS)


def metric_frame(decisions: Decisions, metrics: Sequence[str], attribute: str | Sequence[str]) -> MetricFrame:
    """Registered metrics over an attribute's levels (or an intersection's) as fairlearn's MetricFrame.

    Values are those of our own estimates: of the positive class in a binary task, the macro mean in
    a multiclass one; what is undefined is NaN there, because fairlearn knows nothing else.
    """
    from fairlearn.metrics import MetricFrame
    from pandas import DataFrame

    from imgid_audit.metrics import METRICS

    wanted = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    names = (attribute,) if isinstance(attribute, str) else tuple(attribute)
    known = [factor.name for factor in decisions.attributes]
    problems = [Problem("", METRICS.unknown(name)) for name in wanted if name not in METRICS]
    problems += [
        Problem("", f"no attribute {name!r}: {did_you_mean(name, known)}there are {listed(known) or 'none'}")
        for name in names
        if name not in known
    ]
    macro = decisions.task.kind == "multiclass"
    problems += [
        Problem("", f"{name!r} has no macro mean: a multiclass task has it for each class alone")
        for name in wanted
        if macro and name in METRICS and METRICS[name].per_class and not METRICS[name].macro
    ]
    if not len(decisions):
        problems.append(Problem("", "no row was evaluated, so there is nothing to put in a frame"))
    raise_all(problems)
    labels = np.array(decisions.task.labels, dtype=object)
    rows = {"rows": np.arange(len(decisions))}
    return MetricFrame(
        metrics={name: _by_rows(decisions, name) for name in wanted},
        y_true=labels[decisions.label],
        y_pred=labels[decisions.predicted],
        sensitive_features=DataFrame({name: decisions.attribute(name).texts() for name in names}),
        sample_params=dict.fromkeys(wanted, rows),
    )


def _by_rows(decisions: Decisions, metric: str) -> Callable[..., float]:
    """The metric as fairlearn calls it; it reads the rows themselves, scores and subjects included."""
    from imgid_audit.evaluation import evaluate

    spec = EvaluationSpec(metrics=(metric,), intervals=IntervalSpec(draws=0))
    positive = decisions.task.positive

    def value(_true: Any, _predicted: Any, *, rows: NDArray[np.intp]) -> float:
        index = np.asarray(rows)
        part = replace(
            decisions,
            label=decisions.label[index],
            predicted=decisions.predicted[index],
            scores=None if decisions.scores is None else decisions.scores[index],
            subject=None,
            attributes=(),
            count=None if decisions.count is None else decisions.count[index],
        )
        found = {estimate.class_name: estimate.value for estimate in evaluate(part, spec).estimates}
        answer = found.get(None, found.get(positive))
        return float("nan") if answer is None or isinstance(answer, Undefined) else answer

    value.__name__ = metric
    return value


def _frame(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Nullable types, so that what is not there is <NA> and never a number."""
    from pandas import DataFrame

    frame = DataFrame(rows, columns=list(columns), dtype=object)
    types = dict.fromkeys(columns, "string") | dict.fromkeys(_NUMBERS, "Float64") | dict.fromkeys(_COUNTS, "Int64")
    types |= dict.fromkeys(_SLICES, "object")
    return frame.astype({name: types[name] for name in columns})


def _value(value: float | Undefined) -> dict[str, Any]:
    if isinstance(value, Undefined):
        return {"value": None, "undefined": value.kind, "reason": value.reason}
    return {"value": value, "undefined": None, "reason": None}


def _interval(interval: Interval | None) -> dict[str, Any]:
    if interval is None:
        return {"low": None, "high": None, "level": None, "method": None}
    return {"low": interval.low, "high": interval.high, "level": interval.level, "method": interval.method}


def _slice(part: Slice | None) -> dict[str, str] | None:
    return None if part is None else part.key


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), ensure_ascii=False, sort_keys=True, default=str)
