"""Where small cells are hidden, nothing that is published of the training depends on any number of a group."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from imgid_audit.core.fit import Curves, Fit, GeneralisationGap, Search, SearchTrial
from imgid_audit.core.result import AuditResult, Finding, Privacy, Undefined
from imgid_audit.core.slices import TOTAL
from imgid_audit.export.csv_tables import tables
from imgid_audit.export.html_page import render_html
from imgid_audit.report import SECTIONS, build, publishable
from imgid_audit.report.facts import Facts
from imgid_audit.report.published_fit import publishable_fit, publishable_search
from imgid_audit.report.trained.lines import search_lines
from tests.report import factory
from tests.report import fit_factory as made

HIDING = (
    Privacy(11),
    Privacy(11, ("device",)),
    Privacy(11, ("", "device", "age", "sex", "device*sex"), confusion=True),
)


def other_numbers(found: Fit) -> Fit:
    """The same settings and verdicts from other groups: no number of a group, a trial or a study is the same."""
    assert found.curves is not None
    assert found.search is not None

    def moved(value: float | None) -> float | None:
        return None if value is None else 0.9 * value + 0.03

    curves = replace(
        found.curves,
        slices=tuple(
            one if one.slice == TOTAL else replace(
                one, train=tuple(map(moved, one.train)), val=tuple(map(moved, one.val)), train_rows=5, val_rows=3
            ) for one in found.curves.slices[:-1]
        ),
    )  # fmt: skip
    gaps = tuple(
        one if one.slice == TOTAL else replace(one, train_n=3, val_n=2, val_subjects=1) for one in found.gaps[:-2]
    )
    search = replace(
        found.search,
        trials=tuple(
            replace(t, value=moved(t.value), reason="3 rows" if t.reason else "") for t in found.search.trials
        ),
        importance=found.search.importance[:1],
        val={"given": (0.1,), "chosen": (0.2,)},
        estimates=found.search.estimates[:2],
        changes=tuple(
            replace(c, value=0.3, interval=None, before=0.1, after=0.4, p_value=0.03, seed_error=0.5)
            for c in found.search.changes[:1]
        ),
        notes=("2 rows of handheld",),
    )
    return Fit(curves, gaps, search, found.studies[:1])


def published(result: AuditResult) -> list[bytes]:
    return [render_html(build(result, epoch=factory.EPOCH)), *tables(publishable(result)).values()]


@pytest.mark.parametrize("hiding", HIDING)
def test_other_numbers_give_the_same_published_bytes(hiding: Privacy) -> None:
    first, second = made.fit(), other_numbers(made.fit())
    hidden = [published(replace(made.trained(one), privacy=hiding)) for one in (first, second)]
    assert hidden[0] == hidden[1]
    shown = [published(made.trained(one)) for one in (first, second)]
    assert shown[0][0] != shown[1][0]


@pytest.mark.parametrize("hiding", HIDING)
def test_what_stays_are_settings_losses_and_the_verdict(hiding: Privacy) -> None:
    result = publishable(replace(made.trained(), privacy=hiding))
    found, given = result.fit, made.fit()
    assert found is not None
    assert found.curves is not None
    assert found.search is not None
    assert given.curves is not None
    assert found.curves.train_loss == given.curves.train_loss
    assert {one.slice for one in (*found.curves.slices, *found.gaps)} <= {TOTAL}
    assert found.studies == ()
    assert found.search.chosen == 13
    assert all(trial.value is None and not trial.reason for trial in found.search.trials)
    assert [change.verdict for change in found.search.changes] == ["helps"]
    assert all(isinstance(change.value, Undefined) for change in found.search.changes)
    assert any("values of a search and studies are never published" in note for note in result.notes)
    page = render_html(build(result, epoch=factory.EPOCH)).decode()
    assert "The chosen settings help on test" in page
    assert "Learning curves by" not in page
    files = tables(result)
    assert "tables/studies.csv" not in files
    assert "handheld" not in files["tables/training_curves.csv"].decode()


@pytest.mark.parametrize(("share", "stays"), [(0.9, True), (0.985, False), (0.005, False), (1.0, True), (0.0, True)])
def test_the_accuracy_of_all_rows_goes_where_it_tells_of_few(share: float, stays: bool) -> None:
    """0.985 of 519 rows leaves 8 that are wrong: a cell below 11."""
    curves = made.curves()
    total = replace(curves.slices[0], val=(share,) * 24, train=(0.5,) * 24)
    fit = Fit(replace(curves, slices=(total,)), (replace(made.gaps()[0], val=share, train=0.5),))
    found = publishable_fit(fit, Privacy(11))
    assert found.curves is not None
    assert bool(found.curves.slices) == bool(found.gaps) == stays
    gone = publishable_fit(fit, Privacy(11, ("",)))
    assert gone.curves is not None
    assert gone.curves.slices == gone.gaps == ()


def test_every_part_of_a_fit_is_known_to_be_public_or_stripped() -> None:
    """A new field must be thought about: does it tell of groups or few rows? Then `publishable_fit` must strip it."""
    assert {f.name for f in fields(Fit)} == {"curves", "gaps", "search", "studies", "hashes"}
    assert {f.name for f in fields(Curves)} == {
        *("train_loss", "val_loss", "lr", "best_epoch", "criterion", "ended", "slices"),
        *("best_frozen", "best_averaged"),
    }
    assert {f.name for f in fields(GeneralisationGap)} == {
        *("slice", "value", "interval", "train", "val", "train_n", "val_n", "train_subjects", "val_subjects"),
        *("train_interval", "val_interval"),
    }
    assert {f.name for f in fields(SearchTrial)} == {"number", "parameters", "state", "value", "epochs", "reason"}
    assert {f.name for f in fields(Search)} == {
        *("sampler", "pruner", "objective", "better", "criterion", "space", "asked", "trials", "chosen", "ended"),
        *("minutes", "importance", "seeds", "val", "estimates", "changes", "level", "notes"),
    }


TRAINED = {
    "criterion": "accuracy of the worst group on val", "criterion_value": 0.46, "worst": "device = handheld",
    "best_epoch": 10, "epochs": 10, "images_seen": 6400, "parameters": 94186, "ended": "all epochs", "later": 0.3,
}  # fmt: skip


def test_provenance_tells_neither_the_worst_group_nor_its_value() -> None:
    result = made.trained()
    result = replace(result, provenance={**result.provenance, "training": TRAINED})
    shown = publishable(replace(result, privacy=Privacy(11)))
    assert set(shown.provenance["training"]) == set(TRAINED) - {"criterion_value", "worst", "later"}
    assert {key: shown.provenance[key] for key in shown.provenance if key != "training"} == {
        key: result.provenance[key] for key in result.provenance if key != "training"
    }
    facts = SECTIONS["provenance"].build(Facts.of(shown, factory.EPOCH))
    assert "0.46" not in str(facts)
    assert "handheld" not in str([group for group in facts.groups if group.title == "Training"])  # type: ignore[attr-defined]
    assert publishable(result).provenance["training"] == TRAINED, "without privacy all of it stays"


def test_the_class_that_was_worst_on_test_is_not_published() -> None:
    search = made.search()
    (first,) = [c for c in search.changes if c.quantity == "worst_group"]
    judged = replace(first, quantity="worst_class", metric="recall", class_name="7", slice=TOTAL)
    objective = replace(search.objective, quantity="worst_class", metric="recall", across=())
    found = publishable_search(replace(search, objective=objective, changes=(judged,)), Privacy(11))
    assert [(change.class_name, change.verdict) for change in found.changes] == [(None, "helps")]
    assert found.judged is found.changes[0]


def test_a_terminal_has_no_value_of_a_search_beside_privacy() -> None:
    search = made.search()
    assert "84.2" in " ".join(search_lines(search))
    told = " ".join(search_lines(publishable_search(search, Privacy(11))))
    assert "best: trial 13" in told
    assert "84.2" not in told
    assert "84" not in told.replace(search.criterion, "")


def test_nothing_is_hidden_without_privacy() -> None:
    result = made.trained()
    assert publishable(result) is result


def test_general_advice_of_overfitting_stays_where_its_numbers_are_hidden() -> None:
    said = "accuracy is 99 % on train, too large a gap for device = handheld. To change: more of train.lr (0.1)"
    found = Finding("M002", "Overfitting", "finding", "medium", said, {"gaps": [0.29]})
    other = replace(found, code="M003", reason=f"low for handheld. {said}")
    shown = publishable(replace(made.trained(), findings=(found, other), privacy=Privacy(11))).findings
    hidden = "the details are hidden to protect groups with cells below 11 rows"
    assert [(one.reason, one.evidence) for one in shown] == [
        (f"{hidden}. To change: more of train.lr (0.1)", {}),
        (hidden, {}),
    ]
