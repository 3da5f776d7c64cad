"""Frames that a file says are not to be used: those in its invalid times, and in intervals that somebody names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pynwb import NWBFile
from pynwb.epoch import TimeIntervals

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.objects import objects_of

INVALID_TIMES = "invalid_times"


def masked(clock: FrameClock, nwbfile: NWBFile, series: Any, table: str | None = None) -> FrameClock:
    """Return the clock of a series without the frames whose exposure touches an interval.

    Parameters
    ----------
    clock : FrameClock
        Of the series.
    nwbfile : pynwb.NWBFile
        The open file; its ``invalid_times`` always count, but those that name other series only.
    series : pynwb.TimeSeries
        Whose frames they are.
    table : str, optional
        Name or path of another table of intervals: blanked or stimulated frames.

    Raises
    ------
    InputError
        If there is no such table, or several have the name.
    """
    tables = [] if nwbfile.invalid_times is None else [nwbfile.invalid_times]
    if table is not None:
        tables.append(_named(nwbfile, table))
    for one in tables:
        clock = clock.without(_touched(clock, _intervals(one, series)), f"they lie in {one.name}")
    return clock


def _named(nwbfile: NWBFile, name: str) -> TimeIntervals:
    """Return the table of intervals of a name or path."""
    tables = objects_of(nwbfile, TimeIntervals)
    found = [one for path, one in tables.items() if name in (path, one.name)]
    if len(found) == 1:
        return found[0]
    there = ", ".join(sorted(tables)) or "none"
    raise InputError(
        f"Expected one table of intervals named {name!r}, found {len(found)}; the file holds {there}. Name one with "
        "mask_intervals= (--mask-intervals TABLE)."
    )


def _intervals(table: TimeIntervals, series: Any) -> NDArray[np.float64]:
    """Return the intervals (n, 2) of a table that concern a series, s: all that name none, or this one."""
    bounds = np.column_stack([table["start_time"][:], table["stop_time"][:]]).astype(np.float64)
    if "timeseries" not in table.colnames:
        return bounds
    named = [[reference.timeseries for reference in references] for references in table["timeseries"][:]]
    concerned = [not one or any(other is series for other in one) for one in named]
    return np.asarray(bounds[np.array(concerned, bool)])


def _touched(clock: FrameClock, intervals: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which frames (n_frames,) are exposed within intervals (n, 2), s."""
    found = np.zeros(clock.n_frames, bool)
    for stretch in clock.stretches:
        starts = clock.times(stretch, stretch.positions.astype(np.float64))
        ends = starts + 1 / stretch.imaging_rate
        for start, stop in intervals:
            found[stretch.first : stretch.stop] |= (ends > start) & (starts < stop)
    return found
