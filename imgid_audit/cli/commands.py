"""The commands. Every one parses, calls the pipeline and exits with the outcome's code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgid_audit import __version__
from imgid_audit.cli.guard import close_stdout, guarded
from imgid_audit.core.errors import InputError

if TYPE_CHECKING:
    from imgid_audit.core.progress import Progress
    from imgid_audit.pipeline import Outcome

EXIT_CODES = """Exit codes: 0 done; 1 done, but the policy is not met (run, evaluate, gate); 2 bad usage, config or
input, nothing was run; 3 stopped part-way, the same command resumes; 4 an internal error."""

app = typer.Typer(
    name="imgid-audit",
    help="Audits image classifiers for bias, in batch, and writes reports that people file.",
    epilog=EXIT_CODES,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _folder(text: str | Path) -> Path:
    """A folder that was named; an empty text (an unset variable in a script) is not the working directory."""
    if not str(text).strip():
        raise typer.BadParameter("must name a folder, got an empty text")
    return Path(text)


def _file(text: str | Path) -> Path:
    """A file that was named."""
    if not str(text).strip():
        raise typer.BadParameter("must name a file, got an empty text")
    return Path(text)


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="The audit's YAML file.", show_default=False)]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", parser=_folder, help="The run folder.  [default: runs/NAME/KEY beside the config]"
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, as in predict.batch_size=8; repeatable."),
]
TrustModelCode = Annotated[
    bool,
    typer.Option("--trust-model-code", help="Load weights that run code; the config must give their sha256."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Results on stdout as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No messages but errors.")]


class Kind(StrEnum):
    """What `list` can list."""

    metrics = "metrics"
    mitigations = "mitigations"
    checks = "checks"
    sections = "sections"
    formats = "formats"
    methods = "methods"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"imgid-audit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Without a docstring of its own: the app's help is shown."""


def _finish(work: Callable[[Progress], Outcome], *, as_json: bool, quiet: bool) -> None:
    """Run a step of the pipeline, print what came of it, exit with its code."""
    from imgid_audit.cli.terminal import progress, removed_text, show

    with progress(quiet) as listener:
        outcome = work(listener)
    if outcome.silent:
        raise typer.Exit(outcome.exit_code)
    removed = removed_text(outcome)
    if removed and not quiet:
        typer.echo(removed, err=True)
    try:
        show(outcome, as_json=as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        close_stdout()  # the reader has seen enough (`| head`): the verdicts still decide the exit code
    raise typer.Exit(outcome.exit_code)


@app.command()
@guarded
def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", parser=_folder, help="Where to write it.")] = Path(
        "demo"
    ),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run the whole job on an embedded example. Needs no network."""
    from imgid_audit import pipeline

    _finish(lambda progress: pipeline.demo(out, progress=progress), as_json=as_json, quiet=quiet)


@app.command()
@guarded
def init(
    manifest: Annotated[
        Path,
        typer.Option("--manifest", metavar="FILE", help="CSV, Parquet or a folder of folders.", show_default=False),
    ],
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write audit.yaml.")] = Path(),
) -> None:
    """Write a commented audit.yaml for a table of images."""
    from imgid_audit.config import write_config

    typer.echo(str(write_config(folder, manifest)))


@app.command()
@guarded
def check(config: ConfigFile, overrides: Overrides = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Validate config, tables and files; run nothing."""
    from imgid_audit import pipeline
    from imgid_audit.config import load_config

    summary = pipeline.check(load_config(config, overrides=overrides or ()))
    if quiet and not as_json:
        return
    if as_json:
        import json

        typer.echo(json.dumps({"exit_code": 0, "lines": list(summary.lines)}, indent=2, ensure_ascii=False))
    else:
        typer.echo("\n".join(summary.lines))


def _add_step(name: str, doc: str) -> None:
    """A command that does all of a run, or one step of it: these differ in name alone."""

    def step(
        config: ConfigFile,
        out: Out = None,
        overrides: Overrides = None,
        trust_model_code: TrustModelCode = False,
        as_json: AsJson = False,
        quiet: Quiet = False,
    ) -> None:
        from imgid_audit import pipeline
        from imgid_audit.config import load_config

        settings = load_config(config, overrides=overrides or ())
        work = getattr(pipeline, name)
        _finish(
            lambda progress: work(settings, out=out, progress=progress, trust_model_code=trust_model_code),
            as_json=as_json,
            quiet=quiet,
        )

    step.__doc__ = doc
    app.command(name)(guarded(step))


_add_step("run", "Do everything the config asks for; resume what was interrupted.")
_add_step("search", "Search training settings; several processes may share it.")
_add_step("train", "Train the model, where the config gives no weights.")
_add_step("predict", "Predict every image; resume what was interrupted.")
_add_step("evaluate", "Compute estimates, gaps and verdicts.")
_add_step("compare", "Compare the mitigations that the config names; resume.")
_add_step("report", "Write the report from the run's evaluation.")


@app.command()
@guarded
def gate(
    run_folder: RunFolder,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", help="Another policy (YAML).  [default: the run's own]"),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", parser=_file, help="Write the verdicts as JUnit XML too.")
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Apply a policy to what a run has kept; change nothing."""
    from imgid_audit import pipeline

    _finish(lambda _: pipeline.gate(run_folder, policy, junit=junit), as_json=as_json, quiet=quiet)


@app.command()
@guarded
def history(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that holds runs.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", parser=_file, help="The page.  [default: DIR/history.html]"),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show audits over time: a table and an HTML page.

    The page draws a trend for every rule and metric of the runs below DIR.
    """
    from imgid_audit import pipeline
    from imgid_audit.cli.past import show_history
    from imgid_audit.cli.terminal import progress

    with progress(quiet) as listener:
        outcome = pipeline.history(folder, out=out, progress=listener)
    show_history(outcome, as_json=as_json)


@app.command()
@guarded
def diff(
    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="The run folder to start from.", show_default=False)],
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="The run folder to compare.", show_default=False)],
    common: Annotated[
        bool, typer.Option("--common", help="Pair the rows that both runs have and agree on; leave the others out.")
    ] = False,
    unpaired: Annotated[
        bool, typer.Option("--unpaired", help="Compare the runs as independent samples, whatever their rows.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what changed between two runs.

    They are paired row by row where they evaluated the same data.
    """
    from imgid_audit import pipeline
    from imgid_audit.cli.differences import show_difference

    if common and unpaired:
        raise InputError("--common pairs rows and --unpaired does not: give one of the two")
    how = "common" if common else "unpaired" if unpaired else "paired"
    show_difference(pipeline.diff(first, second, how), as_json=as_json)


@app.command("list")
@guarded
def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.", show_default=False)], as_json: AsJson = False
) -> None:
    """List what is registered, with one line each.

    Of mitigations also where each acts, what it needs, its parameters and source.
    """
    if kind is Kind.mitigations:
        from imgid_audit.cli.methods import show_mitigations

        show_mitigations(as_json=as_json)
        return
    plugins = _registered(kind)
    if as_json:
        import json

        typer.echo(
            json.dumps([{"name": name, "summary": text} for name, text in plugins], indent=2, ensure_ascii=False)
        )
        return
    width = max((len(name) for name, _ in plugins), default=0)
    for name, text in plugins:
        typer.echo(f"{name:<{width}}  {text}")


def _registered(kind: Kind) -> list[tuple[str, str]]:
    """Name and summary of every plugin of a kind."""
    from importlib import import_module

    package, registry = {
        Kind.metrics: ("metrics", "METRICS"),
        Kind.checks: ("checks", "CHECKS"),
        Kind.sections: ("report", "SECTIONS"),
        Kind.formats: ("export", "FORMATS"),
        Kind.methods: ("stats.methods", "METHODS"),
    }[kind]
    plugins = getattr(import_module(f"imgid_audit.{package}"), registry)
    return [(plugin.name, plugin.summary) for plugin in plugins]
