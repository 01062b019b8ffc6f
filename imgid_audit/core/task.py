"""The classification task: which labels, in which order, and which one is the positive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TaskKind = Literal["binary", "multiclass"]


@dataclass(frozen=True, slots=True)
class Task:
    """`labels` are in the order of the model's outputs; `positive` is set for binary tasks alone."""

    kind: TaskKind
    labels: tuple[str, ...]
    positive: str | None = None

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError(f"labels repeat: {self.labels}")
        if self.kind == "binary" and (len(self.labels) != 2 or self.positive not in self.labels):
            raise ValueError("a binary task has two labels, one of them positive")
        if self.kind == "multiclass" and (len(self.labels) < 2 or self.positive is not None):
            raise ValueError("a multiclass task has two labels or more and no positive one")

    @property
    def positive_index(self) -> int | None:
        """Index of the positive label among `labels`; None for multiclass tasks."""
        return None if self.positive is None else self.labels.index(self.positive)

    @property
    def scored_classes(self) -> tuple[int, ...]:
        """Classes that have one-vs-rest estimates: the positive one, or every one."""
        positive = self.positive_index
        return tuple(range(len(self.labels))) if positive is None else (positive,)
