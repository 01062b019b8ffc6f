"""The CSV tables: every estimate, gap, verdict, finding, row count and mitigation, in full precision.

Texts that a spreadsheet would take for a formula are neutralised; numbers stay numbers.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from imgid_audit.core.comparison import Comparison
from imgid_audit.core.fit import Fit
from imgid_audit.core.result import AuditResult
from imgid_audit.export.audit_json import document, plain
from imgid_audit.export.comparison_json import change_values
from imgid_audit.export.fit_tables import fit_tables
from imgid_audit.export.formats import Files, Format
from imgid_audit.io.csvsafe import neutralise
from imgid_audit.report import Report

Cell = str | float | int | None

ESTIMATES = (
    *("metric", "class", "breakdown", "group", "slice", "value", "undefined", "reason"),
    *("low", "high", "level", "method", "n", "support", "subjects"),
)
GAPS = (
    *("metric", "class", "attribute", "kind", "value", "undefined", "reason", "low", "high", "level", "method"),
    *("best", "worst", "p_value", "p_adjusted", "envelope_mean", "envelope_upper"),
)
CONTRASTS = (
    *("metric", "class", "attribute", "slice", "against", "reference", "kind", "value", "undefined", "reason"),
    *("low", "high", "level", "method"),
)
VERDICTS = (
    *("rule", "status", "reason", "observed", "low", "high", "tolerance", "worst", "subjects_needed"),
    *("waiver", "method"),
)
FINDINGS = ("code", "title", "status", "severity", "reason", "evidence", "inconclusive")
MITIGATIONS = (
    *("method", "quantity", "metric", "class", "slice", "value", "undefined", "reason", "low", "high", "level"),
    *("interval_method", "before", "after", "p_value", "p_adjusted", "verdict", "levelling_down"),
    *("seed_error", "test_error", "recalibrated", "selected", "status"),
)
ACCOUNT = ("what", "name", "level", "rows")


def tables(result: AuditResult) -> dict[str, bytes]:
    """The tables by path; a slice is JSON, ``{"sex": "F"}``, and an empty cell is a number that is not there."""
    found = document(result)
    evaluation = result.evaluation
    slices = [e.slice for e in evaluation.estimates]
    estimates = [
        {**row, "breakdown": "*".join(of.attributes), "group": " * ".join(of.levels)}
        for row, of in zip(found["estimates"], slices, strict=True)
    ]
    return {
        "tables/estimates.csv": _table(ESTIMATES, estimates),
        "tables/gaps.csv": _table(GAPS, [_with_envelope(row) for row in found["gaps"]]),
        "tables/contrasts.csv": _table(CONTRASTS, found["contrasts"]),
        "tables/verdicts.csv": _table(VERDICTS, found["verdicts"]),
        "tables/findings.csv": _table(FINDINGS, found["findings"]),
        "tables/account.csv": _table(ACCOUNT, _account(result)),
        **({} if result.comparison is None else {"tables/mitigations.csv": _mitigations(result.comparison)}),
        **({} if result.fit is None else _fit(result.fit)),
    }


def _fit(found: Fit) -> dict[str, bytes]:
    return {f"tables/{name}": _table(columns, rows) for name, (columns, rows) in fit_tables(found).items()}


def _mitigations(found: Comparison) -> bytes:
    """Every change against the baseline; a method that was not run has a row that says why."""
    ran = [{**change_values(one), "status": "ran"} for one in found.changes]
    nothing = dict.fromkeys(MITIGATIONS)
    lost = [
        {**nothing, "method": record.name, "reason": record.reason, "status": record.status}
        for record in found.records
        if record.status == "not_run"
    ]
    return _table(MITIGATIONS, [*ran, *lost])


def _with_envelope(gap: dict[str, Any]) -> dict[str, Any]:
    noise = gap["envelope"] or {"mean": None, "upper": None}
    return {**gap, "envelope_mean": noise["mean"], "envelope_upper": noise["upper"]}


def _account(result: AuditResult) -> list[dict[str, Cell]]:
    data = result.data
    counts: list[tuple[str, str, str, int]] = [
        *(("status", status, "", getattr(data, status)) for status in ("rows", "predicted", "failed", "excluded")),
        *(("split", name, "", n) for name, n in data.splits.items()),
        *(("label", name, "", n) for name, n in data.labels.items()),
        *(("attribute", name, level, n) for name, levels in data.attributes.items() for level, n in levels.items()),
        *(("reason", reason, "", n) for reason, n in data.reasons.items()),
    ]
    return [dict(zip(ACCOUNT, row, strict=True)) for row in counts]


def _table(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Cell:
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        return neutralise(value)
    return neutralise(json.dumps(plain(value), ensure_ascii=False)) if value else ""


def _files(result: AuditResult, _report: Report) -> Files:
    return tables(result)


FORMAT = Format("csv", "Estimates, gaps, verdicts, findings and counts as tables/*.csv.", _files)
