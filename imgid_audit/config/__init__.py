"""The config file: pydantic models, and `load_config`, which reports every error with its line."""

from imgid_audit.config.load import load_config, load_policy
from imgid_audit.config.models import Config
from imgid_audit.config.template import write_config

__all__ = ["Config", "load_config", "load_policy", "write_config"]
