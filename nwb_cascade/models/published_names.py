"""What the names of Cascade's published models and ground truth datasets say."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from nwb_cascade.core.indicators import canonical_indicator

GCAMP8 = ("jGCaMP8f", "jGCaMP8m", "jGCaMP8s")
FAMILIES = {"GCaMP6": ("GCaMP6f", "GCaMP6s"), "GC8": GCAMP8, "GCaMP8": GCAMP8}
_DATASET = re.compile(r"(?:X-)?DS\d+-(.+)")
_RATE = re.compile(r"(?:^|_)(\d+(?:\.\d+)?)Hz(?=_|$)")
_SMOOTHING = re.compile(r"_smoothing_?(\d+(?:\.\d+)?)ms(?=_|$)")
_FRAMES_AFTER = re.compile(r"_asymmetric_window_(\d+)_frames?(?=_|$)")
_INTEGRATION = re.compile(r"_integration_(\d+)ms(?=_|$)")


@dataclass(frozen=True)
class NameFacts:
    """What a published model's name says; None or empty where it is silent.

    Parameters
    ----------
    model_rate : float or None
        Imaging rate, Hz.
    smoothing_s : float or None
        Standard deviation of the smoothing, s.
    causal : bool
        Whether the name says so of the kernel.
    high_noise : bool
        Whether the name promises networks for high noise levels.
    frames_after : int or None
        Frames after the output frame, for asymmetric windows.
    integration_s : float or None
        Time after the output frame, s, for the online models.
    indicators : tuple of str
        In canonical spelling.
    """

    model_rate: float | None
    smoothing_s: float | None
    causal: bool
    high_noise: bool
    frames_after: int | None
    integration_s: float | None
    indicators: tuple[str, ...]

    def disagreements(self, *, model_rate: float, smoothing_s: float, causal: bool) -> list[str]:
        """Say where a configuration contradicts the name, one sentence each."""
        found = []
        if self.model_rate is not None and abs(self.model_rate - model_rate) > 1e-6:
            found.append(f"The name says {self.model_rate:g} Hz, the configuration {model_rate:g} Hz.")
        if self.smoothing_s is not None and abs(self.smoothing_s - smoothing_s) > 1e-3:
            found.append(f"The name says smoothing {self.smoothing_s:g} s, the configuration {smoothing_s:g} s.")
        if self.causal and not causal:
            found.append("The name says a causal kernel, the configuration a Gaussian one.")
        return found


def parse_model_name(name: str) -> NameFacts:
    """Read rate, smoothing, kernel, window and indicator out of a published model's name.

    Parameters
    ----------
    name : str
        A name such as ``GC8f_EXC_7.5Hz_smoothing200ms_high_noise``; any other text gives empty facts.

    Returns
    -------
    NameFacts
        What the name says.

    Examples
    --------
    >>> facts = parse_model_name("GC8f_EXC_7.5Hz_smoothing200ms_high_noise")
    >>> facts.model_rate, facts.smoothing_s, facts.indicators
    (7.5, 0.2, ('jGCaMP8f',))
    """
    milliseconds = _number(_SMOOTHING, name)
    integration = _number(_INTEGRATION, name)
    frames_after = _number(_FRAMES_AFTER, name)
    parts = name.split("_")
    return NameFacts(
        model_rate=_number(_RATE, name),
        smoothing_s=None if milliseconds is None else milliseconds / 1000,
        causal="causalkernel" in parts,
        high_noise=name.endswith("_high_noise"),
        frames_after=None if frames_after is None else int(frames_after),
        integration_s=None if integration is None else integration / 1000,
        indicators=next(filter(None, map(_indicators, parts)), ()),
    )


def dataset_indicators(datasets: Iterable[str]) -> tuple[str, ...]:
    """List the indicators of ground truth datasets, in canonical spelling and the order of first appearance.

    Datasets whose folder name states none (mixed ones such as ``DS33-Interneurons2023-m-V1``) are left out.

    Parameters
    ----------
    datasets : iterable of str
        Folder names such as ``DS14-GCaMP6s-m-V1``.

    Returns
    -------
    tuple of str
        Without repeats.

    Examples
    --------
    >>> dataset_indicators(["DS01-OGB1-m-V1", "DS02-OGB1-2-m-V1", "DS30-GCaMP8f-m-V1"])
    ('OGB-1', 'jGCaMP8f')
    """
    matches = (_DATASET.match(name) for name in datasets)
    found = (canonical_indicator(match[1]) for match in matches if match)
    return tuple(dict.fromkeys(filter(None, found)))


def _indicators(part: str) -> tuple[str, ...]:
    one = canonical_indicator(part)
    return FAMILIES.get(part) or ((one,) if one else ())


def _number(pattern: re.Pattern[str], name: str) -> float | None:
    match = pattern.search(name)
    return float(match[1]) if match else None
