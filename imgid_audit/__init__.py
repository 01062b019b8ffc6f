"""Audits PyTorch image classifiers for bias and writes reports that people file."""

__version__ = "0.1.0"
