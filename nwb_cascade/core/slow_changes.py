"""What changes slowly in one trace and is no spikes: bleaching, drift, steps, slow waves, noise that grows.

Thresholds were chosen on the published ground truth, of whose trials each check flags at most one in a hundred
(docs/accuracy.md). What is flagged there may well be what the check says: nobody labelled it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.change_points import change_points
from nwb_cascade.core.noise import noise_level, noise_std

WINDOWS, WINDOW_S, WINDOW_FRAMES = 12, 5.0, 50  # of a whole trace; fewer seconds or frames in each tell nothing
RESTING, RESTING_Z = 20, 0.8416  # percentile of a window, and how far that is below the mean of normal noise
FALL, RISE, STEADY = 0.2, 0.5, 0.9  # dF/F, and rank correlation of the windows with time
WANDERING = 1.5  # dF/F between the lowest and the highest tenth of the windows
STEP, STEP_WINDOW_S, STEP_SIDE, SHARP = 0.25, 2.0, 5, 0.8  # dF/F, s, windows on either side, share that is at once
WAVE_BINS_S = (0.25, 0.5)
FEWEST_BINS = 100
WAVE_STRENGTH, WAVE_SKEW, WAVE_SLOPE_SKEW, CHANCE = 3.0, 0.3, 0.15, 3.0
NOISE_GROWTH = 1.4

Finding = tuple[str, str]


def slow_findings(trace: NDArray[np.float64], imaging_rate: float, level: float) -> Iterator[Finding]:
    """Yield code and sentence of what changes slowly; beside waves, which say more, steps are not looked for.

    Parameters
    ----------
    trace : numpy.ndarray
        (n_frames,) float64, dF/F as a fraction, NaN where a frame is missing.
    imaging_rate : float
        Hz.
    level : float
        Noise level of the trace, % Hz^-1/2.
    """
    noise = float(noise_std(level, imaging_rate))
    windows = _rows(trace, max(trace.size // WINDOWS, 1))
    long_enough = windows.shape[1] >= max(WINDOW_S * imaging_rate, WINDOW_FRAMES)
    wave = _wave(trace, imaging_rate, noise)
    finding = _step(trace, imaging_rate, noise) if wave is None else None  # windows beat with waves
    if finding is None and long_enough:
        finding = _trend(windows, noise)
    yield from (one for one in (finding, wave) if one is not None)
    if long_enough and (growth := _growth(windows, imaging_rate)) is not None:
        yield growth


def _rows(trace: NDArray[np.float64], n_frames: int) -> NDArray[np.float64]:
    """Cut a trace into rows (n, n_frames) that are known for the larger part; what is left over is left out."""
    rows = trace[: trace.size // n_frames * n_frames].reshape(-1, n_frames)
    known = np.isfinite(rows)
    return rows if known.all() else rows[known.mean(axis=1) > 0.5]


def _resting(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where each row rests: a low percentile, raised by what its own noise lowers it by."""
    whole = np.isfinite(rows).all()
    low = (np.percentile if whole else np.nanpercentile)(rows, RESTING, axis=1)
    return np.asarray(low + RESTING_Z * noise_std(noise_level(rows, 1.0), 1.0), np.float64)


def _steadiness(values: NDArray[Any]) -> float:
    """Rank correlation of values (n,) with time."""
    ranks = np.argsort(np.argsort(values))
    return float(np.corrcoef(ranks, np.arange(values.size))[0, 1])


def _trend(windows: NDArray[np.float64], noise: float) -> Finding | None:
    """Bleaching if the trace falls steadily, a drift if it rises steadily or wanders far."""
    if len(windows) < WINDOWS:
        return None
    rest = _resting(windows)
    change, steadiness = float(rest[-3:].mean() - rest[:3].mean()), _steadiness(rest)
    if abs(change) > max(FALL if change < 0 else RISE, noise) and change * steadiness > 0 and abs(steadiness) > STEADY:
        if change < 0:
            return (
                "bleaching",
                f"the baseline falls steadily by {-change:.2g} dF/F over the recording, as bleaching makes it: correct "
                "F0 with a running baseline",
            )
        return "drifting", f"the baseline rises steadily by {change:.2g} dF/F: correct F0 with a running baseline"
    wandered = float(np.percentile(rest, 90) - np.percentile(rest, 10))
    if wandered > max(WANDERING, 3 * noise):
        return (
            "drifting",
            f"the baseline moves by {wandered:.2g} dF/F over the recording: use a running baseline for F0",
        )
    return None


def _step(trace: NDArray[np.float64], imaging_rate: float, noise: float) -> Finding | None:
    """A baseline that is another from one moment on."""
    n_frames = max(round(STEP_WINDOW_S * imaging_rate), 10)
    rows = trace[: trace.size // n_frames * n_frames].reshape(-1, n_frames)
    known = np.isfinite(rows).mean(axis=1) > 0.5
    if known.sum() < 2 * STEP_SIDE:
        return None
    rest, frames = _resting(rows[known]), np.flatnonzero(known) * n_frames
    for change in change_points(rest, max(STEP, 2 * noise / np.sqrt(n_frames))):
        if not STEP_SIDE <= change <= rest.size - STEP_SIDE:
            continue
        whole = float(np.median(rest[change:]) - np.median(rest[:change]))
        at_once = float(np.median(rest[change : change + 3]) - np.median(rest[change - 3 : change]))
        if at_once / whole > SHARP:
            return "step", f"the baseline jumps by {whole:+.2g} dF/F near frame {frames[change]}, and stays there"
    return None


def _wave(trace: NDArray[np.float64], imaging_rate: float, noise: float) -> Finding | None:
    """Slow changes far above the noise that rise as they fall: transients are above rest, and rise faster."""
    for seconds in WAVE_BINS_S:
        n_frames = max(1, round(seconds * imaging_rate))
        bins = _rows(trace, n_frames)
        if len(bins) < FEWEST_BINS:
            return None
        means = bins.mean(axis=1) if np.isfinite(bins).all() else np.nanmean(bins, axis=1)
        time = np.linspace(-1, 1, means.size)
        means = means - np.polyval(np.polyfit(time, means, 1), time)
        strength = float(means.std() / max(noise / np.sqrt(n_frames), 1e-9))
        if strength < WAVE_STRENGTH or _skewness(means) > WAVE_SKEW:
            return None
        by_chance = CHANCE * np.sqrt(6 / means.size)  # skewness of so many normal values: its standard deviation
        if abs(_skewness(np.diff(means))) > max(WAVE_SLOPE_SKEW, by_chance):
            return None
    power = np.abs(np.fft.rfft(means)) ** 2
    frequency = int(power[1:].argmax() + 1) * imaging_rate / (n_frames * means.size)
    return (
        "slow-wave",
        f"slow waves (mostly {frequency:.2g} Hz, {strength:.2g} times the noise) rise as they fall, unlike transients "
        "of spikes: rates inferred from them mean nothing",
    )


def _skewness(values: NDArray[np.float64]) -> float:
    centred = values - values.mean()
    spread = float(centred.std())
    return float((centred**3).mean()) / spread**3 if spread > 0 else 0.0


def _growth(windows: NDArray[np.float64], imaging_rate: float) -> Finding | None:
    """Noise that grows all the time, as it does where bleaching was divided out."""
    levels = noise_level(windows, imaging_rate)
    if len(levels) < WINDOWS or not (levels[:3] > 0).all():
        return None
    ratio = float(levels[-3:].mean() / levels[:3].mean())
    if not ratio > NOISE_GROWTH or _steadiness(levels) < STEADY:
        return None
    return (
        "noise-grows",
        f"the noise grows steadily to {ratio:.2g} times, as where bleaching was divided out: late frames are noisier "
        "than the networks are told",
    )
