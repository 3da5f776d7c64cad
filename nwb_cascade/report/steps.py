"""Traces in steps: whole numbers of a small unit, and the smallest and largest value of every few frames.

The page cannot hold every frame of every ROI. What it holds is exact in one sense: the envelope of a trace, at any
number of frames per step, is the envelope of its quantised values, and coarser envelopes follow from finer ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = -32768  # stands for NaN
LARGEST = 32767


def quantise(values: NDArray[np.floating[Any]], unit: NDArray[np.floating[Any]]) -> NDArray[np.int16]:
    """Round traces to whole multiples of a unit per ROI.

    Parameters
    ----------
    values : numpy.ndarray
        (n_rois, n_frames); NaN and infinite values become ``MISSING``.
    unit : numpy.ndarray
        (n_rois,), above 0, see `fitting_unit`.

    Returns
    -------
    numpy.ndarray
        (n_rois, n_frames) int16; times the unit at most half a unit away from the value.

    Examples
    --------
    >>> quantise(np.array([[0.0, 0.26, np.nan]]), np.array([0.1]))
    array([[     0,      3, -32768]], dtype=int16)
    """
    there = np.isfinite(values)
    multiples = np.rint(np.where(there, values, 0.0) / np.asarray(unit)[:, None])
    return np.where(there, np.clip(multiples, -LARGEST, LARGEST), MISSING).astype(np.int16)


def fitting_unit(values: NDArray[np.floating[Any]], wanted: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return a unit per ROI: the wanted one where it is a positive number and int16 has room for the values.

    Parameters
    ----------
    values : numpy.ndarray
        (n_rois, n_frames), NaN where there is no value.
    wanted : numpy.ndarray
        (n_rois,); NaN or 0: none in particular, then a 1000th of the largest value.
    """
    if values.shape[1] == 0:
        return np.ones(len(values))
    sizes = np.where(np.isfinite(values), np.abs(values), 0).max(axis=1).astype(np.float64)
    sizes[sizes == 0] = 1.0
    wanted = np.asarray(wanted, np.float64)
    unit = np.where(np.isfinite(wanted) & (wanted > 0), wanted, sizes / 1000)
    return np.asarray(np.maximum(unit, sizes / LARGEST))


def envelope(
    low: NDArray[np.int16], high: NDArray[np.int16], n_merged: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Merge every few neighbours into one step that spans from the smallest to the largest of them.

    Parameters
    ----------
    low, high : numpy.ndarray
        (..., n_steps) int16; the same array twice for a trace. ``MISSING`` in both where there is no value.
    n_merged : int
        Steps that become one; the last one may have fewer.

    Returns
    -------
    low, high : numpy.ndarray
        (..., ceil(n_steps / n_merged)) int16; ``MISSING`` in both only where all merged steps are missing.

    Examples
    --------
    >>> trace = np.array([1, 5, -2, MISSING, 7], np.int16)
    >>> envelope(trace, trace, 2)
    (array([ 1, -2,  7], dtype=int16), array([ 5, -2,  7], dtype=int16))
    """
    highest = _grouped(high, n_merged, MISSING).max(axis=-1)
    lows = _grouped(low, n_merged, MISSING)
    lowest = np.where(lows == MISSING, np.int16(LARGEST), lows).min(axis=-1)
    return np.where(highest == MISSING, np.int16(MISSING), lowest).astype(np.int16), highest


def summed(counts: NDArray[np.int16], n_merged: int) -> NDArray[np.int16]:
    """Add every few neighbours of (..., n_steps) counts up; sums beyond int16 stay at its largest value."""
    sums = _grouped(counts, n_merged, 0).sum(axis=-1, dtype=np.int64)
    return np.asarray(np.minimum(sums, LARGEST), np.int16)


def _grouped(values: NDArray[np.int16], n_merged: int, fill: int) -> NDArray[np.int16]:
    """(..., n_groups, n_merged), the last group filled up."""
    n_groups = -(-values.shape[-1] // n_merged)
    padding = [(0, 0)] * (values.ndim - 1) + [(0, n_groups * n_merged - values.shape[-1])]
    padded = np.pad(values, padding, constant_values=fill) if padding[-1][1] else values
    return padded.reshape(*values.shape[:-1], n_groups, n_merged)
