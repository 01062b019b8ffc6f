"""The run folder: where the files of one audit lie, and which audit it belongs to."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.factor import Codes, Texts
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.predictions import Decisions
from imgid_audit.io import atomic, kept_decisions, kept_manifest

KEY, PARTS = ".key", ".key.json"

_OURS = ("config.yaml", "provenance.json", "manifest.parquet", "model", "predictions", "cells.parquet", "audit.json")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder `path` and the names of what lies in it (DESIGN, "Run folder and audit.json").

    Private: `manifest`, `cells`, `model`, `predictions`, `audit`, `comparison`,
    `mitigations`, `fit`, `search`, `studies`. Made for
    publishing: the report and `tables`.
    """

    path: Path

    @classmethod
    def open(cls, path: Path, key: str) -> RunFolder:
        """Make the folder for the run that `key` names, or continue that run; the caller holds its lock.

        Raises `InputError`, and changes nothing, where the folder holds another run, or files of a
        run's names that are none of ours (`--out .` must not replace somebody's config.yaml).
        """
        if path.exists() and not path.is_dir():
            raise InputError(Problem(str(path), "is a file: a run needs a folder; name another one with --out"))
        stored = _stored_key(path)
        if stored is not None and stored != key:
            message = (
                f"holds another run (key {stored[:12]}, this one has {key[:12]}): data, model, train or predict "
                "settings or their files have changed; name another folder with --out, or remove this one"
            )
            raise InputError(Problem(str(path), message))
        if stored is None and (others := [name for name in _OURS if (path / name).exists()]):
            message = f"is not a run folder, yet it holds {', '.join(others)}: name another one with --out"
            raise InputError(Problem(str(path), message))
        path.mkdir(parents=True, exist_ok=True)
        atomic.remove_leftovers(path)
        if stored is None:
            atomic.write_text(path / KEY, f"{key}\n")
        return cls(path)

    def forget_if_bare(self) -> None:
        """Remove the key where there is no model, search, prediction, cell or audit: nothing was run."""
        found = (self.model.glob("*"), self.search.glob("*"), self.predictions.glob("*.parquet"))
        made = (self.audit, self.cells, *itertools.chain(*found))
        if not any(path.exists() for path in made):
            self.manifest.unlink(missing_ok=True)
            for folder in (self.predictions, self.model):
                if folder.is_dir():
                    for path in folder.iterdir():
                        path.unlink()
                    folder.rmdir()
            for name in (PARTS, KEY):
                (self.path / name).unlink(missing_ok=True)

    @classmethod
    def existing(cls, path: Path) -> RunFolder:
        """The folder of a run that was made before; `InputError` where there is none. Changes nothing."""
        if _stored_key(path) is None:
            what = "is not a run folder" if path.is_dir() else "is not there"
            raise InputError(Problem(str(path), f"{what}: name the folder that `imgid-audit run` printed"))
        return cls(path)

    @property
    def key(self) -> str:
        """The key of the run that the folder holds."""
        return _stored_key(self.path) or ""

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def provenance(self) -> Path:
        return self.path / "provenance.json"

    @property
    def manifest(self) -> Path:
        return self.path / "manifest.parquet"

    @property
    def model(self) -> Path:
        return self.path / "model"

    @property
    def predictions(self) -> Path:
        return self.path / "predictions"

    @property
    def cells(self) -> Path:
        return self.path / "cells.parquet"

    @property
    def audit(self) -> Path:
        return self.path / "audit.json"

    @property
    def comparison(self) -> Path:
        return self.path / "comparison.json"

    @property
    def mitigations(self) -> Path:
        """Embeddings and networks of a comparison, kept so that it can go on."""
        return self.path / "mitigations"

    @property
    def search(self) -> Path:
        """The study of a search of training settings, and its answer."""
        return self.path / "search"

    @property
    def studies(self) -> Path:
        """Networks that were trained to explain the audited one, and what came of them."""
        return self.path / "studies"

    @property
    def fit(self) -> Path:
        return self.path / "fit.json"

    @property
    def tables(self) -> Path:
        return self.path / "tables"

    def write_manifest(
        self, manifest: Manifest, *, image_sha256: Texts | None = None, predicted: Codes | None = None
    ) -> None:
        """Keep every row with its status and reason as ``manifest.parquet``; `predicted` where there are no scores."""
        atomic.write_bytes(self.manifest, kept_manifest.to_bytes(manifest, image_sha256, predicted))

    def read_manifest(self) -> Manifest:
        """The manifest as it was kept; `InputError` where it was not."""
        return kept_manifest.from_bytes(self._bytes(self.manifest), str(self.manifest))

    def read_answers(self, labels: tuple[str, ...]) -> tuple[Codes | None, Texts | None]:
        """Predicted codes and image hashes of the manifest's rows, None where they are not kept."""
        return kept_manifest.answers(self._bytes(self.manifest), str(self.manifest), labels)

    def write_decisions(self, decisions: Decisions) -> str:
        """Keep what metrics read, without row ids, as ``cells.parquet``; the sha256 of its bytes."""
        data = kept_decisions.to_bytes(decisions)
        atomic.write_bytes(self.cells, data)
        return hashlib.sha256(data).hexdigest()

    def read_decisions(self, sha256: str) -> Decisions:
        """The decisions as they were kept (rows in another order where there are no scores).

        `sha256` is what `write_decisions` returned: `InputError` where the file has other bytes, so
        that a damaged one gives neither a crash nor a plausible number.
        """
        data = self._bytes(self.cells)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise InputError(
                Problem(str(self.cells), "is not what audit.json was computed from: evaluate the run again")
            )
        return kept_decisions.from_bytes(data, str(self.cells))

    def _bytes(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise InputError(Problem(str(path), "is not there: the run has not come so far; run it again")) from None
        except OSError as error:
            raise InputError(Problem(str(path), f"cannot be read: {error.strerror}")) from error


def run_key(parts: Mapping[str, Any]) -> str:
    """sha256 (64 hexadecimal digits) of plain JSON values; the order of mappings does not matter."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def slug(name: str) -> str:
    """`name` as a part of a path: lower-case ASCII letters, digits and hyphens, 1 to 60 of them."""
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_only)[:60].strip("-")
    return words or f"audit-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _stored_key(path: Path) -> str | None:
    try:
        return (path / KEY).read_text(encoding="utf-8").strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(Problem(str(path / KEY), "cannot be read, so the run cannot be told")) from error
