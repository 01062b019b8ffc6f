"""Slices of the data: the total, one attribute's levels, an intersection's level combinations."""

from __future__ import annotations

from dataclasses import dataclass

from imgid_audit.core.factor import Codes


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows with these levels of these attributes; no attributes means the total."""

    attributes: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()

    @property
    def key(self) -> dict[str, str]:
        """``{attribute: level}``, as audit.json shows it; ``{}`` for the total."""
        return dict(zip(self.attributes, self.levels, strict=True))

    def __str__(self) -> str:
        return ", ".join(f"{a} = {v}" for a, v in self.key.items()) or "all rows"


TOTAL = Slice()


@dataclass(frozen=True, slots=True, eq=False)
class Breakdown:
    """A partition of the evaluated rows into slices: `codes` (n,) index `slices`.

    `name` is the attribute, an intersection's attributes joined by ``*``, or '' for the total.
    An intersection has the combinations that some evaluated row has, in the attributes' order.
    """

    name: str
    attributes: tuple[str, ...]
    slices: tuple[Slice, ...]
    codes: Codes
