"""What methods cost: images through the network and rows through the head, as numbers and bars; never seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgid_audit.report import numbers
from imgid_audit.report.blocks import Cell, Column, Table, name, number
from imgid_audit.report.compared import wording
from imgid_audit.report.compared.tables import DASH
from imgid_audit.report.compared.view import View


@dataclass(frozen=True, slots=True)
class Cost:
    """What is the same for all methods is said once; what differs has a table."""

    said: str
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class _Count:
    """Something that is counted for every method: `title` heads its column, `same` says it where all are alike."""

    title: str
    same: str
    values: tuple[int, ...]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


ITERATED = "A fit counts its rows once, whatever its iterations; the judging of epochs on val does not count."
SHARED = {
    "head": "Images are embedded once, and shared by all methods that see the same views.",
    "full": "Each method counts as if it were alone: networks that differ in the last layer alone share a training.",
}


def cost(view: View) -> Cost:
    """Of one network, and of all trials and seeds; a count that is 0 is shown as a dash."""
    ran = view.ran
    one = wording.TRAINED.get(view.comparison.scope, "network")
    images = _pair("images through the network", [r.images_seen for r in ran], [r.images_total for r in ran], one)
    rows = _pair("rows through the head", [r.rows_seen for r in ran], [r.rows_total for r in ran], one)
    alike = [count for count in (*images, *rows) if not count.differs and any(count.values)]
    told = [f"The same for all methods: {'; '.join(_alike(count) for count in alike)}."] if alike else []
    told += [SHARED[view.comparison.scope]] if view.comparison.scope in SHARED else []
    names = [record.name for record in ran]
    made = (
        _table("Images through the network", names, images, ()),
        _table("Rows through the head", names, rows, (ITERATED,)),
    )
    return Cost(" ".join(told), tuple(table for table in made if table is not None))


def _pair(what: str, once: Sequence[int], total: Sequence[int], one: str) -> tuple[_Count, ...]:
    """A count of one network and of all; the first alone where all need no more, or no total is known."""
    if tuple(once) == tuple(total) or not any(total):
        return (_Count(f"One {one}" if any(total) != any(once) else "In all", what, tuple(once)),)
    first = _Count(f"One {one}", f"{what} for one {one}", tuple(once))
    return first, _Count("All trials and seeds", f"{what} for all trials and seeds", tuple(total))


def _alike(count: _Count) -> str:
    return f"{numbers.count(count.values[0])} {count.same}"


def _table(caption: str, names: Sequence[str], counts: Sequence[_Count], notes: tuple[str, ...]) -> Table | None:
    shown = [count for count in counts if count.differs]
    if not shown:
        return None
    columns = [Column("Method", "name")]
    for count in shown:
        columns += [Column(count.title, "number"), Column("", "plot")]
    rows = tuple(
        (name(method), *(cell for count in shown for cell in _cells(count.values[i], max(count.values))))
        for i, method in enumerate(names)
    )
    return Table(caption, tuple(columns), rows, notes, "", "compared")


def _cells(part: int, most: int) -> tuple[Cell, Cell]:
    if not part:
        return DASH, Cell("", "plot")
    width = f"{numbers.coordinate(100 * part / most)}%"
    return number(numbers.count(part), str(part)), Cell("", "plot", bar=width)
