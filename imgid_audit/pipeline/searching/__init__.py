"""The search of training settings: trials on val, the choice, and what it changed on test."""

from __future__ import annotations

from imgid_audit.pipeline.searching.step import confirm_step, join_search, kept_search, search_step, searches, settled

__all__ = ["confirm_step", "join_search", "kept_search", "search_step", "searches", "settled"]
