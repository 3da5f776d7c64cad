"""What only the ROIs of a recording together show: the same cell twice, and a signal that all share.

Traces are read block by block, so of each ROI a small summary is kept, and compared at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.roi_warnings import RoiWarning

DIFFERENCES, BINS = 256, 256  # numbers of a summary
SAME = 0.9  # correlation of frame-to-frame changes, which are noise and so different in different ROIs
MOST_COMPARED = 10_000  # ROIs that follow one another, beyond which nobody is looked for
FEWEST_ROIS, FEWEST_BINS, BIN_S = 10, 60, 1.0  # stimuli drive whole populations for many seconds
SHARED = 0.5  # of the variance of a ROI


class Population:
    """Summaries of the traces of a recording, and what they say of it.

    Parameters
    ----------
    n_frames : int
        Of every trace.
    imaging_rate : float
        Hz.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(3, 1000)).astype(np.float32)
    >>> population = Population(1000, 30.0)
    >>> population.add(0, noise)
    >>> population.add(3, noise[1:2])
    >>> [(one.roi, one.code) for one in population.warnings()]
    [(3, 'repeats')]
    """

    def __init__(self, n_frames: int, imaging_rate: float) -> None:
        self._at = np.unique(np.linspace(0, max(n_frames - 2, 0), DIFFERENCES).astype(np.intp))
        n_bins = min(BINS, int(n_frames / imaging_rate / BIN_S))
        self._bin = n_frames // n_bins if n_bins >= FEWEST_BINS else 0
        self._n_bins = n_bins if self._bin else 0
        self._n_frames = n_frames
        self._rois: list[NDArray[np.intp]] = []
        self._changes: list[NDArray[np.float32]] = []
        self._slow: list[NDArray[np.float32]] = []

    def add(self, first_roi: int, dff: NDArray[np.float32]) -> None:
        """Note traces (n, n_frames) of dF/F, NaN where nothing is known, of ROIs that follow one another."""
        if self._n_frames < 2:
            return
        changes = _standard(dff[:, self._at + 1] - dff[:, self._at])
        slow = self._slow_part(dff) if self._n_bins else changes[:, :0]
        known = np.flatnonzero(changes.any(axis=1))
        self._rois.append(first_roi + known)
        self._changes.append(changes[known])
        self._slow.append(slow[known])

    def _slow_part(self, dff: NDArray[np.float32]) -> NDArray[np.float32]:
        """Means of bins, without what all ROIs may have of bleaching."""
        bins = dff[:, : self._n_bins * self._bin].reshape(len(dff), self._n_bins, -1)
        return _standard(_without_trend(np.nan_to_num(bins).mean(axis=2)))

    def warnings(self) -> Iterator[RoiWarning]:
        """Yield what the ROIs show together."""
        if not self._rois or not (rois := np.concatenate(self._rois)).size:
            return
        yield from _repeats(rois, np.concatenate(self._changes))
        yield from _shared(rois, np.concatenate(self._slow))


def _standard(values: NDArray[Any]) -> NDArray[np.float32]:
    """Rows of mean 0 and length 1; what is not known, or does not change, is 0."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0)
    mean = filled.sum(axis=1, keepdims=True) / np.maximum(known.sum(axis=1, keepdims=True), 1)
    centred = np.where(known, filled - mean, 0)
    length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    return np.asarray(np.divide(centred, length, out=np.zeros_like(centred), where=length > 0), np.float32)


def _without_trend(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows less the straight lines in them."""
    time = np.linspace(-1, 1, values.shape[1], dtype=np.float32)
    rest: NDArray[np.float32] = values - np.outer(values @ time / (time @ time), time)
    return rest


def _repeats(rois: NDArray[np.intp], changes: NDArray[np.float32]) -> Iterator[RoiWarning]:
    """Yield the ROIs whose noise an earlier one has as well."""
    for second, roi in enumerate(rois):
        first = max(second - MOST_COMPARED, 0)
        if first == second:
            continue
        alike = changes[first:second] @ changes[second]
        nearest = int(alike.argmax())
        if alike[nearest] > SAME:
            yield RoiWarning(
                int(roi),
                "repeats",
                f"its frame-to-frame changes are those of ROI {rois[first + nearest]} (correlation "
                f"{alike[nearest]:.2f}): the same cell twice?",
            )


def _shared(rois: NDArray[np.intp], slow: NDArray[np.float32]) -> Iterator[RoiWarning]:
    """Yield the ROIs most of whose slow signal is the mean of all others."""
    if len(rois) < FEWEST_ROIS or not slow.shape[1]:
        return
    total = slow.sum(axis=0)
    for roi, own in zip(rois, slow, strict=True):
        others = total - own
        length = float(np.sqrt(others @ others))
        share = float(own @ others) / length if length > 0 else 0.0
        if share > 0 and share**2 > SHARED:
            yield RoiWarning(
                int(roi),
                "shared-signal",
                f"{100 * share**2:.0f} % of its variance (bins of a second or more) is the mean of all other ROIs: "
                "neuropil, motion or light that was not corrected?",
            )
