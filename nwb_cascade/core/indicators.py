"""Calcium indicators: one canonical name for every spelling, and the nearest relative of one that no model knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Canonical name -> other spellings, without the virus, promoter and punctuation that surround them in files.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "OGB-1": ("OGB", "OGB1", "OGB1AM", "Oregon Green BAPTA-1", "Oregon Green 488 BAPTA-1", "Oregon Green"),
    "Cal-520": ("Cal520", "Cal520AM"),
    "GCaMP3": (),
    "GCaMP5g": (),
    "GCaMP5k": ("GCaMP5", "GC5k"),
    "GCaMP6f": ("GCaMP6", "GC6f", "Ai93", "Ai95", "Ai95D", "Ai148"),
    "GCaMP6m": ("GC6m",),
    "GCaMP6s": ("GC6s", "Ai94", "Ai96", "Ai162"),
    "jGCaMP7b": ("GCaMP7b",),
    "jGCaMP7c": ("GCaMP7c",),
    "jGCaMP7f": ("GCaMP7f", "GCaMP7", "jGCaMP7", "GC7f"),
    "jGCaMP7s": ("GCaMP7s", "GC7s"),
    "jGCaMP8f": ("GCaMP8f", "GC8f"),
    "jGCaMP8m": ("GCaMP8m", "GCaMP8", "jGCaMP8", "GC8m"),
    "jGCaMP8s": ("GCaMP8s", "GC8s"),
    "XCaMP-Gf": ("XCaMPGf", "XCaMP"),
    "R-CaMP1.07": ("RCaMP1.07", "RCaMP107", "R-CaMP", "RCaMP"),
    "R-CaMP2": ("RCaMP2",),
    "jRCaMP1a": ("RCaMP1a", "jRCaMP1"),
    "jRCaMP1b": ("RCaMP1b",),
    "jRGECO1a": ("RGECO1a", "jGECO1a", "jRGECO1", "RGECO1", "R-GECO1"),
}  # fmt: skip

# What to take an indicator for that a model was not trained on, nearest first: by rise and decay, then by amplitude.
RELATIVES: dict[str, tuple[str, ...]] = {
    "OGB-1": ("Cal-520",),
    "Cal-520": ("OGB-1",),
    "GCaMP3": ("GCaMP5k", "GCaMP6f"),
    "GCaMP5g": ("GCaMP5k", "GCaMP6f"),
    "GCaMP5k": ("GCaMP6f",),
    "GCaMP6f": ("jGCaMP7f", "GCaMP5k"),
    "GCaMP6m": ("GCaMP6f", "GCaMP6s"),
    "GCaMP6s": ("jGCaMP7s", "GCaMP6m", "GCaMP6f"),
    "jGCaMP7b": ("GCaMP6s", "jGCaMP7f"),
    "jGCaMP7c": ("GCaMP6s", "jGCaMP7f"),
    "jGCaMP7f": ("GCaMP6f", "jGCaMP8m"),
    "jGCaMP7s": ("GCaMP6s", "jGCaMP8s"),
    "jGCaMP8f": ("jGCaMP8m", "jGCaMP8s"),
    "jGCaMP8m": ("jGCaMP8f", "jGCaMP8s"),
    "jGCaMP8s": ("jGCaMP8m", "jGCaMP8f"),
    "XCaMP-Gf": ("jGCaMP7f", "GCaMP6f"),
    "R-CaMP1.07": ("jRCaMP1a", "jRGECO1a"),
    "R-CaMP2": ("R-CaMP1.07", "jRGECO1a"),
    "jRCaMP1a": ("jRCaMP1b", "R-CaMP1.07", "jRGECO1a"),
    "jRCaMP1b": ("jRCaMP1a", "R-CaMP1.07", "jRGECO1a"),
    "jRGECO1a": ("R-CaMP1.07", "jRCaMP1a"),
}
# Before a model's code: halfway between that and unknown, which is what serves an indicator best that is only related
# to it (measured: docs/accuracy.md).
NEAR = "near "
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


def indicator_code_name(indicator: str, species: str | None = None) -> str:
    """Name of a conditional model's code for an indicator: with the species where that has a code of its own.

    Zebrafish neurons show other amplitudes and, colder, slower kinetics than mammalian ones.

    Examples
    --------
    >>> indicator_code_name("GCaMP6f", "Danio rerio")
    'GCaMP6f (zebrafish)'
    """
    kind = SPECIES_WITH_CODES.get((species or "").strip().lower())
    return f"{indicator} ({kind})" if kind else indicator


def match_indicator(text: str | None, codes: Sequence[str], species: str | None = None) -> IndicatorMatch:
    """Choose what to tell a model about a recording's indicator.

    The code for indicator and species is taken, else, as something near, that for the indicator in other species, else
    those of its nearest relatives in order; a text that names no known indicator is told as unknown.

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
    stated = indicator_code_name(name, species)
    if stated in codes:
        return IndicatorMatch(stated, name, f"{name} is known to the model as {stated}.")
    for candidate in (name, *RELATIVES.get(name, ())):
        for code in (indicator_code_name(candidate, species), candidate):
            if code in codes:
                message = (
                    f"The model was not trained on {stated} and takes it for something between its relative {code} "
                    "and an unknown indicator."
                )
                return IndicatorMatch(NEAR + code, name, message)
    return IndicatorMatch(None, name, f"The model knows neither {name} nor a relative and treats it as unknown.")


def _squeezed(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


_PATTERNS = tuple(
    sorted((_squeezed(spelling), name) for name, others in SPELLINGS.items() for spelling in (name, *others))
)
