"""Write cells as a dandiset: one NWB file per cell, written beside its place, checked, then moved there."""

from __future__ import annotations

import os
import re
from dataclasses import fields
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.appearing import appearing
from ground_truth_nwb.cells import Cell, Trial

DANDISET_FILE = "dandiset.yaml"
SUFFIX = "ophys+icephys"
# Characters that DANDI's file names do not allow inside a label (dandi-cli, LABELREGEX).
NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9+-]+")
TIME_TOLERANCE_S = 1e-6


def asset_path(cell: Cell) -> PurePosixPath:
    """Return where a cell's file lies inside the dandiset.

    Examples
    --------
    >>> from ground_truth_nwb.cells import Trial
    >>> trial = Trial(np.arange(3) / 10, np.zeros(3, np.float32), np.empty(0))
    >>> str(asset_path(Cell("DS30", "cell_1", "471993", "jGCaMP8f", (trial,))))
    'sub-471993/sub-471993_ses-DS30-cell-1_ophys+icephys.nwb'
    """
    subject = f"sub-{NOT_IN_LABELS.sub('-', cell.animal_id)}"
    session = NOT_IN_LABELS.sub("-", cell.name)
    return PurePosixPath(subject, f"{subject}_ses-{session}_{SUFFIX}.nwb")


def write_cell(cell: Cell, root: Path) -> Path:
    """Write one cell into a dandiset folder and return the file's path.

    The file is written under another name beside its place, flushed to disk, validated against the NWB schema
    and read back; only then it replaces what was there. The same cell gives the same bytes with the same
    versions of pynwb, hdmf and HDF5.

    Parameters
    ----------
    cell : Cell
        What to write.
    root : pathlib.Path
        Folder of the dandiset; created if it is missing. ``write_dandiset_file`` adds ``dandiset.yaml``.

    Raises
    ------
    OSError
        If the folder cannot be written.
    RuntimeError
        If the written file does not validate or does not read back as it was; it is removed.
    """
    target = Path(root, *asset_path(cell).parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with appearing(target) as partial:
        _write_file(cell, partial)
        _check_file(cell, partial, target)
    return target


def write_dandiset_file(root: Path, *, name: str, description: str) -> Path:
    """Write ``dandiset.yaml``, which makes a folder a dandiset, unless it is there.

    The identifier is "unregistered" until the archive gives one.
    """
    import yaml

    path = Path(root, DANDISET_FILE)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"identifier": "unregistered", "name": name, "description": description}
        with appearing(path) as partial:
            partial.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _write_file(cell: Cell, path: Path) -> None:
    """Write the file and flush it to disk."""
    from pynwb import NWBHDF5IO

    from ground_truth_nwb.nwb_build import build_nwbfile

    with NWBHDF5IO(str(path), "w") as file:
        file.write(build_nwbfile(cell))
    with open(path, "rb+") as written:
        os.fsync(written.fileno())


def _check_file(cell: Cell, path: Path, target: Path) -> None:
    """Validate against the schema and compare what is read back with the cell."""
    from pynwb import validate

    from ground_truth_nwb.nwb_read import read_nwb_cell

    problems = [str(error) for error in validate(path=str(path))]
    if not problems:
        problems = differences(cell, read_nwb_cell(path))
    if problems:
        raise RuntimeError(f"{target} was not written: {'; '.join(problems[:5])}.")


def differences(expected: Cell, received: Cell) -> list[str]:
    """Name what differs between two cells: dF/F must be identical, times equal within 2 µs."""
    names = [field.name for field in fields(Cell) if field.name != "trials"]
    found = [
        f"{name} is {getattr(received, name)!r} instead of {getattr(expected, name)!r}"
        for name in names
        if getattr(expected, name) != getattr(received, name)
    ]
    for number, (one, other) in enumerate(zip(expected.trials, received.trials, strict=False)):
        found += [f"{what} of trial {number} differ" for what in _trial_differences(one, other)]
    return found


def _trial_differences(one: Trial, other: Trial) -> list[str]:
    """Name the parts in which two trials differ."""
    parts = {
        "dF/F values": np.array_equal(one.dff, other.dff, equal_nan=True),
        "frame times": _close(one.time_s, other.time_s),
        "spike times": _close(one.spike_times_s, other.spike_times_s),
        "first valid frames": one.first_valid_frame == other.first_valid_frame,
    }
    return [name for name, same in parts.items() if not same]


def _close(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether two vectors of times have the same length and agree within the tolerance."""
    return one.shape == other.shape and bool(np.all(np.abs(one - other) <= 2 * TIME_TOLERANCE_S))
