"""Discrete spikes as derived events: NWB core's ``EventsTable`` in ``/events``, a row per spike (schema 2.10)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hdmf.common import DynamicTableRegion
from numpy.typing import NDArray
from pynwb import NWBFile

from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.objects import SPIKES, object_path, objects_of
from nwb_cascade.nwb.storage import appending
from nwb_cascade.provenance import SOFTWARE, software_version

TIME, ROI = "timestamp", "roi"


def holds_events(nwbfile: NWBFile, table: Any) -> bool:
    """Tell whether a file holds the spikes of a table as events; raises InputError if pynwb knows no events."""
    held = _held(nwbfile).get(str(table.name))
    if held is None or set(held.colnames) != {TIME, ROI}:
        return False
    times, rows = _events(table)
    return np.array_equal(held[TIME].data[:], times) and np.array_equal(held[ROI].data[:], rows)


def write_events(path: Path, spikes_path: str, *, overwrite: bool = False) -> str:
    """Add the spikes of a stored table to the events of its file, HDF5 or Zarr, in place, and read them back.

    Meant for a copy that nobody else has open, as `nwb_cascade.nwb.write.write_runs`.

    Parameters
    ----------
    path : pathlib.Path
        NWB file that holds discrete spikes.
    spikes_path : str
        Path of their table; the events have its name.
    overwrite : bool
        Replace events of this name that this program made.

    Returns
    -------
    str
        Object path of the events.

    Raises
    ------
    InputError
        If pynwb knows no events (before 4.1), or there is no such table.
    NameTakenError
        If others have this name in ``/events``.
    OSError
        If the events that were written are not as computed.
    """
    program, removed = (SOFTWARE, software_version()), []
    with open_nwb(path) as (nwbfile, _):
        name = _table(nwbfile, spikes_path, path).name
        held = _held(nwbfile).get(name)
        if held is not None:
            if not overwrite or not str(held.source_description or "").startswith(SOFTWARE):
                raise NameTakenError(f"The name /events/{name} is taken: replace events of ours with --overwrite.")
            removed = [object_path(held)]
    with appending(path, remove=removed, generator=program) as (nwbfile, io):
        nwbfile.add_events_table(_made(_table(nwbfile, spikes_path, path)))
        io.write(nwbfile)
    with open_nwb(path) as (nwbfile, _):
        if not holds_events(nwbfile, _table(nwbfile, spikes_path, path)):
            raise OSError(f"{path.name}: the events at /events/{name} are not as computed.")
    return f"/events/{name}"


def _made(table: Any) -> Any:
    """Return the events of a table of spikes, ordered by their times."""
    from pynwb.event import EventsTable, TimestampVectorData

    times, rows = _events(table)
    columns = [
        TimestampVectorData(name=TIME, description="Time of the spike, s from the session's start.", data=times),
        DynamicTableRegion(name=ROI, description="The ROI whose spike it is.", data=rows, table=table.rates.rois.table),
    ]
    return EventsTable(
        name=table.name,
        description=f"Discrete spikes, derived from the inferred rates {table.rates.name}. {table.method}",
        source_description=f"{SOFTWARE} {software_version()}, from calcium imaging",
        columns=columns,
        colnames=[TIME, ROI],
    )


def _events(table: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the times of all spikes of a table, ascending, and their rows in the table of ROIs."""
    stops = np.asarray(table["spike_times"].data[:], np.int64)
    times = np.asarray(table["spike_times"].target.data[:], np.float64)
    rows = np.repeat(np.asarray(table[ROI].data[:], np.int64), np.diff(stops, prepend=0))
    order = np.argsort(times, kind="stable")
    return times[order], rows[order]


def _held(nwbfile: NWBFile) -> Mapping[str, Any]:
    """Return the tables of events of a file by their names."""
    if not hasattr(nwbfile, "add_events_table"):
        import pynwb

        raise InputError(f"Expected a pynwb that knows /events (4.1 or later), found {pynwb.__version__}: upgrade it.")
    held: Mapping[str, Any] = nwbfile.events
    return held


def _table(nwbfile: NWBFile, path: str, file: Path) -> Any:
    table = objects_of(nwbfile, SPIKES).get(path)
    if table is None or table.rates is None:
        raise InputError(f"Expected discrete spikes at {path} in {file}, the file holds none there.")
    return table
