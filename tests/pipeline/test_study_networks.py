"""Networks of studies and searches: each trained once in a run, asked no more than it should be, or with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgid_audit import pipeline
from imgid_audit.core.fit import Study
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.predictions import Predictions
from imgid_audit.io.subsets import half_of, nested
from imgid_audit.pipeline.inputs import read_inputs
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.studies import decisions_of, trained
from imgid_audit.pipeline.studies.data_ladder import data_ladder
from imgid_audit.vision import infer
from imgid_audit.vision import train as training
from imgid_audit.vision.errors import DivergedError
from tests.pipeline.test_studies import AUGMENT, STUDIES, config_in, with_job
from tests.tiny import tiny_config, write_tiny

Counted = Callable[[], list[str]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny(folder, rows=160)
    return folder


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """The plans of the networks that were trained since it was last asked."""
    plans: list[str] = []
    real = training.train

    def noted(*given: Any, **named: Any) -> Any:
        plans.append(named.get("plan", ""))
        return real(*given, **named)

    def told() -> list[str]:
        found = plans.copy()
        plans.clear()
        return found

    monkeypatch.setattr(training, "train", noted)
    return told


def test_a_run_with_a_search_and_every_study_trains_nothing_twice(
    world: Path, tmp_path: Path, counted: Counted
) -> None:
    space, objective = {"lr": [0.3, 0.001]}, {"metric": "log_loss"}
    search = {"sampler": "grid", "trials": 2, "confirm": 2, "pruner": "none", "objective": objective, "space": space}
    train = {**STUDIES, "lr": 0.3, "augment": AUGMENT, "search": search}
    train["ladder"] = {"architectures": ["smallcnn", "shufflenet_v2_x0_5"], "seeds": 2}
    train["augment_effect"] = {"seeds": 2}
    config = config_in(world, train)
    first = pipeline.run(config, out=tmp_path / "run")
    assert first.result is not None
    assert first.result.fit is not None
    assert first.result.fit.search is not None
    assert first.result.fit.search.chosen == 1, "so that chosen and given settings have networks"
    plans = [plan for plan in counted() if plan]
    # trials; given settings; chosen ones, half, two without half of a group, no augmentation, the larger network
    assert len(set(plans)) == 2 + 2 + 2 * 6
    assert len(plans) == len(set(plans))
    other = config_in(world, train, intervals={"level": 0.8})
    again = pipeline.run(other, out=tmp_path / "run").result
    assert again is not None
    assert again.fit is not None
    assert [study.level for study in again.fit.studies] == [0.8] * 3, "none is dropped"
    assert counted() == []


def test_a_network_is_asked_once_and_says_no_more_than_was_asked(world: Path, tmp_path: Path, counted: Counted) -> None:
    def ask(job: Job) -> None:
        model, train = job.config.model, job.config.train.alone()
        assert model is not None

        def rows(*splits: str) -> list[int]:
            scores = trained(job, model, train, job.inputs.manifest, splits=splits).scores
            return np.flatnonzero(np.isfinite(scores).all(axis=1)).tolist()

        def of(*splits: str) -> list[int]:
            return np.sort(np.concatenate([job.inputs.manifest.rows(one) for one in splits])).tolist()

        for splits in (("val", "test"), ("train", "val"), ("val",), ("test",)):
            assert rows(*splits) == of(*splits)
        assert len(counted()) == 1
        train = train.model_copy(update={"seed": 7})
        for splits in (("train", "val"), ("val", "test"), ("train", "val"), ("val", "test")):
            assert rows(*splits) == of(*splits)
        assert len(counted()) == 2, "test was not asked at first; then all that was asked stays"

    with_job(config_in(world), tmp_path / "run", ask)


def test_outputs_of_test_rows_that_are_not_finite_are_no_concern_of_a_study(
    world: Path, tmp_path: Path, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(job: Job) -> None:
        model, train, manifest = job.config.model, job.config.train.alone(), job.inputs.manifest
        assert model is not None
        broken, real = manifest.rows("test")[:3], infer.predict

        def predict(*given: Any, **named: Any) -> Predictions:
            found = real(*given, **named)
            status, reason, scores = found.status.copy(), found.reason.copy(), found.scores.copy()
            status[broken], reason[broken], scores[broken] = Status.FAILED, infer.NON_FINITE, np.nan
            return replace(found, status=status, reason=reason, scores=scores)

        monkeypatch.setattr(infer, "predict", predict)
        for _ in range(2):
            with pytest.raises(DivergedError, match="for 3 of"):
                trained(job, model, train, manifest, splits=("val", "test"))
        network = trained(job, model, train, manifest, splits=("train", "val"))
        assert np.isfinite(network.scores[manifest.rows("val")]).all()
        assert network.failed == {}
        assert len(counted()) == 1

    with_job(config_in(world), tmp_path / "run", ask)


def test_a_network_answers_the_splits_that_are_asked(world: Path, tmp_path: Path) -> None:
    def ask(job: Job) -> None:
        model, train = job.config.model, job.config.train.alone()
        assert model is not None
        manifest = job.inputs.manifest
        network = trained(job, model, train, manifest)
        told = np.isfinite(network.scores).all(axis=1)
        assert np.array_equal(np.flatnonzero(told), manifest.rows("val"))
        assert len(decisions_of(job, network, "test")) == 0
        more = trained(job, model, train, manifest, splits=("val", "test"))
        rows = np.union1d(manifest.rows("val"), manifest.rows("test"))
        assert np.array_equal(np.flatnonzero(np.isfinite(more.scores).all(axis=1)), rows)
        assert more.record.sha256 == network.record.sha256
        val = decisions_of(job, more, "val")
        assert val.scores is not None
        assert np.allclose(val.scores.sum(axis=1), 1)
        assert np.array_equal(val.label, manifest.label.codes[manifest.rows("val")])
        other = trained(job, model, train.model_copy(update={"seed": 5}), manifest)
        assert other.record.sha256 != network.record.sha256

    with_job(config_in(world), tmp_path / "run", ask)


def test_whoever_only_looks_takes_no_weights_from_one_who_trains(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`search` may look at kept networks beside `run`, which asks one of them for more and trains it again for that."""
    config, real = config_in(world, {"epochs": 1}), training.train

    def asks(job: Job) -> None:
        model, train, manifest = job.config.model, job.config.train.alone(), job.inputs.manifest
        idle = replace(job, stop=lambda: True)
        before = trained(job, model, train, manifest, splits=("val",))

        def looked_at(*given: Any, **named: Any) -> Any:
            record = real(*given, **named)
            np.testing.assert_array_equal(trained(idle, model, train, manifest, splits=("val",)).scores, before.scores)
            return record

        monkeypatch.setattr(training, "train", looked_at)
        more = trained(job, model, train, manifest, splits=("val", "test"))
        assert np.isfinite(more.scores).sum() > np.isfinite(before.scores).sum()
        assert not list((tmp_path / "run").rglob("studies/networks/*/*.safetensors"))

    with_job(config, tmp_path / "run", asks)


def test_without_a_class_half_of_a_group_is_no_way_of_training(tmp_path: Path) -> None:
    """Only one night patient of the training rows has the right bar: half of night may leave the class no rows."""
    table = write_tiny(tmp_path, rows=80)
    header, *lines = [line.split(",") for line in table.read_text().splitlines()]
    at = {name: header.index(name) for name in header}
    for row, line in enumerate(lines):
        line[at["patient"]] = f"p{row}"
        part = ("train", "val", "test", "train")[row // 20]
        right = row % 2 if part != "train" else int(row == 0)
        line[at["label"]] = ("left", "right")[right]
        line[at["device"]] = "night" if right or row % 4 == 1 else "day"
        line.append(part)
    table.write_text("\n".join(",".join(line) for line in [[*header, "part"], *lines]) + "\n")
    data = {**tiny_config()["data"], "split": "part"}
    settings = {"data_ladder": {"fractions": [0.99, 1], "by_group": True, "seeds": 3}}

    def lost(manifest: Manifest, seed: int) -> bool:
        """Whether this seed takes the one row of its class away, and leaves it in the larger share."""
        night = manifest.attribute("device").texts() == "night"
        right = np.flatnonzero((manifest.label.texts() == "right") & np.isin(np.arange(80), manifest.rows("train")))
        dropped = half_of(manifest, night, seed)
        return dropped is not None and right[0] in dropped and right[0] in nested(manifest, (0.99, 1.0), seed)[0]

    manifest = read_inputs(config_in(tmp_path, data=data)).manifest
    first = next(seed for seed in range(200) if lost(manifest, seed))
    config = config_in(tmp_path, {**settings, "seed": first}, data=data)

    def ask(job: Job) -> Study:
        return data_ladder(job, job.config.train.data_ladder)

    found = {one.name: one for one in with_job(config, tmp_path / "run", ask).variants}
    night = found["without half of night"]
    assert night.status == "not_run"
    assert night.reason == (
        f"seed {first}: class 'right' has no rows in the train split: it cannot be learnt"
    )  # fmt: skip
    assert found["without half of day"].status == "ran"
