"""The CSV tables of how it was trained: curves, gaps, trials of a search, steps of studies; rows as dictionaries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from imgid_audit.core.fit import Curves, Fit, Search, Study
from imgid_audit.core.slices import TOTAL
from imgid_audit.export.comparison_json import change_values, estimate_values
from imgid_audit.export.fit_json import gap_values, step_values

Rows = list[dict[str, Any]]

CURVES = (
    *("epoch", "slice", "train_accuracy", "val_accuracy", "train_rows", "val_rows", "train_loss", "val_loss"),
    *("learning_rate", "kept"),
)
GENERALISATION = (
    *("slice", "value", "undefined", "reason", "low", "high", "level", "interval_method", "train", "val"),
    *("train_low", "train_high", "val_low", "val_high", "train_n", "val_n", "train_subjects", "val_subjects"),
)
TRIALS = ("trial", "state", "value", "criterion", "epochs", "reason", "chosen", "parameters")
SEARCH = (
    *("method", "quantity", "metric", "class", "slice", "value", "undefined", "reason", "low", "high", "level"),
    *("interval_method", "before", "after", "p_value", "p_adjusted", "verdict", "seed_error", "test_error"),
)
STUDIES = (
    *("study", "what", "variant", "before", "after", "seed", "quantity", "slice", "value", "undefined", "reason"),
    *("low", "high", "level", "interval_method", "answer", "weights", "train_rows", "parameters", "status"),
)


def fit_tables(fit: Fit) -> dict[str, tuple[Sequence[str], Rows]]:
    """Columns and rows by file name; a part that was not made has no file."""
    made: dict[str, tuple[Sequence[str], Rows]] = {}
    if fit.curves is not None:
        made["training_curves.csv"] = (CURVES, _curves(fit.curves))
    if fit.gaps:
        made["generalisation.csv"] = (GENERALISATION, [_gap(gap_values(one)) for one in fit.gaps])
    if fit.search is not None:
        made["search_trials.csv"] = (TRIALS, _trials(fit.search))
        if fit.search.changes:
            rows = [change_values(one) for one in fit.search.changes]
            made["search_changes.csv"] = (SEARCH, rows)
    if fit.studies:
        made["studies.csv"] = (STUDIES, [row for study in fit.studies for row in _study(study)])
    return made


def _curves(of: Curves) -> Rows:
    """A row an epoch and slice; losses and rate stand beside the accuracy of all rows."""
    epochs = range(1, len(of.train_loss) + 1)
    losses: list[dict[str, Any]] = [
        {"train_loss": train, "val_loss": val, "learning_rate": lr}
        for train, val, lr in zip(of.train_loss, of.val_loss, of.lr, strict=True)
    ]
    nothing = dict.fromkeys(CURVES)
    found = [] if any(one.slice == TOTAL for one in of.slices) else [
        {**nothing, "epoch": epoch, "kept": epoch == of.best_epoch, **losses[epoch - 1]} for epoch in epochs
    ]  # fmt: skip
    for one in of.slices:
        sides = zip(epochs, one.train, one.val, strict=True)
        found += [
            {
                **nothing, "epoch": epoch, "kept": epoch == of.best_epoch, "slice": one.slice.key,
                "train_accuracy": train, "val_accuracy": val, "train_rows": one.train_rows, "val_rows": one.val_rows,
                **(losses[epoch - 1] if one.slice == TOTAL else {}),
            }
            for epoch, train, val in sides
        ]  # fmt: skip
    return found


def _gap(found: dict[str, Any]) -> dict[str, Any]:
    ends = {
        f"{side}_{end}": (found[f"{side}_interval"] or {}).get(end)
        for side in ("train", "val")
        for end in ("low", "high")
    }
    return {**found, **ends}


def _trials(of: Search) -> Rows:
    return [
        {
            "trial": trial.number, "state": trial.state, "value": trial.value, "criterion": of.criterion,
            "epochs": trial.epochs, "reason": trial.reason, "chosen": trial.number == of.chosen,
            "parameters": dict(trial.parameters),
        }
        for trial in of.trials
    ]  # fmt: skip


def _study(of: Study) -> Rows:
    """Its variants, then its estimates, then its steps."""
    nothing = {**dict.fromkeys(STUDIES), "study": of.kind}
    variants = [
        {
            **nothing, "what": "variant", "variant": one.name, "weights": one.weights, "train_rows": one.train_rows,
            "parameters": dict(one.parameters), "status": one.status, "reason": one.reason,
        }
        for one in of.variants
    ]  # fmt: skip
    return [
        *variants,
        *(_shown(nothing, estimate_values(one), "estimate", variant=one.method) for one in of.estimates),
        *(_shown(nothing, step_values(one), "step") for one in of.steps),
    ]


def _shown(nothing: dict[str, Any], found: dict[str, Any], what: str, **more: Any) -> dict[str, Any]:
    known = {name: value for name, value in found.items() if name in STUDIES}
    return {**nothing, **known, **more, "what": what}
