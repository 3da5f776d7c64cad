"""Minian's output, a folder with a Zarr store per variable: the traces of its units, which are one-photon."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.errors import InputError
from nwb_cascade.files.hashing import file_sha256
from nwb_cascade.options import InferenceOptions
from nwb_cascade.readers.one_file import Finished, given_rate, recording_of
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.sources import Source, is_remote, name_of

RAW, DENOISED = "YrA", "C"  # with the noise of the movie, if it was saved; Minian's estimate without noise
TIMES = "timeStamps.csv"  # of the miniscope's software, beside the movies
DENOISED_NOTE = (
    "The folder holds no YrA: C is denoised, and the noise is what the networks read. Save YrA by save_minian as well."
)


class MinianReader(Reader):
    """``YrA`` of every unit, or ``C`` where Minian did not save it."""

    kind = "a folder of Minian"
    takes = frozenset({"imaging_rate", "scale"})

    def recognises(self, source: Source) -> bool:
        folder = Path(name_of(source))
        return not is_remote(source) and (folder / f"{DENOISED}.zarr" / DENOISED).is_dir()

    def result_paths(self, source: Source) -> tuple[Path, str]:
        folder = Path(name_of(source))
        return folder / "expected_spikes.npy", f"{folder.resolve().name}_expected_spikes.npy"

    @contextmanager
    def open(self, source: Source, options: InferenceOptions, **_: Any) -> Iterator[tuple[Recording, ...]]:
        folder = Path(name_of(source))
        variable = RAW if (folder / f"{RAW}.zarr" / RAW).is_dir() else DENOISED
        store = _store(folder / f"{variable}.zarr")
        traces = store[variable]
        if traces.ndim != 2:
            raise InputError(f"Expected {variable} of {folder} as (units, frames), received shape {traces.shape}.")
        units = np.asarray(store["unit_id"][:]) if "unit_id" in store else np.arange(traces.shape[0])
        found = Finished(
            traces,
            _clock(folder, store, options, int(traces.shape[1])),
            variable,
            "Minian",
            roi_ids=units.astype(np.int64),
            one_photon="Minian analyses movies of miniscopes",
            notes=(DENOISED_NOTE,) if variable == DENOISED else (),
        )
        yield (recording_of(folder, found, options, sha256=_sha256(folder / f"{variable}.zarr")),)


def _store(path: Path) -> Any:
    """Open the store of one variable."""
    try:
        import zarr
    except ImportError as error:
        raise ImportError(f"{path} is a Zarr store, which needs zarr: pip install 'nwb-cascade[zarr]'.") from error
    if (path / "zarr.json").exists() and zarr.__version__.startswith("2."):
        code = f"import numpy, xarray; numpy.save('traces.npy', xarray.open_zarr('{path}')['{path.stem}'].values)"
        raise InputError(
            f"{path} is a Zarr store of format 3, which zarr {zarr.__version__} cannot read. Where Minian runs, save "
            f'its traces as a matrix: python -c "{code}" && nwb-cascade infer traces.npy --one-photon --imaging-rate HZ'
        )
    return zarr.open_group(str(path), mode="r")


def _clock(folder: Path, store: Any, options: InferenceOptions, n_frames: int) -> FrameClock:
    """When the frames were: at the rate that is given, else as the miniscope's software wrote (in ms)."""
    times = folder / TIMES
    if options.imaging_rate is not None or not times.is_file():
        rate, _ = given_rate(options, None, folder)
        return FrameClock.from_rate(rate, n_frames)
    stamps = _stamps(times)
    frames = np.asarray(store["frame"][:], np.int64) if "frame" in store else np.arange(n_frames)
    known = np.isin(frames, list(stamps))
    if not known.all():
        raise InputError(f"Expected a time for each of {n_frames} frames in {times}, {int((~known).sum())} have none.")
    return FrameClock.from_timestamps(np.array([stamps[int(frame)] for frame in frames]))


def _stamps(path: Path) -> dict[int, float]:
    """Times of frames, s, by their numbers."""
    import pandas as pd

    table = pd.read_csv(path)
    columns = ("Frame Number", "Time Stamp (ms)")
    if not set(columns) <= set(table.columns):
        raise InputError(
            f"Expected the columns {columns[0]!r} and {columns[1]!r} in {path}, found {list(table.columns)}."
        )
    numbers, stamps = (table[name].to_numpy() for name in columns)
    return dict(zip(numbers.astype(int).tolist(), (1e-3 * stamps.astype(float)).tolist(), strict=True))


def _sha256(store: Path) -> str:
    """Hash over the files of a store."""
    files = sorted(path for path in store.rglob("*") if path.is_file())
    parts = [f"{path.relative_to(store).as_posix()} {file_sha256(path)}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
