"""Shards: a broken run that is resumed has the bytes of an unbroken one, and nothing else is believed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgid_audit.core.errors import InputError
from imgid_audit.io import atomic
from imgid_audit.io.atomic import temporary
from imgid_audit.io.shards import LEDGER, ROW, ShardStore

ROWS = np.array([3, 1, 4, 15, 9, 2, 6, 5, 35, 8])


def columns(rows: np.ndarray) -> dict[str, Any]:
    """What a model says of these rows: a function of the row alone."""
    scores = np.stack([rows / 40, 1 - rows / 40], axis=1).astype(np.float32)
    scores[rows == 9] = np.nan
    reason = np.array([None if row == 9 else f"r {row} é\n" for row in rows], dtype=object)
    return {"scores": scores, "status": (rows % 4).astype(np.int8), "ok": rows > 5, "reason": reason, "x": rows / 3}


def fill(store: ShardStore) -> None:
    for index in store.missing():
        store.write(index, columns(store.rows(index)))


def store_in(folder: Path, key: str = "key", rows: np.ndarray = ROWS, size: int = 4) -> ShardStore:
    return ShardStore(folder, key, rows, size)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def full(tmp_path: Path) -> Path:
    fill(store_in(tmp_path / "full"))
    return tmp_path / "full"


def test_plan(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    assert len(store) == 3
    assert store.missing() == [0, 1, 2]
    assert [store.rows(i).tolist() for i in range(3)] == [[3, 1, 4, 15], [9, 2, 6, 5], [35, 8]]
    with pytest.raises(IndexError):
        store.rows(3)


def test_round_trip_keeps_order_types_and_missing_values(full: Path) -> None:
    read = store_in(full).read()
    expected = {ROW: ROWS, **columns(ROWS)}
    assert list(read) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(read[name], values)
        assert read[name].dtype == values.dtype


def test_files_are_parquet_that_anyone_can_read(full: Path) -> None:
    table = pq.read_table(full / "000001.parquet")
    assert table.column(ROW).to_pylist() == [9, 2, 6, 5]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_break_and_any_order_give_the_bytes_of_an_unbroken_run(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, 12))
    clean, broken = tmp_path_factory.mktemp("clean"), tmp_path_factory.mktemp("broken")
    whole = store_in(clean, size=size)
    whole.set_meta("batch_size", 8)
    fill(whole)
    while missing := store_in(broken, size=size).missing():
        store = store_in(broken, size=size)
        store.set_meta("batch_size", 8)
        for index in data.draw(st.permutations(missing))[: data.draw(st.integers(1, len(missing)))]:
            store.write(index, columns(store.rows(index)))
    assert files(broken) == files(clean)
    assert store_in(broken, size=size).digest() == whole.digest()


def test_meta_is_kept_and_given_as_a_copy(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    store.set_meta("batch_size", 16)
    store.meta["batch_size"] = 1
    assert store_in(tmp_path).meta == {"batch_size": 16}


@pytest.mark.parametrize("harm", ["flip", "truncate", "delete", "empty"])
def test_a_shard_that_does_not_match_the_ledger_is_done_again(full: Path, harm: str) -> None:
    before, path = files(full), full / "000001.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if harm == "delete":
        path.unlink()
    else:
        path.write_bytes({"flip": bytes(data), "truncate": bytes(data[:-9]), "empty": b""}[harm])
    store = store_in(full)
    assert store.discarded == (1,)
    assert store.missing() == [1]
    assert not path.exists()
    with pytest.raises(InputError, match="1 of 3 shards are missing"):
        store.read()
    fill(store)
    assert files(full) == before


def test_a_swapped_shard_is_not_believed(full: Path) -> None:
    (full / "000000.parquet").write_bytes((full / "000001.parquet").read_bytes())
    assert store_in(full).missing() == [0]


def test_harm_after_opening_is_found_when_reading(full: Path) -> None:
    store = store_in(full)
    (full / "000002.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"000002\.parquet does not match its ledger"):
        store.read()


def test_shards_that_the_ledger_does_not_name_go_and_other_files_stay(full: Path) -> None:
    left = temporary(full, os.getpid()).name
    for name in ("000007.parquet", left, "mine.parquet", "notes.txt"):
        (full / name).write_bytes(b"x")
    store_in(full)
    assert list(files(full)) == [
        *("000000.parquet", "000001.parquet", "000002.parquet"),
        *(LEDGER, "mine.parquet", "notes.txt"),
    ]


def test_a_kill_between_file_and_ledger_costs_that_shard_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_in(tmp_path)
    store.write(0, columns(store.rows(0)))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            store.write(1, columns(store.rows(1)))
    assert (tmp_path / "000001.parquet").exists()
    again = store_in(tmp_path)
    assert again.missing() == [1, 2]
    assert not (tmp_path / "000001.parquet").exists()


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"key": "other"}, "key 'key' and not 'other'"),
        ({"size": 5}, "shard_rows 4 and not 5"),
        ({"rows": ROWS[:-1]}, "rows 10 and not 9"),
        ({"rows": ROWS[::-1]}, "rows_sha256"),
    ],
)
def test_another_plan_is_refused_and_nothing_is_touched(full: Path, other: dict[str, Any], named: str) -> None:
    (full / "000009.parquet").write_bytes(b"stray")
    before = files(full)
    with pytest.raises(InputError, match="holds predictions of another run") as caught:
        store_in(full, **other)
    assert named in str(caught.value)
    assert caught.value.exit_code == 2
    assert files(full) == before


@pytest.mark.parametrize(
    "ledger", ["", "[]", "{}", '{"shards": 1}', '{"key": "key"', "\x00", '{"shards": {"0": {"file": "../../x"}}}']
)
def test_a_ledger_that_is_none_is_an_error_and_deletes_nothing(full: Path, ledger: str) -> None:
    (full / LEDGER).write_text(ledger)
    before = files(full)
    with pytest.raises(InputError, match="is not a ledger"):
        store_in(full)
    assert files(full) == before


def test_a_ledger_cannot_name_files_elsewhere(full: Path) -> None:
    ledger = json.loads((full / LEDGER).read_text())
    ledger["shards"]["0"]["file"] = "../outside.parquet"
    (full / LEDGER).write_text(json.dumps(ledger))
    with pytest.raises(InputError, match="is not a ledger"):
        store_in(full)


def test_no_rows(tmp_path: Path) -> None:
    store = store_in(tmp_path, rows=np.array([], dtype=np.intp))
    assert (len(store), store.missing(), store.read()) == (0, [], {})


def test_columns_of_the_wrong_length_are_a_defect(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="3 entries for 4 rows"):
        store_in(tmp_path).write(0, {"x": np.zeros(3)})
