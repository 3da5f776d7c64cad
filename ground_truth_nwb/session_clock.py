"""One clock for all trials of a cell: where each trial is placed, and how regular its frames are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.cells import Trial

# Frames that deviate less than this from a constant rate are written as a rate.
REGULAR_WITHIN_S = 1e-6
GAP_S = 1


@dataclass(frozen=True)
class Placement:
    """Where one trial lies on the session's clock.

    Parameters
    ----------
    offset_s : float
        Session time = time on the trial's own clock + offset; whole seconds, so that adding it is exact to
        1e-12 s.
    start_s, stop_s : float
        Session times between which imaging or spikes of the trial were recorded.
    """

    offset_s: float
    start_s: float
    stop_s: float


def place_trials(trials: Sequence[Trial]) -> tuple[Placement, ...]:
    """Place trials one after another, at least one second apart, on one clock without negative times.

    Sources do not tell the time between trials: the order is theirs, the distance is not.
    """
    placements: list[Placement] = []
    for trial in trials:
        first, last = observed_span(trial)
        earliest = ceil(placements[-1].stop_s) + GAP_S if placements else max(0, ceil(-first)) + floor(first)
        offset = float(earliest - floor(first))
        placements.append(Placement(offset, first + offset, last + offset))
    return tuple(placements)


def observed_span(trial: Trial) -> tuple[float, float]:
    """Return the times on the trial's clock between which cell and imaging were certainly observed."""
    spikes = trial.spike_times_s
    first, last = float(trial.time_s[0]), float(trial.time_s[-1])
    return (min(first, float(spikes[0])), max(last, float(spikes[-1]))) if spikes.size else (first, last)


def regular_rate(time_s: NDArray[np.float64]) -> float | None:
    """Return the rate (Hz) that reproduces all frame times within 1 µs from the first one on, else None."""
    rate = (time_s.size - 1) / float(time_s[-1] - time_s[0])
    rebuilt = time_s[0] + np.arange(time_s.size) / rate
    return rate if float(np.abs(rebuilt - time_s).max()) <= REGULAR_WITHIN_S else None
