"""Outcomes and errors become exit codes, messages on stderr and results on stdout; the pipeline is a fake."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from imgid_audit import pipeline
from imgid_audit.cli import app
from imgid_audit.core.errors import InputError, Problem, StoppedError
from imgid_audit.core.result import AuditResult, DataAccount, Evaluation, Verdict
from imgid_audit.core.slices import Slice
from imgid_audit.core.task import Task
from imgid_audit.pipeline import CheckSummary, Outcome

CONFIG = "name: a\ntask: {type: multiclass}\npredictions: {table: p.csv}\n"

VERDICTS = (
    Verdict("ok", "pass", "well inside", 0.9, 0.85, None, 0.8, Slice(), None),
    Verdict("gap", "fail", "far outside", 0.3, 0.2, None, 0.1, Slice(("sex",), ("f",)), None),
    Verdict("few", "inconclusive", "too few", 0.1, 0.0, 0.3, 0.1, None, {"f": 40}),
    Verdict("none", "not_evaluated", "no scores", None, None, None, 0.1, None, None),
)


def result(verdicts: tuple[Verdict, ...]) -> AuditResult:
    evaluation = Evaluation(
        Task("multiclass", ("a", "b")), (), (), verdicts, np.zeros((2, 2), dtype=np.int64), (), None
    )
    data = DataAccount(0, 0, 0, 0, None, {}, {}, {}, {})
    return AuditResult("a", data, evaluation, (), (), {}, {}, {})


@dataclass
class FakePipeline:
    """Stands in for every function of the pipeline: records the call, then does `then`."""

    outcome: Outcome = field(
        default_factory=lambda: Outcome(result(VERDICTS), Path("run"), (Path("run/report.html"),), 1)
    )
    error: BaseException | None = None
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    def named(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            if "progress" in kwargs:
                kwargs["progress"].step("working")
                kwargs["progress"].update(1, 2, "half")
            if self.error is not None:
                raise self.error
            return CheckSummary(("12 rows", "rule a")) if name == "check" else self.outcome

        return call


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePipeline:
    pipe = FakePipeline()
    for name in ("run", "train", "search", "predict", "evaluate", "report", "gate", "demo", "check"):
        monkeypatch.setattr(pipeline, name, pipe.named(name))
    return pipe


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "audit.yaml").write_text(CONFIG)
    return tmp_path / "audit.yaml"


def invoke(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


STEPS = ("run", "train", "search", "predict", "evaluate", "report")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_outcomes_code_is_the_exit_code(step: str, code: int, fake: FakePipeline, config: Path) -> None:
    fake.outcome = Outcome(None, Path("run"), (), code)
    assert invoke(step, config).exit_code == code
    assert [name for name, _, _ in fake.calls] == [step]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            InputError([Problem("t.csv row 7 [age]", "is no number"), Problem("", "second")]),
            2,
            "t.csv row 7 [age] is no",
        ),
        (StoppedError("3 of 9 images failed"), 3, "stopped: 3 of 9 images failed"),
        (KeyboardInterrupt(), 3, "the same command resumes"),
        (OSError(28, "No space left on device", "run/x"), 3, "stopped: cannot write (run/x): No space left on device"),
        (
            OSError(5, "Input/output error"),
            4,
            "internal error, a defect of imgid-audit: OSError: [Errno 5] Input/output",
        ),
        (RuntimeError("boom"), 4, "internal error, a defect of imgid-audit: RuntimeError: boom"),
        (MemoryError(), 4, "internal error, a defect of imgid-audit: MemoryError"),
        (AssertionError(), 4, "internal error, a defect of imgid-audit: AssertionError"),
    ],
)
def test_errors_have_their_codes(
    step: str, error: BaseException, code: int, message: str, fake: FakePipeline, config: Path
) -> None:
    fake.error = error
    done = invoke(step, config)
    assert done.exit_code == code
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_all_problems_are_told(fake: FakePipeline, config: Path) -> None:
    fake.error = InputError([Problem("a:1", "one"), Problem("a:2", "two")])
    assert invoke("run", config, "--quiet").stderr.splitlines() == ["error: a:1 one", "error: a:2 two"]


def test_a_crash_keeps_its_traceback_and_shows_it_when_asked(
    fake: FakePipeline, config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fake.error = RuntimeError("boom")
    done = invoke("run", config)
    kept = re.search(r"the traceback is in (\S+\.txt);", done.stderr)
    assert kept is not None
    assert "RuntimeError: boom" in Path(kept[1]).read_text()
    monkeypatch.setenv("IMGID_AUDIT_DEBUG", "1")
    assert "Traceback" in invoke("run", config).stderr


def test_verdicts_are_told_in_words(fake: FakePipeline, config: Path) -> None:
    done = invoke("run", config)
    assert done.stdout.splitlines() == [
        "PASS           ok: well inside",
        "FAIL           gap: far outside",
        "INCONCLUSIVE   few: too few",
        "               to settle it: 40 more images of f",
        "NOT EVALUATED  none: no scores",
        "rules: 1 pass, 1 fail, 1 inconclusive, 1 not evaluated",
        str(Path("run/report.html")),
    ]
    assert done.stderr == "working\n"


def test_quiet_leaves_results_alone(fake: FakePipeline, config: Path) -> None:
    done = invoke("run", config, "--quiet")
    assert done.stderr == ""
    assert "FAIL" in done.stdout


def test_json_is_all_of_stdout(fake: FakePipeline, config: Path) -> None:
    done = invoke("run", config, "--json")
    told = json.loads(done.stdout)
    assert (told["exit_code"], told["folder"], told["files"]) == (1, "run", [str(Path("run/report.html"))])
    assert told["verdicts"][1] == {
        "rule": "gap", "status": "fail", "reason": "far outside", "observed": 0.3, "low": 0.2, "high": None,
        "tolerance": 0.1, "worst": {"sex": "f"}, "subjects_needed": None,
        "subjects_needed_range": None, "waiver": None, "method": None,
    }  # fmt: skip
    assert told["verdicts"][2]["subjects_needed"] == {"f": 40}
    fake.error = InputError([Problem("a:1", "one")])
    assert json.loads(invoke("run", config, "--json").stdout) == {
        "exit_code": 2,
        "problems": [{"where": "a:1", "message": "one"}],
    }


def test_an_audit_without_rules_says_so(fake: FakePipeline, config: Path) -> None:
    fake.outcome = Outcome(result(()), Path("run"), (), 0)
    assert invoke("run", config).stdout == "No policy rules, so no verdicts.\n"


@pytest.mark.parametrize("step", STEPS)
def test_options_reach_the_pipeline(step: str, fake: FakePipeline, config: Path, tmp_path: Path) -> None:
    invoke(step, config, "--out", tmp_path / "r", "--set", "name=b", "--set", "intervals.draws=7", "--trust-model-code")
    ((_, (settings,), options),) = fake.calls
    assert (settings.name, settings.intervals.draws, settings.folder) == ("b", 7, tmp_path)
    assert options["out"] == tmp_path / "r"
    assert options["trust_model_code"] is True
    invoke(step, config)
    assert fake.calls[1][2]["out"] is None
    assert fake.calls[1][2]["trust_model_code"] is False


def test_gate_and_demo_and_check(fake: FakePipeline, config: Path, tmp_path: Path) -> None:
    assert invoke("gate", tmp_path, "--policy", "p.yaml").exit_code == 1
    assert invoke("gate", tmp_path).exit_code == 1
    fake.outcome = Outcome(result(VERDICTS), Path("run"), (), 0)
    assert invoke("demo", "--out", tmp_path / "d").exit_code == 0
    assert [(name, args) for name, args, _ in fake.calls] == [
        ("gate", (tmp_path, Path("p.yaml"))),
        ("gate", (tmp_path, None)),
        ("demo", (tmp_path / "d",)),
    ]
    done = invoke("check", config)
    assert (done.exit_code, done.stdout) == (0, "12 rows\nrule a\n")
    assert json.loads(invoke("check", config, "--json").stdout) == {"exit_code": 0, "lines": ["12 rows", "rule a"]}


def test_a_wrong_config_runs_nothing(fake: FakePipeline, config: Path) -> None:
    done = invoke("run", config, "--set", "task.type=ternary")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: --set task.type=ternary [task > type] must be 'binary' or 'multiclass'")
    assert invoke("check", config.parent / "none.yaml").exit_code == 2
    assert fake.calls == []
