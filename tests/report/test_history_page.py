"""The history page: what its trends draw, what its tables say, and that it is a page that asks for nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from imgid_audit.core.history import History, Project, RunRecord, Unread
from imgid_audit.core.result import WaiverState
from imgid_audit.export.history_page import render_history
from imgid_audit.report.figures.trend import BOTTOM, LEFT, RIGHT, TOP, Moment, trend
from imgid_audit.report.past import build_history, record
from imgid_audit.report.past.trends import DRAWN, OTHER
from tests.export.test_html_page import Page
from tests.report import factory

START = datetime(2026, 1, 1, tzinfo=UTC)


def run(day: int, **changes: Any) -> RunRecord:
    made = replace(factory.binary(metrics=("accuracy", "recall", "ece")), run={"epoch": START.isoformat()})
    return replace(record(made, f"runs/{day:04d}"), epoch=START + timedelta(days=day), **changes)


def history(*runs: RunRecord, unread: tuple[Unread, ...] = ()) -> History:
    return History((Project("covid-cxr", runs),), unread)


def plain(data: bytes) -> str:
    return re.sub(r"\s+", " ", data.decode().replace("\xa0", " "))


def test_places_of_a_trend_are_those_of_its_values() -> None:
    moments = [Moment("a", 0.2, 0.1, 0.3, 0.25), Moment("b", None, kind="off"), Moment("c", 0.4, 0.3, 0.5, 0.25)]
    found = trend(moments, "percent", "text")
    assert found is not None
    xs = [float(mark.x.rstrip("%")) for mark in found.marks]
    assert xs == [round(LEFT + (RIGHT - LEFT) * share, 2) for share in (1 / 6, 3 / 6, 5 / 6)]
    (first, absent, last) = found.marks
    # the axis goes from 10 % to 50 %: the places of 20 % and 40 % are linear between
    assert [label.text.replace("\xa0", " ") for label in found.values] == ["10 %", "20 %", "30 %", "40 %", "50 %"]
    place = {label.text.replace("\xa0", " "): float(label.at) for label in found.values}
    assert (place["10 %"], place["50 %"]) == (BOTTOM, TOP)
    assert float(first.y) == place["20 %"]
    assert (float(first.low), float(first.high)) == (place["10 %"], place["30 %"])
    assert float(last.y) == place["40 %"]
    assert (float(absent.y), absent.kind, absent.low) == (BOTTOM, "off", "")
    assert found.links == (), "no line is drawn over an audit without a value"
    assert len(found.tolerances) == 2
    assert [label.text for label in found.dates] == ["a", "c"]


def test_neighbours_are_linked_and_equal_tolerances_are_one_line() -> None:
    moments = [Moment(str(i), 0.5, tolerance=0.1 if i < 3 else 0.2) for i in range(5)]
    found = trend(moments, None, "text")
    assert found is not None
    assert len(found.links) == 4
    assert [(line.x1, line.x2) for line in found.tolerances] == [("11%", "62.6%"), ("62.6%", "97%")]


def test_a_trend_without_a_value_is_none() -> None:
    assert trend([Moment("a", None, kind="off")], "percent", "text") is None


def test_a_rule_that_asked_something_else_is_listed_and_not_drawn() -> None:
    old = run(0)
    asked = {**old.rules["device-accuracy"], "metric": "recall"}
    other = replace(old, rules={**old.rules, "device-accuracy": asked})
    (block, *_) = build_history(history(other, run(1), run(2))).projects[0].rules
    assert block.heading == "device-accuracy"
    assert block.trend is not None
    assert len(block.trend.marks) == 2
    assert len(block.table.rows) == 3
    assert [row[0].detail for row in block.table.rows] == ["", "", OTHER]


def test_another_tolerance_is_the_same_question() -> None:
    old = run(0)
    verdicts = tuple(replace(v, tolerance=0.05) if v.rule == "device-accuracy" else v for v in old.verdicts)
    asked = {**old.rules["device-accuracy"], "max_gap": 0.05}
    looser = replace(old, verdicts=verdicts, rules={**old.rules, "device-accuracy": asked})
    (block, *_) = build_history(history(looser, run(1))).projects[0].rules
    assert block.trend is not None
    assert len(block.trend.marks) == 2
    assert len(block.trend.tolerances) == 2
    assert [row[-1].text.replace("\xa0", " ") for row in block.table.rows] == ["10 points", "5 points"]


def test_a_rule_that_is_gone_says_so() -> None:
    gone = replace(run(1), verdicts=run(1).verdicts[1:])
    blocks = {block.heading: block for block in build_history(history(run(0), gone)).projects[0].rules}
    assert blocks["device-accuracy"].detail.endswith("The rule is not in the audits after 2026-01-01 00:00.")
    assert list(blocks)[-1] == "device-accuracy", "those of the latest audit come first"


def test_bounds_are_told_apart_from_the_tolerance() -> None:
    (block, *_) = build_history(history(run(0))).projects[0].rules
    told = [cell.text.replace("\xa0", " ") for cell in block.table.rows[0]]
    assert told[2:] == ["21.1 points", "10.04 points", "31.2 points", "10 points"]


def test_many_runs_are_all_listed_and_the_latest_drawn() -> None:
    runs = tuple(run(day) for day in range(DRAWN + 30))
    (project,) = build_history(history(*runs)).projects
    assert len(project.runs.rows) == DRAWN + 30
    assert project.runs.rows[0][1].text == f"runs/{DRAWN + 29:04d}", "the latest first"
    assert project.note.startswith(f"The latest {DRAWN} of {DRAWN + 30} audits are drawn.")
    for block in (*project.rules, *project.metrics):
        assert len(block.table.rows) == DRAWN


def test_a_waived_rule_never_reads_as_met() -> None:
    waiver = WaiverState(date(2026, 12, 31), "A. Person", "why", active=True)
    verdicts = tuple(replace(v, waiver=None if v.status == "pass" else waiver) for v in run(0).verdicts)
    (project,) = build_history(history(replace(run(0), verdicts=verdicts))).projects
    assert project.kind == "open"
    assert "3 of these are waived and do not count." in project.explanation
    assert project.headline.endswith(": the policy is not met, and this is waived")
    (block, *_) = project.rules
    assert block.table.rows[0][1].text == "Broken, waived"
    assert block.trend is not None
    assert block.trend.marks[0].waived


def test_the_latest_audit_decides_the_colour() -> None:
    good = tuple(v for v in run(0).verdicts if v.status == "pass")
    for verdicts, kind in ((good, "good"), ((), "off"), (run(0).verdicts, "bad")):
        (project,) = build_history(history(run(0), replace(run(1), verdicts=verdicts))).projects
        assert project.kind == kind


def test_the_banner_says_whether_the_policy_is_met_as_the_report_does() -> None:
    of = {v.status: v for v in run(0).verdicts}
    for statuses, warns, said in (
        (("pass",), False, "the policy is met"),
        (("pass", "fail"), True, "the policy is not met"),
        (("pass", "not_evaluated"), True, "the policy is not met"),
        (("pass", "inconclusive"), False, "the data cannot settle the policy"),
        (("pass", "inconclusive"), True, "the policy is met, with open questions"),
        ((), False, "nothing was judged"),
    ):
        latest = replace(run(1), verdicts=tuple(of[status] for status in statuses), warns=warns)
        (project,) = build_history(history(run(0), latest)).projects
        assert project.headline.partition("UTC: ")[2] == said


def test_a_record_knows_whether_its_policy_warns() -> None:
    made = replace(factory.binary(), run={"epoch": START.isoformat()})
    for answer in ("warn", "fail"):
        policy = {**made.settings["policy"], "on_inconclusive": answer}
        told = record(replace(made, settings={**made.settings, "policy": policy}), "x")
        assert told.warns == (answer == "warn")


def test_axes_of_gaps_name_their_unit() -> None:
    (block, *_) = build_history(history(run(0), run(1))).projects[0].rules
    assert block.trend is not None
    assert block.trend.unit == "points"
    rates = build_history(history(run(0), run(1))).projects[0].metrics[0]
    assert rates.trend is not None
    assert rates.trend.unit == ""
    assert '">points</text>' in render_history(build_history(history(run(0)))).decode()


def test_the_page_is_well_formed_and_asks_for_nothing() -> None:
    hostile = replace(factory.hostile(), run={"epoch": START.isoformat()})
    wild = record(hostile, factory.HOSTILE[0])
    unread = (Unread(factory.HOSTILE[2], factory.HOSTILE[4]),)
    found = History((Project(wild.name, (wild,)), Project("b", (run(0), run(1)))), unread)
    data = render_history(build_history(found))
    page = Page(data.decode())
    assert page.open == []
    assert {tag for tag, _ in page.tags} & {"iframe", "object", "form", "base", "img", "use"} == set()
    for tag, attributes in page.tags:
        assert not any(key.startswith("on") or key == "style" for key in attributes), (tag, attributes)
        assert all(attributes[key].startswith(("#", "data:,")) for key in ("href", "src") if key in attributes)
    assert data.decode().count("<script") == 1
    assert data == render_history(build_history(found))


def test_headings_sections_and_words() -> None:
    text = plain(render_history(build_history(history(run(0), run(3), unread=(Unread("x", "is not JSON"),)))))
    assert "2 audits of 1 project. 1 folder could not be read." in text
    assert "Latest audit, 4 January 2026, 00:00 UTC: the policy is not met" in text
    assert "1 of 4 rules is broken, 1 inconclusive, 1 not evaluated, 1 met." in text
    assert "Is not JSON" in text
    assert text.count("<h1") == 1
    assert "The gap in accuracy between groups of device is at most 10 points." in text
