"""The history as one HTML page that asks for nothing, in the report's own dress."""

from __future__ import annotations

from imgid_audit.export.templates import content_security_policy, environment
from imgid_audit.report.past import HistoryPage


def render_history(page: HistoryPage) -> bytes:
    """The page in UTF-8. What UTF-8 cannot hold (a lone surrogate) is shown as a replacement character."""
    template = environment().get_template("history.html.j2")
    return template.render(page=page, policy=content_security_policy(), medium="screen").encode("utf-8", "replace")
