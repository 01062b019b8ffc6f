"""The table of interval methods is what results record, what a config can ask for, and what the documents print."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import get_args

import numpy as np
import pytest
from typer.testing import CliRunner

from imgid_audit.cli import app
from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import DifferenceForm, EvaluationSpec, Forms, IntervalSpec, ProportionForm, RatioForm
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Estimate, Evaluation, Gap, Undefined
from imgid_audit.core.task import Task
from imgid_audit.evaluation import evaluate
from imgid_audit.metrics import METRICS
from imgid_audit.stats import methods, two_samples
from imgid_audit.stats.intervals import clopper_pearson

DOCUMENT = Path(__file__).parents[2] / "docs" / "methods.md"
BINARY = Task("binary", ("no", "yes"), "yes")
MANY = Task("multiclass", ("a", "b", "c"))
SITUATIONS = [(task, subjects) for task in (BINARY, MANY) for subjects in (False, True)]


def decisions(task: Task, *, subjects: bool, perfect: bool, rows: int = 120) -> Decisions:
    generator = np.random.default_rng(0)
    classes = len(task.labels)
    label = (np.arange(rows) % classes).astype(np.int32)
    scores = np.eye(classes)[label] if perfect else generator.dirichlet(np.ones(classes), rows)
    codes = (np.arange(rows) // (2 * classes)).astype(np.int32)
    subject = Factor("subject", tuple(str(i) for i in range(codes.max() + 1)), codes) if subjects else None
    group = Factor("group", ("x", "y"), (codes % 2).astype(np.int32))
    return Decisions(task, label, scores.argmax(axis=1).astype(np.int32), scores, subject, (group,))


def ask(data: Decisions, forms: Forms, *names: str) -> Evaluation:
    return evaluate(data, EvaluationSpec(names or METRICS.names, intervals=IntervalSpec(draws=50, forms=forms)))


def recorded() -> set[str]:
    """Every method of an estimate, over tasks, sampling, ordinary and perfect answers, and requests."""
    found = set()
    for task, subjects in SITUATIONS:
        for perfect in (False, True):
            for forms in (Forms(), Forms("clopper_pearson"), Forms(mean="bootstrap")):
                data = decisions(task, subjects=subjects, perfect=perfect)
                for one in ask(data, forms).estimates:
                    if one.interval is not None:
                        found.add(one.interval.method)
    return found


def parts(name: str) -> list[str]:
    """The methods that a recorded name is made of."""
    name = re.sub(r", [0-9,]+( of [0-9,]+)? draws(, normal tails)?$", "", name)
    wider = re.fullmatch(r"wider of (.*) and (.*)", name)
    return [name] if wider is None else [wider[1], wider[2]]


@pytest.fixture(scope="module")
def used() -> set[str]:
    return {part for name in recorded() for part in parts(name)}


def test_every_recorded_method_is_in_the_table(used: set[str]) -> None:
    assert used <= {method.name for method in methods.METHODS}


def test_no_row_of_an_estimate_is_dead(used: set[str]) -> None:
    estimated = (
        *(methods.PROPORTION, methods.MEAN, methods.AUROC, methods.AVERAGE_PRECISION),
        *(methods.LOSS, methods.CALIBRATION, methods.RECALIBRATION, methods.NO_SPREAD),
    )
    assert {one.name for one in methods.METHODS if one.quantity in estimated} <= used


@pytest.mark.parametrize("method", methods.METHODS, ids=lambda m: f"{m.quantity} {m.key} {m.sampling}")
def test_every_row_has_a_function_and_is_in_the_document(method: methods.Method) -> None:
    assert callable(resolve_name(method.function))
    for text in (method.situation, method.name, method.source):
        assert text
        assert "\n" not in text
    cells = (method.quantity, method.units, method.situation, method.name, method.setting, method.source)
    shown = [cell if cell else "-" for cell in cells]
    shown[4] = f"`{method.setting}`" if method.setting else "-"
    place = method.function.removeprefix("imgid_audit.").replace(":", ".")
    assert "| " + " | ".join([*shown, f"`{place}`"]) + " |" in DOCUMENT.read_text(encoding="utf-8").splitlines()


def test_the_document_has_no_other_rows() -> None:
    rows = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.endswith("` |")]
    assert len(rows) == len(methods.METHODS)


def test_what_can_be_asked_for_is_in_the_table() -> None:
    for quantity, forms in (
        (methods.PROPORTION, ProportionForm),
        (methods.COMPARED["difference"], DifferenceForm),
        (methods.COMPARED["ratio"], RatioForm),
    ):
        assert {m.key for m in methods.METHODS if m.quantity == quantity} == set(get_args(forms))
    assert [m.setting for m in methods.METHODS if m.quantity == methods.MEAN and m.setting] == [
        "intervals.mean: bootstrap",
        "intervals.mean: bootstrap",
    ]


def total(found: Evaluation, metric: str) -> Estimate:
    (one,) = [e for e in found.estimates if e.metric == metric and not e.slice.attributes]
    return one


def gap(found: Evaluation, metric: str, kind: str) -> Gap:
    (one,) = [g for g in found.gaps if g.metric == metric and g.kind == kind]
    return one


def test_clopper_pearson_on_request() -> None:
    data = decisions(BINARY, subjects=False, perfect=False)
    before, after = (total(ask(data, Forms(form), "accuracy"), "accuracy") for form in ("wilson", "clopper_pearson"))
    assert before.interval is not None
    assert after.interval is not None
    assert (before.interval.method, after.interval.method) == ("Wilson", "Clopper-Pearson")
    x = int((data.label == data.predicted).sum())
    assert (after.interval.low, after.interval.high) == pytest.approx([float(b) for b in clopper_pearson(x, 120, 0.95)])


@pytest.mark.parametrize(
    ("kind", "form", "function"),
    [
        ("difference", "miettinen_nurminen", two_samples.miettinen_nurminen),
        ("ratio", "koopman", two_samples.koopman),
        ("ratio", "katz", two_samples.katz),
    ],
)
def test_a_comparison_on_request_is_that_function_of_the_counts(
    kind: str, form: str, function: two_samples.TwoSamples
) -> None:
    data = decisions(BINARY, subjects=False, perfect=False)
    found = gap(ask(data, replace(Forms(), **{kind: form}), "accuracy"), "accuracy", kind)
    default = gap(ask(data, Forms(), "accuracy"), "accuracy", kind)
    right = data.label == data.predicted
    group = data.attributes[0].codes
    counts = [(int(right[group == k].sum()), int((group == k).sum())) for k in (0, 1)]
    high, low = sorted(counts, key=lambda c: c[0] / c[1], reverse=True)
    assert found.interval is not None
    assert default.interval is not None
    assert not isinstance(found.value, Undefined)
    first, second = (high, low) if kind == "difference" else (low, high)
    expected = [float(bound) for bound in function(*first, *second, 0.95)]
    # a gap is never below 0, a ratio of the lowest to the highest never above 1
    expected = [max(expected[0], 0.0), expected[1]] if kind == "difference" else [expected[0], min(expected[1], 1.0)]
    assert (found.interval.low, found.interval.high) == pytest.approx(expected, abs=1e-9)
    assert found.interval != default.interval


def test_with_subjects_a_comparison_on_request_has_the_effective_counts() -> None:
    data = decisions(BINARY, subjects=True, perfect=False)
    alone = replace(data, subject=None)
    forms = Forms(difference="miettinen_nurminen")
    by_subject, by_row = (gap(ask(one, forms, "accuracy"), "accuracy", "difference") for one in (data, alone))
    assert by_subject.value == by_row.value
    assert by_subject.interval is not None
    assert by_row.interval is not None
    assert by_subject.interval.high > by_row.interval.high


def test_the_command_line_lists_the_table() -> None:
    shown = CliRunner().invoke(app, ["list", "methods"]).stdout.splitlines()
    assert len(shown) == len(methods.METHODS)
    for line, method in zip(shown, methods.METHODS, strict=True):
        for part in (method.name, method.quantity, method.units, method.situation, method.source):
            assert part in line
