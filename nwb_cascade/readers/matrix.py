"""Bare matrices of traces, as many labs keep them: ``.npy``, and ``.mat`` of MATLAB 5 and of MATLAB 7.3."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.traces import DffTraces, TraceArray
from nwb_cascade.errors import InputError, NoRateError
from nwb_cascade.files.hashing import file_sha256
from nwb_cascade.nwb.candidate import FACTORS
from nwb_cascade.options import InferenceOptions
from nwb_cascade.readers.one_file import ScaledRows, stated_scale
from nwb_cascade.readers.one_photon import scale_of
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.sources import Source, is_remote, name_of

MATRIX_SUFFIXES = (".npy", ".mat")
# Names under which dF/F is saved for Cascade and by common pipelines, in order of preference
KNOWN_VARIABLES = ("dF_traces", "dff", "dFF", "dfF", "dF_F", "df_f", "DFF", "dF", "traces")
NUMBERS = "fiu"


class MatrixReader(Reader):
    """A matrix (n_rois, n_frames) of dF/F in a file of numpy or MATLAB."""

    kind = "a matrix"
    takes = frozenset({"variable", "imaging_rate", "scale"})

    def recognises(self, source: Source) -> bool:
        return not is_remote(source) and is_matrix(Path(name_of(source)))

    def check(self, source: Source, options: InferenceOptions) -> None:
        super().check(source, options)
        if options.imaging_rate is None:
            raise NoRateError(f"{name_of(source)} states no imaging rate: give it with --imaging-rate HZ.")

    @contextmanager
    def open(self, source: Source, options: InferenceOptions, **_: Any) -> Iterator[tuple[Recording, ...]]:
        path, rate = Path(name_of(source)), float(options.imaging_rate or 0)
        if not path.is_file():
            raise FileNotFoundError(f"Expected a matrix at {path}, but there is no such file.")
        with open_matrix(path, options.variable) as matrix:
            traces = _traces(path, matrix, rate, scale_of(options))
            content = {name: traces.source[name] for name in ("sha256", "scale")} | {"variable": options.variable}
            yield (
                Recording(
                    str(path),
                    traces,
                    FrameClock.from_rate(rate, traces.n_frames),
                    content=content,
                    series=options.variable or "",
                    notes=_notes(traces),
                ),
            )


def is_matrix(path: Path) -> bool:
    """Tell from its name whether a file is a bare matrix of traces (``.npy``, ``.mat``)."""
    return path.suffix.lower() in MATRIX_SUFFIXES


class TransposedDataset:
    """An HDF5 dataset of a MATLAB 7.3 file, which stores matrices transposed, in MATLAB's own orientation."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.shape = tuple(reversed(dataset.shape))

    @property
    def T(self) -> Any:  # noqa: N802  # as numpy calls it
        """The dataset as it is stored."""
        return self._dataset

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

        from ground_truth_nwb.hdf5_files import open_hdf5

        with open_hdf5(path, below_folder=True) as file:
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


def read_text(path: Path, variable: str) -> str | None:
    """Return a text variable of a ``.mat`` file of either version, None if it has none of that name."""
    if is_mat73(path):
        from ground_truth_nwb.hdf5_files import open_hdf5

        with open_hdf5(path, below_folder=True) as file:
            if variable not in file:
                return None
            return bytes(np.asarray(file[variable][()], np.uint16).tobytes()).decode("utf-16-le")
    from scipy.io import loadmat

    found = loadmat(path, variable_names=[variable]).get(variable)
    return None if found is None or not found.size else str(found.reshape(-1)[0])


def _traces(path: Path, matrix: TraceArray, imaging_rate: float, scale: str | None) -> DffTraces:
    """Wrap a matrix as dF/F in fractions."""
    n_rois = int(matrix.shape[0]) if len(matrix.shape) == 2 else 0
    facts = {"path": str(path), "sha256": file_sha256(path), "scale": "fraction"}
    traces = DffTraces(ScaledRows(matrix, 1.0), imaging_rate, np.arange(n_rois), facts)
    scale = scale or stated_scale(path, matrix, imaging_rate)
    return replace(traces, dff=ScaledRows(matrix, FACTORS[scale]), source={**facts, "scale": scale})


def _notes(traces: DffTraces) -> tuple[str, ...]:
    """What to know about the shape."""
    if traces.n_rois <= traces.n_frames:
        return ()
    more = f"The matrix has more ROIs ({traces.n_rois}) than frames ({traces.n_frames})"
    return (f"{more}; transpose it if its rows are time points.",)


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
