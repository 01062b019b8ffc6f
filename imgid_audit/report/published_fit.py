"""How it was trained, as it may be published: no number of a group is left where small cells are hidden."""

from __future__ import annotations

from dataclasses import replace

from imgid_audit.core.comparison import MethodChange
from imgid_audit.core.fit import Curves, Fit, GeneralisationGap, Search, SearchTrial, SliceCurve
from imgid_audit.core.result import Privacy, Undefined
from imgid_audit.core.slices import TOTAL


def publishable_fit(found: Fit, hiding: Privacy) -> Fit:
    """The fit without any number of a group, and of all rows only what no small count can be read from.

    Of the curves losses, rates and the accuracy of all rows stay; the accuracy goes too where at some epoch fewer than
    `min_cell` rows, but some, were right or wrong, or where the numbers of all rows are hidden. Of the gaps that of
    all rows stays by the same rule. A search keeps its space, settings and choice, and the verdict on it; its values
    are of groups or of changed rows. Studies compare networks by few rows that changed: they go whole. What stays is
    made anew: a field that comes later is left out until it is known to be harmless.
    """
    least = hiding.min_cell if "" not in hiding.suppressed else None
    return Fit(
        curves=None if found.curves is None else _curves(found.curves, least),
        gaps=tuple(one for one in found.gaps if one.slice == TOTAL and least is not None and _gap_is_safe(one, least)),
        search=None if found.search is None else publishable_search(found.search, hiding),
        studies=(),
    )


def fit_reason(hiding: Privacy) -> str:
    """Why training has no numbers by group."""
    return (
        "Of the training, numbers by group, values of a search and studies are never published where cells below "
        f"{hiding.min_cell} rows are hidden; the run's own fit.json, which is not for publication, has them."
    )


def _small(share: float | None, rows: int, least: int) -> bool:
    """Whether a share of `rows` tells of a count of 1 to `least` - 1 rows, right or wrong."""
    if share is None:
        return False
    right = round(share * rows)
    return 0 < right < least or 0 < rows - right < least


def _curves(of: Curves, least: int | None) -> Curves:
    total = next((one for one in of.slices if one.slice == TOTAL), None)
    kept = total is not None and least is not None and not _tells(total, least)
    return Curves(
        of.train_loss, of.val_loss, of.lr, of.best_epoch, of.criterion, of.ended,
        (SliceCurve(TOTAL, total.train, total.val, total.train_rows, total.val_rows),) if total and kept else (),
        of.best_frozen, of.best_averaged,
    )  # fmt: skip


def _tells(of: SliceCurve, least: int) -> bool:
    sides = ((of.train, of.train_rows), (of.val, of.val_rows))
    return any(_small(share, rows, least) for shares, rows in sides for share in shares)


def _gap_is_safe(of: GeneralisationGap, least: int) -> bool:
    sides = ((of.train, of.train_n), (of.val, of.val_n))
    return not any(_small(share, n, least) for share, n in sides if not isinstance(share, Undefined))


def publishable_search(of: Search, hiding: Privacy) -> Search:
    """A search with its space, settings and choice, and the verdict on it, without any value."""
    gone = Undefined("suppressed", fit_reason(hiding))
    return Search(
        sampler=of.sampler,
        pruner=of.pruner,
        objective=of.objective,
        better=of.better,
        criterion=of.criterion,
        space=of.space,
        asked=of.asked,
        trials=tuple(SearchTrial(t.number, t.parameters, t.state, None, t.epochs) for t in of.trials),
        chosen=of.chosen,
        ended=of.ended,
        minutes=of.minutes,
        seeds=of.seeds,
        changes=() if of.judged is None else (_change(of.judged, of.objective.class_name, gone),),
        level=of.level,
    )


def _change(one: MethodChange, class_name: str | None, gone: Undefined) -> MethodChange:
    """Its verdict alone; of the class what was asked for, for which one is worst is a finding about test rows."""
    # a change that had no value was not judged, and does not look as if it had been
    verdict = None if isinstance(one.value, Undefined) else one.verdict
    made = MethodChange(one.method, one.quantity, one.metric, class_name, TOTAL, gone, None, gone, gone)
    return replace(made, verdict=verdict)
