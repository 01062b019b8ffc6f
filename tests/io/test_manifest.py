"""The manifest reader: all errors at once, each with row and column; nothing vanishes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import MISSING
from imgid_audit.core.manifest import Status
from imgid_audit.io.manifest import ManifestRead, image_root, read_manifest
from imgid_audit.io.settings import DataSettings

DATASETS = Path(__file__).parents[3] / "shared" / "datasets"
needs_datasets = pytest.mark.skipif(not DATASETS.is_dir(), reason="../shared/datasets is absent")

Read = Callable[..., ManifestRead]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def from_text(
        text: str, labels: tuple[str, ...] | None = None, *, images: bool = False, **data: Any
    ) -> ManifestRead:
        (tmp_path / "m.csv").write_text(text, encoding="utf-8")
        return read_manifest(DataSettings(manifest="m.csv", **data), tmp_path, labels, need_images=images)

    return from_text


def problems(read: Read, *args: Any, **data: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(*args, **data)
    assert caught.value.exit_code == 2
    return [str(problem) for problem in caught.value.problems]


def test_a_table_becomes_a_manifest(read: Read) -> None:
    text = "image,label,who,sex,site\na.png,cat,p1,F,NA\nb.png,dog,p2,,x\nc.png,ant,p1,M,NA\n"
    got = read(text, subject="who", attributes={"sex": {}, "place": {"column": "site"}})
    manifest = got.manifest
    assert manifest.ids.tolist() == ["a.png", "b.png", "c.png"]
    assert manifest.images is not None
    assert manifest.images.tolist() == manifest.ids.tolist()
    assert manifest.label.levels == ("ant", "cat", "dog")
    assert manifest.label.texts().tolist() == ["cat", "dog", "ant"]
    assert manifest.subject is not None
    assert manifest.subject.texts().tolist() == ["p1", "p2", "p1"]
    assert manifest.attribute("sex").levels == ("F", "M", MISSING)
    assert manifest.attribute("place").texts().tolist() == ["NA", "x", "NA"]
    assert manifest.split.texts().tolist() == ["test"] * 3
    assert (manifest.status == Status.PENDING).all()
    assert got.columns == ("image", "label", "who", "sex", "site")


def test_class_order_is_that_of_the_task(read: Read) -> None:
    manifest = read("image,label\na,x\nb,y\n", ("y", "z", "x")).manifest
    assert manifest.label.levels == ("y", "z", "x")
    assert manifest.label.codes.tolist() == [2, 0]


def test_rows_without_label_or_subject_are_excluded_with_the_reason(read: Read) -> None:
    manifest = read("image,label,who\na,x,p\nb,,p\nc,y,\nd,,\n", subject="who").manifest
    assert manifest.status.tolist() == [Status.PENDING, Status.EXCLUDED, Status.EXCLUDED, Status.EXCLUDED]
    assert manifest.reason.tolist() == ["", "label is empty", "subject is empty", "label is empty"]
    assert manifest.rows("test").tolist() == [0]
    assert len(manifest) == 4


def test_everything_wrong_is_said_at_once(read: Read, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path.parent / "secret.png").touch()
    text = (
        "image,label,age,sex,split\n"
        "a.png,cat,5,F,train\n"
        "a.png,cow,abc,(other),dev\n"
        "gone.png,cat,500,M,test\n"
        "../secret.png,dog,7,F,\n"
    )
    found = problems(
        read, text, ("cat", "dog"), images=True, split="split", attributes={"age": {"bins": [0, 50, 100]}, "sex": {}}
    )
    wanted = [
        "m.csv rows 1, 2 [image] repeats an id ('a.png')",
        "m.csv row 2 [label] says 'cow', which is not among the labels 'cat', 'dog'",
        "m.csv row 2 [age] is not a number: 'abc'",
        "m.csv row 3 [age] lies outside the bins 0 to 100: 500",
        "m.csv row 2 [sex] says '(other)', a name that the audit gives itself",
        "m.csv row 3 [image] no such file under",
        "m.csv row 4 [image] path leads outside the data root",
        "m.csv row 4 [split] is empty",
        "m.csv row 2 [split] says 'dev'",
    ]
    assert len(found) == len(wanted)
    for text in wanted:
        assert any(problem.startswith(text) for problem in found), text


def test_unknown_columns_are_all_named(read: Read) -> None:
    settings = {"subject": "patient", "id": "uid", "split": "part", "attributes": {"sx": {}, "b": {"column": "c"}}}
    found = problems(read, "image,lable,sex\na,b,c\n", **settings)
    assert len(found) == 6
    assert "m.csv has no column 'lable'" not in found
    assert any("no column 'label', asked for by data.label: did you mean 'lable'?" in problem for problem in found)
    assert any("no column 'c', asked for by data.attributes.b" in problem for problem in found)


def test_unreadable_types_are_named(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": ["a"], "label": ["x"], "sex": [["F"]], "when": [pd.Timestamp(0)]})
    frame.to_parquet(tmp_path / "m.parquet")
    settings = DataSettings(manifest="m.parquet", attributes={"sex": {}, "when": {}})
    with pytest.raises(InputError) as caught:
        read_manifest(settings, tmp_path, None, need_images=False)
    assert [problem.where for problem in caught.value.problems] == ["m.parquet [sex]", "m.parquet [when]"]


def test_many_of_a_kind_are_summarised(read: Read) -> None:
    text = "image,label,age\n" + "".join(f"{i}.png,x,n/a\n" for i in range(40))
    (found,) = problems(read, text, attributes={"age": {"bins": [0, 1]}})
    assert found.startswith("m.csv rows 1, 2, 3, 4, 5 and 35 more [age] is not a number: 'n/a'")


def test_ids_name_rows(read: Read) -> None:
    manifest = read("image,label,uid\na,x,1\na,y,01\n", id="uid").manifest
    assert manifest.ids.tolist() == ["1", "01"]
    (found,) = problems(read, "image,label,uid\na,x,1\nb,y,\nc,x,1\nd,x,\n", id="uid")[:1]
    assert "rows 2, 4 [uid] is empty" in found


def test_a_table_without_rows_is_an_error(read: Read) -> None:
    assert problems(read, "image,label\n") == ["m.csv has no rows"]
    (found,) = problems(read, "image,label\na,\n")
    assert "leaves no rows to audit" in found


def test_parquet_integers_are_their_digits(tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": ["a", "b"], "label": [1, 10], "who": [7, 8], "age": [30, 99]})
    frame.to_parquet(tmp_path / "m.parquet")
    settings = DataSettings(manifest="m.parquet", subject="who", attributes={"age": {"bins": [0, 50, 100]}})
    manifest = read_manifest(settings, tmp_path, ("10", "1"), need_images=False).manifest
    assert manifest.label.texts().tolist() == ["1", "10"]
    assert manifest.subject is not None
    assert manifest.subject.levels == ("7", "8")
    assert manifest.attribute("age").texts().tolist() == ["[0, 50)", "[50, 100]"]


class TestImages:
    def test_files_in_folders_links_and_odd_spellings_are_found(self, read: Read, tmp_path: Path) -> None:
        (tmp_path / "in" / "deep").mkdir(parents=True)
        for name in ("a.png", "in/b.png", 'in/deep/ü,".png'):
            (tmp_path / name).touch()
        (tmp_path / "in" / "link.png").symlink_to(tmp_path / "a.png")
        (tmp_path / "alias").symlink_to(tmp_path / "in", target_is_directory=True)
        names = ["a.png", "in/b.png", "in/link.png", "./in//b.png", "alias/b.png", str(tmp_path / "a.png")]
        text = "image,label\n" + "".join(f"{name},x\n" for name in names) + 'in/deep/"ü,"".png",y\n'
        text = text.replace('in/deep/"ü,"".png"', '"in/deep/ü,"".png"')
        assert len(read(text, images=True).manifest) == 7

    def test_missing_and_escaping_files_are_errors(self, read: Read, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "out.png").symlink_to("/etc/hostname")
        (tmp_path / "up").symlink_to(tmp_path.parent, target_is_directory=True)
        (tmp_path.parent / "near.png").touch()
        names = ["no.png", "d", "out.png", "up/near.png", "/etc/hostname", "nowhere/x.png"]
        found = problems(read, "image,label\n" + "".join(f"{name},x\n" for name in names), images=True)
        assert any("rows 1, 2, 6 [image] no such file" in problem for problem in found)
        assert any("rows 3, 4, 5 [image] path leads outside the data root" in problem for problem in found)

    def test_root_is_where_the_config_says(self, tmp_path: Path) -> None:
        assert image_root(DataSettings(manifest="t/m.csv"), tmp_path) == tmp_path / "t"
        assert image_root(DataSettings(manifest="t/m.csv", root="pics"), tmp_path) == tmp_path / "pics"
        assert image_root(DataSettings(manifest="."), tmp_path) == tmp_path

    def test_a_root_that_is_not_there(self, read: Read) -> None:
        (found,) = problems(read, "image,label\na,x\nb,y\n", images=True, root="nowhere")
        assert "nowhere is no folder" in found


class TestTree:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        for name in (
            "dog/b.PNG",
            "dog/a.jpg",
            "cat/x/y.tif",
            "cat/.hidden.png",
            ".git/z.png",
            "cat/notes.txt",
            "readme.md",
        ):
            path = tmp_path / "tree" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "tree"

    def test_sub_folders_are_labels(self, tree: Path) -> None:
        got = read_manifest(DataSettings(manifest="tree"), tree.parent, None, need_images=True)
        assert got.manifest.ids.tolist() == ["cat/x/y.tif", "dog/a.jpg", "dog/b.PNG"]
        assert got.manifest.label.texts().tolist() == ["cat", "dog", "dog"]
        assert got.notes == (
            "tree: 2 hidden files left out",
            "tree: 2 files that are no images by their extension left out",
        )
        assert got.root == tree

    def test_images_without_a_folder_are_an_error(self, tree: Path) -> None:
        (tree / "loose.png").touch()
        with pytest.raises(InputError, match=r"without a label: 'loose\.png'"):
            read_manifest(DataSettings(manifest="tree"), tree.parent, None, need_images=True)

    def test_splits_are_not_labels(self, tmp_path: Path) -> None:
        for name in ("train/cat/a.png", "test/cat/b.png"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).touch()
        with pytest.raises(InputError, match="look like splits"):
            read_manifest(DataSettings(manifest="."), tmp_path, None, need_images=True)

    def test_an_empty_tree(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="one sub-folder a label"):
            read_manifest(DataSettings(manifest="."), tmp_path, None, need_images=True)


@needs_datasets
def test_chest_x_rays_have_the_counts_of_pandas() -> None:
    settings = DataSettings(
        manifest="metadata.csv",
        subject="subject_id",
        split={"val": 0.2, "test": 0.4, "seed": 0},
        attributes={
            "sex": {},
            "age": {"bins": [0, 46, 61, 76, 130]},
            "country": {"column": "derived_country", "min_count": 20},
        },
    )
    manifest = read_manifest(settings, DATASETS / "covid_cxr", ("other", "covid19"), need_images=True).manifest
    frame = pd.read_csv(DATASETS / "covid_cxr" / "metadata.csv")
    assert len(manifest) == len(frame) == 306
    assert dict(zip(manifest.attribute("sex").levels, manifest.attribute("sex").counts(), strict=True)) == {
        "F": (frame.sex == "F").sum(), "M": (frame.sex == "M").sum(), MISSING: frame.sex.isna().sum()
    }  # fmt: skip
    binned = pd.cut(frame.age, [0, 46, 61, 76, 131], right=False).value_counts(sort=False).tolist()
    assert manifest.attribute("age").counts().tolist() == [*binned, frame.age.isna().sum()]
    countries = frame.derived_country.value_counts()
    kept = countries[countries >= 20].sort_index()
    assert manifest.attribute("country").counts().tolist()[:-2] == kept.tolist()
    assert manifest.subject is not None
    pairs = pd.DataFrame({"s": manifest.subject.codes, "split": manifest.split.codes})
    assert (pairs.groupby("s").split.nunique() == 1).all()
    shares = np.bincount(manifest.split.codes, minlength=3) / 306
    np.testing.assert_allclose(shares[:3], [0.4, 0.2, 0.4], atol=0.02)


@needs_datasets
def test_writers_keep_the_official_split() -> None:
    settings = DataSettings(manifest="metadata.csv", subject="writer_id", split={"column": "split", "val": 0.2})
    manifest = read_manifest(settings, DATASETS / "qmnist_writers", None, need_images=True).manifest
    frame = pd.read_csv(DATASETS / "qmnist_writers" / "metadata.csv")
    assert manifest.label.levels == tuple("0123456789")
    assert len(manifest.rows("test")) == (frame.split == "test").sum() == 10_000
    assert abs(len(manifest.rows("val")) / 10_136 - 0.2) < 0.01
    assert manifest.subject is not None
    assert (pd.Series(manifest.split.codes).groupby(manifest.subject.codes).nunique() == 1).all()
