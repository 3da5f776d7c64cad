"""The rates of a population as one picture: means over neighbouring ROIs and frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 400
MOST_COLUMNS = 800
LARGEST_SHADE = 254
NO_VALUE = 255
TOP_PERCENTILE = 99.5


@dataclass(frozen=True, eq=False)
class Raster:
    """A picture of inferred rates.

    Parameters
    ----------
    shades : numpy.ndarray
        (n_rows, n_columns) uint8: 0 to 254 from no spikes to ``top_hz`` and above, 255: no value.
    top_hz : float
        99.5th percentile of the means, spikes/s.
    rois_per_row, frames_per_column : int
        What is averaged; the last row and column may have fewer.
    """

    shades: NDArray[np.uint8]
    top_hz: float
    rois_per_row: int
    frames_per_column: int


class RasterMaker:
    """Collects traces ROI by ROI.

    Parameters
    ----------
    n_rois, n_frames : int
        Shape of the recording.
    imaging_rate : float
        Hz.
    """

    def __init__(self, n_rois: int, n_frames: int, imaging_rate: float) -> None:
        self.rois_per_row = -(-n_rois // MOST_ROWS)
        self.frames_per_column = -(-n_frames // MOST_COLUMNS)
        shape = -(-n_rois // self.rois_per_row), -(-n_frames // self.frames_per_column)
        self._sums, self._counts = np.zeros(shape), np.zeros(shape)
        self._starts = np.arange(0, n_frames, self.frames_per_column)
        self._imaging_rate = imaging_rate

    def add(self, roi: int, rates: NDArray[np.floating[Any]]) -> None:
        """Add the expected spikes per frame (n_frames,) of one ROI; NaN: no value."""
        there = np.isfinite(rates)
        row = roi // self.rois_per_row
        self._sums[row] += np.add.reduceat(np.where(there, rates, 0).astype(np.float64), self._starts)
        self._counts[row] += np.add.reduceat(there.astype(np.float64), self._starts)

    def make(self) -> Raster:
        """Return the picture of what was added."""
        there = self._counts > 0
        rates_hz = self._imaging_rate * self._sums / np.where(there, self._counts, 1)
        top = float(np.percentile(rates_hz[there], TOP_PERCENTILE)) if there.any() else 0.0
        if top <= 0:
            top = float(rates_hz.max(initial=0.0)) or 1.0
        shades = np.rint(np.clip(rates_hz / top, 0, 1) * LARGEST_SHADE)
        return Raster(
            np.where(there, shades, NO_VALUE).astype(np.uint8), top, self.rois_per_row, self.frames_per_column
        )
