"""What `diff` says: losses and gains only beyond chance, once all comparisons are counted."""

from __future__ import annotations

import pytest

from imgid_audit.core.result import Interval, Undefined
from imgid_audit.core.slices import Slice
from imgid_audit.evaluation.changes import Change, Changes
from imgid_audit.export.changes_json import changes_document
from imgid_audit.report.changed import RunDifference, Side, VerdictChange, beyond_chance, lines, sentence


def change(level: str, metric: str, value: float, half: float, adjusted: float) -> Change:
    interval = Interval(value - half, value + half, 0.95, "made up")
    where = Slice(("site",), (level,))
    return Change(metric, "yes", where, 0.5, 0.5 + value, value, interval, 0.01, adjusted, (9, 9), None)


def difference(*found: Change, verdicts: tuple[VerdictChange, ...] = ()) -> RunDifference:
    side = Side("run", "name", "cells", 10)
    return RunDifference(side, side, Changes(True, found, ()), (), verdicts, "binary")


def told(*found: Change, verdicts: tuple[VerdictChange, ...] = ()) -> list[str]:
    return [line.replace("\xa0", " ").replace("\u2212", "-") for line in lines(difference(*found, verdicts=verdicts))]


GAIN = change("a", "recall", 0.2, 0.1, 0.001)
LOSS = change("b", "recall", -0.2, 0.1, 0.001)
WORSE = change("c", "false_positive_rate", 0.2, 0.1, 0.001)
ROSE = change("d", "selection_rate", 0.2, 0.1, 0.001)
ALONE = change("e", "recall", -0.1, 0.09, 0.4)
NONE = change("f", "recall", 0.01, 0.2, 1.0)
GONE = Change("recall", "yes", Slice(("site",), ("g",)), 0.5, Undefined("empty", "no rows"),
              Undefined("empty", "no rows"), None, None, None, (9, 0), None)  # fmt: skip


def test_losses_then_gains_then_what_has_no_direction_then_the_rest() -> None:
    verdict = VerdictChange("floor", "pass", "fail")
    assert told(NONE, ALONE, ROSE, GAIN, LOSS, WORSE, GONE, verdicts=(verdict,)) == [
        "site = b: recall of “yes” lost 20.0 points [10.0, 30.0]",
        "site = c: false positive rate of “yes” got worse by 20.0 points [10.0, 30.0]",
        "site = a: recall of “yes” gained 20.0 points [10.0, 30.0]",
        "site = d: selection rate of “yes” rose by 20.0 points [10.0, 30.0]",
        "not beyond chance once all 6 comparisons are counted, though each by itself would be:",
        "  site = e: recall of “yes” moved by -10.0 points [-19.0, -1.0]",
        "1 other change may be none",
        "1 value cannot be compared",
        "floor: pass before, fail now",
    ]


def test_complements_are_one_comparison() -> None:
    same = change("e", "false_negative_rate", 0.1, 0.09, 0.4)
    assert told(ALONE, same)[0].startswith("not beyond chance once all 1 comparisons")


@pytest.mark.parametrize("count", [3, 10, 13])
def test_at_most_ten_are_listed_apart_largest_first(count: int) -> None:
    found = told(*(change(f"s{i}", "recall", (i + 1) / 50, (i + 0.5) / 50, 0.4) for i in range(count)))
    assert len(found) == 1 + min(count, 10) + (count > 10)
    assert f"moved by +{2 * count}.0 points" in found[1]
    assert f"moved by +{2 * (count - 1)}.0 points" in found[2]
    assert found[-1].endswith("and 3 more, see the table") == (count == 13)
    assert not any("gained" in line or "lost" in line for line in found)


def test_a_run_beside_itself_has_no_other_changes() -> None:
    same = tuple(change(f"s{i}", "recall", 0.0, 0.1, 1.0) for i in range(133))
    assert told(*same) == ["133 values did not change"]
    assert told(NONE) == ["1 change may be none"]
    assert told(LOSS, *same)[-1] == "133 other values did not change"


def test_json_says_the_same_as_the_terminal() -> None:
    found = changes_document(difference(LOSS, ALONE, NONE))["changes"]
    assert [one["beyond_chance"] for one in found] == [True, False, False]
    assert [" lost " in one["text"] for one in found] == [True, False, False]
    assert found[1]["text"].endswith("not beyond chance once all comparisons are counted")
    assert found[2]["text"].endswith("which may be no change")
    assert sentence(LOSS, multiclass=False) == found[0]["text"]


def test_the_level_is_that_of_the_intervals() -> None:
    strict = Change("recall", "yes", Slice(), 0.5, 0.3, -0.2, Interval(-0.3, -0.1, 0.99, ""), 0.01, 0.03, (9, 9), None)
    assert not beyond_chance(strict)
    assert beyond_chance(change("a", "recall", -0.2, 0.1, 0.03))
