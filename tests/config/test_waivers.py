"""The `waiver` block of a rule: a real day, a name, a reason; everything else is an error with its place."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from imgid_audit.config import load_config, load_policy
from imgid_audit.core.errors import InputError
from imgid_audit.core.task import Task

HEAD = """\
name: a
task: {type: binary, positive: y}
predictions: {table: p.csv}
data: {attributes: {sex: {}}}
policy:
  rules:
  - metric: recall
    across: sex
    max_gap: 0.1
"""
REST = "by: A. Person, why: a new scanner comes"


def loaded(tmp_path: Path, waiver: str):
    (tmp_path / "audit.yaml").write_text(f"{HEAD}    waiver: {waiver}\n")
    return load_config(tmp_path / "audit.yaml")


@pytest.mark.parametrize("day", ["2027-03-31", "'2027-03-31'"])
def test_a_day_is_a_date_or_its_text(tmp_path: Path, day: str) -> None:
    config = loaded(tmp_path, f"{{until: {day}, {REST}}}")
    (rule,) = config.policy.policy().rules
    assert rule.waiver is not None
    assert (rule.waiver.until, rule.waiver.by) == (date(2027, 3, 31), "A. Person")
    again = load_config(config.plain(), folder=tmp_path)
    assert again.policy == config.policy, "the config as run reads back"


@pytest.mark.parametrize(
    ("waiver", "said"),
    [
        (f"{{until: 2027-02-30, {REST}}}", "cannot be read by YAML"),
        (f"{{until: '2027-02-30', {REST}}}", "must be a day of the calendar, got '2027-02-30'"),
        (f"{{until: 2027-03-31 12:00:00, {REST}}}", "must be a day such as 2027-03-31, got 2027-03-31T12:00:00"),
        (f"{{until: '2027-03-31T00:00:00', {REST}}}", "must be a day such as 2027-03-31"),
        (f"{{until: 20270331, {REST}}}", "must be a day such as 2027-03-31, got 20270331"),
        (f"{{until: 31.3.2027, {REST}}}", "must be a day such as 2027-03-31"),
        (f"{{until: soon, {REST}}}", "must be a day such as 2027-03-31, got 'soon'"),
        (f"{{until: yes, {REST}}}", "must be a day such as 2027-03-31"),
        (f"{{until: null, {REST}}}", "must be a day such as 2027-03-31"),
        (f"{{until: [2027-03-31], {REST}}}", "must be a day such as 2027-03-31"),
        (f"{{{REST}}}", "is required"),
        ("{until: 2027-03-31, by: A. Person}", "is required"),
        ("{until: 2027-03-31, by: '  ', why: x}", "must not be blank"),
        ("{until: 2027-03-31, by: A. Person, why: ''}", "must not be blank"),
        ("{until: 2027-03-31, by: A. Person, why: null}", "must be text"),
        (f"{{until: 2027-03-31, {REST}, ticket: 7}}", "unknown key 'ticket'"),
        ("2027-03-31", "must be a block of keys"),
    ],
)
def test_what_is_no_waiver_is_refused(tmp_path: Path, waiver: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, waiver)
    text = str(caught.value)
    assert said in text
    assert "audit.yaml:10 [policy > rules > 0 > waiver" in text


def test_a_policy_of_its_own_has_waivers_too(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(f"rules:\n- {{metric: recall, min_value: 0.5, waiver: {{until: 2027-03-31, {REST}}}}}\n")
    (rule,) = load_policy(path, task=Task("binary", ("n", "y"), "y"), attributes=["sex"]).rules
    assert rule.waiver is not None
    assert rule.waiver.until == date(2027, 3, 31)
