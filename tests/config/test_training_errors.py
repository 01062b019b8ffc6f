"""What is told of a `train:` block that is wrong: each mistake once, where it is, and no false one beside it."""

from __future__ import annotations

from typing import Any

import pytest

from imgid_audit.config import load_config
from imgid_audit.core.errors import InputError

TRAIN: dict[str, Any] = {"epochs": 4, "batch_size": 32}


def problems(**train: Any) -> list[str]:
    """What is wrong with a `train:` block, without the name of the config; nothing where it is right."""
    config = {
        "name": "audit",
        "task": {"type": "multiclass", "labels": ["a", "b"]},
        "data": {"manifest": "table.csv", "split": {"val": 0.2, "test": 0.4}, "attributes": {"sex": {}}},
        "model": {"architecture": "resnet18"},
        "train": {**TRAIN, **train},
    }
    try:
        load_config(config)
    except InputError as error:
        return [str(problem).removeprefix("config ") for problem in error.problems]
    return []


PERCENT = "these are shares, not percent; 25 % is 0.25"


@pytest.mark.parametrize(
    ("fractions", "wrong"),
    [
        ([0, 1], ["0] must be > 0, got 0"]),
        ([0.5, 2], [f"1] must be <= 1, got 2: {PERCENT}"]),
        ([25, 50, 100], [f"{place}] must be <= 1, got {n}: {PERCENT}" for place, n in enumerate((25, 50, 100))]),
        (["half", 1], ["0] must be a number, got 'half'"]),
    ],
)
def test_of_fractions_the_wrong_ones_alone_are_told(fractions: list[Any], wrong: list[str]) -> None:
    assert problems(data_ladder=fractions) == [f"[train > data_ladder > {one}" for one in wrong]


def test_a_list_that_is_too_short_is_still_told() -> None:
    assert problems(data_ladder=[0.5]) == ["[train > data_ladder] must have 2 or more entries, got [0.5]"]
    assert problems(ladder=["smallcnn"]) == ["[train > ladder] must have 2 or more entries, got ['smallcnn']"]
    assert problems(data_ladder=[0])[-1] == "[train > data_ladder] must have 2 or more entries, got [0]"


@pytest.mark.parametrize(
    ("key", "value", "example"),
    [
        ("ladder", "resnet18", "[smallcnn, resnet18], or a block of keys with `architectures`, got 'resnet18'"),
        ("ladder", 3, "[smallcnn, resnet18], or a block of keys with `architectures`, got 3"),
        ("data_ladder", True, "[0.25, 0.5, 1.0], or a block of keys with `fractions`, got true"),
    ],
)
def test_what_is_neither_list_nor_block_hears_of_both(key: str, value: Any, example: str) -> None:
    assert problems(**{key: value}) == [f"[train > {key}] must be a list, such as {example}"]


def test_one_wrong_key_of_a_search_hides_no_other() -> None:
    space = {"lr": {"low": 1, "high": 0}, "foo": [1], "dropout": {"low": "x", "high": 1}}
    found = problems(search={"trials": "many", "sampler": "x", "space": space}, ladder=["smallcnn"], groups=["age"])
    told = [one.partition("]")[0].removeprefix("[train > ") for one in found]
    of_space = [f"search > space > {name}" for name in ("dropout > low", "foo", "lr")]
    assert sorted(told) == sorted(["search > trials", "search > sampler", *of_space, "ladder", "groups > 0"])


def test_nothing_false_is_told_of_what_was_left_out() -> None:
    """Without the wrong entry the space would hold nothing but what is given; nobody gave such a space."""
    space = {"lr": [0.001], "dropout": {"low": "x", "high": 1}}
    assert problems(search={"space": space}) == ["[train > search > space > dropout > low] must be a number, got 'x'"]
    assert problems(search={"space": {}}) == [
        "[train > search > space] must have 1 or more entries, got an empty block"
    ]
    assert problems(search=True) == ["[train > search] must be a block of keys, got true"]
    assert problems(search={}) == ["[train > search > space] is required"]
    assert problems(epochs=0, search={"space": {"foo": [1]}}) == ["[train > epochs] must be >= 1, got 0"]


def test_what_a_search_does_not_try() -> None:
    (found,) = problems(search={"trials": 1, "space": {"lr": [0.01]}})
    assert found.startswith("[train > search > trials] must be >= 2, got 1: the first trial is the settings as given")


def test_frozen_epochs_are_epochs() -> None:
    assert problems(init="DEFAULT", fine_tune={"frozen_epochs": 4}) == []  # the last layer alone, to the end
    (found,) = problems(init="DEFAULT", fine_tune={"frozen_epochs": 5})
    assert found.startswith("[train > fine_tune > frozen_epochs] must be at most `train.epochs`, 4, got 5")


def test_a_batch_has_as_many_images_as_parts() -> None:
    assert problems(accumulate=32) == []
    (found,) = problems(accumulate=64)
    assert found.startswith("[train > accumulate] must be at most `train.batch_size`, 32, got 64")
