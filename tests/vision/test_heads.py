"""Heads on embeddings: against scikit-learn, in planted worlds, and by law."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, recall_score

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.mitigations.points import selected
from imgid_audit.vision.adamw import AdamW
from imgid_audit.vision.errors import DivergedError
from imgid_audit.vision.heads import HeadRun, criterion, head_scores, install, train_head
from imgid_audit.vision.models import build_model
from imgid_audit.vision.settings import AugmentSettings, InputSettings, ModelSettings
from imgid_audit.vision.treatment import (
    PLAIN,
    HeadTask,
    LinearHead,
    LossBatch,
    Material,
    Mix,
    Part,
    PlainLoss,
    Treatment,
)

CLASSES = 3


@dataclass(frozen=True)
class Plan:
    epochs: int = 20
    batch_size: int = 64
    lr: float = 0.01
    weight_decay: float = 0.0


def part(n: int, seed: int, d: int = 8, classes: int = CLASSES, spread: float = 1.5) -> Part:
    """Gaussian classes with features of very different scale and a shift; groups by chance."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, d))
    labels = rng.integers(0, classes, n).astype(np.int32)
    x = centres[labels] + spread * rng.normal(size=(n, d))
    scale = np.logspace(-2, 2, d)
    return Part((x * scale + 5 * scale).astype(np.float32), labels, rng.integers(0, 2, n).astype(np.int32))


def task(n: int = 600, val: int = 300, **options: Any) -> HeadTask:
    classes = options.get("classes", CLASSES)
    return HeadTask(part(n, 0, **options), part(val, 1, **options), part(40, 2, **options), classes, 2)


def run(given: HeadTask, treatment: Treatment = PLAIN, plan: Plan | None = None, seed: int = 0, **options) -> HeadRun:
    return train_head(given, treatment, plan or Plan(), seed, **{"select": "average", **options})


def declared(run: HeadRun) -> LinearHead:
    return run.heads["declared"]


def last(given: HeadTask) -> HeadTask:
    """Without val rows the last epoch is kept."""
    return replace(given, val=part(0, 1))


def predicted(head: LinearHead, rows: Part) -> np.ndarray:
    return head_scores(head, rows.embeddings).argmax(axis=1)


def same(one: LinearHead, other: LinearHead) -> bool:
    return one.weight.tobytes() == other.weight.tobytes() and one.bias.tobytes() == other.bias.tobytes()


def test_converges_to_the_optimum_that_scikit_learn_finds() -> None:
    given = task()
    found = declared(run(last(given), plan=Plan(epochs=300, batch_size=600, lr=0.05)))
    x, y = given.train.embeddings.astype(np.float64), given.train.labels
    scale = x.std(axis=0)
    model = LogisticRegression(C=np.inf, max_iter=5000, tol=1e-10).fit((x - x.mean(axis=0)) / scale, y)
    expected = model.predict_proba((given.val.embeddings - x.mean(axis=0)) / scale)
    assert np.abs(head_scores(found, given.val.embeddings) - expected).max() < 0.01
    assert (predicted(found, given.val) == expected.argmax(axis=1)).mean() > 0.99


def test_adamw_steps_as_torchs_does() -> None:
    torch.manual_seed(0)
    ours = [torch.randn(4, 7, requires_grad=True), torch.randn(4, requires_grad=True)]
    theirs = [one.detach().clone().requires_grad_() for one in ours]
    mine = AdamW(ours[:1], ours[1:], 0.1)
    groups = [{"params": theirs[:1]}, {"params": theirs[1:], "weight_decay": 0.0}]
    oracle = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.1)
    for step in range(30):
        for parameters in (ours, theirs):
            x = torch.randn(5, 7, generator=torch.Generator().manual_seed(step))
            torch.tanh(x @ parameters[0].t() + parameters[1]).square().sum().backward()
        for group in oracle.param_groups:
            group["lr"] = 0.1 / (step + 1)
        mine.step(0.1 / (step + 1))
        oracle.step()
        oracle.zero_grad()
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_folded_heads_do_not_depend_on_the_features_units() -> None:
    """Scaled and shifted features give the same scores: what is learnt lives in the standardised space."""
    given = task()
    factor = np.float32(4) ** np.arange(-4, 4, dtype=np.float32)

    def moved(rows: Part) -> Part:
        return replace(rows, embeddings=rows.embeddings * factor)

    other = HeadTask(moved(given.train), moved(given.val), moved(given.adjust), CLASSES, 2)
    one, two = declared(run(given)), declared(run(other))
    found = head_scores(two, other.val.embeddings)
    assert np.abs(head_scores(one, given.val.embeddings) - found).max() < 1e-6


def test_constant_features_are_left_out() -> None:
    given = task()

    def with_constant(rows: Part, value: float) -> Part:
        column = np.full((len(rows), 1), value, dtype=np.float32)
        return replace(rows, embeddings=np.hstack([rows.embeddings, column]))

    found = declared(run(replace(given, train=with_constant(given.train, 3.3), val=with_constant(given.val, 3.3))))
    assert (found.weight[:, -1] == 0).all()
    assert np.isfinite(found.weight).all()


def test_same_seed_same_bytes_whatever_the_threads_and_generators() -> None:
    given = task()
    treatment = Treatment(mix=Mix("mixup", 0.4), rows=shuffled_half)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        torch.manual_seed(1)
        one = run(given, treatment)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    torch.manual_seed(5)
    np.random.seed(5)
    expected = (torch.rand(1), np.random.rand())
    torch.manual_seed(5)
    np.random.seed(5)
    two = run(given, treatment)
    assert (torch.rand(1), np.random.rand()) == expected
    assert same(declared(one), declared(two))
    assert not same(declared(one), declared(run(given, treatment, seed=1)))


def shuffled_half(labels: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(len(labels))[: len(labels) // 2]


def test_rows_are_asked_in_every_epoch_and_decide_what_is_seen() -> None:
    given, asked = task(), []

    def rows(labels: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
        asked.append((labels, groups, seed))
        return np.flatnonzero(labels != 2).repeat(2)

    found = run(last(given), Treatment(rows=rows), Plan(epochs=30, lr=0.05))
    assert len({seed for _, _, seed in asked}) == len(asked) == 30
    assert all(0 <= seed < 2**32 for _, _, seed in asked)
    assert np.array_equal(asked[0][0], given.train.labels)
    assert np.array_equal(asked[0][1], given.train.groups)
    assert found.rows_seen == 30 * 2 * int((given.train.labels != 2).sum())
    assert (predicted(declared(found), given.val) != 2).all()
    with pytest.raises(InputError, match="a sampler chose no training row"):
        run(given, Treatment(rows=lambda labels, groups, seed: np.zeros(0, dtype=np.intp)))


def test_points_are_made_once_and_trained_on() -> None:
    given, asked = task(), []

    def points(rows: Part, classes: int, seed: int) -> Part:
        asked.append(classes)
        new = part(500, 7)
        return Part(
            np.vstack([rows.embeddings, new.embeddings]), np.concatenate([rows.labels, np.full(500, 1, np.int32)]), None
        )

    found = run(last(given), Treatment(points=points), Plan(epochs=4))
    assert asked == [CLASSES]
    assert found.rows_seen == 4 * 1100
    plain = (predicted(declared(run(last(given), plan=Plan(epochs=4))), given.val) == 1).mean()
    assert (predicted(declared(found), given.val) == 1).mean() > plain + 0.2


def test_each_row_draws_a_view_or_itself() -> None:
    """A loss that reads the features tells which embedding every row was given."""
    n, v, epochs = 400, 3, 30
    given = task(n)
    views = np.stack([given.train.embeddings + 1000 * (k + 1) for k in range(v)])
    scale = given.train.embeddings.std(axis=0)[0]
    seen: list[np.ndarray] = []

    class Reader(Plain):
        def __call__(self, batch: LossBatch) -> torch.Tensor:
            seen.append(batch.features[:, 0].numpy() * scale / 1000)
            return super().__call__(batch)

    run(
        replace(given, train=replace(given.train, views=views)),
        Treatment(loss=lambda _: Reader(), views=v),
        Plan(epochs=epochs),
    )
    which = np.concatenate(seen).round()
    counts = np.array([(which == k).sum() for k in range(v + 1)])
    assert counts.sum() == n * epochs
    expected = n * epochs / (v + 1)
    assert ((counts - expected) ** 2 / expected).sum() < 20  # chi-square on 3 degrees: 1.7e-4


def test_views_reach_the_training_and_new_points_have_none() -> None:
    given = task()
    noise = np.random.default_rng(0).normal(size=(2, *given.train.embeddings.shape)).astype(np.float32)
    viewed = replace(given, train=replace(given.train, views=given.train.embeddings + noise))
    treatment = Treatment(augment=AugmentSettings(hflip=0.5), views=2)
    assert not same(declared(run(viewed, treatment)), declared(run(viewed)))
    assert same(declared(run(viewed)), declared(run(given)))
    with pytest.raises(InputError, match="none were embedded"):
        run(given, treatment)

    def more(rows: Part, classes: int, seed: int) -> Part:
        return Part(
            np.vstack([rows.embeddings, rows.embeddings[:9]]), np.concatenate([rows.labels, rows.labels[:9]]), None
        )

    assert run(viewed, replace(treatment, points=more), Plan(epochs=2)).rows_seen == 2 * 609
    with pytest.raises(InputError, match="replaced training rows and gave no views"):
        run(viewed, replace(treatment, points=lambda rows, classes, seed: part(700, 3)))


def test_a_method_that_drops_rows_brings_the_views_of_those_that_stay() -> None:
    given = task()
    noise = np.random.default_rng(0).normal(size=(2, *given.train.embeddings.shape)).astype(np.float32)
    viewed = replace(given, train=replace(given.train, views=given.train.embeddings + noise))
    stay = np.flatnonzero(np.arange(600) % 3 > 0)
    seen: list[np.ndarray] = []

    class Reader(Plain):
        def __call__(self, batch: LossBatch) -> torch.Tensor:
            seen.append(batch.features.numpy())
            return super().__call__(batch)

    def fewer(rows: Part, classes: int, seed: int) -> Part:
        return selected(rows, stay)

    treatment = Treatment(
        augment=AugmentSettings(hflip=0.5), views=2, points=fewer, loss=lambda _: Reader()
    )  # fmt: skip
    assert run(viewed, treatment, Plan(epochs=9)).rows_seen == 9 * 400
    held = given.train.embeddings
    mean, spread = held.mean(axis=0, dtype=float), held.std(axis=0, dtype=float)
    of_those = [viewed.train.embeddings[stay], *viewed.train.views[:, stay]]
    allowed = {tuple(row) for part in of_those for row in ((part - mean) / spread).round(2).tolist()}
    told = {tuple(row) for row in np.concatenate(seen).astype(float).round(2).tolist()}
    assert len(told) > 900
    assert len(told & allowed) > 0.9 * len(told)  # but for what rounding splits
    wrong = replace(treatment, points=lambda rows, classes, seed: replace(fewer(rows, classes, seed), views=noise))
    with pytest.raises(InputError, match=r"views of shape \(2, 600, 8\) for embeddings \(400, 8\)"):
        run(viewed, wrong)


class Plain(PlainLoss):
    def __call__(self, batch: LossBatch) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(batch.logits, batch.labels, reduction="none")


def test_a_loss_is_told_everything() -> None:
    given, batches, material = task(), [], []

    class Reader(Plain):
        def __call__(self, batch: LossBatch) -> torch.Tensor:
            batches.append(replace(batch, weight=batch.weight.detach().clone()))
            return super().__call__(batch)

    def make(told: Material) -> Reader:
        material.append(told)
        return Reader()

    found = run(given, Treatment(loss=make, rows=shuffled_half), Plan(epochs=3))
    assert len(material) == 1
    assert np.array_equal(material[0].class_counts, np.bincount(given.train.labels))
    assert np.array_equal(material[0].group_counts, np.bincount(given.train.groups))
    first = batches[0]
    expected = first.features @ first.weight.t()
    offset = (first.logits - expected).detach()
    assert torch.allclose(offset, offset[:1].expand_as(offset), atol=1e-5)  # the bias
    assert {batch.epoch for batch in batches} == {1, 2, 3}
    assert {batch.epochs for batch in batches} == {3}
    assert sum(len(batch.labels) for batch in batches) == found.rows_seen == 3 * 300
    stacked = torch.cat([batch.features for batch in batches])
    assert abs(float(stacked.mean())) < 0.1
    assert abs(float(stacked.std()) - 1) < 0.1
    named = head_scores(declared(run(given, Treatment(loss=lambda _: Plain()))), given.val.embeddings)
    assert np.abs(named - head_scores(declared(run(given)), given.val.embeddings)).max() < 1e-4


def test_groups_reach_the_loss_with_their_rows() -> None:
    given = task()

    class Reader(Plain):
        def __call__(self, batch: LossBatch) -> torch.Tensor:
            for feature, label, group in zip(batch.features, batch.labels, batch.groups, strict=True):
                at = int(np.abs(x - feature.numpy()).sum(axis=1).argmin())
                assert (given.train.labels[at], given.train.groups[at]) == (int(label), int(group))
            return super().__call__(batch)

    e = given.train.embeddings.astype(np.float64)
    x = (e - e.mean(axis=0)) / e.std(axis=0)
    run(given, Treatment(loss=lambda _: Reader()), Plan(epochs=1, batch_size=50))


class Flipped(Plain):
    """Predicts with the negative of what was trained."""

    def finished(self, head: LinearHead) -> LinearHead:
        return LinearHead(-head.weight, -head.bias)


def test_the_layer_that_predicts_is_the_finished_one() -> None:
    given = task()
    plan = Plan(epochs=6)
    plain, flipped = (run(last(given), Treatment(loss=lambda _, kind=kind: kind()), plan) for kind in (Plain, Flipped))
    scores = head_scores(declared(flipped), given.val.embeddings)
    negated = LinearHead(-declared(plain).weight, -declared(plain).bias)
    assert np.abs(scores - head_scores(negated, given.val.embeddings)).max() < 1e-9
    judged = run(given, Treatment(loss=lambda _: Flipped()), plan)
    assert judged.picked["declared"].epoch == 1  # the less was learnt the better
    assert judged.val["declared"] < 0.3


def test_rows_of_refits_count_once_each_and_their_choices_are_kept() -> None:
    given, plan = task(), Plan(epochs=3)

    def fitting(task: HeadTask, head: LinearHead, _seed: int) -> LinearHead:
        assert (head.rows_seen, dict(head.tuned)) == (0, {}), "what was seen before is not this refit's"
        return LinearHead(2 * head.weight, head.bias, 100, {"one.c": 0.3})

    def unchanged(task: HeadTask, head: LinearHead, _seed: int) -> LinearHead:
        return head

    def choosing(task: HeadTask, head: LinearHead, _seed: int) -> LinearHead:
        return LinearHead(head.weight, head.bias, 11, {"two.tau": 0.5})

    plain = run(given, Treatment(), plan)
    found = run(given, Treatment(refits=(fitting, unchanged, choosing)), plan)
    assert found.rows_seen == plain.rows_seen + 111
    assert found.tuned == {name: {"one.c": 0.3, "two.tau": 0.5} for name in ("declared", "average")}
    assert plain.tuned == {"declared": {}, "average": {}}


def test_refits_are_applied_in_order_to_each_selected_head_in_raw_space() -> None:
    given, seen = task(), []

    def first(rows: HeadTask, head: LinearHead, seed: int) -> LinearHead:
        seen.append((rows is given, accuracy_score(given.train.labels, predicted(head, given.train)), seed))
        return LinearHead(head.weight * 0, head.bias * 0)

    def second(rows: HeadTask, head: LinearHead, seed: int) -> LinearHead:
        assert not head.weight.any()
        return LinearHead(head.weight, np.array([0.0, 1.0, 0.0]))

    found = run(given, Treatment(refits=(first, second)), select="worst_class")
    assert all(mine and accuracy > 0.5 for mine, accuracy, _ in seen)
    for head in found.heads.values():
        assert (predicted(head, given.val) == 1).all()
    assert found.val == {"declared": 0.0, "average": (given.val.labels == 1).mean()}

    def broken(rows: HeadTask, head: LinearHead, seed: int) -> LinearHead:
        return LinearHead(head.weight * np.nan, head.bias)

    with pytest.raises(DivergedError, match="refitted head"):
        run(given, Treatment(refits=(broken,)))


@pytest.mark.parametrize("select", ["average", "worst_class", "worst_group"])
def test_values_on_val_against_scikit_learn(select: str) -> None:
    given = task(val=160)
    found = run(given, select=select)
    picked = found.picked["declared"]
    labels, guesses = given.val.labels, predicted(picked.head, given.val)
    recalls = recall_score(labels, guesses, average=None)
    by_group = [accuracy_score(labels[given.val.groups == g], guesses[given.val.groups == g]) for g in range(2)]
    expected = {
        "average": (accuracy_score(labels, guesses), None),
        "worst_class": (recalls.min(), int(recalls.argmin())),
        "worst_group": (min(by_group), int(np.argmin(by_group))),
    }[select]
    assert (picked.criterion, picked.of) == (pytest.approx(expected[0], abs=1e-12), expected[1])
    assert picked.accuracy == pytest.approx(accuracy_score(labels, guesses), abs=1e-12)
    assert criterion(guesses, labels, given.val.groups, select) == pytest.approx(expected[0], abs=1e-12)
    assert found.val["declared"] == picked.criterion
    assert found.val["average"] >= found.picked["declared"].accuracy


def test_the_best_epoch_is_kept_for_each_criterion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged by hand after every epoch: which is kept is the highest, of equal ones the lowest loss, then the first."""
    from imgid_audit.vision.judge import Judge

    told = [  # (declared, -loss), (average, -loss)
        ((0.5, -1.0), (0.5, -1.0)),
        ((0.6, -0.9), (0.7, -0.9)),
        ((0.6, -0.8), (0.7, -0.9)),
        ((0.6, -0.8), (0.6, -0.1)),
    ]
    values = iter(told)
    monkeypatch.setattr(Judge, "values", lambda *_: dict(zip(("declared", "average"), next(values), strict=True)))
    found = run(task(), plan=Plan(epochs=4))
    assert {name: one.epoch for name, one in found.picked.items()} == {"declared": 3, "average": 2}


def test_without_val_rows_the_last_epoch_is_kept() -> None:
    given = task()
    found = run(last(given), plan=Plan(epochs=7), select="worst_class")
    assert {one.epoch for one in found.picked.values()} == {7}
    assert found.val == {"declared": None, "average": None}
    assert found.undefined == (0, 1, 2)


def test_groups_without_val_rows_are_ignored_and_named() -> None:
    given = replace(task(), groups_count=4)
    found = run(given, select="worst_group")
    assert found.undefined == (2, 3)
    assert found.picked["declared"].of in (0, 1)
    with pytest.raises(InputError, match="worst_group needs"):
        run(replace(given, val=replace(given.val, groups=None)), select="worst_group")
    assert criterion(np.zeros(0), np.zeros(0, np.int32), None, "worst_class") is None


def test_mixup_mixes_rows_and_weighs_losses() -> None:
    """Of a loss that is linear in one-hot labels, the mean under MixUp is that of the mixed labels."""
    given, shares = task(), []

    class Reader(Plain):
        def __call__(self, batch: LossBatch) -> torch.Tensor:
            shares.append(batch.labels.clone())
            return super().__call__(batch)

    found = run(last(given), Treatment(loss=lambda _: Reader(), mix=Mix("mixup", 0.4)), Plan(epochs=1, batch_size=600))
    assert torch.equal(shares[0].roll(1), shares[1]) or torch.equal(shares[1].roll(1), shares[0])
    assert found.rows_seen == 600
    assert not same(declared(found), declared(run(last(given), plan=Plan(epochs=1, batch_size=600))))
    # A share of 1 (alpha so small that Beta gives 0 or 1) leaves batches as they are, or swaps them whole.
    near = run(last(given), Treatment(mix=Mix("mixup", 1e-6)))
    assert accuracy_score(given.val.labels, predicted(declared(near), given.val)) > 0.55
    with pytest.raises(InputError, match="cutmix cuts images"):
        run(given, Treatment(mix=Mix("cutmix", 1.0)))


def test_weight_decay_shrinks_weights_and_a_method_may_set_its_own() -> None:
    given = last(task())
    strong = declared(run(given, plan=Plan(weight_decay=10.0)))
    assert np.abs(strong.weight).sum() < 0.3 * np.abs(declared(run(given)).weight).sum()
    assert same(declared(run(given, Treatment(weight_decay=10.0))), strong)


def test_a_planted_group_is_helped_by_balancing_and_not_by_chance() -> None:
    """A shortcut holds in 95 of 100 training rows; balanced rows of (class, group) unlearn it."""

    def world(n: int, aligned: float, seed: int) -> Part:
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, n)
        agrees = rng.random(n) < aligned
        shortcut = np.where(agrees, y, 1 - y)
        x = np.stack([(2 * y - 1) + 1.0 * rng.normal(size=n), 2.0 * (2 * shortcut - 1) + 0.5 * rng.normal(size=n)], 1)
        x = np.hstack([x, rng.normal(size=(n, 6))])
        return Part(x.astype(np.float32), y.astype(np.int32), (2 * shortcut + y).astype(np.int32))

    def balanced(labels: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        size = np.bincount(groups).max()
        return np.concatenate([rng.choice(np.flatnonzero(groups == g), size) for g in np.unique(groups)])

    def random(labels: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, len(labels), len(labels))

    given = HeadTask(world(4000, 0.95, 0), world(2000, 0.5, 1), part(0, 0), 2, 4)
    test = world(8000, 0.5, 2)
    worst = {}
    for name, rows in (("plain", None), ("random", random), ("balanced", balanced)):
        head = declared(run(given, Treatment(rows=rows), select="average"))
        worst[name] = criterion(predicted(head, test), test.labels, test.groups, "worst_group")
    assert worst["balanced"] > worst["plain"] + 0.15
    assert abs(worst["random"] - worst["plain"]) < 0.05


def test_divergence_is_named() -> None:
    with pytest.raises(
        DivergedError, match=r"NaN or infinite in epoch 1\. Make the learning rate smaller \(it is 1e\+38\)"
    ):
        run(task(), plan=Plan(lr=1e38))

    class Poisoned(Plain):
        def __call__(self, batch: LossBatch) -> torch.Tensor:
            return super().__call__(batch) * (float("nan") if batch.epoch == 2 else 1.0)

        def finished(self, head: LinearHead) -> LinearHead:
            assert np.isfinite(head.weight).all()
            return head

    with pytest.raises(DivergedError, match="in epoch 2"):
        run(task(), Treatment(loss=lambda _: Poisoned()))


def test_stopping_and_nothing_to_train_on() -> None:
    polls = iter(range(100))
    with pytest.raises(StoppedError, match="stopped in epoch 4 of 20"):
        run(task(), stop=lambda: next(polls) >= 3)
    with pytest.raises(InputError, match="no train rows"):
        run(replace(task(), train=part(0, 0)))


def test_scores_sum_to_one_also_for_huge_logits() -> None:
    head = LinearHead(np.array([[1e4], [-1e4]]), np.zeros(2))
    scores = head_scores(head, np.array([[1.0], [-1.0], [0.0]], dtype=np.float32))
    assert scores.tolist() == [[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]]
    assert scores.dtype == np.float64


def test_an_installed_head_is_what_the_network_says() -> None:
    torch.manual_seed(0)
    model = build_model(ModelSettings(input=InputSettings(size=16)), 3).eval()
    head = LinearHead(np.random.default_rng(0).normal(size=(3, 128)), np.arange(3.0))
    install(model, 3, head)
    images = torch.rand(5, 3, 16, 16)
    with torch.inference_mode():
        embeddings = torch.nn.Sequential(*list(model.children())[:-1])(images).numpy()
        assert np.abs(model(images).numpy() - head.logits(embeddings)).max() < 1e-5
    with pytest.raises(ValueError, match="does not fit"):
        install(model, 3, LinearHead(np.zeros((3, 5)), np.zeros(3)))
    state: Mapping[str, torch.Tensor] = model.state_dict()
    assert all(value.dtype in (torch.float32, torch.int64) for value in state.values())


def test_what_selection_maximises_is_accuracy_then_minus_the_cross_entropy() -> None:
    from sklearn.metrics import log_loss

    from imgid_audit.vision.judge import Judge

    val = part(200, 3)
    judge = Judge(val, CLASSES, 2, "worst_class")
    rng = np.random.default_rng(0)
    head = LinearHead(rng.normal(size=(CLASSES, 8)) * 1e-3, np.zeros(CLASSES))
    sharper = LinearHead(head.weight * 3, head.bias)
    found = [judge.values(torch.from_numpy(val.embeddings), one) for one in (head, sharper)]
    for one, values in zip((head, sharper), found, strict=True):
        scores = head_scores(one, val.embeddings)
        recalls = recall_score(val.labels, scores.argmax(axis=1), average=None)
        assert values["declared"] == pytest.approx((recalls.min(), -log_loss(val.labels, scores)), abs=1e-6)
        assert values["average"][0] == pytest.approx(accuracy_score(val.labels, scores.argmax(axis=1)))
    assert found[0]["declared"][0] == found[1]["declared"][0]  # the same decisions, told apart by their loss
    assert found[0]["declared"] != found[1]["declared"]


def test_row_losses_are_torchs_in_either_layout() -> None:
    from imgid_audit.vision.row_losses import cross_entropy

    labels = torch.tensor([0, 3, 1, 1, 2, 0, 3])
    for values in (torch.randn(7, 4, dtype=torch.float64), torch.randn(4, 7, dtype=torch.float64).t() * 50):
        ours, theirs = (values.detach().clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2))
        weights = torch.arange(7.0, dtype=torch.float64)
        found = cross_entropy(ours, labels)
        expected = torch.nn.functional.cross_entropy(theirs, labels, reduction="none")
        (found @ weights).backward()
        (expected @ weights).backward()
        assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)
