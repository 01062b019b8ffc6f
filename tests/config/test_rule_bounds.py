"""Bounds of rules on metrics that may be negative."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgid_audit.config import load_config
from imgid_audit.core.errors import InputError
from tests.tiny import predictions_config


def rule(folder: Path, **asked: object) -> None:
    load_config(predictions_config(policy={"rules": [asked]}), folder=folder)


def test_an_intercept_may_have_a_negative_bound(tmp_path: Path) -> None:
    rule(tmp_path, metric="calibration_intercept", min_value=-0.2)
    rule(tmp_path, metric="calibration_slope", max_value=1.5)
    rule(tmp_path, metric="calibration_slope", across="group", max_gap=0.5)


def test_a_share_may_not(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be >= 0, got -0\.2"):
        rule(tmp_path, metric="ece", max_value=-0.2)


@pytest.mark.parametrize("metric", ["calibration_intercept", "calibration_slope"])
def test_what_may_be_negative_has_no_ratio(metric: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="may be negative: use max_gap"):
        rule(tmp_path, metric=metric, across="group", min_ratio=0.8)
