"""The comparison of mitigations: every method tuned alike, trained with every seed, judged on the same rows.

`bench` says what is compared, `heads` and `whole` train networks, `tuning` picks settings on val,
`answers` makes decisions of scores; the maths of the comparison is in `imgid_audit.comparison`.
"""

from imgid_audit.pipeline.comparing.compare import compare_step, kept_comparison

__all__ = ["compare_step", "kept_comparison"]
