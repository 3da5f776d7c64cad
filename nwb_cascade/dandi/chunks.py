"""Where in an HDF5 file the data of a dataset lie, and an array that fetches them by chunks, ahead of the reading."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from nwb_cascade.dandi.ranges import ByteRange, union

Selection = tuple[slice, ...]


class PrefetchingFile(Protocol):
    """What is needed of a remote file."""

    def prefetch(self, ranges: list[ByteRange]) -> None: ...

    def wait(self, ranges: list[ByteRange]) -> None: ...

    def read_range(self, start: int, stop: int) -> bytes: ...

    def can_hold(self, n_bytes: int) -> bool: ...

    def exact_reads(self) -> AbstractContextManager[None]: ...


class StoredChunks:
    """Places of the pieces in which a dataset is stored: its chunks, or its rows if it is contiguous.

    Parameters
    ----------
    dataset : h5py.Dataset
        Numbers of at least one axis. Of a dataset kept in other files, or in its own header, nothing is known.

    Attributes
    ----------
    row_bytes : int
        Bytes of one row of a contiguous dataset; 0 for any other.
    """

    def __init__(self, dataset: h5py.Dataset) -> None:
        infos = chunk_infos(dataset.id) if dataset.chunks is not None else []
        self._shape = np.array(dataset.chunks or (1, *dataset.shape[1:]), np.int64)
        self._corners = np.array([info.chunk_offset for info in infos], np.int64).reshape(-1, dataset.ndim)
        self._places = [(info.byte_offset, info.byte_offset + info.size) for info in infos]
        self._offset = dataset.id.get_offset() if dataset.chunks is None else None
        self.row_bytes = 0 if self._offset is None else dataset.id.get_storage_size() // max(1, dataset.shape[0])

    def ranges(self, selection: Selection) -> list[ByteRange]:
        """Return the byte ranges of the pieces that hold a selection (one slice of step 1 per axis)."""
        if self._offset is not None:
            rows = selection[0]
            return union([(self._offset + rows.start * self.row_bytes, self._offset + rows.stop * self.row_bytes)])
        starts = np.array([part.start for part in selection], np.int64)
        stops = np.array([part.stop for part in selection], np.int64)
        chosen = ((self._corners < stops) & (self._corners + self._shape > starts)).all(axis=1)
        return union(self._places[i] for i in np.flatnonzero(chosen))


def chunk_infos(dataset_id: Any) -> list[Any]:
    """List the chunks of a dataset (h5py's low-level id) with `chunk_offset`, `byte_offset` and `size`."""
    if not hasattr(dataset_id, "chunk_iter"):  # HDF5 before 1.12.3; takes time with the square of the number there
        return [dataset_id.get_chunk_info(i) for i in range(dataset_id.get_num_chunks())]
    infos: list[Any] = []
    dataset_id.chunk_iter(infos.append)
    return infos


class PrefetchedDataset:
    """A dataset of a remote file, read like the dataset itself.

    Before a part is read, the chunks that it needs are fetched together, in as few requests as their places allow;
    and while the caller works on it, those of the part that comes next are on their way. What comes next is guessed
    from the last step: the same block, moved on by as much; from a first read nothing is guessed. Parts are read by
    slices of step 1; anything else works, but is fetched as it is met.

    Parameters
    ----------
    dataset : h5py.Dataset
        The dataset.
    file : RemoteFile
        The file that it belongs to.
    """

    def __init__(self, dataset: h5py.Dataset, file: PrefetchingFile) -> None:
        self._dataset = dataset
        self._file = file
        self._stored: StoredChunks | None = None
        self._last: Selection | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the dataset."""
        return tuple(self._dataset.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of its values."""
        dtype: np.dtype[Any] = self._dataset.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """Number of its axes."""
        return len(self.shape)

    @property
    def chunks(self) -> tuple[int, ...] | None:
        """Shape of its chunks; None if it is contiguous."""
        chunks: tuple[int, ...] | None = self._dataset.chunks
        return chunks

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        selection = as_slices(key, self.shape)
        ranges = [] if selection is None else self._begin(selection)
        if selection is None or not ranges:
            values: NDArray[Any] = self._dataset[key]
            return values
        self._file.wait(ranges)
        rows = self._rows(key, selection, ranges)
        values = self._dataset[key] if rows is None else rows
        # Only now: while HDF5 reads, it must not wait for what is on its way, see `nwb_cascade.dandi.cache`.
        following = next_selection(self._last, selection, self.shape)
        self._last = selection
        if following is not None:
            self._begin(following)
        return values

    def prefetch(self, selection: Selection) -> None:
        """Begin to fetch a part that is going to be read (one slice of step 1 per axis)."""
        self._begin(selection)

    def ranges(self, selection: Selection) -> list[ByteRange]:
        """Return where in the file a selection is stored."""
        return self._places().ranges(selection)

    def _rows(self, key: Any, selection: Selection, ranges: list[ByteRange]) -> NDArray[Any] | None:
        """Return slices of a contiguous dataset of plain numbers; None if it is another dataset or index.

        HDF5 would read parts of rows one by one, and read on beyond the last.
        """
        is_sliced = all(isinstance(part, slice) for part in (key if isinstance(key, tuple) else (key,)))
        row_bytes = self.dtype.itemsize * int(np.prod(self.shape[1:]))
        if not is_sliced or self.dtype.kind not in "fiu" or self._places().row_bytes != row_bytes:
            return None
        content = self._file.read_range(*ranges[0])
        rows = np.frombuffer(content, self.dtype).reshape(-1, *self.shape[1:])
        return np.array(rows[(slice(None), *selection[1:])])

    def _places(self) -> StoredChunks:
        if self._stored is None:
            with self._file.exact_reads():
                self._stored = StoredChunks(self._dataset)
        return self._stored

    def _begin(self, selection: Selection) -> list[ByteRange]:
        """Begin to fetch what a selection needs, if it can be kept; returns what that is."""
        ranges = self.ranges(selection)
        if not self._file.can_hold(sum(stop - start for start, stop in ranges)):
            return []
        self._file.prefetch(ranges)
        return ranges


def as_slices(key: Any, shape: tuple[int, ...]) -> Selection | None:
    """Return an index as one slice of step 1 per axis; None if it is not made of integers and such slices.

    Examples
    --------
    >>> as_slices((slice(2, None), -1), (10, 4))
    (slice(2, 10, None), slice(3, 4, None))
    """
    parts = key if isinstance(key, tuple) else (key,)
    if len([part for part in parts if part is Ellipsis]) == 1:
        at = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts = (*parts[:at], *[slice(None)] * (len(shape) - len(parts) + 1), *parts[at + 1 :])
    parts = (*parts, *[slice(None)] * (len(shape) - len(parts)))
    if len(parts) != len(shape):
        return None
    slices = [_as_slice(part, length) for part, length in zip(parts, shape, strict=True)]
    known = tuple(part for part in slices if part is not None)
    return known if len(known) == len(shape) else None


def next_selection(last: Selection | None, current: Selection, shape: tuple[int, ...]) -> Selection | None:
    """Guess what is read next: the block moved on by the step from the last to this; None if nothing can be said.

    Examples
    --------
    >>> next_selection((slice(0, 5), slice(0, 3)), (slice(5, 10), slice(0, 3)), (12, 3))
    (slice(10, 12, None), slice(0, 3, None))
    >>> next_selection(None, (slice(0, 5), slice(0, 3)), (12, 3)) is None
    True
    """
    if last is None:
        return None
    steps = [now.start - before.start for before, now in zip(last, current, strict=True)]
    if sum(step != 0 for step in steps) != 1 or min(steps) < 0:
        return None
    moved = [
        slice(part.start + step, min(part.stop + step, length))
        for part, step, length in zip(current, steps, shape, strict=True)
    ]
    return tuple(moved) if all(part.start < part.stop for part in moved) else None


def _as_slice(part: Any, length: int) -> slice | None:
    if isinstance(part, slice):
        start, stop, step = part.indices(length)
        return slice(start, max(start, stop)) if step == 1 else None
    if isinstance(part, (int, np.integer)) and not isinstance(part, bool) and -length <= part < length:
        at = int(part) % length
        return slice(at, at + 1)
    return None
