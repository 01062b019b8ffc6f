"""The baseline: plain training on the rows as they are (empirical risk minimisation)."""

from __future__ import annotations

from imgid_audit.mitigations.base import Ask, Mitigation, NoParams
from imgid_audit.vision.treatment import PLAIN, Treatment


def build(_params: NoParams, _ask: Ask) -> Treatment:
    """Nothing is changed."""
    return PLAIN


METHOD = Mitigation(
    name="baseline",
    summary="plain training on the rows as they are: what every other method is compared with",
    source="empirical risk minimisation; Vapnik, NIPS 1991",
    Params=NoParams,
    build=build,
    acts_on=lambda _: (),
    needs=lambda _: frozenset({"class labels"}),
)
