"""A table that is streamed is the table that is read whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from imgid_audit import pipeline
from imgid_audit.config import load_config
from imgid_audit.core.errors import InputError
from imgid_audit.io import streamed, streaming
from imgid_audit.io.streaming import read_distinct
from imgid_audit.io.tables import read_table


def random_frame(seed: int, rows: int = 3000) -> pd.DataFrame:
    """Texts, categories, integers of small and large range, floats with NaN, booleans; empty cells."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "label": rng.choice(["a", "b", "c", None], rows, p=[0.4, 0.3, 0.28, 0.02]),
            "predicted": rng.choice(["a", "b", "c", None], rows, p=[0.4, 0.3, 0.25, 0.05]),
            "sex": pd.Categorical(rng.choice(["F", "M", None], rows), categories=["M", "F", "X"]),
            "age": np.where(rng.random(rows) < 0.1, np.nan, rng.integers(0, 90, rows)),
            "site": rng.integers(-20, 20, rows) ** 3 // 50,
            "serial": rng.choice([3, 10**9, 5 * 10**15], rows),
            "film": rng.random(rows) < 0.5,
            "subject": [f"s{i}" for i in rng.integers(0, 300, rows)],
            "split": [("test", "val")[i] for i in rng.integers(0, 2, 300)[rng.integers(0, 300, rows)]],
        }
    )
    frame["site"] = frame["site"].astype("Int16").mask(pd.Series(rng.random(rows) < 0.05))
    return frame


@pytest.mark.parametrize("groups", [50_000, 700, 64])
@pytest.mark.parametrize("dense", [1 << 20, 0])
@pytest.mark.parametrize("pending", [1_000_000, 10])
def test_distinct_rows_are_those_of_pandas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: int, dense: int, pending: int
) -> None:
    monkeypatch.setattr(streaming, "DENSE", dense)
    monkeypatch.setattr(streaming, "PENDING", pending)
    monkeypatch.setattr(streaming, "BATCH", 500)
    columns = ["label", "predicted", "sex", "site"]
    frame = random_frame(0)[columns]
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=groups)
    table = read_distinct(tmp_path / "t.parquet", lambda _: "level")
    assert table.count is not None
    assert table.first is not None
    texts = frame.astype(object).where(frame.notna(), "").astype(str)
    expected = {key: (len(rows), int(rows[0])) for key, rows in texts.groupby(columns).indices.items()}
    keys = zip(*(table.texts(name) for name in columns), strict=True)
    found = dict(zip(keys, zip(table.count.tolist(), table.first.tolist(), strict=True), strict=True))
    assert found == expected
    assert (np.diff(table.first) > 0).all()


def test_values_of_every_type_have_the_texts_of_the_whole_table(tmp_path: Path) -> None:
    frame = random_frame(1)
    frame["weight"] = pd.array(np.random.default_rng(1).choice([0.5, 1.0, np.nan], len(frame)))
    table = pa.Table.from_pandas(frame).append_column("null", pa.nulls(len(frame)))  # a column without any value
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=400)
    whole, distinct = read_table(tmp_path / "t.parquet"), read_distinct(tmp_path / "t.parquet", lambda _: "level")
    for name in table.column_names:
        levels, codes = whole.encode(name)
        again, coded = distinct.encode(name)
        assert again == levels
        assert distinct.count is not None
        held = np.bincount(coded + 1, weights=distinct.count, minlength=len(levels) + 1)
        np.testing.assert_array_equal(held, np.bincount(codes + 1, minlength=len(levels) + 1))


def test_an_empty_table_has_no_distinct_rows(tmp_path: Path) -> None:
    random_frame(0).iloc[:0].to_parquet(tmp_path / "t.parquet")
    table = read_distinct(tmp_path / "t.parquet", lambda _: "level")
    assert table.rows == 0
    assert table.encode("label")[0] == ()


def settings(**changes: Any) -> dict[str, Any]:
    config: dict[str, Any] = {
        "name": "long",
        "task": {"type": "multiclass"},
        "predictions": {"table": "t.parquet", "max_failed": 1.0},
        "data": {
            "attributes": {"sex": {}, "age": {"bins": [0, 30, 60, 90]}, "site": {"min_count": 60}, "film": {}},
            "intersections": [["sex", "age"]],
        },
        "metrics": ["accuracy", "balanced_accuracy", "recall", "f1", "selection_rate", "specificity"],
        "intervals": {"draws": 50},
        "policy": {
            "rules": [
                {"metric": "recall", "across": "sex", "max_gap": 0.2},
                {"metric": "f1", "class": "macro", "across": ["sex", "site"], "min_value": 0.1},
            ]
        },
        "report": {"formats": ["json", "html", "csv"]},
    }
    for trail, value in changes.items():
        place = config
        *parents, last = trail.split("__")
        for key in parents:
            place = place[key]
        place[last] = value
    return config


@pytest.mark.parametrize("subject", [None, "subject"])
@pytest.mark.parametrize("split", [None, "split"])
def test_a_streamed_audit_is_the_whole_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, subject: str | None, split: str | None
) -> None:
    """All that audit.json says, but for the note, the settings and their hash, and the rows in manifest.parquet."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    frame = random_frame(2)
    if subject:
        frame["split"] = np.where(frame["subject"].str[1:].astype(int) % 3 > 0, "test", "val")
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=700)
    audits = {}
    for stream in (True, False):
        asked = settings(predictions__stream=stream, data__subject=subject, data__split=split)
        pipeline.run(load_config(asked, folder=tmp_path), out=tmp_path / str(stream))
        audits[stream] = json.loads((tmp_path / str(stream) / "audit.json").read_text())
    streamed_audit, whole = audits[True], audits[False]
    assert streamed_audit["notes"][-1].startswith("The table's 3,000 rows were read as")
    assert whole["provenance"]["hashes"]["cells"] == streamed_audit["provenance"]["hashes"]["cells"]
    for audit in audits.values():
        del audit["run"], audit["notes"], audit["settings"], audit["provenance"]
    assert streamed_audit == whole
    rows = pd.read_parquet(tmp_path / "True" / "manifest.parquet")
    every = pd.read_parquet(tmp_path / "False" / "manifest.parquet")
    assert rows["n"].sum() == len(every) == 3000
    status = rows.groupby(rows["status"].astype(str))["n"].sum().to_dict()
    assert status == every["status"].astype(str).value_counts().to_dict()
    gated = pipeline.gate(tmp_path / "True")
    assert [v.status for v in gated.result.evaluation.verdicts] == [v["status"] for v in whole["verdicts"]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"predictions__table": "t.csv"}, "no Parquet file"),
        ({"predictions__table": "scores.parquet"}, "a score of its own"),
        ({"data__manifest": "t.csv"}, "joined to data.manifest"),
        ({"data__split": {"test": 0.5}}, "drawn by row id"),
    ],
)
def test_what_cannot_be_streamed_is_refused_with_advice(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    frame = random_frame(3, rows=60)
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv")
    frame.assign(**{"score:a": 1.0, "score:b": 0.0, "score:c": 0.0}).to_parquet(tmp_path / "scores.parquet")
    config = load_config(settings(predictions__stream=True, **changes), folder=tmp_path)
    with pytest.raises(InputError, match=rf"\[predictions > stream\].*{message}"):
        pipeline.check(config)


@pytest.mark.parametrize(
    ("changes", "read"), [({}, True), ({"predictions__stream": False}, False), ({"data__id": "serial"}, False)]
)
def test_large_tables_are_streamed_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], read: bool
) -> None:
    monkeypatch.setattr(streamed, "STREAM_ROWS", 50)
    frame = random_frame(3, rows=60)
    frame["serial"] = np.arange(60)
    frame.to_parquet(tmp_path / "t.parquet")
    lines = pipeline.check(load_config(settings(**changes), folder=tmp_path)).lines
    assert any("distinct" in line for line in lines) == read
    monkeypatch.setattr(streamed, "STREAM_ROWS", 61)
    lines = pipeline.check(load_config(settings(**changes), folder=tmp_path)).lines
    assert not any("distinct" in line for line in lines)


def test_messages_name_the_first_row_and_how_many_more(tmp_path: Path) -> None:
    frame = random_frame(4, rows=200)
    frame.loc[[17, 40, 120], "predicted"] = "z"
    frame.to_parquet(tmp_path / "t.parquet")
    asked = settings(predictions__stream=True, task={"type": "multiclass", "labels": ["a", "b", "c"]})
    with pytest.raises(InputError, match=r"t.parquet row 18 and 2 more \[predicted\].*'z'"):
        pipeline.check(load_config(asked, folder=tmp_path))


def test_a_damaged_file_is_an_error_with_advice(tmp_path: Path) -> None:
    random_frame(5).to_parquet(tmp_path / "t.parquet")
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    data[200:4000] = bytes(3800)
    (tmp_path / "t.parquet").write_bytes(bytes(data))
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        pipeline.check(load_config(settings(predictions__stream=True), folder=tmp_path))
