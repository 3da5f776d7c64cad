"""Recordings of raw fluorescence, with the neuropil around the ROIs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pynwb.ophys import Fluorescence

from tests.support.nwb_files import add_imaging_plane, fill, ophys_module, raw_fluorescence, rois_table, series_of
from tests.support.recordings import bare_nwbfile, write_recording

N_ROIS, N_FRAMES, RATE = 4, 900, 30.0


def traces() -> tuple[Any, Any]:
    """Fluorescence and neuropil (n_rois, n_frames); the last ROI is darker than its neuropil."""
    cells, around = raw_fluorescence(N_ROIS, N_FRAMES), raw_fluorescence(N_ROIS, N_FRAMES, seed=1, rest=200.0)
    cells[-1] *= 0.25
    return cells, around


def raw_recording(
    path: Path, *, neuropil: bool = True, description: str = "Fluorescence of ROIs.", gain: Any = 1, **time: Any
) -> Path:
    """A recording with raw fluorescence, and the neuropil around the ROIs; both times a gain (n_frames,)."""
    cells, around = (gain * one for one in traces())
    nwbfile = bare_nwbfile()
    table = rois_table(add_imaging_plane(nwbfile), N_ROIS)
    module = ophys_module(nwbfile, table)
    fill(module, Fluorescence, [series_of("plane0", cells.T, table, unit="lumens", description=description, **time)])
    if neuropil:
        fill(module, Fluorescence, [series_of("plane0", around.T, table, unit="lumens", **time)], "Neuropil")
    return write_recording(path, nwbfile)
