"""Read Cascade's ground truth: MATLAB files with one cell array ``CAttached`` of trials, v5 or v7.3."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.cells import Cell, Remark, Trial
from ground_truth_nwb.file_names import parse_name
from ground_truth_nwb.trial_checks import clean_trial

VARIABLE = "CAttached"
SPIKES, TIMES, DFF, CELL_TYPE = "events_AP", "fluo_time", "fluo_mean", "cell_type"
SPIKE_UNIT_S = 1e-4
TrialFields: TypeAlias = Mapping[str, NDArray[Any]]


def list_cells(root: Path) -> list[Path]:
    """Return the MATLAB files below a folder, sorted by path; a LookupError if there are none."""
    found = sorted(path for path in root.rglob("*.mat") if path.is_file())
    if not found:
        raise LookupError(f"Expected .mat files below {root}, found none. Pass the folder that holds the data sets.")
    return found


def read_cell(path: Path) -> Cell:
    """Read one cell of Cascade's ground truth.

    Spike times (``events_AP``, units of 0.1 ms on the clock of ``fluo_time``) become seconds without
    rounding; dF/F (``fluo_mean``, a fraction) becomes float32. Only these fields, ``fluo_time`` and
    ``cell_type`` are used: raw voltage, raw fluorescence, templates and images of untouched originals are
    left out. What is dropped or unusual is recorded in the cell's ``dropped`` and ``notes``.

    Parameters
    ----------
    path : pathlib.Path
        A MATLAB file of version 5 or 7.3; data set, cell and animal are read from its name and folder.

    Raises
    ------
    ValueError
        If the file is no such MATLAB file or has no usable trial; the message names the file and the reason.

    Notes
    -----
    Layout: Rupprecht et al. 2021, Nature Neuroscience 24:1324, and the repository that holds the data.
    """
    path = Path(path)
    trials: list[Trial] = []
    numbers: list[int] = []
    dropped: list[Remark] = []
    notes: list[Remark] = []
    cell_types: set[str] = set()
    for number, fields in enumerate(_trial_fields(path)):
        trial, trial_dropped, trial_notes = trial_from_fields(fields, number)
        dropped += trial_dropped
        notes += trial_notes
        cell_types |= _cell_types(fields)
        if trial is not None:
            trials.append(trial)
            numbers.append(number)
    if not trials:
        reasons = "; ".join(remark.text for remark in dropped) or f"{VARIABLE} is empty"
        raise ValueError(f"{path}: expected at least one usable trial, found none ({reasons}).")
    facts = parse_name(path)
    return Cell(
        dataset=facts.dataset,
        cell_id=facts.cell_id,
        animal_id=facts.animal_id,
        animal_basis=facts.animal_basis,
        indicator=facts.indicator,
        session_date=facts.session_date,
        trials=tuple(trials),
        trial_numbers=tuple(numbers),
        cell_type=", ".join(sorted(cell_types)) or None,
        dropped=tuple(dropped),
        notes=tuple(notes),
        source_file=path.name,
        source_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def trial_from_fields(fields: TrialFields, number: int) -> tuple[Trial | None, list[Remark], list[Remark]]:
    """Build one trial from the fields of its struct: (trial or None, what was dropped, what is unusual)."""
    missing = [name for name in (TIMES, DFF) if name not in fields or fields[name].size == 0]
    if missing:
        has = ", ".join(name for name, values in fields.items() if values.size) or "nothing"
        text = f"Trial {number} has no {' and no '.join(missing)} (it holds {has}) and was left out."
        return None, [Remark("trial-without-imaging", text, number)], []
    if SPIKES not in fields:
        text = f"Trial {number} has no {SPIKES}, so nothing is known of its spikes, and was left out."
        return None, [Remark("trial-without-spikes-field", text, number)], []
    spikes = np.asarray(fields[SPIKES], dtype=np.float64).ravel() * SPIKE_UNIT_S
    times = np.asarray(fields[TIMES], dtype=np.float64).ravel()
    return clean_trial(times, np.asarray(fields[DFF]).ravel(), spikes, number)


def _cell_types(fields: TrialFields) -> set[str]:
    """Return the trial's cell type as a set of one text, or an empty set."""
    values = fields.get(CELL_TYPE)
    return {str(values.ravel()[0])} if values is not None and values.size else set()


def _trial_fields(path: Path) -> Iterator[TrialFields]:
    """Yield the fields of each trial of a MATLAB file, whichever version it has."""
    import h5py

    read: Callable[[Path], Iterator[TrialFields]] = _fields_v73 if h5py.is_hdf5(path) else _fields_v5
    return read(path)


def _fields_v5(path: Path) -> Iterator[TrialFields]:
    """Yield the fields of each trial of a MATLAB 5 file."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        contents = loadmat(path, variable_names=[VARIABLE])
    except (MatReadError, zlib.error, ValueError, TypeError, NotImplementedError, OSError) as error:
        raise ValueError(f"{path}: expected a MATLAB file, could not read it as one ({error}).") from error
    if VARIABLE not in contents:
        raise ValueError(f"{path}: expected the variable {VARIABLE}, it is not in the file.")
    for trial in np.asarray(contents[VARIABLE]).ravel():
        names = getattr(getattr(trial, "dtype", None), "names", None)
        if names is None or trial.size != 1:
            yield {}
        else:
            yield {name: np.asarray(trial.ravel()[0][name]) for name in names}


def _fields_v73(path: Path) -> Iterator[TrialFields]:
    """Yield the fields of each trial of a MATLAB 7.3 (HDF5) file; bulk fields are not read."""
    import h5py

    from ground_truth_nwb.hdf5_files import open_hdf5

    with open_hdf5(path) as file:
        if VARIABLE not in file:
            raise ValueError(f"{path}: expected the variable {VARIABLE}, it is not in the file.")
        # MATLAB stores arrays in column order, so that the transposed dataset lists the trials as MATLAB
        # does.
        for reference in file[VARIABLE][()].T.ravel():
            group = file[reference]
            if not isinstance(group, h5py.Group):
                yield {}
                continue
            wanted = [name for name in (SPIKES, TIMES, DFF, CELL_TYPE) if name in group]
            yield {name: _values_v73(group[name]) for name in wanted}


def _values_v73(dataset: Any) -> NDArray[Any]:
    """Return the values of a MATLAB 7.3 array: empty arrays and texts decoded."""
    if dataset.attrs.get("MATLAB_empty", 0):
        return np.empty(0)
    values = np.asarray(dataset[()])
    if dataset.attrs.get("MATLAB_class", b"") == b"char":
        return np.asarray(["".join(chr(code) for code in values.ravel())])
    return values
