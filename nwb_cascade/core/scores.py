"""How well expected spikes agree with the spikes that were recorded: correlation, error, bias and lag."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_LAG_S = 0.5
SILENT_S, LEAST_SILENCE_S = 3.0, 5.0
SPIKE = 1e-3  # of a smoothed spike's count per frame: less of it does not make a frame part of it


@dataclass(frozen=True)
class Scores:
    """Agreement of one neuron's expected spikes with its smoothed ground truth (Rupprecht et al. 2021).

    Parameters
    ----------
    correlation : float
        Pearson's, NaN if either side is constant.
    error : float
        ``sum |p - g| / sum g``; NaN without spikes.
    bias : float
        ``sum (p - g) / sum g``: 0.5 means half as many spikes again as there were; NaN without spikes.
    lag_s : float
        Where the cross-correlation peaks, s; positive: the expected spikes come late. NaN if either side is constant.
    silence_hz : float
        Mean of the expected spikes, per second, in frames farther than 3 s from any spike; NaN if they are less than
        5 s together.
    """

    correlation: float
    error: float
    bias: float
    lag_s: float
    silence_hz: float


def score(expected_spikes: NDArray[Any], truth: NDArray[Any], imaging_rate: float) -> Scores:
    """Compare expected spikes with smoothed ground truth, over the frames where both are finite.

    Parameters
    ----------
    expected_spikes, truth : numpy.ndarray
        (n_frames,), spikes per frame, smoothed by the same kernel; NaN: not estimated.
    imaging_rate : float
        Hz.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    expected_spikes, truth = np.asarray(expected_spikes, np.float64), np.asarray(truth, np.float64)
    if expected_spikes.ndim != 1 or expected_spikes.shape != truth.shape:
        raise ValueError(
            f"Expected two arrays of one shape (n_frames,), received {expected_spikes.shape} and {truth.shape}."
        )
    both = np.isfinite(expected_spikes) & np.isfinite(truth)
    estimate, wanted = expected_spikes[both], truth[both]
    total = wanted.sum()
    return Scores(
        correlation=correlation(estimate, wanted),
        error=float(np.abs(estimate - wanted).sum() / total) if total > 0 else float("nan"),
        bias=float((estimate - wanted).sum() / total) if total > 0 else float("nan"),
        lag_s=lag(expected_spikes, truth, imaging_rate),
        silence_hz=_silence(expected_spikes, truth, imaging_rate),
    )


def correlation(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Pearson correlation of two finite arrays of one shape; NaN if either is constant or they are empty."""
    if first.size < 2:
        return float("nan")
    a, b = first - first.mean(), second - second.mean()
    norm = float(np.sqrt(a @ a) * np.sqrt(b @ b))
    scale = 1e-12 * first.size * (float(np.abs(first).max()) * float(np.abs(second).max()))
    return float(a @ b) / norm if norm > scale else float("nan")


def lag(estimate: NDArray[Any], truth: NDArray[Any], imaging_rate: float) -> float:
    """Delay of the estimate behind the truth at which their correlation is largest, s.

    Searched within half a second either way; a parabola through the peak and its neighbours resolves less than a
    frame. Frames that are NaN in either are left out of each comparison.
    """
    reach = min(int(np.ceil(MAX_LAG_S * imaging_rate)), truth.size - 2)
    shifts = np.arange(-reach, reach + 1)
    values = np.array([_shifted_correlation(estimate, truth, int(shift)) for shift in shifts])
    if values.size == 0 or not np.isfinite(values).any():
        return float("nan")
    peak = int(np.nanargmax(values))
    offset = 0.0
    if 0 < peak < values.size - 1:
        left, middle, right = values[peak - 1 : peak + 2]
        curvature = left - 2 * middle + right
        offset = 0.5 * (left - right) / curvature if curvature < 0 else 0.0
    return float((shifts[peak] + offset) / imaging_rate)


def _silence(estimate: NDArray[Any], truth: NDArray[Any], imaging_rate: float) -> float:
    from scipy.ndimage import maximum_filter1d

    near = maximum_filter1d(np.nan_to_num(truth) > SPIKE, 2 * int(SILENT_S * imaging_rate) + 1, mode="constant")
    silent = estimate[~near & np.isfinite(estimate) & np.isfinite(truth)]
    return float(imaging_rate * silent.mean()) if silent.size >= LEAST_SILENCE_S * imaging_rate else float("nan")


def _shifted_correlation(estimate: NDArray[Any], truth: NDArray[Any], shift: int) -> float:
    late, early = (estimate[shift:], truth[: truth.size - shift]) if shift >= 0 else (estimate[:shift], truth[-shift:])
    both = np.isfinite(late) & np.isfinite(early)
    return correlation(late[both], early[both])
