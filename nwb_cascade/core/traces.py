"""DffTraces: the dF/F traces of one recording, validated once, read whole or ROI block by ROI block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nwb_cascade.core.roi_choice import RoiChoice
from nwb_cascade.errors import InputError

SAMPLE_ROIS, SAMPLE_FRAMES = 32, 1000


def sample_window(n_rois: int, n_frames: int) -> tuple[slice, slice]:
    """Return the first ROIs and the middle frames: a look at traces that costs little in any storage layout.

    Examples
    --------
    >>> sample_window(3, 1200)
    (slice(0, 3, None), slice(100, 1100, None))
    """
    start = max(0, (n_frames - SAMPLE_FRAMES) // 2)
    return slice(0, min(SAMPLE_ROIS, n_rois)), slice(start, min(start + SAMPLE_FRAMES, n_frames))


class TraceArray(Protocol):
    """Anything sliced like a float32 array of shape (n_rois, n_frames): in memory, in a file or streamed."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class DffTraces:
    """dF/F traces of one recording.

    Parameters
    ----------
    dff : TraceArray
        (n_rois, n_frames), dF/F as a fraction (0.5 means 50 %). NaN marks frames that were not recorded.
        Reading ``dff[i:j]`` gives float32; rows are read when they are asked for.
    imaging_rate : float
        Frames per second of the recording, Hz.
    roi_ids : numpy.ndarray
        (n_rois,) int64, the identifiers by which warnings name the ROIs.
    source : mapping of str to str
        Where the traces come from (``path``, ``object_path``, ``object_id``, ...), kept as provenance.
    choice : RoiChoice or None
        The ROIs that are asked for; None: all.

    Raises
    ------
    InputError
        If the shape is not (n_rois, n_frames), the rate is not a positive number or the ids do not match.

    Examples
    --------
    >>> traces = DffTraces.from_array([[0.0, 0.1, 0.2]], imaging_rate=30.0)
    >>> traces.n_rois, traces.n_frames
    (1, 3)
    """

    dff: TraceArray
    imaging_rate: float
    roi_ids: NDArray[np.int64]
    source: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    choice: RoiChoice | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.dff.shape)
        if len(shape) != 2:
            hint = " For one ROI pass dff[None, :]." if len(shape) == 1 else ""
            raise InputError(f"Expected dff of shape (n_rois, n_frames), received {shape}.{hint}")
        require_rate(self.imaging_rate)
        if self.roi_ids.shape != (shape[0],):
            raise InputError(f"Expected {shape[0]} ROI ids, one per trace, received shape {self.roi_ids.shape}.")

    @classmethod
    def from_array(
        cls,
        dff: ArrayLike,
        imaging_rate: float,
        *,
        roi_ids: ArrayLike | None = None,
        source: Mapping[str, str] | None = None,
    ) -> DffTraces:
        """Wrap an in-memory matrix of shape (n_rois, n_frames); values are converted to float32."""
        matrix = np.asarray(dff)
        if matrix.dtype.kind not in "fiu":
            raise InputError(f"Expected dff as numbers, received an array of type {matrix.dtype}.")
        matrix = matrix.astype(np.float32, copy=False)
        n_rois = matrix.shape[0] if matrix.ndim else 0
        ids = np.arange(n_rois) if roi_ids is None else np.asarray(roi_ids)
        return cls(matrix, float(imaging_rate), ids.astype(np.int64), MappingProxyType(dict(source or {})))

    @property
    def n_rois(self) -> int:
        """Number of ROIs."""
        return int(self.dff.shape[0])

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.dff.shape[1])

    def asked(self, rois: slice) -> NDArray[np.intp]:
        """Return the rows of a block (n,) that are asked for."""
        n_rois = len(range(self.n_rois)[rois])
        return np.arange(n_rois) if self.choice is None else np.flatnonzero(self.choice.asked[rois])

    def blocks(self, max_bytes: int) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield (ROI slice, (n, n_frames) float32) pairs of at most max_bytes, at least one ROI each."""
        rows = int(max(1, max_bytes // (4 * max(1, self.n_frames))))
        for start in range(0, self.n_rois, rows):
            rois = slice(start, min(start + rows, self.n_rois))
            yield rois, np.ascontiguousarray(self.dff[rois], dtype=np.float32)


def require_matrix(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return traces as an array; raise InputError, by their name, unless they are numbers (n_rois, n_frames)."""
    matrix = np.asarray(values)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        hint = f" For one ROI pass {name}[None, :]." if matrix.ndim == 1 else ""
        raise InputError(
            f"Expected {name} as numbers of shape (n_rois, n_frames), received {matrix.dtype} of shape "
            f"{matrix.shape}.{hint}"
        )
    return matrix


def require_rate(imaging_rate: float) -> None:
    """Raise InputError unless an imaging rate (Hz) is positive and finite."""
    if not 0 < imaging_rate < float("inf"):
        raise InputError(f"Expected a positive imaging rate in Hz, received {imaging_rate!r}.")
