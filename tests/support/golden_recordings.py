"""One small recording of every kind that can be annotated, the same bytes of traces on every machine.

The traces are built from numbers that a generator draws exactly and rounded to 1/1024, so that no library and no
processor changes what is hashed; the object ids of series are set, since they are part of a ``run_key``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pynwb import NWBFile
from pynwb.ophys import Fluorescence, RoiResponseSeries
from scipy.io import savemat

from tests.support.nwb_files import add_imaging_plane, fill, ophys_module, rois_table, series_of
from tests.support.recordings import add_dff, bare_nwbfile, write_recording

N_ROIS, N_FRAMES, RATE = 3, 400, 30.0
EVENTS = ((60, 150, 154, 300), (90, 220, 226, 232, 340), (120, 260))  # frames of each ROI's spikes
SERIES_ID = "60d1e000-0000-4000-8000-{:012d}"  # ids that are part of the golden files; all others are random


def golden_dff(seed: int = 0) -> NDArray[np.float32]:
    """Evident events in little noise: (N_ROIS, N_FRAMES) float32, a fraction."""
    draws = np.random.default_rng(seed).random((N_ROIS, N_FRAMES, 4))
    dff: NDArray[np.float64] = 0.1 * (draws.sum(axis=2) - 2)
    decay = np.cumprod(np.full(120, 0.94))
    for row, frames in zip(dff, EVENTS, strict=True):
        for frame in frames:
            row[frame : frame + 120] += 0.5 * decay[: N_FRAMES - frame]
    return np.asarray(np.round(dff * 1024) / 1024, np.float32)


def odd_dff() -> NDArray[np.float32]:
    """Of three ROIs one is constant and one lacks some frames."""
    dff = golden_dff()
    dff[1], dff[2, 100:140] = 0.25, np.nan
    return dff


def _session() -> NWBFile:
    return bare_nwbfile(file_create_date=datetime(2024, 5, 2, tzinfo=timezone.utc))


def _written(path: Path, nwbfile: NWBFile) -> None:
    """Write a recording, then give its series the ids that every machine has: pynwb offers no way to choose them."""
    write_recording(path, nwbfile)
    series = [one for one in nwbfile.objects.values() if isinstance(one, RoiResponseSeries)]
    for file in [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]:
        content = file.read_bytes()
        for number, one in enumerate(sorted(series, key=lambda one: (one.parent.name, one.name))):
            content = content.replace(one.object_id.encode(), SERIES_ID.format(number).encode())
        file.write_bytes(content)


def _dff_nwb(path: Path, dff: NDArray[np.float32] | None = None) -> None:
    nwbfile = _session()
    add_dff(nwbfile, golden_dff() if dff is None else dff)
    _written(path, nwbfile)


def _two_nwb(path: Path) -> None:
    """Two planes, one with timestamps; 1/32 s is exact in binary, and so is the rate found from it."""
    nwbfile = _session()
    add_dff(nwbfile, golden_dff(), name="plane0")
    add_dff(nwbfile, golden_dff(1), name="plane1", timestamps=2.5 + np.arange(N_FRAMES) / 32)
    _written(path, nwbfile)


def _raw_nwb(path: Path) -> None:
    nwbfile = _session()
    table = rois_table(add_imaging_plane(nwbfile), N_ROIS)
    module = ophys_module(nwbfile, table)
    for name, traces in (("Fluorescence", _fluorescence()), ("Neuropil", _neuropil())):
        fill(module, Fluorescence, [series_of("plane0", traces.T, table, unit="lumens")], name)
    _written(path, nwbfile)


def _fluorescence() -> NDArray[np.float32]:
    return (512 * (1 + golden_dff()) + 0.5 * _neuropil()).astype(np.float32)


def _neuropil() -> NDArray[np.float32]:
    return (128 * (1 + 0.25 * golden_dff(2))).astype(np.float32)


def _mat5(path: Path) -> None:
    savemat(path, {"dff": golden_dff(), "other": np.eye(5)})
    with open(path, "r+b") as file:
        file.write(b"MATLAB 5.0 MAT-file".ljust(116))  # without the date


def _mat73(path: Path) -> None:
    with h5py.File(path, "w", libver="earliest", userblock_size=512) as file:
        file.create_dataset("dF_traces", data=golden_dff().T)


def _suite2p(path: Path) -> None:
    """A plane of three ROIs, two of them cells."""
    path.mkdir()
    np.save(path / "F.npy", _fluorescence())
    np.save(path / "Fneu.npy", _neuropil())
    np.save(path / "iscell.npy", np.array([[1, 0.75], [0, 0.25], [1, 1.0]]))
    bad = np.isin(np.arange(N_FRAMES), (200, 201))
    ops: Any = {"fs": RATE, "tau": 0.5, "neucoeff": 0.5, "badframes": bad}
    np.save(path / "ops.npy", ops)


def _unfinished(path: Path) -> None:
    """A plane without settings."""
    path.mkdir()
    np.save(path / "F.npy", _fluorescence())


MAKERS: Mapping[str, Callable[[Path], Any]] = {
    "dff.nwb": _dff_nwb,
    "odd.nwb": lambda path: _dff_nwb(path, odd_dff()),
    "percent.nwb": lambda path: _dff_nwb(path, 100 * golden_dff()),
    "two.nwb": _two_nwb,
    "raw.nwb": _raw_nwb,
    "dff.nwb.zarr": _dff_nwb,
    "dff.npy": lambda path: np.save(path, golden_dff()),
    "odd.npy": lambda path: np.save(path, odd_dff()),
    "percent.npy": lambda path: np.save(path, 100 * golden_dff()),
    "dff.mat": _mat5,
    "dff73.mat": _mat73,
    "plane0": _suite2p,
    "plane1": _unfinished,
    "empty": Path.mkdir,
    "broken.nwb": lambda path: path.write_text("not NWB"),
}


def make_recordings(folder: Path, *names: str) -> None:
    """Write recordings of these names into a folder."""
    for name in names:
        MAKERS[name](folder / name)
