"""M002: a model that ended up much better on the rows it learned from than on the validation rows."""

from __future__ import annotations

from pydantic import Field

from imgid_audit.checks.base import Check, CheckContext, Outcome, found, not_applicable, passed, percent, skipped
from imgid_audit.io.settings import Settings


class Params(Settings):
    """When training went too far."""

    max_gap: float = Field(0.15, gt=0, le=1, description="accuracy on train less that on val, at most")


def run(context: CheckContext, params: Params) -> Outcome:
    """Accuracy on train less accuracy on val after the last epoch."""
    curve = context.training
    if curve is None:
        return not_applicable("nothing was trained in this audit, or there was no val split to compare with")
    if not curve.train_accuracy or not curve.val_accuracy:
        return skipped("training recorded no accuracy")
    train, val = curve.train_accuracy[-1], curve.val_accuracy[-1]
    told = f"after the last epoch accuracy is {percent(train)} on train and {percent(val)} on val"
    evidence = {"train_accuracy": train, "val_accuracy": val, "epochs": len(curve.val_accuracy)}
    if train - val > params.max_gap:
        return found(f"{told}: the model has learned its training rows rather than the task", **evidence)
    return passed(told, **evidence)


CHECK = Check(
    name="M002",
    title="Overfitting",
    summary="accuracy on train against val after the last epoch",
    severity="medium",
    Params=Params,
    run=run,
    tells="nothing",
)
