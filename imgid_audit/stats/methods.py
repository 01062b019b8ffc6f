"""The one table of interval methods: for every quantity and situation its method, source and function.

Bands and comparisons take the names that results record, and the functions that a config can choose
between, from here; the report, `imgid-audit list methods` and docs/methods.md print it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Literal, cast, get_args

from imgid_audit.core.policy import DifferenceForm, MeanForm, ProportionForm, RatioForm
from imgid_audit.core.result import GapKind
from imgid_audit.stats.intervals import EXACT_WITHIN
from imgid_audit.stats.two_samples import TwoSamples

Sampling = Literal["rows", "subjects", "either"]
"""Rows that are independent, or subjects that hold several; ``either``: the same function for both."""


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table.

    - `quantity`: what the limits are of; `key`: how the code asks for the method, and a config where
      it can choose
    - `situation`: when it is used, in words; `name`: as results record it
    - `function`: ``module:name`` of what computes it
    """

    quantity: str
    key: str
    sampling: Sampling
    situation: str
    name: str
    source: str
    function: str

    @property
    def setting(self) -> str:
        """What asks for it, such as ``intervals.ratio: koopman``; '' where there is no choice."""
        leaf = CHOICES.get(self.quantity)
        if leaf is None or self.key not in FORMS[leaf]:
            return ""
        return f"intervals.{leaf}: {self.key}"

    @property
    def default(self) -> bool:
        """Whether it is used where nothing is asked for."""
        return not self.situation.startswith("on request")

    @property
    def units(self) -> str:
        """What is sampled, in words."""
        return {"rows": "independent rows", "subjects": "subjects", "either": "rows or subjects"}[self.sampling]

    @property
    def summary(self) -> str:
        """One line: where it is used, and its source."""
        return f"{self.quantity}, {self.units}, {self.situation}; {self.source}"


PROPORTION, MEAN, LOSS = "proportion", "mean over classes", "mean loss"
AUROC, AVERAGE_PRECISION, CALIBRATION = "AUROC", "average precision", "calibration error"
NO_SPREAD = "without spread"
RECALIBRATION = "calibration slope and intercept"
COMPARED: dict[GapKind, str] = {"difference": "difference of proportions", "ratio": "ratio of proportions"}
OTHERS: dict[GapKind, str] = {"difference": "difference of others", "ratio": "ratio of others"}
GAP, BOUND, FLIPS = "gap", "bound of a verdict", "change of a proportion"
MEAN_OVER_SEEDS, CHANGE_OVER_SEEDS = "mean over seeds", "change by a mitigation"
CHOICES = {PROPORTION: "proportion", MEAN: "mean", COMPARED["difference"]: "difference", COMPARED["ratio"]: "ratio"}
"""Quantities whose method can be asked for, and the setting that does."""

FORMS = {
    "proportion": get_args(ProportionForm),
    "difference": get_args(DifferenceForm),
    "ratio": get_args(RatioForm),
    "mean": get_args(MeanForm),
}

_REQUESTED = "on request, where half of the draws or more have every class"
_EFRON = "Efron & Tibshirani 1993; by subject: Field & Welsh 2007, JRSS B 69:369"
_NEAR = f"where either outcome has at most {EXACT_WITHIN} rows; everywhere on request"
_WIDER = "the wider of it and MOVER"
_FLAT = "AUROC, average precision, losses and calibration whose standard error is 0 or unknown"
_WILSON = "Wilson 1927, JASA 22:209"
_EXACT = "Clopper & Pearson 1934, Biometrika 26:404"
_SURVEY = "Korn & Graubard 1998, Surv. Methodol. 24:193; Dean & Pagano 2015, J. Surv. Stat. Methodol. 3:484"
_MOVER = "Zou & Donner 2008, Stat. Med. 27:1693"
_MOVER_R = "Donner & Zou 2012, Stat. Methods Med. Res. 21:347"
_WORSE = "the wider of it and the logit limits"
_GAMMA = "Fay & Feuer 1997, Stat. Med. 16:791"
_GAMMA_BAND = "imgid_audit.stats.gamma:GammaBand"
_INFLUENCE = "delta method with influence functions, Deville 1999, Surv. Methodol. 25:193"
_CROSS = "cross-fitting, Berta et al. 2026, arXiv 2602.24230"

_BANERJEE = "Banerjee 1960, Sankhya 22:357"
_CROSSED = "crossed seeds and rows, Brennan 2001; unseen flips, Bonett & Price 2012, JEBS 37:479"
_PICKED = "the same of the worst group, the worst class or the gap, which each network picks"
_HULL = "; hull with cross-fitted picks"
_SPLIT = "sample splitting, Cox 1975, Biometrika 62:441"

_S = "imgid_audit.stats"
_RATE, _BAND = f"{_S}.bands:RateBand", f"{_S}.bands:StudentBand"
_BETA, _MEAN = f"{_S}.intervals:clopper_pearson", f"{_S}.bands:MeanBand"
_ECE = f"{_S}.calibration:CalibrationBand"
_LINE = f"{_S}.recalibration:LineBand"
_SANDWICH = "Liang & Zeger 1986, Biometrika 73:13"
_PAIR = f"{_S}.two_samples"

METHODS = (
    Method(PROPORTION, "wilson", "rows", "default", "Wilson", _WILSON, f"{_S}.intervals:wilson"),
    Method(PROPORTION, "clopper_pearson", "rows", _NEAR, "Clopper-Pearson", _EXACT, _BETA),
    Method(
        PROPORTION, "wilson", "subjects", "default",
        "Wilson (effective n by subject)", f"{_WILSON}; {_SURVEY}", _RATE,
    ),
    Method(
        PROPORTION, "clopper_pearson", "subjects", _NEAR,
        "Clopper-Pearson (effective n by subject)", f"{_EXACT}; {_SURVEY}", _RATE,
    ),
    Method(MEAN, "linearised", "rows", _WIDER, "linearised, logit scale", _INFLUENCE, _BAND),
    Method(MEAN, "mover", "rows", "alone at 0 and 1", "MOVER of closed-form limits", _MOVER, _MEAN),
    Method(MEAN, "linearised", "subjects", _WIDER, "linearised by subject, logit scale", _INFLUENCE, _BAND),
    Method(
        MEAN, "mover", "subjects", "alone at 0 and 1",
        "MOVER of closed-form limits (effective n by subject)", f"{_MOVER}; {_SURVEY}", _MEAN,
    ),
    Method(
        MEAN, "bootstrap", "rows", _REQUESTED, "bootstrap over rows", _EFRON, f"{_S}.bootstrap:BootstrapBand",
    ),
    Method(
        MEAN, "bootstrap", "subjects", _REQUESTED,
        "bootstrap over subjects", _EFRON, f"{_S}.bootstrap:BootstrapBand",
    ),
    Method(AUROC, "gamma", "rows", _WORSE, "gamma interval of the missed area", _GAMMA, _GAMMA_BAND),
    Method(AUROC, "gamma", "subjects", _WORSE, "gamma interval of the missed area by subject", _GAMMA, _GAMMA_BAND),
    Method(
        AUROC, "influence", "rows", "default",
        "DeLong, logit scale", "DeLong et al. 1988, Biometrics 44:837", f"{_S}.auroc:auroc",
    ),
    Method(
        AUROC, "influence", "subjects", "default",
        "clustered DeLong, logit scale", "Obuchowski 1997, Biometrics 53:567", f"{_S}.auroc:auroc",
    ),
    Method(AVERAGE_PRECISION, "gamma", "rows", _WORSE, "gamma interval of the missed area", _GAMMA, _GAMMA_BAND),
    Method(
        AVERAGE_PRECISION, "gamma", "subjects", _WORSE,
        "gamma interval of the missed area by subject", _GAMMA, _GAMMA_BAND,
    ),
    Method(
        AVERAGE_PRECISION, "influence", "rows", "default",
        "linearised, logit scale", _INFLUENCE, f"{_S}.auroc:average_precision",
    ),
    Method(
        AVERAGE_PRECISION, "influence", "subjects", "default",
        "clustered linearised, logit scale", _INFLUENCE, f"{_S}.auroc:average_precision",
    ),
    Method(LOSS, "gamma", "rows", "default", "gamma interval of the mean", _GAMMA, _GAMMA_BAND),
    Method(
        LOSS, "gamma", "subjects", "default",
        "gamma interval of the mean by subject", f"{_GAMMA}; ratio estimator, Cochran 1977, section 11", _GAMMA_BAND,
    ),
    Method(
        CALIBRATION, "cross_fitted", "rows", "default",
        "cross-fitted lower limit, plug-in inverted for the upper", _CROSS, _ECE,
    ),
    Method(
        CALIBRATION, "cross_fitted", "subjects", "default",
        "cross-fitted lower limit, plug-in inverted for the upper by subject", _CROSS, _ECE,
    ),
    Method(RECALIBRATION, "sandwich", "rows", "always", "t interval, sandwich error", _SANDWICH, _LINE),
    Method(RECALIBRATION, "sandwich", "subjects", "always", "t interval, sandwich error by subject", _SANDWICH, _LINE),
    Method(NO_SPREAD, "clopper_pearson", "rows", _FLAT, "Clopper-Pearson on rows", _EXACT, _BETA),
    Method(NO_SPREAD, "clopper_pearson", "subjects", _FLAT, "Clopper-Pearson on subjects", _EXACT, _BETA),
    Method(
        COMPARED["difference"], "newcombe", "either", "default: square-and-add of the proportions' limits",
        "MOVER", "Newcombe 1998, Stat. Med. 17:873, method 10", f"{_S}.mover:difference",
    ),
    Method(
        COMPARED["difference"], "miettinen_nurminen", "either", "on request, on effective counts",
        "Miettinen-Nurminen", "Miettinen & Nurminen 1985, Stat. Med. 4:213", f"{_PAIR}:miettinen_nurminen",
    ),
    Method(
        COMPARED["ratio"], "mover", "either", "default: MOVER-R of the proportions' limits",
        "MOVER", _MOVER_R, f"{_S}.mover:ratio",
    ),
    Method(
        COMPARED["ratio"], "koopman", "either", "on request, on effective counts",
        "Koopman", "Koopman 1984, Biometrics 40:513", f"{_PAIR}:koopman",
    ),
    Method(
        COMPARED["ratio"], "katz", "either", "on request, on effective counts; at 0/n and n/n Koopman",
        "Katz", "Katz et al. 1978, Biometrics 34:469", f"{_PAIR}:katz",
    ),
    Method(OTHERS["difference"], "mover", "either", "always", "MOVER", _MOVER, f"{_S}.mover:difference"),
    Method(OTHERS["ratio"], "mover", "either", "always", "MOVER", _MOVER_R, f"{_S}.mover:ratio"),
    Method(
        GAP, "tukey", "either", "level of each pair's limits, such that all pairs hold together",
        "Tukey's range", "Tukey 1953; unequal sizes: Hayter 1984, Ann. Stat. 12:61", f"{_S}.intervals:tukey",
    ),
    Method(
        GAP, "equality", "either", "p-value that all levels are equal, adjusted over the audit (Holm 1979)",
        "Pearson's chi-square on effective counts, or Welch's test",
        "Rao & Scott 1987, Ann. Stat. 15:385; Welch 1951, Biometrika 38:330",
        f"{_S}.hypotheses:equality",
    ),
    Method(
        GAP, "envelope", "either", "what equal groups of these sizes would show: 2,000 draws at the pooled value",
        "equal groups, normal draws", "simulation under equality", f"{_S}.envelope:envelope",
    ),
    Method(
        GAP, "outcomes", "either", "calibration errors: envelope and p-value are of the same draws of outcomes",
        "equally calibrated groups", "Monte-Carlo test, Davison & Hinkley 1997, section 4.2",
        "imgid_audit.metrics.calibration_envelope:noise",
    ),
    Method(
        BOUND, "clopper_pearson", "either", "min and max rules on a proportion: either side holds by itself",
        "Clopper-Pearson", f"{_EXACT}; {_SURVEY}", f"{_S}.intervals:exact_limits",
    ),
    Method(
        FLIPS, "tango", "rows", "two runs of the same rows",
        "Tango, paired rows", "Tango 1998, Stat. Med. 17:891", f"{_S}.paired:tango",
    ),
    Method(
        FLIPS, "tango", "subjects", "two runs of the same rows, on effective counts",
        "Tango, paired rows (effective n by subject)", "Tango 1998, Stat. Med. 17:891", f"{_S}.paired:tango",
    ),
    Method(
        MEAN_OVER_SEEDS, "summed_squares", "either", "the networks of one method",
        "t over seeds and the metric's limits, in squares", _BANERJEE, f"{_S}.seeds:estimate_limits",
    ),
    Method(
        CHANGE_OVER_SEEDS, "summed_squares", "rows", "a method less the baseline, on the same seeds and rows",
        "t over seeds and linearised rows, in squares", f"{_BANERJEE}; {_CROSSED}", f"{_S}.seeds:row_sampling",
    ),
    Method(
        CHANGE_OVER_SEEDS, "summed_squares", "subjects", "a method less the baseline, on the same seeds and rows",
        "t over seeds and linearised rows by subject, in squares", f"{_BANERJEE}; {_CROSSED}",
        f"{_S}.seeds:row_sampling",
    ),
    Method(
        CHANGE_OVER_SEEDS, "hull", "rows", _PICKED, "t over seeds and linearised rows, in squares" + _HULL,
        f"{_BANERJEE}; {_CROSSED}; {_SPLIT}", f"{_S}.seeds:over_seeds",
    ),
    Method(
        CHANGE_OVER_SEEDS, "hull", "subjects", _PICKED,
        "t over seeds and linearised rows by subject, in squares" + _HULL,
        f"{_BANERJEE}; {_CROSSED}; {_SPLIT}", f"{_S}.seeds:over_seeds",
    ),
)  # fmt: skip
"""A quantity that the code asks for has one row for each key and sampling."""

_BY_KEY = {(method.quantity, method.key, method.sampling): method for method in METHODS}


def method(quantity: str, key: str, *, clustered: bool) -> Method:
    """The row of a quantity and key, with subjects or without; KeyError where there is none."""
    either = _BY_KEY.get((quantity, key, "either"))
    return either or _BY_KEY[quantity, key, "subjects" if clustered else "rows"]


def comparison(kind: GapKind, key: str) -> TwoSamples:
    """The function of a comparison that a config asks for by `key`."""
    return cast(TwoSamples, resolve_name(method(COMPARED[kind], key, clustered=False).function))
