"""M002: a network that is better on the rows it learnt from than on others, or was trained past its best."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from pydantic import Field

from imgid_audit.checks.base import (
    Check,
    CheckContext,
    Outcome,
    found,
    inconclusive,
    listed,
    not_applicable,
    passed,
    percent,
    skipped,
)
from imgid_audit.checks.fitting import NOT_TRAINED, augments, named, number, points, searched, shown, told, whole
from imgid_audit.core.fit import Curves, GeneralisationGap
from imgid_audit.core.result import Undefined
from imgid_audit.io.settings import Settings

LAST = 3
"""Epochs whose median is the loss at the end: one bad epoch is no rise."""


class Params(Settings):
    """How much is too much; what decides a gap is its interval, not its value."""

    max_gap: float = Field(0.05, gt=0, le=1, description="accuracy on train less that on val, at most")
    max_rise: float = Field(
        0.1, gt=0, description="validation loss up, while training loss falls as much, to the end, in nats at most"
    )


@dataclass(frozen=True, slots=True)
class Rise:
    """Validation loss from its least, after epoch `least`, to the end (the median of the last epochs)."""

    least: int
    low: float
    end: float
    train_low: float
    train_end: float

    @property
    def size(self) -> float:
        """How far both losses went, apart: noisy labels of a small val split alone move validation loss."""
        return min(self.end - self.low, self.train_low - self.train_end)


def run(context: CheckContext, params: Params) -> Outcome:
    """A finding where a gap's interval lies above `max_gap`, or validation loss rose while training loss fell.

    Of all rows, or of a group: the groups' intervals hold together, so that one in many is no chance find. It passes
    where every interval lies within `max_gap`; where one does not, the data cannot tell.
    """
    if context.fit is None or context.fit.curves is None:
        return NOT_TRAINED
    curves, gaps = context.fit.curves, context.fit.gaps
    if all(loss is None for loss in curves.val_loss):
        return not_applicable("there is no val split to compare with")
    total = whole(gaps)
    if total is None or isinstance(total.value, Undefined):
        return skipped(f"train and val cannot be compared: {_missing(total)}")
    rise = risen(curves, params.max_rise)
    above = _largest([gap for gap in gaps if gap.interval is not None and gap.interval.low > params.max_gap])
    evidence = _evidence(curves, gaps, rise)
    said = [_of_all(total), *([_of_groups(gaps, above)] if len(gaps) > 1 else [])]
    if rise is not None:
        said.append(_of_loss(rise, curves))
    if above:
        said.append("the network remembers its training rows")
    if above or rise is not None:
        return found(f"{'; '.join(filter(None, said))}. To change: {_changes(context, rise)}", **evidence)
    unsure = [gap for gap in gaps if _open(gap, params.max_gap)]
    said.append(_verdict(unsure, params.max_gap, groups=len(gaps) > 1))
    return (inconclusive if unsure else passed)("; ".join(filter(None, said)), **evidence)


def risen(curves: Curves, most: float) -> Rise | None:
    """The rise of validation loss where it is more than `most` nats and training loss fell by as much meanwhile."""
    val = [loss for loss in curves.val_loss if loss is not None]
    if len(val) < len(curves.train_loss) or len(val) <= LAST:
        return None
    least = min(range(len(val)), key=val.__getitem__)
    ends = median(val[-LAST:]), median(curves.train_loss[-LAST:])
    rise = Rise(least + 1, val[least], ends[0], curves.train_loss[least], ends[1])
    return rise if rise.size > most else None


def _missing(total: GeneralisationGap | None) -> str:
    return total.value.reason if total is not None and isinstance(total.value, Undefined) else "no row was predicted"


def _largest(gaps: list[GeneralisationGap]) -> list[GeneralisationGap]:
    """Largest first, in the given order where equal."""
    return sorted(gaps, key=lambda gap: 0.0 if isinstance(gap.value, Undefined) else -gap.value)


def _of_all(total: GeneralisationGap) -> str:
    assert isinstance(total.train, float)
    assert isinstance(total.val, float)
    return f"accuracy is {percent(total.train)} on train and {percent(total.val)} on val, a gap of {told(total)}"


def _of_groups(gaps: tuple[GeneralisationGap, ...], above: list[GeneralisationGap]) -> str:
    """Groups that are shown to have too large a gap; else the one whose gap is largest."""
    groups = [gap for gap in above if gap.slice.attributes]
    if groups:
        return f"too large {listed([told(gap) for gap in groups], 3)}"
    known = _largest([gap for gap in gaps if gap.slice.attributes and gap.interval is not None])
    return f"largest {told(known[0])}" if known else ""


def _of_loss(rise: Rise, curves: Curves) -> str:
    """The last epochs, and whether the weights that are kept are of before."""
    kept = curves.best_epoch
    when = "before the rise" if kept <= rise.least else f"{kept - rise.least} epochs into it"
    return (
        f"after epoch {rise.least} of {len(curves.val_loss)} validation loss rose from {number(rise.low)} to "
        f"{number(rise.end)} while training loss fell from {number(rise.train_low)} to {number(rise.train_end)}: the "
        f"weights that are kept are of epoch {kept}, {when}"
    )


def _open(gap: GeneralisationGap, most: float) -> bool:
    """Whether a gap that is not shown to be above `most` is not shown to be within either: val may have no rows."""
    if gap.interval is None:
        return isinstance(gap.train, float)
    return gap.interval.high > most


def _verdict(unsure: list[GeneralisationGap], most: float, *, groups: bool) -> str:
    """Of nothing found: that every gap is within `most`, or of whom the data cannot tell."""
    bound = f"{points(most)} points"
    if not unsure:
        return f"the gap is at most {bound}{', of all rows and of every group' * groups}"
    whom = [_whom(gap) for gap in unsure]
    about = f" ({listed(whom, 3)})" if groups else ""
    return f"the data cannot tell whether the gap is above {bound}{about}: more val rows would"


def _whom(gap: GeneralisationGap) -> str:
    rows = "" if gap.val_n else ", no val rows"
    return f"{gap.slice}{rows}" if gap.slice.attributes else "all rows"


def _changes(context: CheckContext, rise: Rise | None) -> str:
    """What holds a network back from its training rows, with what the config has now."""
    ways = []
    if rise is not None:
        ways.append(f"fewer epochs or train.patience (validation loss was least after epoch {rise.least})")
    ways.append(f"more of {named(context, 'train.weight_decay')} or {named(context, 'model.dropout')}")
    off = f"nothing is on{', as the search chose' if searched(context, 'train.augment') else ''}"
    ways.append("stronger train.augment" if augments(context) else f"train.augment ({off})")
    ways.append(f"a smaller network than {named(context, 'model.architecture')}, or a pretrained one first frozen")
    return "; ".join([*ways, "more training images, of the groups with the largest gap first"])


def _evidence(curves: Curves, gaps: tuple[GeneralisationGap, ...], rise: Rise | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "gaps": [shown(gap) for gap in gaps],
        "epochs": len(curves.train_loss),
        "best_epoch": curves.best_epoch,
    }
    if rise is not None:
        found |= {"least_val_loss_epoch": rise.least, "least_val_loss": rise.low, "last_val_loss": rise.end}
    return found


CHECK = Check(
    name="M002",
    title="Overfitting",
    summary="accuracy on train against val, of all rows and of every group, and validation loss at the end",
    severity="medium",
    Params=Params,
    run=run,
    tells="pairs",
)
