"""Read our own ground truth files back, exactly."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.cells import Cell, Remark, Trial


def read_nwb_cell(path: Path) -> Cell:
    """Read one cell from a file written by :func:`ground_truth_nwb.write.write_cell`.

    dF/F is identical to what was written; times are on the trials' own clocks again, exact to 1 µs.

    Parameters
    ----------
    path : pathlib.Path
        An NWB file of the ground truth.

    Raises
    ------
    ValueError
        If the file is not one of ours; the message names the file and what is missing.
    """
    from pynwb import NWBHDF5IO

    from ground_truth_nwb.hdf5_files import open_hdf5

    with open_hdf5(path) as hdf5, NWBHDF5IO(file=hdf5, mode="r", load_namespaces=True) as file:
        return _cell(file.read(), Path(path))


def read_source_record(path: Path) -> dict[str, Any]:
    """Return the record of origin that a ground truth file carries, without reading its data; {} for other files."""
    from ground_truth_nwb.hdf5_files import open_hdf5

    try:
        with open_hdf5(path) as file:
            return _record(file["general/notes"][()].decode())
    except (OSError, KeyError, ValueError, AttributeError):
        return {}


def _record(notes: str | None) -> dict[str, Any]:
    """Parse the JSON text in the file's notes."""
    record = json.loads(notes or "{}")
    if not isinstance(record, dict) or "converter_version" not in record:
        raise ValueError("the notes hold no record of this converter")
    return record


def _cell(nwbfile: Any, path: Path) -> Cell:
    """Turn an open file into a Cell."""
    try:
        record = _record(nwbfile.notes)
        trials = nwbfile.trials.to_dataframe()
        spikes = np.asarray(nwbfile.units["spike_times"][0], dtype=np.float64)
        plane = next(iter(nwbfile.imaging_planes.values()))
    except (ValueError, AttributeError, KeyError, StopIteration, TypeError) as error:
        raise ValueError(
            f"{path}: expected a ground truth file written by this package, it lacks a part of one ({error})."
        ) from error
    return Cell(
        dataset=record["dataset"],
        cell_id=record["cell_id"],
        animal_id=nwbfile.subject.subject_id,
        animal_basis=record["animal_basis"],
        indicator=plane.indicator,
        trials=tuple(_trial(row, spikes) for row in trials.itertuples()),
        trial_numbers=tuple(int(number) for number in trials["source_trial"]),
        cell_type=record["cell_type"],
        species=record["species"],
        region=record["region"],
        subject_age=record["subject_age"],
        session_date=date.fromisoformat(record["session_date"]) if record["session_date"] else None,
        spike_resolution_s=float(nwbfile.units.resolution),
        dropped=tuple(Remark(**remark) for remark in record["dropped"]),
        notes=tuple(Remark(**remark) for remark in record["notes"]),
        source_file=record["source_file"],
        source_sha256=record["source_sha256"],
        cells_in_source=record["cells_in_source"],
    )


def _trial(row: Any, spikes: NDArray[np.float64]) -> Trial:
    """Cut one trial out of the session and set it back on its own clock."""
    series = row.timeseries[0].timeseries
    dff = np.asarray(series.data[:, 0], dtype=np.float32)
    if series.rate is not None:
        times = series.starting_time + np.arange(dff.size) / float(series.rate)
    else:
        times = np.asarray(series.timestamps[:], dtype=np.float64)
    own = spikes[(spikes >= row.start_time) & (spikes <= row.stop_time)]
    offset = float(row.clock_offset_s)
    return Trial(times - offset, dff, own - offset, int(row.first_valid_frame))
