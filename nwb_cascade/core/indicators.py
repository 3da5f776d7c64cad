"""What a model is told about a recording's indicator, and the nearest relative of one that no model knows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ground_truth_nwb.indicators import INDICATORS, canonical_indicator

__all__ = [
    "INTERNEURON",
    "IndicatorMatch",
    "canonical_indicator",
    "indicator_code_name",
    "is_of_interneurons",
    "match_indicator",
    "nearest_code",
    "unknown_indicator",
]

# Before a model's code: halfway between that and unknown, which is what serves an indicator best that is only related
# to it (measured: docs/accuracy.md).
NEAR = "near "
INTERNEURON = "interneuron"  # whose codes bear it; in the text that states an indicator, it asks for these
SPECIES_WITH_CODES = {"danio rerio": "zebrafish", "zebrafish": "zebrafish"}


@dataclass(frozen=True)
class IndicatorMatch:
    """What a model is told about a recording's indicator.

    Parameters
    ----------
    code : str or None
        One of the model's indicators, after ``NEAR`` if it is only a relative; None: unknown.
    canonical : str or None
        Canonical name of what the recording states; None if that is not a known indicator.
    message : str
        One sentence on how one led to the other.
    """

    code: str | None
    canonical: str | None
    message: str


def indicator_code_name(indicator: str, species: str | None = None, *, of_interneurons: bool = False) -> str:
    """Name of a conditional model's code for an indicator: with what has a code of its own, interneurons or a species.

    Zebrafish neurons show other amplitudes and, colder, slower kinetics than mammalian ones; one spike moves the
    fluorescence of interneurons less.

    Examples
    --------
    >>> indicator_code_name("GCaMP6f", "Danio rerio"), indicator_code_name("GCaMP6f", of_interneurons=True)
    ('GCaMP6f (zebrafish)', 'GCaMP6f (interneuron)')
    """
    kind = INTERNEURON if of_interneurons else SPECIES_WITH_CODES.get((species or "").strip().lower())
    return f"{indicator} ({kind})" if kind else indicator


def is_of_interneurons(text: str | None) -> bool:
    """Whether what states an indicator, or a code, is of interneurons.

    Examples
    --------
    >>> is_of_interneurons("jGCaMP8m, PV interneurons"), is_of_interneurons("jGCaMP8m")
    (True, False)
    """
    return INTERNEURON in (text or "").lower()


def match_indicator(text: str | None, codes: Sequence[str], species: str | None = None) -> IndicatorMatch:
    """Choose what to tell a model about a recording's indicator.

    The code for indicator and species is taken, or that for interneurons where the text says so; else, as something
    near, that for the indicator in other cells, else those of its nearest relatives in order; a text that names no
    known indicator is told as unknown.

    Parameters
    ----------
    text : str or None
        What the recording states, in any spelling.
    codes : sequence of str
        ``ModelConfig.indicators``.
    species : str, optional
        What the recording states.
    """
    name = canonical_indicator(text)
    if name is None:
        stated = f"{text!r} is no indicator known here" if text else "the recording states no indicator"
        return IndicatorMatch(None, None, f"{stated}; the model treats it as unknown.")
    stated = indicator_code_name(name, species, of_interneurons=is_of_interneurons(text))
    code = nearest_code(stated, codes)
    if code == stated:
        return IndicatorMatch(stated, name, f"{name} is known to the model as {stated}.")
    if code is None:
        return IndicatorMatch(None, name, f"The model knows neither {name} nor a relative and treats it as unknown.")
    message = (
        f"The model was not trained on {stated} and takes it for something between its relative {code} "
        "and an unknown indicator."
    )
    return IndicatorMatch(NEAR + code, name, message)


def unknown_indicator(text: str | None) -> str:
    """Return what to do about an indicator that is not stated, or by no name that is known here; empty if it is known.

    Examples
    --------
    >>> unknown_indicator("ASAP3")[:35]
    "'ASAP3' is no indicator known here,"
    """
    if canonical_indicator(text) is not None:
        return ""
    stated = f"{text!r} is no indicator known here" if text else "No indicator is stated"
    return (
        f"{stated}, so the networks are told of none and the number of spikes may be half or twice as large: name it "
        f"with --indicator ({', '.join(sorted(INDICATORS))})."
    )


def nearest_code(code: str, known: Collection[str]) -> str | None:
    """The known code that comes closest to one: itself, its indicator in other species, its relatives in order.

    Examples
    --------
    >>> nearest_code("OGB-1 (zebrafish)", ("GCaMP6f", "OGB-1"))
    'OGB-1'
    """
    indicator, _, kind = code.partition(" (")
    relatives = INDICATORS[indicator].relatives if indicator in INDICATORS else ()
    for candidate in (indicator, *relatives):
        for name in (f"{candidate} ({kind}" if kind else candidate, candidate):
            if name in known:
                return name
    return None
