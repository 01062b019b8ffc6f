"""fit.json: how the audited network was trained and whether it fits. Its schema is ``fit.schema.json`` beside this.

Of `value` and `undefined` exactly one is null, here as in audit.json. The file is private.

Format version 1: the first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from imgid_audit.core.fit import (
    Curves,
    Fit,
    Flattening,
    GeneralisationGap,
    Search,
    SearchTrial,
    SliceCurve,
    Step,
    Study,
    Variant,
)
from imgid_audit.export.audit_json import plain
from imgid_audit.export.comparison_json import (
    change_values,
    defined_values,
    estimate_values,
    interval_values,
    primary_values,
    side_values,
)
from imgid_audit.export.fit_reader import FORMAT_VERSION, read_fit

__all__ = ["encode_fit", "fit_document", "fit_schema", "gap_values", "read_fit", "step_values"]


def encode_fit(fit: Fit) -> bytes:
    """The fit as UTF-8 JSON with a line feed at the end. Raises ValueError for a NaN or an infinity."""
    text = json.dumps(fit_document(fit), indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", "replace")


def fit_schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of fit.json."""
    text = files("imgid_audit.export").joinpath("fit.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def fit_document(fit: Fit) -> dict[str, Any]:
    """The fit as JSON values."""
    return {
        "format_version": FORMAT_VERSION,
        "curves": None if fit.curves is None else _curves(fit.curves),
        "gaps": [gap_values(one) for one in fit.gaps],
        "search": None if fit.search is None else _search(fit.search),
        "studies": [_study(one) for one in fit.studies],
        "hashes": plain(fit.hashes),
    }


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _numbers(values: tuple[float | None, ...]) -> list[float | None]:
    return [_number(value) for value in values]


def _settings(found: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters in their own order, which is the order that they are shown in."""
    return {str(key): plain(value) for key, value in found.items()}


def _curves(of: Curves) -> dict[str, Any]:
    return {
        "train_loss": _numbers(of.train_loss),
        "val_loss": _numbers(of.val_loss),
        "lr": _numbers(of.lr),
        "best_epoch": int(of.best_epoch),
        "criterion": of.criterion,
        "ended": of.ended,
        "slices": [_slice(one) for one in of.slices],
        "best_frozen": bool(of.best_frozen),
        "best_averaged": of.best_averaged,
    }


def _slice(of: SliceCurve) -> dict[str, Any]:
    return {
        "slice": of.slice.key,
        "train": _numbers(of.train),
        "val": _numbers(of.val),
        "train_rows": int(of.train_rows),
        "val_rows": int(of.val_rows),
    }


def gap_values(of: GeneralisationGap) -> dict[str, Any]:
    """A generalisation gap as JSON values, as fit.json and the CSV table have it."""
    return {
        "slice": of.slice.key,
        **defined_values(of.value),
        **interval_values(of.interval),
        **side_values("train", of.train),
        **side_values("val", of.val),
        "train_n": int(of.train_n),
        "val_n": int(of.val_n),
        "train_subjects": None if of.train_subjects is None else int(of.train_subjects),
        "val_subjects": None if of.val_subjects is None else int(of.val_subjects),
        "train_interval": None if of.train_interval is None else interval_values(of.train_interval),
        "val_interval": None if of.val_interval is None else interval_values(of.val_interval),
    }


def _search(of: Search) -> dict[str, Any]:
    return {
        "sampler": of.sampler,
        "pruner": of.pruner,
        "objective": primary_values(of.objective),
        "better": of.better,
        "criterion": of.criterion,
        "space": {str(name): said for name, said in of.space.items()},
        "asked": int(of.asked),
        "trials": [_trial(one) for one in of.trials],
        "chosen": of.chosen,
        "ended": of.ended,
        "minutes": _number(of.minutes),
        "importance": [{"parameter": name, "share": float(share)} for name, share in of.importance],
        "seeds": list(of.seeds),
        "val": {str(name): _numbers(values) for name, values in of.val.items()},
        "estimates": [estimate_values(one) for one in of.estimates],
        "changes": [change_values(one) for one in of.changes],
        "level": float(of.level),
        "notes": list(of.notes),
    }


def _trial(of: SearchTrial) -> dict[str, Any]:
    return {
        "number": int(of.number),
        "parameters": _settings(of.parameters),
        "state": of.state,
        "value": _number(of.value),
        "epochs": int(of.epochs),
        "reason": of.reason or None,
    }


def _study(of: Study) -> dict[str, Any]:
    return {
        "kind": of.kind,
        "across": list(of.across),
        "tolerance": float(of.tolerance),
        "level": float(of.level),
        "seeds": list(of.seeds),
        "variants": [_variant(one) for one in of.variants],
        "estimates": [estimate_values(one) for one in of.estimates],
        "steps": [step_values(one) for one in of.steps],
        "rows": int(of.rows),
        "enough": of.enough,
        "flattening": [_flattening(one) for one in of.flattening],
        "conclusion": list(of.conclusion),
        "notes": list(of.notes),
    }


def _variant(of: Variant) -> dict[str, Any]:
    return {
        "name": of.name,
        "parameters": _settings(of.parameters),
        "weights": int(of.weights),
        "train_rows": int(of.train_rows),
        "group_rows": {str(level): int(rows) for level, rows in of.group_rows.items()},
        "train": _numbers(of.train),
        "images_seen": int(of.images_seen),
        "status": of.status,
        "reason": of.reason or None,
    }


def step_values(of: Step) -> dict[str, Any]:
    """A step of a study as JSON values, as fit.json and the CSV table have it."""
    return {
        "before": of.before,
        "after": of.after,
        "quantity": of.quantity,
        "slice": of.slice.key,
        **defined_values(of.value),
        **interval_values(of.interval),
        "answer": of.answer,
    }


def _flattening(of: Flattening) -> dict[str, Any]:
    at = None if of.at is None else int(of.at)
    return {"slice": of.slice.key, "rows": int(of.rows), "at": at, "last": of.last}
