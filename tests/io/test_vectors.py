"""Vectors kept under names: found again, checked, and apart from those of other plans."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from imgid_audit.io.atomic import temporary
from imgid_audit.io.vectors import VectorStore

PLAN = {"weights": "a", "size": 3}


def values(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)


def reasons(*texts: str) -> np.ndarray:
    return np.array(texts, dtype=object)


def filled(folder: Path) -> VectorStore:
    store = VectorStore(folder, PLAN, 3)
    store.write(["a", "b"], values(2), reasons("", "why"))
    store.write(["c"], values(1, 1), reasons(""))
    return store


def test_what_was_written_is_read_in_any_order_and_number(tmp_path: Path) -> None:
    filled(tmp_path)
    store = VectorStore(tmp_path, PLAN, 3)
    found, why = store.read(["c", "a", "c", "b"])
    assert np.array_equal(found, np.vstack([values(1, 1), values(2)[:1], values(1, 1), values(2)[1:]]))
    assert why.tolist() == ["", "", "", "why"]
    assert found.dtype == np.float32
    empty, none = store.read([])
    assert empty.shape == (0, 3)
    assert len(none) == 0
    assert "a" in store
    assert "d" not in store
    with pytest.raises(KeyError, match="d"):
        store.read(["d"])


def test_not_a_number_stays_so(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, PLAN, 3)
    store.write(["a"], np.array([[np.nan, np.inf, 0]], dtype=np.float32), reasons("bad"))
    assert np.array_equal(store.read(["a"])[0], [[np.nan, np.inf, 0]], equal_nan=True)


@pytest.mark.parametrize(("plan", "width"), [({"weights": "b", "size": 3}, 3), ({"weights": "a"}, 3), (PLAN, 4)])
def test_other_plans_know_nothing_of_it(tmp_path: Path, plan: dict, width: int) -> None:
    filled(tmp_path)
    assert "a" not in VectorStore(tmp_path, plan, width)
    assert "a" in VectorStore(tmp_path, PLAN, 3)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "renamed", "stray"])
def test_damaged_parts_are_forgotten_and_their_places_filled(tmp_path: Path, damage: str) -> None:
    folder = filled(tmp_path).folder
    first, second = sorted(folder.glob("*.parquet"))
    data = first.read_bytes()
    if damage == "flip":
        first.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    elif damage == "cut":
        first.write_bytes(data[:-1])
    elif damage == "empty":
        first.write_bytes(b"")
    elif damage == "renamed":
        first.rename(folder / ("000005-" + "0" * 32 + ".parquet"))
    else:
        second.rename(folder / ("000000-" + second.name[7:]))  # two parts of one number
    store = VectorStore(tmp_path, PLAN, 3)
    known = [name for name in "abc" if name in store]
    assert known in (["c"], ["a", "b"])
    assert len(list(folder.glob("*.parquet"))) == 1
    if known == ["c"]:
        store.write(["a", "b"], values(2), reasons("", "why"))
        if damage != "stray":
            assert [path.name for path in sorted(folder.glob("*.parquet"))] == [first.name, second.name]


def test_small_values_beside_survive_and_leftovers_go(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.set_meta("batch_size", 7)
    temporary(store.folder, os.getpid()).write_bytes(b"half")
    again = VectorStore(tmp_path, PLAN, 3)
    assert again.meta["batch_size"] == 7
    assert not list(store.folder.glob(".*"))
    (store.folder / "meta.json").write_text("[")
    assert "batch_size" not in VectorStore(tmp_path, PLAN, 3).meta
