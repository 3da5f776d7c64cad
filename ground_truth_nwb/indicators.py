"""Kinetics of calcium indicators, as the simulator uses them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kinetics:
    """Response of one indicator to one action potential in a soma.

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
        Where the values come from.
    """

    rise_s: float
    decay_s: float
    amplitude: float
    max_dff: float
    hill: float
    source: str


CHEN = "Chen et al. 2013, doi 10.1038/nature12354, in vivo cell-attached recordings"
ZHANG = "Zhang et al. 2023, doi 10.1038/s41586-023-05828-9, in vivo cell-attached recordings"
DANA = "Dana et al. 2016, doi 10.7554/eLife.12727, in vivo cell-attached recordings"

KINETICS: dict[str, Kinetics] = {
    "OGB-1": Kinetics(0.010, 0.60, 0.08, 1.2, 1.0, "Theis et al. 2016, doi 10.1016/j.neuron.2016.04.014"),
    "Cal-520": Kinetics(0.015, 0.70, 0.20, 4.0, 1.1, "Tada et al. 2014, doi 10.1111/ejn.12476"),
    "GCaMP5k": Kinetics(0.060, 0.35, 0.06, 5.0, 2.5, "Akerboom et al. 2012, doi 10.1523/JNEUROSCI.2601-12.2012"),
    "GCaMP6f": Kinetics(0.020, 0.25, 0.15, 8.0, 2.0, CHEN),
    "GCaMP6s": Kinetics(0.070, 0.80, 0.25, 10.0, 2.0, CHEN),
    "jGCaMP7f": Kinetics(0.020, 0.35, 0.20, 9.0, 1.8, "Dana et al. 2019, doi 10.1038/s41592-019-0435-6"),
    "jGCaMP8f": Kinetics(0.005, 0.10, 0.25, 6.0, 1.2, ZHANG),
    "jGCaMP8m": Kinetics(0.006, 0.15, 0.40, 7.0, 1.2, ZHANG),
    "jGCaMP8s": Kinetics(0.007, 0.35, 0.60, 8.0, 1.2, ZHANG),
    "XCaMP-Gf": Kinetics(0.020, 0.25, 0.10, 3.0, 1.2, ZHANG),
    "R-CaMP1.07": Kinetics(0.050, 0.50, 0.08, 3.0, 1.3, "Bethge et al. 2017, doi 10.1371/journal.pone.0179460"),
    "jRCaMP1a": Kinetics(0.050, 0.90, 0.08, 2.5, 1.3, DANA),
    "jRGECO1a": Kinetics(0.020, 0.35, 0.15, 4.0, 1.6, DANA),
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
