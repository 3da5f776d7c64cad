"""Spike trains drawn from what rates and intervals say: a gain for every cell, counts given it, placed by the rates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.spike_counts import ROUNDING, window_sums
from nwb_cascade.errors import InputError

MOST_SAMPLES = 10_000
WINDOW_S = 1.0
LEAST_WEIGHT = 1e-9  # of a frame without rate, so that a spike of a window without any has a place


def sample_trains(
    rates: NDArray[Any],
    noise_level: float,
    model: CountModel,
    clock: FrameClock,
    n_samples: int,
    generator: np.random.Generator,
) -> list[NDArray[np.float64]]:
    """Draw spike trains of one ROI.

    Every sample has a gain of its own, which its windows share; the count of each window of a second is drawn given
    that, and its spikes are placed by the rates of its frames, evenly within a frame.

    Parameters
    ----------
    rates : numpy.ndarray
        (n_frames,), expected spikes per frame, NaN where there is none: no spike is placed there.
    noise_level : float
        % Hz^-1/2.
    model : CountModel
        Distribution of the counts.
    clock : FrameClock
        When the frames were.
    n_samples : int
        How many trains, 1 to 10,000.
    generator : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    list of numpy.ndarray
        A train (n_spikes,) per sample, s on the clock of the recording, ascending.

    Raises
    ------
    InputError
        If ``n_samples`` is out of range.
    """
    if not 1 <= n_samples <= MOST_SAMPLES:
        raise InputError(f"Expected 1 to {MOST_SAMPLES} samples, received {n_samples}.")
    times, frame_s = clock.frame_times, 1 / clock.frame_rates
    of_frame = np.maximum(np.floor((times - times[0]) / WINDOW_S + ROUNDING), 0).astype(np.int64)
    _, of_frame = np.unique(of_frame, return_inverse=True)  # pauses have no windows
    n_windows = int(of_frame.max()) + 1
    sums, seconds = window_sums(rates[None], clock, of_frame, n_windows)
    known = seconds[0] > 0
    expected = np.broadcast_to(sums[0, known], (n_samples, int(known.sum())))
    counts = model.sample(expected, noise_level, seconds[0, known], generator)
    usable = np.flatnonzero(np.isfinite(rates))
    usable = usable[np.argsort(of_frame[usable], kind="stable")]
    edges = np.concatenate([[0.0], np.cumsum(np.maximum(rates[usable], 0) + LEAST_WEIGHT, dtype=np.float64)])
    bounds = edges[np.append(np.searchsorted(of_frame[usable], np.flatnonzero(known)), usable.size)]
    trains = []
    for of_sample in counts:
        frames = usable[_placed(of_sample, bounds, edges, generator)]
        trains.append(np.sort(times[frames] + (generator.random(frames.size) - 0.5) * frame_s[frames]))
    return trains


def _placed(
    counts: NDArray[np.int64], bounds: NDArray[np.float64], edges: NDArray[np.float64], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the frame of each spike of the windows between ``bounds``, by the weights between ``edges``."""
    low, high = np.repeat(bounds[:-1], counts), np.repeat(bounds[1:], counts)
    drawn = low + generator.random(low.size) * (high - low)
    found = np.searchsorted(edges, drawn, side="right") - 1
    return np.clip(found, 0, max(edges.size - 2, 0)).astype(np.int64)
