"""Find the spikes of the recorded cell in an NWB file of another layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPIKE_COLUMN = "ap_time"
RESPONSE_COLUMN = "response"
# Peaks may lie this far beyond the samples of their sweep before the clock counts as another one.
CLOCK_SLACK_S = 0.01


def find_spikes(nwbfile: Any, path: Path) -> NDArray[np.float64]:
    """Return all spike times of the recorded cell, ascending, on the session's clock (s).

    Raises
    ------
    ValueError
        If the file has no spikes, spikes of several units, or times that fit neither clock.
    """
    tables = [table for table in nwbfile.analysis.values() if SPIKE_COLUMN in getattr(table, "colnames", ())]
    if tables:
        return np.sort(np.concatenate([_from_table(table, path) for table in tables]))
    if nwbfile.units is not None and "spike_times" in nwbfile.units.colnames:
        if len(nwbfile.units) != 1:
            raise ValueError(
                f"{path}: expected one unit, /units has {len(nwbfile.units)}: it is not clear which is the imaged cell."
            )
        return np.sort(np.asarray(nwbfile.units["spike_times"][0], dtype=np.float64))
    raise ValueError(f"{path}: expected spikes in /units or as {SPIKE_COLUMN} of a table in /analysis, found neither.")


def _from_table(table: Any, path: Path) -> NDArray[np.float64]:
    """Read the times of a table; where rows refer to sweeps, find out whose clock they are on."""
    times = np.asarray(table[SPIKE_COLUMN].data[:], dtype=np.float64)
    if RESPONSE_COLUMN not in table.colnames or times.size == 0:
        return times
    sweeps = [row.timeseries for row in table[RESPONSE_COLUMN][:]]
    spans = {sweep.object_id: _span(sweep) for sweep in {sweep.object_id: sweep for sweep in sweeps}.values()}
    starts, stops = np.array([spans[sweep.object_id] for sweep in sweeps]).T
    if np.all((times >= starts - CLOCK_SLACK_S) & (times <= stops + CLOCK_SLACK_S)):
        return times
    if np.all((times >= -CLOCK_SLACK_S) & (times <= stops - starts + CLOCK_SLACK_S)):
        return np.asarray(times + starts)
    raise ValueError(
        f"{path}: expected {SPIKE_COLUMN} on the clock of the session or of its sweep, some times of {table.name} are "
        "on neither."
    )


def _span(series: Any) -> tuple[float, float]:
    """Return the times (s) of the first and after the last sample of a sweep."""
    if series.timestamps is not None:
        return float(series.timestamps[0]), float(series.timestamps[-1])
    start = float(series.starting_time)
    return start, start + len(series.data) / float(series.rate)
