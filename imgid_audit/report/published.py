"""The result as it may be published: what `Privacy` hides is gone from it, not merely left out of a page.

Everything that is published (HTML, PDF, CSV, JUnit, the terminal) is made of what `publishable` returns, so a
section or a format need not know what is private.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from imgid_audit.checks import CHECKS
from imgid_audit.core.result import (
    AuditResult,
    DataAccount,
    Estimate,
    Evaluation,
    Finding,
    Gap,
    Privacy,
    Recalibration,
    Undefined,
    Verdict,
)
from imgid_audit.core.slices import Slice
from imgid_audit.report import words
from imgid_audit.report.facts import rules_by_id
from imgid_audit.report.published_comparison import comparison_reason, publishable_comparison
from imgid_audit.report.published_fit import fit_reason, publishable_fit

MOST_SLICES = 400
"""Slices of a hidden intersection that are listed as hidden; of a larger one none is."""


def publishable(result: AuditResult) -> AuditResult:
    """The result without what its `privacy` hides; the result itself where nothing is, or all has been, hidden.

    Statuses of verdicts and findings stay. A hidden intersection is listed over all combinations of
    its levels: which of them occur is itself a count.
    """
    hiding = result.privacy
    if hiding is None or hiding.applied:
        return result
    return replace(
        result,
        data=_account(result.data, hiding),
        evaluation=_evaluation(result, hiding),
        findings=tuple(_finding(finding, hiding) for finding in result.findings),
        notes=(*result.notes, notice(hiding), *_of_comparison(result, hiding), *_of_fit(result, hiding)),
        provenance=_provenance(result.provenance),
        privacy=replace(hiding, applied=True),
        comparison=None if result.comparison is None else publishable_comparison(result.comparison, hiding),
        fit=None if result.fit is None else publishable_fit(result.fit, hiding),
    )


def _of_comparison(result: AuditResult, hiding: Privacy) -> tuple[str, ...]:
    return () if result.comparison is None else (comparison_reason(hiding),)


def _of_fit(result: AuditResult, hiding: Privacy) -> tuple[str, ...]:
    return () if result.fit is None else (fit_reason(hiding),)


def notice(hiding: Privacy) -> str:
    """What a reader must know on the first page: what is hidden, and why."""
    least = f"no cell (true or false positives or negatives) of 1 to {hiding.min_cell - 1} rows"
    if not hiding.suppressed:
        said = f"Every breakdown is shown: {least} can be read or computed from it."
    elif "" in hiding.suppressed:
        said = f"All numbers are hidden, those of all rows together too, so that {least} can be read or computed."
    else:
        names = ", ".join(words.breakdown(name) for name in hiding.suppressed)
        said = f"The numbers of {names} are hidden, so that {least} can be read or computed, also not by subtraction."
    if hiding.confusion and "" not in hiding.suppressed:
        said += " So is the confusion matrix."
    curves = [name for name in hiding.curves if name not in hiding.suppressed]
    if curves:
        shown = ", ".join(words.breakdown(name) or "all rows" for name in curves)
        said += f" Reliability diagrams, whose bins are finer cells, are hidden for {shown}."
    return f"{said} The run's own audit.json, which is not for publication, has them."


def reason(hiding: Privacy) -> str:
    """Why a number is not there."""
    return f"hidden to protect groups with cells below {hiding.min_cell} rows"


def drop_reason(hiding: Privacy) -> str:
    """Why a rule that compares with an earlier run has no numbers, over all rows too."""
    return f"hidden: a change since another run is never published where cells below {hiding.min_cell} rows are hidden"


def _name(of: Slice) -> str:
    return "*".join(of.attributes)


def _hidden(hiding: Privacy) -> Undefined:
    return Undefined("suppressed", reason(hiding))


def _evaluation(result: AuditResult, hiding: Privacy) -> Evaluation:
    found = result.evaluation
    gone = frozenset(hiding.suppressed)
    curves = gone | frozenset(hiding.curves)
    drops = {rule for rule, asked in rules_by_id(result).items() if words.rule_kind(asked) == "max_drop"}
    return replace(
        found,
        estimates=_estimates(result, hiding),
        gaps=tuple(_gap(gap, hiding) if gap.attribute in gone else gap for gap in found.gaps),
        verdicts=tuple(
            _verdict(one, hiding, drop=one.rule in drops) if one.rule in hiding.rules else one for one in found.verdicts
        ),
        confusion=np.zeros((0, 0), dtype=np.int64) if hiding.confusion else found.confusion,
        reliability=tuple(curve for curve in found.reliability if _name(curve.slice) not in curves),
        calibration=_recalibration(found.calibration, gone),
        contrasts=tuple(one for one in found.contrasts if one.attribute not in gone),
        beside=tuple(one for one in found.beside if _name(one.slice) not in gone),
        # rates at the ends of the threshold's interval are counts of score bands, which are finer cells
        at_threshold=tuple(
            replace(one, sensitivity_at=None, specificity_at=None)
            for one in found.at_threshold
            if _name(one.slice) not in gone
        ),
    )


def _recalibration(found: Recalibration | None, gone: frozenset[str]) -> Recalibration | None:
    if found is None:
        return None
    before, after = (tuple(one for one in part if _name(one.slice) not in gone) for part in (found.before, found.after))
    return replace(found, before=before, after=after)


def _estimates(result: AuditResult, hiding: Privacy) -> tuple[Estimate, ...]:
    """The estimates in their order; those of a hidden breakdown once for each slice that could be."""
    shown: list[Estimate] = []
    done: set[tuple[str, str | None, tuple[str, ...]]] = set()
    for one in result.evaluation.estimates:
        if _name(one.slice) not in hiding.suppressed:
            shown.append(one)
            continue
        series = (one.metric, one.class_name, one.slice.attributes)
        if series not in done:
            done.add(series)
            shown += [_estimate(one, of, hiding) for of in _slices(result.data, one.slice.attributes)]
    return tuple(shown)


def _slices(data: DataAccount, attributes: tuple[str, ...]) -> list[Slice]:
    levels = [tuple(data.attributes[name]) for name in attributes]
    if np.prod([float(len(one)) for one in levels]) > MOST_SLICES:
        return []
    return [Slice(attributes, combination) for combination in product(*levels)]


def _estimate(one: Estimate, of: Slice, hiding: Privacy) -> Estimate:
    return Estimate(one.metric, one.class_name, of, _hidden(hiding), None, None, None, None)


def _gap(gap: Gap, hiding: Privacy) -> Gap:
    return Gap(gap.metric, gap.class_name, gap.attribute, gap.kind, _hidden(hiding), None, None, None, None, None)


def _verdict(verdict: Verdict, hiding: Privacy, *, drop: bool) -> Verdict:
    """Made anew, as all that is hidden: a field that comes later is left out until it is known to be harmless."""
    said = f"the numbers are {drop_reason(hiding) if drop else reason(hiding)}"
    return Verdict(
        verdict.rule, verdict.status, said, None, None, None, verdict.tolerance, None, None, waiver=verdict.waiver
    )


TRAINING = ("best_epoch", "criterion", "ended", "epochs", "images_seen", "parameters")
"""Of how the model was trained what says nothing of a group: not the criterion's value, nor which group was worst."""


def _provenance(known: Mapping[str, Any]) -> Mapping[str, Any]:
    training = known.get("training")
    if training is None:
        return known
    return {**known, "training": {key: training[key] for key in TRAINING if key in training}}


def _account(data: DataAccount, hiding: Privacy) -> DataAccount:
    """Levels and labels count evaluated rows: they go with their breakdown. The account of all rows stays."""
    gone = hiding.suppressed
    attributes = {name: {} if name in gone else levels for name, levels in data.attributes.items()}
    if "" not in gone:
        return replace(data, attributes=attributes)
    return replace(data, attributes=attributes, labels={}, splits={})


def _finding(finding: Finding, hiding: Privacy) -> Finding:
    tells = CHECKS[finding.code].tells if finding.code in CHECKS else "pairs"
    gone = hiding.suppressed
    hidden = {
        "nothing": False,
        "labels": "" in gone,
        "attributes": any("*" not in name for name in gone),
        "slices": bool(gone),
        "pairs": True,
    }[tells]
    if not hidden or finding.status in ("not_applicable", "skipped"):
        return finding
    return replace(finding, reason=f"the details are {reason(hiding)}{_advice(finding)}", evidence={})


ADVICE = {"M002": ". To change: "}
"""Checks whose advice speaks of settings and of losses by epoch alone, which are published, and how it begins."""


def _advice(finding: Finding) -> str:
    """What a check advises, where that tells nothing of groups or rows."""
    begins = ADVICE.get(finding.code)
    _, found, said = finding.reason.partition(begins) if begins else ("", "", "")
    return f"{found}{said}"
