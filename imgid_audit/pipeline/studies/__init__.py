"""Studies of training: several architectures, shares of the training rows, with and without augmentation.

All of them speak of val; the test split is never asked.
"""

from __future__ import annotations

from imgid_audit.pipeline.studies.networks import Network, decisions_of, trained
from imgid_audit.pipeline.studies.step import kept_studies, study_steps, untold_studies

__all__ = ["Network", "decisions_of", "kept_studies", "study_steps", "trained", "untold_studies"]
