"""The effect of augmentation by group: whom it helps and whom it harms."""

from __future__ import annotations

from imgid_audit.core.fit import Study, Variant
from imgid_audit.report import words
from imgid_audit.report.blocks import Column, Table, name
from imgid_audit.report.trained import answers, wording
from imgid_audit.report.trained.study import StudyPart, made, step_table
from imgid_audit.report.trained.view import (
    average,
    estimate_cell,
    estimates_note,
    mean,
    percent_cell,
    ran,
)

WIDE = 3
"""Ways of augmenting side by side, as fit a printed page."""


def augment_effect(study: Study) -> StudyPart:
    """The part of the effect of augmentation; what helps one group and harms another stands out."""
    afters = list(dict.fromkeys(step.after for step in study.steps))
    before = study.variants[0].name if study.variants else ""
    tables: list[Table | None] = []
    for start in range(0, len(afters), WIDE):
        part_ = afters[start : start + WIDE]
        heads = [words.sentence(after) for after in part_]
        caption = f"Change of accuracy on val, each less {before}"
        heading = "By group" if not start else ""
        tables.append(step_table(study, [(before, after) for after in part_], heads, caption, heading))
    lost = [one for one in study.variants if one.status == "not_run"]
    said, warnings = answers.of_augmentation(study)
    said += tuple(words.statement(f"{one.name} was not run: {one.reason}") for one in lost)
    return made(study, said, None, (_variants(study), *tables), warnings)


def _variants(study: Study) -> Table:
    """Accuracy of each way of augmenting by itself."""
    rows = []
    for one in ran(study):
        row = [
            name(words.sentence(one.name), _parts(one)),
            percent_cell(mean(one.train)),
            estimate_cell(average(study, one.name, "overall")),
        ]
        if study.across:
            row.append(estimate_cell(average(study, one.name, "worst_group")))
        rows.append(tuple(row))
    columns = [Column("Training", "name"), Column("Train", "number"), Column("Val", "number")]
    columns += [Column("Val, worst group", "number")] if study.across else []
    found = [average(study, one.name, quantity) for one in ran(study) for quantity in ("overall", "worst_group")]
    return Table(
        "Accuracy, means over the seeds",
        tuple(columns),
        tuple(rows),
        estimates_note(found),
        "Ways of augmenting",
        "compared",
    )


def _parts(one: Variant) -> str:
    parts = one.parameters.get("augment")
    return wording.parameters(parts) if isinstance(parts, dict) and parts else ""
