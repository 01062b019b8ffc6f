"""Registered checks, one finding code a file, one line each here."""

from collections.abc import Mapping

from pydantic import BaseModel

from imgid_audit.checks import (
    d001_missing_metadata,
    d002_small_groups,
    d003_class_imbalance,
    d004_confounding,
    d005_split_leakage,
    d006_split_coverage,
    m001_no_better_than_majority,
    m002_overfitting,
    m003_underfitting,
)
from imgid_audit.checks.base import Check, CheckContext
from imgid_audit.core.registry import Registry
from imgid_audit.core.result import Finding

CHECKS: Registry[Check] = Registry(
    "check",
    (
        d001_missing_metadata.CHECK,
        d002_small_groups.CHECK,
        d003_class_imbalance.CHECK,
        d004_confounding.CHECK,
        d005_split_leakage.CHECK,
        d006_split_coverage.CHECK,
        m001_no_better_than_majority.CHECK,
        m002_overfitting.CHECK,
        m003_underfitting.CHECK,
    ),
)

__all__ = ["CHECKS", "Check", "CheckContext", "run_checks"]


def run_checks(context: CheckContext, settings: Mapping[str, BaseModel | None]) -> tuple[Finding, ...]:
    """One finding for every registered check, in the registry's order.

    `settings` has the parameters by code, None where the config switched the check off (it is then
    listed as skipped); a code that is absent runs with its defaults.
    """
    findings: list[Finding] = []
    for check in CHECKS:
        params = settings.get(check.name, check.Params())
        if params is None:
            finding = Finding(check.name, check.title, "skipped", "info", "switched off by the config")
        else:
            finding = check.finding(check.run(context, params))
        findings.append(finding)
    return tuple(findings)
