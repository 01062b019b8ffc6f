"""What `check` says of how the audited network starts, is fine-tuned and averaged."""

from __future__ import annotations

from collections.abc import Iterator

from imgid_audit.config import Config
from imgid_audit.vision.settings import AverageSettings, FineTuneSettings


def training_lines(config: Config) -> Iterator[str]:
    """Lines for a person; none where nothing trains, or all of it is as by default."""
    train = config.train
    if not config.trains:
        return
    if train.init is not None:
        published = "DEFAULT, the weights that are published for the architecture"
        yield f"init: {published if train.init == 'DEFAULT' else train.init}"
    if train.fine_tune is not None:
        yield f"fine-tuning: {_phases(train.fine_tune, train.epochs)}"
    if train.average is not None:
        yield f"averaging: {_average(train.average)}"


def _phases(of: FineTuneSettings, epochs: int) -> str:
    frozen = of.frozen_epochs
    first = f"the last layer alone in {frozen} of {epochs} epochs"
    if frozen == epochs:
        return f"{first}; nothing else learns"
    below = "" if of.layer_decay == 1 else f", each block below the top one at {of.layer_decay:g} of the one above it"
    rates = f"all but the last layer at {of.backbone_lr:g} of the learning rate{below}"
    return f"{first}, then everything; {rates}" if frozen else f"everything from the start; {rates}"


def _average(of: AverageSettings) -> str:
    if of.method == "ema":
        return f"ema, decay {of.decay:g}: exponential moving average of the weights"
    return f"swa: mean of the weights after each epoch, from {of.start:g} of the training on"
