"""A simulated recording replayed in real time: how late spikes are told, and how well."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.simulate import simulate_population
from nwb_cascade.core.kernels import smooth, smoothing_kernel
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.resampling import bin_spikes
from nwb_cascade.core.scores import correlation
from nwb_cascade.online.inference import OnlineInference, OnlineOptions

N_ROIS = 24
DURATION_S = 30.0
IMAGING_RATE = 30.0
INDICATOR = "jGCaMP8m"
FIRING_RATE_HZ = 0.6
SMOOTHING_S = 0.05
SETTLED_S = 5.0  # until the levels that run along have come near


@dataclass(frozen=True)
class Replay:
    """How a replay went.

    ``look_ahead_ms`` is the delay that is waited for, ``median_ms`` and ``p99_ms`` the time from a frame's arrival to
    its result, ``latest_ms`` the longest from when a frame was due to its result; ``correlation`` is the median over
    ROIs with the smoothed true spikes.
    """

    n_frames: int
    look_ahead_ms: float
    median_ms: float
    p99_ms: float
    latest_ms: float
    correlation: float
    n_true_spikes: int
    n_expected_spikes: float


def replay(*, seed: int = 0, duration_s: float = DURATION_S, progress: Progress | None = None) -> Replay:
    """Simulate a population and push its frames at the rate of the recording.

    Parameters
    ----------
    seed : int
        Of the simulation.
    duration_s : float
        How long it takes, s.
    progress : callable, optional
        Called with (frames pushed, frames in all).
    """
    dff, spike_times = simulate_population(
        np.random.default_rng(seed),
        N_ROIS,
        indicator=INDICATOR,
        imaging_rate=IMAGING_RATE,
        duration_s=duration_s,
        firing_rate_hz=FIRING_RATE_HZ,
        noise_level=np.linspace(1, 6, N_ROIS),
    )
    online = OnlineInference(N_ROIS, IMAGING_RATE, indicator=INDICATOR, options=OnlineOptions(smoothing_s=SMOOTHING_S))
    (delay,) = online.look_ahead_frames
    frames = np.ascontiguousarray(dff.T)
    rates, took, late = np.empty_like(frames), np.empty(len(frames)), 0.0
    start = time.perf_counter()
    for number, frame in enumerate(frames):
        due = start + number / IMAGING_RATE
        time.sleep(max(due - time.perf_counter(), 0))
        began = time.perf_counter()
        rates[number] = online.push(frame)
        ended = time.perf_counter()
        took[number], late = ended - began, max(late, ended - due)
        if progress is not None:
            progress(number + 1, len(frames))
    scores = _scores(rates.T, spike_times, delay)
    return Replay(
        n_frames=len(frames),
        look_ahead_ms=1000 * delay / IMAGING_RATE,
        median_ms=float(1000 * np.median(took)),
        p99_ms=float(1000 * np.percentile(took, 99)),
        latest_ms=1000 * late,
        **scores,
    )


def _scores(rates: NDArray[np.float32], spike_times: Sequence[NDArray[np.float64]], delay: int) -> dict[str, Any]:
    """What was told, (n_rois, n_frames) and so many frames late, against the true spikes."""
    n_frames = rates.shape[1]
    grid = np.arange(n_frames) / IMAGING_RATE
    counts = np.array([bin_spikes(times, grid, IMAGING_RATE) for times in spike_times], np.float64)
    truth = smooth(counts, kernel=smoothing_kernel("gaussian", SMOOTHING_S, IMAGING_RATE))
    compared = slice(min(int(SETTLED_S * IMAGING_RATE), n_frames // 2), n_frames - delay)
    told, known = rates[:, delay:][:, compared], truth[:, compared]
    correlations = [correlation(one, other) for one, other in zip(told, known, strict=True)]
    return {
        "correlation": float(np.nanmedian(correlations)),
        "n_true_spikes": int(counts[:, compared].sum()),
        "n_expected_spikes": float(told.sum()),
    }
