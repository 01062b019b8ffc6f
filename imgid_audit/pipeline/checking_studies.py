"""What `check` says of studies of training: which, and how many networks they train."""

from __future__ import annotations

from collections.abc import Iterator

from imgid_audit.config import Config
from imgid_audit.pipeline.studies.augment_effect import parts_of
from imgid_audit.vision.study_settings import StudySettings


def study_lines(config: Config) -> Iterator[str]:
    """Lines for a person; none where no study is asked for, or nothing trains."""
    train = config.train
    if not config.trains:
        return
    if train.ladder is not None:
        names = train.ladder.architectures
        yield f"ladder: {', '.join(names)}; {_networks(len(names), train.ladder)}"
    if train.data_ladder is not None:
        shares = ", ".join(f"{each:g}" for each in sorted(train.data_ladder.fractions))
        halved = ""
        if train.data_ladder.by_group:
            across = " x ".join(train.data_ladder.across or train.groups)
            halved = f", and {train.data_ladder.seeds} for every group of {across}, without half of it"
        networks = _networks(len(train.data_ladder.fractions), train.data_ladder)
        yield f"data ladder: {shares} of the training rows; {networks}{halved}"
    if train.augment_effect is not None:
        parts = len(parts_of(train.augment))
        alone = parts if train.augment_effect.each and parts > 1 else 0
        yield f"effect of augmentation: {_networks(2 + alone, train.augment_effect)}"
    if train.ladder or train.data_ladder or train.augment_effect:
        yield "  all judged on val; trainings that are alike are done once"


def _networks(ways: int, settings: StudySettings) -> str:
    return f"trains {ways * settings.seeds} networks ({ways} x {settings.seeds} seeds)"
