"""Bare matrices of traces, as many labs keep them: ``.npy``, and ``.mat`` of MATLAB 5 and of MATLAB 7.3."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.traces import TraceArray
from nwb_cascade.errors import InputError

# Names under which dF/F is saved for Cascade and by common pipelines, in order of preference
KNOWN_VARIABLES = ("dF_traces", "dff", "dFF", "dfF", "dF_F", "df_f", "DFF", "dF", "traces")
NUMBERS = "fiu"
MAT5_LIMIT_BYTES = 2**31 - 2**16  # a variable of a MATLAB 5 file stays below 2 GiB
ROWS_BYTES = 32 * 2**20  # held in memory while a matrix is written
# First 128 bytes of a MATLAB 7.3 file: text, version 2.0, byte order; the HDF5 part starts at byte 512
MAT73_HEADER = b"MATLAB 7.3 MAT-file, written by nwb-cascade".ljust(124) + b"\x00\x02IM"
MAT73_USERBLOCK = 512


class TransposedDataset:
    """An HDF5 dataset of a MATLAB 7.3 file, which stores matrices transposed, in MATLAB's own orientation."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.shape = tuple(reversed(dataset.shape))

    def __getitem__(self, rois: slice) -> NDArray[Any]:
        block: NDArray[Any] = self._dataset[:, rois].T
        return block


@contextmanager
def open_matrix(path: Path, variable: str | None = None) -> Iterator[TraceArray]:
    """Open a matrix of traces; rows are read when they are asked for (MATLAB 5: the whole matrix at once).

    Parameters
    ----------
    path : pathlib.Path
        ``.npy`` or ``.mat`` file with a matrix (n_rois, n_frames).
    variable : str, optional
        Name of the matrix in a ``.mat`` file; by default a name that is usual for dF/F, or the only matrix.

    Raises
    ------
    InputError
        If the file cannot be read, holds no such matrix, or several that could be meant.
    """
    if path.suffix.lower() == ".npy":
        yield _npy(path)
    elif is_mat73(path):
        import h5py

        with h5py.File(path, "r") as file:
            shapes = {
                name: tuple(reversed(item.shape))
                for name, item in file.items()
                if isinstance(item, h5py.Dataset) and item.dtype.kind in NUMBERS
            }
            yield TransposedDataset(file[_chosen(path, shapes, variable)])
    else:
        yield _mat5(path, variable)


def is_mat73(path: Path) -> bool:
    """Tell whether a file is an HDF5 file, as ``.mat`` files of MATLAB 7.3 are."""
    import h5py

    return path.suffix.lower() == ".mat" and bool(h5py.is_hdf5(path))


def write_npy(path: Path, matrix: TraceArray) -> None:
    """Write a matrix (n_rois, n_frames) as float32, some rows at a time."""
    n_rois, n_frames = matrix.shape
    header = {"descr": "<f4", "fortran_order": False, "shape": (n_rois, n_frames)}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for rois in _row_blocks(n_rois, n_frames):
            file.write(np.ascontiguousarray(matrix[rois], "<f4").tobytes())


def write_mat5(path: Path, variables: Mapping[str, TraceArray | NDArray[Any] | float | str]) -> None:
    """Write variables as a compressed MATLAB 5 file.

    Raises
    ------
    InputError
        If one is too large for this format.
    """
    from scipy.io import savemat

    arrays = {name: value if isinstance(value, (str, float)) else value[:] for name, value in variables.items()}
    for name, value in arrays.items():
        if isinstance(value, np.ndarray) and value.nbytes > MAT5_LIMIT_BYTES:
            raise InputError(f"Variable {name} of {path.name} is too large for MATLAB 5; use MATLAB 7.3.")
    savemat(path, arrays, do_compression=True, oned_as="column")


def write_mat73(path: Path, variables: Mapping[str, TraceArray | NDArray[Any] | float | str]) -> None:
    """Write variables as a MATLAB 7.3 file: HDF5, matrices transposed and some rows at a time, text as UTF-16."""
    import h5py

    with h5py.File(path, "w", userblock_size=MAT73_USERBLOCK) as file:
        for name, value in variables.items():
            if isinstance(value, str):
                codes = np.frombuffer(value.encode("utf-16-le"), np.uint16)
                dataset = file.create_dataset(name, data=codes[:, None])
                dataset.attrs["MATLAB_class"] = np.bytes_("char")
                dataset.attrs["MATLAB_int_decode"] = np.int32(2)
            else:
                _write_transposed(file, name, value)
    with open(path, "r+b") as raw:
        raw.write(MAT73_HEADER)


def needs_mat73(matrix: TraceArray) -> bool:
    """Tell whether a float32 matrix is too large for a MATLAB 5 file."""
    n_rois, n_frames = matrix.shape
    return 4 * n_rois * n_frames > MAT5_LIMIT_BYTES


def read_text(path: Path, variable: str) -> str | None:
    """Return a text variable of a ``.mat`` file of either version, None if it has none of that name."""
    if is_mat73(path):
        import h5py

        with h5py.File(path, "r") as file:
            if variable not in file:
                return None
            return bytes(np.asarray(file[variable][()], np.uint16).tobytes()).decode("utf-16-le")
    from scipy.io import loadmat

    found = loadmat(path, variable_names=[variable]).get(variable)
    return None if found is None or not found.size else str(found.reshape(-1)[0])


def _npy(path: Path) -> TraceArray:
    try:
        matrix: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"Expected a .npy file with a matrix of numbers, {path} fails: {error}") from error
    if matrix.dtype.kind not in NUMBERS:
        raise InputError(f"Expected a matrix of numbers in {path}, found values of type {matrix.dtype}.")
    return matrix


def _mat5(path: Path, variable: str | None) -> NDArray[Any]:
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    try:
        shapes = {
            name: shape for name, shape, kind in whosmat(path) if kind.startswith(("double", "single", "int", "uint"))
        }
        matrix: NDArray[Any] = loadmat(path, variable_names=[_chosen(path, shapes, variable)]).popitem()[1]
    except (MatReadError, TypeError, EOFError, zlib.error, OSError, ValueError) as error:
        if isinstance(error, (InputError, FileNotFoundError, PermissionError)):
            raise
        raise InputError(f"Expected a .mat file, {path} fails: {error}.") from error
    return matrix


def _chosen(path: Path, shapes: Mapping[str, tuple[int, ...]], variable: str | None) -> str:
    """Name of the matrix to use out of those in a file."""
    listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
    if variable is not None:
        if variable not in shapes:
            raise InputError(f"Expected a matrix {variable!r} in {path}; it holds {listed}.")
        return variable
    matrices = [name for name, shape in shapes.items() if len(shape) == 2 and min(shape) > 0 and max(shape) > 1]
    known = [name for name in KNOWN_VARIABLES if name in matrices]
    if known or len(matrices) == 1:
        return (known or matrices)[0]
    raise InputError(f"Expected one matrix of traces in {path}, found {listed}; name it with --variable.")


def _write_transposed(file: Any, name: str, value: Any) -> None:
    """Write a matrix, vector or number as MATLAB expects it in HDF5: axes reversed, vectors as columns."""
    if isinstance(value, float) or len(value.shape) == 1:
        data = np.atleast_1d(value)[None, :]
        dataset = file.create_dataset(name, data=data)
    else:
        n_rows, n_columns = value.shape
        dataset = file.create_dataset(name, (n_columns, n_rows), value.dtype)
        for rows in _row_blocks(n_rows, n_columns):
            dataset[:, rows] = np.asarray(value[rows]).T
    classes = {"float64": "double", "float32": "single"}
    kind = dataset.dtype.name
    dataset.attrs["MATLAB_class"] = np.bytes_(classes.get(kind, kind))


def _row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    step = max(1, ROWS_BYTES // (4 * max(1, n_columns)))
    return (slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step))
