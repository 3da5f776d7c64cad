"""What readers of other programs' files have in common: finished traces, their clock and verdict, as a recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.roi_choice import ACCEPTED, chosen_rois, recorded
from nwb_cascade.core.traces import DffTraces, TraceArray, sample_window
from nwb_cascade.errors import InputError, NoRateError
from nwb_cascade.files.fence import fenced
from nwb_cascade.files.hashing import file_sha256
from nwb_cascade.nwb.candidate import FACTORS
from nwb_cascade.nwb.classify import Sample, judge_scale
from nwb_cascade.options import InferenceOptions
from nwb_cascade.readers.one_photon import require_one_photon, scale_of
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.sources import Source, is_remote, name_of


class ScaledRows:
    """A matrix of numbers, read as float32 rows that are multiplied with a factor."""

    def __init__(self, matrix: TraceArray, factor: float) -> None:
        self._matrix, self._factor = matrix, factor
        self.shape = tuple(matrix.shape)

    def __getitem__(self, rois: slice) -> NDArray[np.float32]:
        return (np.asarray(self._matrix[rois], np.float64) * self._factor).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Finished:
    """Traces as a program saved them.

    Parameters
    ----------
    traces : TraceArray
        (n_rois, n_frames), of the unit in which they are saved.
    clock : FrameClock
        When the frames were.
    variable : str
        Their name in the file.
    format : str
        Whose file it is; kept as provenance.
    roi_ids : numpy.ndarray, optional
        (n_rois,) int64; by default they are counted.
    accepted : numpy.ndarray, optional
        (n_rois,) bool, which ROIs the program, or its user, took for cells.
    one_photon : str
        By what the traces are known to come from a one-photon microscope; empty if nothing says so.
    indicator, species : str or None
        As stated.
    notes : sequence of str
        What to know about the traces.
    """

    traces: TraceArray
    clock: FrameClock
    variable: str
    format: str
    roi_ids: NDArray[np.int64] | None = None
    accepted: NDArray[np.bool_] | None = None
    one_photon: str = ""
    indicator: str | None = None
    species: str | None = None
    notes: Sequence[str] = field(default_factory=tuple)


def recording_of(path: Path, found: Finished, options: InferenceOptions, *, sha256: str | None = None) -> Recording:
    """Return finished traces as a recording: of the accepted ROIs where it is known which these are.

    Parameters
    ----------
    path : pathlib.Path
        File or folder of the traces.
    found : Finished
        The traces; they stay open elsewhere.
    options : InferenceOptions
        What was asked for.
    sha256 : str, optional
        What identifies the content; by default the hash of the file.

    Raises
    ------
    InputError
        If the traces are not dF/F, come from a one-photon microscope without being asked for, or no ROI is meant.
    """
    where = f"{path}:{found.variable}"
    if found.one_photon:
        require_one_photon(where, found.one_photon, options)
    n_rois, n_frames = (int(n) for n in found.traces.shape)
    if not n_rois or not n_frames:
        raise InputError(f"Expected traces in {where}, received {n_rois} ROIs, {n_frames} frames.")
    columns = {} if found.accepted is None else {ACCEPTED: found.accepted}
    wanted = ACCEPTED if options.rois is None and columns else options.rois
    choice = chosen_rois(wanted, columns, str(path))
    rate, scale = found.clock.imaging_rate, scale_of(options)
    scale = scale or stated_scale(where, found.traces, rate)
    sha256 = sha256 or file_sha256(path)
    facts = {"path": str(path), "sha256": sha256, "scale": scale, "format": found.format, "variable": found.variable}
    ids = np.arange(n_rois) if found.roi_ids is None else found.roi_ids
    clock = {} if found.clock.is_even else {"clock": found.clock.record()}
    return Recording(
        str(path),
        DffTraces(ScaledRows(found.traces, FACTORS[scale]), rate, ids, facts, choice),
        found.clock,
        content={"sha256": sha256, "scale": scale, "variable": found.variable, **clock, **recorded(choice)},
        series=found.variable,
        indicator=found.indicator,
        species=found.species,
        notes=(*found.notes, *found.clock.notes),
    )


def stated_scale(where: object, matrix: TraceArray, imaging_rate: float) -> str:
    """Return what values are by themselves; a doubt about it is an InputError."""
    rois, frames = sample_window(*matrix.shape)
    judged = judge_scale(Sample.of(np.asarray(matrix[rois], np.float32)[:, frames], imaging_rate), unit="")
    if judged.scale != "fraction":
        raise InputError(
            f"Expected dF/F as a fraction (0.5 means 50 %) in {where}, but the values look like {judged.scale}: "
            f"{judged.why}. Say what they are with scale='percent' or 'fraction' (--scale); raw fluorescence must "
            "become dF/F first."
        )
    return "fraction"


def holds(source: Source, suffixes: Sequence[str], *names: str) -> bool:
    """Tell whether a source is an HDF5 file on disk, of one of some suffixes, that has all of some members."""
    path = Path(name_of(source))
    if is_remote(source) or path.suffix.lower() not in suffixes or not path.is_file():
        return False

    def look() -> bool:
        import h5py

        if not h5py.is_hdf5(path):
            return False
        with h5py.File(path, "r") as file:
            return all(file.get(name, getlink=True) is not None and name in file for name in names)

    try:
        return fenced(str(path), look)
    except (InputError, OSError, RuntimeError, ValueError):
        return False  # whoever opens it tells


@contextmanager
def opened_hdf5(path: Path) -> Iterator[Mapping[str, Any]]:
    """Open an HDF5 file on disk; what it says lies elsewhere is read only below its own folder."""
    from ground_truth_nwb.hdf5_files import open_hdf5

    with open_hdf5(path, below_folder=True) as file:
        yield file


def given_rate(options: InferenceOptions, stated: float | None, where: object) -> tuple[float, tuple[str, ...]]:
    """Return the imaging rate, Hz: as given, else as stated; and what to say if these differ."""
    if options.imaging_rate is None and stated is None:
        raise NoRateError(f"{where} states no imaging rate: give it with --imaging-rate HZ.")
    if options.imaging_rate is None or stated is None or abs(options.imaging_rate / stated - 1) < 1e-3:
        return float(options.imaging_rate or stated or 0.0), ()
    return options.imaging_rate, (f"Frames follow at the given {options.imaging_rate:g} Hz; the file says {stated:g}.",)
