"""What `check` says of a comparison of mitigations: methods, who needs what, and how much would be trained."""

from __future__ import annotations

from collections.abc import Iterator

from imgid_audit.config import Config
from imgid_audit.mitigations import find
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import MitigationsSettings, PrimarySettings
from imgid_audit.pipeline.unmet_mitigations import criterion, lacking

PICKED = {
    "average": "accuracy",
    "worst_class": "accuracy of the worst class",
    "worst_group": "accuracy of the worst group",
}


def comparison_lines(config: Config) -> Iterator[str]:
    """Lines for a person; none without a `mitigations:` block."""
    settings = config.mitigations
    if settings is None or config.model is None:
        return
    if not config.trains:
        if settings.scope == "full":
            yield "mitigations: not compared: scope full trains end to end, and model.weights are given"
            return
        yield "mitigations: `run` compares nothing, because model.weights are given; `compare` does"
    yield f"mitigations: scope {settings.scope}, {_scope(config, settings)}"
    yield f"  primary: {_primary(settings.primary)}, on test"
    by = PICKED[criterion(settings, config)]
    yield f"  trials: {settings.trials} of each method, picked by {by} on val; then seeds {_seeds(settings)}"
    asked = [Remedy.of(entry, find) for entry in settings.methods]
    remedies = [remedy for remedy in asked if remedy.methods != ("baseline",)]
    running = 1
    for remedy in remedies:
        why = lacking(remedy, groups=bool(config.train.groups))
        running += why is None
        yield f"  {remedy.name}: acts on {', '.join(remedy.acts_on) or 'nothing'}; needs {', '.join(remedy.needs)}"
        if why is not None:
            yield f"    will not run: {why}"
        yield from (f"    {warning}" for warning in remedy.warnings)
    trials, seeds = settings.trials, len(settings.seeds)
    what = "heads" if settings.scope == "head" else "networks"
    methods = f"{running} methods, the baseline among them"
    yield f"  trains up to {running * (trials + seeds):,} {what}: {methods}, x ({trials} trials + {seeds} seeds)"


def _scope(config: Config, settings: MitigationsSettings) -> str:
    if settings.scope == "full":
        return f"{config.train.epochs} epochs of the whole network"
    if settings.backbone == "init":
        of = f"train.init ({config.train.init}) as it is"
    else:
        of = "the trained network" if config.trains else "the given network"
    return f"{settings.head.epochs} epochs of a last layer on the embeddings of {of}"


def _primary(primary: PrimarySettings) -> str:
    metric = primary.metric + (f" of {primary.class_name}" if primary.class_name else "")
    if not primary.across:
        return f"{metric} of all rows"
    what = "the worst group's" if primary.of == "worst" else "the gap between groups in"
    left = f", without {', '.join(primary.ignore)}" if primary.ignore else ""
    return f"{what} {metric} across {' x '.join(primary.across)}{left}"


def _seeds(settings: MitigationsSettings) -> str:
    return ", ".join(map(str, settings.seeds))
