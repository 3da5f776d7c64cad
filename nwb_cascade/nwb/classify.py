"""What a series holds and on which scale, judged by types, names, words and a sample of its values."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_level

OUR_SERIES = "InferredSpikeRateSeries"
EVENT_SERIES = "OphysEventDetection"  # AllenSDK
CAIMAN_BACKGROUND = "Background_Fluorescence_Response"
PERCENT_UNIT = re.compile(r"%|\b(per ?cent|pct)\b", re.IGNORECASE)

_EDGE, _END = r"(?<![a-z])", r"(?![a-z])"
_DFF = r"(d|delta|δ|∆)[\s_-]*f[\s_-]*(/|over|div(ided)?[\s_-]*by|by|o)?[\s_-]*f(0|s)?" + _END
_CORRECTED = r"[\s_-]*(corrected|correction|subtracted|subtraction|removed|decontaminated)"
_WORDS = {  # in this order: "DfOverFEvents" are events, "denoised_dff" is denoised
    "events": r"(ca)?events?|deconv\w*|spks?|spikes?|spiking|firing",
    "z_scored": r"z[\s_-]*scor\w*",
    "neuropil": r"neuropil\w*|npil|fneu|background\w*|surround\w*",
    "baseline": r"baselines?|^f[\s_-]?0",
    "denoised": r"denois\w*",
    "dff": _DFF + r"|\(?f[\s_]*-[\s_]*f[\s_]?0\)?[\s_]*/[\s_]*f[\s_]?0",
    "raw_fluorescence": r"fluorescence|fluo|raw|corrected|demixed|(?<!d )f(?=[\s_-]*(chn|corrected|raw|\d|$))",
}
_PATTERNS = {kind: re.compile(rf"{_EDGE}(?:{words}){_END}") for kind, words in _WORDS.items()}
_SUBTRACTED = re.compile(rf"{_EDGE}(neuropil\w*|background|baseline|surround){_CORRECTED}")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
DEFAULT_CONTAINERS = {"Fluorescence"}  # the default name of a container says less than a name somebody chose


@dataclass(frozen=True)
class Evidence:
    """What is known of a series from its type, its names and its words.

    Parameters
    ----------
    neurodata_type, name, description, unit : str
        Of the series, as stated.
    ancestors : tuple of (name, neurodata_type)
        Containers of the series, nearest first, without the file itself.
    siblings : frozenset of str
        Names of the other series in the same container.
    """

    neurodata_type: str
    name: str
    description: str = ""
    unit: str = ""
    ancestors: tuple[tuple[str, str], ...] = ()
    siblings: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Judgement:
    """A kind (see `candidate.KINDS`), the evidence in words, and whether the evidence is more than a default."""

    kind: str
    why: str
    certain: bool = True


def kind_of_words(text: str) -> str | None:
    """Return the kind that a name speaks of, or None.

    Examples
    --------
    >>> [kind_of_words(name) for name in ("DfOverFEvents", "f_corrected_chn0", "ΔF/F", "plane0")]
    ['events', 'raw_fluorescence', 'dff', None]
    """
    kinds = _kinds_of_words(text)
    return kinds[0] if kinds else None


def _kinds_of_words(text: str) -> list[str]:
    """Return all kinds that a text speaks of, in the order of precedence."""
    plain, n_subtracted = _SUBTRACTED.subn(" ", _CAMEL.sub(" ", text).lower())
    kinds = [kind for kind, pattern in _PATTERNS.items() if pattern.search(plain)]
    return kinds or (["raw_fluorescence"] if n_subtracted else [])


@dataclass(frozen=True)
class ScaleJudgement:
    """A scale (see `candidate.SCALES`), the evidence in words, and whether the file states it."""

    scale: str
    why: str
    stated: bool = False


def classify(evidence: Evidence) -> Judgement:
    """Judge what a series holds without a look at its values.

    The stronger evidence decides: the type, the name of the series, the name of its container, its description and
    unit, the type of its container, the names further up.
    """
    if evidence.neurodata_type == OUR_SERIES:
        return Judgement("inferred", f"its type is {OUR_SERIES}")
    if evidence.neurodata_type == EVENT_SERIES:
        return Judgement("events", f"its type is {EVENT_SERIES}")
    if kind := kind_of_words(evidence.name):
        return Judgement(kind, f"it is named {evidence.name!r}")
    if CAIMAN_BACKGROUND in evidence.siblings:
        return Judgement("denoised", f"CaImAn stores its denoised component C beside {CAIMAN_BACKGROUND!r}")
    return _by_description(evidence) or _by_surroundings(evidence)


def _by_description(evidence: Evidence) -> Judgement | None:
    """Judge by the name of the container, the description and the unit, or not at all."""
    container = evidence.ancestors[0][0] if evidence.ancestors else ""
    if container not in DEFAULT_CONTAINERS and (kind := kind_of_words(container)):
        return Judgement(kind, f"its container is named {container!r}")
    described = _kinds_of_words(evidence.description)
    if "dff" in described and set(described) <= {"dff", "raw_fluorescence", "baseline"}:
        described = ["dff"]  # a change of fluorescence over its baseline
    if len(described) == 1:
        certain = described[0] != "raw_fluorescence"  # people call dF/F fluorescence, too
        return Judgement(described[0], f"its description is {evidence.description!r}", certain)
    if kind_of_words(evidence.unit) == "dff":
        return Judgement("dff", f"its unit is {evidence.unit!r}")
    return None


def _by_surroundings(evidence: Evidence) -> Judgement:
    """Judge by the types of containers and by the names further up."""
    container_type = evidence.ancestors[0][1] if evidence.ancestors else ""
    if container_type == "DfOverF":
        return Judgement("dff", "it lies in a DfOverF container")
    for name, _ in evidence.ancestors[1:]:
        if kind := kind_of_words(name):
            return Judgement(kind, f"it lies in {name!r}")
    if container_type == "Fluorescence":
        return Judgement("raw_fluorescence", "it lies in a Fluorescence container, nothing says more", certain=False)
    return Judgement("unknown", "no name, container or description says what it holds", certain=False)


def reconcile(judgement: Judgement, values: ScaleJudgement) -> Judgement:
    """Let the values object to the words: where they contradict each other, the kind becomes unknown."""
    if judgement.kind == "dff" and values.scale == "counts":
        return Judgement("unknown", f"{judgement.why}, but {values.why}", certain=False)
    if judgement.kind == "raw_fluorescence" and not judgement.certain and values.scale == "fraction":
        return Judgement("unknown", f"{judgement.why}, but {values.why}, as dF/F does", certain=False)
    return judgement


# Per ROI, then the median over ROIs, so that a few odd traces do not decide:
COUNTS_MEDIAN = 20.0  # raw fluorescence rests this far above zero, nearly always ...
COUNTS_LOW_SHARE = 0.2  # ... with its first percentile above this share of the median
PERCENT_MEDIAN = 200.0  # no baseline of dF/F in percent rests higher
PERCENT_RISE = 20.0  # the 99.5th percentile over the median: as a fraction a change of 2000 %, not seen
PERCENT_NOISE_LEAST = 30.0  # below it values are no percent: a real noise level of 0.3 % Hz^-1/2 is not seen
PERCENT_NOISE = 50.0  # noise level, % Hz^-1/2, if the values were fractions; the noisiest usable data have about 30
RATIO_MEDIAN, RATIO_LOW = 0.7, 0.5  # F/F0 rests at 1 and stays well above 0
USUAL_RATE = 30.0  # Hz, where the rate is unknown


@dataclass(frozen=True)
class Sample:
    """Typical values of some traces: medians over ROIs of the median, the 1st percentile, the rise and the noise.

    ``noise`` is the noise level that the values have if they are fractions, % Hz^-1/2.
    """

    median: float
    low: float
    rise: float
    noise: float

    @classmethod
    def of(cls, traces: NDArray[np.float32], imaging_rate: float | None) -> Sample | None:
        """Summarise (n, m) traces; None if no trace has values that differ."""
        rows = [row[np.isfinite(row)] for row in traces]
        varied = [row for row in rows if row.size > 1 and np.ptp(row) > 0]
        if not varied:
            return None
        quantiles = np.array([np.quantile(row, (0.01, 0.5, 0.995)) for row in varied])
        low, median, high = quantiles.T
        noise = [noise_level(row[None, :], imaging_rate or USUAL_RATE)[0] for row in varied]
        values = (np.median(v) for v in (median, low, high - median, noise))
        return cls(*(float(v) for v in values))


def judge_scale(sample: Sample | None, unit: str) -> ScaleJudgement:
    """Judge the scale of dF/F values.

    Parameters
    ----------
    sample : Sample or None
        Typical values, None if there is nothing to judge by.
    unit : str
        As stated in the file.
    """
    says_percent = PERCENT_UNIT.search(unit) is not None
    looks, seen = _looks_like(sample) if sample else ("fraction", "no sampled trace has values that differ")
    if not says_percent:
        return ScaleJudgement(looks, seen)
    if sample is None or looks == "percent" or (looks == "fraction" and sample.noise > PERCENT_NOISE_LEAST):
        return ScaleJudgement("percent", f"the unit is {unit!r}", stated=True)
    return ScaleJudgement("unknown", f"the unit is {unit!r}, but {seen}")


def _looks_like(sample: Sample) -> tuple[str, str]:
    """Judge by the values alone."""
    median, low, rise, noise = sample.median, sample.low, sample.rise, sample.noise
    values = f"traces rest near {median:.3g} and rise by {rise:.3g}"
    if abs(median) > PERCENT_MEDIAN or (median > COUNTS_MEDIAN and low > COUNTS_LOW_SHARE * median):
        return "counts", f"{values}, as raw fluorescence does"
    if rise > PERCENT_RISE:
        return "percent", f"{values}, too much for a fraction"
    if noise > PERCENT_NOISE:
        return "percent", f"{values}, and the noise level would be {noise:.3g} % Hz^-1/2 if they were fractions"
    return "fraction", values


def looks_like_ratio(sample: Sample | None) -> bool:
    """Whether the values look like F/F0, from which 1 has to be taken to get dF/F."""
    return sample is not None and sample.median > RATIO_MEDIAN and sample.low > RATIO_LOW and sample.rise < PERCENT_RISE
