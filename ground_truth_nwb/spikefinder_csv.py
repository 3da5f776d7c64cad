"""Read Spikefinder's pairs of CSV files: one column per cell, dF/F and spike counts at 100 Hz."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.cells import Cell, Remark
from ground_truth_nwb.trial_checks import clean_trial

RATE_HZ = 100.0
CALCIUM_NAME = re.compile(r"^(?P<set>\d+)(\.\w+)*\.calcium(\.\w+)*\.csv$")
# Indicator and region of the ten sets (Berens et al. 2018, doi 10.1371/journal.pcbi.1006157).
SETS = {
    "1": ("OGB-1", "Primary visual area"),
    "2": ("OGB-1", "Primary visual area"),
    "3": ("GCaMP6s", "Primary visual area"),
    "4": ("OGB-1", "retina"),
    "5": ("GCaMP6s", "Primary visual area"),
    "6": ("GCaMP5k", "Primary visual area"),
    "7": ("GCaMP6f", "Primary visual area"),
    "8": ("GCaMP6s", "Primary visual area"),
    "9": ("jRCaMP1a", "Primary visual area"),
    "10": ("jRGECO1a", "Primary visual area"),
}


def is_calcium_file(path: Path) -> bool:
    """Whether a file is the calcium half of a pair, by its name (``1.train.calcium.csv``, ``1.calcium.train.csv``)."""
    return CALCIUM_NAME.match(path.name) is not None


def spikes_file(calcium_path: Path) -> Path:
    """Return the path of the file that holds the spikes of a calcium file."""
    return calcium_path.with_name(calcium_path.name.replace(".calcium", ".spikes"))


def read_spikefinder(calcium_path: Path) -> tuple[Cell, ...]:
    """Read all cells of one pair of files.

    Frame ``k`` is at ``k / 100`` s. The spikes file counts the spikes of each frame; each becomes a time at
    the frame's centre, exact to the 10 ms of the source (``spike_resolution_s``). NaN at the end of a column
    mark that the recording is shorter than the longest one; they are dropped.

    Parameters
    ----------
    calcium_path : pathlib.Path
        ``<set>.<part>.calcium.csv`` or alike; the spikes stand beside it under the same name with ``spikes``.

    Raises
    ------
    ValueError
        If the name is another one, the partner is missing, rows or columns differ, counts are no whole
        numbers, or a column is empty.
    """
    match = CALCIUM_NAME.match(calcium_path.name)
    if match is None:
        raise ValueError(f"{calcium_path}: expected a name like 1.train.calcium.csv.")
    spikes_path = spikes_file(calcium_path)
    if not spikes_path.exists():
        raise ValueError(f"{calcium_path}: expected the spikes of these traces in {spikes_path.name}, it is missing.")
    calcium, counts = _read_table(calcium_path), _read_table(spikes_path)
    if calcium.shape != counts.shape:
        raise ValueError(
            f"{calcium_path}: expected as many rows and columns as in {spikes_path.name}, received {calcium.shape} "
            f"and {counts.shape}."
        )
    digest = hashlib.sha256(calcium_path.read_bytes() + spikes_path.read_bytes()).hexdigest()
    indicator, region = SETS.get(match["set"], ("unknown", None))
    name = "-".join(word for word in calcium_path.stem.split(".") if word != "calcium")
    cells = (
        _cell(calcium[:, column], counts[:, column], f"{name}-{column}", calcium_path)
        for column in range(calcium.shape[1])
    )
    origin = {"source_sha256": digest, "cells_in_source": calcium.shape[1]}
    return tuple(replace(cell, indicator=indicator, region=region, **origin) for cell in cells)


def _cell(dff: NDArray[np.float64], counts: NDArray[np.float64], cell_id: str, path: Path) -> Cell:
    """Make a cell of one column of both files."""
    recorded = np.flatnonzero(np.isfinite(dff))
    if recorded.size == 0:
        raise ValueError(f"{path}: expected dF/F in every column, column {cell_id.rsplit('-', 1)[1]} has none.")
    n_frames = int(recorded[-1]) + 1
    times = np.arange(n_frames) / RATE_HZ
    trial, dropped, notes = clean_trial(times, dff[:n_frames], _spike_times(counts, path, cell_id), 0)
    if trial is None:
        raise ValueError(f"{path}: expected at least 2 frames in every column, {dropped[-1].text}")
    if n_frames < dff.size:
        text = f"{dff.size - n_frames} rows after the end of the recording hold no value and were left out."
        dropped.append(Remark("frames-after-end", text, 0, dff.size - n_frames))
    return Cell(
        dataset="SPIKEFINDER",
        cell_id=cell_id,
        animal_id=f"SPIKEFINDER-{cell_id}",
        indicator="unknown",
        trials=(trial,),
        spike_resolution_s=1.0 / RATE_HZ,
        dropped=tuple(dropped),
        notes=tuple(notes),
        source_file=path.name,
    )


def _spike_times(counts: NDArray[np.float64], path: Path, cell_id: str) -> NDArray[np.float64]:
    """Repeat each frame's time as often as it has spikes; NaN are frames after the end."""
    whole = np.nan_to_num(counts, nan=0.0)
    if np.any(whole < 0) or np.any(whole != np.round(whole)):
        raise ValueError(f"{path}: expected whole numbers of spikes, {cell_id} has others in {spikes_file(path).name}.")
    return np.repeat(np.arange(counts.size) / RATE_HZ, whole.astype(np.int64))


def _read_table(path: Path) -> NDArray[np.float64]:
    """Read a CSV file with one line of column names; empty fields become NaN."""
    import pandas

    try:
        frame = pandas.read_csv(path, skip_blank_lines=False)
        table = frame.to_numpy(dtype=np.float64)
    except (ValueError, pandas.errors.ParserError, pandas.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected a CSV table of numbers with a header line ({error}).") from error
    if table.size == 0:
        raise ValueError(f"{path}: expected rows of numbers, the table is empty.")
    return np.asarray(table, dtype=np.float64)
