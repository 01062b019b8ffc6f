"""Wrong `mitigations:` blocks through the command line: refused by `check` before anything trains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from imgid_audit.cli import app
from tests.tiny import tiny_config, write_tiny

Change = Callable[[int, dict[str, str]], dict[str, str]]
"""What becomes of a row, by its number and its cells."""


def part_of(row: int) -> str:
    """A split of whole patients (four rows each); of ten patients six train."""
    return (*["train"] * 6, "val", "val", "test", "test")[row // 4 % 10]


def unchanged(_row: int, cells: dict[str, str]) -> dict[str, str]:
    return cells


def no_nights_in(part: str) -> Change:
    return lambda _, cells: {**cells, "device": "day"} if cells["part"] == part else cells


def few_right(row: int, cells: dict[str, str]) -> dict[str, str]:
    """Four training rows of the class `right`: with five neighbours SMOTE needs six."""
    return {**cells, "label": "left"} if cells["part"] == "train" and row >= 8 else cells


def none_right_in(part: str) -> Change:
    return lambda _, cells: {**cells, "label": "left"} if cells["part"] == part else cells


def write(folder: Path, change: Change, block: dict[str, Any], **settings: Any) -> Path:
    """The tiny world with a ready split, changed, and its config with this `mitigations:` block."""
    path = write_tiny(folder)
    head, *lines = path.read_text().splitlines()
    names = [*head.split(","), "part"]
    rows = [dict(zip(names, [*line.split(","), part_of(i)], strict=True)) for i, line in enumerate(lines)]
    changed = [change(i, cells) for i, cells in enumerate(rows)]
    path.write_text("\n".join([",".join(names), *(",".join(cells.values()) for cells in changed)]) + "\n")
    config = tiny_config(**settings)
    config["data"]["split"] = "part"
    config["train"].setdefault("groups", ["device"])
    given = {"methods": ["oversample"], "primary": {"metric": "recall", "across": "device"}}
    config["mitigations"] = {**given, **block}
    (folder / "audit.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder / "audit.yaml"


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def methods(*each: Any) -> dict[str, Any]:
    return {"methods": list(each)}


COSTS = {"left": {"right": 1}, "right": {"left": 5}}
MULTI = {"task": {"type": "multiclass", "labels": ["left", "right"]}}
UNNAMED = {"task": {"type": "multiclass"}}
REFUSED: dict[str, tuple[Change, dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "an unknown method": (
        unchanged,
        methods("focall"),
        {},
        ("audit.yaml:", "[mitigations > methods > 0 > name] unknown mitigation 'focall': did you mean 'focal'?"),
    ),
    "a prior that is corrected twice": (
        unchanged,
        methods({"name": "oversample", "with": ["logit_adjustment"]}),
        {},
        ("audit.yaml:", "both correct the frequency of classes: together they correct it twice"),
    ),
    "fewer rows than SMOTE has neighbours": (
        few_right,
        methods("focal", "smote"),
        {},
        ("[mitigations > methods > 1] smote: ", "'right'"),
    ),
    "fewer rows than a sampler has neighbours": (
        few_right,
        methods({"name": "imblearn", "params": {"sampler": "SVMSMOTE", "params": {"k_neighbors": 7}}}),
        {},
        ("[mitigations > methods > 0] imblearn: ", "'right'"),
    ),
    "a group without val rows": (
        no_nights_in("val"),
        {},
        {},
        ("[data > split] leaves no val rows of group 'device = night'", "picked by the worst group (the default)"),
    ),
    "a group without training rows": (
        no_nights_in("train"),
        methods("focal"),
        {},
        ("[data > split] leaves no train rows of group 'device = night'",),
    ),
    "a class without val rows": (
        none_right_in("val"),
        {"select": "worst_class"},
        {},
        ("[data > split] leaves no val rows of class 'right', and the mitigations are picked by the worst class:",),
    ),
    "a class without training rows": (
        none_right_in("train"),
        {"select": "average"},
        {},
        ("[data > split] leaves no train rows of class 'right': it cannot be learnt",),
    ),
    "no val rows at all": (
        lambda _, cells: {**cells, "part": "train" if cells["part"] == "val" else cells["part"]},
        {},
        {},
        ("[data > split] leaves no val rows, which mitigations need to pick settings by",),
    ),
    "no rows set aside for what is fitted on them": (
        unchanged,
        methods("dfr"),
        {},
        ("[mitigations > methods > 0] dfr: ", "adjust"),
    ),
    "a cost matrix of another shape": (
        unchanged,
        methods({"name": "cost_matrix", "params": {"costs": {"left": {"right": 1}}}}),
        {},
        ("audit.yaml:", "[mitigations > methods > 0] cost_matrix: costs lacks a block for the true label 'right'"),
    ),
    "a cost matrix of another shape, where only the table has the labels": (
        unchanged,
        methods("oversample", {"name": "cost_matrix", "params": {"costs": {**COSTS, "up": {"left": 1, "right": 1}}}}),
        {**UNNAMED, "policy": {"rules": []}},
        ("[mitigations > methods > 1] cost_matrix: costs", "'up'"),
    ),
    "thresholds by group for many classes": (
        unchanged,
        methods("group_thresholds"),
        {**MULTI, "policy": {"rules": []}},
        ("[mitigations > methods > 0] group_thresholds is for binary tasks",),
    ),
    "mixed pixels for a head": (
        unchanged,
        methods({"name": "augment", "params": {"mix": "cutmix"}}),
        {},
        ("[mitigations > methods > 0] augment: cutmix mixes pixels",),
    ),
    "an unknown level of the primary": (
        unchanged,
        {"primary": {"metric": "recall", "across": "device", "ignore": ["nite"]}},
        {},
        ("[mitigations > primary > ignore] unknown level 'nite' of device: did you mean 'night'?",),
    ),
    "a gap of one group": (
        unchanged,
        {"primary": {"metric": "recall", "across": "device", "of": "gap", "ignore": ["night"]}},
        {},
        ("[mitigations > primary > ignore] leaves one group of device in the test rows, 'day', and a gap is be",),
    ),
    "a worst group of one": (
        unchanged,
        {"primary": {"metric": "recall", "across": "device", "ignore": ["night"]}},
        {},
        ("leaves one group of device in the test rows, 'day', and the worst is one of two or more: leave out fewer",),
    ),
    "a worst group of none": (
        unchanged,
        {"primary": {"metric": "recall", "across": "device", "ignore": ["day", "night"]}},
        {},
        ("[mitigations > primary > ignore] leaves no group of device in the test rows", "leave out fewer levels"),
    ),
    "the negative class as the primary one": (
        unchanged,
        {"primary": {"metric": "recall", "class": "left"}},
        {},
        ("[mitigations > primary > class] must be the positive class 'right' in ", "name that one, or leave `class`"),
    ),
    "an unknown class of the primary": (
        unchanged,
        {"primary": {"metric": "recall", "class": "up"}},
        {**UNNAMED, "policy": {"rules": []}},
        ("[mitigations > primary > class] must be a label (left, right) or macro, got 'up'",),
    ),
    "a module that is not there": (
        unchanged,
        methods("oversample", "nosuch.module:Class"),
        {},
        ("[mitigations > methods > 1 > name] cannot import 'nosuch.module'", "PYTHONPATH"),
    ),
    "a class that is no method": (
        unchanged,
        methods({"name": "oversample", "with": ["collections:Counter"]}),
        {},
        ("[mitigations > methods > 0 > with > 0 > name] collections:Counter lacks `summary`",),
    ),
    "one seed": (unchanged, {"seeds": 1}, {}, ("[mitigations > seeds] must be two seeds or more, got 1",)),
}


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", REFUSED)
def test_check_refuses(what: str, tmp_path: Path) -> None:
    change, block, settings, messages = REFUSED[what]
    done = invoke("check", write(tmp_path, change, block, **settings))
    assert done.exit_code == 2, (done.stdout, done.stderr)
    assert all(message in done.stderr for message in messages), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_check_tells_what_would_be_trained(tmp_path: Path) -> None:
    block = {"methods": ["oversample", "focal", {"name": "dfr", "label": "last layer"}], "seeds": 3, "trials": 4}
    path = write(tmp_path, unchanged, block)
    done = invoke("check", path, "--set", "data.split={column: part, adjust: 0.2}")
    assert done.exit_code == 0, done.stderr
    for line in (
        "mitigations: scope head, 50 epochs of a last layer on the embeddings of the trained network",
        "  primary: the worst group's recall across device, on test",
        "  trials: 4 of each method, picked by accuracy of the worst group on val; then seeds 0, 1, 2",
        "  oversample: acts on sampler; needs class labels",
        "  trains up to 28 heads: 4 methods, the baseline among them, x (4 trials + 3 seeds)",
    ):
        assert line in done.stdout.splitlines()


def test_a_method_without_its_groups_will_not_run_and_the_others_do(tmp_path: Path) -> None:
    path = write(tmp_path, unchanged, methods("oversample", {"name": "undersample", "params": {"by": "group"}}))
    done = invoke("check", path, "--set", "train.groups=null")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    told = (
        "    will not run: needs group labels in training, and `train.groups` names no attribute that defines a group"
    )
    assert lines[lines.index(told) - 1].startswith("  undersample: ")
    assert "  trains up to 26 heads: 2 methods, the baseline among them, x (8 trials + 5 seeds)" in lines
    assert "picked by accuracy of the worst class on val" in done.stdout


def test_a_group_that_only_test_rows_have_is_judged_and_not_refused(tmp_path: Path) -> None:
    def moved(_row: int, cells: dict[str, str]) -> dict[str, str]:
        return {**cells, "device": "other" if cells["part"] == "test" else cells["device"]}

    block = methods({"name": "oversample", "params": {"by": "group"}})
    done = invoke("check", write(tmp_path, moved, block))
    assert done.exit_code == 0, done.stderr


def test_given_weights_are_audited_whatever_the_methods_ask_of_the_data(tmp_path: Path) -> None:
    """The winner, or next year's images, by the same config: nothing is trained, so nothing is missing."""
    path = write(tmp_path, no_nights_in("val"), {"scope": "full"})
    assert invoke("check", path).exit_code == 2
    from imgid_audit import pipeline
    from imgid_audit.config import load_config

    plain = load_config(path, overrides=("mitigations=null",))
    weights = pipeline.train(plain, out=tmp_path / "run").files[0]
    done = invoke("check", path, "--set", f"model.weights={weights}")
    assert done.exit_code == 0, done.stderr
    assert "not compared: scope full trains end to end, and model.weights are given" in done.stdout
