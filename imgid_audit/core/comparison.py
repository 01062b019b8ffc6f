"""The result of comparing mitigations: typed facts, no formatting, no IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from imgid_audit.core.slices import Slice
from imgid_audit.core.values import Interval, Undefined

Quantity = Literal["overall", "group", "worst_group", "worst_class", "gap"]
"""All rows; one group; the worst group, the worst class, and best less worst group of each trained network."""

ChangeVerdict = Literal["helps", "harms", "no evidence"]
MethodStatus = Literal["ran", "not_run"]
Selected = Literal["declared", "average"]


@dataclass(frozen=True, slots=True)
class Primary:
    """What the comparison was declared to be about, before anything was tried.

    `quantity` is ``overall`` without `across`, else ``worst_group`` or ``gap``; ``worst_class`` where a search
    is about the worst class's recall; `class_name` None: the metric has no
    class, or the mean over classes; the positive class in a binary task.
    """

    metric: str
    class_name: str | None
    across: tuple[str, ...]
    quantity: Quantity
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MethodEstimate:
    """A quantity of one method, of one seed's network or (`seed` None) the mean over its seeds.

    - `slice`: TOTAL, or the group; for the worst group and the worst class it is the group, or `class_name` the class,
      that is worst (for the mean over seeds: most often)
    - `interval` of the mean combines the scatter of seeds and the sampling of test rows; of one seed it
      is that of its estimate, and None for quantities that pick the worst of several
    - `recalibrated`: of scores brought back to the natural frequency of classes on val
    - `selected`: by which criterion trial and epoch were picked on val
    """

    method: str
    seed: int | None
    quantity: Quantity
    metric: str
    class_name: str | None
    slice: Slice
    value: float | Undefined
    interval: Interval | None
    n: int | None
    support: int | None
    subjects: int | None
    recalibrated: bool = False
    selected: Selected = "declared"


@dataclass(frozen=True, slots=True)
class MethodChange:
    """What a method changed against the baseline, on the same test rows and the same seeds.

    - `value`: mean over seeds of method - baseline, in the metric's own unit; `before`, `after` the two means
    - `interval` combines `seed_error` (standard error from the scatter of seeds) and `test_error` (from
      the sampling of test rows, by subject); both in the unit of `value`
    - of the worst and the gap `interval` and `p_value` also hold for levels that are picked on other rows
    - `p_value` that the change is 0, by the same combination; `p_adjusted` (Holm over the methods, of the
      change alone; never below `p_value`) and
      `verdict` for the primary quantity alone
    - `slice`: of a group; for the worst group the baseline's (most often); else TOTAL
    - `levelling_down`: the gap closed only because the best group lost
    """

    method: str
    quantity: Quantity
    metric: str
    class_name: str | None
    slice: Slice
    value: float | Undefined
    interval: Interval | None
    before: float | Undefined
    after: float | Undefined
    p_value: float | None = None
    p_adjusted: float | None = None
    verdict: ChangeVerdict | None = None
    levelling_down: bool = False
    seed_error: float | None = None
    test_error: float | None = None
    recalibrated: bool = False
    selected: Selected = "declared"


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting that was tried on val, with one seed of its own.

    - `parameters`: what was tried; `val`: the declared criterion; `average`: accuracy of all val rows
    - `test`: the primary quantity on test, a diagnostic that picked nothing; each None where undefined
    - `failed`: why there is no value ('' where there is)
    """

    parameters: Mapping[str, Any]
    val: float | None
    average: float | None
    test: float | None
    failed: str = ""


@dataclass(frozen=True, slots=True)
class MethodRecord:
    """One method, or several combined: what it is, how it was tuned, what it cost.

    - `name`: as the report calls it; `methods`: registered names; `acts_on`, `needs`, `source`: as declared
    - `parameters`: those of the chosen trial; `trials` in order, none where there was one setting alone
    - `chosen` by the declared criterion, `chosen_by_average` by plain accuracy, `chosen_by_test` by the
      primary quantity on test (diagnostic)
    - `val`: the criterion on val of each seed's network
    - `images_seen`: through the backbone, of one network; `rows_seen`: embeddings through its head, refits included
    - `images_total`, `rows_total`: of all trials and seeds, were this method the only one; an embedding pass that they
      share counts once
    - `tuned`: values that the method chose by itself, as ``method.parameter``, for each seed; () where it chose none
    - `uses_adjust`: it learnt from the rows set aside, which the baseline was not trained on
    - `status` ``not_run`` has a `reason` and none of the rest; `seconds` measured, for all of it
    """

    name: str
    methods: tuple[str, ...]
    scope: str
    acts_on: tuple[str, ...]
    needs: tuple[str, ...]
    source: str
    parameters: Mapping[str, Any]
    status: MethodStatus
    reason: str
    seeds: tuple[int, ...]
    seconds: float
    trials: tuple[Trial, ...] = ()
    chosen: int | None = None
    chosen_by_average: int | None = None
    chosen_by_test: int | None = None
    val: tuple[float | None, ...] = ()
    images_seen: int = 0
    rows_seen: int = 0
    shifts_prior: bool = False
    notes: tuple[str, ...] = ()
    uses_adjust: bool = False
    tuned: tuple[Mapping[str, float], ...] = ()
    images_total: int = 0
    rows_total: int = 0


@dataclass(frozen=True, slots=True)
class Winner:
    """The method of the highest mean criterion on val; `seed` is the network of the highest among its seeds.

    `weights` is a path below the run folder, '' where its decisions cannot be written as weights (`reason`).
    `val` is None only where it is hidden (see `Privacy`).
    """

    method: str
    seed: int
    val: float | None
    weights: str
    sha256: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that ``comparison.json`` says.

    - `baseline`: name of the method that all are compared with
    - `criterion`: on val, in words; `trials`: tried per method; `rows`: of each split that were used
    - `left_out`: groups that the worst group and the gap leave out, with the reason
    - `settings`: the `mitigations:` block as run; `hashes`: of what it was computed from
    """

    scope: str
    backbone: str
    baseline: str
    primary: Primary
    criterion: str
    seeds: tuple[int, ...]
    trials: int
    rows: Mapping[str, int]
    records: tuple[MethodRecord, ...]
    estimates: tuple[MethodEstimate, ...]
    changes: tuple[MethodChange, ...]
    winner: Winner | None
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    level: float = 0.95
    settings: Mapping[str, Any] = field(default_factory=dict)
    hashes: Mapping[str, str] = field(default_factory=dict)

    def record(self, name: str) -> MethodRecord:
        """The method of that name; KeyError names those there are."""
        for record in self.records:
            if record.name == name:
                return record
        raise KeyError(f"no method {name!r}; there are {[record.name for record in self.records]}")
