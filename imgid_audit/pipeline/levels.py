"""Levels of attributes that a config may name: those that occur, and bins that may occur tomorrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from imgid_audit.core.factor import MISSING, OTHER, Factor
from imgid_audit.io.attributes import bin_texts
from imgid_audit.io.messages import did_you_mean, listed
from imgid_audit.io.settings import AttributeSettings


def known_levels(name: str, attributes: Sequence[Factor], settings: Mapping[str, AttributeSettings]) -> tuple[str, ...]:
    """The levels of an attribute: those that some row has, and bins without rows."""
    found = next((factor.levels for factor in attributes if factor.name == name), ())
    bins = settings[name].bins if name in settings else None
    return found if bins is None else tuple(dict.fromkeys((*bin_texts(bins), *found)))


def unknown_among(
    levels: Sequence[str],
    across: Sequence[str],
    attributes: Sequence[Factor],
    settings: Mapping[str, AttributeSettings],
) -> Iterator[str]:
    """A message for every level that none of the attributes `across` has.

    Bins without rows, ``(missing)`` and ``(other)`` are known: which of them occur may change from one night's
    data to the next.
    """
    known = [level for name in across for level in known_levels(name, attributes, settings)]
    for level in levels:
        if level not in (*known, MISSING, OTHER):
            message = f"unknown level {level!r} of {' and '.join(across)}: {did_you_mean(level, known)}"
            yield f"{message}known are {listed(known) or 'none'}"
