"""A method of the user's own, from a module on the path: the documented example, and everything that can be wrong."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest

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
