"""What a valid config means: texts, defaults, paths, overrides, and the types it turns into."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imgid_audit.checks import CHECKS
from imgid_audit.config import Config, load_config, load_policy
from imgid_audit.core.errors import InputError
from imgid_audit.core.policy import EvaluationSpec, IntervalSpec, Policy, Rule
from imgid_audit.core.task import Task

EXAMPLES = Path(__file__).parents[2] / "examples"

DESIGN = """\
name: covid-cxr
task: {type: binary, positive: covid19, labels: [other, covid19]}
data:
  manifest: metadata.csv
  image: image
  label: label
  subject: subject_id
  split: {val: 0.2, test: 0.4, seed: 0}
  attributes:
    sex: {}
    view:
    age: {bins: [0, 46, 61, 76, 130]}
    country: {column: derived_country, min_count: 20}
  intersections: [[sex, view]]
model:
  architecture: resnet18
  weights: null
  input: {size: 224, mean: imagenet, std: imagenet}
train: {init: null, epochs: 10, optimizer: adamw, lr: 0.001, weight_decay: 1e-4, augment: {hflip: 0.5},
        select: worst_group, groups: sex}
predict: {device: auto, batch_size: auto, workers: auto, precision: auto, shard_rows: 4096, max_failed: 0.01}
operating_point: {at: specificity, value: 0.9}
metrics: [accuracy, recall, precision, specificity, auroc, ece]
intervals: {level: 0.9, draws: 200, seed: 3}
policy:
  on_inconclusive: warn
  min_support: 11
  rules:
    - {id: sex-recall, metric: recall, across: sex, max_gap: 0.10}
    - {metric: recall, across: [sex, view], min_value: 0.80, ignore: [(missing), 3]}
    - {id: impact, metric: selection_rate, across: sex, min_ratio: 0.80, class: covid19}
checks: {D001: {max_share: 0.5}, D005: false}
report: {formats: [html, json], worst_images: 3}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "audit.yaml"
    path.write_text(DESIGN)
    return path


def test_blocks_become_the_types_that_flow(path: Path) -> None:
    config = load_config(path)
    assert config.evaluation_spec() == EvaluationSpec(
        metrics=("accuracy", "recall", "precision", "specificity", "auroc", "ece"),
        intersections=(("sex", "view"),),
        intervals=IntervalSpec(0.9, 200, 3),
        policy=Policy(
            rules=(
                Rule("sex-recall", "recall", "max_gap", 0.1, ("sex",)),
                Rule(
                    "recall-sex*view-min_value", "recall", "min_value", 0.8, ("sex", "view"), None, ("(missing)", "3")
                ),
                Rule("impact", "selection_rate", "min_ratio", 0.8, ("sex",), "covid19"),
            ),
            on_inconclusive="warn",
            min_support=11,
        ),
    )
    assert config.train.groups == ("sex",)
    assert config.train.weight_decay == 1e-4
    assert config.trains


def test_checks_have_parameters_or_are_off(path: Path) -> None:
    settings = load_config(path).check_settings()
    assert list(settings) == list(CHECKS.names)
    assert settings["D005"] is None
    assert settings["D001"] == CHECKS["D001"].Params(max_share=0.5)
    assert settings["D004"] == CHECKS["D004"].Params()


def test_paths_are_relative_to_the_config(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path.parent)
    config = load_config(path.relative_to(tmp_path.parent))
    assert config.path_of("metadata.csv") == tmp_path / "metadata.csv"
    assert config.path_of("/data/x.csv") == Path("/data/x.csv")
    assert (config.folder, config.source) == (tmp_path, path)
    assert load_config(config.plain()).folder == tmp_path.parent
    assert load_config(config.plain(), folder=tmp_path).path_of("a") == tmp_path / "a"


def test_plain_reads_back_and_is_json(path: Path) -> None:
    import json

    config = load_config(path)
    again = load_config(json.loads(json.dumps(config.plain())), folder=config.folder)
    assert again.plain() == config.plain()
    assert again.evaluation_spec() == config.evaluation_spec()
    assert "predictions" not in config.plain()


def labels_of(text: str, folder: Path) -> tuple[str, ...] | None:
    (folder / "l.yaml").write_text(
        f"name: a\ntask: {{type: multiclass, labels: {text}}}\npredictions: {{table: p.csv}}\n", encoding="utf-8"
    )
    return load_config(folder / "l.yaml").task.labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("[0, 1, 10]", ("0", "1", "10")),
        ("[01, 010, 08]", ("01", "010", "08")),
        ("[-1, 1]", ("-1", "1")),
        ('["1.0", "NO", "yes", "null", ""]', ("1.0", "NO", "yes", "null", "")),
        ("[a b, é, '  x ']", ("a b", "é", "  x ")),
    ],
)
def test_labels_are_texts_as_written(text: str, labels: tuple[str, ...], tmp_path: Path) -> None:
    assert labels_of(text, tmp_path) == labels


def test_labels_of_a_dict_may_be_integers() -> None:
    config = load_config({"name": "a", "task": {"type": "multiclass", "labels": [0, 1]}, "predictions": {"table": "p"}})
    assert config.task.labels == ("0", "1")


def test_overrides_change_one_setting(path: Path) -> None:
    config = load_config(
        path,
        overrides=(
            "predict.batch_size=8",
            "train.augment.rotation=5",
            "policy.rules.0.max_gap=0.2",
            "policy.rules.3={metric: accuracy, min_value: 0.5}",
            "data.attributes.site={}",
            "checks=",
            "name=a=b",
        ),
    )
    assert config.predict.batch_size == 8
    assert (config.train.augment.rotation, config.train.augment.hflip) == (5, 0.5)
    assert config.policy.rules[0].max_gap == 0.2
    assert config.policy.rules[3].metric == "accuracy"
    assert list(config.data.attributes) == ["sex", "view", "age", "country", "site"]
    assert config.checks == {}
    assert config.name == "a=b"


def test_blocks_written_as_nothing_are_not_written(path: Path) -> None:
    config = load_config(path, overrides=("operating_point=", "report=null", "intervals=", "notes="))
    assert config.operating_point is None
    assert config.report.formats == ("html", "pdf", "json", "csv")
    assert config.intervals.level == 0.95


def test_a_config_does_not_change(path: Path) -> None:
    config = load_config(path)
    with pytest.raises(ValueError, match="frozen"):
        config.name = "other"  # type: ignore[misc]


def test_notes_are_kept(path: Path) -> None:
    assert load_config(path, overrides=("notes=[Devices are simulated.]",)).notes == ("Devices are simulated.",)


TASK = Task("binary", ("other", "covid19"), "covid19")


@pytest.mark.parametrize("head", ["", "policy:\n", "name: x\nmetrics: [nothing]\npolicy:\n"])
def test_a_policy_file_is_a_block_or_has_one(head: str, tmp_path: Path) -> None:
    indent = "  " if head else ""
    body = ["min_support: 3", "rules:", "  - {metric: recall, across: sex, max_gap: 0.2}"]
    (tmp_path / "p.yaml").write_text(head + "".join(f"{indent}{line}\n" for line in body))
    policy = load_policy(tmp_path / "p.yaml", task=TASK, attributes=("sex",))
    assert policy == Policy((Rule("recall-sex-max_gap", "recall", "max_gap", 0.2, ("sex",)),), min_support=3)


def test_a_policy_file_is_held_against_the_run(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        "rules:\n  - {metric: recall, across: site, max_gap: 0.2}\n"
        "  - {metric: recall, class: other, min_value: 2}\nx: 1\n"
    )
    with pytest.raises(InputError) as caught:
        load_policy(tmp_path / "p.yaml", task=TASK, attributes=("sex",))
    assert [str(problem) for problem in caught.value.problems] == [
        "p.yaml:2 [rules > 0 > across] unknown attribute 'site': known are sex",
        "p.yaml:3 [rules > 1 > min_value] must be <= 1, got 2: write 2 % as 0.02",
        "p.yaml:3 [rules > 1 > class] must be the positive class 'covid19' in a binary task, got 'other'",
        "p.yaml:4 [x] unknown key 'x': known are on_inconclusive, min_support, baseline, rules",
    ]


@pytest.mark.parametrize("example", sorted(folder.name for folder in EXAMPLES.iterdir() if folder.is_dir()))
def test_examples_validate(example: str) -> None:
    config = load_config(EXAMPLES / example / "audit.yaml")
    assert config.policy.rules
    readme = (EXAMPLES / example / "README.md").read_text(encoding="utf-8")
    assert "expected to show" in readme


def test_bounds_of_metrics_without_an_upper_end_are_free(path: Path) -> None:
    rule = "policy.rules.0={metric: log_loss, across: sex, max_gap: 1.5}"
    assert load_config(path, overrides=(rule,)).policy.rules[0].max_gap == 1.5


HEAVY = (
    "torch",
    "torchvision",
    "torchmetrics",
    "pandas",
    "sklearn",
    "matplotlib",
    "weasyprint",
    "imblearn",
    "fairlearn",
)


def test_validation_loads_nothing_heavy(path: Path) -> None:
    code = f"import sys; from imgid_audit.config import load_config; load_config({str(path)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "imgid_audit.config" in loaded
    assert not loaded & set(HEAVY)


def test_every_block_is_described() -> None:
    """Whoever documents the config finds every field of ours described, or plain by its name and type."""
    schema: dict[str, Any] = Config.model_json_schema(by_alias=True)
    assert set(schema["required"]) == {"name", "task"}
    assert all(block.get("description") for block in schema["$defs"].values())
