"""What a comparison answers, in sentences: the headline, quantities, scopes, settings, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgid_audit.core.comparison import ChangeVerdict, Comparison, MethodChange, MethodRecord, Primary, Quantity
from imgid_audit.core.result import Undefined
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import StatusKind
from imgid_audit.report.compared.view import View

NAMED = 5
"""Methods that a headline names; the rest is counted."""

LONGEST = 300
"""Letters of a setting that are shown."""

VERDICT_WORDS = {"helps": "Helps", "harms": "Harms", "no evidence": "No evidence"}
VERDICT_KINDS: dict[str, StatusKind] = {"helps": "good", "harms": "bad", "no evidence": "open"}

SCOPES = {"head": "heads on a frozen backbone", "full": "end-to-end training"}
TRAINED = {"head": "head", "full": "network"}

LEVELLING = "Levelling down: the gap closed only because the best group lost"


def judged(change: MethodChange) -> ChangeVerdict | None:
    """The verdict on a change; None where the change has no value to be judged by."""
    unknown = isinstance(change.value, Undefined) and change.value.kind != "suppressed"
    return None if unknown else change.verdict


def series(asked: Quantity, metric: str, class_name: str | None) -> str:
    """The metric and its class; of the worst class no class is named, for it is each network's own."""
    # a class of None is the mean over classes wherever the metric has one
    return words.metric(metric) if asked == "worst_class" else words.series(metric, class_name, multiclass=True)


def scope(name: str) -> str:
    """``heads on a frozen backbone`` or ``end-to-end training``."""
    return SCOPES.get(name, name)


def quantity(asked: Quantity, metric: str, class_name: str | None, across: Sequence[str]) -> str:
    """``accuracy in the worst group of device``, ``gap in recall of “7” across sex × view``, ``ECE over all rows``."""
    said = series(asked, metric, class_name)
    where = " × ".join(across)
    if asked == "gap":
        return f"gap in {said} across {where}"
    if asked == "worst_class":
        return f"{said} of the worst class"
    if asked in ("worst_group", "group"):
        return f"{said} in the worst group of {where}" if asked == "worst_group" else f"{said} by {where}"
    return f"{said} over all rows"


def primary(of: Primary) -> str:
    """The declared quantity in words."""
    return quantity(of.quantity, of.metric, of.class_name, of.across)


def conclusion(of: Comparison) -> tuple[str, StatusKind, str]:
    """Headline, colour and explanation: which methods help, which harm, how many neither."""
    view = View.of(of)
    said = {record.name: change for record in view.tried if (change := view.verdict_of(record.name)) is not None}
    by = {word: [name for name, one in said.items() if judged(one) == word] for word in VERDICT_WORDS}
    levelled = [name for name, one in said.items() if one.levelling_down]
    lost = [record for record in view.tried if record.status == "not_run"]
    explanation = " ".join(filter(None, (_tally(view, by, len(lost)), _levelled(levelled), _absence(by))))
    if by["helps"]:
        kind: StatusKind = "good" if set(by["helps"]) - set(levelled) else "open"
        return _named(by["helps"], "helps", "help", levelled), kind, explanation
    if by["harms"]:
        headline = f"No method showed that it helps; {_named(by['harms'], 'harms', 'harm', [])}"
        return headline, "bad", explanation
    if by["no evidence"]:
        return "No method showed evidence of a difference", "open", explanation
    return "No method could be compared with the baseline", "off", explanation


def _named(names: Sequence[str], one: str, many: str, levelled: Sequence[str]) -> str:
    shown = [f"{name} (by levelling down)" if name in levelled else name for name in names[:NAMED]]
    more = f" and {numbers.count(len(names) - NAMED)} more" if len(names) > NAMED else ""
    return f"{numbers.plural(len(names), 'method')} {one if len(names) == 1 else many}: {', '.join(shown)}{more}"


def _tally(view: View, by: Mapping[str, Sequence[str]], lost: int) -> str:
    compared = sum(len(names) for names in by.values())
    open_ones = len(view.tried) - compared - lost
    parts = [(len(by["helps"]), ("helps", "help")), (len(by["harms"]), ("harms", "harm"))]
    said = [f"{numbers.count(n)} {forms[n != 1]}" for n, forms in parts if n]
    if by["no evidence"]:
        said.append(f"for {numbers.count(len(by['no evidence']))} there is no evidence of a difference")
    against = f"compared with {view.comparison.baseline}, {_listed(said)}" if said else ""
    told = f"Judged by {primary(view.comparison.primary)}: of {numbers.plural(compared, 'method')} {against}."
    told = told if compared else ""
    gone = f"{numbers.plural(lost, 'method')} {'was' if lost == 1 else 'were'} not run." if lost else ""
    vague = f"For {numbers.plural(open_ones, 'method')} the change has no value." if open_ones else ""
    return " ".join(filter(None, (told, vague, gone)))


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _levelled(names: Sequence[str]) -> str:
    if not names:
        return ""
    shown = ", ".join(names[:NAMED]) + (f" and {numbers.count(len(names) - NAMED)} more" if names[NAMED:] else "")
    return f"Levelling down, which closed the gap only because the best group lost: {shown}."


def _absence(by: Mapping[str, Sequence[str]]) -> str:
    if not by["no evidence"]:
        return ""
    return "No evidence is not evidence of no difference: the intervals say what is still possible."


def glance(of: Comparison) -> str:
    """The line of the first page: ``9 methods, 5 seeds; helps: oversample``."""
    view = View.of(of)
    said = f"{numbers.plural(len(view.tried), 'method')}, {numbers.plural(len(of.seeds), 'seed')}"
    found = {record.name: change for record in view.tried if (change := view.verdict_of(record.name)) is not None}
    told = []
    for word in ("helps", "harms"):
        names = [
            f"{name} (by levelling down)" if one.levelling_down and word == "helps" else name
            for name, one in found.items()
            if judged(one) == word
        ]
        if names:
            more = f" and {numbers.count(len(names) - NAMED)} more" if names[NAMED:] else ""
            told.append(f"{word}: {', '.join(names[:NAMED])}{more}")
    return f"{said}; {'; '.join(told) or 'no evidence that any helps'} ({scope(of.scope)})"


def parameters(of: Mapping[str, Any], methods: Sequence[str]) -> str:
    """``gamma 2, lr 0.001``; a lone method's own name is left out; a long text is cut, and says so."""
    alone = f"{methods[0]}." if len(methods) == 1 else ""
    said = ", ".join(f"{str(key).removeprefix(alone)} {_plain(of[key])}" for key in sorted(of, key=str))
    text = said or "no parameters"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… (cut; whole in comparison.json)"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return numbers.setting(value)
    if isinstance(value, Mapping):
        return "(" + "; ".join(f"{key} {_plain(value[key])}" for key in sorted(value, key=str)) + ")"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_plain(item) for item in value) + "]"
    return "none" if value is None else str(value)


def setting(record: MethodRecord, of: Mapping[str, Any]) -> str:
    """A setting in words, without what was left to the method and is told by `tuned`."""
    own = {key for values in record.tuned for key in values}
    return parameters({key: of[key] for key in of if of[key] is not None or key not in own}, record.methods)


def tuned(record: MethodRecord) -> str:
    """``chosen by the method itself, by seed: tau 0.35, 0.4``; '' where it chose nothing."""
    keys = sorted({key for values in record.tuned for key in values})
    alone = f"{record.methods[0]}." if len(record.methods) == 1 else ""
    said = [f"{key.removeprefix(alone)} {_by_seed([v[key] for v in record.tuned if key in v])}" for key in keys]
    return f"Chosen by the method itself, for each seed: {'; '.join(said)}" if said else ""


def _by_seed(values: Sequence[float]) -> str:
    low, high = _found(min(values)), _found(max(values))
    if low == high:
        return f"{low}{' each time' if len(values) > 1 else ''}"
    return ", ".join(_found(value) for value in values) if len(values) <= NAMED else f"from {low} to {high}"


def _found(value: float) -> str:
    """Without the last digits of a grid: 0.35, not 0.35000000000000003."""
    return numbers.setting(float(f"{value:.6g}"))


def starts_over(record: MethodRecord) -> bool:
    """Whether its last layer is fitted anew: no learning rate of the training around it is part of its setting."""
    return record.scope == "head" and "lr" not in record.parameters


def aside(of: Comparison) -> str:
    """What methods that learnt from the rows set aside had besides; '' where none did."""
    names = [record.name for record in of.records if record.uses_adjust and record.status == "ran"]
    if not names:
        return ""
    rows = of.rows.get("adjust")
    further = "further labelled rows" if rows is None else numbers.plural(rows, "further labelled row")
    shown = ", ".join(names[:NAMED]) + (f" and {numbers.count(len(names) - NAMED)} more" if names[NAMED:] else "")
    return (
        f"{shown} learnt from {further}, set aside from training, that the baseline did not see: what these rows would "
        "have given the baseline was not tried."
    )


def trained(of: Comparison) -> str:
    """How many networks or heads were trained, and for what."""
    ran = [record for record in of.records if record.status == "ran"]
    tuned, final = sum(len(record.trials) for record in ran), sum(len(record.seeds) for record in ran)
    what = TRAINED.get(of.scope, "network")
    with_seeds = f"trained with {numbers.plural(len(of.seeds), 'seed')}"
    if not tuned:
        return f"{numbers.plural(final, what)}: every method as given, nothing tried, {with_seeds}"
    return (
        f"{numbers.plural(tuned + final, what)}: for each method up to {numbers.plural(of.trials, 'setting')} tried "
        f"with one tuning seed, and the chosen setting {with_seeds}"
    )


def needs(record: MethodRecord, need: str) -> str:
    """``yes``, or a dash."""
    return "yes" if need in record.needs else "–"
