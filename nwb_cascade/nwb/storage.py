"""The two storage formats of NWB, HDF5 and Zarr, where they differ in appending."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.backends.io import HDMFIO
from hdmf.data_utils import DataIO, GenericDataChunkIterator
from numpy.typing import NDArray
from pynwb import NWBFile

from ground_truth_nwb.hdf5_files import hdf5_file
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.traces import TraceArray
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.files import HANDLED_WARNINGS, is_zarr, other_files
from nwb_cascade.nwb.hdf5 import IndexedHDF5IO, judged
from nwb_cascade.nwb.objects import import_extension

CHUNK_BYTES = 512 * 1024  # one ROI over 131,072 frames; several ROIs where recordings are shorter
CHUNK_FRAMES = CHUNK_BYTES // 4
WRITE_BYTES = 32 * 2**20  # held in memory while a matrix is stored
SCHEMA_BYTES = 2**22  # cached schemas, links and chunk indices of what is added, generously
GZIP_LEVEL = 4
GENERATORS = "general/was_generated_by"


class TimeFirst(GenericDataChunkIterator):  # type: ignore[misc]  # hdmf has no type hints
    """A matrix (n_rois, n_frames) handed to the storage as (n_frames, n_rois), some ROIs at a time.

    Chunks hold one ROI, or few, over many frames, so that one ROI's trace is read without its neighbours.
    """

    def __init__(self, matrix: TraceArray, progress: Progress | None = None) -> None:
        self._matrix = matrix
        self._progress = progress
        n_rois, n_frames = matrix.shape
        frames, rois = chunk_shape(n_frames, n_rois)
        rois_held = max(1, WRITE_BYTES // (4 * rois * n_frames)) * rois
        frames_held = n_frames
        if 4 * rois * n_frames > WRITE_BYTES:
            frames_held = min(n_frames, max(1, WRITE_BYTES // (4 * rois * frames)) * frames)
        super().__init__(chunk_shape=(frames, rois), buffer_shape=(frames_held, min(n_rois, rois_held)))

    def _get_data(self, selection: tuple[slice, slice]) -> NDArray[np.float32]:
        frames, rois = selection
        if self._progress is not None and frames.stop == self._matrix.shape[1]:
            self._progress(rois.stop, self._matrix.shape[0])
        block: NDArray[np.float32] = self._matrix[rois, frames].T
        return block

    def _get_maxshape(self) -> tuple[int, int]:
        n_rois, n_frames = self._matrix.shape
        return n_frames, n_rois

    def _get_dtype(self) -> np.dtype[np.float32]:
        return np.dtype(np.float32)


def chunk_shape(n_frames: int, n_rois: int) -> tuple[int, int]:
    """Frames and ROIs of one chunk: as many frames as fit, then as many ROIs as fit beside each other."""
    frames = min(n_frames, CHUNK_FRAMES)
    return frames, min(n_rois, max(1, CHUNK_BYTES // (4 * frames)))


def require_links(nwbfile: NWBFile, source: Path, folder: Path) -> None:
    """Raise if a copy of an open file in another folder would lose parts that lie in files it names.

    Raises
    ------
    InputError
        With these files.
    """
    if (others := other_files(nwbfile)) and folder.resolve() != source.resolve().parent:
        raise InputError(
            f"Expected a file that is complete in itself, but parts of {source} lie in {', '.join(others)}, which a "
            f"copy in {folder} would not find. Write the copy beside it, or annotate it in place."
        )


def compressed(matrix: TraceArray, path: Path, progress: Progress | None = None) -> DataIO:
    """Wrap a matrix (n_rois, n_frames) for compressed storage, time first, in the format of the file."""
    if is_zarr(path):
        from hdmf_zarr import ZarrDataIO
        from numcodecs import Blosc

        return ZarrDataIO(
            TimeFirst(matrix, progress), compressor=Blosc("zstd", clevel=GZIP_LEVEL, shuffle=Blosc.SHUFFLE)
        )
    return H5DataIO(TimeFirst(matrix, progress), compression="gzip", compression_opts=GZIP_LEVEL, shuffle=True)


@contextmanager
def appending(
    path: Path, *, remove: Sequence[str] = (), generator: tuple[str, str] | None = None
) -> Iterator[tuple[NWBFile, HDMFIO]]:
    """Open an NWB file to add to it, after small changes that pynwb does not offer.

    Parameters
    ----------
    path : pathlib.Path
        The file or folder, changed in place.
    remove : sequence of str
        Object paths to remove first. The room they took is used again by what is added.
    generator : (name, version), optional
        Program to add to an existing list ``was_generated_by``; a file without that list is left to pynwb.

    Yields
    ------
    (pynwb.NWBFile, hdmf.backends.io.HDMFIO)
        The file as read, and its backend, which writes what was added to it.
    """
    import_extension()
    if is_zarr(path):
        import zarr

        from nwb_cascade.nwb.zarr_files import OwnZarrIO

        with _told_descriptions():
            group = zarr.open_group(str(path), mode="r+")
            _edit(group, remove, generator)
            try:
                zarr.consolidate_metadata(group.store)
            except ValueError as error:  # what the list of all descriptions, which is read otherwise, hid so far
                raise _undescribed(error) from error
            with OwnZarrIO(str(path), name=str(path), is_remote=False, mode="r+") as io:
                yield _read(io), io
    else:
        with hdf5_file(path, "r+") as file:
            _edit(file, remove, generator)
            with IndexedHDF5IO(file, *judged(file, path), mode="a") as io:
                yield _read(io), io


@contextmanager
def _told_descriptions() -> Iterator[None]:
    """Tell of damaged descriptions that only writing meets, such as those of the cached specifications."""
    from zarr.errors import MetadataError

    try:
        yield
    except MetadataError as error:
        raise _undescribed(error) from error


def _undescribed(error: Exception) -> InputError:
    return InputError(f"A description in it cannot be read ({error}): it is damaged. Copy it anew.")


def _read(io: HDMFIO) -> NWBFile:
    """Read an open file; `open_nwb` has told what there is to say about it."""
    with warnings.catch_warnings():
        for message in HANDLED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        return io.read()


def _edit(root: Any, remove: Sequence[str], generator: tuple[str, str] | None) -> None:
    """Remove objects and extend the list of programs in an open h5py file or zarr group."""
    for object_path in remove:
        del root[object_path.strip("/")]
    if generator is None or GENERATORS not in root:
        return
    rows = [[_text(value) for value in row] for row in root[GENERATORS][()]]
    if list(generator) in rows:
        return
    if isinstance(root, h5py.Group):
        del root[GENERATORS]
        root.create_dataset(GENERATORS, data=[*rows, list(generator)], dtype=h5py.string_dtype())
    else:
        root[GENERATORS].append(np.array([generator], dtype=object))


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
