"""Where the noise of traces changes for good: another laser power, another depth, an animal that begins to move.

A change is one of the level that holds on either side, not the bursts of an active cell, which raise a few windows.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.change_points import LEAST_WINDOWS, change_points
from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.noise import ENOUGH_FRAMES, noise_level

WINDOW_S = 10.0  # unless that is too few frames
LEAST_RATIO = 2.0  # of the levels on both sides; of 825 trials of ground truth 5 have so much, 4 of them in KCl
MOST_CHANGES = 4


def noise_changes(dff: NDArray[Any], imaging_rate: float) -> list[tuple[int, ...]]:
    """Return for every ROI the frames at which its noise level changes for good; mostly none.

    Parameters
    ----------
    dff : numpy.ndarray
        (n_rois, n_frames), dF/F as a fraction, NaN where a frame is missing.
    imaging_rate : float
        Hz.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(0, 0.02, (1, 3000))
    >>> noise[:, 1500:] *= 5
    >>> noise_changes(noise, 30.0)
    [(1500,)]
    """
    window = max(ENOUGH_FRAMES, round(WINDOW_S * imaging_rate))
    n_windows = dff.shape[1] // window
    if n_windows < 2 * LEAST_WINDOWS:
        return [()] * len(dff)
    parts = dff[:, : n_windows * window].reshape(-1, window)
    levels = np.log(np.maximum(noise_level(parts, imaging_rate), 1e-9)).reshape(-1, n_windows)
    found = [change_points(row, np.log(LEAST_RATIO)) if np.isfinite(row).all() else [] for row in levels]
    return _agreed([[change * window for change in row[:MOST_CHANGES]] for row in found], 2 * window)


def changed_clocks(dff: NDArray[Any], clock: FrameClock) -> list[tuple[FrameClock, list[int]]]:
    """Return clocks whose stretches end where the noise changes, each with the ROIs (rows of dff) that it holds for."""
    found: list[tuple[int, ...]] = [()] * len(dff)
    for stretch in clock.stretches:
        changes = noise_changes(dff[:, stretch.first : stretch.stop], stretch.imaging_rate)
        found = [(*so_far, *(stretch.first + at for at in one)) for so_far, one in zip(found, changes, strict=True)]
    rows: dict[tuple[int, ...], list[int]] = {}
    for row, frames in enumerate(found):
        rows.setdefault(frames, []).append(row)
    return [(clock.split(frames), members) for frames, members in rows.items()]


def _agreed(found: list[list[int]], near: int) -> list[tuple[int, ...]]:
    """Move changes of single ROIs to where most ROIs have theirs, since what changes them is mostly one thing."""
    votes = Counter(frame for changes in found for frame in changes)
    places: list[int] = []
    for frame, _ in votes.most_common():
        if not any(abs(frame - place) <= near for place in places):
            places.append(frame)
    return [
        tuple(sorted({min(places, key=lambda place: abs(place - frame)) for frame in changes})) for changes in found
    ]
