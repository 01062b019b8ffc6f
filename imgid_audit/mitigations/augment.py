"""Augmentation as a method of its own: random changes of training images, and mixtures of two."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from imgid_audit.core.errors import InputError
from imgid_audit.io.settings import problem_at
from imgid_audit.mitigations.base import Ask, Mitigation, Place
from imgid_audit.vision.settings import AugmentSettings
from imgid_audit.vision.treatment import Mix, Treatment

ALPHA = {"mixup": 0.2, "cutmix": 1.0}
"""What the share is drawn with where nobody says: Beta(alpha, alpha), as in the papers' ImageNet runs."""


class AugmentParams(AugmentSettings):
    """The changes of `train.augment`, how many views of them a head sees, and mixtures."""

    views: int = Field(4, ge=1, le=64, description="changed copies of every training image (scope head)")
    mix: Literal["mixup", "cutmix"] | None = Field(None, description="mixtures of two images of a batch and of labels")
    alpha: float | None = Field(
        None, gt=0, le=100, description="of the Beta distribution of the share; default: mixup 0.2, cutmix 1"
    )

    @property
    def changes(self) -> AugmentSettings:
        """The random changes alone."""
        return AugmentSettings(**{name: getattr(self, name) for name in AugmentSettings.model_fields})

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.mix is None and self.changes == AugmentSettings():
            names = ", ".join(AugmentSettings.model_fields)
            raise problem_at(f"asks for no change of images: give one of {names} or mix")
        if self.alpha is not None and self.mix is None:
            raise problem_at("has no effect without `mix`: mixup or cutmix", "alpha")
        return self


def build(params: AugmentParams, ask: Ask) -> Treatment:
    """Changes instead of `train.augment`'s; a mixture alone leaves those as they are."""
    if params.mix == "cutmix" and ask.scope == "head":
        raise InputError("augment: cutmix mixes pixels, which a head does not see: use scope full, or mixup")
    mix = None if params.mix is None else Mix(params.mix, params.alpha or ALPHA[params.mix])
    if params.changes == AugmentSettings():
        return Treatment(mix=mix)
    return Treatment(augment=params.changes, views=params.views, mix=mix)


def acts_on(_params: AugmentParams) -> tuple[Place, ...]:
    """What images are made before they are learnt from."""
    return ("augmentation",)


METHOD = Mitigation(
    name="augment",
    summary="changes training images at random (flips, rotation, crops, colour, RandAugment), or mixes two of them",
    source=(
        "RandAugment: Cubuk et al., CVPR Workshops 2020; MixUp: Zhang et al., ICLR 2018; "
        "CutMix: Yun et al., ICCV 2019; crops: Szegedy et al., CVPR 2015"
    ),
    Params=AugmentParams,
    build=build,
    acts_on=acts_on,
    needs=lambda _: frozenset({"class labels"}),
)
