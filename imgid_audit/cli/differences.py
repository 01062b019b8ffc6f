"""How `diff` prints: what the data show in sentences, then the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from imgid_audit.report.changed import RunDifference

CHANGES = ("slice", "metric", "before", "after", "change", "interval", "p", "adjusted")
FLIPS = ("slice", "rows", "right before alone", "right now alone", "p", "adjusted")


def show_difference(difference: RunDifference, *, as_json: bool) -> None:
    """On stdout, in words or as JSON."""
    if as_json:
        import json

        from imgid_audit.export.changes_json import changes_document

        document = {"exit_code": 0, **changes_document(difference)}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))
        return
    from imgid_audit.report.changed import flip_rows, lines, rows

    first, second = difference.first, difference.second
    typer.echo(f"{first.name} ({first.folder}) -> {second.name} ({second.folder})")
    for line in (*difference.notes, "", *lines(difference), ""):
        typer.echo(line)
    for header, body, texts in ((CHANGES, rows(difference), 2), (FLIPS, flip_rows(difference), 1)):
        if body:
            typer.echo("\n".join(table(header, body, texts)))
            typer.echo("")


def table(header: tuple[str, ...], body: tuple[tuple[str, ...], ...], texts: int) -> list[str]:
    """Columns as wide as their widest cell, the first `texts` to the left, numbers to the right."""
    widths = [max(len(row[i]) for row in (header, *body)) for i in range(len(header))]

    def line(row: tuple[str, ...]) -> str:
        cells = zip(row, widths, strict=True)
        return "  ".join(c.ljust(w) if i < texts else c.rjust(w) for i, (c, w) in enumerate(cells)).rstrip()

    return [line(row) for row in (header, *body)]
