"""Reads fit.json back into the types that it was written from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgid_audit.core.errors import InputError, Problem
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
from imgid_audit.core.values import Interval
from imgid_audit.export.comparison_reader import (
    change_of,
    estimate_of,
    interval_of,
    primary_of,
    side_of,
    slice_of,
    value_of,
)

FORMAT_VERSION = 1

AGAIN = "run the audit again to write it anew"


def read_fit(path: Path) -> Fit:
    """The fit of a run's fit.json: what was written.

    Raises InputError where the file is not one that this version reads.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refused)
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read: {error.strerror}")) from error
    except (ValueError, RecursionError) as error:
        raise InputError(Problem(str(path), f"is not JSON ({error}); {AGAIN}")) from error
    version = found.get("format_version") if isinstance(found, dict) else None
    if version != FORMAT_VERSION:
        message = f"has format_version {version!r}, this version reads {FORMAT_VERSION}; {AGAIN}"
        raise InputError(Problem(str(path), message))
    try:
        return decode_fit(found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"is not a whole fit.json ({type(error).__name__}: {error}); {AGAIN}"
        raise InputError(Problem(str(path), message)) from error


def decode_fit(found: Mapping[str, Any]) -> Fit:
    """The fit that a document was made of; KeyError, TypeError or ValueError where it is not one."""
    curves, search = found["curves"], found["search"]
    return Fit(
        curves=None if curves is None else _curves(curves),
        gaps=tuple(_gap(one) for one in _list(found["gaps"])),
        search=None if search is None else _search(search),
        studies=tuple(_study(one) for one in _list(found["studies"])),
        hashes=dict(found["hashes"]),
    )


def _refused(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _list(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise TypeError(f"a list was expected, not {found!r:.40}")
    return found


def _count(found: Any) -> int:
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        raise TypeError(f"a count was expected, not {found!r:.40}")
    return found


def _count_or_none(found: Any) -> int | None:
    return None if found is None else _count(found)


def _number(found: Any) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError(f"a number was expected, not {found!r:.40}")
    return float(found)


def _number_or_none(found: Any) -> float | None:
    return None if found is None else _number(found)


def _numbers(found: Any) -> tuple[float, ...]:
    return tuple(_number(one) for one in _list(found))


def _points(found: Any, epochs: int | None = None) -> tuple[float | None, ...]:
    """Numbers of which some are absent, one an epoch."""
    points = tuple(_number_or_none(one) for one in _list(found))
    if epochs is not None and len(points) != epochs:
        raise ValueError(f"a curve has {len(points)} points over {epochs} epochs")
    return points


def _texts(found: Any) -> tuple[str, ...]:
    if not all(isinstance(one, str) for one in _list(found)):
        raise TypeError(f"texts were expected, not {found!r:.40}")
    return tuple(found)


def _flag_or_none(found: Any) -> bool | None:
    if found is not None and not isinstance(found, bool):
        raise TypeError(f"true, false or null was expected, not {found!r:.40}")
    return found


def _one_of(found: Any, *known: str) -> Any:
    if found not in known:
        raise ValueError(f"{found!r:.40} is not one of {', '.join(known)}")
    return found


def _curves(found: Mapping[str, Any]) -> Curves:
    losses = _numbers(found["train_loss"])
    epochs, best = len(losses), _count(found["best_epoch"])
    if not 1 <= best <= epochs:
        raise ValueError(f"best_epoch is {best} of {epochs}")
    return Curves(
        train_loss=losses,
        val_loss=_points(found["val_loss"], epochs),
        lr=_numbers(found["lr"]),
        best_epoch=best,
        criterion=found["criterion"],
        ended=found["ended"],
        slices=tuple(
            SliceCurve(
                slice_of(one["slice"]),
                _points(one["train"], epochs),
                _points(one["val"], epochs),
                _count(one["train_rows"]),
                _count(one["val_rows"]),
            )
            for one in _list(found["slices"])
        ),
        best_frozen=_flag_or_none(found.get("best_frozen")) or False,  # absent in the first files
        best_averaged=_flag_or_none(found.get("best_averaged")),
    )


def _gap(found: Mapping[str, Any]) -> GeneralisationGap:
    return GeneralisationGap(
        slice=slice_of(found["slice"]),
        value=value_of(found),
        interval=interval_of(found),
        train=side_of(found, "train"),
        val=side_of(found, "val"),
        train_n=_count(found["train_n"]),
        val_n=_count(found["val_n"]),
        train_subjects=_count_or_none(found["train_subjects"]),
        val_subjects=_count_or_none(found["val_subjects"]),
        train_interval=_interval_or_none(found["train_interval"]),
        val_interval=_interval_or_none(found["val_interval"]),
    )


def _interval_or_none(found: Mapping[str, Any] | None) -> Interval | None:
    return None if found is None else interval_of(found)


def _search(found: Mapping[str, Any]) -> Search:
    trials = tuple(_trial(one) for one in _list(found["trials"]))
    chosen = _count_or_none(found["chosen"])
    if chosen is not None and chosen not in {trial.number for trial in trials}:
        raise ValueError(f"trial {chosen} was chosen and is not there")
    return Search(
        **{key: found[key] for key in ("sampler", "pruner", "criterion", "ended")},
        objective=primary_of(found["objective"]),
        better=_one_of(found["better"], "higher", "lower"),
        space=dict(found["space"]),
        asked=_count(found["asked"]),
        trials=trials,
        chosen=chosen,
        minutes=_number_or_none(found["minutes"]),
        importance=tuple((one["parameter"], _number(one["share"])) for one in _list(found["importance"])),
        seeds=tuple(_count(seed) for seed in _list(found["seeds"])),
        val={name: _points(values) for name, values in found["val"].items()},
        estimates=tuple(estimate_of(one) for one in _list(found["estimates"])),
        changes=tuple(change_of(one) for one in _list(found["changes"])),
        level=_number(found["level"]),
        notes=_texts(found["notes"]),
    )


def _trial(found: Mapping[str, Any]) -> SearchTrial:
    return SearchTrial(
        number=_count(found["number"]),
        parameters=dict(found["parameters"]),
        state=_one_of(found["state"], "complete", "pruned", "failed"),
        value=_number_or_none(found["value"]),
        epochs=_count(found["epochs"]),
        reason=found["reason"] or "",
    )


def _study(found: Mapping[str, Any]) -> Study:
    return Study(
        kind=_one_of(found["kind"], "ladder", "data_ladder", "augment_effect"),
        across=_texts(found["across"]),
        tolerance=_number(found["tolerance"]),
        level=_number(found["level"]),
        seeds=tuple(_count(seed) for seed in _list(found["seeds"])),
        variants=tuple(_variant(one) for one in _list(found["variants"])),
        estimates=tuple(estimate_of(one) for one in _list(found["estimates"])),
        steps=tuple(_step(one) for one in _list(found["steps"])),
        rows=_count(found["rows"]),
        enough=found["enough"],
        flattening=tuple(_flattening(one) for one in _list(found["flattening"])),
        conclusion=_texts(found["conclusion"]),
        notes=_texts(found["notes"]),
    )


def _variant(found: Mapping[str, Any]) -> Variant:
    return Variant(
        name=found["name"],
        parameters=dict(found["parameters"]),
        weights=_count(found["weights"]),
        train_rows=_count(found["train_rows"]),
        group_rows={level: _count(rows) for level, rows in found["group_rows"].items()},
        train=_points(found["train"]),
        images_seen=_count(found["images_seen"]),
        status=_one_of(found["status"], "ran", "not_run"),
        reason=found["reason"] or "",
    )


def _step(found: Mapping[str, Any]) -> Step:
    return Step(
        before=found["before"],
        after=found["after"],
        quantity=found["quantity"],
        slice=slice_of(found["slice"]),
        value=value_of(found),
        interval=interval_of(found),
        answer=_one_of(found["answer"], "better", "same", "worse", "unknown"),
    )


def _flattening(found: Mapping[str, Any]) -> Flattening:
    last = _one_of(found["last"], "better", "same", "worse", "unknown")
    return Flattening(slice_of(found["slice"]), _count(found["rows"]), _count_or_none(found["at"]), last)
