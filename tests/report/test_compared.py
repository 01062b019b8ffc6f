"""What a comparison says: its answer, every number from where it came, nothing that was not declared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgid_audit.core.comparison import Comparison
from imgid_audit.report import SECTIONS, build
from imgid_audit.report.blocks import Table
from imgid_audit.report.compared import COLUMNS, comparison_lines, comparison_rows, wording
from imgid_audit.report.compared.view import direction
from imgid_audit.report.facts import Facts
from imgid_audit.report.sections.mitigations import Mitigations
from tests.report import comparison_factory as made
from tests.report import factory


def payload(comparison: Comparison) -> Mitigations:
    result = replace(factory.audit(), comparison=comparison)
    found = SECTIONS["mitigations"].build(Facts.of(result, factory.EPOCH))
    assert isinstance(found, Mitigations)
    return found


def plain(text: str) -> str:
    return text.replace("\xa0", " ").replace("\u202f", " ").replace("\u2212", "-")


def cells(table: Table) -> dict[str, list[str]]:
    """Texts by the first cell's; details after a bar."""
    return {row[0].text: [plain(f"{c.text}|{c.detail}" if c.detail else c.text) for c in row[1:]] for row in table.rows}


def test_an_audit_without_a_comparison_has_no_such_section() -> None:
    assert SECTIONS["mitigations"].build(Facts.of(factory.audit(), factory.EPOCH)) is None
    assert "mitigations" not in [part.name for part in build(factory.audit(), epoch=factory.EPOCH).parts]


def test_the_answer_comes_first_and_says_the_scope() -> None:
    found = payload(made.comparison())
    assert found.headline == "1\xa0method helps: oversample"
    assert found.kind == "good"
    assert found.scope.startswith("Heads on a frozen backbone (scope head).")
    assert "Judged by accuracy in the worst group of device: of 8 methods compared with baseline, 1 helps, 1 harms " \
        "and for 6 there is no evidence of a difference. 1 method was not run." in plain(found.explanation)  # fmt: skip
    assert "Levelling down" in found.explanation
    assert "group_dro" in found.explanation
    full = payload(made.comparison(made.Plan(scope="full")))
    assert full.scope.startswith("End-to-end training (scope full).")


def verdicts(**said: str) -> Comparison:
    methods = tuple(
        replace(m, verdict=said.get(m.name, "no evidence"), levelling_down=m.name == "levelled") for m in made.METHODS
    )
    return made.comparison(made.Plan(methods=methods))


@pytest.mark.parametrize(
    ("comparison", "headline", "kind"),
    [
        (made.nothing_helps(), "No method showed evidence of a difference", "open"),
        (verdicts(focal="harms"), "No method showed that it helps; 1 method harms: focal", "bad"),
        (verdicts(focal="helps", dfr="helps"), "2 methods help: focal, dfr", "good"),
        (made.comparison(made.Plan(methods=(made.METHODS[0], made.METHODS[1], made.METHODS[-1]))),
         "1 method helps: oversample", "good"),
        (made.undefined(made.comparison(made.Plan(methods=made.METHODS[:2])), "oversample"),
         "No method could be compared with the baseline", "off"),
    ],
)  # fmt: skip
def test_the_headline_is_what_the_verdicts_say(comparison: Comparison, headline: str, kind: str) -> None:
    found = wording.conclusion(comparison)
    assert (plain(found[0]), found[1]) == (headline, kind)


def test_help_by_levelling_down_is_no_good_news() -> None:
    methods = (made.METHODS[0], replace(made.METHODS[1], levelling_down=True))
    comparison = made.comparison(made.Plan(methods=methods))
    headline, kind, _ = wording.conclusion(comparison)
    assert plain(headline) == "1 method helps: oversample (by levelling down)"
    assert kind == "open"
    assert "oversample (by levelling down)" in wording.glance(comparison)


def test_a_change_without_a_value_is_no_verdict_whatever_it_bears() -> None:
    comparison = made.comparison()
    spoilt = made.undefined(comparison, "oversample")
    kept = tuple(replace(c, verdict="no evidence") if c.method == "oversample" and c.quantity == "worst_group"
                 and c.selected == "declared" else c for c in spoilt.changes)  # fmt: skip
    spoilt = replace(spoilt, changes=kept)
    assert "For 1 method the change has no value." in plain(wording.conclusion(spoilt)[2])
    row = cells(payload(spoilt).answer)["oversample"]
    assert row[0] == "No verdict"
    assert "no test row of handheld" in row[-1]


def test_every_number_of_the_answer_is_the_changes_own() -> None:
    rows = cells(payload(made.comparison()).answer)
    assert list(rows) == [m.name for m in made.METHODS[1:]]
    assert rows["oversample"] == [
        "Helps", "+9.3 points|[5.3, 13.3] points", "seeds 0.6 points|test rows 1.5 points", "p = .009", "",
    ]  # fmt: skip
    assert rows["group_dro"][0].startswith("No evidence|Levelling down")
    assert rows["smote"][0] == "Not run"
    assert rows["smote"][-1].startswith("Class “7” has 3 training rows")
    strips = {row[0].text: row[-1].strip for row in payload(made.comparison()).answer.rows}
    assert strips["smote"] is None
    oversample = strips["oversample"]
    assert oversample is not None
    places = [float(x[:-1]) for x in (oversample.reference, oversample.low, oversample.point, oversample.high)]
    assert places == sorted(places)


def test_other_changes_have_intervals_and_no_verdicts() -> None:
    tables = payload(made.comparison()).others
    heads = [column.title for table in tables for column in table.columns[1:]]
    assert heads[0] == "Accuracy, all rows"
    assert "Accuracy, worst group" not in heads
    assert "Accuracy, worst class" in heads
    assert "Accuracy, gap, lower is better" in heads
    assert "ECE, all rows, lower is better" in heads
    for table in tables:
        for row in cells(table).values():
            assert all("[" in cell or cell == "–" for cell in row)
            assert not any(word in cell for cell in row for word in ("Helps", "Harms", "No evidence"))
    assert "smote" not in cells(tables[0])


def test_groups_are_drawn_before_and_after_along_one_axis() -> None:
    found = payload(made.comparison())
    assert len(found.groups) == 5, "the others unfold"
    tables = (*found.groups, *found.groups_more)
    assert plain(found.groups_folded) == "Groups under 3 more methods"
    assert [table.heading for table in tables] == [m.name for m in made.METHODS[1:] if not m.reason]
    assert len({table.columns[-1].axis for table in tables}) == 1
    rows = tables[0].rows
    assert [row[0].text for row in rows] == ["handheld", "copier", "scanner"]
    assert plain(rows[0][0].detail) == "74.1 % → 83.4 %"
    pairs = [row[-1].pair for row in rows]
    assert all(pair is not None for pair in pairs)
    assert plain(pairs[0].text) == "from 74.1 % to 83.4 %"  # type: ignore[union-attr]
    assert float(pairs[0].before[:-1]) < float(pairs[0].after[:-1])  # type: ignore[union-attr]
    assert float(pairs[2].before[:-1]) > float(pairs[2].after[:-1])  # type: ignore[union-attr]


def test_of_many_groups_the_worst_are_drawn_and_the_others_counted() -> None:
    table = payload(made.many_groups()).groups[0]
    assert len(table.rows) == 12
    assert "of 80" in plain(table.notes[0])
    before = [float(plain(row[0].detail).split(" %")[0]) for row in table.rows]
    assert before == sorted(before)


def test_cost_is_in_images_and_rows_and_never_in_seconds() -> None:
    comparison = made.comparison()
    found = payload(comparison).cost
    assert "1 519 images through the network." in plain(found.said), "what is the same for all is said once"
    (table,) = found.tables
    assert [column.title for column in table.columns] == ["Method", "One head", "", "All trials and seeds", ""]
    rows = cells(table)
    assert rows["undersample"][0] == "21 000"
    assert rows["undersample"][2] == "168 000"
    bars = {row[0].text: (row[2].bar, row[4].bar) for row in table.rows}
    assert bars["oversample"] == ("100%", "100%")
    assert float(bars["undersample"][0][:-1]) == pytest.approx(100 * 21000 / 75950, abs=0.01)
    assert float(bars["undersample"][1][:-1]) == pytest.approx(100 * 168000 / (75950 * 8), abs=0.01)
    slower = replace(comparison, records=tuple(replace(r, seconds=r.seconds * 7) for r in comparison.records))
    assert payload(slower) == payload(comparison)


def test_cost_of_whole_networks_has_a_dash_where_no_head_was_refitted() -> None:
    comparison = made.comparison(made.Plan(scope="full"))
    records = tuple(
        replace(r, images_seen=1519 * (2 if r.name == "focal" else 1), images_total=8 * 1519,
                rows_seen=900 if r.name == "dfr" else 0, rows_total=0)
        for r in comparison.records
    )  # fmt: skip
    found = payload(replace(comparison, records=records)).cost
    assert "12 152 images through the network for all trials and seeds" in plain(found.said)
    assert "counts as if it were alone" in found.said
    images, rows = found.tables
    assert [cells(images)[name][0] for name in ("baseline", "focal")] == ["1 519", "3 038"]
    assert {name: row[0] for name, row in cells(rows).items() if row[0] != "–"} == {"dfr": "900"}


def test_a_comparison_without_totals_is_shown_without_them() -> None:
    comparison = made.comparison()
    old = tuple(replace(r, images_total=0, rows_total=0, tuned=(), uses_adjust=False) for r in comparison.records)
    found = payload(replace(comparison, records=old))
    (table,) = found.cost.tables
    assert [column.title for column in table.columns] == ["Method", "One head", ""]
    assert "†" not in " ".join(found.answer.notes)


def test_who_learnt_from_rows_set_aside_is_marked_and_told_everywhere() -> None:
    comparison = made.comparison()
    found = payload(comparison)
    assert {row[0].text for row in found.answer.rows if row[0].mark} == {"dfr"}
    (note,) = [note for note in found.answer.notes if note.startswith("†")]
    assert "dfr learnt from 160 further labelled rows, set aside from training" in plain(note)
    assert any("dfr learnt from 160 further" in plain(line) for line in found.limits)
    assert {name for name, row in cells(found.needs).items() if row[-1] == "yes"} == {"dfr"}
    assert any("dfr learnt from 160 further" in plain(line) for line in comparison_lines(comparison))
    hidden = payload(replace(comparison, rows={}))
    assert any("dfr learnt from further labelled rows" in note for note in hidden.answer.notes)


def test_values_that_a_method_chose_are_told_by_seed() -> None:
    comparison = made.comparison()
    details = {row[0].text: row[1].detail for row in payload(comparison).choices[0].rows}
    assert details["dfr"] == "Chosen by the method itself, for each seed: c 0.3, 0.1, 0.3, 0.1, 0.3"
    assert details["focal"] == ""

    def told(*values: float) -> str:
        record = replace(comparison.record("dfr"), tuned=tuple({"dfr.c": value} for value in values))
        return wording.tuned(record).rpartition(": ")[2]

    assert told(0.1, 0.1) == "c 0.1 each time"
    assert told(*(0.1 * i for i in range(1, 8))) == "c from 0.1 to 0.7"
    alone = replace(comparison.record("dfr"), tuned=({"dfr.tau": 0.5},))
    assert wording.setting(alone, {"dfr.tau": None, "dfr.refits": 20, "lr": 0.1}) == "refits 20, lr 0.1"


def test_how_many_settings_were_tried_and_why_fewer() -> None:
    comparison = made.comparison()
    trained = {fact.term: fact.text for fact in payload(comparison).declared}["Trained"]
    assert "for each method up to 3 settings tried with one tuning seed" in plain(trained)
    anew = replace(comparison.record("dfr"), trials=(), parameters={"dfr.refits": 20}, chosen=None)
    records = tuple(anew if r.name == "dfr" else r for r in comparison.records)
    chosen = payload(replace(comparison, records=records)).choices[0]
    assert cells(chosen)["dfr"][1] == "as given"
    assert "Fewer: dfr, where the last layer is fitted anew" in chosen.notes[0]
    assert "Fewer: baseline, balanced_softmax, group_thresholds, for there are no more." in chosen.notes[0]


def test_one_trial_is_none() -> None:
    comparison = made.comparison()
    records = tuple(replace(r, trials=(), chosen=None, chosen_by_average=None) for r in comparison.records)
    found = payload(replace(comparison, records=records, trials=1))
    trained = {fact.term: fact.text for fact in found.declared}["Trained"]
    assert plain(trained) == "45 heads: every method as given, nothing tried, trained with 5 seeds"
    assert found.choices[0].caption.startswith("As given, nothing tried")
    assert {row[1].partition("|")[0] for row in cells(found.choices[0]).values()} == {"as given"}
    assert found.choices[0].notes == ()


def test_who_needs_what_and_the_warning() -> None:
    table = payload(made.comparison()).needs
    rows = cells(table)
    assert rows["dfr"] == ["head", "yes", "yes", "yes", "–", "yes"]
    assert rows["group_thresholds"] == ["decision", "yes", "–", "yes", "yes", "–"]
    assert any("unlawful" in note for note in table.notes)
    without = made.comparison(made.Plan(methods=made.METHODS[:8]))
    assert not any("unlawful" in note for note in payload(without).needs.notes)


def test_calibration_of_prior_shifters_before_and_after() -> None:
    (table,) = payload(made.comparison()).calibration
    rows = cells(table)
    assert list(rows) == ["baseline", "balanced_softmax", "logit_adjustment"]
    assert rows["balanced_softmax"][:2] == ["0.095|[0.085, 0.105]", "0.043|[0.033, 0.053]"]
    assert payload(made.comparison(made.Plan(methods=made.METHODS[:4]))).calibration == ()


def test_what_was_picked_on_test_is_called_not_usable() -> None:
    chosen, otherwise = payload(made.comparison()).choices
    assert otherwise.columns[-1].title == "Best on test: not usable"
    assert "it is no result" in otherwise.notes[-1]
    assert cells(chosen)["focal"] == ["gamma 2, lr 0.001, weight_decay 0.0001", "3, 1 failed", "82.0 %"]
    assert cells(otherwise)["oversample"][1].startswith("+0.4 points")
    assert cells(otherwise)["undersample"][1].startswith("+0.4 points"), "epochs are picked otherwise too"
    gone = replace(made.comparison(), changes=tuple(c for c in made.comparison().changes if c.method != "focal"))
    assert cells(payload(gone).choices[1])["focal"][1] == "not trained"
    assert cells(otherwise)["baseline"][:2] == ["–", "–"]


def test_the_winner_and_how_to_audit_it() -> None:
    comparison = made.comparison()
    found = payload(comparison).winner
    assert found is not None
    assert found.command == "imgid-audit run CONFIG --set model.weights=RUN/mitigations/winner.safetensors"
    assert "is: helps." in found.said
    assert comparison.winner is not None
    unwritten = replace(comparison.winner, weights="", sha256="", reason="its decision rule is its own")
    other = payload(replace(comparison, winner=unwritten)).winner
    assert other is not None
    assert other.command == ""
    assert other.facts[-1].text == "Its decision rule is its own."
    assert payload(replace(comparison, winner=None)).winner is None


def test_limits_tell_the_scope_and_the_notes() -> None:
    head = " ".join(payload(made.comparison()).limits)
    assert "whose own seed was not varied" in head
    assert "dfr: mildly surprising." in head
    assert "whose own seed was not varied" not in " ".join(payload(made.comparison(made.Plan(scope="full"))).limits)


def test_the_first_page_has_one_line() -> None:
    report = build(made.compared(), epoch=factory.EPOCH)
    (told,) = [fact.text for fact in report.parts[0].payload.audited if fact.term == "Mitigations compared"]  # type: ignore[attr-defined]
    assert plain(told) == "9 methods, 5 seeds; helps: oversample; harms: undersample (heads on a frozen backbone)"
    assert "no evidence that any helps" in wording.glance(made.nothing_helps())


@pytest.mark.parametrize("quantity", ["worst_group", "gap", "overall"])
def test_each_declared_quantity_is_told(quantity: str) -> None:
    methods = tuple(replace(m, verdict="helps" if m.name == "dfr" else "no evidence") for m in made.METHODS)
    plan = made.Plan(methods=methods, quantity=quantity, metric="recall", class_name="7")  # type: ignore[arg-type]
    found = payload(made.comparison(plan))
    assert found.headline == "1\xa0method helps: dfr"
    said = {"worst_group": "recall of “7” in the worst group of device", "gap": "gap in recall of “7” across device",
            "overall": "recall of “7” over all rows"}[quantity]  # fmt: skip
    assert said in found.answer.caption
    assert ("Below 0 is better." if quantity == "gap" else "Above 0 is better.") in found.answer.notes
    assert found.trade_off is not None
    assert found.trade_off.x_axis == "accuracy, all rows"
    assert found.trade_off.y_axis == "recall, worst group"


def test_which_way_is_better() -> None:
    assert (direction("overall", "recall"), direction("gap", "recall"), direction("overall", "ece")) == (1, -1, -1)
    assert direction("overall", "selection_rate") == 0


def test_the_terminal_says_the_same() -> None:
    lines = [plain(line) for line in comparison_lines(made.comparison())]
    assert lines[0] == "1 method helps: oversample (heads on a frozen backbone)"
    assert "  oversample: helps, +9.3 points [5.3, 13.3], adjusted p = .009" in lines
    assert any(line.startswith("  group_dro: no evidence") and "levelling down" in line for line in lines)
    assert any(line.startswith("  smote: not run: class “7”") for line in lines)
    assert lines[-1] == "best on val: oversample, seed 3, written to mitigations/winner.safetensors"
    rows = comparison_rows(made.comparison())
    assert {len(row) for row in rows} == {len(COLUMNS)}
    assert [plain(text) for text in rows[0]] == [
        "oversample", "helps", "+9.3 points", "[5.3, 13.3] points", "74.1 %", "83.4 %", "p = .009",
    ]  # fmt: skip
    gone = comparison_rows(made.undefined(made.comparison(), "focal"))
    assert all(len(row) == len(COLUMNS) for row in gone)
    assert "undefined" in {row[0]: row[2] for row in gone}["focal"]
