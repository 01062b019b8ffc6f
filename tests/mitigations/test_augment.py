"""`augment`: what it asks of the training, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from imgid_audit.core.errors import InputError
from imgid_audit.mitigations import MITIGATIONS
from imgid_audit.mitigations.base import Ask, Scope
from imgid_audit.vision.settings import AugmentSettings
from imgid_audit.vision.treatment import Mix, Treatment

METHOD = MITIGATIONS["augment"]


def built(scope: Scope = "head", **params: Any) -> Treatment:
    return METHOD.build(METHOD.Params(**params), Ask(("a", "b"), True, scope))


def test_every_change_of_train_augment_can_be_asked_for() -> None:
    changes = {"hflip": 0.5, "vflip": 0.1, "rotation": 10.0, "crop": 0.5, "colour": 0.2, "randaugment": 2}
    assert set(changes) == set(AugmentSettings.model_fields)
    treatment = built(**changes, views=3)
    assert treatment.augment == AugmentSettings(**changes)
    assert treatment.views == 3
    assert treatment.mix is None
    assert type(treatment.augment) is AugmentSettings  # equal views of methods are embedded once


def test_mixtures_have_the_papers_alpha_unless_told() -> None:
    assert built("full", mix="mixup").mix == Mix("mixup", 0.2)
    assert built("full", mix="cutmix").mix == Mix("cutmix", 1.0)
    assert built("head", mix="mixup", alpha=0.4).mix == Mix("mixup", 0.4)
    alone = built("head", mix="mixup")
    assert alone.augment is None  # `train.augment` stays, and no view is embedded
    assert alone.views == 0


def test_what_cannot_be_done_is_refused() -> None:
    with pytest.raises(InputError, match="cutmix mixes pixels, which a head does not see: use scope full"):
        built("head", mix="cutmix", hflip=0.5)
    with pytest.raises(ValidationError, match="asks for no change of images"):
        METHOD.Params()
    with pytest.raises(ValidationError, match="asks for no change of images"):
        METHOD.Params(views=2)
    with pytest.raises(ValidationError, match="has no effect without `mix`"):
        METHOD.Params(hflip=0.5, alpha=0.3)
    with pytest.raises(ValidationError):
        METHOD.Params(hflip=1.5)
