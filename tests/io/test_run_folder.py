"""A run folder belongs to one run, and gives back exactly what was put in."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.core.predictions import Decisions, OperatingPoint, distinct_rows
from imgid_audit.core.task import Task
from imgid_audit.io import kept_decisions, kept_manifest
from imgid_audit.io.atomic import temporary
from imgid_audit.io.run_folder import RunFolder, run_key, slug

POINTS = (
    None,
    OperatingPoint(0.1 + 0.2, "specificity >= 0.9", "val", 1 / 3),
    OperatingPoint(0.5, "threshold", "given"),
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)


def same_factor(a: Factor, b: Factor) -> bool:
    return (a.name, a.levels) == (b.name, b.levels) and np.array_equal(a.codes, b.codes) and b.codes.dtype == np.int32


def codes_of(data: st.DataObject, n: int, levels: int, lowest: int = 0) -> np.ndarray:
    return np.array([data.draw(st.integers(lowest, levels - 1)) for _ in range(n)], dtype=np.int32)


def factor_of(data: st.DataObject, name: str, n: int, lowest: int = 0) -> Factor:
    levels = tuple(data.draw(st.lists(TEXT, min_size=1, max_size=4, unique=True)))
    return Factor(name, levels, codes_of(data, n, len(levels), lowest))


class TestKey:
    def test_same_key_continues_and_another_is_refused(self, tmp_path: Path) -> None:
        first = RunFolder.open(tmp_path / "run", "a" * 64)
        (first.path / "report.html").write_text("kept")
        assert RunFolder.open(tmp_path / "run", "a" * 64).key == "a" * 64
        with pytest.raises(
            InputError, match=r"holds another run \(key aaaaaaaaaaaa, this one has bbbbbbbbbbbb\).*--out"
        ):
            RunFolder.open(tmp_path / "run", "b" * 64)
        assert first.key == "a" * 64
        assert (first.path / "report.html").read_text() == "kept"

    def test_leftovers_of_dead_writers_go(self, tmp_path: Path) -> None:
        RunFolder.open(tmp_path, "k")
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as writer:
            left = temporary(tmp_path, writer.pid)
            left.touch()
            RunFolder.open(tmp_path, "k")
            assert left.exists()  # another process may be writing it
            writer.kill()
        RunFolder.open(tmp_path, "k")
        assert not left.exists()

    def test_existing(self, tmp_path: Path) -> None:
        RunFolder.open(tmp_path / "run", "k")
        assert RunFolder.existing(tmp_path / "run").audit == tmp_path / "run" / "audit.json"
        with pytest.raises(InputError, match="is not there"):
            RunFolder.existing(tmp_path / "none")
        with pytest.raises(InputError, match="is not a run folder"):
            RunFolder.existing(tmp_path)

    def test_a_file_is_no_folder(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="is a file"):
            RunFolder.open(tmp_path / "file", "k")

    def test_a_folder_with_files_of_somebody_else_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "config.yaml").write_text("mine")
        with pytest.raises(InputError, match=r"is not a run folder, yet it holds config\.yaml"):
            RunFolder.open(tmp_path, "k")
        assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "notes.txt").touch()
        RunFolder.open(tmp_path / "out", "k")

    def test_run_key(self) -> None:
        assert run_key({"a": 1, "b": {"c": "é", "d": None}}) == run_key({"b": {"d": None, "c": "é"}, "a": 1})
        assert len({run_key({"a": value}) for value in (1, 1.5, "1", None, True, [1], {})}) == 7
        assert re.fullmatch("[0-9a-f]{64}", run_key({}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("covid-cxr", "covid-cxr"),
        ("  Été 2026: X-ray / v2!", "ete-2026-x-ray-v2"),
        ("../../etc/passwd", "etc-passwd"),
        ("a" * 99, "a" * 60),
    ],
)
def test_slug(name: str, expected: str) -> None:
    assert slug(name) == expected


@given(name=st.text())
def test_any_name_is_a_safe_part_of_a_path(name: str) -> None:
    assert re.fullmatch("[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?", slug(name))
    assert slug("胸部") != slug("皮膚")


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_manifest_round_trip(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 6))
    ids = np.array([f"id {i} é" for i in range(n)], dtype=object)
    names = data.draw(st.lists(st.sampled_from(["sex", "label", "status", "id", "attribute:id", "é"]), unique=True))
    manifest = Manifest(
        ids=ids,
        label=factor_of(data, "label", n, -1),
        split=Factor("split", SPLITS, codes_of(data, n, len(SPLITS))),
        attributes=tuple(factor_of(data, name, n) for name in names),
        subject=data.draw(st.sampled_from([None, factor_of(data, "patient", n, -1)])),
        images=data.draw(st.sampled_from([None, ids])),
        status=codes_of(data, n, len(Status)).astype(np.int8),
        reason=np.array(
            [data.draw(st.sampled_from(["", "label is empty", "no\nfile"])) for _ in range(n)], dtype=object
        ),
    )
    hashes = np.array([None] * n, dtype=object)
    assert kept_manifest.to_bytes(manifest, hashes) == kept_manifest.to_bytes(manifest, hashes)
    kept = kept_manifest.from_bytes(kept_manifest.to_bytes(manifest, hashes), "manifest.parquet")
    assert same_factor(manifest.label, kept.label)
    assert same_factor(manifest.split, kept.split)
    assert len(kept.attributes) == len(manifest.attributes)
    assert all(map(same_factor, manifest.attributes, kept.attributes))
    assert (manifest.subject is None) == (kept.subject is None)
    assert manifest.subject is None or kept.subject is None or same_factor(manifest.subject, kept.subject)
    assert (manifest.images is None) == (kept.images is None)
    for name in ("ids", "status", "reason"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(manifest, name))
    assert kept.status.dtype == np.int8


def test_manifest_file_is_for_people_too(tmp_path: Path) -> None:
    import pandas as pd

    manifest = Manifest(
        ids=np.array(["a", "b"], dtype=object),
        label=Factor("label", ("cat", "dog"), np.array([1, -1], dtype=np.int32)),
        split=Factor("split", SPLITS, np.array([2, 0], dtype=np.int32)),
        attributes=(Factor("sex", ("F", "(missing)"), np.array([0, 1], dtype=np.int32)),),
        subject=None,
        images=None,
        status=np.array([Status.FAILED, Status.EXCLUDED], dtype=np.int8),
        reason=np.array(["truncated", "label is empty"], dtype=object),
    )
    folder = RunFolder.open(tmp_path, "k")
    folder.write_manifest(manifest, image_sha256=np.array(["0" * 64, None], dtype=object))
    frame = pd.read_parquet(folder.manifest)
    assert list(frame) == ["id", "label", "split", "sex", "status", "reason", "image_sha256"]
    assert frame.status.tolist() == ["failed", "excluded"]
    assert frame.label.isna().tolist() == [False, True]
    assert frame.sex.tolist() == ["F", "(missing)"]


def decisions_of(data: st.DataObject, n: int, *, scored: bool) -> Decisions:
    classes = data.draw(st.integers(2, 3))
    labels = tuple("abc"[:classes])
    task = Task("binary", labels, "b") if classes == 2 else Task("multiclass", labels)
    names = data.draw(st.lists(st.sampled_from(["sex", "n", "scores", "label", "subject"]), unique=True, max_size=3))
    scores = np.array([[data.draw(st.floats(0, 1)) for _ in labels] for _ in range(n)]).reshape(n, classes)
    return Decisions(
        task=task,
        label=codes_of(data, n, classes),
        predicted=codes_of(data, n, classes),
        scores=scores if scored else None,
        subject=data.draw(st.sampled_from([None, factor_of(data, "patient", n)])),
        attributes=tuple(factor_of(data, name, n) for name in names),
        operating_point=data.draw(st.sampled_from(POINTS)),
    )


def as_rows(decisions: Decisions) -> list[tuple[object, ...]]:
    factors = [*decisions.attributes, *([] if decisions.subject is None else [decisions.subject])]
    columns = [decisions.label, decisions.predicted, *(factor.codes for factor in factors)]
    repeats = 1 if decisions.count is None else decisions.count
    return list(zip(*(np.repeat(column, repeats).tolist() for column in columns), strict=True))


@settings(deadline=None, max_examples=60)
@given(data=st.data(), scored=st.booleans(), n=st.integers(0, 30))
def test_decisions_round_trip(data: st.DataObject, scored: bool, n: int) -> None:
    decisions = decisions_of(data, n, scored=scored)
    kept = kept_decisions.from_bytes(kept_decisions.to_bytes(decisions), "cells.parquet")
    assert (kept.task, kept.operating_point) == (decisions.task, decisions.operating_point)
    assert [(f.name, f.levels) for f in kept.attributes] == [(f.name, f.levels) for f in decisions.attributes]
    assert (kept.subject is None) == (decisions.subject is None)
    if scored:
        assert as_rows(kept) == as_rows(decisions)
        np.testing.assert_array_equal(kept.scores, decisions.scores)
    else:
        assert kept.scores is None
        assert sorted(as_rows(kept)) == sorted(as_rows(decisions))  # type: ignore[type-var]
    assert kept.label.dtype == kept.predicted.dtype == np.int32


def test_cells_without_scores_are_counts_and_do_not_depend_on_the_order_of_rows() -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    order = rng.permutation(10_000)
    label, predicted, sex = (rng.integers(0, 2, 10_000).astype(np.int32) for _ in range(3))

    def of(rows: np.ndarray) -> bytes:
        attributes = (Factor("sex", ("F", "M"), sex[rows]),)
        return kept_decisions.to_bytes(
            Decisions(Task("binary", ("n", "y"), "y"), label[rows], predicted[rows], None, None, attributes)
        )

    assert of(np.arange(10_000)) == of(order)
    table = pq.read_table(pa.BufferReader(of(order)))
    assert table.num_rows == 8
    assert sum(table.column("n").to_pylist()) == 10_000


def test_distinct_rows_of_columns_too_many_to_pack() -> None:
    rng = np.random.default_rng(1)
    columns = [rng.integers(0, 2, 50).astype(np.int32) for _ in range(4)]
    count = rng.integers(1, 5, 50)
    expected: dict[tuple[int, ...], list[int]] = {}
    for i, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        expected.setdefault(row, [i, 0])[1] += int(count[i])
    for sizes in ([2] * 4, [2**10] * 4, [2**16] * 4):  # counted, sorted as one number, sorted as columns
        first, rows = distinct_rows(columns, sizes, count)
        assert [tuple(column[i] for column in columns) for i in first] == sorted(expected)
        assert list(zip(first.tolist(), rows.tolist(), strict=True)) == [tuple(expected[k]) for k in sorted(expected)]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet"])
def test_damaged_files_are_errors_with_advice(tmp_path: Path, content: bytes) -> None:
    folder = RunFolder.open(tmp_path, "k")
    digest = hashlib.sha256(content).hexdigest()
    with pytest.raises(InputError, match="has not come so far"):
        folder.read_decisions(digest)
    folder.cells.write_bytes(content)
    folder.manifest.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        folder.read_manifest()
    with pytest.raises(InputError, match="is damaged"):
        folder.read_decisions(digest)
    with pytest.raises(InputError, match="evaluate the run again"):
        folder.read_decisions("another")
