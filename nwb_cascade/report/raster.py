"""The rates of a population as one picture: means over neighbouring ROIs and times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.wording import rounded
from nwb_cascade.report.arrays import Packer, pack_array, pack_numbers

MOST_ROWS = 400
MOST_COLUMNS = 800
LARGEST_SHADE = 254
NO_VALUE = 255
TOP_PERCENTILE = 99.5
IN_FILE, MOST_ORDERS = "file", 4
PACKED_SHARE = 0.7  # of a picture's bytes, deflated


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
        self._frame_rates = clock.frame_rates
        self.rates_hz = np.full((n_rois, int(self._columns[-1]) + 1), np.nan, np.float32)

    def add(self, roi: int, rates: NDArray[np.floating[Any]]) -> None:
        """Add the expected spikes per frame (n_frames,) of one ROI; NaN: no value."""
        self.rates_hz[roi] = _means(self._frame_rates, rates, self._columns, self.rates_hz.shape[1])

    @property
    def n_bytes(self) -> int:
        """Bytes that the pictures in all orders take on a page; those of rates deflate to half or less."""
        n_rois, n_columns = self.rates_hz.shape
        return round(PACKED_SHARE * min(n_rois, MOST_ROWS) * n_columns * (1 if n_rois <= MOST_ROWS else MOST_ORDERS))

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


class CellRasterMaker(RasterMaker):
    """The same for cells that were recorded apart, at their own rates (Hz): all begin at 0."""

    def __init__(self, imaging_rates: Sequence[float], n_frames: Sequence[int]) -> None:
        self._rates = np.asarray(imaging_rates, np.float64)
        longest = float(np.max(np.asarray(n_frames) / self._rates))
        self.column_s = max(longest / MOST_COLUMNS, 1 / float(self._rates.min()))
        self.rates_hz = np.full((len(self._rates), int(np.ceil(longest / self.column_s))), np.nan, np.float32)

    def add(self, roi: int, rates: NDArray[np.floating[Any]]) -> None:
        """Add spikes per frame (n_frames,) of one cell; NaN: no value."""
        rate, n_columns = self._rates[roi], self.rates_hz.shape[1]
        columns = np.minimum(((np.arange(rates.size) + 0.5) / rate / self.column_s).astype(np.intp), n_columns - 1)
        self.rates_hz[roi] = _means(np.full(rates.size, rate), rates, columns, n_columns)


def _means(
    frame_rates: NDArray[np.float64], rates: NDArray[np.floating[Any]], columns: NDArray[np.intp], n_columns: int
) -> NDArray[np.float64]:
    """Return the mean rate in each column (n_columns,), spikes/s, NaN where no frame has a value."""
    there = np.isfinite(rates)
    sums = np.bincount(columns, frame_rates * np.where(there, rates, 0), n_columns)
    counts = np.bincount(columns, there, n_columns)
    return np.asarray(np.divide(sums, counts, out=np.full(counts.size, np.nan), where=counts > 0))


def raster_text(raster: Raster, what: str, one: str, imaging_rate: float | None) -> str:
    """Return what a row, a column and the brightest colour of a heat map stand for; ``one`` is a row's "ROI"."""
    seconds = rounded(raster.column_s, 3)
    rows = f"one {one}" if raster.rois_per_row == 1 else f"the mean of {raster.rois_per_row} {one}s"
    is_frame = imaging_rate is not None and round(raster.column_s * imaging_rate, 6) == 1
    columns = "one frame" if is_frame else f"the mean of {seconds} s"
    brightest = f"The brightest colour stands for {rounded(raster.top_hz, 3)} spikes/s and more."
    return f"{what}; a row is {rows}, a column {columns}. {brightest}"


def raster_facts(
    rasters: Mapping[str, Raster], orders: Mapping[str, NDArray[np.int64]], packer: Packer
) -> dict[str, Any]:
    """Return plain values for a heat map in the order of the file, ``IN_FILE``, and others.

    Where a row is one ROI, other orders have the same rows.
    """
    raster = rasters[IN_FILE]
    n_rows, n_columns = raster.shades.shape
    return {
        "n_rows": n_rows,
        "n_columns": n_columns,
        "top_hz": raster.top_hz,
        "rois_per_row": raster.rois_per_row,
        "column_s": raster.column_s,
        "shades": {key: packer.add(pack_array(one.shades)) for key, one in rasters.items()},
        "orders": {key: packer.add(pack_numbers(order)) for key, order in orders.items()},
    }


def in_orders(maker: RasterMaker, orders: Mapping[str, NDArray[np.int64]]) -> dict[str, Raster]:
    """Return the picture in the order of the file and, where its rows are means of several ROIs, in the others."""
    rasters = {IN_FILE: maker.make()}
    if rasters[IN_FILE].rois_per_row > 1:
        top = rasters[IN_FILE].top_hz
        rasters |= {key: maker.make(order, top_hz=top) for key, order in orders.items()}
    return rasters


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
