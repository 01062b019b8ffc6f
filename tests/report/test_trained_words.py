"""Sentences of the training section: each is said exactly where the numbers support it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from imgid_audit.core.fit import Answer, Fit, Flattening, Search, SearchTrial, Step, Study, Variant
from imgid_audit.core.predictions import Costs, OperatingPoint
from imgid_audit.core.result import AuditResult, Privacy, Undefined
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.report import SECTIONS
from imgid_audit.report.facts import Facts
from imgid_audit.report.published_fit import publishable_search
from imgid_audit.report.sections.training import Training
from imgid_audit.report.trained import wording
from imgid_audit.report.trained.lines import search_lines
from imgid_audit.report.trained.searched import part
from imgid_audit.report.trained.studies import part as study_part
from tests.report import factory
from tests.report import fit_factory as made

FEMALE = Slice(("sex",), ("F",))


def plain(text: str) -> str:
    return text.replace("\xa0", " ").replace("\u202f", " ").replace("\u2212", "-")


def said(study: Study) -> str:
    return plain(" ".join(study_part(study).said))


def variant(name: str, weights: int, lost: str = "", **parameters: object) -> Variant:
    if lost:
        return Variant(name, parameters, weights, 0, {}, (), 0, "not_run", lost)
    return Variant(name, parameters, weights, 640, {}, (0.9, 0.9), 640)


def step(before: str, after: str, answer: Answer, of: Slice = TOTAL, quantity: str = "") -> Step:
    move = {"better": 0.08, "worse": -0.08, "same": 0.001, "unknown": 0.01}[answer]
    half = {"better": 0.02, "worse": 0.02, "same": 0.003, "unknown": 0.05}[answer]
    asked = quantity or ("group" if of.attributes else "overall")
    return Step(before, after, asked, of, move, made.around(move, half), answer)


def study(kind: str, variants: Sequence[Variant], steps: Sequence[Step], **found: object) -> Study:
    across = ("sex",) if any(one.quantity == "group" for one in steps) else ()
    return Study(kind, across, 0.01, 0.95, (0, 1), tuple(variants), (), tuple(steps), 500, **found)  # type: ignore[arg-type]


# --- search


def about_the_worst_class(search: Search) -> Search:
    """The verdict stands on the class that is worst on test, which nobody asked for by its name."""
    (first,) = [c for c in search.changes if c.quantity == "worst_group"]
    judged = replace(first, quantity="worst_class", metric="recall", class_name="7", slice=TOTAL)
    others = tuple(replace(c, verdict=None) for c in search.changes)
    objective = replace(search.objective, quantity="worst_class", metric="recall", across=(), ignore=())
    return replace(search, objective=objective, changes=(*others, judged))


def test_a_search_for_the_worst_class_is_judged_on_test() -> None:
    search = about_the_worst_class(made.search())
    found = part(search)
    assert (found.headline, found.kind) == ("The chosen settings help on test", "good")
    assert plain(found.explanation).startswith(
        "Recall of the worst class, chosen less given: +5.2 [1.1, 9.3] points (95 %)."
    )
    assert wording.glance(search).endswith("it helps")
    assert found.tested[0].rows[0][0].detail == "objective: helps"


def with_given(state: str) -> Search:
    search = made.search()
    trials = tuple(replace(t, state=state, epochs=3) if t.number == 0 else t for t in search.trials)  # type: ignore[arg-type]
    return replace(search, trials=trials)


def test_the_last_value_of_a_trial_that_was_stopped_early_is_not_what_the_settings_as_given_reached() -> None:
    found = part(with_given("pruned"))
    assert "78.2 %" not in plain(found.explanation).split("Trained anew")[0]
    assert "were not trained to their end in the search" in found.explanation
    assert found.settings is not None
    assert [plain(cell.text) for cell in found.settings.rows[-1][1:3]] == ["–", "84.2 %"]
    assert found.fresh is not None
    assert found.fresh.rows[0][1].text == "–"


def test_fresh_values_are_compared_over_the_seeds_that_both_sides_have() -> None:
    """Given 0.9 with the seed that the choice has no value for: without pairing the choice would look worse."""
    search = replace(
        made.search(), seeds=(0, 1, 2, 3, 4),
        val={"given": (0.9, 0.5, 0.5, 0.5, 0.5), "chosen": (None, 0.55, 0.55, 0.55, 0.55)},
    )  # fmt: skip
    told = plain(part(search).explanation)
    assert (
        "Trained anew with 4 seeds that the search did not use (1 seed left out, without a value on one side), it is "
        "55.0 % on val, as given 50.0 %: 5.0 points better." in told
    )
    table = part(search).fresh
    assert table is not None
    assert [plain(row[-1].text) for row in table.rows] == ["50.0 %", "55.0 %"]


def test_where_the_settings_as_given_stay_only_whole_trainings_were_compared() -> None:
    trials = (
        SearchTrial(0, {"lr": 0.1}, "complete", 0.5, 3),
        SearchTrial(1, {"lr": 0.2}, "pruned", 0.6, 2, "x"),
        SearchTrial(2, {"lr": 0.3}, "failed", None, 1, "NaN"),
    )
    search = replace(made.kept(), trials=trials, chosen=0)
    assert plain(part(search).explanation).startswith("Of 3 trials none that was completed was better on val")
    assert wording.glance(search).endswith("completed none that is better")


@pytest.mark.parametrize(("value", "shown"), [(0.99996, "> 99.9 %"), (1.0, "100 %"), (0.78249, "78.2 %")])
def test_the_terminal_rounds_as_the_report_does(value: float, shown: str) -> None:
    search = made.search()
    trials = tuple(replace(t, value=value) if t.number == 13 else t for t in search.trials)
    first, given, best, worth = map(plain, search_lines(replace(search, trials=trials)))
    assert first == "search: 20 of 20 trials (16 complete, 1 failed, 3 pruned); all trials that were asked for"
    assert best.startswith(f"best: trial 13, {wording.criterion(search)} {shown}: lr = 0.0019, ")
    assert given.startswith(f"given: trial 0, {wording.criterion(search)} ")
    assert worth == "The best of 20 tries on the same val rows looks better than it is."


def scored(search: Search) -> Search:
    """Log loss over all rows as the objective; groups are shown beside it, and no gap can be told."""
    gone = Undefined("empty", "fewer than 2 groups with enough rows")
    found = []
    for one in search.changes:
        quantity = {"worst_group": "overall", "overall": "worst_group"}.get(one.quantity, one.quantity)
        one = replace(one, metric="log_loss", quantity=quantity)  # type: ignore[arg-type]
        if one.quantity == "gap":
            one = replace(one, value=gone, interval=None, before=gone, after=gone)
        found.append(one)
    rate = replace(search.changes[1], verdict=None)
    objective = replace(search.objective, metric="log_loss", quantity="overall", across=(), ignore=())
    return replace(search, objective=objective, changes=(*found, rate), better="lower", criterion="log_loss on val")


def test_scores_are_not_drawn_and_groups_beside_an_objective_over_all_rows_have_their_name() -> None:
    scores, rates = part(scored(made.search())).tested
    assert scores.heading == "What the choice changed on test"
    assert rates.heading == ""
    names = [row[0].text for row in scores.rows]
    assert names[:3] == [
        "Log loss over all rows",
        "Log loss in the worst group of device",
        "Gap in log loss across device",
    ]
    assert [row[0].text for row in rates.rows] == ["Accuracy over all rows"]
    assert all(cell.strip is None for row in scores.rows for cell in row)
    assert all(column.axis is None for column in scores.columns)
    assert rates.columns[-1].axis is not None
    gap = scores.rows[2]
    assert [cell.text for cell in gap[1:]] == ["undefined"] * 3 + ["fewer than 2 groups with enough rows"]
    without = tuple(one for one in scored(made.search()).changes if one.quantity not in ("group", "gap"))
    bare = part(replace(scored(made.search()), changes=without)).tested[0]
    assert [row[0].text for row in bare.rows] == ["Log loss over all rows", "Log loss in the worst group"]
    assert [column.kind for column in bare.columns] == ["name", "number", "number", "number"]


def test_a_criterion_is_told_by_its_printed_name() -> None:
    search = scored(made.search())
    found = part(search)
    facts = {fact.term: fact.text for fact in found.facts}
    assert facts["Objective"] == "Log loss over all rows on val; lower is better. Test rows took no part"
    assert found.trials.caption.endswith("the value is log loss over all rows on val")
    assert found.fresh is not None
    assert found.fresh.caption.startswith("Log loss over all rows on val: ")


@pytest.mark.parametrize(
    ("metric", "value", "median", "told"),
    [
        ("accuracy", 0.9354, 0.9384, "its best value (93.5 %) was worse than the median of 7 trials (93.8 %)."),
        ("accuracy", 0.99999, 1.0, "its best value (> 99.9 %) was worse than the median of 7 trials (100 %)."),
        ("log_loss", 3.2e-05, 1e-05, "its best value (< 0.001) was worse than the median of 7 trials (< 0.001)."),
    ],
)
def test_why_a_trial_was_stopped_is_told_in_the_unit_of_the_table(
    metric: str, value: float, median: float, told: str
) -> None:
    reason = f"in the first 3 epochs its best value ({value!r}) was worse than the median of 7 trials ({median!r})"
    search = replace(made.search(), objective=replace(made.OBJECTIVE, metric=metric))
    trial = SearchTrial(7, {}, "pruned", value, 3, reason)
    assert plain(wording.stopped(search, trial)) == f"In the first 3 epochs {told}"
    lost = replace(trial, state="failed", value=None, reason="the loss was not finite (1.5)")
    assert wording.stopped(search, lost) == "The loss was not finite (1.5)."


def test_no_evidence_has_its_caution_where_its_numbers_are_hidden() -> None:
    found = part(publishable_search(made.search("no evidence", 0.01), Privacy(11)))
    assert found.headline.startswith("No evidence")
    assert found.explanation == (
        "Accuracy in the worst group of device, chosen less given: suppressed. No evidence is not evidence of no "
        "difference."
    )
    (table,) = found.tested
    assert [column.kind for column in table.columns] == ["name", "number", "number", "number"], "nothing is drawn"


@pytest.mark.parametrize(
    ("value", "told"), [(1e30, "1e+30"), (1e-05, "1e-05"), (0.0001, "0.0001"), (10.0, "10"), (0.004016, "0.004016")]
)
def test_a_setting_is_written_as_the_space_writes_it(value: float, told: str) -> None:
    assert wording.value(value) == told == f"{value:.6g}"


# --- architectures

LADDER = (variant("smallcnn", 94_186), variant("resnet50", 25_000_000))
FROM_TO = ("smallcnn", "resnet50")


def test_a_larger_network_that_is_better_for_one_group_alone_is_said_to_be() -> None:
    parts = [step(*FROM_TO, "same"), step(*FROM_TO, "better", FEMALE), step(*FROM_TO, "better", FEMALE, "worst_group")]
    told = said(study("ladder", LADDER, parts))
    assert told == (
        "resnet50, the largest that was trained, is better than smallcnn for F (+8.0 [6.0, 10.0] points) and the worst "
        "group of sex (+8.0 [6.0, 10.0] points); over all rows it is no change (+0.1 [-0.2, 0.4] points). A larger one "
        "may be better yet; none was tried."
    )
    open_one = said(study("ladder", LADDER, [step(*FROM_TO, "unknown"), step(*FROM_TO, "better", FEMALE)]))
    assert "for F (+8.0 [6.0, 10.0] points); over all rows the data cannot tell" in open_one


@pytest.mark.parametrize("enough", [None, "smallcnn"])
def test_a_larger_one_that_could_not_be_trained_is_named(enough: str | None) -> None:
    answer: Answer = "same" if enough else "better"
    for weights, told in (
        (90_000_000, "A larger one, vit, was not trained: memory ran out."),
        (0, "Another one, vit, of unknown size was not trained: memory ran out."),
    ):
        lost = variant("vit", weights, "memory ran out")
        found = said(study("ladder", (lost, *LADDER), [step(*FROM_TO, answer)], enough=enough))
        assert found.endswith(told)
        assert "none was tried" not in found
    smaller = variant("tiny", 900, "memory ran out")
    assert "tiny" not in said(study("ladder", (smaller, *LADDER), [step(*FROM_TO, answer)], enough=enough))


def test_enough_speaks_only_of_parts_that_were_judged() -> None:
    told = said(study("ladder", LADDER, [step(*FROM_TO, "same")], enough="smallcnn"))
    assert told == (
        "smallcnn is enough here: over all rows no larger architecture that was trained is better by more than 1 point."
    )
    parts = [step(*FROM_TO, "same"), step(*FROM_TO, "unknown", FEMALE), step(*FROM_TO, "same", TOTAL, "worst_class")]
    told = said(study("ladder", LADDER, parts, enough="smallcnn"))
    assert told.endswith("and there is no evidence that one is better for a group or the worst class.")


# --- data


def data(answer: Answer, shares: tuple[float, ...] = (0.5, 1.0), at: int | None = None) -> Study:
    names = [f"{share:g}" for share in shares]
    before, after = names[-2:]
    steps = [step(before, after, answer), step(before, after, answer, FEMALE)]
    flat = (Flattening(TOTAL, 640, at, answer), Flattening(FEMALE, 300, at, answer))
    ran = [variant(name, 9, fraction=share) for name, share in zip(names, shares, strict=True)]
    return study("data_ladder", ran, steps, flattening=flat)


def test_a_fall_at_the_last_step_is_said_and_is_no_doubt() -> None:
    told = said(data("worse"))
    assert told == (
        "Over all rows accuracy fell at the last step (-8.0 [-10.0, -6.0] points from 50 % to 100 % of the training "
        "rows): more rows like these do not help this training. Of F accuracy fell at the last step (-8.0 [-10.0, "
        "-6.0] points from 50 % to 100 % of the training rows)."
    )
    assert "cannot tell" not in told
    assert "Collect" not in told


@pytest.mark.parametrize(
    ("shares", "collect"),
    [((0.5, 1.0), True), ((0.25, 1.0), True), ((0.2, 1.0), False), ((0.05, 1.0), False), ((0.25, 0.5), False)],
)
def test_collect_more_needs_the_whole_and_a_share_near_it(shares: tuple[float, ...], collect: bool) -> None:
    told = said(data("better", shares))
    assert told.count("Collect more") == (2 if collect else 0)
    if not collect:
        why = "too far apart" if shares[1] == 1 else "no network was trained on all rows"
        assert told.count("accuracy rose (+8.0 [6.0, 10.0] points from ") == 2
        assert told.count(why) == 2


def test_without_half_of_a_group_is_no_share() -> None:
    found = data("better")
    halved = variant("without half of F", 9, without_half_of="F")
    assert said(replace(found, variants=(*found.variants, halved))).count("Collect more") == 2


# --- augmentation

BEFORE, AFTER = "without augmentation", "as given"
WAYS = (variant(BEFORE, 9), variant(AFTER, 9))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("better", "As given: helps over all rows (+8.0 [6.0, 10.0] points)."),
        ("worse", "As given: harms over all rows (-8.0 [-10.0, -6.0] points)."),
        ("same", "As given: no change over all rows (+0.1 [-0.2, 0.4] points)."),
        ("unknown", "As given: over all rows the data cannot tell (+1.0 [-4.0, 6.0] points)."),
    ],
)
def test_without_groups_an_augmentation_is_told_of_all_rows(answer: Answer, words: str) -> None:
    assert said(study("augment_effect", WAYS, [step(BEFORE, AFTER, answer)])) == words


def test_harm_over_all_rows_is_said_where_no_group_shows_it() -> None:
    steps = [step(BEFORE, AFTER, "worse"), step(BEFORE, AFTER, "unknown", FEMALE)]
    assert said(study("augment_effect", WAYS, steps)) == (
        "As given: harms over all rows (-8.0 [-10.0, -6.0] points); the data cannot tell for any group."
    )


def test_help_over_all_rows_that_costs_one_group_is_a_warning() -> None:
    steps = [step(BEFORE, AFTER, "better"), step(BEFORE, AFTER, "worse", FEMALE)]
    found = study_part(study("augment_effect", WAYS, steps))
    assert found.said == ()
    assert plain(found.warnings[0]).endswith("harms F. The gain over all rows hides the harm.")


def test_groups_that_do_not_change_and_groups_that_are_open_are_told_apart() -> None:
    male = Slice(("sex",), ("M",))
    steps = [step(BEFORE, AFTER, "same"), step(BEFORE, AFTER, "same", FEMALE), step(BEFORE, AFTER, "unknown", male)]
    assert said(study("augment_effect", WAYS, steps)).endswith(
        "; no change for F, for the others the data cannot tell."
    )


# --- with what settings


def test_studies_say_whose_settings_they_were_made_with() -> None:
    for study in (made.ladder(), made.data_ladder(), made.augment_effect()):
        for chosen, told in ((None, "as given"), ({"lr": 0.1}, "as the search chose")):
            facts = {fact.term: fact.text for fact in study_part(study, chosen).facts}
            assert facts["Settings"] == told


def test_augmentation_that_a_search_chose_is_not_called_as_given() -> None:
    found = study_part(made.augment_effect(), {"augment.rotation": 15.0})
    told = str((found.said, found.warnings, found.tables))
    assert "As the search chose: over all rows" in told
    assert "s given" not in told
    given = study_part(made.augment_effect(), {"lr": 0.1})
    assert "As given: over all rows" in str(given.warnings), "the search left the augmentation as it was"


def test_a_report_tells_its_studies_what_the_search_chose() -> None:
    def settings(fit: Fit) -> set[str]:
        found = SECTIONS["training"].build(Facts.of(made.trained(fit), factory.EPOCH))
        assert isinstance(found, Training)
        return {fact.text for study in found.studies for fact in study.facts if fact.term == "Settings"}

    assert settings(made.fit()) == {"as the search chose"}
    assert settings(replace(made.fit(), search=made.kept())) == {"as given"}
    assert settings(replace(made.fit(), search=None)) == {"as given"}


def test_a_study_without_steps_has_no_legend_of_them() -> None:
    lone = replace(made.ladder(), variants=made.ladder().variants[:1], steps=(), enough=None)
    assert study_part(lone).legend == ""
    assert study_part(made.ladder()).legend.startswith(
        "No change: the whole interval is within 1\xa0point of 0, even where it does not hold 0. Better, worse: else "
    )


@pytest.mark.parametrize(
    ("init", "told"),
    [
        (None, "random weights"),
        ("DEFAULT", "DEFAULT"),
        ("/home/ann/secret/net.safetensors", "net.safetensors"),
        ("C:\\Users\\ann\\net.pt", "net.pt"),
    ],
)
def test_a_starting_point_is_told_without_where_it_lay(init: str | None, told: str) -> None:
    facts = {fact.term: fact.text for fact in training({"train": {"init": init, "lr": 0.1}}).facts}
    assert facts["Starting point"] == told


@pytest.mark.parametrize(("method", "told"), [("ema", "method ema, decay 0.9"), ("swa", "method swa, start 0.5")])
def test_an_average_is_told_by_what_it_reads(method: str, told: str) -> None:
    average = {"method": method, "decay": 0.9, "start": 0.5}
    facts = {fact.term: fact.text for fact in training({"train": {"average": average}}).facts}
    assert facts["Average of weights"] == told
    assert wording.block(average, "average", {"average.method": "ema"}) == "method ema, decay 0.9"


def test_curves_of_an_averaged_network_say_which_weights_each_is_of() -> None:
    for averaged in (True, False, None):
        fit = replace(made.fit(), curves=replace(made.curves(), best_averaged=averaged))
        found = SECTIONS["training"].build(Facts.of(made.trained(fit), factory.EPOCH))
        assert isinstance(found, Training)
        for caption in (found.figures[0].caption, found.panels[0].caption):
            assert ("Val is of the averaged weights" in caption) == (averaged is not None)


def test_two_ways_of_deciding_are_told_apart() -> None:
    result = made.trained()

    def told(**found: object) -> tuple[str, str]:
        evaluation = replace(result.evaluation, **{"operating_point": None, "costs": None, **found})  # type: ignore[arg-type]
        built = SECTIONS["training"].build(Facts.of(replace(result, evaluation=evaluation), factory.EPOCH))
        assert isinstance(built, Training)
        assert built.gap is not None
        return built.decided, built.gap.notes[0]

    assert told()[0] == ""
    assert told()[1].startswith("Dashed line")
    of = "Curves: the class of highest score. Gap, findings, search and studies: "
    given = OperatingPoint(0.4, "threshold 0.4", "given")
    assert told(operating_point=given) == (f"{of}at the threshold in force.",) * 2
    picked = OperatingPoint(0.4, "max f1", "val")
    assert told(operating_point=picked)[0] == f"{of}at the threshold in force; other networks have one of their own."
    assert told(costs=Costs(((0.0, 1.0), (5.0, 0.0))))[1] == f"{of}by the costs in force."


# --- what picked


def training(settings: dict[str, object]) -> Training:
    result: AuditResult = replace(made.trained(made.only_trained()), settings=settings)
    found = SECTIONS["training"].build(Facts.of(result, factory.EPOCH))
    assert isinstance(found, Training)
    return found


@pytest.mark.parametrize("select", ["worst_group", "worst_class"])
def test_an_epoch_picked_by_the_worst_is_said_to_flatter_it_by_points(select: str) -> None:
    found = training({"train": {"select": select}})
    what = select.replace("_", " ")
    for told in (found.gap_said, found.limits[0]):
        assert (
            f"the epoch (by the {what}), so accuracy on val at the kept epoch is a little too high, and that of" in told
        )
        assert "by several points" in told
    assert "the gap as much too small" in found.gap_said
    average = training({"train": {"select": "average"}})
    assert "several points" not in average.gap_said + average.limits[0]


def test_a_threshold_and_a_temperature_that_val_found_are_named() -> None:
    both = training({"train": {}, "operating_point": {"max": "f1"}, "calibration": {"method": "temperature"}})
    assert "Val rows picked the epoch, the threshold and the temperature" in both.gap_said
    given = training({"train": {}, "operating_point": {"threshold": 0.4}})
    assert "Val rows picked the epoch, so" in given.gap_said


def test_weights_that_are_not_what_one_expects_are_said_to_be() -> None:
    curves = made.curves()
    assert "last layer" not in wording.audited(curves)
    assert "average" not in wording.audited(curves)
    assert wording.audited(replace(curves, best_frozen=True)).endswith("Only their last layer had learnt by then.")
    assert wording.audited(replace(curves, best_averaged=True)).endswith("They are an average.")
    assert wording.audited(replace(curves, best_averaged=False)).endswith(
        "They are no average: it had not begun by then."
    )


def test_the_answers_of_a_study_say_which_intervals_hold_together() -> None:
    found = study_part(made.ladder())
    assert "those of all groups and the worst of them" in found.legend
    steps = tuple(
        replace(s, interval=replace(s.interval, level={"overall": 0.95, "class": 0.995}.get(s.quantity, 0.98)))
        for s in made.data_ladder().steps
        if s.interval is not None
    )
    flat = next(t for t in study_part(replace(made.data_ladder(), steps=steps)).tables if "flatten" in t.heading)
    note = plain(" ".join(flat.notes))
    assert "all rows 95 % t" in note
    assert "groups 98 % t" in note
    assert "classes 99.5 % t" in note
