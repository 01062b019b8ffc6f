"""Predictions that people bring: probabilities as they are, every row accounted for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgid_audit.core.errors import InputError
from imgid_audit.core.manifest import Status
from imgid_audit.io.predictions import PredictionsRead, interpret, read_predictions
from imgid_audit.io.settings import DataSettings, PredictionsSettings
from imgid_audit.io.tables import frame_table

Read = Callable[..., PredictionsRead]
NY = {"labels": ("n", "y")}
MANY = {"kind": "multiclass", "positive": None}
PREDICTED, FAILED, EXCLUDED = Status.PREDICTED, Status.FAILED, Status.EXCLUDED


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def from_text(
        text: str,
        manifest: str | None = None,
        kind: str = "binary",
        positive: str | None = "y",
        labels: tuple[str, ...] | None = None,
        **data: Any,
    ) -> PredictionsRead:
        (tmp_path / "p.csv").write_text(text, encoding="utf-8")
        if manifest is not None:
            (tmp_path / "m.csv").write_text(manifest, encoding="utf-8")
            data["manifest"] = "m.csv"
        table, columns = PredictionsSettings(table="p.csv"), DataSettings(**data)
        return read_predictions(table, columns, tmp_path, kind=kind, positive=positive, labels=labels)

    return from_text


def problems(read: Read, *args: Any, **options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(*args, **options)
    return [str(problem) for problem in caught.value.problems]


def test_a_positive_score_is_enough_for_a_binary_task(read: Read) -> None:
    got = read("label,score:y,sex\ny,0.25,F\nn,1,\n", attributes={"sex": {}})
    assert (got.task.kind, got.task.labels, got.task.positive) == ("binary", ("n", "y"), "y")
    np.testing.assert_array_equal(got.predictions.scores, [[0.75, 0.25], [0.0, 1.0]])
    assert got.predictions.predicted is None
    assert got.manifest.ids.tolist() == ["1", "2"]
    assert got.manifest.split.texts().tolist() == ["test", "test"]
    assert got.manifest.images is None


def test_class_order_is_that_of_the_config(read: Read) -> None:
    got = read("label,score:y,score:n\ny,0.25,0.75\n", labels=("y", "n"))
    np.testing.assert_array_equal(got.predictions.scores, [[0.25, 0.75]])
    assert got.manifest.label.codes.tolist() == [0]


def test_labels_alone(read: Read) -> None:
    got = read("label,predicted\na,b\nb,b\nc,\n", kind="multiclass", positive=None)
    assert got.task.labels == ("a", "b", "c")
    assert got.predictions.scores is None
    assert got.predictions.predicted is not None
    assert got.predictions.predicted.tolist() == [1, 1, -1]
    assert got.predictions.status.tolist() == [PREDICTED, PREDICTED, FAILED]
    assert got.predictions.reason.tolist() == ["", "", "predicted is empty"]


def test_labels_come_from_labels_predictions_and_score_columns(read: Read) -> None:
    got = read("label,predicted,score:a,score:b,score:c\nb,a,.5,.2,.3\n", kind="multiclass", positive=None)
    assert got.task.labels == ("a", "b", "c")
    assert read("label,score:y\nn,0.5\n").task.labels == ("n", "y"), "no positive row, but a positive class"


def test_empty_and_nan_scores_cost_their_row_and_no_other(read: Read) -> None:
    got = read("label,score:y,score:n\ny,0.25,0.75\nn,,0.5\ny,nan,0.2\n,0.5,0.5\n,,\n")
    assert got.predictions.status.tolist() == [PREDICTED, FAILED, FAILED, EXCLUDED, EXCLUDED]
    assert got.predictions.reason.tolist() == ["", "score is empty", "score is empty", *["label is empty"] * 2]
    np.testing.assert_array_equal(got.predictions.scores, [[0.75, 0.25], *[[np.nan, np.nan]] * 4])
    assert (got.predictions.status != Status.PENDING).all()


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("label,score:y\ny,1.5\nn,-1\n", {}, "rows 1, 2 [score:y] is 1.5: scores are probabilities from 0 to 1"),
        ("label,score:y\ny,inf\nn,0\n", {}, "row 1 [score:y] is inf"),
        ("label,score:y\ny,0.5\nn,high\n", {}, "row 2 [score:y] is not a number: 'high'"),
        ("label,score:y,score:n\ny,0.5,0.5\nn,0.5,0.502\n", {}, "row 2 [score:*] scores add up to 1.002"),
        ("label,predicted\ny,y\nn,maybe\n", NY, "row 2 [predicted] says 'maybe', which is not among"),
        ("label,predicted\ny,y\nq,n\n", NY, "row 2 [label] says 'q', which is not among"),
        ("label\ny\nn\n", {}, "has neither a column 'predicted' nor columns 'score:<class>'"),
        ("label,score:n\ny,.5\nn,.5\n", {}, "lacks the columns 'score:y'"),
        ("label,score:y,score:z\ny,.5,.5\nn,.5,.5\n", NY, "has 'score:z', but the labels are 'n', 'y'"),
        ("label,predicted\na,a\nb,b\nc,c\n", {"positive": "a"}, "a binary task has two labels, found 3"),
        ("label,predicted\na,a\nb,b\n", {"labels": ("a", "b")}, "[task > positive] says 'y', which is not among"),
        ("label,predicted\na,a\n", MANY, "a task has two labels or more, found 'a'"),
        ("label,predicted\n", NY, "p.csv has no rows"),
        ("predicted\ny\n", {}, "has no column 'label'"),
        ("label,predicted,id\ny,y,1\nn,y,1\n", {}, "rows 1, 2 [id] repeats an id ('1')"),
        ("a,b\n1\n", {}, "row 1 has 1 cells"),
    ],
)  # fmt: skip
def test_bad_tables(read: Read, text: str, options: dict[str, Any], said: str) -> None:
    assert any(said in problem for problem in problems(read, text, **options))


def test_errors_of_all_columns_come_at_once(read: Read) -> None:
    text = "label,score:y,predicted,age\ny,2,y,x\nz,abc,w,900\n"
    found = problems(read, text, labels=("n", "y"), attributes={"age": {"bins": [0, 10]}})
    assert len(found) == 6


def test_sums_within_a_thousandth_are_taken_as_they_are(read: Read) -> None:
    got = read("label,score:y,score:n\ny,0.333,0.666\nn,.5,.5\n")
    np.testing.assert_array_equal(got.predictions.scores, [[0.666, 0.333], [0.5, 0.5]])


def test_predictions_that_differ_from_the_scores_are_noted(read: Read) -> None:
    got = read("label,score:y,predicted\ny,0.4,y\nn,0.1,n\n")
    assert got.notes == ("predicted differs from the class of the highest score in 1 rows; it is used as given",)


class TestJoin:
    MANIFEST = "image,label,sex\na.png,y,F\nb.png,n,\nc.png,y,M\nd.png,,M\n"

    def test_by_id_in_the_order_of_the_manifest(self, read: Read) -> None:
        text = "id,score:y,site\nc.png,0.25,S\na.png,.5,T\nd.png,1,S\n"
        got = read(text, self.MANIFEST, attributes={"sex": {}, "site": {}})
        assert got.manifest.ids.tolist() == ["a.png", "b.png", "c.png", "d.png"]
        assert got.predictions.status.tolist() == [PREDICTED, FAILED, PREDICTED, EXCLUDED]
        assert got.predictions.reason.tolist() == ["", "no prediction", "", "label is empty"]
        np.testing.assert_array_equal(got.predictions.scores[:, 1], [0.5, np.nan, 0.25, np.nan])  # type: ignore[index]
        assert got.manifest.attribute("sex").texts().tolist() == ["F", "(missing)", "M", "M"]
        assert got.manifest.attribute("site").texts().tolist() == ["T", "(missing)", "S", "S"]
        assert [path.name for path in got.paths] == ["p.csv", "m.csv"]

    def test_by_a_column_that_the_config_names(self, read: Read) -> None:
        got = read("uid,predicted\n2,y\n1,n\n", "uid,label\n1,y\n2,n\n", id="uid")
        assert got.predictions.predicted is not None
        assert got.predictions.predicted.tolist() == [0, 1]

    def test_labels_may_come_with_the_predictions(self, read: Read) -> None:
        got = read("id,label,score:y\nb,y,.2\na,n,.3\n", "id,sex\na,F\nb,M\nc,M\n", attributes={"sex": {}})
        assert got.manifest.label.texts().tolist() == ["n", "y", None]
        assert got.predictions.status.tolist() == [PREDICTED, PREDICTED, EXCLUDED]
        assert got.predictions.reason[2] == "no prediction, and the label would come with it"

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("id,score:y\na.png,.5\nz,.5\n", "p.csv row 2 [id] is in no row of m.csv [image]: 'z'"),
            ("id,score:y\na.png,.5\na.png,.4\n", "p.csv rows 1, 2 [id] repeats an id"),
            ("id,score:y\na.png,.5\n,.4\n", "p.csv row 2 [id] is empty"),
            ("id,label,score:y\nb.png,y,.5\n", "p.csv row 1 [label] says 'y' where m.csv row 2 [label] says 'n'"),
            ("score:y\n.5\n", "p.csv has no column to join by"),
        ],
    )
    def test_what_cannot_be_joined(self, read: Read, text: str, said: str) -> None:
        assert any(said in problem for problem in problems(read, text, self.MANIFEST))

    def test_errors_in_joined_columns_name_the_row_of_their_own_table(self, read: Read) -> None:
        text = "id,score:y,age\nc.png,.5,old\na.png,7,3\n"
        found = problems(read, text, self.MANIFEST, attributes={"age": {"bins": [0, 9]}})
        assert any(problem.startswith("p.csv row 1 [age] is not a number: 'old'") for problem in found)
        assert any(problem.startswith("p.csv row 2 [score:y] is 7") for problem in found)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_joined_table_says_what_a_merge_by_pandas_says(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("join")
    ids = data.draw(st.lists(st.text("abc01", min_size=1, max_size=3), min_size=2, max_size=12, unique=True))
    predicted = data.draw(st.permutations(ids))[: data.draw(st.integers(1, len(ids)))]
    manifest = pd.DataFrame({"id": ids, "label": ["y" if i % 2 else "n" for i in range(len(ids))]})
    table = pd.DataFrame({"id": predicted, "score:y": [i / 16 for i in range(len(predicted))]})
    manifest.to_csv(folder / "m.csv", index=False)
    got = interpret(
        frame_table(table), DataSettings(manifest="m.csv"), folder, kind="binary", positive="y", labels=("n", "y")
    )  # fmt: skip
    merged = manifest.merge(table, on="id", how="left")
    np.testing.assert_array_equal(got.predictions.scores[:, 1], merged["score:y"])  # type: ignore[index]
    assert ((got.predictions.status == FAILED) == merged["score:y"].isna()).all()


def test_csv_parquet_and_frame_say_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 200
    frame = pd.DataFrame(
        {"label": rng.integers(0, 2, n), "score:1": rng.random(n), "sex": rng.choice(["F", "M", None], n)}
    )
    frame.loc[3, "score:1"] = np.nan
    frame.to_csv(tmp_path / "p.csv", index=False)
    frame.to_parquet(tmp_path / "p.parquet")
    settings_ = DataSettings(attributes={"sex": {}})
    reads = [
        read_predictions(PredictionsSettings(table=name), settings_, tmp_path, kind="binary", positive="1")
        for name in ("p.csv", "p.parquet")
    ]
    reads.append(interpret(frame_table(frame), settings_, tmp_path, kind="binary", positive="1"))
    for got in reads:
        np.testing.assert_array_equal(got.predictions.scores[:, 1], frame["score:1"])  # type: ignore[index]
        assert got.manifest.label.texts().tolist() == frame.label.astype(str).tolist()
        assert got.manifest.attribute("sex").texts().tolist() == frame.sex.fillna("(missing)").tolist()
        assert got.predictions.status[3] == FAILED


def test_reading_needs_no_torch(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("label,predicted\ny,n\nn,n\n")
    script = (
        "import sys; from pathlib import Path; from imgid_audit.io.predictions import read_predictions\n"
        "from imgid_audit.io.settings import *\n"
        "table, data, folder = PredictionsSettings(table='p.csv'), DataSettings(), Path(sys.argv[1])\n"
        "read_predictions(table, data, folder, kind='binary', positive='y')\n"
        "assert not {'torch', 'sklearn', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
