"""DffRows: dF/F that is computed from raw fluorescence when it is read, some ROIs at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.roi_warnings import RoiWarning
from nwb_cascade.core.stretches import Stretch
from nwb_cascade.core.traces import TraceArray
from nwb_cascade.dff.compute import compute_dff
from nwb_cascade.dff.method import DffMethod
from nwb_cascade.errors import InputError


class DffRows:
    """A lazy float32 array (n_rois, n_frames) of dF/F over traces of raw fluorescence.

    What happened to each ROI is kept from the last time that it was read.

    Parameters
    ----------
    fluorescence : TraceArray
        (n, n_frames), raw fluorescence in any unit.
    imaging_rate : float
        Hz.
    method : DffMethod
        What to do.
    neuropil : TraceArray, optional
        Like ``fluorescence``; needed unless ``method.neuropil`` is ``none``.
    asked : numpy.ndarray, optional
        (n_rois,) bool, the ROIs that are needed; those of the others are NaN. By default all.
    bad_frames : numpy.ndarray, optional
        (n_frames,) bool, frames to leave out.
    stretches : sequence of Stretch, optional
        As for `compute_dff`.

    Raises
    ------
    InputError
        If the neuropil is missing or of another shape.
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(
        self,
        fluorescence: TraceArray,
        imaging_rate: float,
        method: DffMethod,
        *,
        neuropil: TraceArray | None = None,
        asked: NDArray[np.bool_] | None = None,
        bad_frames: NDArray[np.bool_] | None = None,
        stretches: Sequence[Stretch] = (),
    ) -> None:
        if method.neuropil != "none" and neuropil is None:
            raise InputError(f"Expected neuropil traces for neuropil={method.neuropil!r}, received none.")
        if neuropil is not None and tuple(neuropil.shape) != tuple(fluorescence.shape):
            raise InputError(
                f"Expected neuropil of the fluorescence's shape {tuple(fluorescence.shape)}, received "
                f"{tuple(neuropil.shape)}."
            )
        self.fluorescence, self.neuropil = fluorescence, None if method.neuropil == "none" else neuropil
        self.method = method
        self._imaging_rate, self._bad_frames, self._stretches = imaging_rate, bad_frames, stretches
        self._asked = np.ones(fluorescence.shape[0], bool) if asked is None else asked
        self.shape = (int(fluorescence.shape[0]), int(fluorescence.shape[1]))
        self._outcomes: dict[int, tuple[str, str]] = {}

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """Compute the dF/F of some ROIs, ``[rois]`` a slice or an integer, as a new float32 array."""
        one = not isinstance(key, slice)
        rois = range(self.shape[0])[key : key + 1 or None] if one else range(self.shape[0])[key]
        wanted = np.flatnonzero(self._asked[rois.start : rois.stop])
        found = compute_dff(
            self._read(self.fluorescence, rois, wanted),
            self._imaging_rate,
            self.method,
            neuropil=None if self.neuropil is None else self._read(self.neuropil, rois, wanted),
            bad_frames=self._bad_frames,
            stretches=self._stretches,
        )
        texts = found.explanations()
        for row, roi in enumerate(rois.start + wanted):
            self._outcomes.pop(int(roi), None)
            if row in texts:
                self._outcomes[int(roi)] = (f"dff-{found.outcomes[row]}", texts[row])
        dff = found.dff
        if wanted.size < len(rois):
            dff = np.full((len(rois), self.shape[1]), np.nan, np.float32)
            dff[wanted] = found.dff
        return dff[0] if one else dff

    def _read(self, traces: TraceArray, rois: range, wanted: NDArray[np.intp]) -> NDArray[Any]:
        block = np.asarray(traces[rois.start : rois.stop])
        return block if wanted.size == len(rois) else block[wanted]

    def roi_warnings(self) -> tuple[RoiWarning, ...]:
        """Return what is unusual about the ROIs that were read."""
        return tuple(RoiWarning(roi, *what) for roi, what in sorted(self._outcomes.items()))

    def close(self) -> None:
        """Close the traces that can be closed."""
        for traces in (self.fluorescence, self.neuropil):
            close = getattr(traces, "close", None)
            if close is not None:
                close()
