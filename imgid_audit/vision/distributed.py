"""Several processes that train one network together, started by torchrun.

Every process takes its stripe of each batch, so the union of the stripes is the very batch that one process would
take. Losses are divided by the rows of the whole batch and gradients are summed over the processes before the
optimiser steps, so all of them hold the same weights, those of one process but for rounding; stripes may be of
any size, also empty. Batch norm takes its statistics from all processes on CUDA (SyncBatchNorm); on the CPU each
process has those of its own stripes, and the running ones are averaged after every epoch. So there, and there alone,
a stripe of which one image can be decoded is not learnt from in that step, where one process would have used it.
Whatever ends or stops a training is agreed on, so no process waits for one that has left; one that dies takes the
others with it.

Gradients are summed by hand and not by DistributedDataParallel: its wrapper renames weights, expects every
process to bring rows, and must be made anew whenever layers are frozen. Imports torch when it is needed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem, StoppedError

if TYPE_CHECKING:
    import torch
    from torch import nn

T = TypeVar("T")
Rows = NDArray[np.intp]

TIMEOUT = timedelta(minutes=30)
"""How long a process waits for the others before it gives up: reading a slow disk must fit into it."""

_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True)
class World:
    """The processes that train together: this is number `rank` of `size`. Alone, nothing is sent."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        return self.size == 1

    def stripe(self, rows: Rows) -> Rows:
        """This process's share of a batch: consecutive rows, two or more of them, or none."""
        if self.alone:
            return rows
        shares = min(self.size, max(1, len(rows) // 2))  # batch norm has no statistics of a single image
        return np.array_split(rows, shares)[self.rank] if self.rank < shares else rows[:0]

    def stripes(self, plan: Iterable[Rows]) -> list[Rows]:
        """This process's shares of all batches of a plan, in order."""
        return [self.stripe(rows) for rows in plan]

    def sums(self, *values: float) -> tuple[float, ...]:
        """Each value added up over the processes, the same to the bit in all of them."""
        if self.alone:
            return values
        import torch

        sent = torch.tensor(values, dtype=torch.float64)
        gathered = [torch.empty_like(sent) for _ in range(self.size)]
        self._sent(lambda dist: dist.all_gather(gathered, sent))
        return tuple(torch.stack(gathered).sum(dim=0).tolist())

    def gathered(self, value: T) -> list[T]:
        """The value of every process, in the order of their ranks."""
        if self.alone:
            return [value]
        found: list[Any] = [None] * self.size
        self._sent(lambda dist: dist.all_gather_object(found, value))
        return found

    def of_first(self, work: Callable[[], T]) -> T:
        """What `work` gives in the first process, which alone does it; what it raises there stops all.

        `InputError` and `StoppedError` are raised in every process alike.
        """
        if self.alone:
            return work()
        told: list[Any] = [None]
        failed: Exception | None = None
        if self.first:
            try:
                told = [(work(), None)]
            except Exception as error:
                failed = error
                told = [(None, f"{type(error).__name__}: {error}")]
        self._sent(lambda dist: dist.broadcast_object_list(told, src=0))
        if failed is not None:
            raise failed
        value, problem = told[0]
        if problem is not None:
            raise StoppedError(f"process 0 stopped: {problem}")
        found: T = value
        return found

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum the gradients over the processes; a process without rows brings zeros.

        A parameter that has a gradient in no process (a frozen one, say) keeps none.
        """
        if self.alone:
            return
        import torch

        learnt = [parameter for parameter in parameters if parameter.requires_grad]
        having = torch.tensor([parameter.grad is not None for parameter in learnt], dtype=torch.uint8)
        self._sent(lambda dist: dist.all_reduce(having, op=dist.ReduceOp.MAX))
        used = [parameter for parameter, has in zip(learnt, having.tolist(), strict=True) if has]
        if not used:
            return
        for parameter in used:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in used if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        self._sent(lambda dist: dist.all_reduce(flat))
        for gradient, total in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(total.view_as(gradient))

    def average_buffers(self, module: nn.Module) -> None:
        """Running statistics become their means over the processes; counts are equal already."""
        if self.alone:
            return
        import torch

        buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
        if not buffers:
            return
        flat = torch.cat([buffer.reshape(-1) for buffer in buffers])
        self._sent(lambda dist: dist.all_reduce(flat))
        flat /= self.size
        for buffer, mean in zip(buffers, flat.split([buffer.numel() for buffer in buffers]), strict=True):
            buffer.copy_(mean.view_as(buffer))

    def prepared(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The network for training together: batch norm over all processes where the device can."""
        if self.alone or device.type != "cuda":
            return model
        import torch

        return torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-any-return]

    def device(self, wanted: str) -> str:
        """The device of this process: each has a GPU of its own.

        Raises `InputError` where all would share one GPU, or there are fewer GPUs than processes here.
        """
        if self.alone or wanted in ("cpu", "mps"):
            return wanted
        import torch

        if ":" in wanted:
            message = f"{wanted} is one GPU for {self.size} processes: use auto or cuda, each then takes its own"
            raise InputError(Problem("[train > device]", message))
        if not torch.cuda.is_available():
            return wanted if wanted == "cuda" else "cpu"  # `cuda` is refused where devices are resolved
        local, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local >= count:
            message = f"torchrun started more processes than the {count} GPUs here: --nproc-per-node {count}"
            raise InputError(Problem("[train > device]", message))
        return f"cuda:{local}"

    def _sent(self, send: Callable[[Any], object]) -> None:
        import torch.distributed as dist

        try:
            send(dist)
        except RuntimeError as error:  # gloo's and NCCL's own are RuntimeErrors
            message = (
                "another process of this training ended or does not answer: its own message says why; "
                "the same command continues after the last whole epoch"
            )
            raise StoppedError(message) from error


ALONE = World()


_left = False  # whether this process has trained with others and left them


def announced() -> World:
    """The world that torchrun's environment tells of, joined or not; `InputError` where it is not whole."""
    text = os.environ.get("WORLD_SIZE", "1")
    if text == "1":
        return ALONE
    missing = [name for name in _VARIABLES if name not in os.environ]
    if missing:
        message = f"is {text}, but {', '.join(missing)} is not set: start several processes with torchrun"
        raise InputError(Problem("WORLD_SIZE", message))
    try:
        return World(int(os.environ["RANK"]), int(text))
    except ValueError:
        raise InputError(Problem("WORLD_SIZE", f"and RANK must be whole numbers, got {text!r}")) from None


def current() -> World:
    """The world that this process has joined; alone where it has not."""
    import torch.distributed as dist

    if not dist.is_available() or not dist.is_initialized():
        return ALONE
    return World(dist.get_rank(), dist.get_world_size())


@contextmanager
def joined(device: str = "auto") -> Iterator[World]:
    """Train together with the processes that torchrun started, for as long as the block lasts; else alone.

    `device` as in `train.device`: gradients travel by NCCL between GPUs, else by gloo. Within such a block it is the
    same world; after it the process is alone, for the others have ended.
    """
    global _left
    world = announced()
    if world.alone or _left:
        yield ALONE
        return
    import torch
    import torch.distributed as dist

    if dist.is_initialized():
        yield current()
        return
    _await_first(world)
    own = world.device(device)
    if own.startswith("cuda:"):
        torch.cuda.set_device(own)
    dist.init_process_group("cpu:gloo,cuda:nccl" if own.startswith("cuda") else "gloo", timeout=TIMEOUT)
    try:
        yield world
    except BaseException:
        if not own.startswith("cuda"):  # NCCL would wait for what will never come: the process's end closes it
            dist.destroy_process_group()
        raise
    dist.barrier()
    dist.destroy_process_group()
    _left = True


def _await_first(world: World) -> None:
    """Wait, for as long as it takes, until the first process trains too: it may search settings before.

    torchrun's own store tells; it ends a process that waits for one that failed. Without it, joining waits `TIMEOUT`.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return
    from torch.distributed import TCPStore

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, is_master=False, wait_for_workers=False, timeout=TIMEOUT)
    key = f"imgid-audit trains, start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"  # the store outlives it
    if world.first:
        store.set(key, "yes")
    while not store.check([key]):
        time.sleep(0.1)


def same_everywhere(world: World, values: Sequence[object], what: str) -> None:
    """Raise `StoppedError` in all processes where they do not see the same `values`."""
    found = world.gathered(list(values))
    if any(one != found[0] for one in found):
        raise StoppedError(
            f"processes see different {what}: several machines need the same files, and one run folder that all reach"
        )
