"""Weights files: what is loaded, what is refused, and that refused files never run."""

from __future__ import annotations

import hashlib
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from imgid_audit.core.errors import InputError
from imgid_audit.vision.metadata import read_metadata
from imgid_audit.vision.models import build_model
from imgid_audit.vision.settings import InputSettings, ModelSettings
from imgid_audit.vision.state import fit_state
from imgid_audit.vision.transforms import InputTransform
from imgid_audit.vision.weights import LoadedModel, kind_of, load_model, load_state, save_weights

SMALL = ModelSettings(input=InputSettings(size=16))
IMAGES = torch.rand(2, 3, 16, 16)


def network(classes: int = 3) -> nn.Module:
    return build_model(SMALL, classes).eval()


def loaded(path: Path, classes: int = 3, **settings: object) -> LoadedModel:
    trust = bool(settings.pop("trust", False))
    return load_model(SMALL.model_copy(update=settings), path, classes, trust_model_code=trust)


class Malicious:
    """A pickle that creates the file `canary` when it is loaded."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.canary),)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "this-was-run"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_saved_weights_come_back_with_their_order_and_input(tmp_path: Path) -> None:
    model, path = network(), tmp_path / "deep" / "weights.safetensors"
    transform = InputTransform(16, None, 3, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    digest = save_weights(model, path, ("ä", "b", '"c"'), transform, "smallcnn")
    again = loaded(path)
    assert again.sha256 == digest == sha256(path)
    assert again.labels == ("ä", "b", '"c"')
    assert again.transform.mean == (0.1, 0.2, 0.3)
    assert torch.equal(again.module(IMAGES), model(IMAGES))
    assert not again.module.training
    assert read_metadata(path).architecture == "smallcnn"
    assert load_file(path).keys() == model.state_dict().keys()  # the library reads it too


def test_equal_weights_equal_bytes(tmp_path: Path) -> None:
    model = network()
    paths = [tmp_path / f"{number}.safetensors" for number in range(4)]
    digests = {save_weights(model, path, ("a", "b", "c"), InputTransform(16), "smallcnn") for path in paths}
    assert len(digests) == 1
    channels_last = network().to(memory_format=torch.channels_last)
    channels_last.load_state_dict(model.state_dict())
    assert {save_weights(channels_last, paths[0], ("a", "b", "c"), InputTransform(16), "smallcnn")} == digests


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model_state_dict": state, "loss": 0.1},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"state_dict": {f"model.{key}": value for key, value in state.items()}},
        lambda state: {key: value for key, value in state.items() if "num_batches_tracked" not in key},
    ],
)
def test_state_dicts_as_people_save_them(tmp_path: Path, name: str, wrap: object) -> None:
    model, path = network(), tmp_path / name
    torch.save(wrap(model.state_dict()), path)  # type: ignore[operator]
    assert torch.equal(loaded(path).module(IMAGES), model(IMAGES))
    assert loaded(path).labels is None


def test_pickle_before_torch_1_6(tmp_path: Path) -> None:
    model, path = network(), tmp_path / "old.pth"
    torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)
    assert torch.equal(loaded(path).module(IMAGES), model(IMAGES))


@pytest.mark.parametrize("form", ["zip", "old", "plain"])
def test_malicious_pickle_is_refused_and_not_run(tmp_path: Path, canary: Path, form: str) -> None:
    path = tmp_path / "evil.pt"
    evil = {"state_dict": Malicious(canary)}
    if form == "plain":
        path.write_bytes(pickle.dumps(evil))
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(InputError, match=r"evil\.pt is a pickle that asks .*loading it would run code.*safetensors"):
        loaded(path)
    assert not canary.exists()
    with pytest.raises(InputError, match="would run code"):
        load_state(path)
    assert not canary.exists()


def test_the_traps_of_these_tests_do_work(tmp_path: Path, canary: Path) -> None:
    torch.save({"state_dict": Malicious(canary)}, tmp_path / "evil.pt")
    torch.load(tmp_path / "evil.pt", weights_only=False)
    assert canary.exists()


def test_the_refusal_names_what_was_asked_for(tmp_path: Path, canary: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save(Malicious(canary), path)
    with pytest.raises(InputError, match=r"asks for posix\.mkdir|asks for nt\.mkdir"):
        loaded(path)


def test_trust_needs_the_flag_and_the_hash(tmp_path: Path, canary: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save(Malicious(canary), path)
    for settings in ({"trust": True}, {"sha256": sha256(path)}):
        with pytest.raises(InputError, match="would run code"):
            loaded(path, **settings)
    with pytest.raises(InputError, match=f"has sha256 {sha256(path)}, but model.sha256 is {'0' * 64}"):
        loaded(path, trust=True, sha256="0" * 64)
    assert not canary.exists()


def test_trusted_whole_model(tmp_path: Path) -> None:
    model, path = network(), tmp_path / "whole.pt"
    torch.save(model, path)
    with pytest.raises(InputError, match="is a pickle that asks for imgid_audit"):
        loaded(path)
    trusted = loaded(path, trust=True, sha256=sha256(path))
    assert torch.equal(trusted.module(IMAGES), model(IMAGES))


def test_torchscript_is_refused_unless_trusted(tmp_path: Path) -> None:
    model, path = network(), tmp_path / "scripted.pt"
    torch.jit.trace(model, IMAGES).save(path)
    assert kind_of(path) == "torchscript"
    with pytest.raises(InputError, match="is a TorchScript archive: loading it can run code, so it is refused"):
        loaded(path)
    trusted = loaded(path, trust=True, sha256=sha256(path))
    assert torch.allclose(trusted.module(IMAGES), model(IMAGES), atol=1e-6)


def test_export_is_refused_unless_trusted(tmp_path: Path) -> None:
    model, path = network(), tmp_path / "exported.pt2"
    torch.export.save(torch.export.export(model, (IMAGES,)), path)
    assert kind_of(path) == "export"
    with pytest.raises(InputError, match=r"is a torch\.export archive .* refused"):
        loaded(path)
    trusted = loaded(path, trust=True, sha256=sha256(path)).module.eval()
    assert torch.allclose(trusted(IMAGES), model(IMAGES), atol=1e-6)


def test_crafted_export_is_not_run_whatever_its_name(tmp_path: Path, canary: Path) -> None:
    good = tmp_path / "good.pt2"
    torch.export.save(torch.export.export(network(), (IMAGES,)), good)
    for name in ("crafted.pt2", "crafted.pt", "crafted.safetensors"):
        crafted = tmp_path / name
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(crafted, "w") as target:
            for item in source.namelist():
                harmless = item.endswith((".json", "archive_format", "version", "byteorder"))
                data = source.read(item) if harmless else pickle.dumps(Malicious(canary))
                target.writestr(item, data)
        with pytest.raises(InputError, match="refused"):
            loaded(crafted)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither safetensors nor"),
        (b"hello", "neither safetensors nor"),
        (b"\x80\x02}", "cannot be read as PyTorch weights|is a pickle"),
        (b"PK\x03\x04rubbish", "neither safetensors nor"),
        ((20).to_bytes(8, "little") + b'{"a": 1}            ', "damaged safetensors"),
    ],
)
def test_files_that_are_no_weights(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        loaded(path)


def test_zip_without_weights_and_no_file(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match="zip file that holds no weights"):
        loaded(tmp_path / "a.pt")
    with pytest.raises(InputError, match="no such file"):
        loaded(tmp_path / "none.pt")


@pytest.mark.parametrize("cut", [1000, 20_000])
@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_truncated_files(tmp_path: Path, name: str, cut: int) -> None:
    path = tmp_path / name
    (save_file if name.endswith("safetensors") else torch.save)(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match=r"damaged|cannot be read"):
        loaded(path)


def test_things_that_are_not_a_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    for value, found in (([1, 2], "list"), ({"epoch": 3, "lr": 0.1}, r"'epoch', 'lr'"), (torch.ones(3), "Tensor")):
        torch.save(value, path)
        with pytest.raises(InputError, match=f"holds .*{found}.*not a state dict"):
            loaded(path)


def test_class_count_mismatch_names_the_layer(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(network(7).state_dict(), path)
    with pytest.raises(InputError) as caught:
        loaded(path, 3)
    head = next(str(problem) for problem in caught.value.problems if ".weight" in str(problem))
    assert "expected shape (3, 128), found (7, 128) (the task has 3 classes, the file 7)" in head
    assert len(caught.value.problems) == 2  # the weight and the bias


def test_all_that_does_not_fit_is_told_at_once(tmp_path: Path) -> None:
    state = network().state_dict()
    state["0.weight"] = torch.zeros(8, 3, 5, 5)
    state["extra.weight"] = state.pop("1.weight")
    state["4.weight"][0, 0, 0, 0] = float("nan")
    path = tmp_path / "w.safetensors"
    save_file(state, path)
    with pytest.raises(InputError) as caught:
        loaded(path)
    text = str(caught.value)
    assert "layer 0.weight: expected shape (32, 3, 3, 3), found (8, 3, 5, 5)" in text
    assert "lacks 1 layers of the architecture: 1.weight" in text
    assert "has 1 layers that the architecture lacks: extra.weight" in text
    assert "has NaN or infinite weights in 1 layers: 4.weight" in text


def test_weights_of_another_architecture_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(build_model(ModelSettings(architecture="resnet18"), 3).state_dict(), path)
    with pytest.raises(InputError, match=r"has 122 layers that the architecture lacks: .* and 117 more"):
        loaded(path)


def test_new_head_keeps_the_body_alone(tmp_path: Path) -> None:
    pretrained, fresh = network(10), network(3)
    before = fresh.state_dict()["13.weight"].clone()
    fit_state(fresh, pretrained.state_dict(), "init", 3, new_head=True)
    assert torch.equal(fresh.state_dict()["0.weight"], pretrained.state_dict()["0.weight"])
    assert torch.equal(fresh.state_dict()["13.weight"], before)
    damaged = {**pretrained.state_dict(), "0.weight": torch.zeros(1)}
    with pytest.raises(InputError, match=r"layer 0\.weight"):
        fit_state(network(3), damaged, "init", 3, new_head=True)


def test_metadata_of_others(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(network().state_dict(), path, metadata={"labels": '["x", "y", "z"]'})
    assert loaded(path).labels == ("x", "y", "z")
    for wrong in ("x,y,z", "[1, 2, 3]", '{"a": 1}'):
        save_file(network().state_dict(), path, metadata={"labels": wrong})
        assert loaded(path).labels is None
    save_file(network().state_dict(), path, metadata={"input": '{"size": "large"}'})
    with pytest.raises(InputError, match="describes an input that this version cannot read"):
        loaded(path)
