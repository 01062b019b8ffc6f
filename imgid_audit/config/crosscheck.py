"""What the blocks of a config must be to one another, beyond each being right by itself.

Every function yields (trail, message) and reads a `Draft`, in which a block that is itself wrong is
absent, so that one mistake never hides another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from imgid_audit.config.draft import Draft, lacks_val
from imgid_audit.config.messages import Complaint, unknown
from imgid_audit.config.mitigation_checks import method_of, params_complaints
from imgid_audit.config.models import OperatingPointSettings, PolicySettings
from imgid_audit.core.cost_table import cost_complaints
from imgid_audit.core.errors import InputError
from imgid_audit.report.settings import ReportSettings
from imgid_audit.vision.settings import PluginEntry, TrainSettings


def cross_complaints(draft: Draft) -> Iterator[Complaint]:
    """Everything that is wrong between the blocks, rules aside."""
    yield from _task(draft)
    yield from _source(draft)
    yield from _split(draft)
    yield from _operating_point(draft)
    yield from _costs(draft)
    yield from _calibration(draft)
    yield from _training(draft)
    yield from _metrics(draft)
    yield from _baseline(draft)
    yield from _plugins(draft)


def _task(draft: Draft) -> Iterator[Complaint]:
    task = draft.task()
    if task is None:
        return
    labels, at = task.labels, ("task", "labels")
    if labels is not None:
        for label, times in Counter(labels).items():
            if times > 1:
                yield at, f"must be different labels, got {label!r} {times} times"
        if task.type == "binary" and len(labels) != 2:
            yield at, f"must be two for a binary task, got {len(labels)}"
        if task.type == "multiclass" and len(labels) < 2:
            yield at, f"must be two or more, got {len(labels)}"
        if "macro" in labels:
            yield at, "must not contain 'macro', which names the mean over classes in rules"
    if task.type == "multiclass" and task.positive is not None:
        yield ("task", "positive"), "has no meaning in a multiclass task: remove it, or say `type: binary`"
    if task.type == "binary" and task.positive is None:
        yield ("task",), "needs `positive`: the class that a binary task's metrics speak of"
    if task.type == "binary" and task.positive is not None and labels is not None and task.positive not in labels:
        yield ("task", "positive"), f"must be one of the labels {list(labels)}, got {task.positive!r}"


def _source(draft: Draft) -> Iterator[Complaint]:
    model, predictions = "model" in draft.given, "predictions" in draft.given
    if model and predictions:
        yield ("predictions",), "cannot stand beside `model`: give one of the two, what is audited"
    elif not model and not predictions:
        yield (), "needs `model` (images are predicted) or `predictions` (a table of what a model said)"
    elif predictions:
        for key in ("train", "predict", "mitigations"):
            if key in draft.given:
                yield (key,), "has no effect with `predictions`, which are ready: remove it"
    data = draft.data()
    report: ReportSettings | None = draft.blocks.get("report")
    if predictions and data is not None and data.manifest is None and report is not None and report.worst_images:
        yield ("report", "worst_images"), "needs `data.manifest`, the table that names the images"
    settings = draft.model()
    if settings is not None and settings.weights is None and settings.sha256 is not None:
        yield ("model", "sha256"), "is of `model.weights`, which is not given"
    if model and not predictions and data is not None and data.manifest is None:
        yield ("data",), "needs `manifest`: the table of images"


def _split(draft: Draft) -> Iterator[Complaint]:
    data = draft.data()
    if data is not None and data.split is None and draft.trains:
        yield ("data",), "needs `split`: without one everything is test, and nothing is left to train on"


def _operating_point(draft: Draft) -> Iterator[Complaint]:
    point: OperatingPointSettings | None = draft.blocks.get("operating_point")
    task, data = draft.task(), draft.data()
    at = ("operating_point",)
    if point is None:
        return
    if task is not None and task.type == "multiclass":
        yield at, "is for binary tasks: a multiclass task takes the class of the highest score, or `costs`"
    met = point.at is not None or point.value is not None
    if met and point.threshold is not None:
        yield (*at, "threshold"), "cannot stand beside `at` and `value`: a threshold is given or found"
    elif point.maximum is not None and (met or point.threshold is not None):
        yield (*at, "max"), "stands alone: remove it, or `at`, `value` and `threshold`"
    elif not met and point.threshold is None and point.maximum is None:
        yield at, "needs `at` with `value`, `max`, or `threshold`"
    elif met and (point.at is None or point.value is None):
        yield at, f"needs `{'at' if point.at is None else 'value'}` too"
    for key, asked in (("at", point.at), ("max", point.maximum)):
        if asked is not None and data is not None and lacks_val(data):
            yield (*at, key), "needs a val split to be found on: give `data.split` one, or a `threshold`"


def _costs(draft: Draft) -> Iterator[Complaint]:
    costs, task = draft.blocks.get("costs"), draft.task()
    if costs is None:
        return
    if "operating_point" in draft.given:
        yield ("costs",), "cannot stand beside `operating_point`: either decides alone, remove one of them"
    for trail, message in cost_complaints(costs, None if task is None else task.labels):
        yield ("costs", *trail), message


def _calibration(draft: Draft) -> Iterator[Complaint]:
    data = draft.data()
    if draft.blocks.get("calibration") is not None and data is not None and lacks_val(data):
        yield ("calibration",), "needs a val split to be fitted on: give `data.split` one, or remove it"


def _training(draft: Draft) -> Iterator[Complaint]:
    train, data = draft.train(), draft.data()
    if train is None or data is None:
        return
    for index, name in enumerate(train.groups):
        if name not in data.attributes:
            yield ("train", "groups", index), unknown("attribute", name, data.attributes)
    if len(set(train.groups)) < len(train.groups):
        yield ("train", "groups"), f"must be different attributes, got {list(train.groups)}"
    if not draft.trains:
        return
    if train.select == "worst_group" and not train.groups:
        yield ("train", "select"), "worst_group needs `train.groups`: the attributes that define a group"
    if data.split is not None and lacks_val(data):
        for key, needs in (("select", train.select != "average"), ("patience", train.patience is not None)):
            if needs:
                yield ("train", key), "needs a val split: give `data.split` a fraction `val`"


def _metrics(draft: Draft) -> Iterator[Complaint]:
    from imgid_audit.config.rules import GAP_METRICS
    from imgid_audit.metrics import METRICS

    metrics: tuple[str, ...] = draft.blocks.get("metrics", ())
    for index, name in enumerate(metrics):
        if name in GAP_METRICS:
            yield ("metrics", index), f"{name!r} is a gap, reported for every binary task: name it in a rule instead"
        elif name not in METRICS:
            yield ("metrics", index), METRICS.unknown(name)
        elif name in metrics[:index]:
            yield ("metrics", index), f"{name!r} is listed twice"


def _baseline(draft: Draft) -> Iterator[Complaint]:
    policy: PolicySettings | None = draft.blocks.get("policy")
    if policy is None:
        return
    drops = [index for index, rule in enumerate(policy.rules) if rule.max_drop is not None]
    if policy.baseline is None:
        for index in drops:
            message = "needs `policy.baseline`: the folder of the run to compare with"
            yield ("policy", "rules", index, "max_drop"), message
    elif not drops:
        yield ("policy", "baseline"), "has no effect: no rule has `max_drop`"


def _plugins(draft: Draft) -> Iterator[Complaint]:
    from imgid_audit.checks import CHECKS
    from imgid_audit.export import FORMATS

    for code, params in draft.blocks.get("checks", {}).items():
        if code not in CHECKS:
            yield ("checks", code), CHECKS.unknown(code)
        elif params is not False:
            yield from params_complaints(CHECKS[code].Params, params, ("checks", code))
    report: ReportSettings | None = draft.blocks.get("report")
    for index, name in enumerate(report.formats if report else ()):
        if name not in FORMATS:
            yield ("report", "formats", index), FORMATS.unknown(name)
        elif report is not None and name in report.formats[:index]:
            yield ("report", "formats", index), f"{name!r} is listed twice"
    train = draft.train()
    if train is None or train.resample is None:
        return
    yield from _resample(train, train.resample)


def _resample(train: TrainSettings, entry: PluginEntry) -> Iterator[Complaint]:
    """`train.resample` takes methods that choose training rows and do nothing else."""
    from imgid_audit.mitigations import build_resampler

    at = ("train", "resample")
    method, found = method_of(entry, at)
    yield from found
    if method is None or found:
        return
    params = method.Params.model_validate(entry.params)
    if method.acts_on(params) != ("sampler",):
        yield at, f"takes methods that choose training rows, and {entry.name} does not: list it in `mitigations`"
        return
    try:
        build_resampler(entry.name, dict(entry.params))
    except InputError as error:
        yield from ((at, problem.message) for problem in error.problems)
    if not train.groups and "group labels in training" in method.needs(params):
        yield at, f"{entry.name} by group needs `train.groups`: the attributes that define a group"
