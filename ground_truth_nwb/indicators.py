"""Calcium indicators, one entry each: name, spellings, relatives, largest plausible dF/F, kinetics.

A new indicator is one entry of ``INDICATORS``. Nothing but the standard library is needed here, so that the core of
`nwb_cascade` reads the same table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Kinetics:
    """Response of one indicator to one action potential in a soma.

    After its rise the response falls as ``(1 - fast_share) * exp(-t / decay_s) + fast_share * exp(-t /
    fast_decay_s)``.

    Parameters
    ----------
    rise_s, decay_s : float
        Time constants of the fluorescence after one spike, s.
    amplitude : float
        Peak dF/F after one spike, a fraction.
    max_dff : float
        dF/F at saturation.
    hill : float
        Cooperativity of the step from calcium to fluorescence; above 1 two spikes give more than twice one
        spike.
    source : str
        The data sets and their authors; DOIs are in the catalogue.
    fast_decay_s : float
        Time constant of the fast part of the decay, s; not above ``decay_s``.
    fast_share : float
        Share of the fast part, 0 (a single decay) to below 1.
    """

    rise_s: float
    decay_s: float
    amplitude: float
    max_dff: float
    hill: float
    source: str
    fast_decay_s: float = 0.02
    fast_share: float = 0.0


@dataclass(frozen=True)
class Indicator:
    """What is known of one indicator.

    Parameters
    ----------
    name : str
        Canonical name.
    spellings : tuple of str
        Other spellings, without the virus, promoter and punctuation that surround them in files.
    relatives : tuple of str
        Canonical names of what to take it for where a model was not trained on it, nearest first: by rise and decay,
        then by amplitude.
    largest_dff : float, optional
        Largest dF/F that is still plausible, a fraction: twice the 95th percentile over the cells of the public ground
        truth of each cell's largest transient (99.9th percentile of 100 ms means, less the median). None: no cells.
    kinetics : Kinetics, optional
        Measured or guessed, as their source says. None: neither.
    """

    name: str
    spellings: tuple[str, ...]
    relatives: tuple[str, ...]
    largest_dff: float | None = None
    kinetics: Kinetics | None = None


# Kinetics are fitted with ground_truth_nwb.kinetics_fit and rounded. GCaMP6f and jGCaMP8: fit_response to the median
# over cells of the response to isolated spikes (356 to 1,600 spikes in 18 to 23 cells per data set), the cooperativity
# chosen so that pairs of spikes exceed single ones as in the recordings. The others, whose responses are too slow to
# stand alone or whose cells are few: medians of fit_kinetics over up to ten cells per data set. Saturation is assumed:
# a round number above the largest responses of the data sets.
INDICATORS: dict[str, Indicator] = {
    one.name: one
    for one in (
        Indicator(
            "OGB-1",
            ("OGB", "OGB1", "OGB1AM", "Oregon Green BAPTA-1", "Oregon Green 488 BAPTA-1", "Oregon Green"),
            ("Cal-520",),
            largest_dff=1.8,
            kinetics=Kinetics(0.010, 1.0, 0.045, 1.5, 1.05, "DS01, DS02: Theis et al. 2016, Kwan and Dan 2012"),
        ),
        Indicator(
            "Cal-520",
            ("Cal520", "Cal520AM"),
            ("OGB-1",),
            largest_dff=5.6,
            kinetics=Kinetics(0.003, 0.52, 0.13, 4.0, 1.1, "DS03: Tada et al. 2014"),
        ),
        Indicator("GCaMP3", (), ("GCaMP5k", "GCaMP6f")),
        Indicator("GCaMP5g", (), ("GCaMP5k", "GCaMP6f")),
        Indicator(
            "GCaMP5k",
            ("GCaMP5", "GC5k"),
            ("GCaMP6f",),
            largest_dff=11.9,
            kinetics=Kinetics(0.005, 0.56, 0.006, 8.0, 2.4, "DS17: Akerboom et al. 2012"),
        ),
        Indicator(
            "GCaMP6f",
            ("GCaMP6", "GC6f", "Ai93", "Ai95", "Ai95D", "Ai148"),
            ("jGCaMP7f", "GCaMP5k"),
            largest_dff=17.0,
            kinetics=Kinetics(0.005, 0.15, 0.06, 8.0, 2.0, "DS10, DS11: Huang et al. 2021"),
        ),
        Indicator("GCaMP6m", ("GC6m",), ("GCaMP6f", "GCaMP6s")),
        Indicator(
            "GCaMP6s",
            ("GC6s", "Ai94", "Ai96", "Ai162"),
            ("jGCaMP7s", "GCaMP6m", "GCaMP6f"),
            largest_dff=21.3,
            kinetics=Kinetics(0.030, 0.50, 0.06, 10.0, 2.0, "DS12 to DS14: Huang et al. 2021, Chen et al. 2013"),
        ),
        Indicator("jGCaMP7b", ("GCaMP7b",), ("GCaMP6s", "jGCaMP7f")),
        Indicator("jGCaMP7c", ("GCaMP7c",), ("GCaMP6s", "jGCaMP7f")),
        Indicator(
            "jGCaMP7f",
            ("GCaMP7f", "GCaMP7", "jGCaMP7", "GC7f"),
            ("jGCaMP8m", "GCaMP6f"),
            kinetics=Kinetics(0.010, 0.40, 0.06, 9.0, 2.0, "guess between GCaMP6f and GCaMP6s, no data set at hand"),
        ),
        Indicator("jGCaMP7s", ("GCaMP7s", "GC7s"), ("GCaMP6s", "jGCaMP8s")),
        Indicator(
            "jGCaMP8f",
            ("GCaMP8f", "GC8f"),
            ("jGCaMP8m", "jGCaMP8s"),
            largest_dff=20.3,
            kinetics=Kinetics(0.002, 0.21, 0.36, 8.0, 1.4, "DS30: Zhang et al. 2023", 0.028, 0.72),
        ),
        Indicator(
            "jGCaMP8m",
            ("GCaMP8m", "GCaMP8", "jGCaMP8", "GC8m"),
            ("jGCaMP8f", "jGCaMP8s"),
            largest_dff=13.0,
            kinetics=Kinetics(0.002, 0.19, 0.65, 8.0, 1.25, "DS31: Zhang et al. 2023", 0.040, 0.56),
        ),
        Indicator(
            "jGCaMP8s",
            ("GCaMP8s", "GC8s"),
            ("jGCaMP8m", "jGCaMP8f"),
            largest_dff=25.2,
            kinetics=Kinetics(0.004, 0.24, 0.88, 10.0, 1.2, "DS32: Zhang et al. 2023"),
        ),
        Indicator(
            "XCaMP-Gf",
            ("XCaMPGf", "XCaMP"),
            ("jGCaMP8m", "GCaMP6f"),
            kinetics=Kinetics(0.010, 0.25, 0.04, 4.0, 1.5, "guess after GCaMP6f, no data set at hand"),
        ),
        Indicator(
            "R-CaMP1.07",
            ("RCaMP1.07", "RCaMP107", "R-CaMP", "RCaMP"),
            ("jRCaMP1a", "jRGECO1a"),
            largest_dff=5.2,
            kinetics=Kinetics(0.015, 0.70, 0.045, 4.0, 1.3, "DS18, DS19: Rupprecht et al. 2021, Bethge et al. 2017"),
        ),
        Indicator("R-CaMP2", ("RCaMP2",), ("R-CaMP1.07", "jRGECO1a")),
        Indicator(
            "jRCaMP1a",
            ("RCaMP1a", "jRCaMP1"),
            ("jRCaMP1b", "R-CaMP1.07", "jRGECO1a"),
            largest_dff=2.5,
            kinetics=Kinetics(0.020, 1.4, 0.06, 3.0, 1.4, "DS20: Dana et al. 2016"),
        ),
        Indicator("jRCaMP1b", ("RCaMP1b",), ("jRCaMP1a", "R-CaMP1.07", "jRGECO1a")),
        Indicator(
            "jRGECO1a",
            ("RGECO1a", "jGECO1a", "jRGECO1", "RGECO1", "R-GECO1"),
            ("R-CaMP1.07", "jRCaMP1a"),
            largest_dff=8.3,
            kinetics=Kinetics(0.004, 0.60, 0.10, 5.0, 1.3, "DS21: Dana et al. 2016"),
        ),
    )
}
KINETICS: dict[str, Kinetics] = {one.name: one.kinetics for one in INDICATORS.values() if one.kinetics}


def canonical_indicator(text: str | None) -> str | None:
    """Canonical name of the indicator that a text names, in any usual spelling; None if it names none.

    Punctuation, case, virus and promoter do not matter. Where several are named, the longest spelling wins.

    Examples
    --------
    >>> canonical_indicator("AAV1-hSyn-jGCaMP8m-WPRE")
    'jGCaMP8m'
    >>> canonical_indicator("GCaMP 6s (slow)")
    'GCaMP6s'
    """
    squeezed = _squeezed(text or "")
    found = [(len(spelling), name) for spelling, name in _PATTERNS if spelling in squeezed]
    return max(found)[1] if found else None


def kinetics_of(indicator: str) -> Kinetics:
    """Return the kinetics of an indicator; a LookupError lists the known ones."""
    if indicator not in KINETICS:
        raise LookupError(
            f"Expected an indicator with known kinetics, received {indicator!r}. Known: {', '.join(KINETICS)}."
        )
    return KINETICS[indicator]


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


_PATTERNS = tuple(
    (_squeezed(spelling), one.name) for one in INDICATORS.values() for spelling in (one.name, *one.spellings)
)
