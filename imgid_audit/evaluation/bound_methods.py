"""How the bounds that decide a rule were made, in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from imgid_audit.core.policy import Rule
from imgid_audit.stats.bands import RateBand
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.methods import PROPORTION, method
from imgid_audit.stats.requested import pair_method
from imgid_audit.stats.verdicts import PAIRED


def bounds_method(rule: Rule, parts: Sequence[Measured], level: float) -> str:
    """``MOVER of Wilson limits; one-sided 95 % to pass, simultaneous (Tukey) 95 % to fail``.

    `parts` are the rule's metrics over its breakdown; methods are those of the defined slices, each
    named once.
    """
    kind = PAIRED.get(rule.kind)
    used = (
        named
        for one in parts
        for named, defined in zip(_names(one, level, alone=kind is None), one.defined, strict=True)
        if defined
    )
    limits = f"{_listed(used)} limits"
    if kind is not None:
        how = _listed(pair_method(one.band, kind).name for one in parts)
        limits = f"{how} of {limits}" if how == "MOVER" else f"{how} limits"
    share = f"{100 * level:g} %"
    together = "Bonferroni" if kind is None else "Tukey"
    return f"{limits}; one-sided {share} to pass, simultaneous ({together}) {share} to fail"


def _names(measured: Measured, level: float, *, alone: bool) -> tuple[str, ...]:
    """Method of each slice; limits of which one side decides `alone` are Clopper-Pearson's (`bands.sides`)."""
    band = measured.band
    if not alone or not isinstance(band, RateBand):
        return band.methods(level)
    name = method(PROPORTION, "clopper_pearson", clustered=band.subjects is not None).name
    return (name,) * len(measured.defined)


def _listed(names: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(names))
