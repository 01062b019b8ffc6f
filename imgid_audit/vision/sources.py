"""Prepared images of manifest rows in batches, decoded by threads ahead of the network.

Threads and not processes: decoding and resizing let go of Python's lock, nothing is pickled, a
killed run leaves no orphans, and no shared memory is needed in a container.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray

from imgid_audit.core.factor import Texts
from imgid_audit.io.paths import OutsideError, resolve_inside
from imgid_audit.vision.images import UndecodableError, decode

CACHE_BYTES = 1 << 30
"""Decoded pixels that a training keeps in memory, so that epochs after the first decode nothing."""

_AHEAD = 2  # batches prepared while the network works on one

Rows = NDArray[np.intp]
Prepare = Callable[[torch.Tensor], torch.Tensor]
Finish = Callable[[torch.Tensor, int], torch.Tensor]
Prepared = torch.Tensor | str
"""Pixels, or the reason why there are none."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """`pixels` uint8 (m, channels, size, size) of `rows` (m,); `failed` rows with their reasons are not among them."""

    rows: Rows
    pixels: torch.Tensor | None
    failed: tuple[tuple[int, str], ...]


class ImageSource:
    """Reads images below `root` and brings them to one size with `prepare`; a context manager.

    `threads` decode beside the caller (0: the caller itself); up to `cache_bytes` of prepared
    pixels are kept. What it yields depends on neither.
    """

    def __init__(self, images: Texts, root: Path, prepare: Prepare, *, threads: int, cache_bytes: int = 0) -> None:
        self._images = images
        self._root = root.resolve()
        self._prepare = prepare
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, initializer=_one_core_each) if threads else None
        self._room = cache_bytes
        self._cache: dict[int, Prepared] = {}

    def __enter__(self) -> ImageSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def batches(self, plan: Iterable[Rows], finish: Finish | None = None) -> Iterator[Batch]:
        """One `Batch` for each array of rows in `plan`, in order.

        `finish(pixels, row)` is applied after the cache: the random part of a training transform.
        """
        waiting: deque[tuple[Rows, list[Future[list[Prepared]]]]] = deque()
        for rows in plan:
            if self._pool is None or (finish is None and all(int(row) in self._cache for row in rows)):
                while waiting:
                    yield self._gather(*waiting.popleft())
                yield self._assemble(rows, self._read(rows, finish))
                continue
            pool = self._pool
            parts = [part for part in np.array_split(rows, self._threads) if len(part)]
            waiting.append((rows, [pool.submit(self._read, part, finish) for part in parts]))
            if len(waiting) > _AHEAD:
                yield self._gather(*waiting.popleft())
        while waiting:
            yield self._gather(*waiting.popleft())

    def _gather(self, rows: Rows, futures: list[Future[list[Prepared]]]) -> Batch:
        return self._assemble(rows, [item for future in futures for item in future.result()])

    def _assemble(self, rows: Rows, items: list[Prepared]) -> Batch:
        good = np.array([isinstance(item, torch.Tensor) for item in items], dtype=bool)
        tensors = [item for item in items if isinstance(item, torch.Tensor)]
        failed = tuple((int(row), item) for row, item in zip(rows, items, strict=True) if isinstance(item, str))
        return Batch(rows[good], torch.stack(tensors) if tensors else None, failed)

    def _read(self, rows: Rows, finish: Finish | None) -> list[Prepared]:
        items = [self._prepared(int(row)) for row in rows]
        if finish is None:
            return items
        return [
            finish(item, int(row)) if isinstance(item, torch.Tensor) else item
            for row, item in zip(rows, items, strict=True)
        ]

    def _prepared(self, row: int) -> Prepared:
        known = self._cache.get(row)
        if known is not None:
            return known
        item = self._decoded(row)
        size = item.numel() if isinstance(item, torch.Tensor) else len(item)
        if size <= self._room:
            self._room -= size  # not exact between threads, and need not be
            self._cache[row] = item
        return item

    def _decoded(self, row: int) -> Prepared:
        text = self._images[row]
        try:
            return self._prepare(decode(resolve_inside(self._root, text or ""))).contiguous()
        except (UndecodableError, OutsideError) as error:
            return str(error)


def blocks(rows: Rows, size: int) -> list[Rows]:
    """`rows` in consecutive blocks of at most `size`."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _one_core_each() -> None:
    torch.set_num_threads(1)  # of this thread alone: the pool as a whole is what runs in parallel
