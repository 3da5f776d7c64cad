"""Find the fluorescence of the recorded cell in an NWB file of another layout."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RECORDED_COLUMN = "recorded_with_ephys"
CELL_TYPES = {"pyr": "pyramidal cell", "int": "interneuron"}


@dataclass(frozen=True, eq=False)
class Movie:
    """One imaging series of the recorded ROI.

    Parameters
    ----------
    name : str
        Where the series lies in the file.
    time_s : numpy.ndarray
        (n_frames,) float64, session clock.
    values, neuropil : numpy.ndarray
        (n_frames,) float64; dF/F where ``is_dff``, raw fluorescence else; the neuropil's is None where there
        is none.
    indicator, location, cell_type : str or None
        As the file says them.
    """

    name: str
    time_s: NDArray[np.float64]
    values: NDArray[np.float64]
    neuropil: NDArray[np.float64] | None
    is_dff: bool
    indicator: str
    location: str | None
    cell_type: str | None


def find_movies(nwbfile: Any, path: Path) -> list[Movie]:
    """Return the imaging series of the recorded ROI in the order of time.

    In each processing module dF/F is preferred to raw fluorescence.

    Raises
    ------
    ValueError
        If there is none, several ROIs could be the recorded one, or series overlap in time.
    """
    movies = [movie for module in nwbfile.processing.values() if (movie := _movie(module, path)) is not None]
    if not movies:
        raise ValueError(f"{path}: expected a RoiResponseSeries in a processing module, found none.")
    movies.sort(key=lambda movie: float(movie.time_s[0]))
    for one, other in itertools.pairwise(movies):
        if other.time_s[0] <= one.time_s[-1]:
            raise ValueError(
                f"{path}: expected imaging series one after another, {one.name} and {other.name} overlap in time."
            )
    return movies


def _movie(module: Any, path: Path) -> Movie | None:
    """Return the one imaging series of a processing module, None if it has none."""
    from pynwb.ophys import DfOverF, Fluorescence

    for kind, is_dff in ((DfOverF, True), (Fluorescence, False)):
        named = {
            series.name: series
            for container in module.data_interfaces.values()
            if isinstance(container, kind)
            for series in container.roi_response_series.values()
        }
        traces = [series for name, series in named.items() if "neuropil" not in name.lower()]
        if len(traces) > 1:
            names = ", ".join(sorted(series.name for series in traces))
            raise ValueError(f"{path}: expected one trace per processing module, {module.name} has {names}.")
        if traces:
            around = next((series for name, series in named.items() if "neuropil" in name.lower()), None)
            return _build(module, traces[0], None if is_dff else around, is_dff, path)
    return None


def _build(module: Any, series: Any, around: Any, is_dff: bool, path: Path) -> Movie:
    """Read the recorded ROI's values and what the file says of it."""
    table = series.rois.table
    roi = _recorded_roi(table, module.name, path)
    times = _times(series)
    plane = table.imaging_plane
    cell_type = str(table["cell_type"][roi]) if "cell_type" in table.colnames else None
    return Movie(
        name=f"{module.name}/{series.name}",
        time_s=times,
        values=_values(series, roi, len(table), path),
        neuropil=None if around is None else _values(around, roi, len(table), path),
        is_dff=is_dff,
        indicator=plane.indicator or "unknown",
        location=plane.location,
        cell_type=CELL_TYPES.get(cell_type, cell_type) if cell_type else None,
    )


def _recorded_roi(table: Any, module: str, path: Path) -> int:
    """Return the row of the ROI that was recorded electrically."""
    if RECORDED_COLUMN in table.colnames:
        rows = np.flatnonzero(np.asarray(table[RECORDED_COLUMN].data[:], dtype=bool))
        if rows.size == 1:
            return int(rows[0])
    elif len(table) == 1:
        return 0
    raise ValueError(
        f"{path}: expected one ROI, or one marked by {RECORDED_COLUMN}, {module} has {len(table)}: it is not clear "
        "which of them the spikes belong to."
    )


def _times(series: Any) -> NDArray[np.float64]:
    """Return the times of all frames on the session's clock."""
    if series.timestamps is not None:
        return np.asarray(series.timestamps[:], dtype=np.float64)
    n_frames = max(series.data.shape)
    return float(series.starting_time) + np.arange(n_frames) / float(series.rate)


def _values(series: Any, roi: int, n_rois: int, path: Path) -> NDArray[np.float64]:
    """Read one ROI; conversion and offset applied, both orientations accepted."""
    data = series.data
    if len(data.shape) == 1:
        column = data[:]
    elif data.shape[1] == n_rois:
        column = data[:, roi]
    elif data.shape[0] == n_rois:
        column = data[roi, :]
    else:
        raise ValueError(f"{path}: expected {series.name} with {n_rois} ROIs, received data of shape {data.shape}.")
    return np.asarray(column, dtype=np.float64) * float(series.conversion) + float(series.offset)
