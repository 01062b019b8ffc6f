"""Cost matrix: training and decisions that make the expected cost small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imgid_audit.core.cost_table import cost_complaints
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.factor import Codes
from imgid_audit.core.predictions import Costs
from imgid_audit.evaluation.decisions import least_cost
from imgid_audit.io.settings import Level, Settings
from imgid_audit.mitigations.base import Ask, Mitigation
from imgid_audit.mitigations.weighting import Constant
from imgid_audit.vision.treatment import LossBatch, PlainLoss, Scored, Treatment

if TYPE_CHECKING:
    import torch

Cost = Annotated[float, Field(ge=0)]


class CostMatrixParams(Settings):
    """What each error costs, and how much of the training loss is that cost."""

    costs: dict[Level, dict[Level, Cost]] | None = Field(
        None, description="costs[true label][predicted label]; default: the config's `costs`"
    )
    share: float = Field(
        0.5, ge=0, lt=1, description="of the expected cost in the training loss; the rest is cross-entropy"
    )


class ExpectedCostLoss(PlainLoss):
    """(1 - share) cross-entropy + share sum_j cost[y, j] p_j, the largest cost being 1.

    With some cross-entropy the gradient does not vanish where a row is confidently wrong.
    """

    def __init__(self, table: NDArray[np.float64], share: float) -> None:
        self._table = Constant(table / table.max())
        self._share = share

    def __call__(self, batch: LossBatch, /) -> torch.Tensor:
        from imgid_audit.vision.row_losses import cross_entropy

        plain = cross_entropy(batch.logits, batch.labels)
        cost = (self._table.like(plain)[batch.labels] * batch.logits.softmax(dim=1)).sum(dim=1)
        return (1 - self._share) * plain + self._share * cost


def table_of(params: CostMatrixParams, ask: Ask) -> tuple[tuple[float, ...], ...]:
    """Costs by true and predicted class in the order of `ask.labels`. Raises `InputError` with all that is wrong."""
    costs: Mapping[str, Mapping[str, float]] | None = params.costs if params.costs is not None else ask.costs
    if costs is None:
        raise InputError("cost_matrix needs `costs`: give it costs[true label][predicted label], or the config")
    wrong = [
        Problem("", f"{' > '.join(('costs', *map(str, trail)))} {message}")
        for trail, message in cost_complaints(costs, ask.labels)
    ]
    if wrong:
        raise InputError(wrong)
    return tuple(tuple(costs[true].get(said, 0.0) for said in ask.labels) for true in ask.labels)


def build(params: CostMatrixParams, ask: Ask) -> Treatment:
    """The loss of expected cost, and the decision of least expected cost."""
    costs = Costs(table_of(params, ask))

    def decide(_fit: Scored, rows: Scored, _seed: int) -> Codes:
        return least_cost(rows.scores, costs)

    table = np.array(costs.scaled())
    return Treatment(loss=lambda _material: ExpectedCostLoss(table, params.share), decide=decide)


METHOD = Mitigation(
    name="cost_matrix",
    summary="trains on, and decides by, what each error costs",
    source="Galdran et al., Cost-Sensitive Regularization for Diabetic Retinopathy Grading, MICCAI 2020; "
    "decisions: Elkan, IJCAI 2001",
    Params=CostMatrixParams,
    build=build,
    acts_on=lambda _: ("loss", "decision"),
    needs=lambda _: frozenset({"class labels"}),
    shifts_prior=lambda _: True,
    excludes=("group_thresholds",),
    space={"share": (0.0, 0.25, 0.5, 0.75, 0.9)},
    fits_rule=False,
)
