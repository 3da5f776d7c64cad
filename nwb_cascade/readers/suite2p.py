"""suite2p output folders as input: traces memory-mapped, settings read without running what their pickles ask for."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.errors import InputError

# suite2p up to 0.14 writes ops.npy; from 1.0 on settings.npy, db.npy and reg_outputs.npy, and ops.npy on request.
SETTINGS_FILES = ("db.npy", "settings.npy", "reg_outputs.npy", "ops.npy")


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
        names = ", ".join(plane.name for plane in planes)
        raise InputError(
            f"Expected one plane, found {names} in {path}. Give the folder of one, for example {planes[0]}."
        )
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
        _bad_frames(settings, fluorescence.shape[1]),
        folder,
    )


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read a dictionary that NumPy pickled into a .npy file, without executing anything in it.

    Unpickling can run any code. Here only NumPy arrays, scalars and dtypes are rebuilt, besides Python's own numbers,
    texts, lists and dictionaries; every other object (dates, paths, what a hostile file asks for) becomes an inert
    placeholder and its code is never imported.

    Raises
    ------
    InputError
        If the file is not such a file.
    """
    try:
        with open(path, "rb") as file:
            value = _unpickle(file)
    except (pickle.UnpicklingError, ValueError, TypeError, EOFError, AttributeError, IndexError, KeyError) as error:
        raise InputError(f"Expected {path} as a dictionary saved by NumPy; reading it fails: {error}.") from error
    if not isinstance(value, dict):
        raise InputError(f"Expected {path} as a dictionary saved by NumPy, it holds {type(value).__name__}.")
    return value


class _Inert:
    """Stands for an object whose class is not rebuilt: takes whatever a pickle gives it and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> _Inert:
        return self

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, _: Any, __: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        pass

    def extend(self, _: Any) -> None:
        pass


def _encode(text: str, _: str = "latin1") -> bytes:
    """What old pickles call to make bytes."""
    return text.encode("latin1")


_OTHERS: Mapping[tuple[str, str], Any] = {("_codecs", "encode"): _encode, ("collections", "OrderedDict"): dict}
# Found through NumPy's own pickling, as their modules were renamed in NumPy 2.
_REBUILDERS: Mapping[str, Any] = {
    "_reconstruct": np.zeros(1).__reduce__()[0],
    "_frombuffer": np.zeros(1).__reduce_ex__(5)[0],
    "scalar": np.float64(1.0).__reduce__()[0],
    "ndarray": np.ndarray,
    "dtype": np.dtype,
}


class _SettingsUnpickler(pickle.Unpickler):
    """Rebuilds plain data and NumPy's types, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "numpy" or re.fullmatch(r"numpy\._?core\.(multiarray|numeric)", module):
            return _REBUILDERS.get(name, _Inert)
        return _OTHERS.get((module, name), _Inert)


def _unpickle(file: IO[bytes]) -> Any:
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if shape != () or not dtype.hasobject:
        raise ValueError(f"it holds an array of shape {shape} and type {dtype}")
    return _SettingsUnpickler(file, encoding="latin1").load().item()


def _plane(traces: Path) -> re.Match[str] | None:
    return re.fullmatch(r"plane(\d+)", traces.parent.name)


def _settings(folder: Path) -> dict[str, Any]:
    """Settings of a plane from all files that hold some; ops.npy, where there is one, has the last word."""
    files = [folder / name for name in SETTINGS_FILES if (folder / name).is_file()]
    if not files:
        raise InputError(f"Expected ops.npy or settings.npy in {folder}, found neither: the imaging rate is unknown.")
    merged: dict[str, Any] = {}
    for file in files:
        merged |= read_settings(file)
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


def _bad_frames(settings: Mapping[str, Any], n_frames: int) -> NDArray[np.bool_] | None:
    marked = settings.get("badframes")
    if not isinstance(marked, np.ndarray) or marked.shape != (n_frames,):
        return None
    return marked.astype(bool)


def _number(value: Any) -> float | None:
    """A finite number as float, else None."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and np.isfinite(value)
    return float(value) if is_number else None
