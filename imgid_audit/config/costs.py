"""What a table of costs must be: see `core.cost_table`."""

from imgid_audit.core.cost_table import cost_complaints

__all__ = ["cost_complaints"]
