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

    A decision rule of a method's own cannot be written as weights: the best method that can be is written, and
    the reason tells what came before it. None where no method has a defined criterion for every seed.
    """
    means = [_mean(one) for one in tried]
    first = best(means)
    place = best([mean if _writable(bench, one) else None for mean, one in zip(means, tried, strict=True)])
    path = bench.job.folder.path / FILE
    if first is None or place is None:
        path.unlink(missing_ok=True)
        return None
    one = tried[place]
    at = best(list(one.record.val))
    assert at is not None
    value, seed = one.record.val[at], bench.seeds[at]
    assert value is not None
    reason = ""
    if first != place:
        reason = (
            f"{tried[first].record.name} was better on val, but its decision rule is not part of a network's weights"
        )
    sha256 = laboratory.save(one.picks["declared"].networks[at], path)
    return Winner(one.record.name, seed, value, FILE, sha256, reason)


def _writable(bench: Bench, one: Tried) -> bool:
    return "declared" in one.picks and one.picks["declared"].remedy.treatment(bench.ask).decide is None


def _mean(one: Tried) -> float | None:
    known = [value for value in one.record.val if value is not None]
    return sum(known) / len(known) if known and len(known) == len(one.record.val) else None
