"""Fine-tuning from a starting point: the last layer alone first, then everything, lower blocks more slowly."""

from __future__ import annotations

from typing import Any

from torch import nn

from imgid_audit.vision.models import heads_of
from imgid_audit.vision.settings import FineTuneSettings, TrainSettings

SHARE = "share"
"""Key of an optimiser's parameter group: its learning rate as a share of `lr`."""

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)

Block = list[nn.Parameter]


def blocks_of(model: nn.Module, classes: int) -> list[Block]:
    """The network below its last layers (`heads_of`) as blocks of parameters, the lowest first.

    A block is a child of the network, in the order in which children were defined. Opened into blocks of their
    own are plain containers (`nn.Sequential` itself, `ModuleList`, `ModuleDict`: a ResNet's ``layer1``, ``features``,
    a transformer's ``blocks``), what holds the last layer, and a wrapper: the only one of its type among its
    neighbours, with more than half of the weights (a backbone, torchvision's ``encoder``). Parts that have vectors
    alone (a norm) belong to the block before them; parameters of no child (class token, positions) to the lowest.
    Raises `InputError` as `heads_of`.
    """
    heads = list(heads_of(model, classes).values())
    head = heads[0]
    taken = {id(parameter) for part in heads for parameter in part.parameters()}
    whole = _weights(model) - sum(map(_weights, heads))
    blocks: list[Block] = []
    loose: Block = []

    def fresh(parameters: Any) -> Block:
        found = [parameter for parameter in parameters if id(parameter) not in taken]
        taken.update(map(id, found))
        return found

    def opened(module: nn.Module, parent: nn.Module) -> bool:
        if type(module) in _CONTAINERS or any(part is head for part in module.modules()):
            return True
        alike = sum(type(neighbour) is type(module) for neighbour in parent.children())
        return alike == 1 and _weights(module) > whole / 2 and any(True for _ in module.children())

    def walk(module: nn.Module) -> None:
        loose.extend(fresh(module.parameters(recurse=False)))
        for child in module.children():
            if any(child is part for part in heads):
                continue
            if opened(child, module):
                walk(child)
                continue
            found = fresh(child.parameters())
            if blocks and all(parameter.ndim <= 1 for parameter in found):
                blocks[-1].extend(found)
            elif found:
                blocks.append(found)

    walk(model)
    if loose:
        blocks[:1] = [loose + (blocks[0] if blocks else [])]
    return blocks


def parameter_groups(model: nn.Module, classes: int, settings: TrainSettings) -> list[dict[str, Any]]:
    """What an optimiser is given: without `fine_tune` one group, else the last layer, then blocks from the top down.

    Each has its `SHARE` of the learning rate: 1 for the last layer, and ``backbone_lr * layer_decay**k`` for block k
    from the top, from 0. Discriminative rates: Howard and Ruder 2018 (ULMFiT), who divide by 2.6 from
    layer to layer; decay layer by layer in vision: Bao et al. 2022 (BEiT), after Clark et al. 2020 (ELECTRA).
    """
    chosen = settings.fine_tune
    if chosen is None:
        groups = [(list(model.parameters()), 1.0)]
    else:
        heads = heads_of(model, classes).values()
        groups = [([parameter for part in heads for parameter in part.parameters()], 1.0)]
        for depth, block in enumerate(reversed(blocks_of(model, classes))):
            groups.append((block, chosen.backbone_lr * chosen.layer_decay**depth))
    trainable = [([one for one in parameters if one.requires_grad], share) for parameters, share in groups]
    return [{"params": parameters, SHARE: share} for parameters, share in trainable if parameters]


class Phases:
    """Which parts of a network learn in which epoch.

    In the first `frozen_epochs` the last layer alone does: the rest neither gets gradients (so nothing of its
    forward pass is kept for one) nor leaves eval mode: its dropout and batch-norm statistics stay as they are.
    """

    def __init__(self, model: nn.Module, classes: int, settings: FineTuneSettings | None) -> None:
        self._model = model
        self._epochs = 0 if settings is None else settings.frozen_epochs
        self._heads = list(heads_of(model, classes).values()) if self._epochs else []
        own = {id(parameter) for part in self._heads for parameter in part.parameters()}
        self._below = [one for one in model.parameters() if one.requires_grad and id(one) not in own]

    def frozen(self, epoch: int) -> bool:
        """Whether the last layer learns alone in `epoch` (from 1)."""
        return epoch <= self._epochs

    def enter(self, epoch: int) -> None:
        """Bring the network into the state in which it is trained in `epoch`."""
        frozen = self.frozen(epoch)
        for parameter in self._below:
            parameter.requires_grad_(not frozen)
        self._model.train(not frozen)
        for part in self._heads if frozen else ():
            part.train()


def _weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
