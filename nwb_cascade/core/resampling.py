"""Traces and exact spike times brought to a target imaging rate and noise level.

A resampled frame is the mean of the (piecewise linear) trace over that frame's exposure, centred on its frame time.
Nothing is transformed as a whole, so nothing wraps around or rings, and frame k lies at exactly ``start + k / rate``.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_level

_Values = TypeVar("_Values", bound=np.generic)
NOISE_TOLERANCE = 0.005
MAX_NOISE_ITERATIONS = 60


def frame_grid(start_s: float, stop_s: float, imaging_rate: float) -> NDArray[np.float64]:
    """Frame times ``start_s + k / imaging_rate`` up to and including ``stop_s``, s, float64.

    Each is computed from its index, so that no rounding adds up over a recording.
    """
    if not imaging_rate > 0 or not stop_s >= start_s:
        raise ValueError(
            f"Expected imaging_rate > 0 and stop >= start, received {imaging_rate} Hz, {start_s} s, {stop_s} s."
        )
    n_frames = int(np.floor((stop_s - start_s) * imaging_rate + 1e-6)) + 1
    return start_s + np.arange(n_frames) / imaging_rate


def resample_trace(
    dff: NDArray[Any],
    times: NDArray[Any],
    frame_times: NDArray[np.float64],
    imaging_rate: float,
    *,
    exposure: float = 1.0,
) -> NDArray[np.float32]:
    """Average a trace over the exposure of each target frame.

    Parameters
    ----------
    dff : numpy.ndarray
        (n_samples,), dF/F as a fraction; NaN: not measured.
    times : numpy.ndarray
        (n_samples,), s, strictly increasing; need not be regular.
    frame_times : numpy.ndarray
        (n_frames,), s: centres of the target frames.
    imaging_rate : float
        Target rate, Hz.
    exposure : float
        Part of the frame interval that is averaged, above 0. 1: all of it.

    Returns
    -------
    numpy.ndarray
        (n_frames,) float32; NaN where the exposure touches a sample that was not measured. Before the first and
        after the last sample the trace is reflected.

    Raises
    ------
    ValueError
        If the shapes differ, there are fewer than two samples, times do not increase or exposure is not positive.
    """
    dff, times = np.asarray(dff, dtype=np.float64), np.asarray(times, dtype=np.float64)
    if dff.ndim != 1 or dff.shape != times.shape or dff.size < 2:
        raise ValueError(
            f"Expected dff and times of one shape (n_samples,) with n_samples >= 2, "
            f"received {dff.shape} and {times.shape}."
        )
    if not np.all(np.diff(times) > 0):
        raise ValueError("Expected strictly increasing times without NaN. Sort or drop the frames first.")
    if not exposure > 0 or not imaging_rate > 0:
        raise ValueError(f"Expected exposure > 0 and imaging_rate > 0, received {exposure} and {imaging_rate} Hz.")
    half = 0.5 * exposure / imaging_rate
    times, dff = _reflected(times, dff, frame_times[0] - half, frame_times[-1] + half)
    missing = ~np.isfinite(dff)
    mean = _interval_means(times, np.where(missing, 0.0, dff), frame_times, half)
    if missing.any():
        mean[_interval_means(times, missing.astype(np.float64), frame_times, half) > 1e-9] = np.nan
    return mean.astype(np.float32)


def bin_spikes(spike_times: NDArray[Any], frame_times: NDArray[np.float64], imaging_rate: float) -> NDArray[np.int64]:
    """Count the spikes of each frame; the bin of a frame is centred on its frame time.

    Parameters
    ----------
    spike_times : numpy.ndarray
        (n_spikes,), s, in any order.
    frame_times : numpy.ndarray
        (n_frames,), s, regular: ``frame_grid``.
    imaging_rate : float
        Hz.

    Returns
    -------
    numpy.ndarray
        (n_frames,) int64. Spikes more than half a frame outside the recording are not counted; all others are.
    """
    position = (np.asarray(spike_times, dtype=np.float64) - frame_times[0]) * imaging_rate
    # A spike on the border of two bins belongs to the later one; the rounding keeps it there after an hour.
    index = np.floor(np.round(position + 0.5, 6)).astype(np.int64)
    index = index[(index >= 0) & (index < frame_times.size)]
    return np.bincount(index, minlength=frame_times.size)


def add_noise(
    dff: NDArray[Any], imaging_rate: float, target_noise_level: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Add shot noise until the noise level of the trace reaches a target within 0.5 %.

    The standard deviation follows ``sqrt(|dff + 1|)`` (photon noise; Rupprecht et al. 2021). Its scale is found by
    bisection on the measured noise level, because the median of absolute differences does not add in quadrature.

    Parameters
    ----------
    dff : numpy.ndarray
        (n_frames,), dF/F as a fraction; NaN stays NaN.
    imaging_rate : float
        Hz.
    target_noise_level : float
        % Hz^-1/2.
    generator : numpy.random.Generator
        Source of the noise.

    Returns
    -------
    numpy.ndarray
        (n_frames,) float32.

    Raises
    ------
    ValueError
        If the trace is noisier than the target already, or its noise level is not defined.
    """
    dff = np.asarray(dff, dtype=np.float64)
    own = _noise_level_of(dff, imaging_rate)
    if not own <= target_noise_level * (1 + NOISE_TOLERANCE):
        raise ValueError(
            f"Expected a trace of noise level at most {target_noise_level:.3g}, received {own:.3g} % Hz^-1/2. "
            "Noise can only be added: leave this recording out at this noise level."
        )
    noise = photon_noise(dff, generator)
    low, high = 0.0, 2.0 * target_noise_level * np.sqrt(imaging_rate) / 100.0
    while _noise_level_of(dff + high * noise, imaging_rate) < target_noise_level:
        high *= 2.0
    scale = 0.0
    for _ in range(MAX_NOISE_ITERATIONS):
        reached = _noise_level_of(dff + scale * noise, imaging_rate)
        if abs(reached / target_noise_level - 1.0) < NOISE_TOLERANCE:
            break
        low, high = (scale, high) if reached < target_noise_level else (low, scale)
        scale = 0.5 * (low + high)
    return np.asarray(dff + scale * noise, dtype=np.float32)


def photon_noise(dff: NDArray[Any], generator: np.random.Generator) -> NDArray[np.float64]:
    """Normal noise whose standard deviation follows ``sqrt(|dff + 1|)``, 1 at the median frame; shape of ``dff``."""
    spread = np.sqrt(np.abs(np.asarray(dff, dtype=np.float64) + 1.0))
    middle = np.nanmedian(spread)
    return np.asarray(generator.standard_normal(spread.shape) * spread / (middle if middle > 0 else 1.0))


def _noise_level_of(dff: NDArray[np.float64], imaging_rate: float) -> float:
    return float(noise_level(dff[None], imaging_rate)[0])


def _reflected(
    times: NDArray[np.float64], dff: NDArray[np.float64], first_s: float, last_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Extend a trace by reflection at its end samples so that it covers [first_s, last_s]."""
    before = times <= 2 * times[0] - first_s
    after = times >= 2 * times[-1] - last_s
    before[0] = after[-1] = False
    if first_s < times[0]:
        before[1] = True
    if last_s > times[-1]:
        after[-2] = True
    return (
        np.concatenate([2 * times[0] - times[before][::-1], times, 2 * times[-1] - times[after][::-1]]),
        np.concatenate([dff[before][::-1], dff, dff[after][::-1]]),
    )


def _interval_means(
    times: NDArray[np.float64], dff: NDArray[np.float64], centres: NDArray[np.float64], half: float
) -> NDArray[np.float64]:
    """Mean over centre ± half of the piecewise linear function through the samples, from its exact integral."""
    steps = np.diff(times)
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (dff[1:] + dff[:-1]) * steps)])
    slopes = np.diff(dff) / steps

    def integral(at: NDArray[np.float64]) -> NDArray[np.float64]:
        index = np.clip(np.searchsorted(times, at, side="right") - 1, 0, steps.size - 1)
        offset = at - times[index]
        return np.asarray(cumulative[index] + offset * (dff[index] + 0.5 * slopes[index] * offset))

    return (integral(centres + half) - integral(centres - half)) / (2 * half)


def moved(values: NDArray[_Values], frames: int, filler: float) -> NDArray[_Values]:
    """Values (n_frames,) that stand later by a number of frames (earlier if negative); a filler where none was.

    Examples
    --------
    >>> moved(np.array([1.0, 2.0, 3.0]), 1, 0.0), moved(np.array([1.0, 2.0, 3.0]), -2, np.nan)
    (array([0., 1., 2.]), array([ 3., nan, nan]))
    """
    found = np.full_like(values, filler)
    first, stop = max(frames, 0), max(values.size + min(frames, 0), 0)
    found[first:stop] = values[first - frames : stop - frames]
    return found
