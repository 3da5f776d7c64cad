"""Matrices and what belongs to them as files of numpy and MATLAB, written some rows at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.traces import TraceArray
from nwb_cascade.errors import InputError

MAT5_LIMIT_BYTES = 2**31 - 2**16  # a variable of a MATLAB 5 file stays below 2 GiB
ROWS_BYTES = 32 * 2**20  # held in memory while a matrix is written
# First 128 bytes of a MATLAB 7.3 file: text, version 2.0, byte order; the HDF5 part starts at byte 512
MAT73_HEADER = b"MATLAB 7.3 MAT-file, written by nwb-cascade".ljust(124) + b"\x00\x02IM"
MAT73_USERBLOCK = 512


def write_npy(path: Path, matrix: TraceArray) -> None:
    """Write a matrix (n_rois, n_frames) as float32, some rows at a time."""
    n_rois, n_frames = matrix.shape
    header = {"descr": "<f4", "fortran_order": False, "shape": (n_rois, n_frames)}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for rois in _row_blocks(n_rois, n_frames):
            file.write(np.ascontiguousarray(matrix[rois], "<f4").tobytes())


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]], by_frame: Mapping[str, TraceArray] | None = None) -> None:
    """Write arrays as an ``.npz`` file of numpy; those ``by_frame``, (n_rois, n_frames), as (n_frames, n_rois) float32.

    The latter are written some rows at a time, and not compressed.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(values), allow_pickle=False)
        for name, matrix in (by_frame or {}).items():
            n_rois, n_frames = matrix.shape
            header = {"descr": "<f4", "fortran_order": True, "shape": (n_frames, n_rois)}
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(member, header)
                for rois in _row_blocks(n_rois, n_frames):
                    member.write(np.ascontiguousarray(matrix[rois], "<f4").tobytes())


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
    from ground_truth_nwb.hdf5_files import hdf5_file

    with hdf5_file(path, "w", userblock_size=MAT73_USERBLOCK) as file:
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
