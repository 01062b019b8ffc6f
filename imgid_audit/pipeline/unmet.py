"""What a config asks for and only the data can refuse, told before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from imgid_audit.config import Config
from imgid_audit.core.cost_table import cost_complaints
from imgid_audit.core.errors import Problem
from imgid_audit.core.factor import MISSING, OTHER, Factor
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.policy import Rule
from imgid_audit.core.predictions import Predictions, distinct_rows
from imgid_audit.core.task import Task
from imgid_audit.io.messages import did_you_mean, listed
from imgid_audit.io.settings import AttributeSettings
from imgid_audit.pipeline.levels import known_levels, unknown_among
from imgid_audit.pipeline.unmet_mitigations import unmet_mitigations
from imgid_audit.pipeline.unmet_search import unmet_search
from imgid_audit.pipeline.unmet_studies import unmet_studies

MOST_GROUPS = 5000
"""Groups of an intersection: all pairs of them are compared."""


def unmet(config: Config, task: Task, manifest: Manifest, brought: Predictions | None) -> Iterator[Problem]:
    """Every problem; `brought` are the predictions of a `predictions:` audit."""
    yield from _scores(config, brought)
    if config.costs is not None:
        for trail, message in cost_complaints(config.costs, task.labels):
            yield Problem(f"[{' > '.join(('costs', *map(str, trail)))}]", message)
    yield from _classes(config, task)
    rules = config.policy.policy().rules
    yield from unknown_levels(rules, manifest.attributes, config.data.attributes)
    yield from unknown_references(manifest.attributes, config.data.attributes)
    if not len(manifest.rows("test")):
        yield Problem("[data > split]", "leaves no test rows, and an audit speaks of test: say which rows are test")
    yield from _large(config, manifest)
    yield from _threshold(config, task, manifest, brought)
    yield from _calibration(config, manifest, brought)
    if config.trains:  # given weights are audited as they are; `compare` asks again
        yield from unmet_search(config, task, manifest)
        yield from unmet_studies(config, task, manifest)
        yield from unmet_mitigations(config, task, manifest)


def _scores(config: Config, brought: Predictions | None) -> Iterator[Problem]:
    if brought is None or brought.scores is not None:
        return
    for name in ("operating_point", "costs", "calibration"):
        if getattr(config, name) is not None:
            message = "needs scores, and the predictions have labels alone: remove it, or add score:<class> columns"
            yield Problem(f"[{name}]", message)


def _classes(config: Config, task: Task) -> Iterator[Problem]:
    known = {None, "macro", *task.labels}
    for index, rule in enumerate(config.policy.rules):
        if rule.class_name not in known:
            message = f"must be a label ({', '.join(task.labels[:10])}) or macro, got {rule.class_name!r}"
            yield Problem(f"[policy > rules > {index} > class]", message)


def unknown_levels(
    rules: Sequence[Rule], attributes: Sequence[Factor], settings: Mapping[str, AttributeSettings]
) -> Iterator[Problem]:
    """Levels that a rule ignores and none of its attributes has."""
    for index, rule in enumerate(rules):
        for message in unknown_among(rule.ignore, rule.across, attributes, settings):
            yield Problem(f"[policy > rules > {index} > ignore]", message)


def unknown_references(attributes: Sequence[Factor], settings: Mapping[str, AttributeSettings]) -> Iterator[Problem]:
    """Levels that others are to be compared with and their attribute does not have."""
    for name, asked in settings.items():
        known = known_levels(name, attributes, settings)
        if asked.reference is not None and asked.reference not in (*known, MISSING, OTHER):
            message = f"unknown level {asked.reference!r} of {name}: {did_you_mean(asked.reference, known)}"
            at = f"[data > attributes > {name} > reference]"
            yield Problem(at, f"{message}known are {listed(known) or 'none'}")


def _large(config: Config, manifest: Manifest) -> Iterator[Problem]:
    """Intersections of more groups than can be compared with one another."""
    asked = {names: f"data > intersections > {i}" for i, names in enumerate(config.data.intersections)}
    for i, rule in enumerate(config.policy.rules):
        asked.setdefault(rule.across, f"policy > rules > {i} > across")
    for names, where in asked.items():
        factors = [manifest.attribute(name) for name in names]
        if len(factors) < 2 or math.prod(len(factor.levels) for factor in factors) <= MOST_GROUPS:
            continue
        groups = len(distinct_rows([factor.codes for factor in factors], [len(factor.levels) for factor in factors])[0])
        if groups > MOST_GROUPS:
            message = f"has {groups:,} groups, and an intersection may have {MOST_GROUPS:,}"
            yield Problem(f"[{where}]", f"{message}: name fewer attributes, or give them `bins` or `min_count`")


def _threshold(config: Config, task: Task, manifest: Manifest, brought: Predictions | None) -> Iterator[Problem]:
    """A val split without the rows that the criterion of the operating point counts."""
    asked = config.operating_point
    if asked is None or not asked.found or task.positive_index is None:
        return
    target, rows, at = asked.target(), manifest.rows("val"), "[operating_point]"
    what = "no rows with a prediction" if len(rows) else "no rows"
    if brought is not None:
        rows = rows[brought.status[rows] == Status.PREDICTED]
    if not len(rows):
        yield Problem(at, f"{target.criterion} cannot be found: the val split has {what}; mend it, or give a threshold")
        return
    is_positive = manifest.label.codes[rows] == task.positive_index
    lacking = [
        name
        for name, needed, there in zip(
            ("negative", "positive"), target.needs, (np.any(~is_positive), np.any(is_positive)), strict=True
        )
        if needed and not there
    ]
    if lacking:
        message = f"{target.criterion} cannot be found: the val split has no {' and no '.join(lacking)} rows"
        yield Problem(at, f"{message} ({len(rows)} in all); choose another split, or give a threshold")


def _calibration(config: Config, manifest: Manifest, brought: Predictions | None) -> Iterator[Problem]:
    """A val split without rows that a temperature could be fitted on."""
    if config.calibration is None or (brought is not None and brought.scores is None):
        return
    rows = manifest.rows("val")
    if brought is not None:
        rows = rows[brought.status[rows] == Status.PREDICTED]
    if not len(rows):
        what = "no rows" if brought is None else "no rows with a prediction"
        yield Problem("[calibration]", f"cannot be fitted: the val split has {what}; mend it, or remove the block")
