"""Kinetics of calcium indicators, as the simulator uses them."""

from __future__ import annotations

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


# Fitted with ground_truth_nwb.kinetics_fit and rounded. GCaMP6f and jGCaMP8: fit_response to the median over cells of
# the response to isolated spikes (356 to 1,600 spikes in 18 to 23 cells per data set), the cooperativity chosen so that
# pairs of spikes exceed single ones as in the recordings. The others, whose responses are too slow to stand alone or
# whose cells are few: medians of fit_kinetics over up to ten cells per data set. Saturation is assumed: a round number
# above the largest responses of the data sets.
KINETICS: dict[str, Kinetics] = {
    "OGB-1": Kinetics(0.010, 1.0, 0.045, 1.5, 1.05, "DS01, DS02: Theis et al. 2016, Kwan and Dan 2012"),
    "Cal-520": Kinetics(0.003, 0.52, 0.13, 4.0, 1.1, "DS03: Tada et al. 2014"),
    "GCaMP5k": Kinetics(0.005, 0.56, 0.006, 8.0, 2.4, "DS17: Akerboom et al. 2012"),
    "GCaMP6f": Kinetics(0.005, 0.15, 0.06, 8.0, 2.0, "DS10, DS11: Huang et al. 2021"),
    "GCaMP6s": Kinetics(0.030, 0.50, 0.06, 10.0, 2.0, "DS12 to DS14: Huang et al. 2021, Chen et al. 2013"),
    "jGCaMP7f": Kinetics(0.010, 0.40, 0.06, 9.0, 2.0, "guess between GCaMP6f and GCaMP6s, no data set at hand"),
    "jGCaMP8f": Kinetics(0.002, 0.21, 0.36, 8.0, 1.4, "DS30: Zhang et al. 2023", 0.028, 0.72),
    "jGCaMP8m": Kinetics(0.002, 0.19, 0.65, 8.0, 1.25, "DS31: Zhang et al. 2023", 0.040, 0.56),
    "jGCaMP8s": Kinetics(0.004, 0.24, 0.88, 10.0, 1.2, "DS32: Zhang et al. 2023"),
    "XCaMP-Gf": Kinetics(0.010, 0.25, 0.04, 4.0, 1.5, "guess after GCaMP6f, no data set at hand"),
    "R-CaMP1.07": Kinetics(0.015, 0.70, 0.045, 4.0, 1.3, "DS18, DS19: Rupprecht et al. 2021, Bethge et al. 2017"),
    "jRCaMP1a": Kinetics(0.020, 1.4, 0.06, 3.0, 1.4, "DS20: Dana et al. 2016"),
    "jRGECO1a": Kinetics(0.004, 0.60, 0.10, 5.0, 1.3, "DS21: Dana et al. 2016"),
}


def _letters(text: str) -> str:
    """Reduce a name to its letters and digits, without the j of Janelia's constructs."""
    return "".join(filter(str.isalnum, text)).lower().removeprefix("j")


_SPELLINGS = {_letters(name): name for name in KINETICS}


def canonical_indicator(text: str) -> str:
    """Return the catalogue's spelling of an indicator's name, the text itself where it is none of them.

    Examples
    --------
    >>> canonical_indicator("GCaMP8f"), canonical_indicator("XCaMPgf"), canonical_indicator("GCaMP-6s")
    ('jGCaMP8f', 'XCaMP-Gf', 'GCaMP6s')
    """
    return _SPELLINGS.get(_letters(text), text)


def kinetics_of(indicator: str) -> Kinetics:
    """Return the kinetics of an indicator; a LookupError lists the known ones."""
    if indicator not in KINETICS:
        raise LookupError(
            f"Expected an indicator with known kinetics, received {indicator!r}. Known: {', '.join(KINETICS)}."
        )
    return KINETICS[indicator]
