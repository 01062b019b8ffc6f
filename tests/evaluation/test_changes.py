"""Changes between two runs: pairing by id, planted losses, and the same run twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score, recall_score, roc_auc_score

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import EvaluationSpec, IntervalSpec, Policy, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Undefined
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.core.task import Task
from imgid_audit.evaluation import evaluate
from imgid_audit.evaluation.changes import changes
from imgid_audit.evaluation.drops import Earlier, beside
from imgid_audit.evaluation.pairing import NamedRows, pair, same_task

TASK = Task("binary", ("no", "yes"), "yes")
METRICS = ("accuracy", "recall", "precision", "f1", "balanced_accuracy", "auroc", "average_precision", "brier", "ece")
ROWS = 900


def ids(rows: int = ROWS) -> np.ndarray:
    return np.array([f"r{i:04d}" for i in range(rows)], dtype=object)


def decisions(loss: float = 0.0, *, subjects: bool = False, seed: int = 1, rows: int = ROWS) -> Decisions:
    """Rows of three groups; group b's positives lose `loss` logits. Equal seeds give equal rows but for that."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows).astype(np.int32)
    group = rng.integers(0, 3, rows).astype(np.int32)
    logit = (2 * label - 1) * 1.2 + rng.normal(size=rows) - loss * (group == 1) * (label == 1)
    score = 1 / (1 + np.exp(-logit))
    subject = Factor("s", tuple(f"s{i}" for i in range(rows // 3)), (np.arange(rows) // 3).astype(np.int32))
    return Decisions(
        TASK, label, (score >= 0.5).astype(np.int32), np.stack([1 - score, score], axis=1),
        subject if subjects else None, (Factor("group", ("a", "b", "c"), group),),
    )  # fmt: skip


def shuffled(named: NamedRows, seed: int = 3) -> NamedRows:
    order = np.random.default_rng(seed).permutation(len(named.ids))
    of = named.decisions
    return NamedRows(
        named.ids[order],
        replace(
            of, label=of.label[order], predicted=of.predicted[order], scores=of.scores[order],
            subject=None if of.subject is None else of.subject.take(order),
            attributes=tuple(f.take(order) for f in of.attributes),
        ),
    )  # fmt: skip


def by(found, metric, level):
    where = Slice(("group",), (level,)) if level else Slice()
    return next(one for one in found.changes if one.metric == metric and one.slice == where)


@pytest.mark.parametrize("subjects", [False, True])
def test_the_order_of_rows_does_not_matter(subjects):
    one, two = NamedRows(ids(), decisions(subjects=subjects)), NamedRows(ids(), decisions(1.0, subjects=subjects))
    straight, mixed, both = pair(one, two), pair(one, shuffled(two)), pair(shuffled(one, 7), shuffled(two))
    spec = IntervalSpec(draws=0)
    found = [changes(p.first, p.second, METRICS, spec, paired=True) for p in (straight, mixed, both)]
    assert found[0] == found[1]
    assert found[0].flips == found[2].flips
    assert mixed.differences.none
    assert both.differences.none
    for a, b in zip(found[0].changes, found[2].changes, strict=True):
        assert (a.value, a.interval.low, a.interval.high) == pytest.approx((b.value, b.interval.low, b.interval.high))


@pytest.mark.parametrize("subjects", [False, True])
def test_a_planted_loss_is_found_where_it_is(subjects):
    found = changes(
        decisions(subjects=subjects), decisions(1.0, subjects=subjects), METRICS, IntervalSpec(draws=50), paired=True
    )
    recall = by(found, "recall", "b")
    assert recall.interval.high < 0
    assert recall.p_adjusted < 0.001
    for level in ("a", "c"):
        unmoved = by(found, "recall", level)
        assert unmoved.value == 0
        assert unmoved.interval.low < 0 < unmoved.interval.high
        assert unmoved.p_value == 1
    lost = next(one for one in found.flips if one.slice.levels == ("b",))
    assert (lost.gained, lost.lost > 10) == (0, True)


def test_values_are_those_of_scikit_learn():
    one, two = decisions(), decisions(1.0)
    found = changes(one, two, METRICS, IntervalSpec(draws=0), paired=True)
    for metric, score in (("recall", recall_score), ("f1", f1_score)):
        expected = [score(each.label, each.predicted) for each in (one, two)]
        change = by(found, metric, "")
        assert (change.first, change.second) == pytest.approx(tuple(expected))
        assert change.value == pytest.approx(expected[1] - expected[0])
    auroc = [roc_auc_score(each.label, each.scores[:, 1]) for each in (one, two)]
    assert by(found, "auroc", "").value == pytest.approx(auroc[1] - auroc[0])


def test_flips_are_mcnemars():
    one, two = decisions(), decisions(0.6)
    total = changes(one, two, ("accuracy",), IntervalSpec(), paired=True).flips[0]
    right = [each.label == each.predicted for each in (one, two)]
    gained, lost = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
    assert (total.gained, total.lost, total.rows) == (gained, lost, ROWS)
    assert total.p_value == pytest.approx(binomtest(min(gained, lost), gained + lost).pvalue)


@pytest.mark.parametrize("subjects", [False, True])
def test_the_same_run_twice_changes_nothing_and_proves_little(subjects):
    one = decisions(subjects=subjects)
    found = changes(one, one, METRICS, IntervalSpec(draws=50), paired=True)
    for change in found.changes:
        assert change.value == 0
        assert change.interval.low < 0 < change.interval.high
        assert change.p_value == change.p_adjusted == 1


def test_pairing_narrows_what_is_known():
    one, two = decisions(subjects=True), decisions(0.5, subjects=True)
    paired, alone = (changes(one, two, METRICS, IntervalSpec(draws=50), paired=p) for p in (True, False))
    for a, b in zip(paired.changes, alone.changes, strict=True):
        assert a.value == pytest.approx(b.value)
        if a.metric != "ece":
            assert a.interval.high - a.interval.low < b.interval.high - b.interval.low
            assert "not paired" in b.interval.method
    assert alone.flips == ()


def test_unpaired_runs_are_compared_on_the_levels_that_either_has():
    one, two = decisions(), decisions(seed=5)
    renamed = replace(two, attributes=(replace(two.attributes[0], levels=("c", "d", "a")),))
    found = changes(one, renamed, ("recall",), IntervalSpec(), paired=False)
    assert [one.slice.levels for one in found.changes] == [(), ("a",), ("b",), ("c",), ("d",)]
    assert isinstance(by(found, "recall", "b").value, Undefined)
    assert "after" in by(found, "recall", "b").value.reason
    rows = two.attributes[0].codes == 2
    assert by(found, "recall", "a").second == pytest.approx(recall_score(two.label[rows], two.predicted[rows]))


def test_differing_data_are_counted_and_left_out():
    one = NamedRows(ids(), decisions(subjects=True))
    of = decisions(1.0, subjects=True)
    label, owner, group = of.label.copy(), of.subject.codes.copy(), of.attributes[0].codes.copy()
    label[:4] = 1 - label[:4]
    owner[10:13] = 200
    group[20:22] = (group[20:22] + 1) % 3
    names = ids()
    names[-5:] = [f"new{i}" for i in range(5)]
    changed = replace(
        of, label=label, subject=replace(of.subject, codes=owner), attributes=(replace(of.attributes[0], codes=group),)
    )
    found = pair(one, shuffled(NamedRows(names, changed)))
    assert not found.differences.none
    assert (found.differences.only_first, found.differences.only_second) == (5, 5)
    assert (found.differences.labels, found.differences.subjects) == (4, 3)
    assert found.differences.attributes == {"group": 2}
    assert found.left_out == (12, 12)
    assert found.first.attributes == ()
    np.testing.assert_array_equal(found.first.label, found.second.label)
    told = " | ".join(found.differences.lines("A", "B"))
    assert "5 rows only in A" in told
    assert "4 rows with another label" in told


def test_changed_images_are_other_data():
    hashes = np.array(["x"] * ROWS, dtype=object)
    other = hashes.copy()
    other[7] = "y"
    found = pair(NamedRows(ids(), decisions(), hashes), NamedRows(ids(), decisions(), other))
    assert found.differences.images == 1
    assert len(found.first) == ROWS - 1


def test_the_order_of_labels_does_not_matter():
    one, two = decisions(), decisions(1.0)
    swapped = replace(
        two, task=Task("binary", ("yes", "no"), "yes"), label=1 - two.label, predicted=1 - two.predicted,
        scores=two.scores[:, ::-1],
    )  # fmt: skip
    same_task(one.task, swapped.task, "here")
    found = pair(NamedRows(ids(), one), NamedRows(ids(), swapped))
    straight = pair(NamedRows(ids(), one), NamedRows(ids(), two))
    spec = IntervalSpec(draws=0)
    assert changes(found.first, found.second, METRICS, spec, paired=True) == changes(
        straight.first, straight.second, METRICS, spec, paired=True
    )


@pytest.mark.parametrize(
    "other",
    [Task("binary", ("no", "yes"), "no"), Task("binary", ("no", "maybe"), "no"), Task("multiclass", ("no", "yes"))],
)
def test_other_tasks_are_refused(other):
    with pytest.raises(InputError, match=r"cannot be compared"):
        same_task(TASK, other, "B")


def test_multiclass_changes_have_every_class_and_the_mean():
    task = Task("multiclass", ("x", "y", "z"))
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 600).astype(np.int32)
    one = np.where(rng.random(600) < 0.8, label, (label + 1) % 3).astype(np.int32)
    two = np.where((label == 1) & (rng.random(600) < 0.4), 0, one).astype(np.int32)
    first, second = (Decisions(task, label, each, None, None, ()) for each in (one, two))
    found = changes(first, second, ("recall", "precision"), IntervalSpec(), paired=True)
    recall = {one.class_name: one for one in found.changes if one.metric == "recall"}
    assert recall["y"].interval.high < 0
    assert recall["x"].value == recall["z"].value == 0
    mean = [recall_score(label, each, average="macro") for each in (one, two)]
    assert recall[None].value == pytest.approx(mean[1] - mean[0])
    assert recall[None].interval.high < 0


def judged(before: Decisions, now: Decisions, rule: Rule, *, names: bool = True):
    named = [NamedRows(ids(), each) for each in (now, before)] if names else [None, None]
    baseline = beside(Earlier("old", before, named[1], "no ids"), now, named[0])
    spec = EvaluationSpec((), intervals=IntervalSpec(draws=50), policy=Policy((rule,)))
    (verdict,) = evaluate(now, spec, baseline).verdicts
    return verdict


@pytest.mark.parametrize(
    ("loss", "tolerance", "status"), [(0.0, 0.05, "pass"), (2.0, 0.05, "fail"), (0.25, 0.05, "inconclusive")]
)
def test_max_drop_has_three_answers(loss, tolerance, status):
    rule = Rule("drop", "recall", "max_drop", tolerance, ("group",))
    found = judged(decisions(), decisions(loss), rule)
    assert found.status == status
    assert "paired by row" in found.reason
    if loss:
        assert found.worst == Slice(("group",), ("b",))
        assert found.observed > 0
    assert found.subjects_needed is None or status == "inconclusive"


def test_a_drop_is_in_the_metrics_own_direction():
    rule = Rule("drop", "false_negative_rate", "max_drop", 0.05)
    worse, better = judged(decisions(), decisions(2.0), rule), judged(decisions(2.0), decisions(), rule)
    assert (worse.status, better.status) == ("fail", "pass")
    assert worse.reason.startswith("false negative rate of 'yes' must have got worse by at most 0.05; all rows has ")


@pytest.mark.parametrize(
    ("metric", "sign"), [("false_negative_rate", 1), ("log_loss", 1), ("recall", -1), ("accuracy", -1)]
)
def test_reasons_say_worse_and_better_as_the_values_moved(metric, sign):
    rule = Rule("drop", metric, "max_drop", 0.5)
    one, two = decisions(), decisions(2.0)
    for before, now in ((one, two), (two, one)):
        (first,), (second,) = (
            [e.value for e in evaluate(each, EvaluationSpec((metric,))).estimates if e.slice == TOTAL]
            for each in (before, now)
        )
        said = judged(before, now, rule).reason
        lost = sign * (second - first)
        assert f"has got {'worse' if lost > 0 else 'better'} by {abs(lost):.4f} " in said
        assert f"has got {'better' if lost > 0 else 'worse'}" not in said
    assert "has not changed" in judged(one, one, rule).reason


def test_an_unpaired_baseline_is_said_and_tells_less():
    rule = Rule("drop", "recall", "max_drop", 0.05, ("group",))
    before, now = decisions(rows=300), decisions(rows=300)
    named = [NamedRows(ids(300), each) for each in (now, before)]
    spec = EvaluationSpec((), policy=Policy((rule,)))
    paired = beside(Earlier("old", before, named[1]), now, named[0])
    alone = beside(Earlier("old", before, None, "no ids"), now, named[0])
    (one,), (two,) = (evaluate(now, spec, each).verdicts for each in (paired, alone))
    assert (one.observed, two.observed) == (0, 0)
    assert one.high < two.high
    assert "not paired: no ids" in two.reason
    assert two.status == "inconclusive"


def test_a_level_that_the_baseline_lacks_cannot_pass():
    before = decisions()
    renamed = replace(before, attributes=(replace(before.attributes[0], levels=("a", "b", "old")),))
    found = judged(renamed, decisions(), Rule("drop", "recall", "max_drop", 0.3, ("group",)), names=False)
    assert found.status == "inconclusive"
    assert "group = c" in found.reason


def test_without_a_baseline_or_its_attribute_nothing_is_judged():
    now = decisions()
    spec = EvaluationSpec((), policy=Policy((Rule("drop", "recall", "max_drop", 0.3, ("group",)),)))
    (verdict,) = evaluate(now, spec).verdicts
    assert verdict.status == "not_evaluated"
    bare = replace(now, attributes=())
    (verdict,) = evaluate(now, spec, beside(Earlier("old", bare, None, "no ids"), now, None)).verdicts
    assert verdict.status == "not_evaluated"
    assert "no attribute 'group'" in verdict.reason
    with pytest.raises(InputError, match="cannot drop"):
        evaluate(now, EvaluationSpec((), policy=Policy((Rule("d", "selection_rate", "max_drop", 0.1),))))
