"""Payloads and results as bytes: HTML, PDF, JSON, CSV, JUnit XML; and the one writer of disk."""

from __future__ import annotations

from imgid_audit.core.registry import Registry
from imgid_audit.export import csv_tables, html_page, json_file, junit, pdf_file
from imgid_audit.export.audit_reader import read_audit
from imgid_audit.export.formats import Files, Format
from imgid_audit.export.writer import write

__all__ = ["FORMATS", "Files", "Format", "read_audit", "write"]

FORMATS: Registry[Format] = Registry("format")
FORMATS.register(html_page.FORMAT)
FORMATS.register(pdf_file.FORMAT)
FORMATS.register(json_file.FORMAT)
FORMATS.register(csv_tables.FORMAT)
FORMATS.register(junit.FORMAT)
