"""The command line: verbs only. Parse, call the pipeline, map the outcome to an exit code.

Imports nothing heavy at the top, so that `--help` is quick; a command imports what it runs.
"""

from imgid_audit.cli.commands import app


def main() -> None:
    """Entry point of ``imgid-audit``."""
    app(prog_name="imgid-audit")


__all__ = ["app", "main"]
