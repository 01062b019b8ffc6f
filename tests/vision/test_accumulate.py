"""A batch in parts learns what the whole batch does; where memory runs out, it is taken again in more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from imgid_audit.core.errors import StoppedError
from imgid_audit.mitigations import find
from imgid_audit.mitigations.base import Ask
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import MethodSettings
from imgid_audit.vision import loop
from imgid_audit.vision.accumulate import Gradients, Lot, Parts, cut
from imgid_audit.vision.loop import Loop
from imgid_audit.vision.objective import Objective, material_of
from imgid_audit.vision.records import WEIGHTS, TrainingRecord
from imgid_audit.vision.settings import InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.train import train
from imgid_audit.vision.treatment import PLAIN, LossBatch, Mix, PlainLoss, Treatment

CPU = torch.device("cpu")


def without_norm(num_classes: int) -> nn.Module:
    """A network whose rows do not see one another."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, num_classes)
    )


def run(world: Any, folder: Path, treatment: Treatment = PLAIN, **options: Any) -> TrainingRecord:
    name, dropout = options.pop("architecture", f"{__name__}:without_norm"), options.pop("dropout", 0.0)
    model = ModelSettings(architecture=name, input=InputSettings(size=16), dropout=dropout)
    stop = options.pop("stop", lambda: False)
    given = TrainSettings(**{"epochs": 2, "batch_size": 16, "lr": 0.01, "groups": ("device",), "workers": 0, **options})
    return train(world.manifest, world.task, world.root, model, given, folder, treatment=treatment, stop=stop)


def weights(folder: Path) -> Mapping[str, torch.Tensor]:
    return load_file(folder / WEIGHTS)


def close(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> None:
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=2e-3, atol=2e-4)


def method(name: str, **params: object) -> Treatment:
    ask = Ask(("blue", "green", "red"), binary=False, scope="full")
    return Remedy.of(MethodSettings(name=name, params=params), find).treatment(ask)


TREATMENTS = {
    "plain": PLAIN,
    "focal": method("focal"),
    "group_dro": method("group_dro", eta=0.5),  # its weights follow the groups' means over the whole batch
    "ldam_drw": method("ldam_drw"),  # it replaces the last layer: features and weights count
    "mixup": Treatment(mix=Mix("mixup", 1.0)),  # rows are mixed with others of the whole batch
    "cutmix": Treatment(mix=Mix("cutmix", 1.0)),
    "both": Treatment(mix=Mix("mixup", 1.0), loss=method("group_dro", eta=0.5).loss),
}


@pytest.mark.parametrize("name", TREATMENTS)
def test_parts_learn_what_the_batch_does(world: Callable, tmp_path: Path, name: str) -> None:
    """61 rows in batches of 16: the last batch has 13, which no number of parts below divides."""
    made = world(122)
    whole = run(made, tmp_path / "1", TREATMENTS[name], accumulate=1)
    for parts in (3, 5, 16):
        record = run(made, tmp_path / str(parts), TREATMENTS[name], accumulate=parts)
        assert record.images_seen == whole.images_seen
        assert [epoch.train_loss for epoch in record.epochs] == pytest.approx(
            [epoch.train_loss for epoch in whole.epochs], rel=1e-3
        )
        close(weights(tmp_path / "1"), weights(tmp_path / str(parts)))


def test_setting_parts_is_no_smaller_batch(world: Callable, tmp_path: Path) -> None:
    """The law above can fail: a batch of a part's size learns something else."""
    made = world(122)
    run(made, tmp_path / "parts", accumulate=4)
    run(made, tmp_path / "small", batch_size=4)
    with pytest.raises(AssertionError):
        close(weights(tmp_path / "parts"), weights(tmp_path / "small"))


class Small:
    """A device with room for `rows` images; says so as torch does, after the work, so that draws were made.

    With `kept` the room is for what gradients need: a pass without them fits in any case.
    """

    def __init__(self, rows: int, monkeypatch: pytest.MonkeyPatch, *, kept: bool = False) -> None:
        self.refused = 0
        forward = Loop._logits

        def limited(loop: Loop, pixels: torch.Tensor) -> torch.Tensor:
            logits = forward(loop, pixels)
            if len(pixels) > rows and loop.model.training and (torch.is_grad_enabled() or not kept):
                self.refused += 1
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return logits

        monkeypatch.setattr(Loop, "_logits", limited)


@pytest.mark.parametrize(("name", "kept"), [("plain", False), ("group_dro", False), ("group_dro", True)])
def test_a_batch_that_does_not_fit_is_taken_again_in_more_parts(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kept: bool
) -> None:
    """Bytes equal those of four parts from the start, with dropout: no draw, step or count is lost or doubled."""
    made = world(122)
    expected = run(made, tmp_path / "four", TREATMENTS[name], accumulate=4, dropout=0.3)
    device = Small(4, monkeypatch, kept=kept)
    found = run(made, tmp_path / "auto", TREATMENTS[name], dropout=0.3)
    assert device.refused == 2  # sixteen images, then eight; never again
    assert found == expected
    assert (tmp_path / "auto" / WEIGHTS).read_bytes() == (tmp_path / "four" / WEIGHTS).read_bytes()


def test_what_was_found_out_is_kept_when_a_training_goes_on(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, device = world(64), Small(8, monkeypatch)
    polls = iter(range(100))
    with pytest.raises(StoppedError):
        run(made, tmp_path / "model", stop=lambda: next(polls) >= 3)  # in the second epoch of two steps
    assert device.refused == 1
    run(made, tmp_path / "model")
    assert device.refused == 1


@pytest.mark.parametrize(("architecture", "least"), [("smallcnn", 2), (f"{__name__}:without_norm", 1)])
def test_where_no_part_fits_it_says_so(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, least: int
) -> None:
    """The smallest part has one image, or two where batch norm needs them."""
    made, device = world(64), Small(least - 1, monkeypatch)
    with pytest.raises(StoppedError, match=r"out of memory with train\.batch_size 16"):
        run(made, tmp_path / "model", architecture=architecture)
    assert device.refused == {1: 5, 2: 4}[least]  # 16, 8, 4, 2 (and 1) images


def test_a_number_of_parts_that_was_set_is_not_changed(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, device = world(64), Small(4, monkeypatch)
    with pytest.raises(StoppedError, match="out of memory"):
        run(made, tmp_path / "model", accumulate=2)
    assert device.refused == 1


def test_other_errors_pass(world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop.Loop, "_logits", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(world(64), tmp_path / "model")


@pytest.mark.parametrize("least", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 64])
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 16])
def test_parts_are_even_and_large_enough(rows: int, count: int, least: int) -> None:
    parts = cut(rows, count, least)
    assert [row for part in parts for row in range(rows)[part]] == list(range(rows))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= min(least, rows)
    assert len(parts) == max(1, min(count, rows // least))


class Own(PlainLoss):
    """Cross-entropy as a loss of a method's own: what looks at whole batches."""

    def __call__(self, batch: LossBatch) -> torch.Tensor:
        return nn.functional.cross_entropy(batch.logits, batch.labels, reduction="none")


@pytest.mark.parametrize("treatment", [PLAIN, Treatment(loss=lambda _: Own())])
@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_gradients_are_those_of_the_mean(treatment: Treatment, scale: float) -> None:
    """Against autograd on the whole batch, in float64, also as float16's scaler asks for them; 11 rows of 22."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    pixels, labels = torch.randn(11, 5).double(), torch.randint(0, 3, (11,))
    nn.functional.cross_entropy(model(pixels), labels, reduction="sum").div(22).backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    objective = Objective(treatment, material_of(labels.numpy(), None, 3, 0), model, 1)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    for count in (1, 4):
        gradients = Gradients(model, model, objective, scaler, Parts(count, model, CPU))
        passed = gradients(Lot(pixels, labels, None, 1, None, 22))
        for parameter, value in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad / scale, value)
        assert float(passed.loss) == pytest.approx(float(passed.losses.sum() / 22))
        predicted, losses, loss = passed.read()
        assert (len(predicted), len(losses), loss) == (11, 11, float(passed.loss))
