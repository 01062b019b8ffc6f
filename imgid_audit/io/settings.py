"""The `data:` and `predictions:` blocks of a config."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(gt=0, lt=1)]


class Settings(BaseModel):
    """Base of every block: frozen, and a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AttributeSettings(Settings):
    """One metadata attribute; an empty block takes the column of the same name as it is."""

    column: str | None = Field(None, description="column of the table; default: the attribute's name")
    bins: tuple[float, ...] | None = Field(
        None, description="edges of numeric bins, left-closed: [0, 46, 61] makes 0-45.. and 46-61"
    )
    min_count: int | None = Field(None, ge=1, description="rarer levels become (other)")

    @model_validator(mode="after")
    def _edges_increase(self) -> Self:
        if self.bins is not None:
            if len(self.bins) < 2:
                raise ValueError("bins needs two edges or more")
            if any(a >= b for a, b in zip(self.bins, self.bins[1:], strict=False)):
                raise ValueError(f"bins must increase, got {list(self.bins)}")
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
            raise ValueError("split needs `test` (a fraction) or `column`")
        if self.column is not None and self.test is not None:
            raise ValueError("split takes `test` from the column; remove `test` or `column`")
        if sum(part or 0 for part in (self.val, self.test, self.adjust)) >= 1:
            raise ValueError("val, test and adjust leave nothing to train on: they must add up to less than 1")
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
    attributes: dict[str, AttributeSettings] = Field(default_factory=dict)
    intersections: tuple[tuple[str, ...], ...] = ()

    @model_validator(mode="after")
    def _intersections_known(self) -> Self:
        for names in self.intersections:
            unknown = [name for name in names if name not in self.attributes]
            if unknown:
                raise ValueError(
                    f"intersections name {unknown[0]!r}, which is not among attributes {list(self.attributes)}"
                )
            if len(names) < 2 or len(set(names)) < len(names):
                raise ValueError(f"an intersection is two or more different attributes, got {list(names)}")
        return self


class PredictionsSettings(Settings):
    """A table of predictions brought by the user, instead of a model."""

    table: str = Field(description="CSV or Parquet with label, predicted and/or score:<class> columns")
