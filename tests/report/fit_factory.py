"""Fits for the tests of report and export: simulated, with what is wanted planted; no code that trains or fits is used.

Curves follow plain formulas, intervals are plain normal ones, because what is tested here is how a fit is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, sin

from imgid_audit.core.comparison import ChangeVerdict, MethodChange, MethodEstimate, Primary, Quantity
from imgid_audit.core.fit import (
    Answer,
    Curves,
    Fit,
    Flattening,
    GeneralisationGap,
    Search,
    SearchTrial,
    SliceCurve,
    Step,
    Study,
    TrialState,
    Variant,
)
from imgid_audit.core.result import AuditResult, Interval, Undefined
from imgid_audit.core.slices import TOTAL, Slice
from tests.report import factory

PAIRED = "t on seeds and val rows, by subject"
GAP_METHOD = "MOVER on Wilson (effective n by subject)"
NONE = Undefined("empty", "no val rows of this group")
DEVICES = {
    "scanner": (0.96, 812, 260),
    "copier": (0.93, 530, 180),
    "handheld": (0.79, 160, 70),
    "(missing)": (0.9, 17, 9),
}
SEXES = {"F": (0.92, 760, 255), "M": (0.93, 745, 250), "X": (0.0, 14, 0)}
OBJECTIVE = Primary("accuracy", None, ("device",), "worst_group", ("(missing)",))


def level(attribute: str, name: str) -> Slice:
    return Slice((attribute,), (name,))


def around(value: float, half: float, method: str = PAIRED) -> Interval:
    return Interval(value - half, value + half, 0.95, method)


def curves(epochs: int = 24, best: int | None = None) -> Curves:
    """Training that overfits a little; val of `sex = X` has no rows, so its curve is absent."""
    best = best or max(1, round(epochs * 0.6))
    pace = [1 - exp(-4.5 * (e + 1) / max(epochs, 6)) for e in range(epochs)]
    wobble = [0.01 * sin(7 * e) for e in range(epochs)]
    known: dict[Slice, tuple[float, int, int]] = {TOTAL: (0.925, 1519, 519)}
    for attribute, levels in (("device", DEVICES), ("sex", SEXES)):
        known |= {level(attribute, name): found for name, found in levels.items()}
    return Curves(
        train_loss=tuple(2.3 * (1 - p) + 0.05 for p in pace),
        val_loss=tuple(2.3 * (1 - 0.88 * p) + 0.15 * p * e / max(epochs, 2) for e, p in enumerate(pace)),
        lr=tuple(0.001 * (1 - e / (epochs + 1)) for e in range(epochs)),
        best_epoch=best,
        criterion="accuracy of the worst group on val",
        ended="all epochs",
        slices=tuple(_curve(of, *found, pace, wobble) for of, found in known.items()),
    )


def _curve(of: Slice, top: float, train: int, val: int, pace: Sequence[float], wobble: Sequence[float]) -> SliceCurve:
    rise = tuple(0.1 + (min(top + 0.05, 1.0) - 0.1) * p for p in pace)
    if not val:
        return SliceCurve(of, rise, (None,) * len(pace), train, 0)
    seen = tuple(min(0.1 + (top - 0.1) * p + w, 1.0) for p, w in zip(pace, wobble, strict=True))
    return SliceCurve(of, rise, seen, train, val)


def gaps(subjects: bool = True) -> tuple[GeneralisationGap, ...]:
    """Handheld has the widest gap; `sex = X` has no val rows."""

    def gap(of: Slice, train: float, val: float | None, n: tuple[int, int], half: float) -> GeneralisationGap:
        held = (n[0] // 4, n[1] // 4) if subjects else (None, None)
        if val is None:
            return GeneralisationGap(of, NONE, None, train, NONE, *n, *held)
        ends = (around(train, half / 3, "Wilson"), around(val, half / 2, "Wilson"))
        return GeneralisationGap(of, train - val, around(train - val, half, GAP_METHOD), train, val, *n, *held, *ends)

    return (
        gap(TOTAL, 0.981, 0.925, (1519, 519), 0.021),
        gap(level("device", "scanner"), 0.988, 0.958, (812, 260), 0.024),
        gap(level("device", "copier"), 0.977, 0.929, (530, 180), 0.038),
        gap(level("device", "handheld"), 0.969, 0.786, (160, 70), 0.101),
        gap(level("device", "(missing)"), 1.0, 0.889, (17, 9), 0.33),
        gap(level("sex", "F"), 0.979, 0.922, (760, 255), 0.033),
        gap(level("sex", "M"), 0.983, 0.929, (745, 250), 0.032),
        gap(level("sex", "X"), 1.0, None, (14, 0), 0.0),
    )


LRS = (0.001, 0.00013, 0.0031, 0.012, 0.00071, 0.0046, 0.0019)


def trials(count: int = 20, best: int = 13) -> tuple[SearchTrial, ...]:
    """Trial 0 is as given; every sixth was pruned, trial 8 failed; `best` is the best."""

    def one(i: int) -> SearchTrial:
        state: TrialState = "failed" if i == 8 else "pruned" if i % 6 == 5 else "complete"
        value = None if i == 8 else 0.842 if i == best else 0.782 if i == 0 else 0.75 + 0.004 * (i * 7 % 17)
        reason = {
            "failed": "the loss became infinite in epoch 3",
            "pruned": "after 4 epochs worse than the median of the trials before",
            "complete": "",
        }[state]
        parameters = {
            "lr": LRS[i % len(LRS)],
            "weight_decay": 0.0001 if i % 3 == 0 else 0.0001 * 3 ** (i % 5),
            "augment.rotation": 0.0 if i == 0 else float(i % 4 * 5),
            "architecture": "resnet18" if i in (4, 9, best) else "smallcnn",
        }
        return SearchTrial(
            i, parameters, state, value, 4 if state == "pruned" else 2 if state == "failed" else 24, reason
        )

    return tuple(one(i) for i in range(count))


def search(
    verdict: ChangeVerdict | None = "helps", move: float = 0.052, half: float = 0.041, count: int = 20
) -> Search:
    """A search whose choice changed the worst group on test by `move`, with seeds of its own."""
    return Search(
        sampler="tpe",
        pruner="median",
        objective=OBJECTIVE,
        better="higher",
        criterion="accuracy in the worst group of device on val",
        space={
            "lr": "0.0001 to 0.03, its logarithm drawn evenly",
            "weight_decay": "1e-05 to 0.1, its logarithm drawn evenly",
            "augment.rotation": "0 to 15, in steps of 5",
            "architecture": "smallcnn, resnet18",
        },
        asked=20,
        trials=trials(count),
        chosen=13,
        ended="all trials",
        importance=(("lr", 0.61), ("architecture", 0.27), ("augment.rotation", 0.09), ("weight_decay", 0.03)),
        seeds=(0, 1, 2),
        val={"given": (0.781, 0.774, 0.79), "chosen": (0.829, 0.814, 0.833)},
        estimates=_search_estimates(move),
        changes=_search_changes(verdict, move, half),
        notes=("Trials were trained with seed 7919, which no judged network has.",),
    )


BEFORE = {"scanner": 0.951, "copier": 0.914, "handheld": 0.751}


def _moved(move: float) -> dict[str, float]:
    return {"scanner": 0.951 - 0.003, "copier": 0.914 + 0.008, "handheld": 0.751 + move}


def _search_estimates(move: float) -> tuple[MethodEstimate, ...]:
    found = []
    for method, levels in (("given", BEFORE), ("chosen", _moved(move))):
        for seed in (0, 1, 2, None):
            shift = 0.0 if seed is None else 0.004 * (seed - 1)

            def one(quantity: Quantity, of: Slice, value: float, half: float) -> MethodEstimate:
                drawn = around(value, half) if quantity != "worst_group" or seed is None else None  # noqa: B023
                return MethodEstimate(method, seed, quantity, "accuracy", None, of, value, drawn, 519, 519, 130)  # noqa: B023

            found.append(one("overall", TOTAL, 0.905 + shift + move / 8 * (method == "chosen"), 0.02))
            found += [one("group", level("device", name), value + shift, 0.05) for name, value in levels.items()]
            found.append(one("worst_group", level("device", "handheld"), levels["handheld"] + shift, 0.06))
    return tuple(found)


def _search_changes(verdict: ChangeVerdict | None, move: float, half: float) -> tuple[MethodChange, ...]:
    def one(quantity: Quantity, of: Slice, before: float, after: float, wide: float) -> MethodChange:
        judged = verdict if quantity == "worst_group" else None
        p = 0.012 if quantity == "worst_group" else 0.4
        return MethodChange(
            "chosen", quantity, "accuracy", None, of, after - before, around(after - before, wide), before, after, p,
            p if judged else None, judged, seed_error=0.008, test_error=0.017,
        )  # fmt: skip

    after = _moved(move)
    return (
        one("worst_group", level("device", "handheld"), BEFORE["handheld"], after["handheld"], half),
        one("overall", TOTAL, 0.905, 0.905 + move / 8, 0.015),
        one("gap", TOTAL, 0.2, 0.197 - move, 0.045),
        *(one("group", level("device", name), BEFORE[name], after[name], 0.03) for name in BEFORE),
    )


def kept() -> Search:
    """A search in which no trial was better than the settings as given."""
    better = tuple(
        replace(t, value=0.9) if t.number == 0 else replace(t, value=None if t.value is None else min(t.value, 0.84))
        for t in trials()
    )
    return replace(search(), trials=better, chosen=0, seeds=(), val={}, estimates=(), changes=())


def nothing_complete() -> Search:
    """A search in which every trial failed."""
    lost = tuple(replace(t, state="failed", value=None, reason="out of memory") for t in trials(3, 1))
    return replace(
        search(), trials=lost, chosen=None, ended="time", minutes=30.0, importance=(), seeds=(), val={}, estimates=(),
        changes=(), notes=("Too few trials to tell which parameter mattered.",),
    )  # fmt: skip


SLICES = {
    TOTAL: 0.0,
    level("device", "scanner"): 0.04,
    level("device", "copier"): 0.01,
    level("device", "handheld"): -0.13,
}


def _estimates(names: Sequence[str], values: Sequence[float], slices: Mapping[Slice, float]) -> list[MethodEstimate]:
    found = []
    for name, value in zip(names, values, strict=True):
        for seed in (0, 1, 2, None):
            shift = 0.0 if seed is None else 0.005 * (seed - 1)
            for of, move in slices.items():
                quantity: Quantity = "group" if of.attributes else "overall"
                at = min(value + move + shift, 1.0)
                wide = 0.02 if quantity == "overall" else 0.05
                found.append(
                    MethodEstimate(name, seed, quantity, "accuracy", None, of, at, around(at, wide), 519, 519, 130)
                )
            at = value + min(slices.values()) + shift
            drawn = around(at, 0.06) if seed is None else None
            worst = min(slices, key=lambda one: slices[one])
            found.append(
                MethodEstimate(name, seed, "worst_group", "accuracy", None, worst, at, drawn, None, None, None)
            )
    return found


def _step(before: str, after: str, of: Slice, value: float, half: float, answer: Answer, quantity: str = "") -> Step:
    said = quantity or ("group" if of.attributes else "overall")
    return Step(before, after, said, of, value, around(value, half), answer)


def ladder() -> Study:
    """resnet18 is enough, resnet50 is not better, and the giant could not be built."""
    names = ("smallcnn", "resnet18", "resnet50", "timm/giant")
    weights, train = (93_000, 11_180_000, 23_530_000, 0), (0.94, 0.985, 0.991, 0.0)
    variants = tuple(
        Variant(
            name, {"architecture": name}, n, 1519, {"scanner": 812, "copier": 530, "handheld": 160},
            (seen - 0.004, seen, seen + 0.003), 1519 * 24,
        ) if n else Variant(name, {"architecture": name}, 0, 1519, {}, (), 0, "not_run", "no module named timm")
        for name, n, seen in zip(names, weights, train, strict=True)
    )  # fmt: skip
    worst = level("device", "handheld")
    steps = (
        _step("smallcnn", "resnet18", TOTAL, 0.041, 0.014, "better"),
        _step("smallcnn", "resnet18", worst, 0.048, 0.05, "unknown"),
        _step("smallcnn", "resnet18", worst, 0.048, 0.05, "unknown", "worst_group"),
        _step("resnet18", "resnet50", TOTAL, 0.001, 0.008, "same"),
        _step("resnet18", "resnet50", worst, -0.002, 0.05, "unknown"),
        _step("resnet18", "resnet50", worst, -0.002, 0.05, "unknown", "worst_group"),
    )
    return Study(
        "ladder", ("device",), 0.01, 0.95, (0, 1, 2), variants,
        tuple(_estimates(names[:3], (0.882, 0.923, 0.924), SLICES)), steps, 519, enough="resnet18",
        notes=("Every architecture was trained with the same settings.",),
    )  # fmt: skip


def data_ladder() -> Study:
    """All rows flatten; handheld still rises; half of its own images removed makes it worse, of the scanner's not."""
    fractions = (0.125, 0.25, 0.5, 1.0)
    names, rows = ("0.125", "0.25", "0.5", "1"), (190, 380, 760, 1519)
    held = {"scanner": 812, "copier": 530, "handheld": 160}
    variants = [
        Variant(
            name, {"fraction": share}, 93_000, n, {key: round(of * share) for key, of in held.items()},
            (0.999, 0.998, 0.997), 36456,
        ) for name, share, n in zip(names, fractions, rows, strict=True)
    ]  # fmt: skip
    taken = [f"without half of {name}" for name in held]
    variants += [
        Variant(
            name, {"without_half_of": key}, 93_000, 1519 - of // 2, {**held, key: of // 2}, (0.99, 0.99, 0.99), 36456
        ) for name, (key, of) in zip(taken, held.items(), strict=True)
    ]  # fmt: skip
    values = (0.81, 0.87, 0.918, 0.922)
    steps, hand = [], level("device", "handheld")
    for before, after, at in zip(names[:-1], names[1:], range(3), strict=True):
        rise = values[at + 1] - values[at]
        for of in SLICES:
            last = at == 2
            answer: Answer = "better" if not last or of == hand else "same" if of == TOTAL else "unknown"
            move = 0.05 if last and of == hand else rise
            steps.append(_step(before, after, of, move, 0.004 if answer == "same" else 0.03, answer))
    for name, key in zip(taken, held, strict=True):
        for of in SLICES:
            own = of == level("device", key)
            hurt = own and key == "handheld"
            answer = "worse" if hurt else "same" if own and key == "scanner" else "unknown"
            steps.append(
                _step(names[-1], name, of, -0.061 if hurt else -0.002, 0.03 if answer != "same" else 0.006, answer)
            )
    flattening = (
        Flattening(TOTAL, 1519, 760, "same"),
        Flattening(level("device", "scanner"), 812, None, "unknown"),
        Flattening(level("device", "copier"), 530, None, "unknown"),
        Flattening(hand, 160, None, "better"),
    )
    seven = Slice(("true class",), ("7",))
    steps.append(_step("0.5", "1", seven, 0.001, 0.004, "same", "class"))
    flattening = (*flattening, Flattening(seven, 151, 76, "same"))
    estimates = _estimates((*names, *taken), (*values, 0.92, 0.92, 0.91), SLICES)
    return Study(
        "data_ladder", ("device",), 0.01, 0.95, (0, 1, 2), tuple(variants), tuple(estimates), tuple(steps), 519,
        flattening=flattening, notes=("Smaller shares are trained for as many steps as the whole.",),
    )  # fmt: skip


def augment_effect() -> Study:
    """Rotation helps handheld and harms scanner."""
    names = ("without augmentation", "as given", "rotation alone", "hflip alone")
    variants = tuple(
        Variant(name, {"augment": name}, 93_000, 1519, {"handheld": 160}, (0.98, 0.97, 0.98), 36456) for name in names
    )
    hand, scan, copier = (level("device", name) for name in ("handheld", "scanner", "copier"))
    told: dict[str, tuple[tuple[float, Answer], ...]] = {
        "as given": ((0.012, "unknown"), (-0.026, "worse"), (0.001, "same"), (0.064, "better")),
        "rotation alone": ((0.02, "better"), (-0.03, "worse"), (0.02, "unknown"), (0.07, "better")),
        "hflip alone": ((-0.04, "worse"), (-0.04, "worse"), (-0.03, "worse"), (-0.05, "worse")),
    }
    planted = {name: dict(zip((TOTAL, scan, copier, hand), found, strict=True)) for name, found in told.items()}
    steps: list[Step] = []
    for name, found in planted.items():
        for of, (value, answer) in found.items():
            half = {"same": 0.006, "unknown": abs(value) + 0.02}.get(answer, abs(value) * 0.7)
            steps.append(_step(names[0], name, of, value, half, answer))
        steps.append(_step(names[0], name, hand, found[hand][0], 0.045, found[hand][1], "worst_group"))
    steps.append(
        Step(
            names[0], "as given", "group", level("device", "X"), Undefined("empty", "no val rows of X"), None, "unknown"
        )
    )
    estimates = _estimates(names, (0.9, 0.912, 0.92, 0.86), SLICES)
    return Study("augment_effect", ("device",), 0.01, 0.95, (0, 1, 2), variants, tuple(estimates), tuple(steps), 519)


def fit() -> Fit:
    """Everything at once."""
    return Fit(curves(), gaps(), search(), (ladder(), data_ladder(), augment_effect()), {"manifest": "3c" * 32})


def only_trained(epochs: int = 24) -> Fit:
    """A plain training: no search, no studies."""
    return Fit(curves(epochs), gaps())


def trained(found: Fit | None = None, result: AuditResult | None = None) -> AuditResult:
    """An audit with a fit."""
    return replace(result or factory.audit(), fit=found or fit())


def hostile() -> AuditResult:
    """Every name, level and text of a fit is hostile or very long."""
    texts = (*factory.HOSTILE[:7], factory.LONG, "שיטה" * 20, "x" * 300)

    def renamed(of: Slice) -> Slice:
        return Slice(tuple(texts[0] for _ in of.attributes), tuple(f"{texts[len(v) % 9]}{v}" for v in of.levels))

    found = fit()
    assert found.curves is not None
    assert found.search is not None
    made = replace(
        found.curves,
        criterion=texts[0],
        ended=texts[1],
        slices=tuple(replace(one, slice=renamed(one.slice)) for one in found.curves.slices),
    )
    asked = replace(
        found.search,
        criterion=texts[2],
        objective=replace(found.search.objective, across=(texts[0],)),
        space=dict.fromkeys(texts, texts[3]),
        trials=tuple(
            replace(t, parameters={texts[7]: texts[i % 10], texts[2]: 1}, reason=texts[4] if t.reason else "")
            for i, t in enumerate(found.search.trials)
        ),
        importance=tuple((texts[i], share) for i, (_, share) in enumerate(found.search.importance)),
        estimates=tuple(replace(e, slice=renamed(e.slice)) for e in found.search.estimates),
        changes=tuple(replace(c, slice=renamed(c.slice)) for c in found.search.changes),
        notes=texts,
        ended="time",
    )
    studies = tuple(_hostile_study(study, texts, renamed) for study in found.studies)
    held = tuple(replace(one, slice=renamed(one.slice)) for one in found.gaps)
    return replace(factory.hostile(), fit=Fit(made, held, asked, studies))


def _hostile_study(study: Study, texts: Sequence[str], renamed: object) -> Study:
    assert callable(renamed)
    names = {one.name: f"{texts[i % 10]}{one.name}" for i, one in enumerate(study.variants)}
    return replace(
        study,
        across=(texts[0],),
        variants=tuple(replace(v, name=names[v.name], reason=texts[5] if v.reason else "") for v in study.variants),
        estimates=tuple(replace(e, method=names[e.method], slice=renamed(e.slice)) for e in study.estimates),
        steps=tuple(
            replace(s, before=names[s.before], after=names[s.after], slice=renamed(s.slice)) for s in study.steps
        ),
        enough=None if study.enough is None else names[study.enough],
        flattening=tuple(replace(f, slice=renamed(f.slice)) for f in study.flattening),
        notes=tuple(texts),
    )
