"""How the benchmarks time."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter


def best(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of several runs."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)
