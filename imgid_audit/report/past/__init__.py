"""The history page: many audits as records, trends and tables."""

from imgid_audit.report.past.page import HistoryPage, build_history
from imgid_audit.report.past.records import record

__all__ = ["HistoryPage", "build_history", "record"]
