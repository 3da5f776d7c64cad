"""What a table says of one cell: trials, minutes, spikes, imaging rate, noise level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import numpy as np

from ground_truth_nwb.alignment import response_lag_s
from ground_truth_nwb.cells import Cell
from ground_truth_nwb.noise import noise_level


def without_nan(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures as JSON knows them: None for NaN."""
    return {name: None if isinstance(value, float) and isnan(value) else value for name, value in figures.items()}


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
    response_lag_s : float
        Delay of the fluorescence behind the spikes (:func:`ground_truth_nwb.alignment.response_lag_s`), s.
    """

    n_trials: int
    n_spikes: int
    n_spikes_imaged: int
    minutes: float
    imaging_rate_hz: float
    noise_level: float
    response_lag_s: float

    def to_record(self) -> dict[str, int | float | None]:
        """Return the figures as JSON knows them: None for NaN."""
        return without_nan(vars(self))

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> CellSummary:
        """Build a summary from ``to_record``."""
        figures: dict[str, Any] = {name: nan if value is None else value for name, value in record.items()}
        return cls(**figures)


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
        response_lag_s=response_lag_s(cell),
    )


def _weighted_median(values: np.typing.NDArray[np.float64], weights: np.typing.NDArray[np.float64]) -> float:
    """Return the value at half of the total weight; NaN values do not count."""
    finite = np.isfinite(values)
    if not finite.any():
        return float("nan")
    order = np.argsort(values[finite], kind="stable")
    cumulative = np.cumsum(weights[finite][order])
    return float(values[finite][order][np.searchsorted(cumulative, 0.5 * cumulative[-1])])
