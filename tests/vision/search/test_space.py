"""What may be searched, what it becomes in the settings, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from imgid_audit.vision.search import SEARCHABLE, Space, complaints
from imgid_audit.vision.search.sampling import propose
from imgid_audit.vision.search.space import OF_MODEL, Among, Between
from imgid_audit.vision.settings import ModelSettings, TrainSettings
from imgid_audit.vision.study_settings import SearchSettings

MODEL = ModelSettings(dropout=0.1)
TRAIN = TrainSettings.model_validate({"init": "DEFAULT", "fine_tune": {}, "average": {}, "augment": {"crop": 0.8}})
ENTRIES: dict[str, Any] = {
    "lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "weight_decay": [0, 0.01],
    "batch_size": {"low": 16, "high": 128, "log": True},
    "optimizer": ["adamw", "sgd"],
    "schedule": ["cosine", "constant"],
    "dropout": {"low": 0, "high": 0.5},
    "architecture": ["smallcnn", "resnet18"],
    "augment.hflip": [0.0, 0.5],
    "augment.vflip": [0.0, 0.5],
    "augment.rotation": {"low": 0, "high": 30, "step": 10},
    "augment.crop": {"low": 0.5, "high": 1.0},
    "augment.colour": {"low": 0, "high": 0.5},
    "augment.randaugment": {"low": 0, "high": 4, "step": 2},
    "fine_tune.frozen_epochs": {"low": 0, "high": 3},
    "fine_tune.backbone_lr": {"low": 0.01, "high": 1, "log": True},
    "fine_tune.layer_decay": {"low": 0.5, "high": 1},
    "average.method": ["ema", "swa"],
    "average.decay": [0.99, 0.999],
    "average.start": {"low": 0.5, "high": 0.9},
}


def settings(space: dict[str, Any], **more: Any) -> SearchSettings:
    return SearchSettings.model_validate({"space": space, **more})


def told(space: dict[str, Any], train: TrainSettings = TRAIN, model: ModelSettings = MODEL, **more: Any) -> list[str]:
    found = complaints(settings(space, **more), model, train)
    return [f"{' > '.join(map(str, trail))}: {message}" for trail, message in found]


def test_every_name_can_be_searched_and_lands_in_its_setting() -> None:
    assert set(ENTRIES) == set(SEARCHABLE)
    assert told(ENTRIES) == []
    space = Space.of(settings(ENTRIES), MODEL, TRAIN)
    parameters = propose(space, "random", 0, 1, (), higher=True)
    assert list(parameters) == list(ENTRIES)
    model, train = space.applied(parameters)
    for name, value in parameters.items():
        here: Any = model if name in OF_MODEL else train
        for part in name.split("."):
            here = getattr(here, part)
        assert here == value
        assert type(here) is SEARCHABLE[name]
    # what a drawn setting becomes is a setting that the config could have had
    assert TrainSettings.model_validate(train.model_dump()) == train
    assert ModelSettings.model_validate(model.model_dump()) == model
    assert train.init == "DEFAULT"


def test_the_settings_as_given_are_what_the_config_says() -> None:
    space = Space.of(settings({"lr": [0.1, 0.2], "dropout": [0.3], "augment.crop": [0.5]}), MODEL, TRAIN)
    assert space.given == {"lr": 0.001, "dropout": 0.1, "augment.crop": 0.8}
    assert space.applied(space.given) == (MODEL, TRAIN)
    assert not space.holds(space.given)


def test_words_for_a_report() -> None:
    space = Space.of(settings(ENTRIES), MODEL, TRAIN)
    assert space.words["lr"] == "0.0001 to 0.01, logarithmic"
    assert space.words["optimizer"] == "adamw, sgd"
    assert space.words["augment.rotation"] == "0 to 30, in steps of 10"
    assert space.words["batch_size"] == "16 to 128, logarithmic"
    assert space.words["fine_tune.frozen_epochs"] == "0 to 3"


def test_a_range_ends_at_its_last_step() -> None:
    space = Space.of(settings({"dropout": {"low": 0.1, "high": 0.5, "step": 0.15}}), MODEL, TRAIN)
    assert space.parameters["dropout"].values == (0.1, 0.25, 0.4)
    assert space.size == 3


@pytest.mark.parametrize("seed", range(20))
def test_drawn_values_are_short_and_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = float(10 ** rng.uniform(-6, 0))
    high = low * (1 + float(10 ** rng.uniform(-3, 2)))
    for log in (False, True):
        parameter = Between(low, high, log, None, whole=False)
        for raw in (low, high, *rng.uniform(low, high, 20)):
            value = parameter.plain(float(raw))
            assert low <= value <= high
            assert abs(value - raw) <= 1e-3 * max(high - low, 0 if not log else raw)
            assert parameter.holds(value)
            assert parameter.plain(value) == value


def test_how_many_combinations_there_are() -> None:
    finite = settings({"lr": [0.01, 0.1], "batch_size": {"low": 10, "high": 40, "step": 10}, "dropout": [0.1]})
    space = Space.of(finite, MODEL, TRAIN)
    assert space.size == 8 == len(list(space.combinations(0)))
    assert space.distinct(100) == 9  # and the settings as given, which lie outside
    assert space.distinct(5) == 5
    assert len({repr(one) for one in space.combinations(3)}) == 8
    assert Space.of(settings({"lr": {"low": 0.1, "high": 0.2}}), MODEL, TRAIN).size is None
    assert math.prod(p.size or 0 for p in space.parameters.values()) == 8


def test_values_of_another_kind_are_not_inside() -> None:
    assert not Among((1, 2)).holds(True)
    assert not Between(0, 2, False, None, whole=False).holds(True)
    assert not Between(0, 2, False, None, whole=False).holds("1")
    assert not Between(0.0, 1.0, False, 0.25, whole=False).holds(0.3)


LOG = {"low": 1e-4, "high": 1e-2, "log": True}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"learning_rate": [0.1]}, "space > learning_rate: unknown setting to search 'learning_rate'"),
    ({"weight_deca": [0.1]}, "did you mean 'weight_decay'? known are lr, weight_decay, "),
    ({"epochs": [5, 10]}, "space > epochs: cannot be searched: trials are compared after as many epochs each"),
    ({"seed": [1, 2]}, "space > seed: cannot be searched: the best of several seeds is luck"),
    ({"lr": {"low": 0.1, "high": 0.01}}, "space > lr: must have `low` below `high`, got them reversed: 0.1 and 0.01"),
    ({"lr": {"low": 0.1, "high": 0.1}}, "got them equal: 0.1 and 0.1"),
    (
        {"dropout": {"low": 0, "high": 0.5, "log": True}},
        "space > dropout > low: must be > 0 where the logarithm is drawn",
    ),
    ({"dropout": {"low": 0, "high": 1.5}}, "space > dropout > high: must be <= 1, got 1.5"),
    ({"dropout": [0.1, 1.5]}, "space > dropout > 1: must be <= 1, got 1.5"),
    ({"lr": {"low": -1, "high": 1}}, "space > lr > low: must be > 0, got -1.0"),
    (
        {"batch_size": {"low": 8.5, "high": 64}},
        "space > batch_size > low: must be an integer, as `batch_size` is, got 8.5",
    ),
    ({"batch_size": [16, 32.5]}, "space > batch_size > 1: must be an integer, got 32.5"),
    ({"batch_size": {"low": 8, "high": 64, "step": 0.5}}, "space > batch_size > step: must be an integer"),
    ({"lr": {**LOG, "step": 0.001}}, "space > lr > step: cannot stand beside `log`"),
    ({"lr": {"low": 0.1, "high": 0.2, "step": 0.3}}, "space > lr > step: must be at most the range, 0.1, got 0.3"),
    ({"lr": []}, "space > lr: must have values to choose among, got none"),
    ({"lr": ["fast"]}, "space > lr > 0: must be a number, got 'fast'"),
    ({"lr": ["fast"]}, "space > lr > 0: must be a number, got 'fast'"),
    ({"lr": [True]}, "space > lr > 0: must be a number, got true"),
    ({"lr": [None]}, "space > lr > 0: must be a number, got None"),
    ({"optimizer": ["adamw", "lion"]}, "space > optimizer > 1: must be 'adamw', 'adam' or 'sgd', got 'lion'"),
    ({"optimizer": {"low": 0, "high": 1}}, "space > optimizer: must be a list of names, got a range of numbers"),
    ({"lr": [float("nan")]}, "space > lr > 0: must be a finite number"),
]


@pytest.mark.parametrize(("space", "message"), REFUSED)
def test_what_is_wrong_is_said_where_it_stands(space: dict[str, Any], message: str) -> None:
    found = told(space)
    assert len(found) == 1, found
    assert message in found[0]


def test_equal_choices_and_unbounded_ranges_do_not_reach_the_space() -> None:
    for entry in ([0.1, 0.1], [1, 1.0], {"low": 0, "high": float("inf")}, 0.1):
        with pytest.raises(ValueError):
            settings({"lr": entry})


def test_a_grid_needs_values() -> None:
    assert told({"lr": LOG}, sampler="grid") == [
        "space > lr: is a continuum, of which a grid has no values: give a list or a `step`, or another sampler"
    ]
    assert (
        told({"batch_size": {"low": 1, "high": 4}, "dropout": {"low": 0, "high": 1, "step": 0.5}}, sampler="grid") == []
    )
    many = {"batch_size": {"low": 1, "high": 1000}, "dropout": {"low": 0, "high": 1, "step": 0.001}}
    assert "has 1,001,000 combinations, more than the 100,000 of a grid" in told(many, sampler="grid")[0]
    assert told(many, sampler="random") == []


def test_parts_of_blocks_that_are_absent() -> None:
    plain = TrainSettings()
    assert "needs `train.fine_tune`, which is absent" in told({"fine_tune.backbone_lr": [0.1]}, plain)[0]
    assert "needs `train.average`, which is absent" in told({"average.decay": [0.9]}, plain)[0]
    assert told({"augment.hflip": [0.5]}, plain) == []


def test_what_one_weights_file_cannot_begin_and_what_trains_nothing() -> None:
    from_file = TrainSettings(init="weights.pt")
    assert "one starting point, the weights file 'weights.pt'" in told({"architecture": ["resnet18"]}, from_file)[0]
    audited = ModelSettings(weights="model.safetensors")
    assert "`model.weights` is audited as it is and nothing trains" in told({"lr": [0.1]}, TrainSettings(), audited)[0]


def test_all_complaints_come_at_once() -> None:
    assert len(told({"lr": {"low": -2, "high": 0}, "dropout": [2, 3], "x": [1]})) == 5


def test_a_search_that_would_try_nothing() -> None:
    assert told({"lr": [0.01]}, trials=1) == [
        "trials: must be >= 2, got 1: the first trial is the settings as given, so that nothing would be searched"
    ]
    assert told({"lr": [0.01]}, trials=0)[0].startswith("trials: must be >= 2, got 0")
    nothing = "space: holds nothing but the settings as given"
    for sampler in ("tpe", "grid"):
        assert told({"lr": [TRAIN.lr], "dropout": [0.1]}, sampler=sampler)[0].startswith(nothing)
        assert told({"lr": [0.01]}, sampler=sampler) == []  # one value, another than the one given: two trials


def test_settings_of_an_average_that_its_method_does_not_read() -> None:
    ema, swa = (TrainSettings.model_validate({"average": {"method": method}}) for method in ("ema", "swa"))
    for train, name, value in ((ema, "average.start", 0.5), (swa, "average.decay", 0.9)):
        (found,) = told({name: [value]}, train)
        assert found.startswith(f"space > {name}: has no effect: `average.method: ")
        assert told({name: [value], "average.method": ["ema", "swa"]}, train) == []
    assert told({"average.decay": [0.9]}, ema) == []
    assert told({"average.start": [0.5]}, swa) == []
    assert "average.start: has no effect" in told({"average.start": [0.5], "average.method": ["ema"]}, swa)[0]


def test_values_that_other_settings_make_impossible() -> None:
    """More frozen epochs than epochs, and a batch of fewer images than the parts that it is computed in."""
    few = TRAIN.model_copy(update={"epochs": 3, "accumulate": 8})
    assert told({"fine_tune.frozen_epochs": [0, 3]}, few) == []
    assert told({"fine_tune.frozen_epochs": [2, 4]}, few) == [
        "space > fine_tune.frozen_epochs > 1: must be at most `train.epochs`, 3, got 4"
    ]
    assert (
        "high: must be at most `train.epochs`, 3, got 5"
        in told({"fine_tune.frozen_epochs": {"low": 0, "high": 5}}, few)[0]
    )
    assert told({"batch_size": [8, 16]}, few) == []
    assert (
        "batch_size > low: must be at least `train.accumulate`" in told({"batch_size": {"low": 4, "high": 16}}, few)[0]
    )
