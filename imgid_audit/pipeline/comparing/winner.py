"""The winner on val as an ordinary weights file, to be audited like any other."""

from __future__ import annotations

from imgid_audit.core.comparison import Winner
from imgid_audit.pipeline.comparing.bench import Bench
from imgid_audit.pipeline.comparing.laboratory import Laboratory
from imgid_audit.pipeline.comparing.tried import Tried
from imgid_audit.pipeline.comparing.tuning import best

FILE = "mitigations/winner.safetensors"


def export_winner(bench: Bench, laboratory: Laboratory, tried: list[Tried]) -> Winner | None:
    """The method of the highest mean criterion on val, and of its networks the one of the highest; first of equals.

    None where no method has a defined criterion for every seed. A decision rule of the method's own cannot
    be written as weights: then there is no file, and the reason is told.
    """
    means = [_mean(one) for one in tried]
    place = best(means)
    if place is None:
        return None
    one = tried[place]
    at = best(list(one.record.val))
    assert at is not None
    value, seed = one.record.val[at], bench.seeds[at]
    assert value is not None
    path = bench.job.folder.path / FILE
    if one.remedy.treatment(bench.ask).decide is not None:
        path.unlink(missing_ok=True)
        reason = "its decision rule is not part of a network's weights"
        return Winner(one.record.name, seed, value, "", "", reason)
    sha256 = laboratory.save(one.networks["declared"][at], path)
    return Winner(one.record.name, seed, value, FILE, sha256)


def _mean(one: Tried) -> float | None:
    known = [value for value in one.record.val if value is not None]
    return sum(known) / len(known) if known and len(known) == len(one.record.val) else None
