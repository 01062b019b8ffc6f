"""Intervals, resampling, gaps and verdicts: pure mathematics on arrays of counts."""
