"""One cell of the ground truth on regular frames: its trials end to end, its spikes in frames, its scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.kernels import smooth
from nwb_cascade.core.resampling import frame_grid, resample_trace
from nwb_cascade.core.scores import Scores, score

if TYPE_CHECKING:
    from ground_truth_nwb.cells import Cell, Trial

GAP_S = 1.0  # without values, between two trials
AS_FAST = 1.05  # a trial recorded at up to this many times the wanted rate keeps its frames


@dataclass(frozen=True, eq=False)
class CellInference:
    """What a model says about one cell.

    Parameters
    ----------
    expected_spikes, ensemble_std : numpy.ndarray
        (n_frames,) float32, expected spikes per frame and their deviation over the ensemble; NaN: no value.
    kernel : numpy.ndarray
        Smoothing that the expected spikes carry, as weights of frames around lag 0.
    model : str
        Name of the model.
    """

    expected_spikes: NDArray[np.float32]
    ensemble_std: NDArray[np.float32]
    kernel: NDArray[np.float64]
    model: str


InferCell = Callable[[NDArray[np.float32], float, str, "str | None"], CellInference]
"""Called with dF/F (n_frames,), imaging rate (Hz), indicator and species; raises ValueError or LookupError if the
model does not fit."""


@dataclass(frozen=True, eq=False)
class CellFrames:
    """Trials of a cell, one after the other, with a gap of one second between them.

    Parameters
    ----------
    dff : numpy.ndarray
        (n_frames,) float32, dF/F as a fraction; NaN where nothing was measured.
    spike_frames : numpy.ndarray
        (n_spikes,) float64, ascending: times of the recorded spikes after the first frame, in frames.
    in_trial : numpy.ndarray
        (n_frames,) bool, False in the gaps between trials.
    imaging_rate : float
        Hz.
    """

    dff: NDArray[np.float32]
    spike_frames: NDArray[np.float64]
    in_trial: NDArray[np.bool_]
    imaging_rate: float


def cell_frames(cell: Cell, imaging_rate: float | None = None) -> CellFrames:
    """Lay the trials of a cell on one clock of regular frames.

    Parameters
    ----------
    cell : ground_truth_nwb.cells.Cell
        A cell.
    imaging_rate : float, optional
        Hz; trials recorded faster are averaged down to it. A cell that is recorded more slowly, or every cell if this
        is left out, keeps its own rate: each of its frames goes to the nearest regular frame time.
    """
    own = float(np.median([trial.imaging_rate for trial in cell.trials]))
    rate = own if imaging_rate is None or own <= AS_FAST * imaging_rate else imaging_rate
    gap = np.full(int(np.ceil(GAP_S * rate)), np.nan, np.float32)
    traces: list[NDArray[np.float32]] = []
    spikes: list[NDArray[np.float64]] = []
    n_frames = 0
    for trial in (trial.valid() for trial in cell.trials):
        if traces:
            traces.append(gap)
            n_frames += gap.size
        dff = _regular(trial, rate) if rate == own else _averaged(trial, rate)
        position = (trial.spike_times_s - trial.time_s[0]) * rate
        spikes.append(position[(position >= -0.5) & (position < dff.size - 0.5)] + n_frames)
        traces.append(dff)
        n_frames += dff.size
    in_trial = np.concatenate([np.full(trace.size, trace is not gap) for trace in traces])
    return CellFrames(np.concatenate(traces), np.concatenate(spikes), in_trial, rate)


def cell_scores(frames: CellFrames, inference: CellInference) -> Scores:
    """Compare inferred with recorded spikes, smoothed alike, within the trials."""
    nearest = np.floor(frames.spike_frames + 0.5).astype(np.int64)
    counts = np.bincount(nearest, minlength=frames.dff.size).astype(np.float64)
    truth = smooth(counts, frames.in_trial, kernel=inference.kernel)
    return score(inference.expected_spikes, truth, frames.imaging_rate)


def _regular(trial: Trial, rate: float) -> NDArray[np.float32]:
    """Frames as they were recorded, each at the nearest regular frame time; NaN where none was."""
    index = np.rint((trial.time_s - trial.time_s[0]) * rate).astype(np.int64)
    dff = np.full(int(index[-1]) + 1, np.nan, np.float32)
    dff[index] = trial.dff
    return dff


def _averaged(trial: Trial, rate: float) -> NDArray[np.float32]:
    """Frames of a lower rate."""
    grid = frame_grid(float(trial.time_s[0]), float(trial.time_s[-1]), rate)
    return resample_trace(trial.dff, trial.time_s, grid, rate)
