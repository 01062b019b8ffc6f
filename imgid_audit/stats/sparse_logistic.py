"""Multinomial logistic regression with an L1 penalty, by accelerated proximal gradient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

Floats = NDArray[np.float64]


def sparse_logistic(
    x: Floats,
    codes: NDArray[np.int64],
    classes: int,
    c: float,
    start: tuple[Floats, Floats] | None = None,
    *,
    tolerance: float = 1e-4,
    steps: int = 2000,
) -> tuple[Floats, Floats]:
    """Weights (classes, d) and intercepts (classes,) that minimise c * sum of cross-entropies + sum |weights|.

    - `x` (n, d), best standardised; `codes` (n,) in [0, classes); `c` > 0, smaller is sparser; intercepts are free
    - `start`: where to begin, for a fit that is near; it changes the way, not the end
    - ends when no coefficient moves by more than `tolerance` of the largest (or of 0.01), or after `steps`

    The objective is that of scikit-learn's LogisticRegression(l1_ratio=1, solver="saga"). For two classes
    the rows are each other's negatives, and their difference is the coefficient of the binary model.
    Source: Beck & Teboulle (2009) SIAM J. Imaging Sci. 2:183, with the restarts of O'Donoghue & Candès
    (2015) Found. Comput. Math. 15:715.
    """
    n, d = x.shape
    weight, bias = (np.zeros((classes, d)), np.zeros(classes)) if start is None else start
    now = np.hstack([weight, bias[:, None]])
    design = np.hstack([x, np.ones((n, 1))])
    step = 1 / (c * _curvature(design))
    shrink = np.full(d + 1, step)
    shrink[-1] = 0.0
    target = np.zeros((n, classes))
    target[np.arange(n), codes] = 1
    ahead, momentum = now, 1.0
    for _ in range(steps):
        moved = ahead - step * c * ((_softmax(design @ ahead.T) - target).T @ design)
        new = np.sign(moved) * np.maximum(np.abs(moved) - shrink, 0)
        change = new - now
        if np.sum((ahead - new) * change) > 0:  # uphill: forget the momentum
            momentum = 1.0
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / faster * change
        now, momentum = new, faster
        if np.abs(change).max() <= tolerance * max(np.abs(new).max(), 0.01):
            break
    return now[:, :-1], now[:, -1] - now[:, -1].mean()


def _curvature(design: Floats) -> float:
    """An upper bound of the second derivative of the summed cross-entropy: half the largest squared singular value."""
    if min(design.shape) < 3:
        largest = float(np.linalg.norm(design, 2))
    else:
        largest = float(svds(design, k=1, v0=np.ones(min(design.shape)), return_singular_vectors=False)[0])
    return 0.5 * 1.001 * largest**2


def _softmax(logits: Floats) -> Floats:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
