"""The rates of a population as one picture: means over neighbouring ROIs and times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock

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
    rois_per_row : int
        What is averaged; the last row may have fewer.
    column_s : float
        Seconds that are averaged; a column within a pause has no value.
    """

    shades: NDArray[np.uint8]
    top_hz: float
    rois_per_row: int
    column_s: float


class RasterMaker:
    """Collects traces ROI by ROI.

    Parameters
    ----------
    n_rois : int
        ROIs of the recording.
    clock : FrameClock
        When its frames were.

    Attributes
    ----------
    rates_hz : numpy.ndarray
        (n_rois, n_columns) float32, mean rate of each ROI in each column, spikes/s; NaN: no value.
    """

    def __init__(self, n_rois: int, clock: FrameClock) -> None:
        self.column_s, self._columns = _columns(clock)
        self._n_columns = int(self._columns[-1]) + 1
        self._frame_rates = clock.frame_rates
        self.rates_hz = np.full((n_rois, self._n_columns), np.nan, np.float32)

    def add(self, roi: int, rates: NDArray[np.floating[Any]]) -> None:
        """Add the expected spikes per frame (n_frames,) of one ROI; NaN: no value."""
        there = np.isfinite(rates)
        sums = np.bincount(self._columns, self._frame_rates * np.where(there, rates, 0), self._n_columns)
        counts = np.bincount(self._columns, there, self._n_columns)
        self.rates_hz[roi] = np.divide(sums, counts, out=np.full(counts.size, np.nan), where=counts > 0)

    def make(self, order: NDArray[np.int64] | None = None, *, top_hz: float | None = None) -> Raster:
        """Return the picture of what was added, in the order of the file or another (n_rois,).

        The brightest shade stands for ``top_hz``, by default the 99.5th percentile of the means.
        """
        ordered = self.rates_hz if order is None else self.rates_hz[order]
        rois_per_row = -(-len(ordered) // MOST_ROWS)
        firsts = np.arange(0, len(ordered), rois_per_row)
        counts = np.add.reduceat(np.isfinite(ordered), firsts, axis=0, dtype=np.int64)
        sums = np.add.reduceat(np.nan_to_num(ordered), firsts, axis=0, dtype=np.float64)
        there = counts > 0
        rates_hz = sums / np.where(there, counts, 1)
        if top_hz is None:
            top_hz = float(np.percentile(rates_hz[there], TOP_PERCENTILE)) if there.any() else 0.0
        if top_hz <= 0:
            top_hz = float(rates_hz.max(initial=0.0)) or 1.0
        shades = np.rint(np.clip(rates_hz / top_hz, 0, 1) * LARGEST_SHADE)
        return Raster(np.where(there, shades, NO_VALUE).astype(np.uint8), top_hz, rois_per_row, self.column_s)


def _columns(clock: FrameClock) -> tuple[float, NDArray[np.intp]]:
    """Return how long a column is, s, and the column of every frame (n_frames,): some frames, or times if uneven."""
    knots, n_frames = clock.knots(), clock.n_frames
    if knots is None:
        frames_per_column = -(-n_frames // MOST_COLUMNS)
        return frames_per_column / clock.imaging_rate, np.arange(n_frames) // frames_per_column
    seconds = np.interp(np.arange(n_frames), *knots) - knots[1][0]
    frame_s = 1 / clock.imaging_rate
    column_s = max(frame_s, (float(seconds[-1]) + frame_s) / MOST_COLUMNS)
    return column_s, np.minimum((seconds / column_s).astype(np.intp), MOST_COLUMNS - 1)
