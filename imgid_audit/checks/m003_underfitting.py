"""M003: a network that has not even learnt its training rows, or was stopped while it still learnt."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field

from imgid_audit.checks.base import (
    Check,
    CheckContext,
    Outcome,
    found,
    inconclusive,
    listed,
    passed,
    percent,
    skipped,
)
from imgid_audit.checks.fitting import NOT_TRAINED, augments, label_counts, named, number, setting, shown, whole
from imgid_audit.core.fit import Curves, GeneralisationGap
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.result import Undefined
from imgid_audit.core.slices import TOTAL
from imgid_audit.io.settings import Settings


class Params(Settings):
    """How little is too little."""

    min_skill: float = Field(
        0.5, gt=0, lt=1, description="share of the way from the commonest label's accuracy to 1, on train, at least"
    )
    max_fall: float = Field(
        0.1, gt=0, lt=1, description="fall of the losses in the last third of epochs, a share of a guesser's loss"
    )
    max_gap: float = Field(
        0.05,
        gt=0,
        le=1,
        description="of accuracy on train less that on val: with a larger one, losses that fall are memory",
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What accuracy on train is asked of a slice: from `guess`, that of its commonest label, to `least`."""

    gap: GeneralisationGap
    guess: float
    least: float

    @property
    def poor(self) -> bool:
        """The interval of accuracy on train lies below what is asked."""
        return self.gap.train_interval is not None and self.gap.train_interval.high < self.least

    @property
    def open(self) -> bool:
        """The interval holds it."""
        interval = self.gap.train_interval
        return interval is not None and interval.low < self.least <= interval.high


def run(context: CheckContext, params: Params) -> Outcome:
    """A finding where training rows are answered poorly, or both losses still fell when training ended.

    Poorly: accuracy on train (images as they are, the kept weights) is below what `min_skill` asks, with its
    whole interval, of all rows or of a group; the groups' intervals hold together, so that one in many is no chance
    find. A threshold, costs or resampled rows may lower accuracy alone: with them the loss must be poor too. It passes
    where every interval lies at or above what is asked; where one holds it, the data cannot tell.
    """
    if context.fit is None or context.fit.curves is None:
        return NOT_TRAINED
    curves, gaps = context.fit.curves, context.fit.gaps
    total = whole(gaps)
    if total is None or isinstance(total.train, Undefined):
        return skipped("no training row was predicted")
    slices = _asked([gap for gap in gaps if isinstance(gap.train, float)], context.manifest, params)
    reference = guessed_loss(context)
    explained = explained_loss(curves, reference)
    lowered = _lowered_by(context)
    # half of accuracy's way explains about a quarter of the loss where a network is calibrated
    by_decisions = bool(lowered) and slices[0].poor and explained >= params.min_skill**2
    weak = [] if by_decisions else [one for one in slices if one.poor]
    falls = falling(curves, reference)
    late = min(falls, default=0.0) > params.max_fall and not _remembers(total, params)
    unsure = [] if by_decisions else [one for one in slices if one.open]
    evidence = _evidence(curves, slices[0], falls, weak, unsure) | {"explained_loss": explained}
    said = [_of_all(slices[0])]
    groups = [one for one in weak if one.gap.slice.attributes]
    if groups:
        said.append(f"low in {listed([_group(one) for one in groups], 3)}")
    if late:
        said.append(_of_loss(curves))
    if weak or late:
        later = _learnt_later(curves, reference, params) if weak else ""
        return found(f"{'; '.join(said)}. {later or _changes(context, bool(weak))}", **evidence)
    if unsure:
        return inconclusive("; ".join([*said, _cannot_tell(unsure)]), **evidence)
    said.append(f"low by {lowered}, not by its losses" if by_decisions else "the training rows are learnt")
    return passed("; ".join(said), **evidence)


def guessed_loss(context: CheckContext) -> float:
    """Cross-entropy in nats of guessing by the label's frequency among the rows as training draws them."""
    counts = label_counts(context.manifest, TOTAL)
    held = counts[counts > 0]
    if setting(context, "train.resample") is not None:
        return math.log(max(2, len(held)))  # resampled rows have labels in other shares: at most this
    share = held / max(1, held.sum())
    return float(max(-(share * np.log(share)).sum(), 1e-12))


def falling(curves: Curves, reference: float) -> tuple[float, ...]:
    """What the last third of the epochs took off the least training and validation loss, shares of `reference`.

    () where one epoch, or no validation loss, leaves that open: without validation a fall may be memory.
    """
    epochs = len(curves.train_loss)
    val = [loss for loss in curves.val_loss if loss is not None]
    if epochs < 2 or len(val) < epochs:
        return ()
    back = last_third(epochs)
    return tuple((min(losses[:-back]) - losses[-1]) / reference for losses in (curves.train_loss, val))


def last_third(epochs: int) -> int:
    """At least one epoch of at least two."""
    return max(1, round(epochs / 3))


def _asked(gaps: list[GeneralisationGap], manifest: Manifest, params: Params) -> list[Asked]:
    """All rows first. Of a group no more is asked than of all rows: it may have little but one label."""
    found: list[Asked] = []
    for gap in gaps:
        counts = label_counts(manifest, gap.slice)
        guess = float(counts.max() / max(1, counts.sum()))
        least = guess + params.min_skill * (1 - guess)
        found.append(Asked(gap, guess, min([least, *[one.least for one in found[:1]]])))
    return found


def _remembers(total: GeneralisationGap, params: Params) -> bool:
    return total.interval is not None and total.interval.low > params.max_gap


def explained_loss(curves: Curves, reference: float) -> float:
    """Share of a guesser's loss that the kept epoch is without; below 0 where it is worse than a guesser.

    Of the worse of both losses, as training sees images that are made harder, or a network in motion.
    """
    at = curves.best_epoch - 1
    val = curves.val_loss[at]
    loss = curves.train_loss[at] if val is None else max(curves.train_loss[at], val)
    return 1 - loss / reference


def _lowered_by(context: CheckContext) -> str:
    """What may lower accuracy of a network that has learnt its rows; '' where classes are decided by argmax alone."""
    ways = {
        "operating_point": "its decisions (operating_point)",
        "costs": "its decisions (costs)",
        "train.resample": "training on labels in other shares (train.resample)",
    }
    return next((said for trail, said in ways.items() if setting(context, trail) is not None), "")


def _cannot_tell(unsure: list[Asked]) -> str:
    """Of whom the interval of accuracy on train holds what is asked."""
    if not unsure[0].gap.slice.attributes:
        return "the data cannot tell whether that is enough"
    whom = listed([_group(one) for one in unsure], 3)
    return f"over all rows they are learnt; whether those of {whom} are, the data cannot tell"


def _of_all(total: Asked) -> str:
    assert isinstance(total.gap.train, float)
    return (
        f"accuracy on the training rows is {percent(total.gap.train)}, where the commonest label alone is "
        f"{percent(total.guess)}"
    )


def _group(one: Asked) -> str:
    assert isinstance(one.gap.train, float)
    return f"{one.gap.slice} ({percent(one.gap.train)}; commonest label {percent(one.guess)})"


def _of_loss(curves: Curves) -> str:
    back = last_third(len(curves.train_loss))
    losses = [
        f"{name} loss from {number(min(values[:-back]))} to {number(values[-1])}"
        for name, values in (("training", curves.train_loss), ("validation", [loss or 0.0 for loss in curves.val_loss]))
    ]
    return f"losses still fell when training ended: in the last {back} epochs, {' and '.join(losses)}"


def _learnt_later(curves: Curves, reference: float, params: Params) -> str:
    """What to change where the weights that are kept are of before the training rows were learnt; else ''."""
    epochs, last = len(curves.train_loss), curves.train_loss[-1]
    if curves.best_epoch == epochs or 1 - last / reference < params.min_skill:
        return ""
    return (
        f"The weights that are kept are of epoch {curves.best_epoch} of {epochs}; the last epochs learnt the training "
        f"rows (training loss {number(last)}) and were no better on val. To change: what helps against overfitting, "
        "and more val rows, so that the checkpoint is not picked by chance"
    )


def _changes(context: CheckContext, weak: bool) -> str:
    """What lets a network learn more, with what the config has now; and that it may be the labels."""
    ways = [f"more of {named(context, 'train.epochs')}", f"another {named(context, 'train.lr')}, larger first"]
    if weak:
        ways.append(f"a larger network than {named(context, 'model.architecture')}, or a pretrained one")
        held = [name for name in ("train.weight_decay", "model.dropout") if setting(context, name, 0)]
        held = [named(context, name) for name in held] + ["train.augment"] * augments(context)
        ways += [f"less of {', '.join(held)}"] if held else []
    text = f"To change: {'; '.join(ways)}"
    if not weak:
        return text
    return f"{text}. Or the images do not determine the labels: let a person name a sample of the training images"


def _evidence(
    curves: Curves, asked: Asked, falls: tuple[float, ...], weak: list[Asked], unsure: list[Asked]
) -> dict[str, Any]:
    return {
        "total": shown(asked.gap),
        "commonest_label": asked.guess,
        "asked": asked.least,
        "poor": [_entry(one) for one in weak],
        "cannot_tell": [_entry(one) for one in unsure],
        "falls": list(falls),
        "epochs": len(curves.train_loss),
        "ended": curves.ended,
    }


def _entry(one: Asked) -> dict[str, Any]:
    return {"slice": one.gap.slice.key, "train": one.gap.train, "asked": one.least}


CHECK = Check(
    name="M003",
    title="Underfitting",
    summary="accuracy on train against the commonest label, and losses that still fell when training ended",
    severity="medium",
    Params=Params,
    run=run,
    tells="pairs",
)
