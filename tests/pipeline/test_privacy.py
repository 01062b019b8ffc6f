"""What a run publishes where small cells are to be hidden: attacked, and searched for what must not be in it."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pikepdf
import pytest

from imgid_audit import api, pipeline
from imgid_audit.cli import terminal
from imgid_audit.config import load_config
from imgid_audit.core.errors import InputError
from imgid_audit.core.result import AuditResult, Evaluation
from imgid_audit.export import FORMATS, read_audit
from imgid_audit.pipeline.writing import PUBLISHED
from imgid_audit.report import publishable
from tests.attack import World, found_out, published_equations, random_table
from tests.tiny import predictions_config, predictions_table, tiny_config, write_tiny

RATES = ["accuracy", "recall", "precision", "specificity", "false_positive_rate", "false_negative_rate", "f1"]
LEAST = 5


def frame_of(table: np.ndarray, world: World) -> pd.DataFrame:
    """One row a count, in an order that says nothing."""
    *codes, label, predicted = np.repeat(np.indices(table.shape).reshape(table.ndim, -1), table.ravel(), axis=1)
    texts = {name: np.array(levels)[code] for (name, levels), code in zip(world.attributes.items(), codes, strict=True)}
    labels = np.array(world.labels)
    frame = pd.DataFrame({"label": labels[label], "predicted": labels[predicted], **texts})
    return frame.sample(frac=1, random_state=0)


def settings(world: World, privacy: dict[str, int] | None) -> dict[str, Any]:
    names = list(world.attributes)
    task: dict[str, Any] = {"type": "multiclass", "labels": list(world.labels)}
    if len(world.labels) == 2:
        task = {"type": "binary", "positive": world.labels[1], "labels": list(world.labels)}
    return {
        "name": "attacked",
        "task": task,
        "data": {
            "attributes": {name: {} for name in names},
            "intersections": [names[:2], names[-2:]][: len(names) - 1],
        },
        "metrics": [*RATES, "selection_rate"],
        "intervals": {"draws": 0},
        "policy": {"rules": [{"id": "all", "metric": "recall", "across": names, "min_value": 0.5}]},
        **({} if privacy is None else {"privacy": privacy}),
    }


@pytest.mark.parametrize(
    ("seed", "sides", "classes"), [*((s, (3, 2, 2), 2) for s in range(8)), (3, (2, 2), 3), (9, (2, 2), 3)]
)
def test_published_files_give_no_small_cell_away(seed: int, sides: tuple[int, ...], classes: int, tmp_path: Path):
    table, world = random_table(seed, sides, classes)
    levels = {name: tuple(sorted(levels)) for name, levels in world.attributes.items()}
    assert levels == world.attributes
    frame = frame_of(table, world)
    for privacy in (None, {"min_cell": LEAST}):
        folder = tmp_path / ("hidden" if privacy else "open")
        audit = api.evaluate(frame, settings(world, privacy))
        audit.save(folder, ["html", "csv"])
        equations, values = published_equations(folder, world)
        truth = table.ravel().astype(float)
        assert np.allclose(np.array(equations) @ truth, values, atol=1e-6), "what is published is true"
        found = found_out(table, world, equations, LEAST) if equations else []
        assert bool(found) == (privacy is None), found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("privacy")
    predictions_table(folder)
    return folder


ALL = ("html", "pdf", "json", "csv", "junit")
RULES = [
    {"id": "gap", "metric": "recall", "across": "group", "max_gap": 0.1},
    {"id": "cell", "metric": "recall", "across": ["group", "site"], "min_value": 0.2},
    {"id": "cross", "metric": "accuracy", "across": ["site", "group"], "max_gap": 0.5},
]


def config_of(world: Path, **changes: Any):
    given = {"policy": {"rules": RULES}, "report": {"formats": list(ALL)}, **changes}
    return load_config(predictions_config(**given), folder=world)


@pytest.fixture(scope="module")
def published(world: Path) -> Path:
    """A run in which the crossing and the curves are hidden, and the attributes are not."""
    pipeline.run(config_of(world, privacy={"min_cell": 3}), out=world / "published")
    return world / "published"


def texts_of(folder: Path) -> Iterator[tuple[str, str]]:
    """The publishable files as text, the PDF's streams unpacked."""
    for pattern in PUBLISHED:
        for path in sorted(folder.glob(pattern)):
            yield path.name, pdf_text(path) if path.suffix == ".pdf" else path.read_text(encoding="utf-8")


def pdf_text(path: Path) -> str:
    """Everything in a PDF: all objects with their streams, and the text as it is read."""
    import subprocess

    with pikepdf.open(path) as pdf:
        assert not pdf.attachments, "an attachment must be searched too"
        parts = [repr(pdf.Root), repr(pdf.docinfo)]
        for thing in pdf.objects:
            parts.append(repr(thing))
            if isinstance(thing, pikepdf.Stream):
                parts.append(thing.read_bytes().decode("latin-1"))
    read = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True)
    return "\n".join([*parts, read.stdout])


def test_the_private_file_keeps_everything_and_says_what_is_hidden(published: Path):
    found = json.loads((published / "audit.json").read_text())
    assert found["privacy"] == {
        "min_cell": 3,
        "suppressed": ["group*site", "site*group"],
        "rules": ["cell", "cross"],
        "curves": ["", "group", "site"],
        "confusion": False,
    }
    crossed = [one for one in found["estimates"] if len(one["slice"]) == 2]
    assert crossed
    assert all(one["undefined"] != "suppressed" and one["n"] > 0 for one in crossed)
    assert len(found["reliability"]) == 6
    assert read_audit(published / "audit.json").privacy is not None


def test_the_tables_hold_no_number_of_what_is_hidden(published: Path):
    def rows(name: str) -> list[dict[str, str]]:
        with (published / "tables" / name).open(newline="") as file:
            return list(csv.DictReader(file))

    estimates = rows("estimates.csv")
    hidden = [row for row in estimates if row["breakdown"] == "group*site"]
    assert len(hidden) == 6 * len({row["metric"] for row in estimates})
    assert {row["undefined"] for row in hidden} == {"suppressed"}
    for name in ("value", "low", "high", "level", "method", "n", "support", "subjects"):
        assert {row[name] for row in hidden} == {""}
    assert all(row["n"] for row in estimates if row["breakdown"] != "group*site")
    for row in rows("gaps.csv"):
        filled = [row[name] for name in ("value", "low", "high", "best", "worst", "p_value", "p_adjusted") if row[name]]
        assert bool(filled) == (row["attribute"] != "group*site")
    verdicts = {row["rule"]: row for row in rows("verdicts.csv")}
    assert verdicts["gap"]["observed"]
    for rule in ("cell", "cross"):
        assert verdicts[rule]["status"]
        assert not any(verdicts[rule][name] for name in ("observed", "low", "high", "worst", "subjects_needed"))
        assert "hidden" in verdicts[rule]["reason"]


def test_the_page_and_the_paper_say_what_is_hidden(published: Path):
    page = (published / "report.html").read_text()
    for text in (page, pdf_text(published / "report.pdf")):
        plain = re.sub(r"\s+", " ", text)
        assert "The numbers of group × site, site × group are hidden" in plain
        assert "suppressed" in plain
    assert 'class="reliability"' not in page
    assert "Diagrams of all rows, group, site are suppressed" in page


def test_a_hidden_crossing_is_listed_over_all_combinations_whether_they_occur_or_not():
    table, world = random_table(2, (3, 2), 2)
    table[0, 1] = 0
    table[0, 0, 0, 0] = 1
    audit = api.evaluate(frame_of(table, world), settings(world, {"min_cell": LEAST}))
    assert "a*b" in audit.result.privacy.suppressed
    shown = publishable(audit.result)
    slices = {e.slice.levels for e in shown.evaluation.estimates if len(e.slice.attributes) == 2}
    assert len(slices) == 6
    true = {e.slice.levels for e in audit.result.evaluation.estimates if len(e.slice.attributes) == 2}
    assert len(true) < 6


def test_levels_of_a_hidden_attribute_are_not_counted_anywhere(world: Path):
    pipeline.run(config_of(world, privacy={"min_cell": 6}, report={"formats": ["html", "csv"]}), out=world / "site")
    found = json.loads((world / "site" / "audit.json").read_text())
    assert found["privacy"]["suppressed"] == ["site", "group*site", "site*group"]
    assert found["data"]["attributes"]["site"] == {"x": 100, "y": 100, "z": 100}
    account = (world / "site" / "tables" / "account.csv").read_text()
    assert "attribute,group,a," in account
    assert "attribute,site" not in account
    findings = (world / "site" / "tables" / "findings.csv").read_text()
    assert re.search(r"D002,Small groups,\w+,\w+,the details are hidden", findings)
    assert "suppressed: see the note on the first page" in (world / "site" / "report.html").read_text()


def test_nothing_is_hidden_unless_it_is_asked_for(world: Path):
    outcome = pipeline.run(config_of(world, report={"formats": ["html", "csv", "junit"]}), out=world / "open")
    assert outcome.result.privacy is None
    assert publishable(outcome.result) is outcome.result
    found = json.loads((world / "open" / "audit.json").read_text())
    assert found["privacy"] is None
    for name, text in texts_of(world / "open"):
        assert "hidden to protect" not in text, name


def test_stripping_twice_is_stripping_once(published: Path):
    once = publishable(read_audit(published / "audit.json"))
    assert publishable(once) is once


def test_every_part_of_a_result_is_known_to_be_public_or_stripped():
    """A new field must be thought about: does it hold counts of groups? Then `publishable` must strip it."""
    assert {f.name for f in dataclasses.fields(AuditResult)} == {
        *("name", "data", "evaluation", "findings", "notes", "settings", "provenance", "run", "privacy"),
        *("comparison", "fit"),
    }
    assert {f.name for f in dataclasses.fields(Evaluation)} == {
        *("task", "estimates", "gaps", "verdicts", "confusion", "reliability", "operating_point", "contrasts"),
        *("at_threshold", "costs", "calibration", "beside"),
    }
    private = {form.name for form in FORMATS if form.private}
    assert private == {"json"}, "a format is private only where its file stays in the run"


def test_report_renders_a_stored_run_hidden(world: Path, published: Path):
    before = {path.name: path.read_bytes() for path in published.rglob("*") if path.suffix in (".html", ".csv", ".xml")}
    config = config_of(world, privacy={"min_cell": 3}, report={"formats": ["html", "csv", "junit"]})
    pipeline.report(config, out=published)
    after = {path.name: path.read_bytes() for path in published.rglob("*") if path.suffix in (".html", ".csv", ".xml")}
    assert after == before
    for other in ({}, {"privacy": {"min_cell": 4}}):
        with pytest.raises(InputError, match="evaluate"):
            pipeline.report(config_of(world, **other), out=published)


def test_files_that_were_published_before_do_not_stay_behind(world: Path):
    out = world / "stale"
    pipeline.run(config_of(world, report={"formats": ["html", "csv"]}), out=out)
    assert "n = " in (out / "tables" / "verdicts.csv").read_text()
    pipeline.run(config_of(world, privacy={"min_cell": 3}, report={"formats": ["html"]}), out=out)
    assert sorted(path.name for pattern in PUBLISHED for path in out.glob(pattern)) == ["report.html"]


def test_a_change_between_runs_is_hidden_with_its_own_reason(world: Path):
    pipeline.run(config_of(world, report={"formats": ["json"]}), out=world / "before")
    rules = [{"id": "lost", "metric": "recall", "max_drop": 0.1}, *RULES]
    policy = {"baseline": "before", "rules": rules}
    config = config_of(world, policy=policy, privacy={"min_cell": 3}, report={"formats": ["csv"]})
    result = publishable(pipeline.run(config, out=world / "dropped").result)
    told = {verdict.rule: verdict.reason for verdict in result.evaluation.verdicts}
    assert "a change since another run is never published" in told["lost"]
    assert "to protect groups" in told["cell"]
    assert "is never published" in (world / "dropped" / "tables" / "verdicts.csv").read_text()


def test_gate_and_terminal_show_what_may_be_published(world: Path, published: Path, capsys):
    policy = world / "policy.yaml"
    policy.write_text("rules:\n- {id: other, metric: precision, across: [site, group], min_value: 0.9}\n")
    junit = world / "gate.xml"
    outcome = pipeline.gate(published, policy, junit=junit)
    (verdict,) = outcome.result.evaluation.verdicts
    assert verdict.observed is not None, "the result in memory is private"
    for as_json in (True, False):
        terminal.show(outcome, as_json=as_json)
        shown = capsys.readouterr().out
        assert "hidden to protect" in shown
        assert "n = " not in shown
    assert "hidden to protect" in junit.read_text()
    assert "n = " not in junit.read_text()


def test_check_prints_no_small_count(world: Path):
    lines = "\n".join(pipeline.check(config_of(world, privacy={"min_cell": 150})).lines)
    assert "attribute group: a, b (counts hidden: one is below 150)" in lines
    assert re.search(r"attribute group: a \d+, b \d+", "\n".join(pipeline.check(config_of(world)).lines))


@pytest.mark.slow
def test_pictures_of_single_rows_are_not_published(tmp_path: Path):
    write_tiny(tmp_path)
    asked = {"report": {"formats": ["html"], "worst_images": 3}, "train": {"epochs": 1, "lr": 1e-9}}
    config = load_config(tiny_config(**asked), folder=tmp_path)
    pipeline.run(config, out=tmp_path / "run")
    assert "data:image/png" in (tmp_path / "run" / "report.html").read_text()
    config = load_config(tiny_config(privacy={"min_cell": 2}, **asked), folder=tmp_path)
    pipeline.run(config, out=tmp_path / "run")
    assert "data:image/png" not in (tmp_path / "run" / "report.html").read_text()
