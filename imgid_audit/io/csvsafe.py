"""Text in CSV files that a spreadsheet shows instead of running."""

from __future__ import annotations

import re

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def neutralise(text: str) -> str:
    """`text`, with an apostrophe before it where a spreadsheet would take it for a formula.

    That is where it begins with ``= + - @``, tab or return (OWASP, "CSV Injection"); blanks before
    them do not help. A number, such as -0.25, stays a number.
    """
    starts = text.startswith(_FORMULA) or text.lstrip(" \n").startswith(_FORMULA)
    return f"'{text}" if starts and not _NUMBER.fullmatch(text) else text
