"""The Python API: `load_config`, `run`, `evaluate`, and the `Audit` they return."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgid_audit.config import Config, load_config
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import AuditResult

if TYPE_CHECKING:
    import pandas as pd
    from fairlearn.metrics import MetricFrame

ConfigLike = Config | str | Path | Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Audit:
    """A result with the views that people ask for. `folder` is None until the audit is saved."""

    result: AuditResult
    decisions: Decisions
    folder: Path | None = None

    def __repr__(self) -> str:
        data, verdicts = self.result.data, self.result.evaluation.verdicts
        statuses = ", ".join(f"{verdict.rule} {verdict.status}" for verdict in verdicts) or "no rules"
        return f"<Audit {self.result.name!r}: {data.predicted} of {data.rows} rows predicted; {statuses}>"

    def to_frame(self, table: str = "estimates") -> pd.DataFrame:
        """A table of the result: ``estimates``, ``gaps``, ``verdicts`` or ``findings``."""
        from imgid_audit.io.frames import result_frame

        return result_frame(self.result, table)

    def metric_frame(self, metrics: Sequence[str], attribute: str | Sequence[str]) -> MetricFrame:
        """The evaluated rows as a `fairlearn.metrics.MetricFrame`, for people who live there.

        Point values alone: fairlearn knows no subjects. Raises `InputError` for metrics that it
        cannot compute and attributes that there are not.
        """
        from imgid_audit.io.frames import metric_frame

        return metric_frame(self.decisions, metrics, attribute)

    def save(self, folder: str | Path, formats: Sequence[str] = ("html", "pdf", "json", "csv")) -> tuple[Path, ...]:
        """Write the report in these formats; the paths of the files."""
        from imgid_audit.pipeline.writing import save_result

        return save_result(self.result, Path(folder), formats)

    def _repr_html_(self) -> str:
        """The whole page, in a frame of its own, for notebooks."""
        from imgid_audit.pipeline.writing import page_of

        page = html.escape(page_of(self.result), quote=True)
        return f'<iframe srcdoc="{page}" sandbox="allow-scripts" width="100%" height="720" title="audit"></iframe>'


def run(config: ConfigLike, *, out: str | Path | None = None, trust_model_code: bool = False) -> Audit:
    """Everything that the config asks for, as ``imgid-audit run`` does it, in its run folder."""
    from imgid_audit import pipeline
    from imgid_audit.io.run_folder import RunFolder
    from imgid_audit.pipeline.steps import kept_decisions

    place = None if out is None else Path(out)
    outcome = pipeline.run(_config(config), out=place, trust_model_code=trust_model_code)
    assert outcome.result is not None
    decisions = kept_decisions(RunFolder.existing(outcome.folder), outcome.result)
    return Audit(outcome.result, decisions, outcome.folder)


def evaluate(predictions: pd.DataFrame | str | Path, config: ConfigLike) -> Audit:
    """Audit predictions in a data frame or a table file; nothing is written and torch is not loaded.

    The config needs no `predictions` block here, and no `model`.
    """
    from imgid_audit.pipeline.memory import evaluate_table

    result, decisions = evaluate_table(predictions, _brought(config))
    return Audit(result, decisions)


def _config(config: ConfigLike) -> Config:
    return config if isinstance(config, Config) else load_config(config)


def _brought(config: ConfigLike) -> Config:
    """The config with a `predictions` block, which a dict may leave out here."""
    if isinstance(config, Mapping) and "model" not in config:
        return load_config({"predictions": {"table": "frame"}, **config})
    return _config(config)


__all__ = ["Audit", "ConfigLike", "evaluate", "load_config", "run"]
