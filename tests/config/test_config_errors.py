"""Every way to get a config wrong, with the line, the trail and the words that it must produce."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from imgid_audit.config import load_config
from imgid_audit.core.errors import InputError

GOOD = """\
name: audit
task: {type: binary, positive: yes_, labels: [no_, yes_]}
data:
  manifest: table.csv
  split: {val: 0.2, test: 0.4}
  attributes:
    sex: {}
    view: {}
  intersections: [[sex, view]]
model: {architecture: smallcnn}
train: {epochs: 3}
metrics: [accuracy, recall]
policy:
  rules:
    - {id: a, metric: recall, across: sex, max_gap: 0.1}
"""

MULTI = GOOD.replace("type: binary, positive: yes_, labels: [no_, yes_]", "type: multiclass, labels: [a, b, c]")


def problems(text: str, folder: Path, overrides: tuple[str, ...] = ()) -> list[str]:
    """What is wrong with a config, one text a problem; fails where nothing is."""
    path = folder / "audit.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_config(path, overrides=overrides)
    return [str(problem) for problem in caught.value.problems]


def test_the_good_config_is_good(tmp_path: Path) -> None:
    for text in (GOOD, MULTI):
        (tmp_path / "audit.yaml").write_text(text)
        assert load_config(tmp_path / "audit.yaml").name == "audit"


REPLACED = [
    # (what is replaced, by what, how the problem begins: line, trail, message)
    ("epochs: 3", "epochs: 0", "11 [train > epochs] must be >= 1, got 0"),
    ("epochs: 3", "epochs: ten", "11 [train > epochs] must be an integer, got 'ten'"),
    ("epochs: 3", "epochs: 1.5", "11 [train > epochs] must be an integer, got 1.5"),
    (
        "epochs: 3",
        "epochs: yes",
        "11 [train > epochs] must be a number, got true (YAML reads yes, no, on and off as booleans)",
    ),
    ("epochs: 3", "lr: .inf", "11 [train > lr] must be a finite number, got inf"),
    ("epochs: 3", "lr: .nan", "11 [train > lr] must be a finite number, got nan"),
    (
        "epochs: 3",
        "optimizer: rmsprop",
        "11 [train > optimizer] must be 'adamw', 'adam' or 'sgd', got 'rmsprop'",
    ),
    ("epochs: 3", "device: gpu", r"11 [train > device] must match ^(auto|cpu|mps|cuda(:\d+)?)$, got 'gpu'"),
    ("{architecture: smallcnn}", "smallcnn", "10 [model] must be a block of keys, got 'smallcnn'"),
    (
        "{val: 0.2, test: 0.4}",
        "{val: 0.2}",
        "5 [data > split] needs `test` (a fraction) or `column` (of ready splits)",
    ),
    (
        "{val: 0.2, test: 0.4}",
        "{val: 0.7, test: 0.4}",
        "5 [data > split] val, test and adjust must add up to less than 1, or nothing is left, got 1.1",
    ),
    (
        "{val: 0.2, test: 0.4}",
        "{column: part, test: 0.4}",
        "5 [data > split > test] cannot stand beside `column`, which says what is test: remove one of them",
    ),
    ("{val: 0.2, test: 0.4}", "{val: 0, test: 0.4}", "5 [data > split > val] must be > 0, got 0"),
    ("{val: 0.2, test: 0.4}", "[a]", "5 [data > split] must be a block of keys or text, got ['a']"),
    (
        "[[sex, view]]",
        "[[sex, site]]",
        "9 [data > intersections > 0 > 1] unknown attribute 'site': known are sex, view",
    ),
    (
        "[[sex, view]]",
        "[[sex, sex]]",
        "9 [data > intersections > 0] must be two or more different attributes, got ['sex', 'sex']",
    ),
    (
        "view: {}",
        "view: {bins: [3, 1]}",
        "8 [data > attributes > view > bins] must increase, got [3.0, 1.0]",
    ),
    ("view: {}", "view: {min_count: 0}", "8 [data > attributes > view > min_count] must be >= 1, got 0"),
    ("view: {}", "NO: {}", "8 [data > attributes] has the key NO, which YAML reads as a boolean: quote it"),
    ("view: {}", "sex: {}", "8 [data > attributes > sex] is given twice, first in line 7: keep one"),
    ("name: audit", "name: 2024-01-01", "1 [name] must be text, got the date 2024-01-01: quote it"),
    ("name: audit", "name: ' '", "1 [name] must not be blank, got ' '"),
    ("name: audit", "nam: audit", "1 [name] is required"),
    (
        "[no_, yes_]",
        "[NO, yes_]",
        "2 [task > labels > 0] must be text, got a boolean (false or no): quote it, as the table writes it",
    ),
    (
        "[no_, yes_]",
        "[1.0, yes_]",
        "2 [task > labels > 0] must be text, got the number 1.0: quote it, as the table writes it",
    ),
    (
        "[no_, yes_]",
        "[2020-01-31, yes_]",
        "2 [task > labels > 0] must be text, got the date 2020-01-31: quote it, as the table writes it",
    ),
    (
        "[no_, yes_]",
        "[0x1F, yes_]",
        "2 [task > labels > 0] must be text, got 0x1F, which YAML reads as the number 31: quote it",
    ),
    ("[no_, yes_]", "[, yes_]", "2 is not valid YAML: expected the node content, but found ','"),
    ("[no_, yes_]", "[yes_]", "2 [task > labels] must be two for a binary task, got 1"),
    ("[no_, yes_]", "[yes_, yes_]", "2 [task > labels] must be different labels, got 'yes_' 2 times"),
    (
        "[no_, yes_]",
        "[no_, maybe]",
        "2 [task > positive] must be one of the labels ['no_', 'maybe'], got 'yes_'",
    ),
    ("positive: yes_, ", "", "2 [task] needs `positive`: the class that a binary task's metrics speak of"),
    ("  manifest: table.csv\n", "", "3 [data] needs `manifest`: the table of images"),
    (
        "  split: {val: 0.2, test: 0.4}\n",
        "",
        "3 [data] needs `split`: without one everything is test, and nothing is left to train on",
    ),
    (
        "model: {architecture: smallcnn}",
        "",
        "1 needs `model` (images are predicted) or `predictions` (a table of what a model said)",
    ),
    (
        "metrics: [accuracy, recall]",
        "predictions: {table: p.csv}",
        "12 [predictions] cannot stand beside `model`: give one of the two, what is audited",
    ),
    (
        "model: {architecture: smallcnn}",
        "predictions: {table: p.csv}",
        "11 [train] has no effect with `predictions`, which are ready: remove it",
    ),
    (
        "epochs: 3",
        "select: worst_group",
        "11 [train > select] worst_group needs `train.groups`: the attributes that define a group",
    ),
    (
        "epochs: 3",
        "select: worst_group, groups: [sx]",
        "11 [train > groups > 0] unknown attribute 'sx': did you mean 'sex'? known are sex, view",
    ),
    (
        "epochs: 3",
        "resample: {name: overample}",
        "11 [train > resample > name] unknown mitigation 'overample': did you mean 'oversample'? known are",
    ),
    (
        "epochs: 3",
        "resample: {name: oversample, params: {by: sex}}",
        "11 [train > resample > params > by] must be 'class', 'group' or 'class_and_group', got 'sex'",
    ),
    (
        "epochs: 3",
        "resample: {name: oversample, params: {by: group}}",
        "11 [train > resample] oversample by group needs `train.groups`: the attributes that define a group",
    ),
    (
        "accuracy, recall",
        "accuracy, recal",
        "12 [metrics > 1] unknown metric 'recal': did you mean 'recall'?",
    ),
    ("accuracy, recall", "recall, recall", "12 [metrics > 1] 'recall' is listed twice"),
    (
        "accuracy, recall",
        "equalized_odds",
        "12 [metrics > 0] 'equalized_odds' is a gap, reported for every binary task: name it in a rule instead",
    ),
    ("[accuracy, recall]", "[]", "12 [metrics] must have 1 or more entries, got []"),
    ("max_gap: 0.1", "max_gap: -1", "15 [policy > rules > 0 > max_gap] must be > 0, got -1"),
    (
        "max_gap: 0.1",
        "max_gap: 10",
        "15 [policy > rules > 0 > max_gap] must be <= 1, got 10: write 10 % as 0.1",
    ),
    ("max_gap: 0.1", "max_gap: 10%", "15 [policy > rules > 0 > max_gap] must be a number, got '10%'"),
    (
        "max_gap: 0.1",
        "max_gap: .1, min_ratio: .8",
        "15 [policy > rules > 0] must have exactly one of max_gap, min_value, max_value, min_ratio or max_drop, "
        "got max_gap",
    ),
    (
        ", max_gap: 0.1",
        "",
        "15 [policy > rules > 0] must have exactly one of max_gap, min_value, max_value, min_ratio or max_drop, "
        "got none",
    ),
    (
        "max_gap: 0.1",
        "max_gab: 0.1",
        "15 [policy > rules > 0 > max_gab] unknown key 'max_gab': did you mean 'max_gap'? known are id, metric,",
    ),
    (
        "across: sex, ",
        "",
        "15 [policy > rules > 0 > max_gap] compares groups and needs `across`: the attribute whose levels are compared",
    ),
    (
        "across: sex",
        "across: [sex, vew]",
        "15 [policy > rules > 0 > across > 1] unknown attribute 'vew': did you mean 'view'? known are sex, view",
    ),
    (
        "across: sex",
        "across: sex, class: no_",
        "15 [policy > rules > 0 > class] must be the positive class 'yes_' in a binary task, got 'no_'",
    ),
    (
        "across: sex",
        "across: sex, ignore: [no]",
        "15 [policy > rules > 0 > ignore > 0] must be text, got a boolean (false or no): quote it, as the table",
    ),
    (
        "metric: recall",
        "metric: accuracy, class: yes_",
        "15 [policy > rules > 0 > class] has no meaning for accuracy, which speaks of all classes: remove it",
    ),
    (
        "metric: recall",
        "metric: equal_odds",
        "15 [policy > rules > 0 > metric] unknown metric 'equal_odds': did you mean 'equalized_odds'?",
    ),
    (
        "metric: recall, across: sex, max_gap",
        "metric: equalized_odds, across: sex, min_value",
        "15 [policy > rules > 0 > min_value] is no bound of equalized_odds, which is a gap: use max_gap",
    ),
    ("policy:", "policy:\n  min_support: 0", "14 [policy > min_support] must be >= 1, got 0"),
    (
        "policy:",
        "checks: {D01: false}\npolicy:",
        "13 [checks > D01] unknown check 'D01': did you mean 'D001'?",
    ),
    (
        "policy:",
        "checks: {D001: {max_share: 2}}\npolicy:",
        "13 [checks > D001 > max_share] must be < 1, got 2",
    ),
    (
        "policy:",
        "checks: {D001: true}\npolicy:",
        "13 [checks > D001] must be a block of keys or false, got true",
    ),
    (
        "policy:",
        "report: {formats: [htm]}\npolicy:",
        "13 [report > formats > 0] unknown format 'htm': did you mean 'html'?",
    ),
    ("policy:", "intervals: {level: 95}\npolicy:", "13 [intervals > level] must be < 1, got 95"),
    ("policy:", "predict: {batch_size: 0}\npolicy:", "13 [predict > batch_size] must be >= 1, got 0"),
    (
        "policy:",
        "predict: {batch_size: big}\npolicy:",
        "13 [predict > batch_size] must be an integer or 'auto', got 'big'",
    ),
    ("policy:", "operating_point: {at: specificity}\npolicy:", "13 [operating_point] needs `value` too"),
    (
        "policy:",
        "operating_point: {}\npolicy:",
        "13 [operating_point] needs `at` with `value`, `max`, or `threshold`",
    ),
    (
        "policy:",
        "operating_point: {threshold: 0.5, at: fpr, value: 0.1}\npolicy:",
        "13 [operating_point > threshold] cannot stand beside `at` and `value`: a threshold is given or found",
    ),
    (
        "policy:",
        "operating_point: {at: recall, value: 0.1}\npolicy:",
        "13 [operating_point > at] must be 'specificity', 'sensitivity' or 'fpr', got 'recall'",
    ),
    ("policy:", "privacy: {min_cell: 1}\npolicy:", "13 [privacy > min_cell] must be >= 2, got 1"),
    ("policy:", "privacy: {}\npolicy:", "13 [privacy > min_cell] is required"),
]


@pytest.mark.parametrize(("old", "new", "expected"), REPLACED, ids=[new[:40] or old[:30] for old, new, _ in REPLACED])
def test_one_mistake_gives_its_message(old: str, new: str, expected: str, tmp_path: Path) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1), tmp_path)
    assert any(problem.startswith(f"audit.yaml:{expected}") for problem in found), "\n".join(found)


MULTICLASS = [
    (
        "across: sex",
        "across: sex, class: d",
        "15 [policy > rules > 0 > class] unknown label 'd': known are a, b, c, macro",
    ),
    (
        "metric: recall, across: sex",
        "metric: selection_rate, across: sex, class: macro",
        "15 [policy > rules > 0 > class] macro has no meaning for selection_rate",
    ),
    (
        "metric: recall",
        "metric: balanced_accuracy, class: a",
        "15 [policy > rules > 0 > class] has no meaning for balanced_accuracy",
    ),
    (
        "metric: recall",
        "metric: equalized_odds",
        "15 [policy > rules > 0 > metric] equalized_odds is for binary tasks",
    ),
    (
        "labels: [a, b, c]",
        "labels: [a, b], positive: a",
        "2 [task > positive] has no meaning in a multiclass task",
    ),
    ("labels: [a, b, c]", "labels: [a]", "2 [task > labels] must be two or more, got 1"),
    ("labels: [a, b, c]", "labels: [a, macro]", "2 [task > labels] must not contain 'macro'"),
    ("policy:", "operating_point: {threshold: 0.5}\npolicy:", "13 [operating_point] is for binary tasks"),
]


@pytest.mark.parametrize(("old", "new", "expected"), MULTICLASS, ids=[new[:40] for _, new, _ in MULTICLASS])
def test_multiclass_mistakes(old: str, new: str, expected: str, tmp_path: Path) -> None:
    assert old in MULTI
    found = problems(MULTI.replace(old, new, 1), tmp_path)
    assert any(problem.startswith(f"audit.yaml:{expected}") for problem in found), "\n".join(found)


def test_what_needs_val_says_so(tmp_path: Path) -> None:
    text = GOOD.replace("val: 0.2, ", "").replace("epochs: 3", "select: worst_class, patience: 2")
    assert problems(text + "operating_point: {at: fpr, value: 0.1}\n", tmp_path) == [
        "audit.yaml:11 [train > select] needs a val split: give `data.split` a fraction `val`",
        "audit.yaml:11 [train > patience] needs a val split: give `data.split` a fraction `val`",
        "audit.yaml:16 [operating_point > at] needs a val split to be found on: "
        "give `data.split` one, or a `threshold`",
    ]


def test_all_mistakes_come_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    text = (
        GOOD.replace("name: audit", "name: 3")
        .replace("{val: 0.2, test: 0.4}", "{val: 2, test: 0.4}")
        .replace("epochs: 3", "epoch: 3")
        .replace("accuracy, recall", "acuracy, recal")
        .replace("max_gap: 0.1", "max_gap: -1")
        + "    - {metric: recall, across: sx, max_gap: 0.1}\n"
    )
    found = problems(text, tmp_path)
    places = [problem.split("] ")[0] + "]" for problem in found]
    assert places == [
        "audit.yaml:1 [name]",
        "audit.yaml:5 [data > split > val]",
        "audit.yaml:11 [train > epoch]",
        "audit.yaml:12 [metrics > 0]",
        "audit.yaml:12 [metrics > 1]",
        "audit.yaml:15 [policy > rules > 0 > max_gap]",
        "audit.yaml:16 [policy > rules > 1 > across]",
    ]


def test_pictures_need_a_table_that_names_them(tmp_path: Path) -> None:
    text = "name: a\ntask: {type: multiclass}\npredictions: {table: p.csv}\nreport: {worst_images: 3}\n"
    message = "audit.yaml:4 [report > worst_images] needs `data.manifest`, the table that names the images"
    assert problems(text, tmp_path) == [message]
    (tmp_path / "audit.yaml").write_text(text + "data: {manifest: m.csv}\n")
    assert load_config(tmp_path / "audit.yaml").report.worst_images == 3


def test_ids_of_rules_are_unique(tmp_path: Path) -> None:
    same = "    - {id: a, metric: accuracy, min_value: 0.5}\n"
    unnamed = "    - {metric: accuracy, min_value: 0.5}\n"
    assert problems(GOOD + same, tmp_path) == [
        "audit.yaml:16 [policy > rules > 1 > id] 'a' is already the id of rule 0"
    ]
    assert problems(GOOD + unnamed + unnamed, tmp_path) == [
        "audit.yaml:17 [policy > rules > 2] needs an `id`: its default, 'accuracy-min_value', is already that of rule 1"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "audit.yaml is empty"),
        ("# nothing\n", "audit.yaml is empty"),
        ("- a\n", "audit.yaml must be a block of keys"),
        ("just text\n", "audit.yaml must be a block of keys"),
        ("a: [1\nb: 2\n", "audit.yaml:2 is not valid YAML"),
        ("a: b\n\tc: d\n", "audit.yaml:2 is not valid YAML"),
        ("name: a\n---\nname: b\n", "audit.yaml:2 is not valid YAML: but found another document"),
        ("name: !!python/object/apply:os.system ['true']\n", "audit.yaml:1 [name] must be text"),
        ("name: !!python/name:os.system x\n", "audit.yaml:1 [name] cannot be read by YAML"),
        ("<<: {a: 1}\n", "audit.yaml:1 uses the merge key"),
        ("? [a]\n: b\n", "audit.yaml:1 has a key that is a list or a block"),
    ],
)
def test_what_is_no_config_at_all(text: str, expected: str, tmp_path: Path) -> None:
    found = problems(text, tmp_path)
    assert any(problem.startswith(expected) for problem in found), "\n".join(found)


def test_characters_that_json_writes_as_two_escapes_are_one(tmp_path: Path) -> None:
    path = tmp_path / "audit.yaml"
    path.write_text(GOOD.replace("name: audit", r'name: "a \ud83d\ude00"'), encoding="utf-8")
    assert load_config(path).name == "a \N{GRINNING FACE}"
    (half, *_) = problems(GOOD.replace("name: audit", r'name: "a \ud83d"'), tmp_path)
    assert half.startswith("audit.yaml:1 [name] has half of a character")


def test_documents_that_would_explode_are_refused(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for depth in range(1, 12):
        bomb += f"a{depth}: &a{depth} [{', '.join([f'*a{depth - 1}'] * 10)}]\n"
    assert any("too large for a config" in problem for problem in problems(bomb, tmp_path))
    assert any("nested deeper than" in problem for problem in problems("a: &a [*a]\n", tmp_path))
    assert any("nested deeper than" in problem for problem in problems(f"a: {'[' * 60}{']' * 60}\n", tmp_path))
    assert any("nested deeper than" in problem for problem in problems(f"a: {'[' * 5000}\n", tmp_path))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml cannot be read: No such file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("name: café".encode("latin-1"))
    with pytest.raises(InputError, match=r"is not UTF-8 text \(byte 9\): save the file as UTF-8"):
        load_config(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs=0", "--set train.epochs=0 [train > epochs] must be >= 1, got 0"),
        ("train.epoch=1", "--set train.epoch=1 [train > epoch] unknown key 'epoch': did you mean 'epochs'?"),
        (
            "policy.rules.0.max_gap=7",
            "--set policy.rules.0.max_gap=7 [policy > rules > 0 > max_gap] must be <= 1, got 7",
        ),
        ("policy.rules.5.max_gap=7", "--set policy.rules.5.max_gap=7 '5' is no place in a list of 1"),
        ("policy.rules.x.max_gap=7", "--set policy.rules.x.max_gap=7 'x' is no place in a list of 1"),
        ("name.x=7", "--set name.x=7 name is neither a block nor a list"),
        ("train.epochs", "--set train.epochs is not of the form key=value"),
        ("=3", "--set =3 is not of the form key=value"),
        ("a..b=3", "--set a..b=3 is not of the form key=value"),
        ("name=[", "--set name=[ is not valid YAML"),
        ("train={epochs: 0, lr: 0}", "--set train={epochs: 0, lr: 0} [train > lr] must be > 0, got 0"),
    ],
)
def test_wrong_overrides(override: str, expected: str, tmp_path: Path) -> None:
    found = problems(GOOD, tmp_path, (override,))
    assert any(problem.startswith(expected) for problem in found), "\n".join(found)


def test_a_dict_has_trails_without_lines() -> None:
    with pytest.raises(InputError) as caught:
        load_config({"name": "a", "task": {"type": "binary", "positive": True}, "model": {}, "data": {"manifest": "m"}})
    assert "config [task > positive] must be text, got a boolean (true or yes): quote it, as the table writes it" in [
        str(problem) for problem in caught.value.problems
    ]
