"""Who is shown goes along with rows, and no strength of DFR is chosen on people that its layer has seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from imgid_audit.mitigations.dfr import DfrParams, chosen_c, fitted, halves, strata
from imgid_audit.mitigations.points import joined, resampled, selected
from imgid_audit.vision.treatment import LinearHead, Part, Treatment


def people(people: int, images: int, seed: int, d: int = 64) -> Part:
    """Images of one person look alike, and say little of the class: group 1's less than group 0's."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), images)
    groups, labels = (np.arange(people) % 2)[who], rng.integers(2, size=people)[who]
    x = np.sqrt(0.8) * rng.normal(size=(people, d))[who] + np.sqrt(0.2) * rng.normal(size=(len(who), d))
    x[:, 0] += np.where(groups == 0, 1.2, 0.4) * (2 * labels - 1)
    codes = (part.astype(np.int32) for part in (labels, groups))
    return Part(x.astype(np.float32), *codes, subjects=who.astype(np.int32))


@pytest.mark.parametrize("images", [1, 4, 7])
def test_nobody_is_in_both_halves_and_strata_are_halved(images: int) -> None:
    rows = people(90, images, 0)
    codes = strata(DfrParams(), rows)
    first = halves(codes, np.random.default_rng(0), rows.subjects)
    assert not set(rows.subjects[first].tolist()) & set(rows.subjects[~first].tolist())
    held, all_ = np.bincount(codes[first], minlength=4), np.bincount(codes, minlength=4)
    assert np.abs(2 * held - all_).max() <= 2 * images
    again = halves(codes, np.random.default_rng(1), rows.subjects)
    assert (first != again).any()


def test_people_with_images_of_several_strata_and_of_any_number_are_divided_evenly() -> None:
    rng = np.random.default_rng(3)
    who = np.repeat(np.arange(200), rng.integers(1, 12, 200))
    codes = rng.choice(4, size=len(who), p=[0.5, 0.3, 0.15, 0.05]).astype(np.int64)
    first = halves(codes, rng, who)
    assert not set(who[first].tolist()) & set(who[~first].tolist())
    np.testing.assert_allclose(np.bincount(codes[first]) / np.bincount(codes), 0.5, atol=0.06)


def test_the_strength_is_that_of_people_not_of_images() -> None:
    """With eight images of each person, rows by chance ask for a weak penalty: what tells people apart looks useful."""
    params, gains, found = DfrParams(refits=3), [], {True: [], False: []}
    test = people(6000, 1, 99)
    cells = strata(params, test)
    for seed in range(6):
        rows = people(50, 8, seed)
        x = (rows.embeddings - rows.embeddings.mean(axis=0)) / rows.embeddings.std(axis=0)
        worst = {}
        for known in (True, False):
            part = rows if known else replace(rows, subjects=None)
            labels = part.labels.astype(np.int64)
            found[known].append(
                chosen_c(x.astype(float), labels, strata(params, part), 2, params, seed, part.subjects)[0]
            )
            right = fitted(part, 2, params, seed).logits(test.embeddings).argmax(axis=1) == test.labels
            worst[known] = min(right[cells == cell].mean() for cell in range(4))
        gains.append(worst[True] - worst[False])
    assert np.median(found[True]) < 0.2 < 0.5 < np.median(found[False])
    assert np.mean(gains) > 0.02


def test_one_person_for_all_rows_leaves_the_first_strength() -> None:
    rows = people(30, 2, 0)
    labels = rows.labels.astype(np.int64)
    one = np.zeros(len(rows), dtype=np.int32)
    assert chosen_c(rows.embeddings.astype(float), labels, labels, 2, DfrParams(c=(0.3, 1.0)), 0, one)[0] == 0.3


def test_rows_keep_their_subjects_and_new_points_have_none() -> None:
    from imblearn.over_sampling import SMOTE
    from imblearn.under_sampling import TomekLinks

    rows = people(60, 3, 1, d=4)
    few = selected(rows, np.flatnonzero((rows.labels == 0) | (np.arange(len(rows)) % 4 == 0)))
    assert few.subjects.tolist() == [rows.subjects[int(at)] for at in np.flatnonzero(
        (rows.labels == 0) | (np.arange(len(rows)) % 4 == 0))]  # fmt: skip
    person = {row.tobytes(): who for row, who in zip(rows.embeddings, rows.subjects.tolist(), strict=True)}
    for sampler in (TomekLinks(), SMOTE(random_state=0)):
        made = resampled(few, sampler, few.labels)
        assert made.subjects.tolist() == [person.get(row.tobytes(), -1) for row in made.embeddings]
    assert (made.subjects == -1).sum() == len(made) - len(few) > 0
    bare = replace(few, subjects=None)
    assert joined(bare, few).subjects is None
    assert joined(few, few).subjects.tolist() == few.subjects.tolist() * 2
    assert resampled(bare, SMOTE(random_state=0), few.labels).subjects is None


MANIFEST = SimpleNamespace(
    subject=SimpleNamespace(codes=np.array([5, 5, 6, 7, 7, 8], dtype=np.int32)),
    label=SimpleNamespace(codes=np.array([0, 1, 0, 1, 0, 1], dtype=np.int32)),
    split=SimpleNamespace(codes=np.array([0, 0, 1, 3, 3, 2], dtype=np.int32)),
)


def bench_of(manifest: Any) -> Any:
    from imgid_audit.pipeline.comparing.bench import Bench

    ask = SimpleNamespace(labels=("a", "b"))
    job = SimpleNamespace(
        inputs=SimpleNamespace(manifest=manifest, root=None, image_sha256=None), config=SimpleNamespace(predict=None),
        progress=None, stop=None,
    )  # fmt: skip
    return Bench(job, None, ask, "average", None, (), ())  # type: ignore[arg-type]


def rows_of_splits() -> dict[str, np.ndarray]:
    codes = MANIFEST.split.codes
    return {name: np.flatnonzero(codes == code) for code, name in enumerate(("train", "val", "test", "adjust"))}


@pytest.mark.parametrize("known", [True, False])
def test_heads_are_told_who_is_shown(known: bool) -> None:
    from imgid_audit.pipeline.comparing.heads import HeadLaboratory

    manifest = MANIFEST if known else SimpleNamespace(**{**vars(MANIFEST), "subject": None})
    embedded = SimpleNamespace(rows=np.arange(6), values=np.zeros((6, 2), np.float32), views={})
    task = HeadLaboratory(bench_of(manifest), None, embedded, rows_of_splits(), {}, "")._task(None)
    told = [None if part.subjects is None else part.subjects.tolist() for part in (task.train, task.val, task.adjust)]
    assert told == ([[5, 5], [6], [7, 7]] if known else [None] * 3)


def test_refits_of_whole_networks_are_told_who_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from imgid_audit.pipeline.comparing.whole import WholeLaboratory

    class Manifest(SimpleNamespace):
        def __len__(self) -> int:
            return 6

    head = LinearHead(np.zeros((2, 2)), np.zeros(2))
    embedded = SimpleNamespace(rows=np.arange(6), values=np.zeros((6, 2), np.float32), head=head)
    monkeypatch.setattr("imgid_audit.vision.embed.embed", lambda *_, **__: embedded)
    monkeypatch.setattr("imgid_audit.vision.infer.rows_to_predict", lambda _: np.arange(6))
    told = []

    def refit(task: Any, given: LinearHead, _seed: int) -> LinearHead:
        told.extend(part.subjects.tolist() for part in (task.train, task.val, task.adjust))
        return given

    laboratory = WholeLaboratory(bench_of(Manifest(**vars(MANIFEST))), tmp_path, rows_of_splits(), {}, {}, "")
    laboratory._refitted(None, Treatment(refits=(refit,)), tmp_path, 0)
    assert told == [[5, 5], [6], [7, 7]]
