"""A method of the user's own, from a module on the path: the documented example, and everything that can be wrong."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from imgid_audit.config.mitigation_checks import entry_complaints
from imgid_audit.core.errors import InputError
from imgid_audit.mitigations import MITIGATIONS, find
from imgid_audit.mitigations.base import Ask, Counts
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import MethodSettings

ASK = Ask(("a", "b"), True, "head")
DOCUMENT = Path(__file__).parents[2] / "docs" / "mitigations.md"
Write = Callable[[str], str]
_numbers = count()

WHOLE = """
class Mine:
    summary = "does it my way"
    source = "me"
    acts_on = ("sampler",)
    needs = ("class labels",)

    def build(self, params, ask):
        from imgid_audit.vision.treatment import Treatment
        return Treatment(rows=lambda labels, groups, seed: labels.nonzero()[0])
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes source as a module on the path; gives its name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(source: str) -> str:
        name = f"users_own_{next(_numbers)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return name

    return write


def test_registered_names_come_first() -> None:
    assert find("smote") is MITIGATIONS["smote"]
    with pytest.raises(InputError, match="unknown mitigation 'smot': did you mean 'smote'"):
        find("smot")


def test_the_documented_example_works(module: Write) -> None:
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    (example,) = [block for block in blocks if "class PowerSampling" in block]
    home = module(example)
    (name,) = re.findall(r"^class (\w+):", example, flags=re.MULTILINE)
    entry = MethodSettings(name=f"{home}:{name}", params={"power": 0.0}, label="mine")
    remedy = Remedy.of(entry, find)
    assert remedy.name == "mine"
    assert remedy.methods == (f"{home}:{name}",)
    assert list(remedy.misfits(ASK)) == []
    labels = np.repeat([0, 1], [900, 100]).astype(np.int32)
    rows = remedy.treatment(ASK).rows
    assert rows is not None
    shares = np.bincount(labels[np.concatenate([rows(labels, None, seed) for seed in range(20)])]) / 20_000
    assert abs(shares[0] - 0.5) < 0.02  # the power 0 makes classes equal
    tuned = remedy.with_values({f"{home}:{name}.power": 1.0})
    assert tuned is not remedy
    assert remedy.space == {}  # the user gave it
    assert set(Remedy.of(MethodSettings(name=f"{home}:{name}"), find).space) == {f"{home}:{name}.power"}


def test_a_class_needs_no_more_than_five_things(module: Write) -> None:
    name = f"{module(WHOLE)}:Mine"
    method = find(name)
    assert (method.name, method.summary, method.source) == (name, "does it my way", "me")
    params = method.Params()
    assert method.acts_on(params) == ("sampler",)
    assert method.needs(params) == {"class labels"}
    assert method.shifts_prior(params) is False
    assert method.scopes == ("head", "full")
    assert tuple(method.unmet(params, ASK, Counts({}, {}, {}, {}, 0))) == ()
    rows = method.build(params, ASK).rows
    assert rows is not None
    assert rows(np.array([0, 1, 1], np.int32), None, 0).tolist() == [1, 2]


def test_a_mitigation_object_will_do(module: Write) -> None:
    name = module(
        """
        from dataclasses import replace
        from imgid_audit.mitigations import MITIGATIONS
        GENTLE = replace(MITIGATIONS["oversample"], summary="the same")
        """
    )
    method = find(f"{name}:GENTLE")
    assert method.name == f"{name}:GENTLE"
    assert method.summary == "the same"
    assert method.Params is MITIGATIONS["oversample"].Params


@pytest.mark.parametrize(
    ("change", "messages"),
    [
        (("source = ", "sauce = "), ["lacks `source`: did you mean it by `sauce`?"]),
        (("def build", "def built"), ["lacks `build`: did you mean it by `built`?"]),
        (('("sampler",)', '("smapler",)'), ["has `acts_on` with 'smapler': known are sampler, embeddings"]),
        (('("class labels",)', '"class labels"'), ["has `needs` that is no list of texts: 'class labels'"]),
        (('"me"', "1"), ["has `source` that is no line of text: 1"]),
        (('"me"', '""'), ["has `source` that is no line of text: ''"]),
        (('source = "me"', 'source = "me"; Params = dict'), ["has `Params` that is no pydantic model"]),
        (('source = "me"', 'source = "me"; space = {"eta": (1,)}'), ["has `space` with 'eta', which is no parameter"]),
        (('source = "me"', 'source = "me"; scopes = ("heads",)'), ["has `scopes` with 'heads': known are head, full"]),
        (('source = "me"', 'source = "me"; unmet = 3'), ["has `unmet` that is no function"]),
        (("summary = ", "sum = "), ["lacks `summary`"]),
    ],
)
def test_what_a_class_lacks_is_told(module: Write, change: tuple[str, str], messages: list[str]) -> None:
    assert change[0] in WHOLE
    name = f"{module(WHOLE.replace(*change))}:Mine"
    with pytest.raises(InputError) as told:
        find(name)
    assert [
        str(problem).startswith(f"{name} {text}") for problem, text in zip(told.value.problems, messages, strict=True)
    ]
    for message in messages:
        assert f"{name} {message}" in str(told.value)


SAYS = {
    "acts_on": ("a list of sampler, embeddings", ['"sampler"', "None", '("smapler",)', "(1,)"]),
    "needs": ("a list of class labels, group", ['"class labels"', "7", '("class label",)']),
    "shifts_prior": ("True or False", ["None", '"no"', "1"]),
    "corrects_prior": ("True or False", ["None", '"no"']),
    "warning": ("a line of text", ["None", "3", '"a\\nb"']),
    "idle": ("a list of texts", ['"power"', "(1,)"]),
}


def with_function(what: str, body: str) -> str:
    """The class, with a function of that name instead of what it declares."""
    lines = [line for line in WHOLE.splitlines() if not line.strip().startswith(f"{what} =")]
    return "\n".join([*lines, f"    def {what}(self, params, *more):", f"        {body}", ""])


@pytest.mark.parametrize(("what", "value"), [(what, value) for what, (_, many) in SAYS.items() for value in many])
def test_a_wrong_answer_is_told_with_class_and_name_before_anything_trains(
    module: Write, what: str, value: str
) -> None:
    entry = MethodSettings(name=f"{module(with_function(what, f'return {value}'))}:Mine")
    told = [message for _, message in entry_complaints(entry, ("at",), ASK, threshold=False)]
    assert len(told) == 1
    assert told[0].startswith(f"{entry.name}.{what} must give {SAYS[what][0]}")
    assert f", got {eval(value)!r}" in told[0]


@pytest.mark.parametrize("what", SAYS)
def test_a_declaration_that_raises_is_told_with_class_and_name(module: Write, what: str) -> None:
    entry = MethodSettings(name=f"{module(with_function(what, 'return 1 / 0'))}:Mine")
    told = [message for _, message in entry_complaints(entry, ("at",), ASK, threshold=False)]
    assert told == [f"{entry.name}.{what} raised ZeroDivisionError: division by zero"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1 / 0", "unmet raised ZeroDivisionError: division by zero"),
        ("yield 1 / 0", "unmet raised ZeroDivisionError: division by zero"),
        ("return 'too few rows'", "unmet must give a list of texts, got 'too few rows'"),
        ("return None", "unmet must give a list of texts, got None"),
        ("return [3]", "unmet must give a list of texts, got [3]"),
    ],
)
def test_what_the_data_lack_must_be_said_properly(module: Write, body: str, message: str) -> None:
    name = f"{module(with_function('unmet', body))}:Mine"
    remedy = Remedy.of(MethodSettings(name=name), find)
    (told,) = remedy.unmet(ASK, Counts({}, {}, {}, {}, 0))
    assert told == f"{name}: {name}.{message}"


def test_messages_may_be_yielded(module: Write) -> None:
    name = f"{module(with_function('unmet', 'yield params.__class__.__name__'))}:Mine"
    (told,) = Remedy.of(MethodSettings(name=name), find).unmet(ASK, Counts({}, {}, {}, {}, 0))
    assert told == f"{name}: NoParams"


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("starts_over = 'no'", "has `starts_over` that is neither true nor false: 'no'"),
        ("uses_adjust = 1", "has `uses_adjust` that is neither true nor false: 1"),
        ("excludes = 'focal'", "has `excludes` that is no list of texts: 'focal'"),
        ("goes_with = (1,)", "has `goes_with` with 1, which is no text"),
        ("space = {'power': 3}", "has `space` with 'power' that is no list of values: 3"),
        ("space = {'power': ()}", "has `space` with 'power' that is no list of values: ()"),
        ("scopes = property(lambda self: 1 / 0)", "reading its attributes raised ZeroDivisionError"),
    ],
)
def test_what_is_declared_wrongly_is_told_when_it_is_found(module: Write, added: str, message: str) -> None:
    name = f"{module(WHOLE + f'    {added}')}:Mine"
    with pytest.raises(InputError) as told:
        find(name)
    assert message in str(told.value)


def test_values_that_its_own_parameters_refuse_are_told_before_they_are_tried(module: Write) -> None:
    source = """
    from pydantic import BaseModel, Field, model_validator

    class Limits(BaseModel, extra="forbid"):
        power: float = Field(0.5, le=1)
        other: float = 0.0

        @model_validator(mode="after")
        def together(self):
            if self.power + self.other > 1:
                raise ValueError("too much together")
            return self
    """
    home = module(
        textwrap.dedent(source) + WHOLE + "    Params = Limits\n    space = {'power': (1, 2), 'other': (0, 1)}"
    )
    entry = MethodSettings(name=f"{home}:Mine", params={"power": 0})
    told = [message for _, message in entry_complaints(entry, ("at",), ASK, threshold=False)]
    assert len(told) == 1
    assert "has `space` with power = 2, which its `Params` refuse: Input should be less than" in told[0]
    with pytest.raises(InputError, match=r"refuses .*too much together"):
        Remedy.of(MethodSettings(name=f"{home}:Mine"), find).with_values({f"{home}:Mine.other": 1})


def test_parameters_that_raise_are_told(module: Write) -> None:
    source = """
    from pydantic import BaseModel, field_validator

    class Broken(BaseModel):
        power: float = 0.5

        @field_validator("power")
        def odd(cls, value):
            raise KeyError("a defect")
    """
    home = module(textwrap.dedent(source) + WHOLE + "    Params = Broken")
    entry = MethodSettings(name=f"{home}:Mine", params={"power": 0})
    told = [message for _, message in entry_complaints(entry, ("at",), ASK, threshold=False)]
    assert told == [f"{home}:Mine.Params raised KeyError: 'a defect'"]


def test_everything_is_told_at_once(module: Write) -> None:
    with pytest.raises(InputError) as told:
        find(f"{module('class Empty: pass')}:Empty")
    assert [str(problem).split(" ", 1)[1] for problem in told.value.problems] == [
        f"lacks `{name}`" for name in ("summary", "source", "acts_on", "needs", "build")
    ]


def test_what_cannot_be_found_is_told_with_near_names(module: Write) -> None:
    name = module(WHOLE)
    with pytest.raises(InputError, match=f"'{name}' has no class 'Min'; near ones: Mine"):
        find(f"{name}:Min")
    with pytest.raises(InputError, match="has no class ''"):
        find(f"{name}:")
    with pytest.raises(InputError, match=r"cannot import 'no_such_module_here'.*PYTHONPATH"):
        find("no_such_module_here:Mine")
    with pytest.raises(InputError, match="cannot import ''"):
        find(":Mine")
    broken = module("1 / 0")
    with pytest.raises(InputError, match=f"importing '{broken}' raised ZeroDivisionError"):
        find(f"{broken}:Mine")
    with pytest.raises(InputError, match=r"Mine\(\) raised TypeError"):
        find(f"{module('class Mine:  # needs more' + chr(10) + '    def __init__(self, a): ...')}:Mine")


def test_a_build_that_fails_is_no_traceback(module: Write) -> None:
    broken = find(f"{module(WHOLE.replace('return Treatment', '1 / 0; return Treatment'))}:Mine")
    with pytest.raises(InputError, match="build raised ZeroDivisionError: division by zero"):
        broken.build(broken.Params(), ASK)
    nothing = find(f"{module(WHOLE.replace('return Treatment', 'Treatment'))}:Mine")
    with pytest.raises(InputError, match="build returned NoneType, not a Treatment"):
        nothing.build(nothing.Params(), ASK)
