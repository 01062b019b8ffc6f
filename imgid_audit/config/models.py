"""The models of a config file: `Config` and the blocks that no other package owns.

The blocks of each floor are defined on that floor (`io.settings`, `vision.settings`,
`report.settings`); here they are put together, and turned into the types that flow.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PrivateAttr

from imgid_audit.core.policy import (
    DifferenceForm,
    EvaluationSpec,
    Forms,
    IntervalSpec,
    MeanForm,
    Policy,
    ProportionForm,
    RatioForm,
    Rule,
    RuleKind,
    Waiver,
)
from imgid_audit.io.settings import DataSettings, Fraction, PredictionsSettings, Settings, as_text, problem_at
from imgid_audit.mitigations.settings import MitigationsSettings
from imgid_audit.report.settings import ReportSettings
from imgid_audit.stats.thresholds import Target
from imgid_audit.vision.settings import ModelSettings, PredictSettings
from imgid_audit.vision.study_settings import TrainingSettings

DEFAULT_METRICS = ("accuracy", "balanced_accuracy", "recall", "precision", "auroc", "ece")
MACRO = "macro"


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise problem_at(f"must not be blank, got {value!r}")
    if len(value) > 2000:
        raise problem_at(f"must have at most 2,000 characters, got {len(value):,}")
    return value


def _as_day(value: Any) -> Any:
    """A day, as YAML reads 2027-03-31 or as the same text; a time of day is none."""
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            raise problem_at(f"must be a day of the calendar, got {value!r}") from None
    got = value.isoformat() if isinstance(value, dt.datetime) else repr(value)
    raise problem_at(f"must be a day such as 2027-03-31, got {got if len(got) <= 60 else f'{got[:57]}...'}")


def _as_cost(value: Any) -> Any:
    if isinstance(value, bool):
        raise problem_at(f"must be a number, got {str(value).lower()} (YAML reads yes, no, on and off as booleans)")
    return value


Cost = Annotated[float, BeforeValidator(_as_cost), Field(ge=0)]
Text = Annotated[str, BeforeValidator(as_text)]
Named = Annotated[str, AfterValidator(_not_blank)]
Names = Annotated[tuple[Text, ...], BeforeValidator(_as_names)]


class TaskSettings(Settings):
    """What is classified. `labels` are in the order of the model's outputs."""

    type: Literal["binary", "multiclass"]
    positive: Text | None = Field(None, description="the class that a binary task's metrics speak of")
    labels: tuple[Text, ...] | None = Field(
        None, description="in the order of the model's outputs; default when training: sorted text"
    )


class OperatingPointSettings(Settings):
    """The threshold of a binary task: given, or found on val. Without this block: argmax."""

    at: Literal["specificity", "sensitivity", "fpr"] | None = Field(None, description="criterion met on val")
    value: Fraction | None = Field(None, description="what the criterion must reach")
    maximum: Literal["f1", "youden"] | None = Field(None, alias="max", description="criterion made largest on val")
    threshold: float | None = Field(None, ge=0, le=1, description="positive where score >= threshold")

    @property
    def found(self) -> bool:
        """Whether the threshold is found on val."""
        return self.threshold is None

    def target(self) -> Target:
        """What the threshold is to meet; the settings must be valid and no threshold given."""
        if self.maximum is not None:
            return Target(self.maximum)
        assert self.at is not None
        return Target(self.at, self.value)


class CalibrationSettings(Settings):
    """Recalibration of the scores, fitted on val, before anything is decided. Without this block: as they are."""

    method: Literal["temperature"] = Field("temperature", description="one temperature for all rows and classes")


class IntervalSettings(Settings):
    """Confidence intervals: two-sided level, bootstrap draws (0: closed forms alone), seed, closed forms on request."""

    level: Fraction = 0.95
    draws: int = Field(2000, ge=0, le=1_000_000)
    seed: int = Field(0, ge=0)
    proportion: ProportionForm = Field("wilson", description="of a rate; near 0/n and n/n always clopper_pearson")
    difference: DifferenceForm = Field("newcombe", description="of two rates")
    ratio: RatioForm = Field("mover", description="of two rates")
    mean: MeanForm = Field("closed_form", description="of a mean over classes; bootstrap: of subjects, or rows")


class WaiverSettings(Settings):
    """A dated exception: the rule keeps its verdict, and does not count while the waiver holds."""

    until: Annotated[dt.date, BeforeValidator(_as_day)] = Field(
        description="the last day on which it holds, in UTC, as 2027-03-31"
    )
    by: Annotated[Text, AfterValidator(_not_blank)] = Field(description="who answers for it")
    why: Annotated[Text, AfterValidator(_not_blank)]

    def waiver(self) -> Waiver:
        """The waiver that flows."""
        return Waiver(self.until, self.by, self.why)


class RuleSettings(Settings):
    """One requirement; exactly one of `max_gap`, `min_value`, `max_value`, `min_ratio` and `max_drop`."""

    id: Text | None = Field(None, description="how verdicts call it; default: made from the rule")
    metric: str
    across: Names = Field((), description="an attribute, or a list: their intersection; none: the total")
    class_name: Text | None = Field(None, alias="class", description="a label, or macro: the mean over classes")
    max_gap: float | None = Field(None, gt=0)
    min_value: float | None = None
    max_value: float | None = None
    min_ratio: float | None = Field(None, gt=0, le=1)
    max_drop: float | None = Field(None, ge=0, description="what may be lost against policy.baseline")
    ignore: tuple[Text, ...] = Field((), description="levels left out of the comparison")
    waiver: WaiverSettings | None = Field(None, description="a dated exception: until, by, why")

    @property
    def kinds(self) -> tuple[RuleKind, ...]:
        """Which bounds are given; a valid rule has exactly one."""
        kinds: tuple[RuleKind, ...] = ("max_gap", "min_value", "max_value", "min_ratio", "max_drop")
        return tuple(kind for kind in kinds if getattr(self, kind) is not None)

    @property
    def default_id(self) -> str:
        """An id made from the content, such as ``recall-sex*view-max_gap``."""
        parts = [self.metric, self.class_name, "*".join(self.across) or None, *self.kinds]
        return "-".join(part for part in parts if part)

    def rule(self) -> Rule:
        """The rule that flows; the settings must be valid."""
        (kind,) = self.kinds
        return Rule(
            id=self.id or self.default_id,
            metric=self.metric,
            kind=kind,
            tolerance=getattr(self, kind),
            across=self.across,
            class_name=self.class_name,
            ignore=self.ignore,
            waiver=None if self.waiver is None else self.waiver.waiver(),
        )


class PolicySettings(Settings):
    """What must hold for the model to ship."""

    on_inconclusive: Literal["fail", "warn"] = Field("fail", description="warn: an inconclusive rule exits 0")
    min_support: int = Field(10, ge=1, description="fewer supporting rows make a rule inconclusive")
    baseline: Named | None = Field(None, description="the folder of an earlier run, for max_drop")
    rules: tuple[RuleSettings, ...] = ()

    def policy(self) -> Policy:
        """The policy that flows."""
        return Policy(
            rules=tuple(rule.rule() for rule in self.rules),
            on_inconclusive=self.on_inconclusive,
            min_support=self.min_support,
            baseline=self.baseline,
        )


class PrivacySettings(Settings):
    """What is published: breakdowns with a smaller cell are hidden, and whatever would give one away."""

    min_cell: int = Field(ge=2, description="rows that a cell has at least, unless it is empty; 11 is usual")


class Config(Settings):
    """A whole audit: exactly one of `model` and `predictions`, and what is asked of it.

    A relative path is relative to `folder`, the config's own; `path_of` resolves it.
    """

    name: Named = Field(description="any text, shown as it is")
    notes: tuple[Named, ...] = Field((), description="what a reader must know, printed on the first page")
    task: TaskSettings
    data: DataSettings = Field(default_factory=DataSettings)
    model: ModelSettings | None = None
    train: TrainingSettings = Field(default_factory=TrainingSettings)
    predict: PredictSettings = Field(default_factory=PredictSettings)
    predictions: PredictionsSettings | None = None
    operating_point: OperatingPointSettings | None = None
    costs: dict[Text, dict[Text, Cost]] | None = Field(
        None, description="costs[true label][predicted label]: decisions of least expected cost"
    )
    calibration: CalibrationSettings | None = None
    metrics: tuple[str, ...] = Field(DEFAULT_METRICS, min_length=1)
    intervals: IntervalSettings = Field(default_factory=IntervalSettings)
    privacy: PrivacySettings | None = Field(None, description="absent: nothing is hidden")
    policy: PolicySettings = Field(default_factory=PolicySettings)
    mitigations: MitigationsSettings | None = Field(None, description="absent: nothing is compared")
    checks: dict[str, dict[str, Any] | Literal[False]] = Field(
        default_factory=dict, description="a code with its parameters, or false: do not run it"
    )
    report: ReportSettings = Field(default_factory=ReportSettings)

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _source: Path | None = PrivateAttr(None)

    @property
    def folder(self) -> Path:
        """The folder that relative paths are relative to."""
        return self._folder

    @property
    def source(self) -> Path | None:
        """The file it was read from; None where it was given as a dict."""
        return self._source

    def located(self, folder: Path, source: Path | None) -> Config:
        """The same config, read from `source` in `folder`."""
        copy = self.model_copy()
        copy._folder = folder
        copy._source = source
        return copy

    def path_of(self, text: str) -> Path:
        """A path of the config as a path on this machine."""
        return self._folder / Path(text).expanduser()

    @property
    def trains(self) -> bool:
        """Whether a model is trained: there is a model and it has no weights."""
        return self.model is not None and self.model.weights is None

    def evaluation_spec(self) -> EvaluationSpec:
        """Metrics, intersections, intervals and policy, as `evaluation.evaluate` takes them."""
        return EvaluationSpec(
            metrics=self.metrics,
            intersections=self.data.intersections,
            intervals=self.interval_spec(),
            policy=self.policy.policy(),
            references={name: one.reference for name, one in self.data.attributes.items() if one.reference is not None},
        )

    def interval_spec(self) -> IntervalSpec:
        """Level, draws, seed and closed forms of the intervals."""
        asked = self.intervals
        forms = Forms(asked.proportion, asked.difference, asked.ratio, asked.mean)
        return IntervalSpec(asked.level, asked.draws, asked.seed, forms)

    def check_settings(self) -> Mapping[str, BaseModel | None]:
        """For every registered check its parameters, in the registry's order; None: switched off."""
        from imgid_audit.checks import CHECKS

        settings: dict[str, BaseModel | None] = {}
        for check in CHECKS:
            given = self.checks.get(check.name, {})
            settings[check.name] = None if given is False else check.Params(**given)
        return settings

    def plain(self) -> dict[str, Any]:
        """Every setting, defaults included, as plain JSON values; `load_config` reads it back.

        Blocks that have no effect (training, where nothing trains) are left out. A comparison of mitigations
        needs `train` (its groups) with given weights too.
        """
        values = self.model_dump(mode="json", by_alias=True)
        if self.predictions is not None:
            unused = {"model", "train", "predict", "mitigations"}
        else:
            unused = {"predictions"} if self.trains or self.mitigations is not None else {"predictions", "train"}
        optional = ("operating_point", "costs", "calibration", "privacy", "mitigations")
        unused |= {key for key in optional if values[key] is None}
        return {key: value for key, value in values.items() if key not in unused}
