"""How it was trained: learning curves, generalisation gap, search, and studies of size, data and augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgid_audit.core.fit import Fit
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Fact, Table
from imgid_audit.report.facts import Facts
from imgid_audit.report.published_fit import fit_reason
from imgid_audit.report.section import Section
from imgid_audit.report.trained import curves, gaps, searched, studies, wording
from imgid_audit.report.trained.curves import Panels
from imgid_audit.report.trained.searched import SearchPart
from imgid_audit.report.trained.studies import StudyPart
from imgid_audit.report.trained.view import Figure

ON_VAL = (
    "Everything here that picks or judges settings, sizes, data or augmentation speaks of val rows; the test rows "
    "picked nothing."
)
GAP = (
    "How much better the audited weights are on the rows that they learnt from than on val rows, both as they are. A "
    "wide gap means that they have learnt the training rows by heart; no gap, and low accuracy on both, that they have "
    "learnt too little. The findings say which of them is evidenced."
)
ONE = "Curves are of one training with one seed; another seed gives other curves."
WORST = {"worst_group": "worst group", "worst_class": "worst class"}
"""What an epoch may be picked by, other than all rows."""


@dataclass(frozen=True, slots=True)
class Training:
    """Payload, in reading order; what was not made is None or empty."""

    lead: str
    facts: tuple[Fact, ...]
    decided: str
    figures: tuple[Figure, ...]
    epochs: Table | None
    panels: tuple[Panels, ...]
    gap_said: str
    gap: Table | None
    search: SearchPart | None
    studies: tuple[StudyPart, ...]
    limits: tuple[str, ...]


def build(facts: Facts) -> Training | None:
    """Payload of the section; None where nothing was trained."""
    fit = facts.result.fit
    if fit is None or fit == Fit(None, (), hashes=fit.hashes):
        return None
    found, decided = fit.curves, _decided(facts)
    gap = gaps.table(fit.gaps, decided)
    chosen = None if fit.search is None else wording.choice(fit.search)
    hiding = facts.result.privacy
    hidden = "" if hiding is None else fit_reason(hiding)
    return Training(
        lead=" ".join(filter(None, ("" if found is None else wording.audited(found), ON_VAL, hidden))),
        facts=_facts(facts, fit),
        decided="" if found is None else decided,
        figures=() if found is None else curves.overall(found),
        epochs=None if found is None else curves.epochs(found),
        panels=() if found is None else curves.panels(found),
        gap_said="" if gap is None else f"{GAP} {_optimism(facts, 'and the gap as much too small')}",
        gap=gap,
        search=None if fit.search is None else searched.part(fit.search),
        studies=tuple(studies.part(study, chosen) for study in fit.studies),
        limits=_limits(facts, fit),
    )


def _decided(facts: Facts) -> str:
    """By what a row of val is called right: two ways, where a threshold or costs decide; else ''."""
    evaluation, fit = facts.result.evaluation, facts.result.fit
    point = evaluation.operating_point
    if fit is None or (point is None and evaluation.costs is None):
        return ""
    others = [name for name, made in (("search", fit.search), ("studies", fit.studies)) if made]
    of = f"Gap, {', '.join(['findings', *others][:-1])} and {others[-1]}" if others else "Gap and findings"
    own = "; other networks have one of their own" if others and point is not None and point.source != "given" else ""
    how = f"at the threshold in force{own}" if evaluation.costs is None else "by the costs in force"
    return f"Curves: the class of highest score. {of}: {how}."


def _optimism(facts: Facts, also: str = "") -> str:
    """What was picked on val, and how much too high accuracy on val is for it.

    The sizes are of a simulation: digits, 640 training and 213 val rows, a group that is hard; epochs picked by it.
    """
    settings = facts.result.settings
    train, point = settings.get("train") or {}, settings.get("operating_point") or {}
    worst = WORST.get(train.get("select") or "")
    found = ["the epoch" if worst is None else f"the epoch (by the {worst})"]
    found += ["the threshold"] if point and point.get("threshold") is None else []
    found += ["the temperature"] if settings.get("calibration") else []
    picked = f"{', '.join(found[:-1])} and {found[-1]}" if len(found) > 1 else found[0]
    said = f"Val rows picked {picked}, so accuracy on val at the kept epoch is a little too high"
    if worst is not None:
        said += (
            f", and that of the {worst} can be so by several points (simulated with 213 val rows: by about 5, over all "
            "rows by 1)"
        )
    return f"{said}{f', {also}' if also else ''}."


def _facts(facts: Facts, fit: Fit) -> tuple[Fact, ...]:
    """What the network was trained with: the settings as given, or as a search chose them."""
    train = facts.result.settings.get("train") or {}
    chosen = {} if fit.search is None else dict(wording.choice(fit.search) or {})
    told = [Fact(term, text) for term, text in _said(train, chosen) if text]
    if fit.curves is not None:
        told.insert(0, Fact("Ended", words.sentence(fit.curves.ended)))
    if chosen:
        told.append(Fact("Chosen by the search", wording.parameters(chosen)))
    return tuple(told)


def _said(train: Mapping[str, Any], chosen: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Terms and texts of the settings that the config gives."""
    if not train:
        return []

    def of(key: str) -> str:
        found = chosen.get(key, train.get(key))
        return "" if found is None else wording.value(found)

    steps = ", ".join(f"{label} {of(key)}".strip() for key, label in _OPTIMISER if of(key))
    return [
        ("Starting point", wording.starting_point(train.get("init"))),
        ("Optimiser", steps),
        ("Fine-tuning", wording.block(train.get("fine_tune"), "fine_tune", chosen)),
        ("Average of weights", wording.block(train.get("average"), "average", chosen)),
        ("Augmentation", wording.block(train.get("augment"), "augment", chosen)),
    ]


_OPTIMISER = (
    ("optimizer", ""),
    ("lr", "learning rate"),
    ("weight_decay", "weight decay"),
    ("batch_size", "batch"),
    ("schedule", "schedule"),
)


def _limits(facts: Facts, fit: Fit) -> tuple[str, ...]:
    said = []
    if fit.curves is not None:
        judged = any(loss is not None for loss in fit.curves.val_loss)
        said = [_optimism(facts), ONE] if judged else [ONE]
    if fit.search is not None:
        said.append("A search tells of the space that it was given and of this split; settings outside were not tried.")
    if fit.studies:
        seeds = numbers.plural(min(len(study.seeds) for study in fit.studies), "seed")
        said.append(f"Studies train with {seeds} or more and judge on one val split; another split was not tried.")
    if any(study.kind == "data_ladder" for study in fit.studies):
        said.append("More rows are assumed to be like those there are; new sites or devices are another question.")
    return tuple(said)


SECTION = Section("training", "How it was trained", "Learning curves, generalisation gap, search, studies.", build)
