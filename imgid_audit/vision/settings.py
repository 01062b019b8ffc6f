"""The `model:`, `train:` and `predict:` blocks of a config. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from imgid_audit.io.settings import Settings

Probability = Annotated[float, Field(ge=0, le=1)]
Normalisation = Literal["imagenet"] | tuple[float, ...] | None


def _one_or_more(value: Any) -> Any:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


class InputSettings(Settings):
    """What the model is fed. Unset parts come from the pretrained weights' own transform."""

    size: int | None = Field(None, ge=8, le=4096, description="side of the square input in pixels")
    channels: Literal[1, 3] = 3
    mean: Normalisation = Field(None, description="'imagenet', or one number a channel")
    std: Normalisation = None


class ModelSettings(Settings):
    """Which network, and with which weights."""

    architecture: str = Field(
        "smallcnn", description="smallcnn, a torchvision name, timm/NAME or package.module:factory"
    )
    weights: str | None = Field(None, description="a file: audited as it is, nothing trains; null: train")
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="of `weights`; required with --trust-model-code"
    )
    dropout: Probability = 0.0
    input: InputSettings = Field(default_factory=InputSettings)


class AugmentSettings(Settings):
    """Random changes of training images, all off by default."""

    hflip: Probability = 0.0
    vflip: Probability = 0.0
    rotation: float = Field(0.0, ge=0, le=180, description="degrees to either side")
    crop: float = Field(1.0, gt=0, le=1, description="smallest area fraction of a random resized crop; 1: off")
    colour: float = Field(0.0, ge=0, le=1, description="strength of brightness and contrast jitter")
    randaugment: int = Field(0, ge=0, le=10, description="operations an image; 0: off")


class PluginEntry(Settings):
    """A registered plugin by name, with its own parameters."""

    name: str
    params: dict[str, Any] = Field(default_factory=dict)


class FineTuneSettings(Settings):
    """From a starting point: first the last layer alone, then everything, lower layers more slowly."""

    frozen_epochs: int = Field(1, ge=0, description="first epochs, in which the last layer alone learns")
    backbone_lr: float = Field(0.1, gt=0, le=1, description="learning rate of all but the last layer, a share of `lr`")
    layer_decay: float = Field(1.0, gt=0, le=1, description="share that is left of it from each block to the one below")


class AverageSettings(Settings):
    """Weights averaged over the training are judged and kept, not the last ones."""

    method: Literal["ema", "swa"] = Field("ema", description="exponential moving average, or stochastic weight average")
    decay: float = Field(0.999, gt=0, lt=1, description="ema: share of the average that a step keeps")
    start: float = Field(0.75, ge=0, lt=1, description="swa: share of the epochs after which averaging begins")


class TrainSettings(Settings):
    """How the classifier is trained, where `model.weights` is null."""

    init: str | None = Field(
        None, description="DEFAULT (torchvision's or timm's weights) or a file: the starting point"
    )
    epochs: int = Field(10, ge=1)
    batch_size: int = Field(64, ge=1)
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: float = Field(0.001, gt=0)
    weight_decay: float = Field(0.0001, ge=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    augment: AugmentSettings = Field(default_factory=AugmentSettings)
    resample: PluginEntry | None = Field(None, description="a registered resampling of the training rows")
    select: Literal["average", "worst_class", "worst_group"] = Field(
        "average", description="validation accuracy that picks the checkpoint: plain, of the worst class or group"
    )
    groups: Annotated[tuple[str, ...], BeforeValidator(_one_or_more)] = Field(
        (), description="an attribute, or a list: their intersection, that defines a group"
    )
    patience: int | None = Field(
        None,
        ge=1,
        description="epochs without improvement before stopping, of those in which everything learns and averages "
        "are taken; null: all epochs",
    )
    fine_tune: FineTuneSettings | None = Field(None, description="with `init`; absent: all layers alike from the start")
    average: AverageSettings | None = Field(None, description="absent: the weights as they are")
    accumulate: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto", description="parts that a batch is computed in; auto: one, and more where memory runs out"
    )
    compile: Literal["auto", "always", "never"] = Field(
        "auto", description="torch.compile; auto: for long trainings on a GPU"
    )
    seed: int = 0
    workers: int | Literal["auto"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")


class PredictSettings(Settings):
    """How images become scores."""

    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    batch_size: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    shard_rows: int = Field(4096, ge=1)
    max_failed: Probability = Field(
        0.01, description="fraction of images that may fail before the run stops with exit 3"
    )
