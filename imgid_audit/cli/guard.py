"""From exceptions to exit codes: what a user caused is a message, what we caused is exit 4."""

from __future__ import annotations

import errno
import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import typer

from imgid_audit.core.errors import AuditError, InputError, StoppedError

Command = TypeVar("Command", bound=Callable[..., None])

DEBUG = "IMGID_AUDIT_DEBUG"
INTERNAL = 4


def guarded(command: Command) -> Command:
    """The command with every exception turned into its exit code and a message on stderr.

    With ``as_json`` among the command's arguments, stdout gets ``{"exit_code", "problems"}`` too.
    """

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        as_json = bool(kwargs.get("as_json"))
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except typer.Exit:
            raise
        except AuditError as error:
            raise typer.Exit(report(error, as_json)) from None
        except KeyboardInterrupt:
            stopped = StoppedError("stopped; what is finished is kept, and the same command resumes")
            raise typer.Exit(report(stopped, as_json)) from None
        except BrokenPipeError:
            close_stdout()
            raise typer.Exit(0) from None
        except OSError as error:
            raise typer.Exit(report(_full(error) or error, as_json)) from None
        except Exception as error:
            raise typer.Exit(report(error, as_json)) from None

    return run  # type: ignore[return-value]


def _full(error: OSError) -> StoppedError | None:
    """A disk that takes nothing more stops the work; it is no defect of ours. None for other errors."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return None
    where = f" ({error.filename})" if error.filename else ""
    what = f"cannot write{where}: {error.strerror}"
    return StoppedError(f"{what}; what is finished is kept: make room, and the same command resumes")


def close_stdout() -> None:
    """Send what is still to be printed to nowhere: the reader of stdout has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report(error: BaseException, as_json: bool = False) -> int:
    """Tell of the error on stderr; its exit code."""
    code = error.exit_code if isinstance(error, AuditError) else INTERNAL
    if isinstance(error, InputError):
        problems = [{"where": problem.where, "message": problem.message} for problem in error.problems]
        for problem in error.problems:
            typer.echo(f"error: {problem}", err=True)
    else:
        text = str(error) if isinstance(error, AuditError) else _internal(error)
        problems = [{"where": "", "message": text}]
        typer.echo(f"{'stopped' if isinstance(error, StoppedError) else 'error'}: {text}", err=True)
    if as_json:
        import json

        typer.echo(json.dumps({"exit_code": code, "problems": problems}, indent=2, ensure_ascii=False))
    return code


def _internal(error: BaseException) -> str:
    """A short message for a defect of ours, and where its traceback is."""
    text = "".join(traceback.format_exception(error))
    if os.environ.get(DEBUG) == "1":
        typer.echo(text, err=True)
    summary = f"internal error, a defect of imgid-audit: {type(error).__name__}: {error}".rstrip(": ")
    place = _keep(text)
    return f"{summary}\n{place}; {DEBUG}=1 prints it" if place else summary


def _keep(text: str) -> str:
    try:
        handle, name = tempfile.mkstemp(prefix="imgid-audit-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return ""
    return f"the traceback is in {Path(name)}"
