"""Traces of a stored dataset as a lazy (n_rois, n_frames) array, in bounded memory whatever the storage layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.errors import InputError
from nwb_cascade.files.scratch import ScratchArray, span

BLOCK_BYTES = 64 * 2**20
AHEAD_BYTES = 8 * 2**20  # of traces that are fetched while others are worked on
BYTES = 4  # of a value as float32
NOTHING = (slice(0, 0), np.empty((0, 0), np.float32))


@dataclass(frozen=True)
class StoredTraces:
    """A dataset of an open file and how to understand it; reads no values by itself.

    Parameters
    ----------
    data : array-like with ``shape``, ``dtype`` and slicing
        (n_frames, n_rois), (n_rois, n_frames) if ``transposed``, or (n_frames,) for one ROI.
    transposed : bool
        Whether ROIs come first.
    conversion, offset : float
        A value is ``stored * conversion + offset`` (NWB ``TimeSeries``).
    factor : float
        Applied last: 0.01 turns percent into a fraction.
    where : str
        File and object path for error messages.
    """

    data: Any
    transposed: bool = False
    conversion: float = 1.0
    offset: float = 0.0
    factor: float = 1.0
    where: str = "the data"

    def __post_init__(self) -> None:
        if self.data.ndim not in (1, 2):
            raise InputError(
                f"Expected traces of shape (time,) or (time, ROIs) in {self.where}, received {self.data.shape}."
            )
        if np.dtype(self.data.dtype).kind not in "fiu":
            raise InputError(f"Expected numbers in {self.where}, received values of type {self.data.dtype}.")

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rois, n_frames)."""
        if self.data.ndim == 1:
            return 1, int(self.data.shape[0])
        frames_axis = 1 if self.transposed else 0
        return int(self.data.shape[1 - frames_axis]), int(self.data.shape[frames_axis])

    @property
    def chunks(self) -> tuple[int, int]:
        """(ROIs, frames) of the smallest piece that the storage yields without reading others."""
        stored = getattr(self.data, "chunks", None)
        if self.data.ndim == 1:
            return 1, int(stored[0]) if stored else 1
        if not stored:
            stored = (1, self.data.shape[1])
        rois, frames = stored if self.transposed else stored[::-1]
        return min(int(rois), max(1, self.shape[0])), min(int(frames), max(1, self.shape[1]))

    def read(self, rois: slice, frames: slice) -> NDArray[np.float32]:
        """Read a rectangle as float32 (n, m), with conversion, offset and factor applied."""
        if self.data.ndim == 1:
            key: Any = frames
        else:
            key = (rois, frames) if self.transposed else (frames, rois)
        try:
            stored = np.asarray(self.data[key])
        except (OSError, RuntimeError) as error:
            raise OSError(
                f"The traces of {self.where} cannot be read ({error}): the file is damaged or incomplete, its "
                "compression is not installed here, or the connection broke. Copy it anew or try again."
            ) from error
        if stored.ndim == 1:
            return self._scaled(stored[None, :][rois])
        return self._scaled(stored if self.transposed else stored.T)

    def prefetch(self, rois: slice) -> None:
        """Begin to fetch whole traces, if the storage can do that in the background."""
        if not self.fetches_ahead or self.data.ndim == 1:
            return
        frames = slice(0, self.shape[1])
        self.data.prefetch((rois, frames) if self.transposed else (frames, rois))

    @property
    def fetches_ahead(self) -> bool:
        """Whether the storage can fetch in the background: a remote one."""
        return hasattr(self.data, "prefetch")

    def _scaled(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Apply conversion, offset and factor, in double precision where there is anything to apply."""
        if (self.conversion, self.offset, self.factor) == (1.0, 0.0, 1.0):
            return stored.astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # by an absurd conversion; infinite values are reported
            return ((stored.astype(np.float64) * self.conversion + self.offset) * self.factor).astype(np.float32)

    def tiles(self, rois: slice, max_items: int) -> Iterator[tuple[slice, slice]]:
        """Cut some ROIs into (rois, frames) rectangles of whole chunks; every chunk lies in one of them.

        The first ROI should be the first of a chunk. A rectangle holds at most max_items values, or one chunk.
        """
        chunk_rois, chunk_frames = self.chunks
        n_frames = self.shape[1]
        # One chunk wide along the second stored axis: HDF5 then copies chunks whole; wider, it copies them in rows of
        # a few values, which has been measured to take 200 times as long (chunks of 80,000 frames by 4 ROIs).
        grown = max(1, max_items // (chunk_rois * chunk_frames))
        rows, columns = (chunk_rois * grown, chunk_frames) if self.transposed else (chunk_rois, chunk_frames * grown)
        for first_frame in range(0, n_frames, columns):
            frames = slice(first_frame, min(first_frame + columns, n_frames))
            for first_roi in range(rois.start, rois.stop, rows):
                yield slice(first_roi, min(first_roi + rows, rois.stop)), frames


class TraceBlocks:
    """A lazy float32 array (n_rois, n_frames) over stored traces that reads every chunk once.

    Traces are wanted ROI by ROI, over all frames; files often store them frame by frame. Where the chunks of one
    group of ROIs, over all frames, fit into ``block_bytes``, such a group is read at a time and kept until another
    is wanted; of a remote file the groups are smaller, and the next one is fetched while the caller works on this.
    Where they do not fit (a chunk or a contiguous row holds all ROIs), the first access passes once over the dataset
    and writes it, transposed, to a scratch file, from which rows are then served. In both cases memory stays near
    twice ``block_bytes``, or the size of one chunk if that is larger. ROIs should be asked for in order.

    Parameters
    ----------
    stored : StoredTraces
        The dataset; its file must stay open.
    block_bytes : int
        Bytes of traces, as float32, to hold at a time.
    scratch_dir : path, optional
        Folder for the scratch file, by default the system's temporary folder.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(
        self, stored: StoredTraces, *, block_bytes: int = BLOCK_BYTES, scratch_dir: str | Path | None = None
    ) -> None:
        self.stored = stored
        self.shape = stored.shape
        self.scratch_dir = scratch_dir
        self._max_items = max(1, block_bytes // BYTES)
        chunk_rois, group_items = stored.chunks[0], stored.chunks[0] * max(1, self.shape[1])
        self.spools = group_items > self._max_items and chunk_rois > 1
        limit = min(block_bytes, AHEAD_BYTES) if stored.fetches_ahead else block_bytes
        self._group_rois = chunk_rois * max(1, limit // BYTES // group_items)
        self._group: tuple[slice, NDArray[np.float32]] = NOTHING
        self._scratch: ScratchArray | None = None

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Read ``[rois]`` or ``[rois, frames]``, each a slice or an integer, as a new float32 array."""
        rois_key, frames_key = key if isinstance(key, tuple) else (key, slice(None))
        rois, one_roi = span(rois_key, self.shape[0])
        frames, one_frame = span(frames_key, self.shape[1])
        if self.spools:
            rows = self._spooled()[rois.start : rois.stop, frames.start : frames.stop]
        else:
            rows = self._rows(rois, frames)
        result: NDArray[np.float32] = rows[0 if one_roi else slice(None), 0 if one_frame else slice(None)]
        return result

    def _rows(self, rois: range, frames: range) -> NDArray[np.float32]:
        """Assemble rows from the groups of ROIs they lie in."""
        rows = np.empty((len(rois), len(frames)), dtype=np.float32)
        start = rois.start
        while start < rois.stop:
            first = start - start % self._group_rois
            group = slice(first, min(first + self._group_rois, self.shape[0]))
            stop = min(group.stop, rois.stop)
            part = rows[start - rois.start : stop - rois.start]
            if (start, stop) == (group.start, group.stop) and rows.shape[1] == self.shape[1]:
                self._fill(part, group)
            else:
                part[:] = self._kept(group)[start - group.start : stop - group.start, frames.start : frames.stop]
            start = stop
        return rows

    def _kept(self, group: slice) -> NDArray[np.float32]:
        """Return a group of ROIs, read now or kept from the last time."""
        if self._group[0] != group:
            self._group = NOTHING
            values = np.empty((group.stop - group.start, self.shape[1]), dtype=np.float32)
            self._fill(values, group)
            self._group = (group, values)
        return self._group[1]

    def _fill(self, target: NDArray[np.float32], rois: slice) -> None:
        """Read whole traces into an array, and begin to fetch those that follow."""
        for tile, frames in self.stored.tiles(rois, self._tile_items):
            target[tile.start - rois.start : tile.stop - rois.start, frames] = self.stored.read(tile, frames)
        following = slice(rois.stop, min(rois.stop + self._group_rois, self.shape[0]))
        if following.start < following.stop:
            self.stored.prefetch(following)

    def _spooled(self) -> ScratchArray:
        """Return the traces as a scratch file, writing it on first use in one pass over the dataset."""
        if self._scratch is None:
            scratch = ScratchArray(*self.shape, self.scratch_dir)
            try:
                for rois, frames in self.stored.tiles(slice(0, self.shape[0]), self._tile_items):
                    scratch.write_block(rois.start, frames.start, self.stored.read(rois, frames))
            except BaseException:
                scratch.close()
                raise
            self._scratch = scratch
        return self._scratch

    @property
    def _tile_items(self) -> int:
        """Values to read at a time: a quarter of a block, since a copy as stored comes before the float32."""
        return max(1, self._max_items // 4)

    def close(self) -> None:
        """Drop what is kept and delete the scratch file, if any; a later access reads anew."""
        self._group = NOTHING
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None


def lost_chunks(data: Any) -> tuple[str, ...]:
    """Say that chunks of a Zarr array are not in its store: zarr reads its fill value instead, without a word."""
    if not hasattr(data, "nchunks_initialized") or (lost := data.nchunks - data.nchunks_initialized) <= 0:
        return ()
    are = "are" if lost > 1 else "is"
    return (f"{lost} of {data.nchunks} chunks of its data {are} not in the store: read as {data.fill_value}.",)
