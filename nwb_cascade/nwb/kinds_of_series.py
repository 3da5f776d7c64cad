"""Series that may hold ROI traces: of which types they are, which ROIs they name, and what was imaged how."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from hdmf.common import DynamicTable
from numpy.typing import NDArray
from pynwb import NWBFile, TimeSeries
from pynwb.ophys import ImagingPlane, OnePhotonSeries, RoiResponseSeries, TwoPhotonSeries

from nwb_cascade.errors import InputError
from nwb_cascade.nwb.objects import objects_where

MICROSCOPY = "MicroscopyResponseSeries"  # of ndx-microscopy
FIBER = "FiberPhotometryResponseSeries"  # of ndx-fiber-photometry
INDICATOR = "Indicator"  # of ndx-ophys-devices
ONE_PHOTON = re.compile(
    r"miniscope|(one|single|1)[\s_-]?photon|(?<![a-z0-9])1p(?![a-z0-9])|inscopix|nvista|nvoke|wide[\s_-]?field", re.I
)
SEVERAL_PHOTONS = re.compile(r"(two|2|three|3|multi)[\s_-]?photon|(?<![a-z0-9])[23]p(?![a-z0-9])|mini2p", re.I)


@dataclass(frozen=True)
class Imaged:
    """What was imaged: as `pynwb.ophys.ImagingPlane` says it, put together from other types."""

    name: str | None
    indicator: str | None
    location: str | None
    imaging_rate: float | None = None


def traces_of(nwbfile: NWBFile) -> dict[str, TimeSeries]:
    """Return all series of ROI traces by their paths: ``RoiResponseSeries``, and that of ndx-microscopy."""
    return objects_where(nwbfile, _names_rois)


def others_of(nwbfile: NWBFile) -> dict[str, TimeSeries]:
    """Return all series of numbers by time, or by time and something else, that name no ROIs, by their paths."""
    return objects_where(nwbfile, _may_be_traces)


def series_at(nwbfile: NWBFile, path: str) -> TimeSeries:
    """Return the series at a path that holds ROI traces, or may hold some; raises InputError if there is none."""
    series = traces_of(nwbfile).get(path) or others_of(nwbfile).get(path)
    if series is None:
        raise InputError(f"Expected a series of ROI traces at {path} in {nwbfile.container_source}, there is none.")
    return series


def region_of(series: TimeSeries) -> tuple[NDArray[Any] | None, DynamicTable | None]:
    """Return the rows of the ROIs that a series names, and their table; nothing for a series that names none."""
    region = getattr(series, "rois", None)
    return (None, None) if region is None else (np.asarray(region.data[:]), region.table)


def imaged_by(series: TimeSeries, table: DynamicTable | None, nwbfile: NWBFile) -> ImagingPlane | Imaged | None:
    """Return what the traces of a series were taken from, with the indicator, as far as the file says so."""
    plane = getattr(table, "imaging_plane", None)
    if plane is not None:
        return plane
    if type(series).__name__ == MICROSCOPY:
        return _by_microscopy(series, table, nwbfile)
    planes = list(objects_where(nwbfile, lambda one: isinstance(one, ImagingPlane)).values())
    if len(planes) == 1:
        return planes[0]
    return Imaged(None, _common([one.indicator for one in planes]), None) if planes else None


def _by_microscopy(series: TimeSeries, table: DynamicTable | None, nwbfile: NWBFile) -> Imaged:
    """Put together what ndx-microscopy says, whose objects name each other in a longer chain."""
    space = imaging_space(table)
    movie = getattr(series, "microscopy_series", None)
    channel = getattr(movie, "microscopy_channel", None)
    indicator = getattr(getattr(channel, "indicator", None), "label", None)
    if indicator is None:  # traces without their movie
        known = objects_where(nwbfile, lambda one: type(one).__name__ == INDICATOR).values()
        indicator = _common([one.label for one in known])
    target = getattr(space, "anatomical_target", None)
    return Imaged(getattr(space, "name", None), indicator, target)


def imaging_space(table: Any) -> Any:
    """Return where the ROIs of a table of ndx-microscopy lie, None for another table."""
    return getattr(table, "planar_imaging_space", None) or getattr(table, "volumetric_imaging_space", None)


def one_photon_why(series: TimeSeries, plane: Any, nwbfile: NWBFile) -> str:
    """Say by what a series is known to come from a one-photon microscope; empty if nothing says so."""
    if type(series).__name__ == FIBER:
        return ""
    movies = objects_where(nwbfile, lambda one: isinstance(one, (OnePhotonSeries, TwoPhotonSeries)))
    mine = {path: one for path, one in movies.items() if plane is None or one.imaging_plane is plane}
    if mine and all(isinstance(one, OnePhotonSeries) for one in mine.values()):
        return f"its movie {next(iter(mine))} is a OnePhotonSeries"
    device = getattr(plane, "device", None)
    words = [getattr(one, name, None) or "" for one in (plane, device) for name in ("name", "description")]
    words += [type(device).__name__, getattr(device, "manufacturer", None) or "", series.description or ""]
    if any(SEVERAL_PHOTONS.search(text) for text in words):
        return ""
    told = next((text for text in words if ONE_PHOTON.search(text)), None)
    return "" if told is None else f"its microscope or plane is described by {told!r}"


def _names_rois(one: Any) -> bool:
    return isinstance(one, RoiResponseSeries) or type(one).__name__ == MICROSCOPY


def _may_be_traces(one: Any) -> bool:
    """Whether a series is of no type that says what it holds, or a signal of fibers, and holds numbers."""
    known = type(one) is TimeSeries or type(one).__name__ == FIBER
    data = getattr(one, "data", None) if known else None
    if data is None or not hasattr(data, "dtype"):
        return False
    return data.dtype.kind in "fiu" and len(data.shape) in (1, 2)


def _common(texts: list[str]) -> str | None:
    """Return what all say; None if they differ or nothing is said."""
    found = {text for text in texts if text}
    return found.pop() if len(found) == 1 else None
