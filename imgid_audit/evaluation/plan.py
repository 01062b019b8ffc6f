"""What an evaluation is asked for, checked, and which metrics each breakdown has to measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imgid_audit.core.errors import Problem, raise_all
from imgid_audit.core.policy import EvaluationSpec, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.evaluation.disparities import CRITERIA, Criterion
from imgid_audit.evaluation.judgements import metrics_of
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.base import with_companions
from imgid_audit.stats.verdicts import PAIRED

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured where.

    - `asked`: the metrics that are reported everywhere; `companions`: those reported beside them on
      all rows and single attributes
    - `shown`: breakdowns that are reported, all rows first; rules may judge others besides
    - `criteria`: fairness criteria whose gaps every reported breakdown has
    """

    asked: Names
    companions: Names
    shown: tuple[Names, ...]
    criteria: tuple[Criterion, ...]
    rules: tuple[Rule, ...]

    @staticmethod
    def of(decisions: Decisions, spec: EvaluationSpec) -> Plan:
        """Raises `InputError`, with every problem, for metrics, attributes and rules that cannot be."""
        _check(decisions, spec)
        asked = tuple(dict.fromkeys(spec.metrics))
        beside = dict.fromkeys(one for name in asked for one in with_companions(METRICS[name]) if one not in asked)
        single = [(factor.name,) for factor in decisions.attributes]
        criteria = tuple(one for one in CRITERIA.values() if one.reported and decisions.task.kind == "binary")
        shown = tuple(dict.fromkeys([(), *single, *spec.intersections]))
        return Plan(asked, tuple(beside), shown, criteria, spec.policy.rules)

    @property
    def breakdowns(self) -> tuple[Names, ...]:
        """The reported ones, then those that rules alone ask for."""
        return tuple(dict.fromkeys([*self.shown, *(rule.across for rule in self.rules)]))

    def rules_of(self, names: Names) -> Iterator[tuple[int, Rule]]:
        """The rules across these attributes, with their places in the policy."""
        return ((i, rule) for i, rule in enumerate(self.rules) if rule.across == names)

    def metrics_of(self, names: Names) -> Names:
        """Everything that must be measured over a breakdown, each once."""
        wanted = [name for _, rule in self.rules_of(names) if rule.kind != "max_drop" for name in metrics_of(rule)]
        if names in self.shown:
            wanted += self.asked
            wanted += self.companions if len(names) < 2 else ()
        if names and names in self.shown:
            wanted += [METRICS[name].judged_as for name in self.asked]
            wanted += [part for criterion in self.criteria for part in criterion.parts]
        return tuple(dict.fromkeys(wanted))


def _check(decisions: Decisions, spec: EvaluationSpec) -> None:
    """Raise every problem of names that do not exist and rules that cannot be meant."""
    problems = [Problem("metrics", METRICS.unknown(name)) for name in spec.metrics if name not in METRICS]
    if not 0 < spec.intervals.level < 1:
        problems.append(Problem("intervals > level", f"must be between 0 and 1, got {spec.intervals.level}"))
    if spec.intervals.draws < 0:
        problems.append(Problem("intervals > draws", f"must not be negative, got {spec.intervals.draws}"))
    known = {factor.name for factor in decisions.attributes}
    for i, names in enumerate(spec.intersections):
        problems += _unknown(f"intersections > {i}", names, known)
    for rule in spec.policy.rules:
        where = f"policy > rules > {rule.id}"
        problems += _unknown(f"{where} > across", rule.across, known)
        problems += _rule_problems(where, rule)
    raise_all(problems)


def _unknown(where: str, names: Names, known: set[str]) -> list[Problem]:
    listed = ", ".join(sorted(known)) or "none"
    return [Problem(where, f"unknown attribute {name!r}: known are {listed}") for name in names if name not in known]


def _rule_problems(where: str, rule: Rule) -> list[Problem]:
    if rule.metric not in METRICS and rule.metric not in CRITERIA:
        extra = ", ".join(CRITERIA)
        return [Problem(f"{where} > metric", f"{METRICS.unknown(rule.metric)}, and the criteria {extra}")]
    problems = []
    if rule.kind == "max_drop" and rule.metric in METRICS and METRICS[rule.metric].better is None:
        problems.append(Problem(where, f"{rule.metric} is neither better high nor low, so it cannot drop"))
    if rule.kind in PAIRED and not rule.across:
        problems.append(Problem(where, f"{rule.kind} compares levels: name the attributes in `across`"))
    if rule.kind == "min_ratio" and rule.metric in METRICS and METRICS[rule.metric].bounds[0] < 0:
        problems.append(Problem(where, f"{rule.metric} may be negative and has no ratio: use max_gap"))
    if rule.metric in CRITERIA and rule.kind not in PAIRED:
        problems.append(Problem(where, f"{rule.metric} is itself a gap: use max_gap, not {rule.kind}"))
    return problems
