"""What a gate adds to the pipeline: the policy that judged as settings, and JUnit XML where it was asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.policy import Policy, Rule
from imgid_audit.core.result import AuditResult, Verdict
from imgid_audit.io import atomic


def judged(result: AuditResult, policy: Policy, verdicts: tuple[Verdict, ...]) -> AuditResult:
    """The run's result with the verdicts of a policy, and that policy among its settings.

    Requirements are worded from the settings, so verdict and policy must not come from two places.
    """
    settings = {**result.settings, "policy": policy_values(policy)}
    return replace(result, settings=settings, evaluation=replace(result.evaluation, verdicts=verdicts))


def policy_values(policy: Policy) -> dict[str, Any]:
    """A policy as the values of a config's `policy` block."""
    return {
        "on_inconclusive": policy.on_inconclusive,
        "min_support": policy.min_support,
        **({} if policy.baseline is None else {"baseline": policy.baseline}),
        "rules": [_rule_values(rule) for rule in policy.rules],
    }


def _rule_values(rule: Rule) -> dict[str, Any]:
    waiver = rule.waiver
    return {
        "id": rule.id,
        "metric": rule.metric,
        "across": list(rule.across),
        "class": rule.class_name,
        rule.kind: rule.tolerance,
        "ignore": list(rule.ignore),
        "waiver": None if waiver is None else {"until": waiver.until.isoformat(), "by": waiver.by, "why": waiver.why},
    }


def write_file(path: Path, data: bytes) -> Path:
    """Write one file that was asked for by name, making its folder; `InputError` where that cannot be."""
    if path.is_dir():
        raise InputError(Problem(str(path), "is a folder: name a file"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, data)
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be written: {error.strerror or error}")) from error
    return path
