"""Gaps as they were asked for, with the envelope and the p-value of metrics whose noise is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from imgid_audit.core.policy import EvaluationSpec, IntervalSpec, Rule
from imgid_audit.core.result import Gap, Verdict
from imgid_audit.evaluation.disparities import Hypothesis, gaps_of
from imgid_audit.evaluation.wording import number, percent
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.base import Bools, Enveloped, Noise
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.measured import Measured


def asked_gaps(
    name: str, measured: Mapping[str, tuple[Measured, ...]], sample: Sample, intervals: IntervalSpec
) -> list[Hypothesis]:
    """The gaps of a metric under its own name, from the values that it is judged by."""
    found: list[Hypothesis] = []
    for each in measured[METRICS[name].judged_as]:
        noise = _noise(name, sample, each.defined, intervals)
        for one in gaps_of(each, intervals):
            gap = replace(one.gap, metric=name)
            if noise is not None:
                gap = _beside(gap, noise, float(np.ptp(each.value[each.defined])), intervals.level)
            found.append(replace(one, gap=gap))
    return found


def beyond_noise(
    found: Verdict, rule: Rule, sample: Sample, measured: Mapping[str, tuple[Measured, ...]], spec: EvaluationSpec
) -> Verdict:
    """The verdict, inconclusive instead of ``fail`` where equal groups would show as large a gap."""
    if found.status != "fail" or rule.kind != "max_gap" or found.observed is None or rule.metric not in METRICS:
        return found
    kept = np.array([not set(where.levels) & set(rule.ignore) for where in sample.breakdown.slices], dtype=bool)
    first = measured[METRICS[rule.metric].judged_as][0]
    used = kept & first.defined & (first.support >= spec.policy.min_support)
    simulated = _noise(rule.metric, sample, used, spec.intervals)
    noise = None if simulated is None else simulated.envelope(spec.intervals.level)
    if noise is None or found.observed > noise.upper:
        return found
    said = (
        f"{found.reason}; yet the data cannot tell: equally calibrated groups of these sizes would show a gap of up to "
        f"{number(noise.upper)} in {percent(noise.level)} of draws"
    )
    return replace(found, status="inconclusive", reason=said, subjects_needed=None)


def _beside(gap: Gap, noise: Noise, observed: float, level: float) -> Gap:
    """The gap with the p-value of the very draws that make its envelope, so that the two agree."""
    envelope = noise.envelope(level) if gap.kind == "difference" else None
    return replace(gap, envelope=envelope, p_value=noise.p_value(observed))


def _noise(name: str, sample: Sample, used: Bools, intervals: IntervalSpec) -> Noise | None:
    metric = METRICS[name]
    if not isinstance(metric, Enveloped):
        return None
    return metric.noise(sample, used, intervals.draws, intervals.seed)
