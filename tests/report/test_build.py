"""What the report says of a result."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from imgid_audit.core.predictions import Costs
from imgid_audit.core.result import AuditResult, Estimate, Gap, Interval, Recalibration, Undefined, Verdict
from imgid_audit.core.slices import Slice
from imgid_audit.report import SECTIONS, Report, WorstImage, WorstImages, build, words
from imgid_audit.report.calibration import recalibrated
from imgid_audit.report.facts import Facts, worst_first
from imgid_audit.report.sections.verdicts import widest_gaps
from tests.report import factory

PIXEL = b"\x89PNG\r\n\x1a\nnot really"


def texts(of: object) -> Iterator[str]:
    """Every text in a payload, however deep."""
    if isinstance(of, str):
        yield of
    elif dataclasses.is_dataclass(of) and not isinstance(of, type):
        for field in dataclasses.fields(of):
            yield from texts(getattr(of, field.name))
    elif isinstance(of, tuple | list):
        for item in of:
            yield from texts(item)


def said(report: Report) -> str:
    return "\n".join(texts(report.parts)).replace("\xa0", " ").replace("\u202f", " ")


def payload(result: AuditResult, name: str, images: WorstImages | None = None) -> str:
    built = SECTIONS[name].build(Facts.of(result, factory.EPOCH, images))
    assert built is not None
    return "\n".join(texts(built)).replace("\xa0", " ").replace("\u202f", " ")


def with_verdicts(*statuses: str, on_inconclusive: str = "fail") -> AuditResult:
    return factory.audit(factory.Plan(verdicts=statuses, on_inconclusive=on_inconclusive))


@pytest.mark.parametrize(
    ("statuses", "on_inconclusive", "headline"),
    [
        (("pass",), "fail", "The policy is met"),
        (("pass", "fail"), "fail", "The policy is not met"),
        (("pass", "fail"), "warn", "The policy is not met"),
        (("pass", "not_evaluated"), "warn", "The policy is not met"),
        (("pass", "inconclusive"), "fail", "The data cannot settle the policy"),
        (("pass", "inconclusive"), "warn", "The policy is met, with open questions"),
        ((), "fail", "Nothing was judged"),
    ],
)
def test_the_headline_says_what_the_exit_code_says(
    statuses: tuple[str, ...], on_inconclusive: str, headline: str
) -> None:
    report = build(with_verdicts(*statuses, on_inconclusive=on_inconclusive), epoch=factory.EPOCH)
    assert report.headline == headline
    assert report.parts[0].name == "verdicts"


def test_page_one_has_verdicts_facts_gaps_and_notes() -> None:
    page = payload(factory.audit(), "verdicts")
    for text in (
        "The gap in accuracy between groups of device is at most 10 points.",
        "Acquisition devices in this data are simulated.",
        "smallcnn, trained in this run",
        "9f" * 32,
        "metadata.csv",
        "23 November 2026",
        "5 failed, 2 excluded",
        "10.04 points",
        "Deciding group\nhandheld",
        "More subjects to settle it\n[0, 46) 304; [76, 130] 160",
    ):
        assert text in page, text


def test_verdicts_come_by_urgency() -> None:
    built = SECTIONS["verdicts"].build(Facts.of(factory.audit(), factory.EPOCH))
    assert [line.status for line in built.verdicts] == ["Broken", "Not evaluated", "Inconclusive", "Met"]  # type: ignore[union-attr]


def test_a_rule_without_an_id_is_known_by_its_place() -> None:
    result = with_verdicts("fail", "inconclusive", "pass", "not_evaluated")
    rules = result.settings["policy"]["rules"]
    settings = {**result.settings, "policy": {"rules": [{**rule, "id": None} for rule in rules]}}
    assert "is at most 10 points" in payload(replace(result, settings=settings), "verdicts")


def test_binary_tasks_and_rules_are_told_in_words() -> None:
    page = payload(factory.binary(), "verdicts")
    assert "positive class “covid19”" in page
    assert "positive where the score is at least 0.4213, found on the val split for specificity >= 0.9" in page
    assert "Accuracy is at least 80 % in every group of sex, leaving out X." in page
    assert "The lowest selection rate is at least 0.8 times the highest across sex." in page


def gap(value: float, low: float, metric: str = "recall", attribute: str = "sex", kind: str = "difference") -> Gap:
    interval = Interval(low, min(value + 0.1, 1.0), 0.95, "MOVER")
    best, worst = Slice((attribute,), ("F",)), Slice((attribute,), ("M",))
    return Gap(metric, "a", attribute, kind, value, interval, best, worst, 0.1, 0.2)  # type: ignore[arg-type]


def test_the_widest_gaps_are_those_that_the_data_vouch_for_each_once() -> None:
    noisy, sure = gap(0.6, 0.0, attribute="site"), gap(0.2, 0.15)
    complement = gap(0.2, 0.15, "false_negative_rate")
    loss = gap(0.9, 0.8, "log_loss")
    ratio = gap(0.3, 0.2, kind="ratio")
    undefined = replace(gap(0.1, 0.0), value=Undefined("empty", "none"), interval=None)
    chosen = widest_gaps((noisy, complement, sure, loss, ratio, undefined))
    assert [(g.metric, g.attribute) for g in chosen] == [("false_negative_rate", "sex"), ("recall", "site")]


def test_groups_are_sorted_from_worst_to_best_in_the_metrics_own_direction() -> None:
    facts = Facts.of(factory.audit(), factory.EPOCH)
    for metric, sign in (("recall", 1), ("false_positive_rate", -1)):
        ordered = worst_first(facts.estimates((metric, None), ("sex",)))
        values = [e.value for e in ordered if not isinstance(e.value, Undefined)]
        assert values == sorted(values, reverse=sign < 0)
        assert isinstance(ordered[-1].value, Undefined)


def test_every_undefined_estimate_is_among_the_limits() -> None:
    result = factory.audit()
    page = payload(result, "limits")
    undefined = [e for e in result.evaluation.estimates if isinstance(e.value, Undefined)]
    assert undefined
    for estimate in undefined:
        assert estimate.value.reason in page  # type: ignore[union-attr]
        assert str(estimate.slice) in page


def test_limits_name_open_rules_idle_checks_lost_rows_and_notes() -> None:
    page = payload(factory.audit(), "limits")
    for text in (
        "age-recall: ", "impact: ", "D005 Same image in two splits: not applicable, images were not hashed.",
        "M002 Overfitting: not run", "5 rows: cannot be decoded: broken PNG file", "simulated",
        "Pictures of errors were not asked for",
    ):  # fmt: skip
        assert text in page, text


def test_rows_without_subjects_are_said_to_count_as_independent() -> None:
    alone = factory.audit(factory.Plan(subjects=False))
    assert "the intervals are too narrow" in payload(alone, "limits")
    assert "every row counts as independent" in payload(alone, "data")
    assert "the intervals are too narrow" not in payload(factory.audit(), "limits")


def test_the_account_of_rows_is_printed_whole() -> None:
    page = payload(factory.audit(), "data")
    for text in ("1 557", "1 550", "Reason: label is empty", "(missing)", "9 rows without a value"):
        assert text in page, text


def test_a_level_without_rows_is_shown_with_its_reason() -> None:
    page = payload(factory.audit(), "groups")
    assert "no rows of this group" in page
    assert "undefined" in page


def test_methods_and_levels_come_from_the_result() -> None:
    result = factory.audit()
    changed = tuple(
        e if e.interval is None else replace(e, interval=replace(e.interval, level=0.9, method="a new method"))
        for e in result.evaluation.estimates
    )
    built = SECTIONS["method"].build(
        Facts.of(replace(result, evaluation=replace(result.evaluation, estimates=changed)), factory.EPOCH)
    )
    used = "\n".join(texts(built.intervals)).replace("\xa0", " ")  # type: ignore[union-attr]
    assert "a new method" in used
    assert "90 %" in used
    assert "Wilson" not in used


def methods_shown(result: AuditResult) -> list[str]:
    built = SECTIONS["method"].build(Facts.of(result, factory.EPOCH))
    return [row[1].text for row in built.choice.rows]  # type: ignore[union-attr]


def test_the_table_of_methods_has_what_this_audit_can_come_to() -> None:
    by_subject, by_row = (factory.audit(factory.Plan(subjects=subjects)) for subjects in (True, False))
    assert "Wilson (effective n by subject)" in methods_shown(by_subject)
    assert {"Wilson", "Clopper-Pearson", "MOVER", "Tukey's range"} <= set(methods_shown(by_row))
    assert not any("Tango" in one or "DeLong" in one for one in methods_shown(by_row))
    assert "Miettinen-Nurminen" not in methods_shown(by_row)
    asking = {**by_row.settings, "intervals": {"difference": "miettinen_nurminen", "ratio": "mover"}}
    shown = methods_shown(replace(by_row, settings=asking))
    assert "Miettinen-Nurminen" in shown
    assert "Koopman" not in shown


def test_gaps_stand_beside_what_chance_would_show() -> None:
    result = factory.binary()
    (panel, *_) = SECTIONS["groups"].build(Facts.of(result, factory.EPOCH)).panels  # type: ignore[union-attr]
    (rates,) = panel.chance
    drawn = next(row for row in rates.rows if row[0].text == "Accuracy")
    gap = next(
        g for g in result.evaluation.gaps if (g.metric, g.attribute, g.kind) == ("accuracy", "device", "difference")
    )
    assert gap.envelope is not None
    assert f"{100 * gap.envelope.upper:.1f}" in drawn[2].text
    strip = drawn[3].strip
    assert strip is not None
    assert position(strip.zero) < position(strip.chance) < position(strip.high)
    shares = [position(x) - position(strip.zero) for x in (strip.chance, strip.point)]
    assert shares[0] / shares[1] == pytest.approx(gap.envelope.upper / gap.value, rel=0.01)
    assert len(rates.rows) == len(panel.forests)
    without = tuple(replace(g, envelope=None) for g in result.evaluation.gaps)
    bare = replace(result, evaluation=replace(result.evaluation, gaps=without))
    assert SECTIONS["groups"].build(Facts.of(bare, factory.EPOCH)).panels[0].chance == ()  # type: ignore[union-attr]


def position(percentage: str) -> float:
    return float(percentage.removesuffix("%"))


def test_groups_stand_against_the_best_all_rows_and_the_reference() -> None:
    result = factory.binary()
    (panel, *_) = SECTIONS["groups"].build(Facts.of(result, factory.EPOCH)).panels  # type: ignore[union-attr]
    (table,) = panel.contrasts
    best = max(
        (e for e in result.evaluation.estimates if (e.metric, e.slice.attributes) == ("accuracy", ("device",))),
        key=lambda e: e.value,
    )
    assert [column.title for column in table.columns] == [
        *("device", f"Against the best, {best.slice.levels[0]}", "Against all rows", "Against scanner")
    ]
    rows = {row[0].text: row for row in table.rows}
    assert set(rows) == set(factory.DEVICES)
    assert rows[best.slice.levels[0]][1].text == "–"
    (one,) = [
        c
        for c in result.evaluation.contrasts
        if (c.metric, c.against, c.kind, c.slice.key) == ("accuracy", "overall", "difference", {"device": "handheld"})
    ]
    assert one.value < 0
    assert rows["handheld"][2].text == f"\u2212{-100 * one.value:.1f}\xa0points"
    assert rows["handheld"][2].detail.startswith("[\u2212")


def test_nothing_of_the_run_block_and_no_other_clock_is_in_the_report() -> None:
    result = factory.audit()
    later = replace(result, run={"started": "2031-01-01", "host": "elsewhere", "seconds": 1e6})
    assert build(result, epoch=factory.EPOCH) == build(later, epoch=factory.EPOCH)
    with pytest.raises(ValueError, match="time zone"):
        build(result, epoch=datetime(2026, 1, 1))


def test_worst_images_are_opt_in() -> None:
    image = WorstImage(PIXEL, "3", "8", 0.9987, {"device": "handheld"})
    shown = payload(factory.audit(), "worst_images", WorstImages((image,), 42))
    assert "“3” taken for “8”, score > 0.998" in shown or "“3” taken for “8”, score 0.999" in shown
    assert "of 42" in shown
    assert "data:image/png;base64," in shown
    names = [part.name for part in build(factory.audit(), epoch=factory.EPOCH).parts]
    assert "worst_images" not in names


def test_a_picture_must_be_a_png() -> None:
    image = WorstImage(b"<svg onload=alert(1)>", "3", "8", None, {})
    with pytest.raises(ValueError, match="PNG"):
        payload(factory.audit(), "worst_images", WorstImages((image,), 1))


def test_a_large_audit_is_capped_and_says_so() -> None:
    report = build(factory.large(), epoch=factory.EPOCH)
    page = said(report)
    assert "Shown: the first 30 of 200 groups. All of them are in audit.json and in the CSV tables." in page
    assert len(page) < 500_000


def test_sections_are_left_out_only_where_there_is_nothing_of_the_kind() -> None:
    names = {part.name for part in build(factory.binary(scores=False, intersections=()), epoch=factory.EPOCH).parts}
    everything = set(SECTIONS.names)
    # calibration still has its curves only where scores are; a binary task has no classes to compare
    assert everything - names == {"classes", "intersections", "calibration", "worst_images", "mitigations", "training"}


def test_an_audit_of_nothing_but_a_total_still_makes_a_report() -> None:
    bare = factory.audit(factory.Plan(attributes={"none": {"all": (40, 0.9)}}, intersections=(), notes=(), verdicts=()))
    only_total = tuple(e for e in bare.evaluation.estimates if not e.slice.attributes)
    evaluation = replace(bare.evaluation, estimates=only_total, gaps=(), reliability=())
    report = build(replace(bare, evaluation=evaluation, findings=()), epoch=factory.EPOCH)
    page = said(report)
    assert "Nothing was judged" in page
    assert "No attribute was declared" in page
    assert "No gap could be estimated" in page


def test_an_undefined_verdict_has_no_numbers() -> None:
    verdict = Verdict("r", "not_evaluated", "why not", None, None, None, 0.1, None, None)
    result = factory.audit()
    alone = replace(result, evaluation=replace(result.evaluation, verdicts=(verdict,)))
    page = payload(alone, "verdicts")
    assert "Why not." in page
    assert "Observed" not in page


def test_every_section_has_a_title_a_summary_and_a_template() -> None:
    from imgid_audit.export.templates import template_folder

    for section in SECTIONS:
        assert section.title
        assert section.summary.endswith(".")
        assert (template_folder() / section.template).is_file()


def test_building_a_report_imports_nothing_heavy() -> None:
    code = (
        "import sys, imgid_audit.report, imgid_audit.export\n"
        "heavy = {'torch', 'torchmetrics', 'pandas', 'sklearn', 'matplotlib', 'weasyprint', 'jinja2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_number_by_two_names_is_drawn_once_and_listed_twice() -> None:
    result = factory.audit(factory.Plan(metrics=("recall", "f1", "precision", "specificity")))
    same = tuple(
        e
        if e.metric != "f1"
        else replace(next(r for r in result.evaluation.estimates if key(r) == key(e)), metric="f1")
        for e in result.evaluation.estimates
    )
    facts = Facts.of(replace(result, evaluation=replace(result.evaluation, estimates=same)), factory.EPOCH)
    panel = SECTIONS["groups"].build(facts).panels[0]  # type: ignore[union-attr]
    assert [table.heading for table in panel.forests] == [
        f"{metric} (mean of classes) by device" for metric in ("Recall", "Precision", "Specificity")
    ]
    assert [column.title for grid in panel.grids for column in grid.columns[2:]] == ["F1 (mean of classes)"]


def key(estimate: Estimate) -> tuple[str | None, Slice]:
    return estimate.class_name, estimate.slice


def test_gaps_name_their_groups_with_n() -> None:
    result = factory.audit(factory.Plan(intersections=(), metrics=("accuracy",)))
    (first, *_) = SECTIONS["verdicts"].build(Facts.of(result, factory.EPOCH)).gaps  # type: ignore[union-attr]
    sizes = result.data.attributes[first.title.removeprefix("Accuracy across ")]
    best, worst = (text.replace("\xa0", " ") for text in first.ends.split(", worst "))
    for text in (best.removeprefix("best "), worst):
        level, n = text.removesuffix(" that count)").split(" (n = ")
        assert sizes[level] == int(n)


def test_gaps_name_the_rows_that_count_and_what_the_p_value_tests() -> None:
    result = factory.binary()
    thinned = tuple(replace(e, support=e.n // 3) if e.metric == "recall" else e for e in result.evaluation.estimates)
    result = replace(result, evaluation=replace(result.evaluation, estimates=thinned))
    facts = Facts.of(result, factory.EPOCH)
    (panel, *_) = SECTIONS["groups"].build(facts).panels  # type: ignore[union-attr]
    (recall,) = [row for row in panel.gaps.rows if row[0].text.startswith("Recall")]
    support = {
        e.slice.levels[0]: e.support for e in thinned if (e.metric, e.slice.attributes) == ("recall", ("device",))
    }
    for cell in recall[3:5]:
        assert cell.detail.replace("\xa0", " ") == f"n = {support[cell.text]} that count"
    assert "p: that all groups are equal" in " ".join(panel.gaps.notes)
    where = Slice(("device",), (recall[3].text,))
    parity = facts.size(where, ("demographic_parity", "covid19")).replace("\xa0", " ")
    assert parity == f"n = {result.data.attributes['device'][recall[3].text]} rows", "selection rate was not asked for"
    first = payload(result, "verdicts")
    assert first.count("that all groups are equal") == 1


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        ("demographic_parity", "The lowest selection rate is at least 0.8 times the highest across sex."),
        ("equal_opportunity", "The lowest recall is at least 0.8 times the highest across sex."),
        ("predictive_parity", "The lowest precision is at least 0.8 times the highest across sex."),
        ("equalized_odds", "ratios (lowest to highest group) of recall and of false positive rate across sex is at"),
    ],
)
def test_ratios_of_criteria_name_the_metric_that_is_compared(metric: str, said: str) -> None:
    assert said in words.rule({"metric": metric, "across": "sex", "min_ratio": 0.8}, multiclass=False)


def test_calibration_is_of_the_top_label_also_where_costs_decide() -> None:
    result = factory.audit()
    assert "binned by the score of the top label" in payload(result, "calibration")
    assert "follow the costs" not in payload(result, "calibration")
    labels = result.evaluation.task.labels
    costs = Costs(tuple(tuple(float(i != j) for j in range(len(labels))) for i in range(len(labels))))
    costly = replace(result, evaluation=replace(result.evaluation, costs=costs))
    assert "decisions follow the costs, so this is not their accuracy" in payload(costly, "calibration")


@pytest.mark.parametrize(
    ("temperature", "said", "smallest"),
    [
        (1.7, "softer scores", True),
        (0.4, "sharper scores", True),
        (1.0, "had nothing to fit", False),
        (20.0, "the minimum of the log loss of 300 rows of the val split was not reached", False),
        (0.05, "was not reached", False),
    ],
)
def test_a_temperature_claims_no_minimum_that_it_did_not_reach(temperature: float, said: str, smallest: bool) -> None:
    text = recalibrated(Recalibration("temperature", temperature, "val", 300)).replace("\xa0", " ")
    assert said in text
    assert ("smallest" in text) == smallest
