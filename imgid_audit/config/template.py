"""`imgid-audit init`: a commented config for a table that was looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.io.atomic import write_text
from imgid_audit.io.inspect_table import AttributeGuess, TableGuess, inspect_table
from imgid_audit.io.tables import read_table

FILE = "audit.yaml"
MAX_LISTED = 50
NEGATIVES = frozenset(
    {"0", "no", "false", "n", "negative", "neg", "normal", "healthy", "benign", "control", "other", "none", "absent"}
)
"""Names of labels that are hardly ever the positive one."""

NAMELESS = frozenset({"metadata", "manifest", "data", "labels", "predictions", "table", "index"})
"""Names of tables that say nothing of what they hold."""


def write_config(folder: Path, manifest: Path) -> Path:
    """Write ``audit.yaml`` for the table `manifest` to `folder`; its path. Never overwrites.

    Raises `InputError` where there is a config already, or where the table has no column that could
    be the label or (without predictions in it) the image.
    """
    path = folder / FILE
    if path.exists():
        raise InputError(Problem(str(path), "is there already and is not overwritten: remove it, or name another DIR"))
    if not manifest.exists():
        raise InputError(Problem(str(manifest), "no such file or folder"))
    guess = inspect_table(manifest)
    _require_roles(manifest, guess)
    text = config_text(guess, _relative(manifest, folder), _name(manifest), _splits(manifest, guess))
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return path


def config_text(guess: TableGuess, table: str, name: str, splits: frozenset[str]) -> str:
    """The config for a table that was looked at; `splits` are the ready splits in its split column."""
    brought = guess.predicted or bool(guess.scores)
    attributes = [attribute for attribute in guess.attributes if "*" not in attribute.name]
    lines = [
        "# Written by `imgid-audit init` after a look at the table. Read every line: these are guesses.",
        "# `imgid-audit check audit.yaml` says what would be audited, `imgid-audit run audit.yaml` does it.",
        "",
        f"name: {quoted(name)}",
        *_task(guess),
        "",
        *_data(guess, attributes, table, splits, brought),
        "",
        *(_predictions(table) if brought else MODEL),
        "",
        *_evaluation(guess, attributes),
        *([] if brought else _mitigations(guess, attributes)),
    ]
    return "\n".join(lines) + "\n"


MODEL = (
    "model:",
    "  architecture: resnet18      # a torchvision name, timm/NAME, smallcnn (small images), or package.module:factory",
    "  weights: null               # a .safetensors file or a state dict: audited as it is, nothing trains",
    "  input: {size: 224, mean: imagenet, std: imagenet}",
    "# Where `weights` are given `train` has no effect, and task.labels must be in the order of the model's outputs.",
    "train: {init: null, epochs: 10, lr: 0.001, seed: 0}     # init: DEFAULT begins with torchvision's weights",
)


def quoted(text: str) -> str:
    """The text as a YAML value that reads back as the same text, in lists and blocks alike, on one line."""
    style = None if text.isprintable() else '"'
    dumped: str = yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10**9, default_style=style)
    return dumped.strip()[1:-1]


def _require_roles(manifest: Path, guess: TableGuess) -> None:
    columns = f"columns are {', '.join(guess.columns)}"
    problems = []
    if guess.label is None or len(guess.labels) < 2:
        problems.append(f"has no column that looks like a label of two classes or more: call it `label`; {columns}")
    if guess.image is None and not guess.predicted and not guess.scores:
        problems.append(f"has no column that looks like image paths: call it `image`; {columns}")
    if problems:
        raise InputError([Problem(str(manifest), message) for message in problems])


def _relative(manifest: Path, folder: Path) -> str:
    """The table as the config should name it: relative where it lies within the config's folder."""
    path, home = manifest.resolve(), folder.resolve()
    return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path)


def _name(manifest: Path) -> str:
    """A name for the audit: the table's, or its folder's where the table's says nothing."""
    path = manifest.resolve()
    return path.parent.name or path.stem if path.stem.lower() in NAMELESS else path.stem


def _splits(manifest: Path, guess: TableGuess) -> frozenset[str]:
    return frozenset() if guess.split is None else frozenset(read_table(manifest).encode(guess.split)[0])


def _task(guess: TableGuess) -> Iterator[str]:
    if len(guess.labels) == 2:
        positive = _positive(guess.labels)
        yield "# `positive` is a guess: the class that recall, precision and the other rates speak of."
        labels = ", ".join(quoted(label) for label in guess.labels)
        yield f"task: {{type: binary, positive: {quoted(positive)}, labels: [{labels}]}}"
    elif len(guess.labels) <= MAX_LISTED and "macro" not in guess.labels:
        yield f"task: {{type: multiclass, labels: [{', '.join(quoted(label) for label in guess.labels)}]}}"
    else:
        yield f"task: {{type: multiclass}}      # {len(guess.labels)} labels, in the order of their sorted text"


def _positive(labels: tuple[str, ...]) -> str:
    """The label that is not called negative, else the last one."""
    likely = [label for label in labels if label.strip().lower() not in NEGATIVES]
    return likely[0] if len(likely) == 1 else labels[-1]


def _data(
    guess: TableGuess, attributes: list[AttributeGuess], table: str, splits: frozenset[str], brought: bool
) -> Iterator[str]:
    yield "data:"
    if not brought:
        yield f"  manifest: {quoted(table)}      # {guess.rows} rows; image paths start at its folder"
        yield f"  image: {quoted(guess.image or 'image')}"
    yield f"  label: {quoted(guess.label or 'label')}"
    if guess.id is not None:
        yield f"  id: {quoted(guess.id)}"
    if guess.subject is not None:
        yield f"  subject: {quoted(guess.subject)}      # its images stay in one split, and intervals are by subject"
    else:
        yield "  # subject: patient_id      # where a person has several images: without it rows count as independent"
    yield from _split(guess, splits, brought)
    yield (
        "  attributes:"
        if attributes
        else "  # attributes: {sex: {}, age: {bins: [0, 40, 60, 130]}}      # whom to compare"
    )
    for attribute in attributes:
        yield f"    {quoted(attribute.name)}: {_settings(attribute)}      # {_seen(attribute)}"
    if len(attributes) > 1:
        pair = ", ".join(quoted(attribute.name) for attribute in attributes[:2])
        yield f"  # intersections: [[{pair}]]"
    if guess.left:
        names = ", ".join(quoted(name) for name in guess.left[:12])
        more = f" and {len(guess.left) - 12} more" if len(guess.left) > 12 else ""
        yield f"  # columns without a role: {names}{more}"


def _split(guess: TableGuess, splits: frozenset[str], brought: bool) -> Iterator[str]:
    ready = guess.split is not None and "test" in splits and (brought or "train" in splits)
    if ready and not brought and "val" not in splits:
        yield f"  split: {{column: {quoted(guess.split or '')}, val: 0.2, seed: 0}}      # val is taken from train"
    elif ready:
        yield f"  split: {quoted(guess.split or '')}"
    elif not brought:
        yield "  split: {val: 0.2, test: 0.4, seed: 0}      # fractions of rows, by subject where there is one"


def _settings(attribute: AttributeGuess) -> str:
    if attribute.bins is not None:
        return f"{{bins: [{', '.join(f'{edge:g}' for edge in attribute.bins)}]}}"
    return "{}" if attribute.min_count is None else f"{{min_count: {attribute.min_count}}}"


def _seen(attribute: AttributeGuess) -> str:
    """What was seen in the column, for a comment."""
    levels = [quoted(level) for level in attribute.levels[:6]]
    more = len(attribute.levels) - len(levels)
    seen = "quartiles of its numbers" if attribute.bins is not None else ", ".join(levels)
    seen += f" and {more} more" if more > 0 else ""
    return seen + (f"; {attribute.missing} missing" if attribute.missing else "")


def _predictions(table: str) -> Iterator[str]:
    yield "predictions:"
    yield f"  table: {quoted(table)}      # columns label, predicted and/or score:<class>; no model is needed"


def _evaluation(guess: TableGuess, attributes: list[AttributeGuess]) -> Iterator[str]:
    binary = len(guess.labels) == 2
    metric = "recall" if binary else "accuracy"
    if binary:
        yield "# operating_point: {at: specificity, value: 0.9}      # or {max: youden}, {threshold: 0.5}; found on val"
    yield "# calibration: {method: temperature}      # fitted on val; before and after are shown"
    yield "# privacy: {min_cell: 11}      # hide smaller cells in what is published"
    metrics = ["accuracy", "balanced_accuracy", "recall", "precision"]
    metrics += ["specificity", "selection_rate"] if binary else []
    metrics += ["auroc", "ece"] if guess.scores or not guess.predicted else []
    yield f"metrics: [{', '.join(metrics)}]      # more: `imgid-audit list metrics`"
    yield "intervals: {level: 0.95, draws: 2000, seed: 0}"
    yield "policy:"
    yield "  on_inconclusive: fail       # or warn: too little data to tell does not fail the audit"
    yield "  min_support: 10             # groups with fewer supporting rows make a rule inconclusive"
    yield "  # baseline: runs/NAME/KEY     # an earlier run, for rules such as {metric: accuracy, max_drop: 0.02}"
    yield "  rules:                      # tolerances are yours to set, before you see the result"
    yield f"    - {{metric: {metric}, min_value: 0.80}}"
    for attribute in attributes:
        yield f"    - {{metric: {metric}, across: {quoted(attribute.name)}, max_gap: 0.10}}"
    yield "report: {formats: [html, pdf, json, csv]}"


def _mitigations(guess: TableGuess, attributes: list[AttributeGuess]) -> Iterator[str]:
    """A block to be taken out of its comment by whoever found a gap."""
    metric = "recall" if len(guess.labels) == 2 else "accuracy"
    across = f", across: {quoted(attributes[0].name)}" if attributes else ""
    yield "# Found a gap? This block compares remedies with plain training: `imgid-audit compare audit.yaml`."
    if attributes:
        yield f"# Methods that act by group need `groups: [{quoted(attributes[0].name)}]` in `train:`."
    yield "# mitigations:"
    yield "#   scope: head             # a new last layer on frozen embeddings: minutes; full: whole networks: hours"
    yield "#   methods: [oversample, class_weights, logit_adjustment, crt]      # more: `imgid-audit list mitigations`"
    yield "#   trials: 8               # settings tried on val, the same number for every method"
    yield "#   seeds: 5                # networks of each method that are judged on test"
    yield "#   # `primary` is what must become better: helps and harms are said of it alone, so declare it first."
    yield f"#   primary: {{metric: {metric}{across}}}"
