"""What is told of a training: every number from where it came, no sentence beyond its answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imgid_audit.core.fit import Answer, Fit, Flattening, Search, Study
from imgid_audit.core.result import Undefined
from imgid_audit.core.slices import TOTAL
from imgid_audit.report import SECTIONS, build
from imgid_audit.report.blocks import Table
from imgid_audit.report.facts import Facts
from imgid_audit.report.sections.training import Training
from imgid_audit.report.trained import wording
from imgid_audit.report.trained.searched import SearchPart, part
from imgid_audit.report.trained.studies import StudyPart
from imgid_audit.report.trained.studies import part as study_part
from tests.report import factory
from tests.report import fit_factory as made


def payload(fit: Fit | None = None) -> Training:
    found = SECTIONS["training"].build(Facts.of(made.trained(fit), factory.EPOCH))
    assert isinstance(found, Training)
    return found


def plain(text: str) -> str:
    return text.replace("\xa0", " ").replace("\u202f", " ").replace("\u2212", "-")


def cells(table: Table | None) -> dict[str, list[str]]:
    """Texts by the first cell's; details after a bar."""
    assert table is not None
    return {row[0].text: [plain(f"{c.text}|{c.detail}" if c.detail else c.text) for c in row[1:]] for row in table.rows}


def named(of: StudyPart, heading: str) -> Table:
    (found,) = [table for table in of.tables if table.heading == heading]
    return found


def test_an_audit_that_trained_nothing_has_no_such_section() -> None:
    assert SECTIONS["training"].build(Facts.of(factory.audit(), factory.EPOCH)) is None
    empty = replace(factory.audit(), fit=Fit(None, (), hashes={"audit": "x"}))
    assert SECTIONS["training"].build(Facts.of(empty, factory.EPOCH)) is None
    names = [one.name for one in build(made.trained(), epoch=factory.EPOCH).parts]
    assert names.index("training") + 1 == names.index("limits"), "before what mitigations and limits say"


def test_the_lead_says_which_weights_and_that_test_took_no_part() -> None:
    lead = plain(payload().lead)
    assert (
        "Trained for 24 epochs; the weights after epoch 14 are audited, picked by accuracy of the worst group" in lead
    )
    assert "the test rows picked nothing" in lead


# --- curves and gaps


@pytest.mark.parametrize("epochs", [1, 2, 24, 300])
def test_the_kept_epoch_is_marked_and_its_numbers_are_the_curves_own(epochs: int) -> None:
    fit = made.only_trained(epochs)
    assert fit.curves is not None
    found = payload(fit)
    assert len(found.figures) == 2
    assert all(figure.chart.upright for figure in found.figures)
    assert found.epochs is not None
    (kept,) = [row for row in found.epochs.rows if row[0].detail == "kept"]
    assert int(kept[0].text) == fit.curves.best_epoch
    assert [float(cell.sort) for cell in kept[1:3]] == [
        fit.curves.train_loss[fit.curves.best_epoch - 1],
        fit.curves.val_loss[fit.curves.best_epoch - 1],
    ]
    assert len(found.epochs.rows) <= 13
    assert ("epochs; all of them are in fit.json" in " ".join(found.epochs.notes)) == (epochs > 12)


def test_groups_have_a_panel_each_the_worst_first_and_what_is_missing_is_no_zero() -> None:
    device, sex = payload().panels
    assert [figure.title for figure in device.figures] == ["handheld", "(missing)", "copier", "scanner"]
    assert list(cells(device.table)) == ["handheld", "(missing)", "copier", "scanner"]
    assert cells(sex.table)["X"] == ["–", "–", "–", "5.4 %", "0", "14"]
    assert "undefined after the first epoch" in sex.figures[-1].alternative
    looks = {path.look for path in sex.figures[-1].chart.paths}
    assert looks == {"other", "aside"}, "train is drawn, val has no line"


def test_a_training_without_val_rows_has_its_losses_alone() -> None:
    curves = made.curves()
    blind = replace(curves, val_loss=(None,) * 24, slices=())
    found = payload(Fit(blind, ()))
    assert [figure.title for figure in found.figures] == ["Loss by epoch"]
    assert "none on val" in found.figures[0].alternative
    assert found.gap is None
    assert found.gap_said == ""


def test_the_widest_gap_stands_first_and_the_undefined_says_why() -> None:
    table = payload().gap
    rows = cells(table)
    assert list(rows) == ["all rows", "handheld", "(missing)", "F", "M", "copier", "scanner", "X"]
    assert rows["handheld"][:4] == [
        "+18.3 points|[8.2, 28.4]", "96.9 %|[93.5 %, 100.3 %]", "78.6 %|[73.6 %, 83.7 %]",
        "160, 70|40, 17 subjects",
    ]  # fmt: skip
    assert rows["X"] == ["undefined", "100 %", "–", "14, 0|3, 0 subjects", "no val rows of this group"]
    assert table is not None
    assert "Intervals: 95\xa0% MOVER on Wilson (effective n by subject)." in table.notes
    assert "Of train and of val alone: 95\xa0% Wilson." in table.notes
    alone = cells(payload(replace(made.fit(), gaps=made.gaps(subjects=False))).gap)
    assert alone["handheld"][3] == "160, 70"


# --- search


def searched(search: Search) -> SearchPart:
    return part(search)


@pytest.mark.parametrize(
    ("search", "headline", "kind"),
    [
        (made.search(), "The chosen settings help on test", "good"),
        (made.search("no evidence", 0.01), "No evidence that the chosen settings help on test", "open"),
        (made.search("harms", -0.06), "The chosen settings harm on test", "bad"),
        (made.search(None), "The chosen settings were not judged on test", "off"),
        (made.kept(), "The settings as given were kept", "off"),
        (made.nothing_complete(), "The search found no setting", "off"),
    ],
)
def test_the_headline_is_the_verdict_on_test_and_nothing_more(search: Search, headline: str, kind: str) -> None:
    found = searched(search)
    assert (found.headline, found.kind) == (headline, kind)
    if kind != "good":
        assert " help on test" not in found.headline or "No evidence" in found.headline


def test_the_explanation_has_test_val_and_fresh_seeds_and_says_that_the_best_is_too_high() -> None:
    said = plain(searched(made.search()).explanation)
    assert "Accuracy in the worst group of device, chosen less given: +5.2 [1.1, 9.3] points (95 %)." in said
    assert "trial 13 of 20 reached 84.2 %, the settings as given 78.2 %: 6.0 points better." in said
    assert "The best of 20 tries on the same val rows looks better than it is." in said
    assert "Trained anew with 3 seeds that the search did not use, it is 82.5 % on val, as given 78.2 %" in said
    none = searched(made.search("no evidence", 0.01)).explanation
    assert "No evidence is not evidence of no difference." in none


def test_what_has_no_value_on_test_is_not_judged() -> None:
    search = made.search()
    gone = Undefined("empty", "no test row of handheld has class “7”")
    changes = tuple(
        replace(c, value=gone, interval=None, after=gone) if c.quantity == "worst_group" else c for c in search.changes
    )
    found = searched(replace(search, changes=changes))
    assert found.headline == "The chosen settings were not judged on test"
    assert "no test row of handheld" in found.explanation
    (table,) = found.tested
    row = cells(table)["Accuracy in the worst group of device"]
    assert row[1:] == ["undefined", "undefined", "no test row of handheld has class “7”"], "the reason once"


def test_lower_is_better_where_the_objective_says_so() -> None:
    search = made.search()
    low = replace(search, better="lower", objective=replace(search.objective, metric="log_loss", quantity="overall"))
    assert plain(wording.gain(low, 0.5, 0.4)) == "0.100 better"
    assert plain(wording.gain(search, 0.5, 0.4)) == "10.0 points worse"
    assert wording.gain(search, 0.5, 0.5) == "the same"
    chosen = replace(low, chosen=2)
    figure = searched(chosen).history
    assert figure is not None
    heights = [float(pair.split(",")[1]) for pair in figure.chart.paths[0].points.split()]
    assert heights == sorted(heights), "the best so far only falls"


def test_given_stands_beside_chosen() -> None:
    rows = cells(searched(made.search()).settings)
    assert rows["lr"] == ["0.001", "0.0019", "changed"]
    assert rows["architecture"] == ["smallcnn", "resnet18", "changed"]
    assert rows["Value on val, trial 0 and 13"][:2] == ["78.2 %", "84.2 %"]
    assert searched(made.kept()).settings is None


def test_only_the_objective_is_judged_on_test() -> None:
    (table,) = searched(made.search()).tested
    rows = cells(table)
    assert next(iter(rows)) == "Accuracy in the worst group of device"
    assert rows["Accuracy, handheld"][2] == "+5.2 points|[2.2, 8.2] points"
    assert [row[0].detail for row in table.rows].count("objective: helps") == 1
    assert not any("helps" in row[0].detail for row in table.rows[1:])


def test_fresh_seeds_stand_beside_the_search() -> None:
    rows = cells(searched(made.search()).fresh)
    assert rows["Chosen"] == ["84.2 %", "82.9 %", "81.4 %", "83.3 %", "82.5 %"]
    assert rows["As given"] == ["78.2 %", "78.1 %", "77.4 %", "79.0 %", "78.2 %"]
    short = replace(made.search(), val={"given": (0.7, None, 0.72), "chosen": (0.8,)})
    assert cells(searched(short).fresh)["Chosen"] == ["84.2 %", "80.0 %", "–", "–", "80.0 %"]


def test_every_trial_is_there_once_with_its_state_and_reason() -> None:
    found = searched(made.search())
    rows = cells(found.trials)
    assert list(rows) == [str(i) for i in range(20)]
    assert found.more_trials is None
    assert rows["8"][:3] == ["–", "Failed|The loss became infinite in epoch 3.", "2"]
    assert rows["5"][1].startswith("Stopped early|After 4 epochs worse")
    roles = {row[0].text: row[0].detail for row in found.trials.rows if row[0].detail}
    assert roles == {"0": "as given", "13": "chosen"}
    many = searched(made.search(count=50))
    assert many.more_trials is not None
    assert [row[0].text for table in (many.trials, many.more_trials) for row in table.rows] == [
        str(i) for i in range(50)
    ]
    assert plain(many.folded) == "38 more trials"
    most = searched(made.search(count=500))
    assert most.more_trials is not None
    assert any("500 trials" in plain(note) and "fit.json" in note for note in most.more_trials.notes)


def test_the_history_draws_each_state_by_its_own_shape() -> None:
    figure = searched(made.search()).history
    assert figure is not None
    shapes = [mark.shape for mark in figure.chart.marks]
    assert (shapes.count("cross"), shapes.count("hollow"), shapes.count("square"), len(shapes)) == (1, 3, 1, 20)
    assert figure.chart.level
    heights = [float(pair.split(",")[1]) for pair in figure.chart.paths[0].points.split()]
    assert heights == sorted(heights, reverse=True), "the best so far only rises"
    assert searched(made.nothing_complete()).history is None


def test_a_pruned_trial_is_never_the_best_so_far() -> None:
    search = made.search()
    high = tuple(replace(t, value=0.99) if t.state == "pruned" else t for t in search.trials)
    figure = searched(replace(search, trials=high)).history
    assert figure is not None
    best = min(float(pair.split(",")[1]) for pair in figure.chart.paths[0].points.split())
    assert best == min(float(mark.y) for mark in figure.chart.marks if mark.shape != "hollow")


def test_a_search_ended_by_time_says_that_it_may_end_elsewhere() -> None:
    facts = {fact.term: fact.text for fact in searched(made.nothing_complete()).facts}
    assert plain(facts["Ended"]) == (
        "The time limit; on another machine it may end elsewhere and choose another setting (limit: 30 minutes)"
    )
    assert plain(facts["Trials"]) == "3 trials of 20 asked for: 3 failed"


def test_the_first_page_has_one_line_and_the_chosen_architecture() -> None:
    def told(fit: Fit) -> dict[str, str]:
        first = build(made.trained(fit), epoch=factory.EPOCH).parts[0].payload
        return {fact.term: plain(fact.text) for fact in first.audited}  # type: ignore[attr-defined]

    found = told(made.fit())
    assert found["Training"] == (
        "settings chosen by a search of 20 trials on val (tpe); on test against the settings as given: it helps"
    )
    assert found["Model"].startswith("resnet18, trained in this run")
    assert told(replace(made.fit(), search=made.kept()))["Training"].startswith(
        "settings as given: a search of 20 trials"
    )
    plain_one = told(made.only_trained())
    assert "Training" not in plain_one
    assert plain_one["Model"].startswith("smallcnn")


# --- studies


def ladder(enough: str | None, last: Answer) -> str:
    study = made.ladder()
    steps = tuple(
        replace(s, answer=last) if s.after == "resnet50" and s.quantity == "overall" else s for s in study.steps
    )
    (said,) = study_part(replace(study, enough=enough, steps=steps)).said
    return plain(said)


def test_where_more_weights_stop_paying_is_said_only_where_it_is_known() -> None:
    assert ladder("resnet18", "same").startswith("resnet18 is enough here: over all rows no larger architecture")
    better = ladder(None, "better")
    assert better.startswith(
        "resnet50, the largest that was trained, is better than resnet18: +0.1 [-0.7, 0.9] points."
    )
    for answer in ("unknown", "same", "worse"):
        assert ladder(None, answer).startswith("The data cannot tell which size is enough")
    lone = replace(made.ladder(), variants=made.ladder().variants[:1], steps=(), enough=None)
    assert study_part(lone).said == ("Fewer than two architectures could be trained, so that nothing can be compared.",)
    assert study_part(lone).figure is None, "one point shows no course"


def test_architectures_are_numbered_as_they_are_drawn_and_the_lost_say_why() -> None:
    study = made.ladder()
    found = study_part(study)
    assert found.figure is not None
    assert [mark.label for mark in found.figure.chart.marks if mark.look == "main"] == ["1", "2", "3"]
    rows = cells(named(found, "Architectures"))
    assert list(rows) == ["1 · smallcnn", "2 · resnet18", "3 · resnet50", "timm/giant"]
    assert rows["2 · resnet18"] == [
        "11 180 000", "98.5 %", "92.3 %|[90.3 %, 94.3 %]", "79.3 %|[73.3 %, 85.3 %]", "enough",
    ]  # fmt: skip
    assert rows["timm/giant"][-1] == "Not run: no module named timm."
    turned = study_part(replace(study, variants=study.variants[::-1]))
    assert set(cells(named(turned, "Architectures"))) == set(rows), "numbers follow the size, whatever the order"
    assert turned.figure is not None
    assert [mark.label for mark in turned.figure.chart.marks if mark.look == "main"] == ["1", "2", "3"]


def test_each_step_has_its_answer_its_change_and_its_interval() -> None:
    rows = cells(named(study_part(made.ladder()), "Steps"))
    assert rows["all rows"] == ["Better|+4.1 [2.7, 5.5] points", "No change|+0.1 [-0.7, 0.9] points"]
    assert rows["handheld"] == ["Cannot tell|+4.8 [-0.2, 9.8] points", "Cannot tell|-0.2 [-5.2, 4.8] points"]
    assert "worst group of device" in rows


def test_the_levels_of_a_steps_intervals_are_their_own() -> None:
    study = made.ladder()
    steps = tuple(
        replace(s, interval=replace(s.interval, level=0.975 if s.quantity == "overall" else 0.99167))
        for s in study.steps if s.interval is not None
    )  # fmt: skip
    notes = plain(" ".join(named(study_part(replace(study, steps=steps)), "Steps").notes))
    assert "all rows 97.5 % t on seeds and val rows, by subject; groups 99.17 % t on" in notes


def data(**changed: object) -> Study:
    return replace(made.data_ladder(), **changed)  # type: ignore[arg-type]


def test_collect_more_is_said_only_of_what_still_rose() -> None:
    said = [plain(line) for line in study_part(data()).said]
    assert said[0] == (
        "Over all rows the curve is flat from 760 training rows on: more rows like these would likely not help by "
        "more than 1 point, with these training settings."
    )
    assert said[1].startswith(
        "Collect more of handheld: its accuracy still rose at the last step (+5.0 [2.0, 8.0] points from 50 % to 100 % "
        "of the training rows), and half of its own images removed lowered it (-6.1 [-9.1, -3.1] points)."
    )
    assert said[2] == (
        "More training rows like these would likely not help class “7” by more than 1 point, with these training "
        "settings: the curve is flat."
    )
    assert said[3] == "For scanner and copier the data cannot tell whether more would help."
    assert sum("Collect more" in line for line in said) == 1


@pytest.mark.parametrize("last", ["same", "unknown"])
def test_nothing_is_to_be_collected_where_nothing_rose(last: Answer) -> None:
    flat = tuple(replace(one, last=last, at=None) for one in made.data_ladder().flattening)
    said = " ".join(study_part(data(flattening=flat)).said)
    assert "Collect more" not in said
    assert "not help" not in said, "without a flat stretch it is not evidenced either"
    assert "Over all rows the data cannot tell" in said


def test_a_group_that_its_own_images_do_not_matter_to_is_told_so() -> None:
    study = made.data_ladder()
    hand = made.level("device", "handheld")

    def with_own(answer: Answer) -> str:
        steps = tuple(
            replace(s, answer=answer) if s.after == "without half of handheld" and s.slice == hand else s
            for s in study.steps
        )
        return " ".join(study_part(replace(study, steps=steps)).said)

    assert "changed it by no more than 1\xa0point, so images of other groups may serve as well" in with_own("same")
    assert "every group grew; the data cannot tell whose images made it rise." in with_own("unknown")
    better = plain(with_own("better"))
    assert "Collect more of handheld" not in better
    assert "removed raised it as well (-6.1 [-9.1, -3.1] points), so images of other groups made the rise" in better
    rising = (Flattening(TOTAL, 1519, None, "better"),)
    assert study_part(data(flattening=rising)).said[0].startswith("Collect more: over all rows")


def test_shares_flattening_and_halves_are_tables() -> None:
    found = study_part(made.data_ladder())
    assert list(cells(named(found, "Shares of the training rows"))) == ["12.5\xa0%", "25\xa0%", "50\xa0%", "100\xa0%"]
    flat = cells(named(found, "Where the curves flatten"))
    assert flat["all rows"][:3] == ["1 519", "760", "No change"]
    assert flat["handheld"][:4] == ["160", "not seen", "Better", "+5.0 points|[2.0, 8.0] points"]
    assert flat["class “7”"][1] == "76"
    halves = cells(named(found, "Whose images matter"))
    assert {group: row[0] for group, row in halves.items()} == {
        "scanner": "No change", "copier": "Cannot tell", "handheld": "Worse",
    }  # fmt: skip
    assert found.figure is not None
    assert {name.text for name in found.figure.chart.names} == {"all rows", "scanner", "copier", "handheld"}


def test_help_for_one_and_harm_for_another_stands_out() -> None:
    found = study_part(made.augment_effect())
    assert found.warnings == (
        "As given: over all rows the data cannot tell (+1.2 [−2.0, 4.4]\xa0points); helps handheld and harms scanner.",
        "Rotation alone: helps over all rows (+2.0 [0.6, 3.4]\xa0points); helps handheld and harms scanner. The gain "
        "over all rows hides the harm.",
    )
    assert found.said == (
        "Hflip alone: harms over all rows (−4.0 [−6.8, −1.2]\xa0points); harms scanner, copier and handheld.",
    )
    rows = cells(named(found, "By group"))
    assert rows["scanner"][0] == "Worse|-2.6 [-4.4, -0.8] points"
    assert rows["X"] == ["Cannot tell|undefined: no val rows of X", "–", "–"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("same", "As given: no change over all rows (MOVE); no group changes."),
        ("unknown", "As given: over all rows the data cannot tell (MOVE); nor for any group."),
        (
            "better",
            "As given: helps over all rows (MOVE); helps scanner, copier and handheld; no evidence that it harms "
            "another group.",
        ),
    ],
)
def test_an_augmentation_is_told_by_its_answers(answer: Answer, said: str) -> None:
    study = made.augment_effect()
    steps = tuple(replace(s, answer=answer) for s in study.steps if s.after == "as given" and s.value == s.value)
    steps = tuple(s for s in steps if not isinstance(s.value, Undefined))
    found = study_part(replace(study, steps=steps))
    assert [plain(line) for line in found.said] == [said.replace("MOVE", "+1.2 [-2.0, 4.4] points")]
    assert found.warnings == ()


def test_many_groups_are_capped_and_counted() -> None:
    study = made.augment_effect()
    (first,) = [s for s in study.steps if s.after == "as given" and s.quantity == "overall"]
    steps = tuple(replace(first, quantity="group", slice=made.level("site", f"{i}"), answer="worse") for i in range(80))
    found = study_part(replace(study, steps=steps))
    assert plain(found.said[0]) == "As given: harms 0, 1, 2, 3, 4, 5 and 74 more."
    table = named(found, "By group")
    assert len(table.rows) == 30
    assert any("80 groups" in plain(note) for note in table.notes)


def test_a_study_in_which_nothing_ran_says_why_and_draws_nothing() -> None:
    for study in (made.ladder(), made.data_ladder(), made.augment_effect()):
        lost = tuple(replace(v, status="not_run", reason="out of memory", train=()) for v in study.variants)
        empty = replace(study, variants=lost, estimates=(), steps=(), flattening=(), enough=None)
        found = study_part(empty)
        assert found.figure is None
        shown = [*found.said, *(cell.text for table in found.tables for row in table.rows for cell in row)]
        assert any("ut of memory" in text for text in shown)
        assert not any("Collect" in text or "enough here" in text or "helps" in text for text in found.said)


def test_limits_speak_of_what_was_made() -> None:
    assert len(payload(made.only_trained()).limits) == 2
    said = " ".join(payload().limits)
    assert "settings outside were not tried" in said
    assert "new sites or devices are another question" in said
