"""What makes one trace unfit for, or unusual to, a model: pure checks, each a stable code and a sentence.

A check speaks only where something is likely wrong; the traces of the published ground truth pass all of them
(docs/accuracy.md gives the share that does not).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.indicators import INDICATORS
from nwb_cascade.core.slow_changes import Finding, slow_findings

MIN_FRAMES = 100
# median |second difference| / median |difference|: 1.73 for white noise, 1.41 for the mean of two frames, below 1
# for a trace that was smoothed over several frames or that a network has denoised.
DENOISED_RATIO = 1.15
SAME_FRAMES_SHARE = 0.3
# Hardly any recording reaches a dF/F of 40 (4000 %), or that noise, as a fraction.
PERCENT_PEAK, PERCENT_NOISE = 40.0, 60.0
RAW_BASELINE = 0.7
CLIPPED_FRAMES, CLIPPED_SHARE = 3, 0.001
REST_LEVELS = -0.3, 0.7  # beyond them, F0 is something else than the fluorescence at rest
NO_ACTIVITY = -0.8  # of noise alone -1.0, 95 % of three minutes are below this


def screen_trace(
    trace: NDArray[Any],
    imaging_rate: float,
    *,
    noise_level: float,
    noise_range: tuple[float, float] | None = None,
    indicator: str | None = None,
    rest_level: float = 0.0,
    activity: float = np.inf,
) -> tuple[Finding, ...]:
    """Look a trace over before it is trusted to a model.

    Parameters
    ----------
    trace : numpy.ndarray
        (n_frames,), dF/F as a fraction; NaN: not recorded.
    imaging_rate : float
        Hz.
    noise_level : float
        Of the trace, % Hz^-1/2.
    noise_range : (float, float), optional
        Lowest and highest noise level that the model was trained for.
    indicator : str, optional
        Canonical name.
    rest_level, activity : float
        As by ``nwb_cascade.core.rest_level``.

    Returns
    -------
    tuple of (str, str)
        Codes ``noise-outside-training``, ``denoised``, ``percent-scaled``, ``not-dff``, ``clipped``,
        ``implausible-amplitude``, ``rest-level``, ``no-events`` and those of `nwb_cascade.core.slow_changes`, each with
        a sentence. Empty: nothing to say, also for fewer than 100 frames.
    """
    finite = np.asarray(trace, np.float64)[np.isfinite(trace)]
    if finite.size < MIN_FRAMES or finite.min() == finite.max():
        return ()
    scale = _scale_finding(finite, noise_level)
    found = [
        _noise_finding(noise_level, noise_range),
        _denoised_finding(trace),
        scale,
        _clipped_finding(finite),
        _activity_finding(activity),
    ]
    if scale is None:  # which would explain all that follows; saying both would point two ways
        found += slow_findings(
            np.where(np.isfinite(trace), trace, np.nan).astype(np.float64), imaging_rate, noise_level
        )
        found += [_amplitude_finding(finite, imaging_rate, indicator), _rest_finding(rest_level)]
    return tuple(one for one in found if one is not None)


def _noise_finding(level: float, noise_range: tuple[float, float] | None) -> Finding | None:
    if noise_range is None or not np.isfinite(level) or noise_range[0] <= level <= noise_range[1]:
        return None
    low, high = noise_range
    return (
        "noise-outside-training",
        f"noise level {level:.3g} % Hz^-1/2 is outside the trained range {low:g} to {high:g}",
    )


def _denoised_finding(trace: NDArray[Any]) -> Finding | None:
    first = np.abs(np.diff(np.asarray(trace, np.float64)))
    second = np.abs(np.diff(np.asarray(trace, np.float64), n=2))
    first, second = first[np.isfinite(first)], second[np.isfinite(second)]
    if first.size < MIN_FRAMES or second.size < MIN_FRAMES:
        return None
    if (same := float(np.mean(first == 0))) > SAME_FRAMES_SHARE:
        return (
            "denoised",
            f"{100 * same:.0f} % of frames equal the one before: the trace is denoised, clipped or filled",
        )
    ratio = float(np.median(second) / np.median(first))
    if ratio > DENOISED_RATIO:
        return None
    return (
        "denoised",
        f"neighbouring frames are more alike than measured noise allows (roughness {ratio:.2f}, white noise 1.73): "
        "the trace looks smoothed, denoised or upsampled, so its noise level misleads the model",
    )


def _scale_finding(finite: NDArray[np.float64], level: float) -> Finding | None:
    peak, baseline = (float(value) for value in np.percentile(finite, [99.9, 20]))
    if baseline > RAW_BASELINE and baseline > 0.5 * peak:
        return "not-dff", f"the baseline is {baseline:.3g}, not near 0: the trace looks like raw fluorescence or F/F0"
    if peak - baseline > PERCENT_PEAK or level > PERCENT_NOISE:
        return "percent-scaled", f"dF/F reaches {peak:.3g}: the trace looks scaled in percent, so divide it by 100"
    return None


def _clipped_finding(finite: NDArray[np.float64]) -> Finding | None:
    for value, which in ((finite.max(), "largest"), (finite.min(), "smallest")):
        count = int((finite == value).sum())
        if count > max(CLIPPED_FRAMES, CLIPPED_SHARE * finite.size):
            return "clipped", f"{count} frames have exactly the {which} value ({value:.3g}): the trace is clipped there"
    return None


def _rest_finding(rest_level: float) -> Finding | None:
    low, high = REST_LEVELS
    if low <= rest_level <= high:
        return None
    return (
        "rest-level",
        f"dF/F rests at {rest_level:.2g}, not near 0, and transients are scaled as if F0 were wrong by a factor of "
        f"{1 + rest_level:.2g}: check the baseline; if a constant was added, subtract it",
    )


def _activity_finding(activity: float) -> Finding | None:
    if not activity < NO_ACTIVITY:
        return None
    return (
        "no-events",
        "nothing in the trace differs from noise: its rate says that no spike was seen, not that none was",
    )


def _amplitude_finding(finite: NDArray[np.float64], imaging_rate: float, indicator: str | None) -> Finding | None:
    known = INDICATORS.get(indicator or "")
    if known is None or known.largest_dff is None:
        return None
    largest = known.largest_dff
    width = max(round(0.1 * imaging_rate), 1)
    averaged = finite[: finite.size // width * width].reshape(-1, width).mean(axis=1)
    peak = float(np.percentile(averaged, 99.9) - np.median(averaged))
    if peak <= largest:
        return None
    return (
        "implausible-amplitude",
        f"transients reach {peak:.3g} dF/F, above {largest:.3g}, the most that {indicator} showed in the ground truth: "
        "check F0, the neuropil correction and the indicator",
    )
