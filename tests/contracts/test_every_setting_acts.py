"""Every leaf of the config reaches the result: a setting that changes nothing is a lie.

The leaves are walked from the models, so a new setting without a case here fails the test. A leaf
is changed alone, from a base in which it can matter, and what is observed must change (or, for the
few that are about speed alone, must not). What merely repeats the config is not observed.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from imgid_audit import pipeline
from imgid_audit.config import Config, load_config
from imgid_audit.core.comparison import Comparison
from imgid_audit.core.errors import AuditError
from imgid_audit.core.fit import Fit
from tests.tiny import predictions_config, predictions_table, tiny_config, write_tiny


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


def leaves(model: type[BaseModel], trail: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        inner = models_in(info.annotation)
        if not inner or (get_origin(info.annotation) is UnionType and str in get_args(info.annotation)):
            yield trail + (info.alias or name)
        for one in inner:
            yield from leaves(one, f"{trail}{info.alias or name}.")


Settings = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """`before` and `after` are assignments by trail; `base` is the config they are applied to."""

    after: Settings
    before: Settings = field(default_factory=dict)
    base: str = "brought"
    acts: bool = True


def trained(after: Settings, before: Settings | None = None, *, acts: bool = True) -> Case:
    return Case(after, before or {}, "trained", acts)


RULE = "policy.rules.0"
POINT = {"operating_point": {"at": "specificity", "value": 0.6}, "data.split": {"val": 0.3, "test": 0.5}}
DROP = {"metric": "recall", "across": "group", "max_drop": 0.01}
WAIVER = {"until": "2999-12-31", "by": "A. Person", "why": "a new scanner comes"}
COSTS = {"no": {"yes": 1}, "yes": {"no": 5}}
LAB = {
    "train.groups": ["device"],
    "mitigations": {
        "methods": [{"name": "oversample"}],
        "seeds": 2,
        "trials": 2,
        "primary": {"metric": "accuracy", "across": "device"},
        "head": {"epochs": 3, "batch_size": 8, "lr": 0.05},
    },
}
METHOD, PRIMARY = "mitigations.methods.0", "mitigations.primary"
STATS = {"model.input.mean": [0.2, 0.2, 0.2], "model.input.std": [0.3, 0.3, 0.3]}
START = {"train.init": "some.safetensors", "train.fine_tune": {"frozen_epochs": 1, "backbone_lr": 0.1}}
CASES: dict[str, Case] = {
    "name": Case({"name": "another"}),
    "notes": Case({"notes": ["simulated"]}),
    "task.type": Case(
        {"task": {"type": "multiclass"}, "predictions.table": "both.csv"}, {"predictions.table": "both.csv"}
    ),
    "task.positive": Case({"task.positive": "no"}),
    "task.labels": Case({"task.labels": ["yes", "no"]}),
    "data.manifest": Case({"data.manifest": "join.csv"}),
    "data.root": trained({"data.root": "dark"}),
    "data.image": trained({"data.image": "other_image"}),
    "data.label": Case({"data.label": "other_label"}),
    "data.id": trained({"data.id": "name"}),
    "data.subject": Case({"data.subject": None}),
    "data.split": Case({"data.split": "split"}),
    "data.split.column": Case({"data.split": {"column": "other_split"}}, {"data.split": {"column": "split"}}),
    "data.split.val": Case({"data.split": {"test": 0.5, "val": 0.3}}, {"data.split": {"test": 0.5, "val": 0.1}}),
    "data.split.test": Case({"data.split": {"test": 0.6}}, {"data.split": {"test": 0.5}}),
    "data.split.adjust": Case({"data.split": {"test": 0.5, "adjust": 0.2}}, {"data.split": {"test": 0.5}}),
    "data.split.seed": Case({"data.split": {"test": 0.5, "seed": 7}}, {"data.split": {"test": 0.5}}),
    "data.attributes.column": Case({"data.attributes.site.column": "group"}),
    "data.attributes.bins": trained({"data.attributes.age.bins": [0, 30, 100]}),
    "data.attributes.min_count": Case({"data.attributes.site.min_count": 101}),
    "data.attributes.reference": Case({"data.attributes.group.reference": "b"}),
    "data.intersections": Case({"data.intersections": []}),
    "model.architecture": trained(
        {"model.architecture": "squeezenet1_1", "model.input.size": 32}, {"model.input.size": 32}
    ),
    "model.weights": trained({"model.weights": "other.safetensors"}, {"model.weights": "some.safetensors"}),
    "model.sha256": trained({"model.sha256": "0" * 64}, {"model.weights": "some.safetensors"}),
    "model.dropout": trained({"model.dropout": 0.5}),
    "model.input.size": trained({"model.input.size": 24}),
    "model.input.channels": trained({"model.input.channels": 1}),
    "model.input.mean": trained({"model.input.mean": [0.9, 0.9, 0.9]}, STATS),
    "model.input.std": trained({"model.input.std": [0.9, 0.9, 0.9]}, STATS),
    "train.init": trained({"train.init": "other.safetensors"}, {"train.init": "some.safetensors"}),
    "train.epochs": trained({"train.epochs": 3}),
    "train.batch_size": trained({"train.batch_size": 8}),
    "train.optimizer": trained({"train.optimizer": "sgd"}),
    "train.lr": trained({"train.lr": 0.001}),
    "train.weight_decay": trained({"train.weight_decay": 0.5}),
    "train.schedule": trained({"train.schedule": "constant"}),
    "train.augment.hflip": trained({"train.augment.hflip": 0.5}),
    "train.augment.vflip": trained({"train.augment.vflip": 0.5}),
    "train.augment.rotation": trained({"train.augment.rotation": 30}),
    "train.augment.crop": trained({"train.augment.crop": 0.5}),
    "train.augment.colour": trained({"train.augment.colour": 0.5}),
    "train.augment.randaugment": trained({"train.augment.randaugment": 2}),
    "train.resample.name": trained(
        {"train.resample": {"name": "undersample", "params": {"by": "group"}}},
        {"train.groups": ["device"], "train.resample": {"name": "oversample", "params": {"by": "group"}}},
    ),
    "train.resample.params": trained(
        {"train.resample.params": {"by": "group"}},
        {"train.groups": ["device"], "train.resample": {"name": "undersample", "params": {"by": "class_and_group"}}},
    ),
    "train.select": trained({"train.select": "worst_class"}),
    "train.groups": trained({"train.groups": ["sex"]}, {"train.groups": ["device"], "train.select": "worst_group"}),
    "train.patience": trained({"train.patience": 1}, {"train.lr": 1e-9, "train.epochs": 6}),
    "train.seed": trained({"train.seed": 1}),
    "train.fine_tune.frozen_epochs": trained({"train.fine_tune.frozen_epochs": 2}, START),
    "train.fine_tune.backbone_lr": trained({"train.fine_tune.backbone_lr": 0.9}, START),
    "train.fine_tune.layer_decay": trained({"train.fine_tune.layer_decay": 0.2}, START),
    "train.average.method": trained({"train.average.method": "swa"}, {"train.average": {"start": 0}}),
    "train.average.decay": trained({"train.average.decay": 0.05}, {"train.average": {"decay": 0.02}}),
    "train.average.start": trained(
        {"train.average.start": 0.6}, {"train.average": {"method": "swa", "start": 0}, "train.epochs": 4}
    ),
    "train.accumulate": trained({"train.accumulate": 2}),
    "train.compile": trained({"train.compile": "never"}, acts=False),
    "train.workers": trained({"train.workers": 3}, {"train.workers": 0}, acts=False),
    "train.precision": trained({"train.precision": "bfloat16"}, {"train.precision": "float32"}),
    "train.device": trained({"train.device": "cuda:99"}),
    "predict.device": trained({"predict.device": "cuda:99"}),
    "predict.batch_size": trained({"predict.batch_size": 2}, {"predict.batch_size": 16}),
    "predict.workers": trained({"predict.workers": 3}, {"predict.workers": 0}, acts=False),
    "predict.precision": trained({"predict.precision": "bfloat16"}, {"predict.precision": "float32"}),
    "predict.shard_rows": trained({"predict.shard_rows": 7}),
    "predict.max_failed": trained(
        {"predict.max_failed": 0.5}, {"data.image": "broken_image", "predict.max_failed": 0.01}
    ),
    "predictions.table": Case({"predictions.table": "other.csv"}),
    "predictions.stream": Case(
        {"predictions.stream": True}, {"task": {"type": "multiclass"}, "predictions.table": "many.parquet"}
    ),
    "predictions.max_failed": Case({"predictions.max_failed": 0}, {"predictions.table": "holes.csv"}),
    "operating_point.at": Case({"operating_point.at": "sensitivity"}, POINT),
    "operating_point.value": Case({"operating_point.value": 0.9}, POINT),
    "operating_point.max": Case({"operating_point": {"max": "youden"}}, {**POINT, "operating_point": {"max": "f1"}}),
    "costs": Case({"costs": COSTS}, {"costs": {**COSTS, "no": {"yes": 9}}}),
    "operating_point.threshold": Case({"operating_point": {"threshold": 0.8}}, {"operating_point": {"threshold": 0.5}}),
    "calibration.method": Case({"calibration": {"method": "temperature"}}, {"data.split": {"val": 0.3, "test": 0.5}}),
    "metrics": Case({"metrics": ["brier"]}),
    "intervals.level": Case({"intervals.level": 0.9}),
    "intervals.draws": Case({"intervals.draws": 200}),
    "intervals.proportion": Case({"intervals.proportion": "clopper_pearson"}),
    "intervals.difference": Case({"intervals.difference": "miettinen_nurminen"}),
    "intervals.ratio": Case({"intervals.ratio": "koopman"}),
    "intervals.mean": Case({"intervals.mean": "bootstrap"}, {"metrics": ["balanced_accuracy"]}),
    "intervals.seed": Case({"intervals.seed": 5}),
    "privacy.min_cell": Case({"privacy": {"min_cell": 40}}, {"privacy": {"min_cell": 2}}),
    "policy.on_inconclusive": Case(
        {"policy.on_inconclusive": "warn"}, {f"{RULE}.max_gap": 0.25, "policy.min_support": 10_000}
    ),
    "policy.min_support": Case({"policy.min_support": 10_000}),
    "policy.rules.id": Case({f"{RULE}.id": "other"}),
    "policy.rules.metric": Case({f"{RULE}.metric": "precision"}),
    "policy.rules.across": Case({f"{RULE}.across": "site"}),
    "policy.rules.class": Case(
        {f"{RULE}.class": "y"}, {"task": {"type": "multiclass"}, "predictions.table": "many.csv"}
    ),
    "policy.rules.max_gap": Case({f"{RULE}.max_gap": 0.9}),
    "policy.rules.min_value": Case(
        {f"{RULE}": {"metric": "recall", "min_value": 0.95}}, {f"{RULE}": {"metric": "recall", "min_value": 0.2}}
    ),
    "policy.rules.max_value": Case(
        {f"{RULE}": {"metric": "recall", "max_value": 0.95}}, {f"{RULE}": {"metric": "recall", "max_value": 0.2}}
    ),
    "policy.rules.min_ratio": Case(
        {f"{RULE}": {"metric": "recall", "across": "group", "min_ratio": 0.99}},
        {f"{RULE}": {"metric": "recall", "across": "group", "min_ratio": 0.1}},
    ),
    "policy.rules.waiver.until": Case({f"{RULE}.waiver.until": "2001-01-01"}, {f"{RULE}.waiver": WAIVER}),
    "policy.rules.waiver.by": Case({f"{RULE}.waiver.by": "B. Other"}, {f"{RULE}.waiver": WAIVER}),
    "policy.rules.waiver.why": Case({f"{RULE}.waiver.why": "another reason"}, {f"{RULE}.waiver": WAIVER}),
    "policy.baseline": Case({"policy.baseline": "baseline-other"}, {"policy.baseline": "baseline", f"{RULE}": DROP}),
    "policy.rules.max_drop": Case({f"{RULE}.max_drop": 0.5}, {"policy.baseline": "baseline", f"{RULE}": DROP}),
    "policy.rules.ignore": Case({f"{RULE}.ignore": ["z"]}, {f"{RULE}.across": "site"}),
    "checks": Case({"checks": {"D003": False}}),
    "report.formats": Case({"report.formats": ["json", "csv"]}),
    "report.worst_images": trained({"report.worst_images": 2}, {"report.formats": ["html"], "train.lr": 1e-9}),
}


def compared(after: Settings, before: Settings | None = None) -> Case:
    return trained(after, {**LAB, **(before or {})})


CASES |= {
    "mitigations.scope": compared({"mitigations.scope": "full"}),
    "mitigations.methods.name": compared({f"{METHOD}.name": "undersample"}),
    "mitigations.methods.params": compared({f"{METHOD}.params": {"by": "group"}}),
    "mitigations.methods.with.name": compared(
        {f"{METHOD}.with": [{"name": "focal"}]}, {f"{METHOD}.with": [{"name": "group_dro"}], f"{METHOD}.label": "a"}
    ),
    "mitigations.methods.with.params": compared(
        {f"{METHOD}.with.0.params": {"gamma": 5}}, {f"{METHOD}.with": [{"name": "focal", "params": {"gamma": 0.5}}]}
    ),
    "mitigations.methods.label": compared({f"{METHOD}.label": "as many of each"}),
    "mitigations.seeds": compared({"mitigations.seeds": [0, 2]}),
    "mitigations.trials": compared({"mitigations.trials": 1}),
    "mitigations.select": compared({"mitigations.select": "average"}),
    "mitigations.primary.metric": compared({f"{PRIMARY}.metric": "recall"}),
    "mitigations.primary.across": compared({f"{PRIMARY}.across": "sex"}),
    "mitigations.primary.class": compared(
        {f"{PRIMARY}.class": "left"},
        {
            "task": {"type": "multiclass"},
            "policy": {"rules": []},
            f"{PRIMARY}.metric": "recall",
            f"{PRIMARY}.class": "macro",
        },
    ),
    "mitigations.primary.of": compared({f"{PRIMARY}.of": "gap"}),
    "mitigations.primary.ignore": compared({f"{PRIMARY}.ignore": ["night"]}),
    "mitigations.backbone": compared({"mitigations.backbone": "init"}, {"train.init": "some.safetensors"}),
    "mitigations.head.epochs": compared({"mitigations.head.epochs": 4}),
    "mitigations.head.batch_size": compared({"mitigations.head.batch_size": 4}),
    "mitigations.head.lr": compared({"mitigations.head.lr": 0.001}),
    "mitigations.head.weight_decay": compared({"mitigations.head.weight_decay": 0.9}),
}


SEARCH = {
    "train.search": {
        "sampler": "random",
        "trials": 3,
        "confirm": 2,
        "pruner": "none",
        "space": {"lr": [0.003, 0.005, 0.01, 0.02], "augment.hflip": [0, 0.5]},
    },
    "train.lr": 0.00001,
    "train.epochs": 5,
}
LADDER = {"train.ladder": {"architectures": ["smallcnn", "shufflenet_v2_x0_5"], "seeds": 2}, "train.groups": ["device"]}
SHARES = {"train.data_ladder": {"fractions": [0.5, 1], "seeds": 2}, "train.groups": ["device"]}
EFFECT = {
    "train.augment_effect": {"seeds": 2},
    "train.augment": {"hflip": 0.5, "rotation": 5},
    "train.groups": ["device"],
}


def searched(after: Settings, before: Settings | None = None) -> Case:
    return trained({f"train.search.{name}": value for name, value in after.items()}, {**SEARCH, **(before or {})})


OBJECTIVE = {"train.search.objective": {"metric": "brier", "across": ["device"]}, "policy.min_support": 1}
CASES |= {
    "train.search.sampler": searched({"sampler": "grid"}),
    "train.search.trials": searched({"trials": 2}),
    "train.search.minutes": searched({"minutes": 1e-9}),
    "train.search.pruner": searched({"pruner": "hyperband"}, {"train.search.trials": 9}),
    "train.search.seed": searched({"seed": 5}),
    "train.search.confirm": searched({"confirm": 3}),
    "train.search.space": searched({"space": {"weight_decay": [0.1, 1]}}),
    "train.search.objective.metric": searched({"objective.metric": "log_loss"}, OBJECTIVE),
    "train.search.objective.across": searched({"objective.across": ["sex"]}, OBJECTIVE),
    "train.search.objective.class": searched(
        {"objective.class": "left"},
        {
            "task": {"type": "multiclass"},
            "policy": {"rules": []},
            "train.search.objective": {"metric": "auroc", "class": "macro"},
        },
    ),
    "train.search.objective.of": searched({"objective.of": "gap"}, OBJECTIVE),
    "train.search.objective.ignore": searched({"objective.ignore": ["night"]}, OBJECTIVE),
    "train.ladder.architectures": trained({"train.ladder.architectures": ["smallcnn", "shufflenet_v2_x1_0"]}, LADDER),
    "train.ladder.seeds": trained({"train.ladder.seeds": 3}, LADDER),
    "train.ladder.across": trained({"train.ladder.across": ["sex"]}, LADDER),
    "train.ladder.tolerance": trained(
        {"train.ladder.tolerance": 0.999}, {**LADDER, "train.ladder.seeds": 5, "data.subject": None}
    ),
    "train.data_ladder.fractions": trained({"train.data_ladder.fractions": [0.25, 1]}, SHARES),
    "train.data_ladder.by_group": trained({"train.data_ladder.by_group": True}, SHARES),
    "train.data_ladder.seeds": trained({"train.data_ladder.seeds": 3}, SHARES),
    "train.data_ladder.across": trained({"train.data_ladder.across": ["sex"]}, SHARES),
    "train.data_ladder.tolerance": trained(
        {"train.data_ladder.tolerance": 0.999}, {**SHARES, "train.data_ladder.seeds": 5, "data.subject": None}
    ),
    "train.augment_effect.each": trained({"train.augment_effect.each": True}, EFFECT),
    "train.augment_effect.seeds": trained({"train.augment_effect.seeds": 3}, EFFECT),
    "train.augment_effect.across": trained({"train.augment_effect.across": ["sex"]}, EFFECT),
    "train.augment_effect.tolerance": trained(
        {"train.augment_effect.tolerance": 0.999}, {**EFFECT, "train.augment_effect.seeds": 5, "data.subject": None}
    ),
}


def test_every_leaf_has_a_case():
    assert set(leaves(Config)) == set(CASES)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    manifest = write_tiny(folder, rows=60)
    rows = manifest.read_text().splitlines()
    extra = [f"images/{(i + 2) % 60:03d}.png,n{i},{'images' if i % 9 else 'broken'}/{i:03d}.png" for i in range(60)]
    lines = [f"{rows[0]},other_image,name,broken_image", *map(",".join, zip(rows[1:], extra, strict=True))]
    manifest.write_text("\n".join(lines) + "\n")
    write_tiny(folder / "dark", rows=60, seed=3)
    (folder / "broken").mkdir()
    for i in range(0, 60, 9):
        (folder / "broken" / f"{i:03d}.png").write_bytes(b"no image")
    write_predictions(folder)
    write_weights(folder)
    write_baselines(folder)
    return folder


def write_predictions(folder: Path) -> None:
    import pandas as pd

    table = predictions_table(folder)
    header, *rows = table.read_text().splitlines()
    flip = {"yes": "no", "no": "yes"}
    lines = [f"{header},split,other_split,other_label"]
    for i, row in enumerate(rows):
        label = row.split(",")[1]
        other = flip[label] if i % 6 == 0 else label
        subject = i // 3
        lines.append(f"{row},{'test' if subject % 2 else 'val'},{'val' if subject % 3 else 'test'},{other}")
    table.write_text("\n".join(lines) + "\n")
    holes = [*lines[:-2], *(",".join([*line.split(",")[:5], "", *line.split(",")[6:]]) for line in lines[-2:])]
    table.with_name("holes.csv").write_text("\n".join(holes) + "\n")
    table.with_name("other.csv").write_text("\n".join([lines[0], *lines[100:]]) + "\n")
    join = ["id,label,subject,group,site", *[",".join(line.split(",")[:5]) for line in lines[1:]], "extra,yes,s0,a,x"]
    table.with_name("join.csv").write_text("\n".join(join) + "\n")
    both = [f"{header},score:no", *[f"{row},{1 - float(row.split(',')[5]):.6f}" for row in rows]]
    table.with_name("both.csv").write_text("\n".join(both) + "\n")
    many = ["id,label,subject,group,site,predicted"]
    many += [
        f"r{i},{'xyz'[i % 3]},s{i // 3},{'ab'[i % 2]},s,{'xyz'[(i + (i % 7 == 0) * (i % 2)) % 3]}" for i in range(300)
    ]
    table.with_name("many.csv").write_text("\n".join(many) + "\n")
    pd.read_csv(table.with_name("many.csv")).to_parquet(table.with_name("many.parquet"))


def write_baselines(folder: Path) -> None:
    for name, table in (("baseline", "predictions.csv"), ("baseline-other", "other.csv")):
        config = load_config(predictions_config(predictions={"table": table}), folder=folder)
        pipeline.run(config, out=folder / name)


def write_weights(folder: Path) -> None:
    for name, seed in (("some", 11), ("other", 12)):
        config = load_config(tiny_config(train={"epochs": 1, "seed": seed}), folder=folder)
        outcome = pipeline.train(config, out=folder / f"weights-{name}")
        (folder / f"{name}.safetensors").write_bytes(outcome.files[0].read_bytes())


def assigned(config: Settings, changes: Settings) -> Settings:
    config = copy.deepcopy(config)
    for trail, value in changes.items():
        *parents, last = trail.split(".")
        place: Any = config
        for key in parents:
            place = place[int(key)] if key.isdecimal() else place.setdefault(key, {})
        place[int(last) if last.isdecimal() else last] = copy.deepcopy(value)
    return config


def base(name: str) -> Settings:
    config = tiny_config() if name == "trained" else predictions_config()
    if name == "brought":
        config["metrics"] = ["accuracy", "recall", "balanced_accuracy", "ece"]
    return config


def observe(settings: Settings, world: Path, out: Path) -> tuple[Any, ...]:
    """All that a person could see of the run, but for the repeated config, times and hashes."""
    config = load_config(settings, folder=world)
    try:
        outcome = pipeline.run(config, out=out)
    except AuditError as error:
        return (error.exit_code, str(error).replace(str(out), "OUT"))
    result = outcome.result
    assert result is not None
    evaluation = replace(result.evaluation, confusion=None, reliability=())
    shards = (
        sorted(path.name for path in (out / "predictions").glob("*.parquet")) if (out / "predictions").exists() else []
    )
    weights = out / "model" / "weights.safetensors"
    pictures = (out / "report.html").read_text().count("data:image/png") if (out / "report.html").exists() else 0
    return (
        outcome.exit_code,
        result.name,
        repr(evaluation),
        repr(result.data),
        repr(result.findings),
        result.privacy and result.privacy.suppressed,
        result.notes,
        repr(result.provenance.get("training")),
        ids_of(out),
        sorted(str(path.relative_to(out)) for path in outcome.files),
        shards,
        hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else None,
        scores_of(out),
        json.loads((out / "predictions" / "ledger.json").read_text())["meta"] if shards else None,
        pictures,
        comparison_of(result.comparison),
        fit_of(result.fit),
    )  # fmt: skip


def fit_of(fit: Fit | None) -> str:
    """What is told of the training, without what it repeats of the config."""
    if fit is None:
        return ""
    found = [fit.curves, fit.gaps]
    if fit.search is not None:
        of = fit.search
        found += [of.trials, of.chosen, of.ended, of.val, of.estimates, of.changes, of.importance]
    for study in fit.studies:
        found += [study.variants, study.estimates, study.steps, study.enough, study.flattening]
    return repr(found)


def comparison_of(comparison: Comparison | None) -> str:
    """What a comparison of mitigations found, without what it repeats of the config and the seconds it took."""
    if comparison is None:
        return ""
    records = [replace(record, parameters={}, trials=(), seconds=0.0, seeds=()) for record in comparison.records]
    trials = [[(trial.val, trial.average, trial.test) for trial in record.trials] for record in comparison.records]
    found = (records, trials, comparison.estimates, comparison.changes, comparison.winner, comparison.left_out)
    return repr(found)


def ids_of(out: Path) -> str:
    import pandas as pd

    return ",".join(pd.read_parquet(out / "manifest.parquet", columns=["id"])["id"].astype(str))


def scores_of(out: Path) -> str:
    import pandas as pd

    shards = sorted((out / "predictions").glob("*.parquet")) if (out / "predictions").exists() else []
    return "".join(pd.read_parquet(path).filter(like="score").to_csv() for path in shards)


@pytest.fixture(scope="module")
def bases(world: Path, tmp_path_factory: pytest.TempPathFactory):
    """Observations of the bases, each made once."""
    seen: dict[str, tuple[Any, ...]] = {}

    def of(case: Case) -> tuple[Any, ...]:
        key = case.base + repr(case.before)
        if key not in seen:
            out = tmp_path_factory.mktemp("base") / "run"
            seen[key] = observe(assigned(base(case.base), case.before), world, out)
        return seen[key]

    return of


@pytest.mark.parametrize("leaf", CASES)
def test_a_leaf_changes_the_result(leaf: str, world: Path, bases, tmp_path: Path):
    case = CASES[leaf]
    before = bases(case)
    after = observe(assigned(assigned(base(case.base), case.before), case.after), world, tmp_path / "run")
    assert (before != after) == case.acts
    if before[0] == 2:
        pytest.fail(f"the base of {leaf} is not a valid run: {before[1]}")
