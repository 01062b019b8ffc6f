"""The models of a config file: `Config` and the blocks that no other package owns.

The blocks of each floor are defined on that floor (`io.settings`, `vision.settings`,
`report.settings`); here they are put together, and turned into the types that flow.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PrivateAttr

from imgid_audit.config.document import Digits
from imgid_audit.core.policy import EvaluationSpec, IntervalSpec, Policy, Rule, RuleKind
from imgid_audit.io.settings import DataSettings, Fraction, PredictionsSettings, Settings, problem_at
from imgid_audit.report.settings import ReportSettings
from imgid_audit.vision.settings import ModelSettings, PredictSettings, TrainSettings

DEFAULT_METRICS = ("accuracy", "balanced_accuracy", "recall", "precision", "auroc", "ece")
MACRO = "macro"


def _as_text(value: Any) -> Any:
    """A label or level as text: integers are their digits, and YAML's other guesses are errors."""
    if isinstance(value, Digits):
        if not value.text.lstrip("-").isdecimal():
            raise problem_at(f"must be text, got {value.text}, which YAML reads as the number {int(value)}: quote it")
        return value.text
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


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _not_blank(value: str) -> str:
    if not value.strip():
        raise problem_at(f"must not be blank, got {value!r}")
    if len(value) > 2000:
        raise problem_at(f"must have at most 2,000 characters, got {len(value):,}")
    return value


Text = Annotated[str, BeforeValidator(_as_text)]
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
    threshold: float | None = Field(None, ge=0, le=1, description="positive where score >= threshold")


class IntervalSettings(Settings):
    """Confidence intervals: two-sided level, bootstrap draws (0: closed forms alone), seed."""

    level: Fraction = 0.95
    draws: int = Field(2000, ge=0, le=1_000_000)
    seed: int = Field(0, ge=0)


class RuleSettings(Settings):
    """One requirement; exactly one of `max_gap`, `min_value`, `max_value` and `min_ratio`."""

    id: Text | None = Field(None, description="how verdicts call it; default: made from the rule")
    metric: str
    across: Names = Field((), description="an attribute, or a list: their intersection; none: the total")
    class_name: Text | None = Field(None, alias="class", description="a label, or macro: the mean over classes")
    max_gap: float | None = Field(None, gt=0)
    min_value: float | None = None
    max_value: float | None = None
    min_ratio: float | None = Field(None, gt=0, le=1)
    ignore: tuple[Text, ...] = Field((), description="levels left out of the comparison")

    @property
    def kinds(self) -> tuple[RuleKind, ...]:
        """Which bounds are given; a valid rule has exactly one."""
        kinds: tuple[RuleKind, ...] = ("max_gap", "min_value", "max_value", "min_ratio")
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
        )


class PolicySettings(Settings):
    """What must hold for the model to ship."""

    on_inconclusive: Literal["fail", "warn"] = Field("fail", description="warn: an inconclusive rule exits 0")
    min_support: int = Field(10, ge=1, description="fewer supporting rows make a rule inconclusive")
    rules: tuple[RuleSettings, ...] = ()

    def policy(self) -> Policy:
        """The policy that flows."""
        return Policy(
            rules=tuple(rule.rule() for rule in self.rules),
            on_inconclusive=self.on_inconclusive,
            min_support=self.min_support,
        )


class Config(Settings):
    """A whole audit: exactly one of `model` and `predictions`, and what is asked of it.

    A relative path is relative to `folder`, the config's own; `path_of` resolves it.
    """

    name: Named = Field(description="any text, shown as it is")
    notes: tuple[Named, ...] = Field((), description="what a reader must know, printed on the first page")
    task: TaskSettings
    data: DataSettings = Field(default_factory=DataSettings)
    model: ModelSettings | None = None
    train: TrainSettings = Field(default_factory=TrainSettings)
    predict: PredictSettings = Field(default_factory=PredictSettings)
    predictions: PredictionsSettings | None = None
    operating_point: OperatingPointSettings | None = None
    metrics: tuple[str, ...] = Field(DEFAULT_METRICS, min_length=1)
    intervals: IntervalSettings = Field(default_factory=IntervalSettings)
    policy: PolicySettings = Field(default_factory=PolicySettings)
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
        )

    def interval_spec(self) -> IntervalSpec:
        """Level, draws and seed of the intervals."""
        return IntervalSpec(self.intervals.level, self.intervals.draws, self.intervals.seed)

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

        Blocks that have no effect (training, where nothing trains) are left out.
        """
        values = self.model_dump(mode="json", by_alias=True)
        if self.predictions is not None:
            unused = {"model", "train", "predict"}
        else:
            unused = {"predictions"} if self.trains else {"predictions", "train"}
        unused |= {"operating_point"} if self.operating_point is None else set()
        return {key: value for key, value in values.items() if key not in unused}
