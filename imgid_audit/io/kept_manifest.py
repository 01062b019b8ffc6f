"""``manifest.parquet``: every row of the user's table with its split, status and reason, in its order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from imgid_audit.core.factor import Codes, Factor, Texts
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.io.kept import codes_of, from_parquet, texts_column, to_parquet

FORMAT = 1

_FIXED = ("id", "image", "label", "split", "subject", "status", "reason", "image_sha256", "predicted", "n")
_STATUS = tuple(status.name.lower() for status in Status)


def to_bytes(manifest: Manifest, image_sha256: Texts | None = None, predicted: Codes | None = None) -> bytes:
    """Parquet: id, image, label, split, subject, the attributes, status, reason, image_sha256, predicted, n.

    `predicted` (n,) are class codes, -1 where there is none: given where there are no scores, since
    ``cells.parquet`` then keeps no rows of their own. `n` is there where an entry stands for several rows.

    Factors are texts, with their level order in the metadata. An attribute whose name is one of
    these columns' is the column ``attribute:<name>``.
    """
    factors = {"label": manifest.label, "split": manifest.split}
    if manifest.subject is not None:
        factors["subject"] = manifest.subject
    names = {f.name: _column_of(f.name) for f in manifest.attributes}
    factors |= {names[f.name]: f for f in manifest.attributes}
    columns = {"id": pa.array(manifest.ids, pa.string())}
    if manifest.images is not None:
        columns["image"] = pa.array(manifest.images, pa.string())
    columns |= {column: texts_column(factor) for column, factor in factors.items()}
    columns["status"] = texts_column(Factor("status", _STATUS, manifest.status.astype(np.int32)))
    columns["reason"] = pa.array(manifest.reason, pa.string())
    if image_sha256 is not None:
        columns["image_sha256"] = pa.array(image_sha256, pa.string())
    if predicted is not None:
        columns["predicted"] = texts_column(Factor("predicted", manifest.label.levels, predicted))
    if manifest.count is not None:
        columns["n"] = pa.array(manifest.count)
    meta = {
        "format": FORMAT,
        "attributes": [names[f.name] for f in manifest.attributes],
        "names": {column: factor.name for column, factor in factors.items()},
        "levels": {column: list(factor.levels) for column, factor in factors.items()},
    }
    return to_parquet(columns, meta)


def _column_of(attribute: str) -> str:
    """The attribute's own name where it can be no other column's."""
    taken = attribute in _FIXED or attribute.startswith("attribute:")
    return f"attribute:{attribute}" if taken else attribute


def from_bytes(data: bytes, source: str) -> Manifest:
    """The manifest that `to_bytes` wrote, exactly; `InputError` naming `source` where it is damaged."""
    table, meta = from_parquet(data, source, FORMAT)

    def factor(column: str) -> Factor:
        levels = tuple(meta["levels"][column])
        return Factor(meta["names"][column], levels, codes_of(table.column(column), levels))

    def texts(column: str) -> Texts:
        values: Texts = table.column(column).to_numpy()
        return values

    return Manifest(
        ids=texts("id"),
        label=factor("label"),
        split=factor("split"),
        attributes=tuple(factor(column) for column in meta["attributes"]),
        subject=factor("subject") if "subject" in meta["levels"] else None,
        images=texts("image") if "image" in table.column_names else None,
        status=codes_of(table.column("status"), _STATUS).astype(np.int8),
        reason=texts("reason"),
        count=table.column("n").to_numpy() if "n" in table.column_names and "n" not in meta["levels"] else None,
    )


def answers(data: bytes, source: str, labels: tuple[str, ...]) -> tuple[Codes | None, Texts | None]:
    """`predicted` as codes among `labels` and `image_sha256`, as `to_bytes` was given them; None where not."""
    table, _ = from_parquet(data, source, FORMAT)
    names = table.column_names
    predicted = codes_of(table.column("predicted"), labels) if "predicted" in names else None
    return predicted, table.column("image_sha256").to_numpy() if "image_sha256" in names else None
