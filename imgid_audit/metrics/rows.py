"""What score metrics need of every row, computed once for all breakdowns."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.predictions import Decisions, Scores
from imgid_audit.stats.auroc import Order
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.recalibration import logit, recalibrated

BINS = 15
"""Equal-width bins of the calibration error."""


def bin_edges() -> Floats:
    """Edges of the bins, (BINS + 1,), each k / BINS correctly rounded."""
    return np.arange(BINS + 1) / BINS


class Rows:
    """Caches over `decisions`; all but `profile` need scores."""

    def __init__(self, decisions: Decisions) -> None:
        self.decisions = decisions
        self._orders: dict[int, Order] = {}

    @property
    def scores(self) -> Scores:
        scores = self.decisions.scores
        if scores is None:
            raise ValueError("a score metric was measured without scores")
        return scores

    def order(self, class_index: int) -> Order:
        """Rows by the score of one class."""
        if class_index not in self._orders:
            self._orders[class_index] = Order.of(np.ascontiguousarray(self.scores[:, class_index]))
        return self._orders[class_index]

    @cached_property
    def profile(self) -> NDArray[np.int64]:
        """label * classes + predicted, (n,): rows that count alike."""
        decisions = self.decisions
        return decisions.label.astype(np.int64) * len(decisions.task.labels) + decisions.predicted

    @cached_property
    def brier_squares(self) -> Floats:
        return np.square(self.brier)

    @cached_property
    def log_loss_squares(self) -> Floats:
        return np.square(self.log_loss)

    @cached_property
    def brier(self) -> Floats:
        """Squared error of the scores, (n,): of the positive class, or summed over the classes."""
        scores, label = self.scores, self.decisions.label
        positive = self.decisions.task.positive_index
        if positive is not None:
            return np.asarray((scores[:, positive] - (label == positive)) ** 2)
        true = scores[np.arange(len(label)), label]
        return np.asarray(np.einsum("ij,ij->i", scores, scores) - true**2 + (1 - true) ** 2)

    @cached_property
    def log_loss(self) -> Floats:
        """Minus the log of the true class's score, (n,), clipped by float64's epsilon."""
        eps = np.finfo(np.float64).eps
        label = self.decisions.label
        true = self.scores[np.arange(len(label)), label]
        return np.asarray(-np.log(np.clip(true, eps, 1 - eps)))

    @cached_property
    def confidence(self) -> Floats:
        """The score that calibration judges, (n,): of the positive class, or of the top label."""
        positive = self.decisions.task.positive_index
        return np.asarray(self.scores.max(axis=1) if positive is None else self.scores[:, positive])

    @cached_property
    def outcome(self) -> NDArray[np.bool_]:
        """What that score predicts, (n,): the row is positive, or the top label is right."""
        positive = self.decisions.task.positive_index
        if positive is not None:
            return np.asarray(self.decisions.label == positive)
        return np.asarray(self.scores.argmax(axis=1) == self.decisions.label)

    @cached_property
    def excess(self) -> Floats:
        """`confidence` less `outcome`, (n,): what calibration errors add up."""
        return np.asarray(self.confidence - self.outcome)

    @cached_property
    def line(self) -> Floats:
        """Logit of `confidence`, (n,), clipped: what slopes and intercepts are fitted on."""
        return logit(self.confidence)

    @cached_property
    def recalibrated(self) -> Floats:
        """The frequency, (n,), that one recalibration of all rows gives each."""
        return recalibrated(self.confidence, self.line, self.outcome)

    @cached_property
    def bins(self) -> NDArray[np.intp]:
        """Bin of `confidence`, (n,), left-closed; BINS for a score of exactly 1, as in torchmetrics."""
        edges = bin_edges()
        guess = np.minimum((self.confidence * BINS).astype(np.intp), BINS)
        # multiplying can be off by one at an edge; the edges themselves decide
        guess -= self.confidence < edges[guess]
        padded = np.append(edges, np.inf)
        guess += self.confidence >= padded[guess + 1]
        return guess
