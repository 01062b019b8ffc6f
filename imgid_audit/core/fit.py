"""How a classifier was trained and whether it fits: typed facts, no formatting, no IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from imgid_audit.core.comparison import MethodChange, MethodEstimate, Primary
from imgid_audit.core.slices import Slice
from imgid_audit.core.values import Interval, Undefined

TrialState = Literal["complete", "pruned", "failed"]
StudyKind = Literal["ladder", "data_ladder", "augment_effect"]
Answer = Literal["better", "same", "worse", "unknown"]
"""Of a change: above 0; within the tolerance on either side of 0; below 0; the data cannot tell."""


@dataclass(frozen=True, slots=True)
class SliceCurve:
    """Accuracy of the rows of `slice` (TOTAL, or one level) after every epoch; None where it has no rows.

    `train` is as seen in training (augmented, while weights still change); `val` of the network after the epoch.
    `train_rows`, `val_rows` are rows of the manifest; the epoch's resampling may have shown others.
    """

    slice: Slice
    train: tuple[float | None, ...]
    val: tuple[float | None, ...]
    train_rows: int
    val_rows: int


@dataclass(frozen=True, slots=True)
class Curves:
    """The audited network's training, one entry an epoch.

    - `train_loss`, `val_loss`: mean cross-entropy a row in nats; None without val rows
    - `lr`: learning rate of the last layer at the epoch's end
    - `best_epoch` (from 1): whose weights are audited; `criterion`, `ended` in words
    - `slices`: TOTAL first, then every level of every attribute
    - `best_frozen`: whether only the last layer had learnt by `best_epoch`; `best_averaged`: whether its weights are
      an average, None where none was asked for (or it was not kept)
    """

    train_loss: tuple[float, ...]
    val_loss: tuple[float | None, ...]
    lr: tuple[float, ...]
    best_epoch: int
    criterion: str
    ended: str
    slices: tuple[SliceCurve, ...]
    best_frozen: bool = False
    best_averaged: bool | None = None


@dataclass(frozen=True, slots=True)
class GeneralisationGap:
    """Accuracy on train less that on val, of the audited weights on images as they are.

    - `value` in [-1, 1]; `interval` by subject where there are subjects: train and val share none; those of
      levels hold for all levels together
    - `train`, `val`: the two accuracies; `*_interval` of one side, those of levels hold for all levels of that side
      together; `*_n` rows, `*_subjects` None without subjects
    """

    slice: Slice
    value: float | Undefined
    interval: Interval | None
    train: float | Undefined
    val: float | Undefined
    train_n: int
    val_n: int
    train_subjects: int | None
    val_subjects: int | None
    train_interval: Interval | None = None
    val_interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class SearchTrial:
    """One setting that a search tried; trial 0 is the settings as the config gives them.

    - `parameters`: by name of the space; `value`: the objective on val, of a pruned trial the last reported;
      None where it failed
    - `epochs` that were trained; `reason`: why it was pruned or failed, '' where complete
    """

    number: int
    parameters: Mapping[str, Any]
    state: TrialState
    value: float | None
    epochs: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """A search of training settings on val, and what its choice changed on test.

    - `objective` on val, better `higher` or `lower`; `criterion`: the same in words
    - `space`: what was searched, in words by name; `asked` trials; `ended`: ``all trials``, ``time`` or
      ``grid exhausted``
    - `chosen`: number of the trial with the best objective, None where none is complete
    - `importance`: share of the objective's variance that each parameter explains, highest first; () and a
      note where there were too few trials
    - `seeds`: of the networks that `estimates` and `changes` compare; trials had another one
    - `estimates`, `changes`: methods ``given`` and ``chosen``, on test; () where trial 0 was chosen
    - `val`: criterion on val by method, one a seed: what the choice is worth with other seeds
    """

    sampler: str
    pruner: str
    objective: Primary
    better: Literal["higher", "lower"]
    criterion: str
    space: Mapping[str, str]
    asked: int
    trials: tuple[SearchTrial, ...]
    chosen: int | None
    ended: str
    minutes: float | None = None
    importance: tuple[tuple[str, float], ...] = ()
    seeds: tuple[int, ...] = ()
    val: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    estimates: tuple[MethodEstimate, ...] = ()
    changes: tuple[MethodChange, ...] = ()
    level: float = 0.95
    notes: tuple[str, ...] = ()

    @property
    def finished(self) -> tuple[SearchTrial, ...]:
        """Trials that have the objective of a whole training."""
        return tuple(trial for trial in self.trials if trial.state == "complete")

    @property
    def choice(self) -> SearchTrial | None:
        """The chosen trial."""
        return next((trial for trial in self.trials if trial.number == self.chosen), None)

    @property
    def judged(self) -> MethodChange | None:
        """What the choice changed on test in the objective: the change that has the verdict, or could have had it.

        The class does not tell which: of the worst class it is the one that was worst.
        """
        asked = self.objective
        chosen = (one for one in self.changes if one.method == "chosen")
        own = [one for one in chosen if one.selected == "declared" and not one.recalibrated]
        same = [one for one in own if (one.quantity, one.metric) == (asked.quantity, asked.metric)]
        same.sort(key=lambda one: one.class_name != asked.class_name)
        return next((one for one in own if one.verdict is not None), same[0] if same else None)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of training in a study, trained once a seed.

    - `name`: as the report calls it; `parameters`: what makes it this one
    - `weights`: trainable numbers of the network; `train_rows`: images it learnt from; `group_rows`: of them by level
    - `train`: accuracy on its own training rows, one a seed, as they are; `images_seen` of one network
    - `status` ``not_run`` has a `reason` and no numbers
    """

    name: str
    parameters: Mapping[str, Any]
    weights: int
    train_rows: int
    group_rows: Mapping[str, int]
    train: tuple[float | None, ...]
    images_seen: int
    status: Literal["ran", "not_run"] = "ran"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """From one variant of a study to another, on the same val rows and seeds.

    - `quantity` and `slice` as in `MethodChange`, or ``class`` with the slice ``true class = LABEL``
    - `value`: after less before, accuracy in [-1, 1]
    - `interval`: by seeds and val rows together; those of groups and their worst hold together at the study's level,
      and so do those of classes and their worst, and that of all rows by itself
    """

    before: str
    after: str
    quantity: str
    slice: Slice
    value: float | Undefined
    interval: Interval | None
    answer: Answer


@dataclass(frozen=True, slots=True)
class Flattening:
    """Where a slice's curve stops rising in a data ladder.

    - `rows`: training rows of the slice at the last rung; `at`: at the rung from which on every two rungs are `same`,
      None where it does not flatten
    - `last`: the answer of the last step: `better` says that more would likely help
    """

    slice: Slice
    rows: int
    at: int | None
    last: Answer


@dataclass(frozen=True, slots=True)
class Study:
    """Several ways of training compared on val: architectures, shares of the training rows, or augmentations.

    - `variants` in the study's order: smallest first, in a ladder by weights, then those that have not run; for
      `augment_effect` the first is without any
    - `estimates`: accuracy on val of all rows, groups, worst group and worst class, by variant (`method`) and seed
    - `steps`: from each rung to the next; for `augment_effect` from the first to each
    - `enough`: in a ladder the smallest variant that no larger one is `better` than with evidence, None where the
      largest still is, or the data cannot tell
    - `flattening`: in a data ladder, total first; `tolerance`: the change that counts as none
    - `conclusion`: sentences that the numbers support
    """

    kind: StudyKind
    across: tuple[str, ...]
    tolerance: float
    level: float
    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]
    estimates: tuple[MethodEstimate, ...]
    steps: tuple[Step, ...]
    rows: int
    enough: str | None = None
    flattening: tuple[Flattening, ...] = ()
    conclusion: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fit:
    """Everything that ``fit.json`` says.

    - `curves`, `gaps`: of the audited network; None and () where it was not trained here
    - `search`: None where none was asked for; `studies` in the order ladder, data_ladder, augment_effect
    - `hashes`: of what it was computed from
    """

    curves: Curves | None
    gaps: tuple[GeneralisationGap, ...]
    search: Search | None = None
    studies: tuple[Study, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)
