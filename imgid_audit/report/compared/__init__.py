"""A comparison of mitigations in words, tables and drawings; what `compare` prints."""

from __future__ import annotations

from imgid_audit.report.compared.lines import COLUMNS, comparison_lines, comparison_rows

__all__ = ["COLUMNS", "comparison_lines", "comparison_rows"]
