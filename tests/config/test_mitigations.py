"""The `mitigations:` block: what it means, and every way to get it wrong, with line, trail and words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from imgid_audit.config import Config, load_config
from imgid_audit.config.template import write_config
from imgid_audit.core.errors import InputError
from imgid_audit.mitigations import MITIGATIONS

HEAD = """\
name: audit
task: {type: binary, positive: sick, labels: [well, sick]}
data:
  manifest: table.csv
  split: {val: 0.2, test: 0.4, adjust: 0.1}
  attributes: {sex: {}, site: {}}
model: {architecture: smallcnn}
train: {groups: [sex]}
mitigations:
"""
GOOD = """\
  seeds: 3
  methods:
    - oversample
    - {name: undersample, params: {by: group}, label: fewer of the many}
    - {name: oversample, with: [{name: group_dro}], label: both}
  primary: {metric: recall, across: sex}
"""
MULTI = HEAD.replace("type: binary, positive: sick, labels: [well, sick]", "type: multiclass, labels: [a, b, c]")
SCORED = """\
  methods: [oversample]
  primary: {metric: brier}
"""


def load(text: str, folder: Path, *overrides: str) -> Config:
    (folder / "audit.yaml").write_text(text, encoding="utf-8")
    return load_config(folder / "audit.yaml", overrides=overrides)


def problems(text: str, folder: Path, *overrides: str) -> list[str]:
    """What is wrong with a config, one text a problem, without the file's name; fails where nothing is."""
    with pytest.raises(InputError) as caught:
        load(text, folder, *overrides)
    return [str(problem).removeprefix("audit.yaml:") for problem in caught.value.problems]


def one(methods: str, head: str = HEAD, **more: str) -> str:
    """A config with these methods; `more` are further keys of the block."""
    keys = {"primary": "{metric: accuracy, across: sex}", **more}
    return f"{head}  methods: [{methods}]\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items())


def test_a_block_is_read(tmp_path: Path) -> None:
    settings = load(HEAD + GOOD, tmp_path).mitigations
    assert settings is not None
    assert (settings.seeds, settings.trials, settings.scope, settings.select) == ((0, 1, 2), 8, "head", None)
    assert [entry.title for entry in settings.methods] == ["oversample", "fewer of the many", "both"]
    assert [entry.name for entry in settings.methods[2].entries] == ["oversample", "group_dro"]
    assert settings.primary.across == ("sex",)


def test_the_title_of_a_combination_names_its_methods(tmp_path: Path) -> None:
    settings = load(one("{name: oversample, with: group_dro}"), tmp_path).mitigations
    assert settings is not None
    assert settings.methods[0].title == "oversample+group_dro"


@pytest.mark.parametrize(("written", "seeds"), [("2", (0, 1)), ("[7, 3, 11]", (7, 3, 11)), ("[0, 2147483646]", None)])
def test_seeds_are_a_number_or_a_list(written: str, seeds: tuple[int, ...] | None, tmp_path: Path) -> None:
    settings = load(one("oversample", seeds=written), tmp_path).mitigations
    assert settings is not None
    assert settings.seeds == (seeds or (0, 2147483646))


def test_plain_reads_back_and_is_json(tmp_path: Path) -> None:
    config = load(HEAD + GOOD, tmp_path)
    again = load_config(json.loads(json.dumps(config.plain())), folder=config.folder)
    assert again.plain() == config.plain()
    assert again.mitigations == config.mitigations
    assert config.plain()["mitigations"]["methods"][2]["with"] == [{"name": "group_dro", "params": {}}]
    assert "mitigations" not in load(HEAD.partition("mitigations")[0], tmp_path).plain()


def test_the_winner_is_audited_by_the_same_config(tmp_path: Path) -> None:
    for scope in ("head", "full"):
        config = load(one("oversample", scope=scope), tmp_path, "model.weights=winner.safetensors")
        assert not config.trains
        assert load_config(config.plain(), folder=tmp_path).train.groups == ("sex",), "a comparison needs the groups"


def test_new_data_without_splits_are_audited_by_the_same_config(tmp_path: Path) -> None:
    assert load(one("oversample"), tmp_path, "model.weights=winner.safetensors", "data.split=").mitigations


def test_a_method_that_lacks_its_groups_is_no_error(tmp_path: Path) -> None:
    assert load(one("{name: oversample, params: {by: group}}, group_dro"), tmp_path, "train.groups=[]").mitigations


NO_SEED = "the scatter between seeds is part of every interval, and one seed has none"
BLOCK = [
    # (the block's text, how each problem begins: line, trail, message)
    (
        one("oversampel"),
        ["10 [mitigations > methods > 0 > name] unknown mitigation 'oversampel': did you mean 'oversa"],
    ),
    (
        one("{name: oversample, params: {by: klass}}"),
        ["10 [mitigations > methods > 0 > params > by] must be 'class', 'group' or 'class_and_group', got 'klass'"],
    ),
    (
        one("{name: oversample, params: {bye: class}}"),
        ["10 [mitigations > methods > 0 > params > bye] unknown key 'bye': did you mean 'by'? known are by"],
    ),
    (
        one("{name: oversample, parms: {}}"),
        ["10 [mitigations > methods > 0 > parms] unknown key 'parms': did you mean 'params'?"],
    ),
    (
        one("{name: oversample, with: [{name: group_drow}]}"),
        ["10 [mitigations > methods > 0 > with > 0 > name] unknown mitigation 'group_drow': did you mean 'group_dro'?"],
    ),
    (
        one("oversample, {name: oversample, params: {by: group}}"),
        ["10 [mitigations > methods > 1] is called 'oversample', as method 0 is: give it a `label` of its own"],
    ),
    (
        one("oversample, {name: undersample, label: oversample}"),
        ["10 [mitigations > methods > 1] is called 'oversample', as method 0 is"],
    ),
    (
        one("{name: undersample, label: baseline}"),
        ["10 [mitigations > methods > 0 > label] 'baseline' is the name of plain training: call it something else"],
    ),
    (one("{name: oversample, label: ' '}"), ["10 [mitigations > methods > 0 > label] must be one line of 1 to 60"]),
    (one("{name: oversample, label: no}"), ["10 [mitigations > methods > 0 > label] must be text, got a boolean"]),
    (
        one("oversample, {name: baseline, params: {epochs: 3}}"),
        ["10 [mitigations > methods > 1 > params > epochs] unknown key 'epochs': known are none"],
    ),
    (
        one("baseline, {name: baseline, label: ERM}, oversample"),
        ["10 [mitigations > methods > 1] lists the baseline again, method 0 is it already: remove it"],
    ),
    (one("baseline"), ["10 [mitigations > methods] must have a method besides the baseline"]),
    (
        one("{name: oversample, with: baseline}"),
        ["10 [mitigations > methods > 0] combines baseline, which changes nothing: remove it"],
    ),
    (
        one("{name: oversample, with: undersample}"),
        ["10 [mitigations > methods > 0] oversample and undersample both act on the sampler: use one of them"],
    ),
    (
        one("{name: oversample, with: oversample}"),
        ["10 [mitigations > methods > 0] oversample is combined with itself"],
    ),
    (
        one("{name: oversample, with: balanced_softmax}"),
        ["10 [mitigations > methods > 0] oversample and balanced_softmax both correct the frequency of classes: "],
    ),
    (
        one("smote", scope="full"),
        ["10 [mitigations > methods > 0] smote works in scope head alone, not in scope full"],
    ),
    (
        one("{name: cost_matrix, params: {costs: {well: {sick: 1}}}}"),
        ["10 [mitigations > methods > 0]"],
    ),
    (one("oversample", seeds="1"), [f"12 [mitigations > seeds] must be two seeds or more, got 1: {NO_SEED}"]),
    (one("oversample", seeds="[4]"), [f"12 [mitigations > seeds] must be two seeds or more, got [4]: {NO_SEED}"]),
    (one("oversample", seeds="yes"), ["12 [mitigations > seeds] must be a number, got true (YAML reads yes"]),
    (
        one("oversample", seeds="[1, no]"),
        ["12 [mitigations > seeds > 1] must be an integer from 0 to 2,147,483,646, go"],
    ),
    (one("oversample", seeds="[1, -1]"), ["12 [mitigations > seeds > 1] must be an integer from 0 to 2,147,483,646"]),
    (one("oversample", seeds="[1, 2, 1]"), ["12 [mitigations > seeds > 2] must be different seeds, got 1 twice"]),
    (one("oversample", seeds="1000000000000"), ["12 [mitigations > seeds] must be 100 seeds or fewer"]),
    (
        one("oversample", seeds="2.5"),
        ["12 [mitigations > seeds] must be a number of seeds, such as 5 for 0 to 4, or a"],
    ),
    (one("oversample", trials="0"), ["12 [mitigations > trials] must be >= 1, got 0"]),
    (one("oversample", scope="heads"), ["12 [mitigations > scope] must be 'head' or 'full', got 'heads'"]),
    (one("oversample", backbone="init"), ["12 [mitigations > backbone] init needs `train.init`: DEFAULT"]),
    (
        one("oversample", backbone="init", scope="full"),
        ["12 [mitigations > backbone] has no effect in scope full, which trains the whole network: remove it"],
    ),
    (
        one("oversample", HEAD.replace("[sex]", "[]"), select="worst_group"),
        ["12 [mitigations > select] worst_group needs `train.groups`: the attributes that define a group"],
    ),
    (
        one("undersample", HEAD.replace("[sex]", "[sex], resample: {name: oversample}"), scope="full"),
        ["8 [train > resample] would be part of the baseline in scope full, which is plain training: list it"],
    ),
    (
        one("oversample", HEAD.replace("val: 0.2, ", "")),
        ["9 [mitigations] needs train and val rows: give `data.split` a fraction `val`, by which settings are picked"],
    ),
    (
        one("group_thresholds", HEAD + "", primary="{metric: recall, across: sex}") + "operating_point: {max: f1}\n",
        ["10 [mitigations > methods > 0] group_thresholds decides by itself and cannot stand beside `operating_point`"],
    ),
    (one("group_thresholds", MULTI), ["10 [mitigations > methods > 0]"]),
    (HEAD + "  methods: [oversample]\n", ["9 [mitigations > primary] is required"]),
    (HEAD + "  primary: {metric: recall}\n", ["9 [mitigations > methods] is required"]),
]


@pytest.mark.parametrize(("text", "begins"), BLOCK, ids=range(len(BLOCK)))
def test_a_wrong_block_is_told_with_its_line(text: str, begins: list[str], tmp_path: Path) -> None:
    found = problems(text, tmp_path)
    assert len(found) == len(begins), found
    for problem, beginning in zip(found, begins, strict=True):
        assert problem.startswith(beginning)


PRIMARY = [
    ("{metric: recal}", HEAD, " > metric] unknown metric 'recal': did you mean 'recall'?"),
    ("{metric: equalized_odds, across: sex}", HEAD, " > metric] 'equalized_odds' is a gap: name its metric"),
    ("{metric: selection_rate, across: sex}", HEAD, " > metric] selection_rate is neither better high nor low"),
    ("{metric: calibration_slope}", HEAD, " > metric] calibration_slope is neither better high nor low"),
    ("{metric: recall, across: sec}", HEAD, " > across] unknown attribute 'sec': did you mean 'sex'?"),
    ("{metric: recall, across: [sex, sit]}", HEAD, " > across > 1] unknown attribute 'sit': did you mean 'site'?"),
    ("{metric: recall, across: [sex, sex]}", HEAD, " > across] must be different attributes"),
    ("{metric: recall, of: gap}", HEAD, " > of] gap compares groups and needs `across`"),
    ("{metric: recall, of: worst}", HEAD, " > of] speaks of groups and needs `across`"),
    ("{metric: recall, ignore: [(missing)]}", HEAD, " > ignore] leaves out levels and needs `across`"),
    ("{metric: recall, class: well}", HEAD, " > class] must be the positive class 'sick' in a binary task, got 'well'"),
    ("{metric: recall, class: macro}", HEAD, " > class] must be the positive class 'sick' in a binary task, got 'macr"),
    ("{metric: accuracy, class: sick}", HEAD, " > class] has no meaning for accuracy, which speaks of all classes"),
    ("{metric: recall, class: d}", MULTI, " > class] unknown label 'd': known are a, b, c, macro"),
    ("{metric: ece, class: a}", MULTI, " > class] has no meaning for ece, which speaks of all classes: remove it"),
    ("{metric: recall, class: [a]}", MULTI, " > class] must be text, got ['a']"),
    ("{metric: recall, over: sex}", HEAD, " > over] unknown key 'over': known are metric, across, class, of, ignore"),
]


@pytest.mark.parametrize(("primary", "head", "message"), PRIMARY, ids=range(len(PRIMARY)))
def test_a_wrong_primary_is_told(primary: str, head: str, message: str, tmp_path: Path) -> None:
    (found,) = problems(one("oversample", head, primary=primary), tmp_path)
    assert found.startswith(f"11 [mitigations > primary{message}")


@pytest.mark.parametrize(
    ("primary", "head"),
    [
        ("{metric: recall, across: [sex, site], of: gap, ignore: [(missing)]}", HEAD),
        ("{metric: recall, class: sick}", HEAD),
        ("{metric: recall, class: macro}", MULTI),
        ("{metric: recall, class: a, across: sex}", MULTI),
        ("{metric: ece, across: sex, of: gap}", MULTI),
        ("{metric: log_loss}", HEAD),
    ],
)
def test_what_may_be_primary(primary: str, head: str, tmp_path: Path) -> None:
    assert load(one("oversample", head, primary=primary), tmp_path).mitigations


def test_one_mistake_hides_no_other(tmp_path: Path) -> None:
    text = one("{name: oversample, parms: 1}, oversampel", primary="{metric: recal, across: sec}", seeds="1")
    assert [problem.partition("]")[0] for problem in problems(text, tmp_path)] == [
        "10 [mitigations > methods > 0 > parms",
        "10 [mitigations > methods > 1 > name",
        "11 [mitigations > primary > across",
        "11 [mitigations > primary > metric",
        "12 [mitigations > seeds",
    ]


def test_code_of_the_user_is_not_imported_to_read_a_config(tmp_path: Path) -> None:
    """A kept config is read where the code may not be: `check` and `compare` import it."""
    settings = load(one("nosuch.module:Class, oversample"), tmp_path).mitigations
    assert settings is not None
    assert settings.methods[0].title == "nosuch.module:Class"


def test_predictions_that_are_brought_cannot_be_trained_anew(tmp_path: Path) -> None:
    text = one("oversampel").replace("model: {architecture: smallcnn}", "predictions: {table: p.csv}")
    found = problems(text, tmp_path)
    assert "9 [mitigations] has no effect with `predictions`, which are ready: remove it" in found
    assert not any("oversampel" in problem for problem in found), "what has no effect is not read further"


def test_resampling_in_training_takes_what_only_chooses_rows(tmp_path: Path) -> None:
    head = HEAD.partition("mitigations")[0]
    for name in ("group_dro", "smote", "baseline"):
        (found,) = problems(head.replace("[sex]", f"[sex], resample: {{name: {name}}}"), tmp_path)
        beginning = f"8 [train > resample] takes methods that choose training rows, and {name} does not: list it in"
        assert found.startswith(beginning)
    by_group = head.replace("[sex]", "[], resample: {name: oversample, params: {by: group}}")
    (found,) = problems(by_group, tmp_path)
    assert found.startswith("8 [train > resample] oversample by group needs `train.groups`")


@pytest.mark.parametrize("name", [name for name in MITIGATIONS.names if name != "imblearn"])
def test_validating_a_method_loads_nothing_heavy(name: str, tmp_path: Path) -> None:
    """The samplers of imbalanced-learn are its own names and parameters: only asking it can tell."""
    text = one(f"{{name: {name}, label: it}}, sqrt_sampling")
    (tmp_path / "audit.yaml").write_text(text)
    code = (
        f"import sys; from imgid_audit.config import load_config; load_config({str(tmp_path / 'audit.yaml')!r})\n"
        "found = {'torch', 'sklearn', 'imblearn', 'fairlearn', 'torchvision'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "InputError" in done.stderr, done.stderr


@pytest.mark.parametrize("labels", [2, 3])
def test_the_block_of_a_new_config_may_be_uncommented(labels: int, tmp_path: Path) -> None:
    rows = [f"{i}.png,{'abc'[i % labels]},{'xy'[i // 3 % 2]}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["image,label,site", *rows]) + "\n")
    lines = write_config(tmp_path, tmp_path / "t.csv").read_text().splitlines()
    assert load("\n".join(lines), tmp_path).mitigations is None
    start = lines.index("# mitigations:")
    settings = load("\n".join([*lines[:start], *(line[2:] for line in lines[start:])]), tmp_path).mitigations
    assert settings is not None
    assert len(settings.methods) == 4
    assert settings.primary.across == ("site",)
