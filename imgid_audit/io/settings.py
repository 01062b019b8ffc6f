"""The `data:` and `predictions:` blocks of a config."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

Fraction = Annotated[float, Field(gt=0, lt=1)]


def problem_at(message: str, *trail: str | int) -> PydanticCustomError:
    """An error for validators of a whole block that belongs to the value at `trail` within it."""
    return PydanticCustomError("problem_at", "{message}", {"message": message, "trail": trail})


def as_text(value: Any) -> Any:
    """A label or level as text: integers are their digits, and YAML's other guesses are errors."""
    written = getattr(value, "text", None)  # an integer of a config remembers how it was written
    if isinstance(value, int) and isinstance(written, str):
        if not written.lstrip("-").isdecimal():
            raise problem_at(f"must be text, got {written}, which YAML reads as the number {int(value)}: quote it")
        return written
    if isinstance(value, bool):
        wrote = "true or yes" if value else "false or no"
        raise problem_at(f"must be text, got a boolean ({wrote}): quote it, as the table writes it")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        raise problem_at(f"must be text, got the number {value!r}: quote it, as the table writes it")
    if isinstance(value, dt.date):
        raise problem_at(f"must be text, got the date {value.isoformat()}: quote it, as the table writes it")
    if value is None:
        raise problem_at('must be text, got nothing: a missing level is called "(missing)"')
    return value


Level = Annotated[str, BeforeValidator(as_text)]


class Settings(BaseModel):
    """Base of every block: frozen, a key that is not known is an error, and so is a number that is not finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _booleans_are_no_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        # Python would take true for 1 and YAML reads `yes`, `no`, `on` and `off` as booleans.
        annotation = str(cls.model_fields[info.field_name or ""].annotation)
        wants_number = "dict" not in annotation and any(number in annotation for number in ("int", "float"))
        if isinstance(value, bool) and wants_number:
            raise problem_at(f"must be a number, got {str(value).lower()} (YAML reads yes, no, on and off as booleans)")
        return value


class AttributeSettings(Settings):
    """One metadata attribute; an empty block takes the column of the same name as it is."""

    column: str | None = Field(None, description="column of the table; default: the attribute's name")
    bins: tuple[float, ...] | None = Field(
        None, description="edges of numeric bins, left-closed: [0, 46, 61] makes the levels [0, 46) and [46, 61]"
    )
    min_count: int | None = Field(None, ge=1, description="rarer levels become (other)")
    reference: Level | None = Field(None, description="the level that the others are compared with in the report")

    @model_validator(mode="after")
    def _edges_increase(self) -> Self:
        if self.bins is not None:
            if len(self.bins) < 2:
                raise problem_at(f"must be two edges or more, got {list(self.bins)}", "bins")
            if any(a >= b for a, b in zip(self.bins, self.bins[1:], strict=False)):
                raise problem_at(f"must increase, got {list(self.bins)}", "bins")
        return self


class SplitSettings(Settings):
    """How rows are divided. `column` names a column of ready splits; fractions are of rows."""

    column: str | None = None
    val: Fraction | None = None
    test: Fraction | None = None
    adjust: Fraction | None = Field(None, description="set aside for calibration and thresholds")
    seed: int = 0

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.column is None and self.test is None:
            raise problem_at("needs `test` (a fraction) or `column` (of ready splits)")
        if self.column is not None and self.test is not None:
            raise problem_at("cannot stand beside `column`, which says what is test: remove one of them", "test")
        total = sum(part or 0 for part in (self.val, self.test, self.adjust))
        if total >= 1:
            raise problem_at(f"val, test and adjust must add up to less than 1, or nothing is left, got {total:g}")
        return self


class DataSettings(Settings):
    """The table of images and what its columns mean."""

    manifest: str | None = Field(None, description="CSV or Parquet file, or a folder with one sub-folder a label")
    root: str | None = Field(None, description="image paths are relative to it; default: the manifest's folder")
    image: str = "image"
    label: str = "label"
    id: str | None = Field(None, description="column that names rows; default: the image path")
    subject: str | None = Field(None, description="column of the patient, writer, ...: the unit of sampling")
    split: SplitSettings | str | None = Field(None, description="fractions, or the name of a column")
    attributes: dict[str, AttributeSettings] = Field(
        default_factory=dict, description="by name; an empty block takes the column of that name"
    )
    intersections: tuple[tuple[str, ...], ...] = ()

    @field_validator("attributes", mode="before")
    @classmethod
    def _empty_blocks(cls, value: Any) -> Any:
        # `sex:` with nothing behind it is how YAML users write an empty block.
        return {k: {} if v is None else v for k, v in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _attribute_names(self) -> Self:
        for name in self.attributes:
            if not name or "*" in name:
                raise problem_at("must have a name without `*`, which joins intersections", "attributes", name)
            if self.subject is not None and (self.attributes[name].column or name) == self.subject:
                message = f"takes the subject column {self.subject!r}: every subject's id would be published as a level"
                raise problem_at(message, "attributes", name)
        return self

    @model_validator(mode="after")
    def _subject_is_no_label(self) -> Self:
        if self.subject is not None and self.subject == self.label:
            message = f"is the label column {self.label!r}: name the column of the patient, writer, ..."
            raise problem_at(message, "subject")
        return self

    @model_validator(mode="after")
    def _subject_is_no_split(self) -> Self:
        column = self.split if isinstance(self.split, str) else getattr(self.split, "column", None)
        if self.subject is not None and self.subject == column:
            raise problem_at(f"is the subject column {column!r}: name the column of train, val and test", "split")
        return self

    @model_validator(mode="after")
    def _intersections_known(self) -> Self:
        seen: set[frozenset[str]] = set()
        for index, names in enumerate(self.intersections):
            for place, name in enumerate(names):
                if name not in self.attributes:
                    message = f"unknown attribute {name!r}: known are {', '.join(self.attributes) or 'none'}"
                    raise problem_at(message, "intersections", index, place)
            if len(names) < 2 or len(set(names)) < len(names):
                raise problem_at(f"must be two or more different attributes, got {list(names)}", "intersections", index)
            if frozenset(names) in seen:
                raise problem_at(f"is listed twice: {list(names)}", "intersections", index)
            seen.add(frozenset(names))
        return self


class PredictionsSettings(Settings):
    """A table of predictions brought by the user, instead of a model."""

    table: str = Field(description="CSV or Parquet with label, predicted and/or score:<class> columns")
    stream: bool | None = Field(
        None,
        description="true: read the Parquet table of labels as its distinct rows, in bounded memory; "
        "false: never; default: from 5,000,000 rows",
    )
    max_failed: float = Field(
        0.01, ge=0, le=1, description="share of the audited rows that may lack a prediction; more stop the run"
    )
