"""ScratchArray: a float32 matrix on disk that is written and read in pieces and never held in memory."""

from __future__ import annotations

import errno
import operator
import shutil
import tempfile
import weakref
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
ITEM_BYTES = 4


class ScratchArray:
    """A float32 matrix of shape (n_rois, n_frames) in a temporary file, zero until written.

    The file has no name on POSIX systems, so it is gone after ``close``, an error or a kill alike.
    Plain reads and writes are used instead of a memory map: pages of a map count as resident memory of the
    process, so a map over a large file looks and limits like the array itself.

    Parameters
    ----------
    n_rois, n_frames : int
        Shape.
    directory : path, optional
        Folder of the file; by default the system's temporary folder (environment variable ``TMPDIR``).

    Raises
    ------
    OSError
        If the disk has no room for the matrix, at creation or while it is written.

    Examples
    --------
    >>> with ScratchArray(2, 3) as scratch:
    ...     scratch.write_block(0, 1, np.array([[1, 2], [3, 4]]))
    ...     scratch[:, 1:]
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, n_rois: int, n_frames: int, directory: str | Path | None = None) -> None:
        self.shape = (n_rois, n_frames)
        self.directory = Path(directory or tempfile.gettempdir())
        self._lock = Lock()
        free = shutil.disk_usage(self.directory).free
        if free < self.nbytes:
            raise self._no_room(free)
        self._file = tempfile.TemporaryFile(dir=self.directory, prefix="nwb-cascade-", buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        try:
            self._file.truncate(self.nbytes)
        except OSError as error:
            self._file.close()
            raise self._translated(error) from error

    @property
    def nbytes(self) -> int:
        """Size of the whole matrix in bytes."""
        return ITEM_BYTES * self.shape[0] * self.shape[1]

    @property
    def closed(self) -> bool:
        """Whether the file is gone."""
        return bool(self._file.closed)

    def write_rows(self, start: int, rows: Any) -> None:
        """Write the traces ``start, start + 1, ...``: (n, n_frames), converted to float32."""
        block = np.asarray(rows)
        if block.ndim != 2 or block.shape[1] != self.shape[1]:
            raise ValueError(f"Expected rows of shape (n, {self.shape[1]}), received {block.shape}.")
        self.write_block(start, 0, block)

    def write_block(self, first_roi: int, first_frame: int, block: NDArray[Any]) -> None:
        """Write a rectangle (n, m) of traces ``first_roi, ...`` and frames ``first_frame, ...`` as float32."""
        values = np.ascontiguousarray(block, dtype=np.float32)
        self._check_span(first_roi, values.shape[0], self.shape[0], "ROIs")
        self._check_span(first_frame, values.shape[1], self.shape[1], "frames")
        if values.shape[1] == self.shape[1]:
            self._write(first_roi * self.shape[1], values)
            return
        for roi, row in enumerate(values, first_roi):
            self._write(roi * self.shape[1] + first_frame, row)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Read ``[rois]`` or ``[rois, frames]``, each a slice or an integer, as a new float32 array."""
        rois_key, frames_key = key if isinstance(key, tuple) else (key, slice(None))
        rois, one_roi = span(rois_key, self.shape[0])
        frames, one_frame = span(frames_key, self.shape[1])
        block = self._read_block(rois, frames)
        result: NDArray[np.float32] = block[0 if one_roi else slice(None), ..., 0 if one_frame else slice(None)]
        return result

    def _read_block(self, rois: range, frames: range) -> NDArray[np.float32]:
        """Read a rectangle: whole rows in one go, parts of rows one after the other."""
        block = np.empty((len(rois), len(frames)), dtype=np.float32)
        if len(frames) == self.shape[1]:
            self._read(rois.start * self.shape[1], block)
        else:
            for row, roi in zip(block, rois, strict=True):
                self._read(roi * self.shape[1] + frames.start, row)
        return block

    def _read(self, position: int, target: NDArray[np.float32]) -> None:
        """Fill a contiguous array from the file, starting at an element's position."""
        view = target.reshape(-1).view(np.uint8).data
        with self._lock:
            self._file.seek(position * ITEM_BYTES)
            while view:
                count = self._file.readinto(view)
                if not count:
                    raise OSError(f"Scratch file in {self.directory}: expected {len(view)} more bytes, it ended.")
                view = view[count:]

    def _write(self, position: int, values: NDArray[np.float32]) -> None:
        """Write a contiguous array to the file, starting at an element's position."""
        view = values.reshape(-1).view(np.uint8).data
        try:
            with self._lock:
                self._file.seek(position * ITEM_BYTES)
                while view:
                    view = view[self._file.write(view) :]
        except OSError as error:
            raise self._translated(error) from error

    @staticmethod
    def _check_span(start: int, length: int, size: int, what: str) -> None:
        if start < 0 or start + length > size:
            raise IndexError(f"Expected {what} within 0 to {size}, received {start} to {start + length}.")

    def _translated(self, error: OSError) -> OSError:
        """Return the error to raise for a failed write: a clear one when the disk is full."""
        return self._no_room(shutil.disk_usage(self.directory).free) if error.errno in DISK_IS_FULL else error

    def _no_room(self, free: int) -> OSError:
        error = OSError(
            f"Expected {self.nbytes / 1e6:.1f} MB of room in {self.directory} for a scratch file; the disk is "
            f"full ({free / 1e6:.1f} MB free): make room or name another folder (scratch_dir=, TMPDIR)."
        )
        error.errno = errno.ENOSPC
        return error

    def close(self) -> None:
        """Delete the file. Closing twice is harmless."""
        self._file.close()

    def __enter__(self) -> ScratchArray:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def span(key: Any, size: int) -> tuple[range, bool]:
    """Return the indices that a slice or an integer selects along an axis, and whether it was an integer.

    Raises
    ------
    IndexError
        If an integer lies outside the axis.
    TypeError
        If the key is of another kind or the slice has a step.

    Examples
    --------
    >>> span(slice(-2, None), 5), span(-1, 5)
    ((range(3, 5), False), (range(4, 5), True))
    """
    if isinstance(key, slice):
        start, stop, step = key.indices(size)
        if step != 1:
            raise TypeError(f"Expected a slice without a step, received {key}: read it and thin the result.")
        return range(start, max(start, stop)), False
    try:
        index = operator.index(key)
    except TypeError:
        raise TypeError(f"Expected a slice or an integer as index, received {type(key).__name__}.") from None
    if not -size <= index < size:
        raise IndexError(f"Index {index} is outside an axis of {size}.")
    index %= size
    return range(index, index + 1), True
