"""Methods that act on a trained last layer: tau-normalisation, post-hoc adjustment, cRT, DFR."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare
from sklearn.linear_model import LogisticRegression

from imgid_audit.core.errors import InputError
from imgid_audit.mitigations import MITIGATIONS
from imgid_audit.mitigations.base import Ask, Counts
from imgid_audit.mitigations.crt import class_balanced
from imgid_audit.mitigations.dfr import DfrParams, chosen_c, fitted, halves, strata, subsample
from imgid_audit.vision.treatment import HeadTask, LinearHead, Part

LABELS = ("a", "b", "c")


def part(counts: tuple[int, ...], seed: int, groups: bool = False, d: int = 6) -> Part:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    means = np.random.default_rng(99).normal(size=(len(counts), d)) * 2
    x = (means[codes] + rng.normal(size=(len(codes), d))) * np.arange(1, d + 1) + 5
    held = (rng.random(len(codes)) < 0.2).astype(np.int32) if groups else None
    return Part(x.astype(np.float32), codes, held)


TASK = HeadTask(part((200, 60, 20), 0), part((30, 30, 30), 1), part((60, 40, 30), 2), 3)
HEAD = LinearHead(np.random.default_rng(3).normal(size=(3, 6)), np.array([1.0, 0.0, -1.0]))


def refit(name: str, task: HeadTask = TASK, seed: int = 0, scope: Any = "head", **params: Any) -> LinearHead:
    method = MITIGATIONS[name]
    treatment = method.build(method.Params.model_validate(params), Ask(LABELS, False, scope))
    assert treatment.loss is None
    assert treatment.decide is None
    (only,) = treatment.refits
    return only(task, HEAD, seed)


@pytest.mark.parametrize("tau", [0.0, 0.3, 1.0])
def test_lengths_after_tau_normalisation(tau: float) -> None:
    head = refit("tau_norm", scope="full", tau=tau)
    before = np.linalg.norm(HEAD.weight, axis=1)
    np.testing.assert_allclose(np.linalg.norm(head.weight, axis=1), before ** (1 - tau))
    np.testing.assert_allclose(head.weight / before[:, None] ** -tau, HEAD.weight)
    assert not head.bias.any()


@pytest.mark.parametrize("tau", [0.0, 0.6, 1.0])
def test_on_embeddings_it_normalises_standardised_features_about_the_mean_of_class_means(tau: float) -> None:
    head = refit("tau_norm", tau=tau)
    x = TASK.train.embeddings.astype(float)
    origin = np.mean([x[TASK.train.labels == k].mean(axis=0) for k in range(3)], axis=0)
    spread = x.std(axis=0)
    standard = HEAD.weight * spread  # the same logits on (x - origin) / spread, but for a constant a class
    lengths = np.linalg.norm(standard, axis=1, keepdims=True)
    expected = ((x - origin) / spread) @ (standard / lengths**tau).T
    np.testing.assert_allclose(head.logits(x), expected, atol=1e-9)


def test_tau_is_found_on_val() -> None:
    def recall(head: LinearHead) -> float:
        right = head.logits(TASK.val.embeddings).argmax(axis=1) == TASK.val.labels
        return float(np.mean([right[TASK.val.labels == k].mean() for k in range(3)]))

    every = [recall(refit("tau_norm", tau=tau)) for tau in np.linspace(0, 1, 21)]
    assert recall(refit("tau_norm")) == max(every)
    empty = part((1, 1, 1), 1)
    bare = HeadTask(TASK.train, Part(empty.embeddings[:0], empty.labels[:0], None), TASK.adjust, 3)
    with pytest.raises(InputError, match="finds tau on val, which has no rows"):
        refit("tau_norm", bare)
    refit("tau_norm", bare, tau=0.5)


def test_refits_tell_what_they_chose_and_how_many_rows_they_saw() -> None:
    found = refit("tau_norm")
    assert found.rows_seen == 21 * 90
    chosen = found.tuned["tau_norm.tau"]
    assert found.weight.tobytes() == refit("tau_norm", tau=chosen).weight.tobytes()
    given = refit("tau_norm", tau=0.5)
    assert (given.rows_seen, dict(given.tuned)) == (0, {})
    assert refit("crt", epochs=7).rows_seen == 7 * 280
    # of 60, 40 and 30 rows each refit draws 30 of a class; a strength is tried on 15 of each, judged on the other 65
    one = refit("dfr", refits=4, c=[0.3], min_rows=1)
    assert (one.rows_seen, dict(one.tuned)) == (4 * 90, {})
    several = refit("dfr", refits=4, c=[0.3, 0.1], min_rows=1)
    assert several.rows_seen == 4 * 90 + 2 * (45 + 65)
    c = several.tuned["dfr.c"]
    assert several.weight.tobytes() == refit("dfr", refits=4, c=[c], min_rows=1).weight.tobytes()


def test_posthoc_adjustment_moves_the_bias_alone() -> None:
    head = refit("logit_adjustment", mode="posthoc", tau=1.5)
    assert head.weight is HEAD.weight
    np.testing.assert_allclose(head.bias, HEAD.bias - 1.5 * np.log([200 / 280, 60 / 280, 20 / 280]))
    method = MITIGATIONS["logit_adjustment"]
    assert method.acts_on(method.Params(mode="posthoc")) == ("head",)
    assert method.acts_on(method.Params()) == ("loss",)


def test_crt_draws_classes_equally_often_and_their_rows_too() -> None:
    labels = np.repeat([0, 1, 3], [700, 250, 50]).astype(np.int32)
    rows = np.concatenate([class_balanced(labels, None, seed) for seed in range(30)])
    assert len(rows) == 30_000
    assert chisquare(np.bincount(labels[rows])[[0, 1, 3]]).pvalue > 0.01
    for label in (0, 1, 3):
        assert chisquare(np.bincount(rows, minlength=1000)[labels == label]).pvalue > 0.001
    assert class_balanced(labels, None, 1).tolist() == class_balanced(labels, None, 1).tolist()
    assert class_balanced(labels, None, 1).tolist() != class_balanced(labels, None, 2).tolist()


def test_crt_looks_neither_at_the_trained_head_nor_at_val() -> None:
    head = refit("crt", epochs=2)
    assert head.weight.tobytes() == refit("crt", epochs=2).weight.tobytes()
    turned = part((30, 30, 30), 1)
    other = HeadTask(TASK.train, Part(turned.embeddings, (turned.labels + 1) % 3, None), TASK.adjust, 3)
    assert refit("crt", epochs=9).weight.tobytes() == refit("crt", other, epochs=9).weight.tobytes()
    assert head.weight.tobytes() != refit("crt", seed=1, epochs=2).weight.tobytes()
    assert head.weight.tobytes() != refit("crt", epochs=3).weight.tobytes()


def test_dfr_is_scikit_learns_regression_averaged_over_balanced_subsamples() -> None:
    params = DfrParams(refits=4, c=(1.0,), min_rows=1)
    rows = part((160, 140, 130), 2, groups=True)
    head = fitted(rows, 3, params, seed=7)
    x = rows.embeddings.astype(float)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    kind = {"l1_ratio": 1} if LogisticRegression().get_params()["penalty"] == "deprecated" else {"penalty": "l1"}
    rng, weights, biases = np.random.default_rng((7, 1)), [], []
    for _ in range(4):
        picked = subsample(strata(params, rows), 1, rng)
        cells = np.unique(np.stack([rows.labels[picked], rows.groups[picked]]), axis=1, return_counts=True)[1]
        assert len(set(cells.tolist())) == 1
        fit = LogisticRegression(C=1.0, solver="saga", tol=1e-7, max_iter=20_000, random_state=0, **kind)
        fit.fit(standard[picked], rows.labels[picked])
        weights.append(fit.coef_)
        biases.append(fit.intercept_ - fit.intercept_.mean())
    expected = standard @ np.mean(weights, axis=0).T + np.mean(biases, axis=0)
    np.testing.assert_allclose(head.logits(x), expected, atol=0.1)
    assert (head.logits(x).argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.99


def test_dfr_subsamples_are_balanced_and_without_repetition() -> None:
    codes = np.repeat([0, 1, 2], [100, 40, 4])
    rng = np.random.default_rng(0)
    for least, expected in ((1, [4, 4, 4]), (10, [10, 10, 4]), (60, [60, 40, 4])):
        rows = subsample(codes, least, rng)
        assert len(set(rows.tolist())) == len(rows)
        assert np.bincount(codes[rows]).tolist() == expected
    drawn = np.bincount(np.concatenate([subsample(codes, 1, rng) for _ in range(2000)]), minlength=144)[:100]
    assert chisquare(drawn).pvalue > 0.001
    assert np.bincount(codes[halves(codes, rng)]).tolist() == [50, 20, 2]


def test_dfr_chooses_the_strength_that_serves_the_worst_on_rows_it_was_not_fitted_on() -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 80)
    x = rng.normal(size=(80, 400))
    x[:, 0] += 1.5 * (2 * labels - 1)  # one feature tells all, the others are noise
    params = DfrParams(c=(100.0, 0.15, 1e-6))
    assert [chosen_c(x, labels, labels, 2, params, seed)[0] for seed in range(9)].count(0.15) >= 7


def test_dfr_falls_back_to_classes() -> None:
    with_groups = part((60, 40, 30), 2, groups=True)
    without = Part(with_groups.embeddings, with_groups.labels, None)
    by_class = DfrParams(by="class", refits=2)
    expected = fitted(with_groups, 3, by_class, 0).weight.tobytes()
    assert fitted(without, 3, DfrParams(refits=2), 0).weight.tobytes() == expected
    assert fitted(with_groups, 3, DfrParams(refits=2), 0).weight.tobytes() != expected
    method = MITIGATIONS["dfr"]
    assert method.falls_back
    assert "group labels in validation" in method.needs(DfrParams())
    assert method.needs(by_class) == {"class labels"}


def test_dfr_does_not_look_at_the_trained_head_or_at_training_rows() -> None:
    other = HeadTask(part((9, 9, 9), 5), TASK.val, TASK.adjust, 3)
    assert refit("dfr", refits=2).weight.tobytes() == refit("dfr", other, refits=2).weight.tobytes()


def test_dfr_asks_for_rows_set_aside_of_every_class() -> None:
    method = MITIGATIONS["dfr"]
    counts = Counts({"a": 1}, {}, {}, {}, 0)
    (message,) = method.unmet(DfrParams(), Ask(LABELS, False, "head"), counts)
    assert "data.split.adjust" in message
    bare = Part(TASK.adjust.embeddings[:0], TASK.adjust.labels[:0], None)
    with pytest.raises(InputError, match=r"data\.split\.adjust"):
        refit("dfr", HeadTask(TASK.train, TASK.val, bare, 3))
    lacking = Part(TASK.adjust.embeddings[:100], TASK.adjust.labels[:100], None)
    with pytest.raises(InputError, match="have none of class 'c'"):
        refit("dfr", HeadTask(TASK.train, TASK.val, lacking, 3))


def test_dfr_leaves_constant_features_alone() -> None:
    x = TASK.adjust.embeddings.copy()
    x[:, 2] = 4
    head = fitted(Part(x, TASK.adjust.labels, None), 3, DfrParams(refits=2), 0)
    assert not head.weight[:, 2].any()
    assert np.isfinite(head.logits(x)).all()
