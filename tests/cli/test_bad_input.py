"""Wrong tables and configs through the command line: a message with file, row and column, never a traceback.

What `check` lets pass and only counting can tell ends as a named Undefined or `not_evaluated`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from imgid_audit.cli import app
from tests.tiny import predictions_config, predictions_table, tiny_config, write_tiny

Lines = list[str]
Table = Callable[[Lines], "Lines | bytes"]

SCORE = "score:yes"
COSTS = {"no": {"yes": 1}, "yes": {"no": 5}}
RULE = {"id": "gap", "metric": "recall", "across": "group", "max_gap": 0.1}
VAL = {"split": {"val": 0.3, "test": 0.5}}


def cell(row: int, column: str, text: str) -> Table:
    def change(lines: Lines) -> Lines:
        cells = lines[row].split(",")
        cells[lines[0].split(",").index(column)] = text
        return [*lines[:row], ",".join(cells), *lines[row + 1 :]]

    return change


def column(name: str, text: Callable[[int, str], str]) -> Table:
    def change(lines: Lines) -> Lines:
        place = lines[0].split(",").index(name)
        rows = [line.split(",") for line in lines[1:]]
        return [lines[0], *(",".join([*r[:place], text(i, r[place]), *r[place + 1 :]]) for i, r in enumerate(rows))]

    return change


def added(name: str, text: Callable[[int], str]) -> Table:
    return lambda lines: [f"{lines[0]},{name}", *(f"{line},{text(i)}" for i, line in enumerate(lines[1:]))]


def then(*changes: Table) -> Table:
    def change(lines: Lines) -> Lines:
        for one in changes:
            lines = one(lines)  # type: ignore[assignment]
        return lines

    return change


def labels_only(lines: Lines) -> Lines:
    halved = column(SCORE, lambda _, score: "yes" if float(score) >= 0.5 else "no")(lines)
    return [halved[0].replace(SCORE, "predicted"), *halved[1:]]  # type: ignore[list-item]


def both_scores(lines: Lines) -> Lines:
    return [f"{lines[0]},score:no", *(f"{line},{1 - float(line.rpartition(',')[2]):.6f}" for line in lines[1:])]


def data(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {"subject": "subject", "attributes": {"group": {}, "site": {}}}
    return {"data": {**known, **changes}}


def rules(*each: dict[str, Any]) -> dict[str, Any]:
    return {"policy": {"rules": [{**RULE, **one} for one in each]}}


def split(text: Callable[[int], str]) -> Table:
    return added("split", text)


VAL_OF_NEGATIVES = then(
    split(lambda i: "val" if (i // 3) % 4 == 0 else "test"),
    column("label", lambda i, label: "no" if (i // 3) % 4 == 0 else label),
)

REFUSED: dict[str, tuple[Table | None, dict[str, Any], str]] = {
    "a score above 1": (cell(7, SCORE, "1.7"), {}, "predictions.csv row 7 [score:yes] is 1.7: scores are probab"),
    "a score below 0": (cell(7, SCORE, "-0.1"), {}, "predictions.csv row 7 [score:yes] is -0.1"),
    "an infinite score": (cell(7, SCORE, "inf"), {}, "predictions.csv row 7 [score:yes] is inf"),
    "a score in words": (cell(7, SCORE, "high"), {}, "row 7 [score:yes] is not a number: 'high'; empty the cell"),
    "scores that do not add up": (
        then(both_scores, cell(9, "score:no", "0.9")),
        {},
        "predictions.csv row 9 [score:*] scores add up to",
    ),
    "a label of no class": (cell(5, "label", "maybe"), {}, "row 5 [label] says 'maybe', which is not among the labels"),
    "a decision of no class": (
        then(labels_only, cell(5, "predicted", "maybe")),
        {"metrics": ["recall"]},
        "row 5 [predicted] says 'maybe'",
    ),
    "a positive of no row": (
        None,
        {"task": {"type": "binary", "positive": "oui"}},
        "[task > positive] says 'oui', which is not among the labels 'no', 'yes'",
    ),
    "an unknown metric": (None, rules({"metric": "recal"}), "unknown metric 'recal': did you mean 'recall'?"),
    "an unknown level": (None, rules({"ignore": ["nosuch"]}), "[policy > rules > 0 > ignore] unknown level 'nosuch'"),
    "a level of another attribute": (None, rules({"ignore": ["x"]}), "unknown level 'x' of group: known are 'a', 'b'"),
    "an unknown class": (
        None,
        {"task": {"type": "multiclass"}, "predictions": {"table": "both.csv"}, **rules({"class": "maybe"})},
        "[policy > rules > 0 > class] must be a label (no, yes) or macro, got 'maybe'",
    ),
    "an unknown attribute": (None, rules({"across": "sex"}), "unknown attribute 'sex': known are group, site"),
    "an unknown attribute in an intersection": (
        None,
        data(intersections=[["group", "sex"]]),
        "[data > intersections > 0 > 1] unknown attribute 'sex'",
    ),
    "no test rows": (split(lambda _: "val"), data(split="split"), "[data > split] leaves no test rows"),
    "no val rows": (
        split(lambda _: "test"),
        {**data(split="split"), "operating_point": {"max": "f1"}},
        "f1 cannot be found: the val split has no rows;",
    ),
    "val without positives, for a sensitivity": (
        VAL_OF_NEGATIVES,
        {**data(split="split"), "operating_point": {"at": "sensitivity", "value": 0.9}},
        "sensitivity cannot be found: the val split has no positive rows (75 in all)",
    ),
    "val without positives, for a maximum": (
        VAL_OF_NEGATIVES,
        {**data(split="split"), "operating_point": {"max": "youden"}},
        "youden cannot be found: the val split has no positive rows",
    ),
    "a maximum without val": (None, {"operating_point": {"max": "f1"}}, "[operating_point > max] needs a val split"),
    "two ways to a threshold": (
        None,
        {**data(**VAL), "operating_point": {"max": "f1", "threshold": 0.5}},
        "[operating_point > max] stands alone",
    ),
    "a threshold without scores": (
        labels_only,
        {"operating_point": {"threshold": 0.5}, "metrics": ["recall"]},
        "[operating_point] needs scores",
    ),
    "costs without scores": (labels_only, {"costs": COSTS, "metrics": ["recall"]}, "[costs] needs scores"),
    "costs beside a threshold": (None, {"costs": COSTS, "operating_point": {"threshold": 0.5}}, "cannot stand beside"),
    "costs without a block": (None, {"costs": {"no": {"yes": 1}}}, "[costs] lacks a block for the true label 'yes'"),
    "costs without a cell": (
        None,
        {"costs": {"no": {"yes": 1}, "yes": {"yes": 0}}},
        "[costs > yes] lacks the cost of predicting 'no' where the label is 'yes'",
    ),
    "costs of labels that the table lacks": (
        None,
        {"task": {"type": "binary", "positive": "yes"}, "costs": {"nein": {"yes": 1}, "yes": {"nein": 1}}},
        "[costs > nein] unknown label 'nein'",
    ),
    "negative costs": (None, {"costs": {**COSTS, "no": {"yes": -1}}}, "[costs > no > yes] must be >= 0, got -1"),
    "infinite costs": (None, {"costs": {**COSTS, "no": {"yes": float("inf")}}}, "must be a finite number, got inf"),
    "costs that are no number": (None, {"costs": {**COSTS, "no": {"yes": True}}}, "must be a number, got true"),
    "costs that say nothing": (None, {"costs": {"no": {"yes": 0}, "yes": {"no": 0}}}, "no decision cheaper than"),
    "costs the wrong way round": (
        None,
        {"costs": {"no": {"yes": 0, "no": 2}, "yes": {"no": 5}}},
        "by true label, then",
    ),
    "costs in no block": (None, {"costs": True}, "[costs] must be a block of keys, got true"),
    "a share above 1": (None, {"predictions": {"table": "predictions.csv", "max_failed": 2}}, "must be <= 1, got 2"),
    "subjects that are labels": (None, data(subject="label"), "[data > subject] is the label column 'label'"),
    "an identifier as an attribute": (
        added("who", lambda i: f"w{i}"),
        {**data(attributes={"group": {}, "who": {}})},
        "[who] has 2,400 levels, and an attribute may have 1,000",
    ),
    "a picture as a table": (lambda _: b"\x89PNG\r\n\x1a\n" + bytes(range(256)), {}, "line 3 has a NUL byte"),
    "a row of another length in another encoding": (
        lambda lines: "\n".join([*lines[:9], "é,é", *lines[9:]]).encode("latin1"),
        {},
        "predictions.csv line 10 is not UTF-8",
    ),
}


def audit(folder: Path, table: Table | None, settings: dict[str, Any], rows: int = 300) -> Path:
    written = predictions_table(folder, rows=rows)
    lines = written.read_text().splitlines()
    (folder / "both.csv").write_text("\n".join(both_scores(lines)) + "\n")
    changed = lines if table is None else table(lines)
    written.write_bytes(changed if isinstance(changed, bytes) else ("\n".join(changed) + "\n").encode())
    config = {**predictions_config(), **settings}
    if "data" in settings or "policy" in settings:
        config["data"] = settings.get("data", data()["data"])
    (folder / "audit.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder / "audit.yaml"


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", REFUSED)
def test_check_refuses(what: str, tmp_path: Path) -> None:
    table, settings, message = REFUSED[what]
    done = invoke("check", audit(tmp_path, table, settings, rows=2400 if "identifier" in what else 300))
    assert done.exit_code == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def result(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "run" / "audit.json").read_text())
    return loaded


def test_an_empty_score_costs_its_row_and_too_many_stop_the_run(tmp_path: Path) -> None:
    config = audit(tmp_path, cell(7, SCORE, "NaN"), {})
    assert invoke("check", config).exit_code == 0
    invoke("run", config, "--out", tmp_path / "run")
    account = result(tmp_path)["data"]
    assert (account["failed"], account["predicted"], account["reasons"]) == (1, 299, {"score is empty": 1})
    config = audit(tmp_path, column(SCORE, lambda i, score: "nan" if i % 5 == 0 else score), {})
    for command in (("check", config), ("run", config, "--out", tmp_path / "more")):
        done = invoke(*command)
        assert done.exit_code == 3
        assert "60 of 300 audited rows have no prediction" in done.stderr
        assert "rows 1, 6, 11, 16, 21 and 55 more, score is empty" in done.stderr
    assert (tmp_path / "more" / "manifest.parquet").is_file()
    assert not (tmp_path / "more" / "audit.json").exists()
    allowed = {"predictions": {"table": "predictions.csv", "max_failed": 0.2}}
    config = audit(tmp_path, column(SCORE, lambda i, score: "nan" if i % 5 == 0 else score), allowed)
    assert invoke("run", config, "--out", tmp_path / "more").exit_code in (0, 1)


def test_failed_rows_of_train_do_not_count(tmp_path: Path) -> None:
    table = then(
        split(lambda i: "train" if (i // 3) % 2 else "test"),
        column(SCORE, lambda i, score: "" if (i // 3) % 2 else score),
    )
    assert invoke("check", audit(tmp_path, table, data(split="split"))).exit_code == 0


def test_no_scores_at_all_is_undefined_and_not_evaluated(tmp_path: Path) -> None:
    allowed = {"predictions": {"table": "predictions.csv", "max_failed": 1}}
    done = invoke("run", audit(tmp_path, column(SCORE, lambda *_: ""), allowed), "--out", tmp_path / "run")
    assert done.exit_code == 1, done.stderr
    found = result(tmp_path)
    assert {e["value"] for e in found["estimates"]} == {None}
    assert {v["status"] for v in found["verdicts"]} == {"not_evaluated"}


def test_a_class_that_is_never_predicted(tmp_path: Path) -> None:
    low = column(SCORE, lambda *_: "0.1")
    invoke("run", audit(tmp_path, low, {"metrics": ["precision", "recall"]}), "--out", tmp_path / "run")
    total = next(e for e in result(tmp_path)["estimates"] if e["metric"] == "precision" and not e["slice"])
    assert (total["value"], total["undefined"]) == (None, "empty")


def test_a_macro_mean_names_the_class_that_is_never_predicted(tmp_path: Path) -> None:
    labels = [f"r{i},{'xyz'[i % 3]},{'ab'[i % 2]},{'xy'[i % 2]}" for i in range(120)]
    table = lambda _: ["id,label,group,predicted", *labels]  # noqa: E731
    settings = {
        "task": {"type": "multiclass"},
        "metrics": ["precision"],
        "data": {"attributes": {"group": {}}},
        **{"policy": {"rules": [{**RULE, "metric": "precision", "class": "macro"}]}},
    }
    config = audit(tmp_path, table, settings)
    done = invoke("run", config, "--out", tmp_path / "run")
    assert done.exit_code == 1, done.stderr
    found = result(tmp_path)
    macro = next(e for e in found["estimates"] if e["class"] is None and not e["slice"])
    assert macro["undefined"] == "empty"
    assert "z" in macro["reason"]
    assert found["verdicts"][0]["status"] == "not_evaluated"


def test_one_group_only(tmp_path: Path) -> None:
    invoke("run", audit(tmp_path, column("group", lambda *_: "a"), {}), "--out", tmp_path / "run")
    found = result(tmp_path)
    gaps = [g for g in found["gaps"] if g["attribute"] == "group"]
    assert {(g["value"], g["undefined"]) for g in gaps} == {(None, "not_applicable")}
    assert found["verdicts"][0]["status"] == "not_evaluated"


@pytest.mark.parametrize("level", ["(missing)", "(other)", "[40, 60)"])
def test_levels_that_may_occur_tomorrow_may_be_ignored(level: str, tmp_path: Path) -> None:
    table = added("age", lambda i: str(i % 30))
    attributes = {"group": {}, "age": {"bins": [0, 20, 40, 60, 80]}}
    config = audit(tmp_path, table, {**data(attributes=attributes), **rules({"across": "age", "ignore": [level]})})
    done = invoke("check", config)
    assert done.exit_code == 0, done.stderr


def test_gate_refuses_a_level_that_the_run_does_not_have(tmp_path: Path) -> None:
    invoke("run", audit(tmp_path, None, {}), "--out", tmp_path / "run")
    policy = tmp_path / "policy.yaml"
    policy.write_text(yaml.safe_dump({"rules": [{**RULE, "ignore": ["nosuch"]}]}))
    done = invoke("gate", tmp_path / "run", "--policy", policy)
    assert done.exit_code == 2
    assert "unknown level 'nosuch' of group" in done.stderr


def test_a_val_split_without_positives_is_told_before_anything_trains(tmp_path: Path) -> None:
    write_tiny(tmp_path, rows=40)
    path = tmp_path / "metadata.csv"
    head, *lines = path.read_text().splitlines()
    parts = ["val" if i // 4 % 4 == 0 else "test" if i // 4 % 4 == 1 else "train" for i in range(40)]
    rows = [
        f"{line.replace(',right,', ',left,') if part == 'val' else line},{part}"
        for line, part in zip(lines, parts, strict=True)
    ]
    path.write_text("\n".join([f"{head},split", *rows]) + "\n")
    config = tiny_config(operating_point={"at": "sensitivity", "value": 0.9})
    config["data"]["split"] = "split"
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(config))
    done = invoke("check", tmp_path / "audit.yaml")
    assert done.exit_code == 2
    assert "the val split has no positive rows (12 in all)" in done.stderr
