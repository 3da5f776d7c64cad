"""What a table says of one cell: trials, minutes, spikes, imaging rate, noise level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ground_truth_nwb.cells import Cell
from ground_truth_nwb.noise import noise_level


@dataclass(frozen=True)
class CellSummary:
    """Figures of one cell.

    Parameters
    ----------
    n_trials, n_spikes, n_spikes_imaged : int
        Trials, all spikes, and those within the imaged time.
    minutes : float
        Imaged time.
    imaging_rate_hz, noise_level : float
        Medians over trials, weighted by duration: Hz and % Hz^-1/2 (frames without fluorescence left out).
    """

    n_trials: int
    n_spikes: int
    n_spikes_imaged: int
    minutes: float
    imaging_rate_hz: float
    noise_level: float


def summarise_cell(cell: Cell) -> CellSummary:
    """Compute the figures of one cell."""
    durations = np.array([trial.duration_s for trial in cell.trials])
    rates = np.array([trial.imaging_rate for trial in cell.trials])
    levels = np.array([noise_level(trial.valid().dff, trial.imaging_rate) for trial in cell.trials])
    return CellSummary(
        n_trials=len(cell.trials),
        n_spikes=cell.n_spikes,
        n_spikes_imaged=sum(trial.n_spikes_imaged() for trial in cell.trials),
        minutes=float(durations.sum() / 60.0),
        imaging_rate_hz=_weighted_median(rates, durations),
        noise_level=_weighted_median(levels, durations),
    )


def _weighted_median(values: np.typing.NDArray[np.float64], weights: np.typing.NDArray[np.float64]) -> float:
    """Return the value at half of the total weight; NaN values do not count."""
    finite = np.isfinite(values)
    if not finite.any():
        return float("nan")
    order = np.argsort(values[finite], kind="stable")
    cumulative = np.cumsum(weights[finite][order])
    return float(values[finite][order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])
