"""Rules against an earlier run: the metric must not have become worse by more than a tolerance."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from imgid_audit.core.policy import EvaluationSpec, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Verdict
from imgid_audit.evaluation.breakdowns import breakdown
from imgid_audit.evaluation.changes import joined
from imgid_audit.evaluation.compared import Compared, compare
from imgid_audit.evaluation.judgements import metrics_of, verdict
from imgid_audit.evaluation.pairing import NamedRows, in_task, pair
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.measured import Measured


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """An earlier run as it was kept: its decisions, and its rows by name, or why it has none."""

    name: str
    decisions: Decisions
    rows: NamedRows | None
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """An earlier run, put beside the one that is judged.

    Row i of `before` is row i of `now` where the two are `paired`; `said` tells a reader whether, and why not.
    """

    before: Decisions
    now: Decisions
    paired: bool
    said: str


def beside(earlier: Earlier, now: Decisions, rows: NamedRows | None) -> Baseline:
    """Pair the judged run with an earlier one of the same task where both evaluated the same rows.

    `rows` are those of `now`, each by its name; None where they have none.
    """
    why = earlier.why or ("" if rows is not None else "this run keeps no row ids")
    if rows is not None and earlier.rows is not None:
        found = pair(rows, earlier.rows)
        if found.differences.none:
            # the rows are the same: what is known of them holds for both runs
            known = found.first
            before = replace(found.second, subject=known.subject, attributes=known.attributes)
            return Baseline(before, known, True, f"against baseline {earlier.name}, paired by row")
        why = "; ".join(found.differences.lines("this run", "the baseline"))
    before = in_task(earlier.decisions, now.task)
    return Baseline(before, now, False, f"against baseline {earlier.name}, not paired: {why}")


def drop_verdict(rule: Rule, baseline: Baseline | None, spec: EvaluationSpec) -> Verdict:
    """Answer a `max_drop` rule: on every level the metric has lost at most the tolerance, in its own direction."""
    if baseline is None:
        return _unanswered(rule, "there is no baseline to compare with")
    lacking = [name for name in rule.across if name not in {f.name for f in baseline.before.attributes}]
    if lacking:
        return _unanswered(rule, f"the baseline has no attribute {', '.join(map(repr, lacking))}; {baseline.said}")
    sides = [breakdown(each, rule.across) for each in (baseline.now, baseline.before)]
    parts = sides if baseline.paired else joined(*sides)
    now, before = (
        Sample(Rows(each), part, spec.intervals)
        for each, part in zip((baseline.now, baseline.before), parts, strict=True)
    )
    measured = {
        name: tuple(_drop(one, name) for one in compare(METRICS[name], before, now, paired=baseline.paired))
        for name in metrics_of(rule)
    }
    found = verdict(rule, parts[0], measured, baseline.now, spec.policy, spec.intervals)
    return replace(found, reason=f"{found.reason}; {baseline.said}")


def _drop(found: Compared, name: str) -> Measured:
    """What was lost on every slice, in the metric's own direction, as if it were a metric.

    A level that either run lacks supports nothing.
    """
    lower_is_better = METRICS[name].better == "lower"
    support = np.minimum(found.first.support, found.second.support)
    subjects = None
    if found.first.subjects is not None and found.second.subjects is not None:
        subjects = np.minimum(found.first.subjects, found.second.subjects)
    return replace(
        found.second,
        band=found.band if lower_is_better else found.band.negated(),
        undefined=found.undefined,
        support=np.where(found.defined, support, 0),
        subjects=subjects,
    )


def _unanswered(rule: Rule, reason: str) -> Verdict:
    return Verdict(rule.id, "not_evaluated", reason, None, None, None, rule.tolerance, None, None)
