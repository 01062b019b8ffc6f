"""fit.json: what its published schema promises, back again as it was, and what is damaged refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgid_audit.core.errors import InputError
from imgid_audit.core.fit import (
    Curves,
    Fit,
    Flattening,
    GeneralisationGap,
    Search,
    SearchTrial,
    SliceCurve,
    Step,
    Study,
    Variant,
)
from imgid_audit.core.slices import Slice
from imgid_audit.core.values import Interval, Undefined
from imgid_audit.export.fit_json import encode_fit, fit_document, fit_schema, read_fit
from imgid_audit.export.fit_reader import decode_fit
from tests.report import fit_factory as made

VALIDATOR = jsonschema.Draft202012Validator(fit_schema())


def hostile() -> Fit:
    found = made.hostile().fit
    assert found is not None
    return found


def kept() -> Fit:
    return replace(made.fit(), search=made.kept(), studies=())


def nothing_complete() -> Fit:
    return Fit(None, (), made.nothing_complete())


MADE: tuple[Callable[[], Fit], ...] = (
    made.fit,
    made.only_trained,
    hostile,
    kept,
    nothing_complete,
    lambda: Fit(None, ()),
)


def loaded(fit: Fit) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(encode_fit(fit), parse_constant=refuse)


@pytest.mark.parametrize("make", MADE)
def test_it_keeps_the_published_schema(make: Callable[[], Fit]) -> None:
    jsonschema.Draft202012Validator.check_schema(fit_schema())
    assert [error.message for error in VALIDATOR.iter_errors(loaded(make()))] == []


@pytest.mark.parametrize("make", MADE)
def test_what_is_written_is_read(make: Callable[[], Fit], tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    path.write_bytes(encode_fit(make()))
    found = read_fit(path)
    assert found == make()
    assert encode_fit(found) == path.read_bytes()


number = st.floats(allow_nan=False, allow_infinity=False)
share = st.floats(0, 1)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
count = st.integers(0, 10**9)
answer = st.sampled_from(["better", "same", "worse", "unknown"])
where = st.dictionaries(text, text, max_size=2).map(lambda key: Slice(tuple(key), tuple(key.values())))
intervals = st.builds(Interval, number, number, share, text)
undefined = st.builds(Undefined, st.sampled_from(["empty", "below_minimum", "not_applicable", "suppressed"]), text)
parameters = st.dictionaries(text, st.one_of(number, count, st.booleans(), text, st.none()), max_size=3)


def optional(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | of


def many(of: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    return st.lists(of, max_size=most).map(tuple)


@st.composite
def curves(draw: st.DrawFn) -> Curves:
    epochs = draw(st.integers(1, 4))

    def line(of: st.SearchStrategy[Any]) -> Any:
        return tuple(draw(st.lists(of, min_size=epochs, max_size=epochs)))

    slices = tuple(
        SliceCurve(draw(where), line(optional(share)), line(optional(share)), draw(count), draw(count))
        for _ in range(draw(st.integers(0, 2)))
    )
    losses = line(number), line(optional(number)), line(number)
    ends = draw(st.integers(1, epochs)), draw(text), draw(text)
    return Curves(*losses, *ends, slices, draw(st.booleans()), draw(optional(st.booleans())))


counts = (count, count, optional(count), optional(count))
gap = st.builds(
    GeneralisationGap, where, undefined, st.none(), share | undefined, share | undefined, *counts, optional(intervals),
    optional(intervals),
) | st.builds(GeneralisationGap, where, number, intervals, share, share, *counts)  # fmt: skip
trial = st.builds(
    SearchTrial,
    st.just(0),
    parameters,
    st.sampled_from(["complete", "pruned", "failed"]),
    optional(number),
    count,
    text,
)
search = st.builds(
    Search, text, text, st.just(made.OBJECTIVE), st.sampled_from(["higher", "lower"]), text,
    st.dictionaries(text, text, max_size=2), st.integers(1, 99), st.tuples(trial), st.sampled_from([None, 0]), text,
    optional(number), many(st.tuples(text, share)), many(count),
    st.dictionaries(text, many(optional(number)), max_size=2),
    st.just(made.search().estimates[:2]), st.just(made.search().changes[:2]), share, many(text),
)  # fmt: skip
variant = st.builds(
    Variant, text, parameters, count, count, st.dictionaries(text, count, max_size=2), many(optional(share)), count,
    st.sampled_from(["ran", "not_run"]), text,
)  # fmt: skip
step = st.builds(Step, text, text, text, where, number, intervals, answer) | st.builds(
    Step, text, text, text, where, undefined, st.none(), answer
)
study = st.builds(
    Study, st.sampled_from(["ladder", "data_ladder", "augment_effect"]), many(text), number, share, many(count),
    many(variant, 2), st.just(()), many(step, 2), count, optional(text),
    many(st.builds(Flattening, where, count, optional(count), answer), 2), many(text), many(text),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.builds(Fit, optional(curves()), many(gap), optional(search), many(study, 2), st.dictionaries(text, text)))
def test_any_fit_comes_back_as_it_was(fit: Fit) -> None:
    assert decode_fit(loaded(fit)) == fit


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["curves"].update(best_epoch=0),
        lambda d: d["curves"].pop("lr"),
        lambda d: d["curves"]["slices"][0].update(train=[1.2]),
        lambda d: d["gaps"][0].update(value=None),
        lambda d: d["gaps"][0].update(undefined="empty"),
        lambda d: d["gaps"][0].update(train_n=-1),
        lambda d: d["search"].update(better="more"),
        lambda d: d["search"]["trials"][0].update(state="running"),
        lambda d: d["search"]["trials"][0].update(reason="a complete trial has none"),
        lambda d: d["search"]["trials"][8].update(reason=None),
        lambda d: d["studies"][0].update(kind="staircase"),
        lambda d: d["studies"][0]["steps"][0].update(answer="maybe"),
        lambda d: d["studies"][0]["variants"][0].update(status="not_run"),
        lambda d: d["studies"][1]["flattening"][0].pop("at"),
        lambda d: d.update(format_version=2),
        lambda d: d.update(extra=1),
        lambda d: d.pop("studies"),
    ],
)
def test_the_schema_refuses_what_is_no_fit(spoil: Callable[[Any], Any]) -> None:
    found = loaded(made.fit())
    spoil(found)
    assert not VALIDATOR.is_valid(found)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["curves"].update(train_loss="abc"),
        lambda d: d["curves"].update(train_loss=[1.0, None]),
        lambda d: d["curves"].update(best_epoch=99),
        lambda d: d["curves"].update(best_epoch="2"),
        lambda d: d["curves"]["slices"][0].update(val=[0.5]),
        lambda d: d["gaps"][0].pop("train_interval"),
        lambda d: d["gaps"][0].update(train_n=1.5),
        lambda d: d.update(gaps={}),
        lambda d: d["search"].update(chosen=400),
        lambda d: d["search"]["trials"][0].update(value="0.9"),
        lambda d: d["search"]["trials"][0].update(state="running"),
        lambda d: d["search"]["importance"][0].pop("share"),
        lambda d: d["studies"][0].update(notes=[3]),
        lambda d: d["studies"][0].update(kind="staircase"),
        lambda d: d["studies"][0]["steps"][0].update(answer="maybe"),
        lambda d: d["studies"][0]["variants"][0].update(weights=True),
        lambda d: d.pop("curves"),
    ],
)
def test_a_damaged_file_is_refused_and_says_what_to_do(spoil: Callable[[Any], Any], tmp_path: Path) -> None:
    found, path = loaded(made.fit()), tmp_path / "fit.json"
    spoil(found)
    path.write_text(json.dumps(found))
    with pytest.raises(InputError, match=r"not a whole fit\.json .*run the audit again"):
        read_fit(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[]", "format_version None"),
        (b'{"format_version": 2}', "format_version 2"),
        (b'{"format_version": NaN}', "is not JSON"),
        (b'{"format_version": 1}', "not a whole"),
    ],
)
def test_what_is_no_fit_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "fit.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_fit(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_fit(tmp_path / "absent.json")


def test_what_the_first_files_did_not_say_is_unknown_and_what_is_no_answer_is_refused() -> None:
    written = loaded(replace(made.fit(), curves=replace(made.fit().curves, best_frozen=True, best_averaged=False)))
    assert (decode_fit(written).curves.best_frozen, decode_fit(written).curves.best_averaged) == (True, False)
    for key in ("best_frozen", "best_averaged"):
        with pytest.raises(TypeError, match="true, false or null was expected"):
            decode_fit({**written, "curves": {**written["curves"], key: 1}})
        del written["curves"][key]
    assert (decode_fit(written).curves.best_frozen, decode_fit(written).curves.best_averaged) == (False, None)


def test_no_number_that_is_none() -> None:
    found = made.fit()
    assert found.curves is not None
    bad = replace(found, curves=replace(found.curves, train_loss=(float("nan"), *found.curves.train_loss[1:])))
    with pytest.raises(ValueError, match="JSON compliant"):
        encode_fit(bad)


TYPES = {"curves": Curves, "gaps": GeneralisationGap, "search": Search, "studies": Study}


def test_every_field_is_written() -> None:
    """A new field must be written and read, or it is lost between training and report."""
    found = fit_document(made.fit())
    assert set(found) == {"format_version", *(field.name for field in fields(Fit))}
    parts = {"curves": found["curves"], "search": found["search"], "studies": found["studies"][0]}
    for name, part in parts.items():
        assert set(part) == {field.name for field in fields(TYPES[name])}
    assert set(found["gaps"][0]) >= {field.name for field in fields(GeneralisationGap)} - {"interval"}
    assert set(found["search"]["trials"][0]) == {field.name for field in fields(SearchTrial)}
    assert set(found["studies"][0]["variants"][0]) == {field.name for field in fields(Variant)}
