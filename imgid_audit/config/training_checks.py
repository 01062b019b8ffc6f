"""What a config's `train:` block must be, in its parts that train several times or go on from given weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from imgid_audit.config.document import Trail
from imgid_audit.config.draft import Draft, lacks_val
from imgid_audit.config.messages import Complaint, complaints, unknown
from imgid_audit.config.mitigation_checks import primary_complaints
from imgid_audit.vision.search.complaints import complaints as search_complaints
from imgid_audit.vision.study_settings import StudySettings, TrainingSettings

AT = "train"
FURTHER = ("search", "ladder", "data_ladder", "augment_effect")


def without_wrong(raw: Any) -> tuple[TrainingSettings | None, tuple[Trail, ...]]:
    """The block without what is wrong by itself in `FURTHER` parts, and where that stands; None where more is wrong.

    So one wrong key of a search does not hide what is wrong with the others.
    """
    cut: list[Trail] = []
    try:
        return TrainingSettings.model_validate(raw), ()
    except ValidationError as error:
        for trail, _ in complaints(error, TrainingSettings, raw):
            if not trail or trail[0] not in FURTHER:
                return None, ()
            cut.append(_part(trail))
    try:
        return TrainingSettings.model_validate(_less(raw, cut)), tuple((AT, *trail) for trail in cut)
    except ValidationError:
        return None, ()


def _part(trail: Trail) -> Trail:
    """What is left out for an error at `trail`: a study, one key of a search, or one setting of its space."""
    if trail[0] != "search" or trail == ("search", "space"):
        return trail[:1]
    return trail[: 3 if trail[1:2] == ("space",) else 2]


def _less(block: Any, cut: Sequence[Trail]) -> Any:
    """The block without the keys that `cut` leads to."""
    if not isinstance(block, dict):
        return block
    gone = {trail[0] for trail in cut if len(trail) == 1}
    deeper = {key: [trail[1:] for trail in cut if len(trail) > 1 and trail[0] == key] for key in block}
    return {key: _less(value, deeper[key]) if deeper[key] else value for key, value in block.items() if key not in gone}


def of_what_is_left(complaint: Complaint, cut: Sequence[Trail]) -> bool:
    """Whether a complaint stands where the parts at `cut` were left out."""
    trail = complaint[0]
    if any(trail[: len(one)] == one for one in cut):
        return False
    return not cut or trail != (AT, "search", "space")  # it speaks of all settings of the space


def training_complaints(draft: Draft) -> Iterator[Complaint]:
    """(trail, message) of everything that is wrong; nothing where the block itself is."""
    train = draft.train()
    if train is None or "predictions" in draft.given:
        return
    asked = [name for name in FURTHER if getattr(train, name) is not None]
    if not draft.trains:
        yield from (((AT, name), "has no effect: weights are given and nothing trains; remove it") for name in asked)
        return
    yield from _start(train, draft)
    data = draft.data()
    if data is not None and data.split is not None and lacks_val(data):
        message = "needs a val split to be judged by: give `data.split` a fraction `val`"
        yield from (((AT, name), message) for name in asked)
    if train.search is not None:
        yield from _search(train, draft)
    for name in FURTHER[1:]:
        yield from _study(name, getattr(train, name), draft)
    if train.ladder is not None and train.init not in (None, "DEFAULT"):
        message = "cannot have one starting point, the weights file of `train.init`: say init: DEFAULT, or leave it out"
        yield (AT, "ladder"), message


def _start(train: TrainingSettings, draft: Draft) -> Iterator[Complaint]:
    if train.init == "DEFAULT":
        model, space = draft.model(), {} if train.search is None else train.search.space
        searched = space.get("architecture", ())
        places = {
            (AT, "init"): () if model is None else (model.architecture,),
            (AT, "search", "space", "architecture"): searched if isinstance(searched, tuple) else (),
            (AT, "ladder"): () if train.ladder is None else train.ladder.architectures,
        }
        for at, names in places.items():
            for name in (name for name in names if name == "smallcnn" or ":" in str(name)):
                yield at, f"DEFAULT weights are published for torchvision's and timm's networks, and {name} is none"
    if train.fine_tune is not None and train.init is None:
        yield (AT, "fine_tune"), "needs `train.init`, the weights to start from: DEFAULT, or a file"
    if train.fine_tune is not None and train.fine_tune.frozen_epochs > train.epochs:
        told = f"must be at most `train.epochs`, {train.epochs}, got {train.fine_tune.frozen_epochs}"
        yield (AT, "fine_tune", "frozen_epochs"), f"{told}; with as many, nothing but the last layer ever learns"
    if train.accumulate != "auto" and train.accumulate > train.batch_size:
        told = f"must be at most `train.batch_size`, {train.batch_size}, got {train.accumulate}"
        yield (AT, "accumulate"), f"{told}: a part of a batch has one image at least"


def _search(train: TrainingSettings, draft: Draft) -> Iterator[Complaint]:
    search, model, data = train.search, draft.model(), draft.data()
    assert search is not None
    at = (AT, "search")
    if model is not None:
        for trail, message in search_complaints(search, model, train.alone()):
            yield (*at, *trail), message
    if search.objective is not None:
        attributes = None if data is None else tuple(data.attributes)
        for trail, message in primary_complaints(search.objective, draft.task(), attributes):
            yield (*at, "objective", *trail), message


def _study(name: str, study: StudySettings | None, draft: Draft) -> Iterator[Complaint]:
    data = draft.data()
    if study is None or data is None:
        return
    for place, attribute in enumerate(study.across):
        if attribute not in data.attributes:
            yield (AT, name, "across", place), unknown("attribute", attribute, data.attributes)
    if len(set(study.across)) < len(study.across):
        yield (AT, name, "across"), f"must be different attributes, got {list(study.across)}"
