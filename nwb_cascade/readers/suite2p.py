"""suite2p output folders: raw fluorescence memory-mapped, dF/F of the cells computed when it is read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.roi_choice import ACCEPTED, ALL_ROIS, RoiChoice, chosen_rois, recorded
from nwb_cascade.core.traces import DffTraces
from nwb_cascade.core.wording import proposed
from nwb_cascade.dff import DffMethod, DffRows
from nwb_cascade.errors import InputError
from nwb_cascade.files.hashing import file_sha256
from nwb_cascade.nwb.choose import ALL, each_usable
from nwb_cascade.options import FromRaw, InferenceOptions, words_of
from nwb_cascade.readers.pickled import read_pickled
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import MadeDff, Recording
from nwb_cascade.readers.sources import Source, is_remote, name_of

TRACE_FILES = ("F.npy", "Fneu.npy", "iscell.npy")
VERDICT_FILES = ("iscell.npy", "redcell.npy")  # of every ROI whether it is one, and how probably
OWN_FILES = (*TRACE_FILES, "spks.npy", "stat.npy", "ops.npy")
# suite2p up to 0.14 writes ops.npy; from 1.0 on settings.npy, db.npy and reg_outputs.npy, and ops.npy on request.
SETTINGS_FILES = ("db.npy", "settings.npy", "reg_outputs.npy", "ops.npy")


class Suite2pReader(Reader):
    """The folder of a plane, or one that holds planes.

    The traces are the dF/F of all ROIs, in the rows of ``F.npy``; unless all are asked for, those that suite2p (or its
    user) took for no cells stay without values.
    Imaging rate, neuropil factor and frames with motion are those of suite2p.
    """

    kind = "a folder of suite2p"
    takes = frozenset({"from_raw", "series", "rois"})
    is_raw = True

    def recognises(self, source: Source) -> bool:
        return not is_remote(source) and is_suite2p(Path(name_of(source)))

    def result_paths(self, source: Source) -> tuple[Path, str]:
        folder = find_planes(name_of(source))[0]
        return folder / "expected_spikes.npy", f"{folder.name}_expected_spikes.npy"

    def check_output(self, source: Source, target: Path) -> None:
        folder = find_planes(name_of(source))[0].resolve()
        if target.resolve().parent == folder and target.name in OWN_FILES:
            raise InputError(f"Expected an output other than suite2p's own {target}.")

    @contextmanager
    def open(self, source: Source, options: InferenceOptions, **_: Any) -> Iterator[tuple[Recording, ...]]:
        meant = _meant(name_of(source), options)
        (first, *others), left_out = each_usable(meant, lambda one: _recording(*one, options))
        yield replace(first, notes=(*first.notes, *left_out)), *others


def _meant(path: str, options: InferenceOptions) -> list[tuple[Path, str]]:
    """Return the folders of the planes that a name, a pattern or ``all`` means; with their labels if there are others.

    Raises
    ------
    InputError
        If none is meant, or several could be and nothing is named.
    """
    planes, series = find_planes(path), options.series
    named = [folder for folder in planes if series is None or series == ALL or fnmatchcase(folder.name, series)]
    listed = ", ".join(folder.name for folder in planes)
    if not named:
        raise InputError(f"Expected a plane {series!r} in {path}, found {listed}.")
    if len(named) > 1 and series is None:
        raise InputError(
            f"Expected one plane, found {len(planes)} in {path}: {listed}. Name one with --series, take all with "
            f"--series all, or give their folders: {proposed('infer', *planes, *(words_of(options) or ()))}"
        )
    return [(folder, folder.name if len(planes) > 1 else "") for folder in named]


def _recording(folder: Path, label: str, options: InferenceOptions) -> Recording:
    """Open one plane."""
    plane = read_folder(folder)
    n_rois, n_frames = plane.fluorescence.shape
    if not n_rois or not n_frames:
        raise InputError(f"Expected traces in {plane.folder}, received {n_rois} ROIs, {n_frames} frames.")
    choice = _choice(plane, options.rois)
    rate = plane.imaging_rate
    method, notes = _method(plane, options.from_raw or FromRaw())
    dff = DffRows(
        plane.fluorescence,
        rate,
        method,
        neuropil=plane.neuropil,
        asked=None if choice is None else choice.asked,
        bad_frames=plane.bad_frames,
    )
    sha256 = _sha256(plane.folder)
    facts = {"path": str(plane.folder), "sha256": sha256, "scale": "fraction", "format": "suite2p"}
    return Recording(
        str(plane.folder),
        DffTraces(dff, rate, np.arange(n_rois), facts, choice),
        FrameClock.from_rate(rate, n_frames),
        content={"sha256": sha256, "dff": method.to_json(), "imaging_rate": rate, **recorded(choice)},
        dff=MadeDff(dff, asdict(method)),
        notes=notes,
        label=label,
    )


def _choice(plane: Suite2pPlane, wanted: str | None) -> RoiChoice | None:
    """The ROIs that are asked for; by default the cells, if the folder has a verdict."""
    files = [path for name in VERDICT_FILES if (path := plane.folder / name).is_file()]
    if wanted is None:
        wanted = ACCEPTED if any(path.name == VERDICT_FILES[0] for path in files) else ALL_ROIS
    columns = {path.stem: np.asarray(_load(path)) for path in files}
    columns["iscell"] = plane.is_cell
    return chosen_rois(wanted, {path.stem: columns[path.stem] for path in files}, str(plane.folder))


@dataclass(frozen=True, eq=False)
class Suite2pPlane:
    """Traces and settings of one imaging plane.

    Parameters
    ----------
    fluorescence : numpy.ndarray
        (n_rois, n_frames), raw fluorescence (``F.npy``), memory-mapped.
    neuropil : numpy.ndarray or None
        Like ``fluorescence`` (``Fneu.npy``); None if the folder has none.
    is_cell : numpy.ndarray
        (n_rois,) bool, suite2p's or the curator's verdict (``iscell.npy``); all True if the folder has none.
    imaging_rate : float
        Frames per second of this plane, Hz (``fs``).
    tau : float or None
        Decay time of the indicator that suite2p was told, s.
    neuropil_factor : float or None
        Neuropil coefficient that suite2p was told.
    bad_frames : numpy.ndarray or None
        (n_frames,) bool, frames that suite2p found to have moved too far; None if it kept no record.
    folder : Path
        Where the files are.
    """

    fluorescence: NDArray[Any]
    neuropil: NDArray[Any] | None
    is_cell: NDArray[np.bool_]
    imaging_rate: float
    tau: float | None
    neuropil_factor: float | None
    bad_frames: NDArray[np.bool_] | None
    folder: Path


def is_suite2p(path: Path) -> bool:
    """Tell whether a folder is an output folder of suite2p, or contains one where `find_planes` looks."""
    patterns = ("F.npy", "plane*/F.npy", "suite2p/plane*/F.npy")
    return path.is_dir() and any(next(path.glob(pattern), None) is not None for pattern in patterns)


def find_planes(path: str | Path) -> tuple[Path, ...]:
    """Folders of the planes in a suite2p output, in order.

    ``path`` may be the folder of a plane, the ``suite2p`` folder or the folder that contains it. The folder
    ``combined`` is left out: it repeats the planes, short ones padded with zeros.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    InputError
        If no plane with traces is in it.
    """
    root = Path(path)
    if not root.is_dir():
        raise FileNotFoundError(f"Expected a suite2p output folder, received {root}, which is not a folder.")
    if (root / "F.npy").is_file():
        return (root,)
    for parent in (root, root / "suite2p"):
        planes = {int(match[1]): traces.parent for traces in parent.glob("plane*/F.npy") if (match := _plane(traces))}
        if planes:
            return tuple(planes[number] for number in sorted(planes))
    raise InputError(
        f"Expected F.npy in {root}, or in folders plane0, plane1, ... of it or of its folder suite2p; found none. "
        "Did suite2p finish?"
    )


def read_folder(path: str | Path) -> Suite2pPlane:
    """Read one plane of a suite2p output.

    Parameters
    ----------
    path : str or Path
        Folder of a plane, or a folder in which ``find_planes`` finds exactly one.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    InputError
        If there are several planes, files are missing or damaged, or they do not agree with each other.
    """
    planes = find_planes(path)
    if len(planes) > 1:
        raise InputError(f"Expected one plane, found {len(planes)} in {path}: name the folder of one.")
    folder = planes[0]
    fluorescence = _load_traces(folder / "F.npy")
    settings = _settings(folder)
    return Suite2pPlane(
        fluorescence,
        _load_neuropil(folder, fluorescence.shape),
        _is_cell(folder, fluorescence.shape[0]),
        _imaging_rate(settings, folder),
        _number(settings.get("tau")),
        _neuropil_factor(settings),
        _bad_frames(settings, fluorescence.shape[1], folder),
        folder,
    )


def _method(plane: Suite2pPlane, how: FromRaw) -> tuple[DffMethod, tuple[str, ...]]:
    """The method as it is applied, and what to say about it."""
    method = how.applied(plane.neuropil_factor)
    absent = plane.neuropil is None or not any(np.any(row) for row in plane.neuropil[:8])
    if method.neuropil == "none" or not absent:
        return method, ()
    if how.needs_neuropil:
        raise InputError(f"Expected neuropil traces (Fneu.npy) in {plane.folder}, found none; choose --neuropil none.")
    return replace(method, neuropil="none"), (f"{plane.folder} holds no neuropil traces: none was subtracted.",)


def _sha256(folder: Path) -> str:
    """Hash over the files that the traces come from."""
    parts = [file_sha256(folder / name) for name in TRACE_FILES if (folder / name).is_file()]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _plane(traces: Path) -> re.Match[str] | None:
    return re.fullmatch(r"plane(\d+)", traces.parent.name)


def _settings(folder: Path) -> dict[str, Any]:
    """Settings of a plane from all files that hold some; ops.npy, where there is one, has the last word."""
    files = [folder / name for name in SETTINGS_FILES if (folder / name).is_file()]
    if not files:
        raise InputError(f"Expected ops.npy or settings.npy in {folder}, found neither: the imaging rate is unknown.")
    merged: dict[str, Any] = {}
    for file in files:
        merged |= read_pickled(file)
    return merged


def _load(path: Path) -> NDArray[Any]:
    """Memory-map an array of numbers."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            f"Expected {path} as an array of numbers saved by NumPy; reading it fails: {error}."
        ) from error


def _load_traces(path: Path) -> NDArray[Any]:
    traces = _load(path)
    if traces.ndim != 2 or traces.dtype.kind not in "fiu":
        raise InputError(
            f"Expected {path} as numbers of shape (n_rois, n_frames), received {traces.dtype} of shape {traces.shape}."
        )
    return traces


def _load_neuropil(folder: Path, shape: tuple[int, ...]) -> NDArray[Any] | None:
    path = folder / "Fneu.npy"
    if not path.is_file():
        return None
    neuropil = _load_traces(path)
    if neuropil.shape != shape:
        raise InputError(f"Expected {path} of the shape of F.npy, {shape}, received {neuropil.shape}.")
    return neuropil


def _is_cell(folder: Path, n_rois: int) -> NDArray[np.bool_]:
    path = folder / "iscell.npy"
    if not path.is_file():
        return np.ones(n_rois, dtype=bool)
    verdict = _load(path)
    if verdict.ndim == 2 and verdict.shape[1] > 0:
        verdict = verdict[:, 0]
    if verdict.shape != (n_rois,) or verdict.dtype.kind not in "bfiu":
        raise InputError(
            f"Expected {path} with one row for each of the {n_rois} ROIs of F.npy, received shape {verdict.shape}."
        )
    return np.asarray(verdict > 0.5)


def _imaging_rate(settings: Mapping[str, Any], folder: Path) -> float:
    rate = _number(settings.get("fs"))
    if rate is None or not rate > 0:
        raise InputError(
            f"Expected a positive imaging rate 'fs' in the settings in {folder}, found {settings.get('fs')!r}."
        )
    return rate


def _neuropil_factor(settings: Mapping[str, Any]) -> float | None:
    extraction = settings.get("extraction")
    nested = extraction.get("neuropil_coefficient") if isinstance(extraction, dict) else None
    return _number(settings.get("neucoeff", nested))


def _bad_frames(settings: Mapping[str, Any], n_frames: int, folder: Path) -> NDArray[np.bool_] | None:
    marked = np.asarray(settings.get("badframes"))
    if not marked.size or marked.dtype.kind not in "biuf":
        return None
    if marked.shape != (n_frames,):
        raise InputError(
            f"Expected 'badframes' in the settings in {folder} for the {n_frames} frames of F.npy, received shape "
            f"{marked.shape}: do both come from one run of suite2p? Correct it, or remove it from the settings."
        )
    return marked.astype(bool)


def _number(value: Any) -> float | None:
    """A finite number as float, else None."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and np.isfinite(value)
    return float(value) if is_number else None
