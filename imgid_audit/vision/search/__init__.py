"""Search of training settings by Optuna: what may be tried, and studies that resume and are shared."""

from imgid_audit.vision.search.complaints import complaints
from imgid_audit.vision.search.space import SEARCHABLE, Space
from imgid_audit.vision.search.study import Study, Ticket, open_study

__all__ = ["SEARCHABLE", "Space", "Study", "Ticket", "complaints", "open_study"]
