"""Studies of training as a step: what is trained, what is kept, what is never asked, what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import imgid_audit as ia
from imgid_audit import pipeline
from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.core.fit import Study
from imgid_audit.core.manifest import SPLITS
from imgid_audit.core.progress import SILENT
from imgid_audit.core.slices import TOTAL
from imgid_audit.core.values import Undefined
from imgid_audit.pipeline.checking_studies import study_lines
from imgid_audit.pipeline.inputs import read_inputs
from imgid_audit.pipeline.job import Job, open_job
from imgid_audit.pipeline.studies import kept_studies, study_steps, untold_studies
from imgid_audit.pipeline.studies.data_ladder import longer
from imgid_audit.pipeline.unmet_studies import unmet_studies
from imgid_audit.vision.settings import FineTuneSettings, TrainSettings
from tests.tiny import tiny_config, write_tiny

TRAIN: dict[str, Any] = {"epochs": 1, "lr": 0.01, "batch_size": 16, "groups": ["device"], "device": "cpu"}
STUDIES: dict[str, Any] = {
    "ladder": {"architectures": ["smallcnn", "imgid_audit.vision.models:SmallCNN", "tests.nowhere:net"], "seeds": 2},
    "data_ladder": {"fractions": [1, 0.5], "seeds": 2, "by_group": True},
    "augment_effect": {"each": True, "seeds": 2},
}
SHARES = {"data_ladder": STUDIES["data_ladder"]}
AUGMENT = {"hflip": 0.5, "rotation": 10}


def config_in(folder: Path, train: dict[str, Any] | None = None, **changes: Any) -> ia.api.Config:
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(tiny_config(**{"train": {**TRAIN, **(train or {})}, **changes})))
    return ia.load_config(path)


class Stop:
    """Says yes from the given time on that it is asked."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def with_job(
    config: ia.api.Config, out: Path, ask: Callable[[Job], Any], stop: Callable[[], bool] | None = None
) -> Any:
    with open_job(config, out=out, progress=SILENT) as job:
        return ask(job if stop is None else replace(job, stop=stop))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny(folder, rows=160)
    return folder


@pytest.fixture(scope="module")
def studies(world: Path) -> dict[str, Study]:
    config = config_in(world, {**STUDIES, "augment": AUGMENT})
    return {study.kind: study for study in with_job(config, world / "run", study_steps)}


def test_a_rung_that_cannot_be_built_has_its_reason_and_the_others_go_on(studies: dict[str, Study]) -> None:
    first, own, none = studies["ladder"].variants
    assert (first.status, own.status, none.status) == ("ran", "not_run", "not_run")
    assert "cannot import 'tests.nowhere'" in none.reason
    assert (none.train, none.weights, none.train_rows) == ((), 0, 0)
    assert first.weights > 90_000
    assert studies["ladder"].steps == ()
    assert studies["ladder"].enough is None


def test_every_variant_has_its_seeds_and_val_alone_is_asked(world: Path, studies: dict[str, Study]) -> None:
    rows = read_inputs(config_in(world)).manifest
    for study in studies.values():
        assert study.seeds == (0, 1)
        assert study.across == ("device",)
        assert study.rows == len(rows.rows("val"))
        ran = [one for one in study.variants if one.status == "ran"]
        assert all(len(one.train) == 2 for one in ran)
        assert {one.method for one in study.estimates} == {one.name for one in ran}
        for one in study.estimates:
            if one.slice == TOTAL and one.quantity == "overall":
                assert one.n == study.rows


def test_shares_count_their_rows_and_see_as_many_images(world: Path, studies: dict[str, Study]) -> None:
    train = len(read_inputs(config_in(world)).manifest.rows("train"))
    half, whole, day, night = studies["data_ladder"].variants
    assert [one.name for one in (half, whole, day, night)] == [
        "0.5",
        "1",
        "without half of day",
        "without half of night",
    ]
    assert whole.train_rows == train
    assert half.train_rows == pytest.approx(train / 2, abs=4)
    assert half.images_seen == pytest.approx(whole.images_seen, abs=8), "half the rows, twice the epochs"
    assert day.group_rows["night"] == whole.group_rows["night"]
    assert day.group_rows["day"] == pytest.approx(whole.group_rows["day"] / 2, abs=4)
    assert sum(night.group_rows.values()) == night.train_rows
    pairs = {(step.before, step.after) for step in studies["data_ladder"].steps}
    assert pairs == {("0.5", "1"), ("1", day.name), ("1", night.name)}
    slices = {str(one.slice): one.rows for one in studies["data_ladder"].flattening}
    assert slices["all rows"] == train
    assert slices["device = night"] == whole.group_rows["night"]
    assert slices["true class = left"] + slices["true class = right"] == train


def test_the_effect_of_augmentation_starts_without_any(studies: dict[str, Study]) -> None:
    found = studies["augment_effect"]
    assert [dict(one.parameters["augment"]) for one in found.variants] == [
        {}, {"hflip": 0.5, "rotation": 10.0}, {"hflip": 0.5}, {"rotation": 10.0}
    ]  # fmt: skip
    assert {(step.before, step.after) for step in found.steps} == {
        ("without augmentation", name) for name in ("as given", "hflip alone", "rotation alone")
    }


def test_trainings_that_are_alike_are_done_once_and_leave_no_weights(world: Path, studies: dict[str, Study]) -> None:
    """Seeds 0 and 1 of: as given, half, two without half of a group, no augmentation, two parts alone."""
    networks = world / "run" / "studies" / "networks"
    assert len(list(networks.glob("*/training.json"))) == 2 * 7
    assert not list(networks.rglob("*.safetensors"))
    whole = studies["data_ladder"].variants[1]
    assert studies["ladder"].variants[0].train == whole.train == studies["augment_effect"].variants[1].train


def test_the_same_call_trains_nothing_and_says_the_same(world: Path, studies: dict[str, Study]) -> None:
    config = config_in(world, {**STUDIES, "augment": AUGMENT})
    before = {path: path.stat().st_mtime_ns for path in (world / "run" / "studies" / "networks").rglob("*.json")}
    again = with_job(config, world / "run", kept_studies)
    assert again == tuple(studies.values())
    after = {path: path.stat().st_mtime_ns for path in (world / "run" / "studies" / "networks").rglob("*.json")}
    assert after == before


def test_other_intervals_are_made_of_the_kept_networks(world: Path, studies: dict[str, Study]) -> None:
    config = config_in(world, {**STUDIES, "augment": AUGMENT}, intervals={"draws": 50, "level": 0.8})
    again = with_job(config, world / "run", kept_studies)
    assert [one.level for one in again] == [0.8] * 3
    for one, other in zip(again, studies.values(), strict=True):
        assert [step.value for step in one.steps] == [step.value for step in other.steps]
        assert one.variants == other.variants
    inside = [
        (step.interval.low >= wide.interval.low, step.interval.high <= wide.interval.high)
        for one, other in zip(again, studies.values(), strict=True)
        for step, wide in zip(one.steps, other.steps, strict=True)
        if step.interval is not None and wide.interval is not None
    ]
    assert inside
    assert all(low and high for low, high in inside)


def test_nothing_is_kept_where_nothing_was_trained(world: Path, tmp_path: Path, studies: dict[str, Study]) -> None:
    config = config_in(world, STUDIES | {"augment": AUGMENT})
    assert with_job(config, tmp_path / "run", kept_studies) == ()
    assert with_job(config, tmp_path / "run", untold_studies) == ("ladder", "data_ladder", "augment_effect")
    assert with_job(config, world / "run", untold_studies) == ()
    assert not list((tmp_path / "run").rglob("training.json"))


def test_a_stopped_study_goes_on_and_ends_as_an_unbroken_one(
    world: Path, tmp_path: Path, studies: dict[str, Study]
) -> None:
    config, out = config_in(world, {**SHARES, "augment": AUGMENT}), tmp_path / "run"
    for after in (12, 25):
        with pytest.raises(StoppedError):
            with_job(config, out, study_steps, Stop(after))
    kept = {path: path.stat().st_mtime_ns for path in (out / "studies" / "kept").glob("*.safetensors")}
    assert 0 < len(kept) < 8
    assert with_job(config, out, study_steps) == (studies["data_ladder"],)
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items()), "none is trained twice"


def test_groups_that_are_left_out_of_the_worst_are_told(world: Path, studies: dict[str, Study]) -> None:
    """Nights are few on val: one group is left, so that there is no worst; with a lower minimum there is."""
    manifest = read_inputs(config_in(world)).manifest
    night = np.bincount(manifest.attribute("device").codes[manifest.rows("val")])[1]
    assert night < 10
    note = f"Left out of the worst group on val: night: {night} rows that count, fewer than policy.min_support (10)."
    for study in studies.values():
        assert note in study.notes
        worst = [one.value for one in study.estimates if one.quantity == "worst_group"]
        assert {isinstance(value, Undefined) and value.reason for value in worst} == {
            "fewer than two groups with enough rows"
        }
    config = config_in(world, {**STUDIES, "augment": AUGMENT}, policy={"min_support": int(night)})
    for study in with_job(config, world / "run", kept_studies):
        assert not any(one.startswith("Left out of the worst group") for one in study.notes)
        worst = [one.value for one in study.estimates if one.quantity == "worst_group"]
        assert worst
        assert not any(isinstance(value, Undefined) for value in worst)


def test_a_ladder_goes_from_few_weights_to_many_whatever_the_order_given(world: Path, tmp_path: Path) -> None:
    names = ["tests.nowhere:net", "shufflenet_v2_x0_5", "smallcnn"]
    config = config_in(world, {"ladder": {"architectures": names, "seeds": 2}}, model={"input": {"size": 32}})
    found = with_job(config, tmp_path / "run", study_steps)[0]
    assert [one.name for one in found.variants] == ["smallcnn", "shufflenet_v2_x0_5", "tests.nowhere:net"]
    assert found.variants[0].weights < found.variants[1].weights
    assert {(step.before, step.after) for step in found.steps} == {("smallcnn", "shufflenet_v2_x0_5")}
    assert found.enough != "shufflenet_v2_x0_5", "nothing larger was tried"


def test_a_rung_that_takes_fewer_steps_says_so(world: Path, tmp_path: Path) -> None:
    config = config_in(world, {"data_ladder": {"fractions": [0.1, 0.125, 1], "seeds": 2}})
    found = with_job(config, tmp_path / "run", study_steps)[0]
    assert [dict(one.parameters) for one in found.variants] == [
        {"fraction": 0.1, "capped": True}, {"fraction": 0.125}, {"fraction": 1.0}
    ]  # fmt: skip
    assert [note for note in found.notes if note.startswith("0.1 of the training rows")]
    assert found.variants[1].images_seen == pytest.approx(found.variants[2].images_seen, rel=0.3)


def test_test_rows_change_nothing(world: Path, tmp_path: Path, studies: dict[str, Study]) -> None:
    """Their labels and groups turned round: the studies stay the same."""
    config = config_in(world, {**SHARES, "augment": AUGMENT})

    def ask(job: Job) -> tuple[Study, ...]:
        manifest = job.inputs.manifest
        test = manifest.split.codes == SPLITS.index("test")
        label = replace(manifest.label, codes=np.where(test, 1 - manifest.label.codes, manifest.label.codes))
        turned = replace(manifest, label=label)
        return study_steps(replace(job, inputs=replace(job.inputs, manifest=turned)))

    assert with_job(config, tmp_path / "run", ask) == (studies["data_ladder"],)


def test_a_diverged_rung_is_told_and_not_tried_again(world: Path, tmp_path: Path) -> None:
    config = config_in(world, {"lr": 1e30, "optimizer": "sgd", "ladder": ["smallcnn", "tests.nowhere:net"]})
    first = with_job(config, tmp_path / "run", study_steps)[0]
    assert first.variants[0].status == "not_run"
    assert "seed 0" in first.variants[0].reason
    assert first.estimates == ()
    assert not list((tmp_path / "run").rglob("*weights.safetensors"))
    (tmp_path / "run" / "studies" / "ladder.json").unlink()
    assert with_job(config, tmp_path / "run", kept_studies) == (first,)


@pytest.mark.parametrize(
    ("rows", "epochs"), [(100, 10), (50, 20), (26, 38), (25, 40), (13, 77), (12, 80), (5, 80), (99, 10)]
)
def test_smaller_shares_are_trained_for_as_many_steps_up_to_a_cap(rows: int, epochs: int) -> None:
    train = TrainSettings(epochs=10, patience=3, init="DEFAULT", fine_tune=FineTuneSettings(frozen_epochs=2))
    found = longer(train, rows, 100)
    assert found.epochs == epochs
    assert found.patience == pytest.approx(3 * epochs / 10, abs=0.7)
    assert found.fine_tune is not None
    assert found.fine_tune.frozen_epochs == pytest.approx(2 * epochs / 10, abs=0.7)
    assert longer(TrainSettings(epochs=10), rows, 100).patience is None


def problems(config: ia.api.Config) -> list[str]:
    try:
        inputs = read_inputs(config)
    except InputError as error:  # the same, where reading the inputs asks already
        return [str(problem) for problem in error.problems]
    return [str(problem) for problem in unmet_studies(config, inputs.task, inputs.manifest)]


@pytest.mark.parametrize(
    ("train", "expected"),
    [
        ({"ladder": ["smallcnn", "resnet81"]}, "[train > ladder > architectures > 1] 'resnet81' is not known"),
        ({"ladder": ["resnet18", "timm/any", "own.code:net"]}, None),
        (
            {"data_ladder": [0.001, 1.0]},
            "[train > data_ladder > fractions > 0] 0.001 of the training rows leaves no rows",
        ),
        ({"data_ladder": {"fractions": [0.25, 0.5], "by_group": True}}, "by_group] compares with all training rows"),
        ({"data_ladder": {"fractions": [0.5, 1], "by_group": True}, "groups": []}, "by_group] needs groups"),
        ({"augment_effect": True}, "[train > augment_effect] has nothing to show"),
        ({"augment_effect": True, "augment": {"hflip": 0.5}}, None),
        ({"ladder": ["smallcnn", "resnet18"]}, None),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(world: Path, train: dict[str, Any], expected: str | None) -> None:
    found = problems(config_in(world, train))
    if expected is None:
        assert found == []
    else:
        assert len(found) == 1
        assert expected in found[0]


def test_ready_splits_without_val_rows_are_refused(tmp_path: Path) -> None:
    table = write_tiny(tmp_path, rows=40)
    header, *lines = table.read_text().splitlines()
    parts = [f"{line},{'test' if int(line.split(',')[2][1:]) % 2 else 'train'}" for line in lines]
    table.write_text("\n".join([f"{header},part", *parts]) + "\n")
    data = {**tiny_config()["data"], "split": "part"}
    found = problems(config_in(tmp_path, {"ladder": ["smallcnn", "resnet18"]}, data=data))
    assert any("leaves no val rows, which train.ladder are judged on" in each for each in found)


def test_check_says_how_many_networks_are_trained(world: Path) -> None:
    text = "\n".join(study_lines(config_in(world, {**STUDIES, "augment": AUGMENT})))
    assert "trains 6 networks (3 x 2 seeds)" in text
    assert "0.5, 1 of the training rows; trains 4 networks (2 x 2 seeds), and 2 for every group of device" in text
    assert "effect of augmentation: trains 8 networks (4 x 2 seeds)" in text
    assert list(study_lines(config_in(world))) == []


def write_mirrored(folder: Path, rows: int = 480, side: int = 16) -> None:
    """By day the class is a bar's height, which a mirror keeps; by night its side, which a mirror swaps."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    lines = ["image,label,patient,device,sex,age"]
    for row in range(rows):
        label, night = row % 2, row // 2 % 2
        pixels = rng.normal(60, 10, (side, side))
        bar = slice(0, side // 4) if label == 0 else slice(3 * side // 4, side)
        where = (slice(None), bar) if night else (bar, slice(None))
        pixels[where] += 120
        name = f"images/{row:03d}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
        lines.append(f"{name},{'left' if label == 0 else 'right'},p{row},{'night' if night else 'day'},F,30")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.slow
def test_an_augmentation_that_harms_one_device_is_told_of_that_device_alone(tmp_path: Path) -> None:
    write_mirrored(tmp_path)
    train = {
        **{"epochs": 8, "lr": 0.01, "augment": {"hflip": 1.0, "rotation": 1}},
        "augment_effect": {"each": True, "seeds": 4, "tolerance": 0.1},
    }
    data = {**tiny_config()["data"], "attributes": {"device": {}}, "intersections": []}
    found = with_job(config_in(tmp_path, train, data=data), tmp_path / "run", study_steps)[0]
    answers = {
        (step.after, step.slice.levels[0]): step.answer for step in found.steps if step.quantity == "group"
    }  # fmt: skip
    assert answers["as given", "night"] == "worse"
    assert answers["hflip alone", "night"] == "worse"
    assert answers["as given", "day"] in ("same", "unknown")
    assert answers["hflip alone", "day"] in ("same", "unknown")
    assert answers["rotation alone", "night"] in ("same", "unknown")
    assert json.loads((tmp_path / "run" / "studies" / "augment_effect.json").read_text())


def test_a_study_that_is_asked_for_later_is_told_as_not_made_until_it_is(tmp_path: Path) -> None:
    write_tiny(tmp_path, rows=60)
    plain, asked = tiny_config(), tiny_config()
    asked["train"] = {**asked["train"], "ladder": {"architectures": ["smallcnn", "shufflenet_v2_x0_5"], "seeds": 2}}
    pipeline.run(ia.load_config(plain, folder=tmp_path), out=tmp_path / "run")
    config = ia.load_config(asked, folder=tmp_path)
    evaluated = pipeline.evaluate(config, out=tmp_path / "run").result
    assert evaluated is not None
    assert any("train.ladder" in note for note in evaluated.notes)
    whole = pipeline.run(config, out=tmp_path / "run").result
    assert whole is not None
    assert not any("train.ladder" in note for note in whole.notes)
    assert whole.fit is not None
    assert [study.kind for study in whole.fit.studies] == ["ladder"]
