"""Cells keep their text, exactly; a file that is no table is an error that says where."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgid_audit.core.errors import InputError
from imgid_audit.io import csvfile
from imgid_audit.io.tables import Table, frame_table, read_table

AWKWARD = ["NA", "NULL", "null", "nan", "NaN", "None", "", "1.0", "1", "01", "yes", "NO", "true", "1e5", " ", "  a ",
           '"', '""', 'a "b" c', "a,b", "two\nlines", "carriage\r\nreturn", "\t", "🙂", "é", "é", "-", "=1+1",
           "2020-01-01", "#N/A", "inf", "(none)", "\ufeffbom", "０", "\u2028", "'"]  # fmt: skip
TEXT = st.one_of(
    st.sampled_from(AWKWARD), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
)
KINDS = ("level", "text", "number")


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]], **options: object) -> Path:
    """By Python's own csv module, which knows nothing of the reader under test."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, **{"quoting": csv.QUOTE_ALL, **options})  # type: ignore[arg-type]
        writer.writerow(header)
        writer.writerows(rows)
    return path


def error_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_table(path)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(st.tuples(TEXT, TEXT), max_size=8),
    kind=st.sampled_from(KINDS),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_csv_texts_survive_exactly(folder: Path, rows: list[tuple[str, str]], kind: str, ending: str) -> None:
    path = write_csv(folder / "t.csv", ["a", "b"], rows, lineterminator=ending)
    table = read_table(path, lambda _: kind)
    assert table.rows == len(rows)
    for column, place in (("a", 0), ("b", 1)):
        texts = [row[place] for row in rows]
        levels, codes = table.encode(column)
        assert [levels[code] if code >= 0 else "" for code in codes] == texts or kind == "number"
        assert levels == tuple(sorted({text for text in texts if text})) or kind == "number"
        assert table.texts(column).tolist() == texts or kind == "number"


@settings(deadline=None, max_examples=60)
@given(texts=st.lists(TEXT, min_size=1, max_size=8))
def test_parquet_and_frame_texts_survive_exactly(folder: Path, texts: list[str]) -> None:
    frame = pd.DataFrame({"a": texts, "b": pd.Categorical(texts)})
    frame.to_parquet(folder / "t.parquet")
    for table in (read_table(folder / "t.parquet"), frame_table(frame)):
        for column in "ab":
            assert table.texts(column).tolist() == texts
            assert table.encode(column)[0] == tuple(sorted({text for text in texts if text}))


CELLS = {
    "int": st.integers(-(2**53), 2**53),
    "float": st.floats(allow_nan=True),
    "bool": st.booleans(),
    "text": st.sampled_from(["a", "NA", "1.0", "b c"]),
    "gaps": st.one_of(st.none(), st.sampled_from(["x", "y"])),
}


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_one_frame_has_one_text_whichever_way_it_is_saved(folder: Path, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 6))
    frame = pd.DataFrame({name: [data.draw(cell) for _ in range(n)] for name, cell in CELLS.items()})
    frame.to_csv(folder / "o.csv", index=False)
    frame.to_parquet(folder / "o.parquet")
    tables = [read_table(folder / "o.csv"), read_table(folder / "o.parquet"), frame_table(frame)]
    for column in frame.columns:
        first, *others = [(table.encode(column), table.texts(column).tolist()) for table in tables]
        for other in others:
            assert other[1] == first[1]
            assert other[0][0] == first[0][0]
            np.testing.assert_array_equal(other[0][1], first[0][1])


def test_other_types_have_their_usual_text_or_are_refused(folder: Path) -> None:
    table = pa.table(
        {
            "date": [dt.date(2020, 1, 25), None],
            "decimal": [decimal.Decimal("1.50"), None],
            "nothing": pa.nulls(2),
            "time": [dt.datetime(2020, 1, 25), None],
            "list": [[1], []],
            "bytes": [b"a", b""],
            "dict": pa.array(["b", "a"]).dictionary_encode(),
            "view": pa.array(["v", None], pa.string_view()),
        }
    )
    pq.write_table(table, folder / "types.parquet")
    read = read_table(folder / "types.parquet")
    assert read.texts("date").tolist() == ["2020-01-25", ""]
    assert read.texts("decimal").tolist() == ["1.50", ""]
    assert read.texts("nothing").tolist() == ["", ""]
    assert read.encode("nothing")[1].tolist() == [-1, -1]
    assert read.numbers("nothing").empty.all()
    assert read.texts("dict").tolist() == ["b", "a"]
    assert read.texts("view").tolist() == ["v", ""]
    for column in ("time", "list", "bytes"):
        problem = read.problem(column, "data.label")
        assert problem is not None
        assert "no single text" in problem.message
        assert not read.usable(column)


def test_a_column_that_is_not_there_is_named_with_the_nearest() -> None:
    problem = frame_table(pd.DataFrame({"sex": ["F"], "age": [1]})).problem("sxe", "data.attributes.gender")
    assert problem is not None
    asked = "frame has no column 'sxe', asked for by data.attributes.gender"
    assert str(problem) == f"{asked}: did you mean 'sex'? its columns are 'sex', 'age'"


NUMBERS = [("1", 1.0), (" 2.5 ", 2.5), ("-3e2", -300.0), (".5", 0.5), ("7.", 7.0), ("+4", 4.0)]


@pytest.mark.parametrize("kind", KINDS)
def test_numbers(folder: Path, kind: str) -> None:
    good, values = zip(*NUMBERS, strict=True)
    cells = [*good, "", "nan", "abc", "1,5", "0x10", "1_0", "٣", "12 3"]
    path = write_csv(folder / "n.csv", ["x"], [[cell] for cell in cells])
    numbers = read_table(path, lambda _: kind).numbers("x")
    np.testing.assert_array_equal(numbers.values, [*values, *[np.nan] * 8])
    assert numbers.empty.tolist() == [cell == "" for cell in cells]
    assert numbers.unreadable.tolist() == [False] * 8 + [True] * 6


def test_numbers_of_numeric_columns() -> None:
    table = frame_table(pd.DataFrame({"f": [0.1, np.nan], "i": [1, 2], "b": [True, False]}))
    assert table.numbers("f").empty.tolist() == [False, True]
    np.testing.assert_array_equal(table.numbers("i").values, [1.0, 2.0])
    assert table.numbers("b").unreadable.all()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty: it needs a header row"),
        (b"\n \n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"a,b\n1,2\n3\n", "row 2 has 1 cells where the header has 2"),
        (b"a,b\n1,2\n3,4,5\n", "row 2 has 3 cells where the header has 2"),
        (b"a,b\n1,2\n\xe9,4\n", "row 2 [a] is not UTF-8"),
        (b"\xe9,b\n1,2\n", "header is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "is UTF-16"),
        (b"a,b,a\n1,2,3\n", "columns of the same name: 'a'"),
        (b'a,b\n1,"2\n3,4\n', "row 1 [b] has a quote that never closes"),
        (b'a,b\n1,"', "row 1 [b] has a quote that never closes"),
        (b'a,b\n1,2\n"3,4\n', "a quote may never close"),
    ],
)
def test_malformed_csv(folder: Path, data: bytes, said: str) -> None:
    path = folder / "bad.csv"
    path.write_bytes(data)
    assert f"bad.csv {said}" in error_of(path) or said in error_of(path)


def test_all_malformed_rows_are_counted(folder: Path) -> None:
    (folder / "bad.csv").write_text("a,b\n" + "1\n" * 9)
    text = error_of(folder / "bad.csv")
    assert text.count("has 1 cells") == 5
    assert "4 more rows" in text


@pytest.mark.parametrize(
    ("data", "cells"),
    [
        (b"\xef\xbb\xbfa,b\n1,2\n", ["1", "2"]),
        (b"a,b\r\n1,2\r\n", ["1", "2"]),
        (b"a,b\r1,2\r", ["1", "2"]),
        (b"\n\na,b\n\n1,2\n\n", ["1", "2"]),
        (b"a,b\n1,2", ["1", "2"]),
        (b'a,b\n5" x,2', ['5" x', "2"]),
        (b'a,b\n1,5" x', ["1", '5" x']),
        (b'a,b\n1,""', ["1", ""]),
        (b'a,b\n1,"a""b"\n', ["1", 'a"b']),
    ],
)
def test_ways_to_write_csv(folder: Path, data: bytes, cells: list[str]) -> None:
    (folder / "ok.csv").write_bytes(data)
    table = read_table(folder / "ok.csv")
    assert [table.texts(name).tolist() for name in "ab"] == [[cell] for cell in cells]


def test_tabs(folder: Path) -> None:
    (folder / "t.tsv").write_text("a\tb\n1,5\t2\n")
    assert read_table(folder / "t.tsv").texts("a").tolist() == ["1,5"]


def test_rows_over_block_boundaries(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvfile, "BLOCK", 4096)
    monkeypatch.setattr(csvfile, "HEAD", 64)
    rows = [[f"id {i}\n{'x' * (i % 97)}", str(i)] for i in range(500)]
    table = read_table(write_csv(folder / "long.csv", ["a" * 100, "b"], rows))
    assert table.texts("b").tolist() == [row[1] for row in rows]
    assert table.texts("a" * 100).tolist() == [row[0] for row in rows]
    (folder / "long.csv").write_text('a,b\n1,"' + "x\n" * 9000 + '",3\n1,2\n')
    assert "longer than" in error_of(folder / "long.csv")


def test_files_that_are_no_tables(folder: Path) -> None:
    assert "is not there" in error_of(folder / "none.csv")
    assert "is a folder" in error_of(folder)
    (folder / "bad.parquet").write_bytes(b"PAR1 not really PAR1")
    assert "cannot be read as Parquet" in error_of(folder / "bad.parquet")


def test_frames_that_are_no_tables() -> None:
    with pytest.raises(InputError, match=r"frame \[x\] mixes types"):
        frame_table(pd.DataFrame({"x": pd.Series([1, "a", object()], dtype=object)}))
    with pytest.raises(InputError, match="columns of the same name"):
        frame_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_joined_columns_say_where_they_come_from() -> None:
    left = frame_table(pd.DataFrame({"id": ["a", "b", "c"]}), "m.csv")
    right = frame_table(pd.DataFrame({"id": ["c", "a"], "x": ["1", "2"]}), "p.csv")
    both: Table = left.joined(right, np.array([1, -1, 0]))
    assert both.texts("x").tolist() == ["2", "", "1"]
    assert both.where("x", np.array([True, False, True])) == "p.csv rows 2, 1 [x]"
    assert both.where("id", np.array([2])) == "m.csv row 3 [id]"


def test_categories_that_no_row_has_are_no_levels(folder: Path) -> None:
    frame = pd.DataFrame({"a": pd.Categorical(["b", "b"], categories=["a", "b", "c"])})
    assert frame_table(frame).encode("a")[0] == ("b",)
    frame.to_parquet(folder / "cat.parquet")
    assert read_table(folder / "cat.parquet").encode("a")[0] == ("b",)


def test_another_separator_is_suspected(folder: Path) -> None:
    (folder / "semi.csv").write_text("image;label\na;b\n")
    problem = read_table(folder / "semi.csv").problem("label", "data.label")
    assert problem is not None
    assert "is it separated by ';'?" in problem.message
