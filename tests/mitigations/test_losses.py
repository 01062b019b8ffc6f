"""Losses and their gradients, against plain float64 transcriptions of the formulas and finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from imgid_audit.core.errors import InputError
from imgid_audit.mitigations import MITIGATIONS
from imgid_audit.mitigations.base import Ask
from imgid_audit.mitigations.weighting import class_weights
from imgid_audit.vision.mix import Drawn, mixed_loss
from imgid_audit.vision.treatment import LinearHead, LossBatch, Material

COUNTS = [600, 60, 6, 6]
LABELS = np.repeat(np.arange(4), COUNTS).astype(np.int32)
GROUPS = (np.arange(len(LABELS)) % 8 == 0).astype(np.int32)
MATERIAL = Material(LABELS, GROUPS, 4, 3)  # nobody has the third group
COSTS = {
    "a": {"b": 1, "c": 2, "d": 3},
    "b": {"a": 5, "c": 0.5, "d": 1},
    "c": {"a": 10, "b": 1, "d": 1},
    "d": {"a": 4, "b": 4, "c": 4, "d": 1},
}
TABLE = np.array([[COSTS[i].get(j, 0.0) for j in "abcd"] for i in "abcd"])

RNG = np.random.default_rng(5)
ROWS = np.array([0, 0, 0, 2, 1, 2, 0], dtype=np.int64)  # class 3 is absent from the batch
MEMBERS = np.array([0, 0, 0, 0, 0, 0, 0], dtype=np.int64)  # and so is group 1
LOGITS = np.concatenate([RNG.normal(0, 2, (5, 4)), [[40, -40, 0, 3], [60, 0, -60, 1.0]]])

Reference = Callable[[np.ndarray], float]


def log_softmax(row: np.ndarray) -> list[float]:
    top = max(row)
    total = top + math.log(sum(math.exp(value - top) for value in row))
    return [value - total for value in row]


def loss_of(name: str, **params: Any) -> Any:
    method = MITIGATIONS[name]
    ask = Ask(tuple("abcd"), False, "head", COSTS)
    make = method.build(method.Params.model_validate(params), ask).loss
    assert make is not None
    return make(MATERIAL)


def batch(logits: torch.Tensor, epoch: int = 1, groups: np.ndarray | None = None, **more: Any) -> LossBatch:
    held = None if groups is None else torch.from_numpy(groups)
    return LossBatch(logits, torch.from_numpy(ROWS), held, epoch, 10, **more)


def weighted(weights: list[float]) -> Reference:
    return lambda z: -sum(weights[y] * log_softmax(row)[y] for row, y in zip(z, ROWS, strict=True)) / len(z)


def shifted(shift: list[float]) -> Reference:
    return lambda z: (
        -sum(log_softmax([v + s for v, s in zip(row, shift, strict=True)])[y] for row, y in zip(z, ROWS, strict=True))
        / len(z)
    )


def focal(gamma: float, alpha: list[float]) -> Reference:
    def total(z: np.ndarray) -> float:
        value = 0.0
        for row, y in zip(z, ROWS, strict=True):
            log_p = log_softmax(row)
            wrong = sum(math.exp(v) for k, v in enumerate(log_p) if k != y)
            value -= alpha[y] * wrong**gamma * log_p[y]
        return value / len(z)

    return total


def expected_cost(share: float) -> Reference:
    def total(z: np.ndarray) -> float:
        value = 0.0
        for row, y in zip(z, ROWS, strict=True):
            log_p = log_softmax(row)
            cost = sum(TABLE[y, j] / 10 * math.exp(log_p[j]) for j in range(4))
            value += (1 - share) * -log_p[y] + share * cost
        return value / len(z)

    return total


INVERSE = [672 / 4 / n for n in COUNTS]
EFFECTIVE = [(1 - 0.99) / (1 - 0.99**n) for n in COUNTS]
EFFECTIVE = [w * 672 / sum(v * n for v, n in zip(EFFECTIVE, COUNTS, strict=True)) for w in EFFECTIVE]
PRIOR = [math.log(n / 672) for n in COUNTS]

CASES: dict[str, tuple[Any, Reference]] = {
    "inverse": (loss_of("class_weights"), weighted(INVERSE)),
    "effective": (loss_of("class_weights", scheme="effective_number", beta=0.99), weighted(EFFECTIVE)),
    "balanced_softmax": (loss_of("balanced_softmax"), shifted([math.log(n) for n in COUNTS])),
    "logit_adjustment": (loss_of("logit_adjustment", tau=1.5), shifted([1.5 * p for p in PRIOR])),
    "focal": (loss_of("focal"), focal(2, [1] * 4)),
    "focal_half": (loss_of("focal", gamma=0.5, alpha="inverse"), focal(0.5, INVERSE)),
    "focal_none": (loss_of("focal", gamma=0), weighted([1] * 4)),
    "cost_matrix": (loss_of("cost_matrix", share=0.7), expected_cost(0.7)),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str) -> None:
    loss, reference = CASES[name]
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    mean = loss(batch(logits)).mean()
    mean.backward()
    assert float(mean.detach()) == pytest.approx(reference(LOGITS), rel=1e-12)
    steps = np.zeros_like(LOGITS)
    for at in np.ndindex(*LOGITS.shape):
        up, down = LOGITS.copy(), LOGITS.copy()
        up[at] += 1e-5
        down[at] -= 1e-5
        steps[at] = (reference(up) - reference(down)) / 2e-5
    np.testing.assert_allclose(logits.grad.numpy(), steps, atol=2e-8 * max(1, abs(steps).max()))


@pytest.mark.parametrize("name", [*CASES, "group_dro"])
def test_extreme_logits_give_finite_losses_and_gradients(name: str) -> None:
    loss = CASES[name][0] if name in CASES else loss_of(name)
    rows = [[300.0, -300, 0, 0], [-300, 300, 0, 0], [0, 0, 0, 0], [1e4, 0, 0, 0], [0, -1e4, 0, 0], [0, 0, 1e4, 0]]
    logits = torch.tensor([*rows, rows[0]], dtype=torch.float32, requires_grad=True)
    losses = loss(batch(logits, groups=MEMBERS))
    losses.mean().backward()
    assert losses.shape == (7,)
    assert losses.dtype == torch.float32
    assert bool(torch.isfinite(losses).all())
    assert bool(torch.isfinite(logits.grad).all())


def test_weights_have_mean_one_over_the_rows_and_follow_the_frequency() -> None:
    for scheme, beta in (("inverse", 0.5), ("effective_number", 0.9), ("effective_number", 0.9999)):
        weights = class_weights(np.array(COUNTS), scheme, beta)  # type: ignore[arg-type]
        assert weights @ COUNTS == pytest.approx(672)
        assert (np.diff(weights) >= 0).all()
    near = class_weights(np.array(COUNTS), "effective_number", 1 - 1e-9)
    np.testing.assert_allclose(near, class_weights(np.array(COUNTS), "inverse", 0.5), rtol=1e-5)
    even = class_weights(np.array(COUNTS), "effective_number", 1e-9)
    np.testing.assert_allclose(even, 1)


def test_a_class_without_training_rows_leaves_everything_finite() -> None:
    material = Material(np.array([0, 0, 1], dtype=np.int32), None, 3)
    for name in ("class_weights", "focal", "balanced_softmax", "logit_adjustment", "ldam_drw"):
        method = MITIGATIONS[name]
        loss = method.build(method.Params(), Ask(("a", "b", "c"), False, "head")).loss(material)
        weight = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
        held = LossBatch(weight[:2, :3], torch.tensor([0, 1]), None, 10, 10, weight[:2], weight)
        assert bool(torch.isfinite(loss(held)).all()), name


def ldam_reference(x: np.ndarray, w: np.ndarray, late: bool) -> float:
    raw = [n**-0.25 for n in COUNTS]
    margin = [0.5 * value / max(raw) for value in raw]
    weights = [(1 - 0.9999) / (1 - 0.9999**n) for n in COUNTS]
    weights = [v * 672 / sum(a * n for a, n in zip(weights, COUNTS, strict=True)) for v in weights]
    total = 0.0
    for row, y in zip(x, ROWS, strict=True):
        cosines = [sum(a * b for a, b in zip(row, k, strict=True)) / math.hypot(*row) / math.hypot(*k) for k in w]
        cosines[y] -= margin[y]
        total -= (weights[y] if late else 1) * log_softmax(np.array([30 * c for c in cosines]))[y]
    return total / len(x)


@pytest.mark.parametrize(("epoch", "late"), [(1, False), (8, False), (9, True), (10, True)])
def test_ldam_is_its_formula_and_weights_set_in_late(epoch: int, late: bool) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(7, 5)), rng.normal(size=(4, 5))
    weight = torch.tensor(w, requires_grad=True)
    features = torch.tensor(x)
    mean = loss_of("ldam_drw")(batch(features @ weight.T, epoch, features=features, weight=weight)).mean()
    assert float(mean.detach()) == pytest.approx(ldam_reference(x, w, late), rel=1e-12)
    mean.backward()
    steps = np.zeros_like(w)
    for at in np.ndindex(*w.shape):
        up, down = w.copy(), w.copy()
        up[at] += 1e-6
        down[at] -= 1e-6
        steps[at] = (ldam_reference(x, up, late) - ldam_reference(x, down, late)) / 2e-6
    np.testing.assert_allclose(weight.grad.numpy(), steps, rtol=1e-5, atol=1e-7)


def test_ldam_predicts_by_the_largest_cosine_with_an_ordinary_layer() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(500, 6)) * rng.uniform(0.1, 9, (500, 1)), rng.normal(size=(4, 6))
    loss = loss_of("ldam_drw", scale=20)
    features = torch.tensor(x[:7])
    loss(batch(features[:, :4], features=features, weight=torch.tensor(w)))
    head = loss.finished(LinearHead(w, np.array([9.0, 0, 0, 0])))
    cosines = (x / np.linalg.norm(x, axis=1, keepdims=True)) @ (w / np.linalg.norm(w, axis=1, keepdims=True)).T
    assert head.logits(x).argmax(axis=1).tolist() == cosines.argmax(axis=1).tolist()
    length = np.linalg.norm(x[:7], axis=1).mean()
    ordinary = x / np.linalg.norm(x, axis=1, keepdims=True) * length
    np.testing.assert_allclose(head.logits(ordinary), 20 * cosines, rtol=1e-6, atol=1e-9)


def test_ldam_says_what_it_needs() -> None:
    with pytest.raises(InputError, match="features that enter a linear last layer"):
        loss_of("ldam_drw")(batch(torch.zeros(7, 4)))


GROUPED = np.array([0, 1, 0, 0, 1, 0, 0], dtype=np.int64)


def test_group_dro_by_hand() -> None:
    loss = loss_of("group_dro", eta=0.5, adjustment=2)
    logits = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    plain = [-log_softmax(row)[y] for row, y in zip(LOGITS, ROWS, strict=True)]
    means = [np.mean([v for v, g in zip(plain, GROUPED, strict=True) if g == k]) for k in (0, 1)]
    sizes = np.bincount(GROUPS)
    q = np.array([0.5, 0.5])
    for _ in range(3):
        q = q * np.exp([0.5 * (means[k] + 2 / math.sqrt(sizes[k])) for k in (0, 1)])
        q /= q.sum()
        rows = loss(batch(logits, groups=GROUPED))
        assert float(rows.detach().mean()) == pytest.approx(float(q @ means), rel=1e-9)
        np.testing.assert_allclose(loss.weights.numpy(), [*q, 0], rtol=1e-9)
    rows.mean().backward()
    share = np.array([q[g] / (5, 2)[g] for g in GROUPED])
    softmax = np.exp([log_softmax(row) for row in LOGITS])
    np.testing.assert_allclose(logits.grad.numpy(), share[:, None] * (softmax - np.eye(4)[ROWS]), atol=1e-12)


@pytest.mark.parametrize("share", [0.8, 0.3, 1.0])
def test_group_dro_of_mixtures_makes_one_step_by_hand(share: float) -> None:
    """A row is `share` of a row of its own group, and the rest one of the group of the row before it."""
    loss = loss_of("group_dro", eta=0.5, adjustment=2)
    logits = torch.tensor(LOGITS, dtype=torch.float64)
    parts: dict[int, list[tuple[float, float]]] = {0: [], 1: []}
    for i, row in enumerate(LOGITS):
        for at, part in ((i, share), (i - 1, 1 - share)):  # the first row is mixed with the last
            parts[int(GROUPED[at])].append((part, -log_softmax(row)[ROWS[at]]))
    means = [sum(p * v for p, v in parts[k]) / sum(p for p, _ in parts[k]) for k in (0, 1)]
    q = np.array([0.5, 0.5])
    for _ in range(3):
        q = q * np.exp([0.5 * (means[k] + 2 / math.sqrt(np.bincount(GROUPS)[k])) for k in (0, 1)])
        q /= q.sum()
        rows = mixed_loss(loss, batch(logits, groups=GROUPED), Drawn(share))
        assert rows.shape == (7,)
        assert float(rows.mean()) == pytest.approx(float(q @ means), rel=1e-9)
        np.testing.assert_allclose(loss.weights.numpy(), [*q, 0], rtol=1e-9)


def test_group_dro_does_not_count_how_many_rows_of_a_group_a_batch_has() -> None:
    """Why a sampler beside it corrects nothing twice: means within groups are the same whoever comes twice."""
    twice = np.concatenate([np.arange(7), np.flatnonzero(GROUPED == 1)])
    told = []
    for rows in (np.arange(7), twice):
        loss = loss_of("group_dro", eta=0.5)
        z, codes, held = torch.tensor(LOGITS[rows]), torch.from_numpy(ROWS[rows]), torch.from_numpy(GROUPED[rows])
        told.append((float(loss(LossBatch(z, codes, held, 1, 10)).mean()), loss.weights.tolist()))
    assert told[0][0] == pytest.approx(told[1][0], rel=1e-12)
    assert told[0][1] == pytest.approx(told[1][1], rel=1e-12)


def test_ldam_follows_lengths_once_a_batch_of_mixtures() -> None:
    loss, weight = loss_of("ldam_drw"), torch.tensor(np.random.default_rng(2).normal(size=(4, 5)))
    lengths = []
    for seed in range(3):
        x = torch.tensor(np.random.default_rng(seed).normal(size=(7, 5)) * (seed + 1))
        mixed_loss(loss, batch(x @ weight.T, features=x, weight=weight), Drawn(0.7))
        lengths.append(float(x.norm(dim=1).mean()))
    expected = 0.9 * (0.9 * lengths[0] + 0.1 * lengths[1]) + 0.1 * lengths[2]
    assert float(loss.state_dict()["length"]) == pytest.approx(expected, rel=1e-9)


def test_group_dro_leaves_an_absent_group_its_share() -> None:
    for adjustment in (0, 3):
        loss = loss_of("group_dro", eta=1, adjustment=adjustment)
        rows = loss(batch(torch.zeros(7, 4, dtype=torch.float64), groups=MEMBERS))
        risen = 4 * math.exp(adjustment / math.sqrt((GROUPS == 0).sum()))
        expected = np.array([risen, 1, 0])  # exp(log 4 + adjustment), exp(0), no training rows
        np.testing.assert_allclose(loss.weights.numpy(), expected / (risen + 1))
        np.testing.assert_allclose(rows.numpy(), risen / (risen + 1) * math.log(4))


def test_group_dro_between_classes_within_groups() -> None:
    loss = loss_of("group_dro", by="class_and_group", eta=1)
    assert loss.weights.numpy().reshape(3, 4)[2].tolist() == [0] * 4
    loss(batch(torch.zeros(7, 4, dtype=torch.float64), groups=GROUPED))
    q = loss.weights.numpy().reshape(3, 4)
    present = {(g, y) for g, y in zip(GROUPED.tolist(), ROWS.tolist(), strict=True)}
    held = {(g, y) for g, y in zip(GROUPS.tolist(), LABELS.tolist(), strict=True)}
    for g, y in held:
        assert q[g, y] / min(q[i, j] for i, j in held) == pytest.approx(4 if (g, y) in present else 1)
    assert q.sum() == pytest.approx(1)


def test_group_dro_without_groups_says_so() -> None:
    method = MITIGATIONS["group_dro"]
    make = method.build(method.Params(), Ask(("a", "b"), True, "head")).loss
    with pytest.raises(InputError, match=r"needs `train\.groups`"):
        make(Material(LABELS, None, 4))
    with pytest.raises(InputError, match="groups of every training row"):
        loss_of("group_dro")(batch(torch.zeros(7, 4)))


@pytest.mark.parametrize("name", ["group_dro", "ldam_drw", "focal"])
def test_a_memory_continues_where_it_was(name: str, tmp_path: Any) -> None:
    generator = torch.Generator().manual_seed(3)
    batches = [torch.randn(7, 4, generator=generator) for _ in range(6)]
    weight = torch.randn(4, 4, generator=generator)

    def fed(loss: Any, some: list[torch.Tensor]) -> list[float]:
        held = [batch(z, 9, GROUPED, features=z, weight=weight) for z in some]
        return [float(loss(one).mean()) for one in held]

    whole = loss_of(name)
    expected = fed(whole, batches)
    first, second = loss_of(name), loss_of(name)
    fed(first, batches[:3])
    torch.save(first.state_dict(), tmp_path / "state.pt")
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert fed(second, batches[3:]) == expected[3:]
    head = LinearHead(weight.double().numpy(), np.zeros(4))
    assert second.finished(head).weight.tobytes() == whole.finished(head).weight.tobytes()


def test_methods_that_ask_for_no_groups_read_none() -> None:
    material = Material(LABELS, None, 4)
    told = []
    for name in ("class_weights", "cost_matrix", "focal", "balanced_softmax", "logit_adjustment", "ldam_drw"):
        method = MITIGATIONS[name]
        params = method.Params()
        assert method.needs(params) == {"class labels"}
        assert "loss" in method.acts_on(params)
        loss = method.build(params, Ask(tuple("abcd"), False, "head", COSTS)).loss(material)
        z = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
        told.append(bool(torch.isfinite(loss(batch(z, features=z, weight=z[:4]))).all()))
    assert all(told)
