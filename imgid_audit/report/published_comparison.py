"""A comparison as it may be published: no number of test rows is left where small cells are hidden."""

from __future__ import annotations

from dataclasses import replace

from imgid_audit.core.comparison import Comparison, MethodChange, MethodRecord
from imgid_audit.core.result import Privacy, Undefined
from imgid_audit.core.slices import TOTAL


def publishable_comparison(found: Comparison, hiding: Privacy) -> Comparison:
    """The comparison without any number of test or val rows: what stays are words, settings and costs.

    What is hidden of the audit was decided by the audited model's cells. Every network of a comparison has cells of
    its own, and two networks differ by rows that changed, which are few: so no breakdown is known to be
    safe, all rows together included. Verdicts and levelling down stay, as the statuses of rules do. Records,
    trials and changes are made anew: a field that comes later is left out until it is known to be harmless.
    """
    gone = Undefined("suppressed", comparison_reason(hiding))
    return replace(
        found,
        rows={} if "" in hiding.suppressed else found.rows,
        records=tuple(_record(record) for record in found.records),
        estimates=(),
        changes=tuple(_change(one, gone) for one in found.changes if _declared(found, one)),
        winner=None if found.winner is None else replace(found.winner, val=None),
        left_out={},
        notes=(),
    )


def comparison_reason(hiding: Privacy) -> str:
    """Why a comparison has no numbers, over all rows too."""
    return (
        "The numbers of a comparison of mitigations are never published where cells below "
        f"{hiding.min_cell} rows are hidden; the run's own comparison.json, which is not for publication, has them."
    )


def _declared(found: Comparison, one: MethodChange) -> bool:
    """Whether a change is the one that its method is judged by."""
    primary = found.primary
    same = (one.quantity, one.metric, one.class_name) == (primary.quantity, primary.metric, primary.class_name)
    return same and one.selected == "declared" and not one.recalibrated


def _change(one: MethodChange, gone: Undefined) -> MethodChange:
    # a change that had no value was not judged, and does not look as if it had been
    verdict = None if isinstance(one.value, Undefined) else one.verdict
    return MethodChange(
        one.method, one.quantity, one.metric, one.class_name, TOTAL, gone, None, gone, gone,
        verdict=verdict, levelling_down=one.levelling_down,
    )  # fmt: skip


def _record(record: MethodRecord) -> MethodRecord:
    return MethodRecord(
        name=record.name,
        methods=record.methods,
        scope=record.scope,
        acts_on=record.acts_on,
        needs=record.needs,
        source=record.source,
        parameters=record.parameters,
        status=record.status,
        reason=record.reason,
        seeds=record.seeds,
        seconds=record.seconds,
        trials=tuple(replace(trial, val=None, average=None, test=None) for trial in record.trials),
        chosen=record.chosen,
        chosen_by_average=record.chosen_by_average,
        images_seen=record.images_seen,
        # fits on rows set aside are as large as their smallest stratum
        rows_seen=0 if record.uses_adjust else record.rows_seen,
        images_total=record.images_total,
        rows_total=0 if record.uses_adjust else record.rows_total,
        shifts_prior=record.shifts_prior,
        uses_adjust=record.uses_adjust,
    )
