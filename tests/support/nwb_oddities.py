"""NWB files with one series of ROI traces and whatever may be odd about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pynwb import NWBFile, ProcessingModule
from pynwb.ophys import DfOverF, Fluorescence, RoiResponseSeries

from tests.support.nwb_files import add_alone, add_imaging_plane, fill, ophys_module, rois_table, series_of
from tests.support.recordings import bare_nwbfile, write_recording

CONTAINERS = {"DfOverF": DfOverF, "Fluorescence": Fluorescence}


def one_series(
    path: Path,
    data: Any,
    *,
    name: str = "RoiResponseSeries",
    container: str | None = "DfOverF",
    place: str = "ophys",
    region: Sequence[int] | None = None,
    n_table: int | None = None,
    plane_rate: float | None = 30.0,
    **fields: Any,
) -> Path:
    """Write one series with data as they are stored (time first, unless that is what is odd).

    ``container`` is "DfOverF", "Fluorescence" or None for a series that lies in its module directly; ``place`` names
    the processing module, or is "acquisition" or "analysis". ``region`` names the rows of the ROI table, ``n_table``
    its length; other fields go to the series.
    """
    nwbfile = bare_nwbfile()
    n_rois = data.shape[1] if len(data.shape) > 1 else 1
    table = rois_table(add_imaging_plane(nwbfile, rate=plane_rate), n_rois if n_table is None else n_table)
    module = ophys_module(nwbfile, table, name="ophys" if place in ("acquisition", "analysis") else place)
    _put(nwbfile, module, series_of(name, data, table, region, **fields), container, place)
    return write_recording(path, nwbfile)


def _put(
    nwbfile: NWBFile, module: ProcessingModule, series: RoiResponseSeries, container: str | None, place: str
) -> None:
    if place == "acquisition":
        add_alone(nwbfile.add_acquisition, series)
    elif place == "analysis":
        add_alone(nwbfile.add_analysis, series)
    elif container is None:
        add_alone(module.add, series)
    else:
        fill(module, CONTAINERS[container], [series])


def set_rate(path: Path, object_path: str, rate: float) -> Path:
    """Change the rate of a written series; pynwb does not write all of them."""
    with h5py.File(path, "r+") as file:
        file[f"{object_path}/starting_time"].attrs["rate"] = rate
    return path


def replace_timestamps(path: Path, timestamps: np.ndarray) -> Path:
    """Change the timestamps of the series of a written file to others; pynwb does not write any number of them."""
    with h5py.File(path, "r+") as file:
        place = "/processing/ophys/DfOverF/RoiResponseSeries/timestamps"
        attributes = dict(file[place].attrs)
        del file[place]
        file.create_dataset(place, data=timestamps).attrs.update(attributes)
    return path


def irregular_timestamps(n_frames: int, rate: float = 30.0, *, gap_after: int = 100, gap_s: float = 2.0) -> np.ndarray:
    """Times of a recording that paused once."""
    stamps = np.arange(n_frames) / rate
    stamps[gap_after + 1 :] += gap_s
    return stamps
