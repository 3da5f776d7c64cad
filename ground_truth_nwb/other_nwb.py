"""Read ground truth from NWB files of other layouts: one recorded cell, raw or relative fluorescence, spikes."""

from __future__ import annotations

import hashlib
import itertools
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.catalogue import find_dataset
from ground_truth_nwb.cells import Cell, Remark, Trial
from ground_truth_nwb.dff_from_raw import BASELINE_PERCENTILE, NEUROPIL_SHARE, dff_from_fluorescence
from ground_truth_nwb.indicators import canonical_indicator
from ground_truth_nwb.nwb_movies import Movie, find_movies
from ground_truth_nwb.nwb_spikes import find_spikes
from ground_truth_nwb.trial_checks import clean_trial

ANIMAL_NUMBER = re.compile(r"(\d{6})")


def read_nwb_cells(path: Path) -> tuple[Cell, ...]:
    """Read the recorded cell of an NWB file that was written by others.

    Two layouts are known. Dandiset 000168: action potentials as the column ``ap_time`` of a table in
    ``/analysis``, one processing module per movie, the recorded ROI marked by ``recorded_with_ephys``.
    Dandiset 000048: one unit in ``/units``, one ROI. Raw fluorescence becomes dF/F
    (:mod:`ground_truth_nwb.dff_from_raw`) and a note says so. Each imaging series is a trial and takes the
    spikes that are nearer to it than to any other series.

    Parameters
    ----------
    path : pathlib.Path
        An NWB (HDF5) file.

    Returns
    -------
    tuple of Cell
        One cell.

    Raises
    ------
    ValueError
        If spikes or imaging are missing, or it is not clear which ROI the spikes belong to.
    """
    from pynwb import NWBHDF5IO

    from ground_truth_nwb.hdf5_files import open_hdf5

    path = Path(path)
    with warnings.catch_warnings():
        # pynwb warns of what other writers did (empty ROI references, missing fields); it is judged here
        # instead.
        warnings.simplefilter("ignore")
        try:
            with open_hdf5(path) as hdf5, NWBHDF5IO(file=hdf5, mode="r", load_namespaces=True) as file:
                return (_read(file.read(), path),)
        except (OSError, TypeError, KeyError) as error:
            raise ValueError(f"{path}: expected an NWB file, could not read it as one ({error}).") from error


def _read(nwbfile: Any, path: Path) -> Cell:
    """Put movies and spikes together."""
    movies = find_movies(nwbfile, path)
    spikes = find_spikes(nwbfile, path)
    trials: list[Trial] = []
    numbers: list[int] = []
    dropped: list[Remark] = []
    notes: list[Remark] = []
    for number, (movie, own_spikes) in enumerate(zip(movies, _share(spikes, movies), strict=True)):
        try:
            values = _dff(movie, number, notes)
        except ValueError as error:
            dropped.append(Remark("trial-without-baseline", f"Trial {number} was left out: {error}", number))
            continue
        trial, trial_dropped, trial_notes = clean_trial(movie.time_s, values, own_spikes, number)
        dropped += trial_dropped
        notes += trial_notes
        if trial is not None:
            trials.append(trial)
            numbers.append(number)
    if not trials:
        raise ValueError(f"{path}: expected a usable trial, found none ({'; '.join(r.text for r in dropped)}).")
    return _cell(nwbfile, path, movies[0], tuple(trials), tuple(numbers), tuple(dropped), tuple(notes))


def _share(spikes: NDArray[np.float64], movies: list[Movie]) -> list[NDArray[np.float64]]:
    """Give every spike to the nearest movie: the limits lie in the middle between movies."""
    limits = [0.5 * (a.time_s[-1] + b.time_s[0]) for a, b in itertools.pairwise(movies)]
    return [np.asarray(part) for part in np.split(spikes, np.searchsorted(spikes, limits))]


def _dff(movie: Movie, number: int, notes: list[Remark]) -> NDArray[np.float64]:
    """Return dF/F of a movie; note how it came from raw fluorescence."""
    if movie.is_dff:
        return movie.values
    how = f"minus {NEUROPIL_SHARE} of the neuropil, " if movie.neuropil is not None else ""
    text = (
        f"dF/F of trial {number} was computed here from raw fluorescence ({movie.name}): {how}relative to its "
        f"{BASELINE_PERCENTILE:g}th percentile."
    )
    values = dff_from_fluorescence(movie.values, movie.neuropil)
    notes.append(Remark("dff-computed", text, number))
    return values


def _cell(
    nwbfile: Any,
    path: Path,
    movie: Movie,
    trials: tuple[Trial, ...],
    numbers: tuple[int, ...],
    dropped: tuple[Remark, ...],
    notes: tuple[Remark, ...],
) -> Cell:
    """Describe the cell with the file's own words."""
    subject = nwbfile.subject
    name = str(nwbfile.session_id or nwbfile.identifier)
    named = str(subject.subject_id) if subject is not None and subject.subject_id else ""
    dataset = next((found for folder in path.parents if (found := find_dataset(folder.name))), None)
    dataset_id = dataset.id if dataset else "unknown"
    cell_id = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
    number = ANIMAL_NUMBER.search(named)
    year = nwbfile.session_start_time.year
    return Cell(
        dataset=dataset_id,
        cell_id=cell_id,
        animal_id=number[1] if number else named or f"{dataset_id}-{cell_id}",
        animal_basis="subject of the source file" if named else "unknown",
        indicator=canonical_indicator(movie.indicator) or movie.indicator,
        trials=trials,
        trial_numbers=numbers,
        cell_type=movie.cell_type,
        species=getattr(subject, "species", None),
        region=movie.location,
        subject_age=getattr(subject, "age", None),
        # Files without a true date carry one before two-photon microscopes.
        session_date=nwbfile.session_start_time.date() if year > 1990 else None,
        dropped=dropped,
        notes=notes,
        source_file=path.name,
        source_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
