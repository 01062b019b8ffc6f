"""MixUp and CutMix against torchvision's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from imgid_audit.vision.mix import Drawn, draw, draw_shares, mixed_images, mixed_loss, mixed_rows
from imgid_audit.vision.objective import CrossEntropy
from imgid_audit.vision.treatment import LossBatch, Mix

IMAGES = torch.rand(6, 3, 10, 14, generator=torch.Generator().manual_seed(0))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_mixup_is_torchvisions() -> None:
    theirs = v2.MixUp(alpha=1.0, num_classes=3)
    for share in (0.0, 0.3, 1.0):
        expected = theirs.transform(IMAGES, {"lam": share, "labels": None, "batch_size": 6})
        assert torch.allclose(mixed_images(IMAGES, Drawn(share)), expected, atol=1e-6)
        assert torch.allclose(mixed_rows(IMAGES.flatten(1), share), expected.flatten(1), atol=1e-6)


def test_cutmix_is_torchvisions() -> None:
    theirs = v2.CutMix(alpha=1.0, num_classes=3)
    for seed in range(20):
        drawn = draw(Mix("cutmix", 1.0), 10, 14, rng(seed))
        top, left, bottom, right = drawn.box
        given = {"box": (left, top, right, bottom), "lam_adjusted": drawn.share, "labels": None, "batch_size": 6}
        assert torch.equal(mixed_images(IMAGES, drawn), theirs.transform(IMAGES, given))
        assert drawn.share == pytest.approx(1 - (bottom - top) * (right - left) / 140)
        assert 0 <= top <= bottom <= 10
        assert 0 <= left <= right <= 14


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_shares_are_distributed_as_torchvisions(kind: str, alpha: float) -> None:
    from scipy.stats import ks_2samp

    torch.manual_seed(0)
    theirs = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[kind](alpha=alpha, num_classes=3)
    name = {"mixup": "lam", "cutmix": "lam_adjusted"}[kind]
    expected = [float(theirs.make_params([torch.zeros(6, 3, 32, 48)])[name]) for _ in range(1500)]
    generator = rng()
    found = [draw(Mix(kind, alpha), 32, 48, generator).share for _ in range(1500)]
    assert ks_2samp(found, expected).pvalue > 0.001
    if kind == "mixup":
        assert ks_2samp(draw_shares(Mix(kind, alpha), 1500, rng(1)), expected).pvalue > 0.001


def test_the_loss_of_mixed_rows_is_that_of_mixed_labels() -> None:
    """Cross-entropy is linear in the label's distribution, which torch takes as it is."""
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    for share in (0.0, 0.25, 1.0):
        one_hot = torch.nn.functional.one_hot(labels, 3).float()
        one_hot = share * one_hot + (1 - share) * one_hot.roll(1, 0)
        expected = torch.nn.functional.cross_entropy(logits, one_hot, reduction="none")
        found = mixed_loss(CrossEntropy(), LossBatch(logits, labels, None, 1, 1), Drawn(share))
        assert torch.allclose(found, expected, atol=1e-6)


def test_groups_go_with_their_labels() -> None:
    seen = []

    class Reader(CrossEntropy):
        def __call__(self, batch: LossBatch) -> torch.Tensor:
            seen.append((batch.labels.tolist(), batch.groups.tolist()))
            return super().__call__(batch)

    batch = LossBatch(torch.zeros(3, 3), torch.tensor([0, 1, 2]), torch.tensor([5, 6, 7]), 1, 1)
    mixed_loss(Reader(), batch, Drawn(0.5))
    assert sorted(seen) == [([0, 1, 2], [5, 6, 7]), ([2, 0, 1], [7, 5, 6])]


@pytest.mark.parametrize(("share", "kept"), [(0.7, [0, 1, 2]), (0.2, [2, 0, 1])])
def test_a_memory_makes_one_step_a_batch_that_of_the_larger_share(share: float, kept: list[int]) -> None:
    class Remembers(CrossEntropy):
        def __init__(self) -> None:
            self.log: list[list[int]] = []

        def __call__(self, batch: LossBatch) -> torch.Tensor:
            self.log.append(batch.labels.tolist())  # in place: what was saved before must not change with it
            return torch.full((3,), float(len(self.log))) * batch.labels

        def state_dict(self) -> dict[str, list[list[int]]]:
            return {"log": self.log}

        def load_state_dict(self, state: dict[str, list[list[int]]]) -> None:
            self.log = state["log"]

    loss, labels = Remembers(), torch.tensor([0, 1, 2])
    for number in (1, 2):
        found = mixed_loss(loss, LossBatch(torch.zeros(3, 3), labels, None, 1, 1), Drawn(share))
        assert torch.allclose(found, number * (share * labels + (1 - share) * labels.roll(1)))
    assert loss.log == [kept] * 2


def test_without_a_mix_there_is_no_share() -> None:
    assert draw_shares(None, 5, rng()) is None
