"""HDF5 files that hold the same series in the layouts that writers leave behind, for tests of reading them remotely."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cache

import h5py
import numpy as np
from numpy.typing import NDArray

N_SERIES = 4
SHAPE = (12000, 40)  # (frames, ROIs); 1.9 MB as float32, so that descriptions may lie far from each other


@cache
def series(number: int) -> NDArray[np.float32]:
    """Data of one series, (frames, ROIs) float32; noise, which no compression makes smaller."""
    return np.random.default_rng(number).normal(size=SHAPE).astype(np.float32)


@cache
def hdf5_bytes(write: Callable[[h5py.File], None], **options: object) -> bytes:
    """Return the bytes of an HDF5 file that a function writes."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        write(file)
    return buffer.getvalue()


def contiguous(file: h5py.File) -> None:
    """Each series beside its description, unchunked: what pynwb writes of arrays."""
    for number in range(N_SERIES):
        file.create_group(f"series{number}").create_dataset("data", data=series(number))


def chunked_by_time(file: h5py.File) -> None:
    """Chunks of all ROIs over few frames, compressed."""
    for number in range(N_SERIES):
        group = file.create_group(f"series{number}")
        group.create_dataset("data", data=series(number), chunks=(800, SHAPE[1]), compression="gzip")


def chunked_by_roi(file: h5py.File) -> None:
    """Chunks of few ROIs over all frames."""
    for number in range(N_SERIES):
        file.create_group(f"series{number}").create_dataset("data", data=series(number), chunks=(SHAPE[0], 4))


def interleaved(file: h5py.File) -> None:
    """Descriptions first, then chunks of all series in turns: what recorders write while they record."""
    datasets = []
    for number in range(N_SERIES):
        group = file.create_group(f"series{number}")
        datasets.append(group.create_dataset("data", shape=SHAPE, dtype=np.float32, chunks=(1200, 20)))
    for start in range(0, SHAPE[0], 1200):
        for number, dataset in enumerate(datasets):
            dataset[start : start + 1200] = series(number)[start : start + 1200]


LAYOUTS = {layout.__name__: layout for layout in (contiguous, chunked_by_time, chunked_by_roi, interleaved)}
