"""The comparison of mitigations as a step: what it keeps, what it must not look at, and what it exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import imgid_audit as ia
from imgid_audit import pipeline
from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.io.content import hash_file
from imgid_audit.pipeline.comparing.heads import HeadLaboratory
from tests.tiny import tiny_config, write_tiny

BLOCK: dict[str, Any] = {
    "methods": [{"name": "oversample", "params": {"by": "group"}}, "tau_norm", "class_weights"],
    "seeds": 3,
    "trials": 3,
    "primary": {"metric": "accuracy", "across": "device"},
    "head": {"epochs": 8},
}
TRAIN = {"epochs": 2, "lr": 0.01, "batch_size": 16, "groups": ["device"]}


def config_in(folder: Path, block: dict[str, Any] | None = None, **changes: Any) -> ia.api.Config:
    path = folder / "audit.yaml"
    given = {"mitigations": {**BLOCK, **(block or {})}, "train": TRAIN, **changes}
    path.write_text(yaml.safe_dump(tiny_config(**given)))
    return ia.load_config(path)


def compared(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "comparison.json").read_text())


def timeless(comparison: dict[str, Any]) -> dict[str, Any]:
    """Without measured seconds."""
    methods = [{key: value for key, value in one.items() if key != "seconds"} for one in comparison["methods"]]
    return {**comparison, "methods": methods}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny(folder, rows=200)
    return folder


@pytest.fixture(scope="module")
def finished(world: Path) -> pipeline.Outcome:
    return pipeline.compare(config_in(world), out=world / "run")


def test_every_method_has_its_seeds_its_trials_and_one_verdict(world: Path, finished: pipeline.Outcome) -> None:
    found = compared(world / "run")
    assert [one["name"] for one in found["methods"]] == ["baseline", "oversample", "tau_norm", "class_weights"]
    assert {one["status"] for one in found["methods"]} == {"ran"}
    assert all(one["seeds"] == [0, 1, 2] for one in found["methods"])
    assert {len(one["trials"]) for one in found["methods"]} == {3}, "the same budget for all"
    judged = [one for one in found["changes"] if one["verdict"] is not None]
    assert [one["method"] for one in judged] == ["oversample", "tau_norm", "class_weights"]
    assert {(one["metric"], one["quantity"]) for one in judged} == {("accuracy", "worst_group")}
    assert finished.exit_code == 0


def test_records_tell_totals_and_what_a_method_chose_by_itself(world: Path, finished: pipeline.Outcome) -> None:
    found = {one["name"]: one for one in compared(world / "run")["methods"]}
    base, norm = found["baseline"], found["tau_norm"]
    assert base["images_total"] == base["images_seen"] > 0, "embedded once, whatever is trained on the embeddings"
    assert base["rows_total"] == base["rows_seen"] * (3 + 3)
    assert (base["tuned"], base["uses_adjust"]) == ([], False)
    assert norm["rows_seen"] - base["rows_seen"] == 21 * compared(world / "run")["rows"]["val"]
    assert len(norm["tuned"]) == 3
    assert all(0 <= one["tau_norm.tau"] <= 1 for one in norm["tuned"])


def test_rows_set_aside_are_told_of_methods_that_learn_from_them(world: Path, tmp_path: Path) -> None:
    """By fitting a layer, or a decision; a decision that is not fitted learns nothing."""
    costs = {"left": {"right": 1}, "right": {"left": 2}}
    named = ["dfr", "group_thresholds", {"name": "cost_matrix", "params": {"costs": costs}}]
    block = {"seeds": 2, "trials": 1, "methods": named, "primary": {"metric": "accuracy"}, "head": {"epochs": 2}}
    table = (world / "metadata.csv").read_text()
    told = []
    for aside in (0.2, 0):
        folder = tmp_path / str(aside)
        folder.mkdir()
        write_tiny(folder, rows=200)
        assert (folder / "metadata.csv").read_text() == table
        data = tiny_config()["data"]
        data = {**data, "split": {**data["split"], **({"adjust": aside} if aside else {})}}
        methods = named if aside else named[1:]
        pipeline.compare(config_in(folder, {**block, "methods": methods}, data=data), out=folder / "run")
        told.append({one["name"]: one["uses_adjust"] for one in compared(folder / "run")["methods"]})
    assert told[0] == {"baseline": False, "dfr": True, "group_thresholds": True, "cost_matrix": False}
    assert told[1] == {"baseline": False, "group_thresholds": False, "cost_matrix": False}


def test_means_are_those_of_the_seeds(world: Path, finished: pipeline.Outcome) -> None:
    found = compared(world / "run")
    for where in ({}, {"device": "day"}, {"device": "night"}):
        for method in ("baseline", "oversample"):
            of = [
                one
                for one in found["estimates"]
                if (one["method"], one["metric"], one["slice"]) == (method, "accuracy", where)
                and one["selected"] == "declared"
                and not one["recalibrated"]
            ]
            seeds = {one["seed"]: one["value"] for one in of}
            assert set(seeds) == {None, 0, 1, 2}
            assert seeds[None] == pytest.approx(np.mean([seeds[0], seeds[1], seeds[2]]), abs=1e-12)


def test_the_winner_is_audited_by_the_same_config_as_it_was_judged(world: Path, finished: pipeline.Outcome) -> None:
    found = compared(world / "run")
    winner = found["winner"]
    weights = world / "run" / winner["weights"]
    assert hash_file(weights) == winner["sha256"]
    config = ia.load_config(world / "audit.yaml", overrides=[f"model.weights={weights}"])
    pipeline.run(config, out=world / "audited")
    audit = json.loads((world / "audited" / "audit.json").read_text())
    ours = {
        (one["metric"], one["class"], tuple(one["slice"].items())): one["value"]
        for one in found["estimates"]
        if one["method"] == winner["method"] and one["seed"] == winner["seed"] and one["metric"] == "accuracy"
    }
    theirs = {(one["metric"], one["class"], tuple(one["slice"].items())): one["value"] for one in audit["estimates"]}
    assert len(ours) >= 3
    assert ours == {key: theirs[key] for key in ours}
    assert not (world / "audited" / "comparison.json").exists(), "given weights are audited as they are"


def test_nothing_is_picked_by_test_labels(world: Path, finished: pipeline.Outcome, tmp_path: Path) -> None:
    """Other labels on the test rows change what is reported, and nothing that was chosen."""
    lines = (world / "metadata.csv").read_text().splitlines()
    manifest = finished_manifest(world / "run")
    swapped = {"left": "right", "right": "left"}
    changed = []
    for line in lines[1:]:
        cells = line.split(",")
        if manifest[cells[0]] == "test" and len(changed) % 3:
            cells[1] = swapped[cells[1]]
        changed.append(",".join(cells))
    write_tiny(tmp_path, rows=200)
    splits = [manifest[line.split(",")[0]] for line in lines[1:]]
    rows = [f"{line},{split}" for line, split in zip(changed, splits, strict=True)]
    (tmp_path / "metadata.csv").write_text("\n".join([f"{lines[0]},part", *rows]) + "\n")
    data = {**tiny_config()["data"], "split": "part"}
    pipeline.compare(config_in(tmp_path, data=data), out=tmp_path / "run")
    ours, theirs = compared(world / "run"), compared(tmp_path / "run")
    assert ours["winner"] == theirs["winner"]
    for one, two in zip(ours["methods"], theirs["methods"], strict=True):
        assert (one["chosen"], one["parameters"], one["val"]) == (two["chosen"], two["parameters"], two["val"])
    assert ours["estimates"] != theirs["estimates"]


def finished_manifest(run: Path) -> dict[str, str]:
    """Every image's split, from the config's own draw."""
    from imgid_audit.pipeline.inputs import read_inputs

    inputs = read_inputs(ia.load_config(run.parent / "audit.yaml"))
    names = inputs.manifest.split.texts()
    return {str(key): str(name) for key, name in zip(inputs.manifest.ids, names, strict=True)}


class Counting:
    """Counts the networks that are trained, and asks to stop after `most`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int | None = None) -> None:
        self.names: list[tuple[str, int]] = []
        plain = HeadLaboratory.train

        def train(laboratory: HeadLaboratory, remedy: Any, setting: Any, seed: int) -> Any:
            if most is not None and len(self.names) == most:
                raise StoppedError("stopped by the test")
            self.names.append((remedy.name, seed))
            return plain(laboratory, remedy, setting, seed)

        monkeypatch.setattr(HeadLaboratory, "train", train)


@pytest.mark.parametrize("most", [1, 7, 14])
def test_a_stopped_comparison_goes_on_where_it_was(
    world: Path, finished: pipeline.Outcome, tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_in(world)
    with monkeypatch.context() as patched:
        first = Counting(patched, most)
        with pytest.raises(StoppedError):
            pipeline.compare(config, out=tmp_path / "run")
    with monkeypatch.context() as patched:
        second = Counting(patched)
        pipeline.compare(config, out=tmp_path / "run")
    assert len(first.names) == most
    assert len(first.names) + len(second.names) == 4 * (3 + 3)
    assert timeless(compared(tmp_path / "run")) == timeless(compared(world / "run"))


def test_a_finished_comparison_trains_nothing_again(
    world: Path, finished: pipeline.Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (world / "run" / "comparison.json").read_bytes()
    count = Counting(monkeypatch)
    pipeline.compare(config_in(world), out=world / "run")
    assert count.names == []
    assert (world / "run" / "comparison.json").read_bytes() == before


def test_a_damaged_network_is_trained_again(
    world: Path, finished: pipeline.Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = timeless(compared(world / "run"))
    for path in sorted((world / "run" / "mitigations" / "kept").iterdir())[:2]:
        data = bytearray(path.read_bytes())
        data[-3] ^= 1
        path.write_bytes(bytes(data))
    count = Counting(monkeypatch)
    pipeline.compare(config_in(world), out=world / "run")
    assert len(count.names) == 2
    assert timeless(compared(world / "run")) == before


def test_another_method_trains_that_method_alone(
    world: Path, finished: pipeline.Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Counting(monkeypatch)
    config = config_in(world, {"methods": [*BLOCK["methods"], "focal"]})
    pipeline.compare(config, out=world / "run")
    assert {name for name, _ in count.names} == {"focal"}
    pipeline.compare(config_in(world), out=world / "run")


def test_a_method_that_cannot_run_is_told_and_the_others_go_on(world: Path, tmp_path: Path) -> None:
    block = {
        "methods": ["oversample", "group_dro", {"name": "tests.pipeline.own_methods:Raises", "label": "mine"}],
        "seeds": 2,
        "trials": 1,
    }
    train = {key: value for key, value in TRAIN.items() if key != "groups"}
    pipeline.compare(config_in(world, block, train=train), out=tmp_path / "run")
    found = {one["name"]: one for one in compared(tmp_path / "run")["methods"]}
    assert {name: one["status"] for name, one in found.items()} == {
        "baseline": "ran",
        "oversample": "ran",
        "group_dro": "not_run",
        "mine": "not_run",
    }
    assert "train.groups" in found["group_dro"]["reason"]
    assert "a defect of mine" in found["mine"]["reason"]
    assert not any(one["method"] in ("group_dro", "mine") for one in compared(tmp_path / "run")["changes"])


def test_a_method_that_diverges_is_told(world: Path, tmp_path: Path) -> None:
    block = {"methods": ["oversample", "tests.pipeline.own_methods:Explodes"], "seeds": 2, "trials": 1}
    pipeline.compare(config_in(world, block), out=tmp_path / "run")
    found = compared(tmp_path / "run")["methods"]
    assert [one["status"] for one in found] == ["ran", "ran", "not_run"]
    assert "diverged" in found[2]["reason"]


def test_an_operating_point_is_found_anew_for_every_network(world: Path, tmp_path: Path) -> None:
    point = {"at": "specificity", "value": 0.7}
    config = config_in(world, {"seeds": 2, "trials": 1}, operating_point=point)
    with_threshold = pipeline.compare(config, out=tmp_path / "run")
    assert with_threshold.comparison is not None
    plain = pipeline.compare(config_in(world, {"seeds": 2, "trials": 1}), out=tmp_path / "plain")
    assert plain.comparison is not None
    one, two = ([e.value for e in found.comparison.estimates] for found in (with_threshold, plain))
    assert one != two


def test_run_compares_and_report_shows_it_again(world: Path, tmp_path: Path) -> None:
    report = {"formats": ["html", "json"]}
    config = config_in(world, {"seeds": 2, "trials": 1}, report=report)
    outcome = pipeline.run(config, out=tmp_path / "run")
    assert outcome.result is not None
    assert outcome.result.comparison is not None
    page = (tmp_path / "run" / "report.html").read_text()
    assert "oversample" in page
    (tmp_path / "run" / "report.html").unlink()
    pipeline.report(config, out=tmp_path / "run")
    assert (tmp_path / "run" / "report.html").read_text() == page


def test_without_the_block_there_is_nothing_to_compare(world: Path, tmp_path: Path) -> None:
    path = world / "plain.yaml"
    path.write_text(yaml.safe_dump(tiny_config()))
    with pytest.raises(InputError, match="which methods"):
        pipeline.compare(ia.load_config(path), out=tmp_path / "run")


@pytest.mark.slow
def test_whole_networks_are_those_that_train_would_make(world: Path, tmp_path: Path) -> None:
    """With one trial the baseline of a seed is the network that `train` makes with that seed."""
    oversample = BLOCK["methods"][0]
    block = {"scope": "full", "methods": [oversample, "tau_norm"], "seeds": [0, 4], "trials": 1, "select": "average"}
    train = {**TRAIN, "select": "average", "seed": 4}
    config = config_in(world, block, train=train)
    pipeline.compare(config, out=tmp_path / "run")
    pipeline.train(config, out=tmp_path / "plain")
    found = compared(tmp_path / "run")
    assert [one["status"] for one in found["methods"]] == ["ran"] * 3
    kept = {hash_file(path) for path in (tmp_path / "run" / "mitigations" / "networks").glob("*/weights.safetensors")}
    assert hash_file(tmp_path / "plain" / "model" / "weights.safetensors") in kept
    assert len(kept) == 2 * 2, "tau_norm refits the baseline's own networks"


def test_recalibrated_scores_do_not_depend_on_the_temperature_that_the_config_asks_for(
    world: Path, tmp_path: Path
) -> None:
    """The fit to val has a temperature of its own: one that was applied before would count twice."""
    block = {"seeds": 2, "trials": 1, "methods": ["class_weights"]}
    found = {}
    for name, changes in {"plain": {}, "cooled": {"calibration": {"method": "temperature"}}}.items():
        outcome = pipeline.compare(config_in(world, block, **changes), out=tmp_path / name)
        assert outcome.comparison is not None
        found[name] = {
            (one.method, one.metric, one.seed): one.value for one in outcome.comparison.estimates if one.recalibrated
        }
    assert found["plain"]
    assert found["plain"] == found["cooled"]


def test_a_comparison_made_under_other_settings_is_not_shown(world: Path, tmp_path: Path) -> None:
    block = {"seeds": 2, "trials": 1, "methods": ["class_weights"]}
    report = {"formats": ["json"]}
    pipeline.run(config_in(world, block, report=report), out=tmp_path / "run")
    other = config_in(world, block, report=report, metrics=["accuracy"])
    pipeline.evaluate(other, out=tmp_path / "run")
    shown = pipeline.report(other, out=tmp_path / "run")
    assert shown.result is not None
    assert shown.result.comparison is None
    assert any("other settings" in note for note in shown.result.notes)
    pipeline.compare(other, out=tmp_path / "run")
    again = pipeline.report(other, out=tmp_path / "run")
    assert again.result is not None
    assert again.result.comparison is not None


def test_other_costs_train_other_networks(world: Path, tmp_path: Path) -> None:
    block = {"seeds": 2, "trials": 1, "methods": ["cost_matrix"], "primary": {"metric": "accuracy"}}
    prices = [{"left": {"right": 1}, "right": {"left": much}} for much in (1, 50)]
    for costs in prices:
        pipeline.compare(config_in(world, block, costs=costs), out=tmp_path / "kept")
    pipeline.compare(config_in(world, block, costs=prices[1]), out=tmp_path / "fresh")
    assert timeless(compared(tmp_path / "kept")) == timeless(compared(tmp_path / "fresh"))


def test_a_rule_is_valued_on_val_by_its_own_decisions_and_the_next_best_is_written(world: Path, tmp_path: Path) -> None:
    """A table of costs so lopsided that one class is always decided: its worst class is never right."""
    costs = {"left": {"right": 1000}, "right": {"left": 0}}
    methods = [{"name": "cost_matrix", "params": {"costs": costs}}, {"name": "group_thresholds"}]
    block = {"seeds": 2, "trials": 1, "methods": methods, "select": "worst_class"}
    pipeline.compare(config_in(world, block), out=tmp_path / "run")
    found = {one["name"]: one for one in compared(tmp_path / "run")["methods"]}
    assert set(found["cost_matrix"]["val"]) == {0.0}
    winner = compared(tmp_path / "run")["winner"]
    assert winner["method"] == "baseline", "decisions are not part of a network's weights"
    assert hash_file(tmp_path / "run" / winner["weights"]) == winner["sha256"]


def test_a_stop_during_a_users_own_method_is_not_kept_as_its_failure(world: Path, tmp_path: Path) -> None:
    from tests.pipeline.own_methods import Slow

    config = config_in(world, {"seeds": 2, "trials": 1, "methods": ["tests.pipeline.own_methods:Slow"]})
    Slow.stop = StoppedError("asked to stop")
    with pytest.raises(StoppedError):
        pipeline.compare(config, out=tmp_path / "run")
    Slow.stop = None
    pipeline.compare(config, out=tmp_path / "run")
    assert {one["status"] for one in compared(tmp_path / "run")["methods"]} == {"ran"}


def test_an_edited_method_of_the_users_own_is_trained_anew(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib
    import sys

    code = """
from imgid_audit.vision.treatment import LinearHead, Treatment

class Turn:
    summary = "multiplies the last layer"
    source = "none"
    acts_on = ("head",)
    needs = ()

    def build(self, params, ask):
        return Treatment(refits=(lambda task, head, seed: LinearHead(FACTOR * head.weight, FACTOR * head.bias),))
"""
    monkeypatch.syspath_prepend(str(tmp_path))
    config = config_in(world, {"seeds": 2, "trials": 1, "methods": ["edited_method:Turn"]})
    values = []
    for factor in (1.0, -1.0):
        (tmp_path / "edited_method.py").write_text(f"FACTOR = {factor}\n{code}")
        sys.modules.pop("edited_method", None)
        importlib.invalidate_caches()
        outcome = pipeline.compare(config, out=tmp_path / "run")
        assert outcome.comparison is not None
        values.append([one.value for one in outcome.comparison.changes if one.verdict is not None])
    assert values[0] == [0.0], "a positive factor changes no decision"
    assert values[1] != values[0]


def test_a_flipped_bit_in_the_facts_of_a_kept_network_is_noticed(tmp_path: Path) -> None:
    from imgid_audit.io.kept_networks import KeptNetwork, NetworkShelf

    shelf = NetworkShelf(tmp_path)
    shelf.put("a" * 64, KeptNetwork({"x": np.arange(3.0)}, {"val": {"declared": 0.9}}))
    assert shelf.get("a" * 64) is not None
    path = shelf.path("a" * 64)
    path.write_bytes(path.read_bytes().replace(b"0.9", b"0.1"))
    assert shelf.get("a" * 64) is None
