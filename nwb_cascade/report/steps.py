"""Traces in steps: whole numbers of a small unit, and the smallest and largest value of every few frames.

The page cannot hold every frame of every ROI. What it holds is exact in one sense: the envelope of a trace, at any
number of frames per step, is the envelope of its quantised values, and coarser envelopes follow from finer ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.report.arrays import MISSING, PackedArray, pack_numbers, pack_steps, unpack_steps

LARGEST = 32767
TICKS_PER_FRAME = 16  # spike times on the page are multiples of this part of a frame


@dataclass(frozen=True, eq=False)
class RoiSteps:
    """Traces and spikes of one ROI at some number of frames per step.

    Parameters
    ----------
    frames_per_step : int
        1: every frame.
    dff_low, dff_high, rate_low, rate_high : numpy.ndarray
        (n_steps,) int16, smallest and largest value of a step in the ROI's units; ``MISSING``: no value.
    deviation : numpy.ndarray
        (n_steps,) int16, largest deviation over the ensemble.
    spike_count : numpy.ndarray
        (n_steps,) int16, discrete spikes in the step.
    spike_ticks : numpy.ndarray
        (n_spikes,) int64 ascending, spike times after the first frame in 1/16 frame; only kept at one frame per step.
    """

    frames_per_step: int
    dff_low: NDArray[np.int16]
    dff_high: NDArray[np.int16]
    rate_low: NDArray[np.int16]
    rate_high: NDArray[np.int16]
    deviation: NDArray[np.int16]
    spike_count: NDArray[np.int16]
    spike_ticks: NDArray[np.int64]

    @property
    def n_steps(self) -> int:
        """Number of steps."""
        return int(self.dff_low.size)

    def coarser(self, n_merged: int) -> RoiSteps:
        """Merge every few steps into one; spike times go, their counts stay."""
        if n_merged == 1:
            return self
        return RoiSteps(
            self.frames_per_step * n_merged,
            *envelope(self.dff_low, self.dff_high, n_merged),
            *envelope(self.rate_low, self.rate_high, n_merged),
            envelope(self.deviation, self.deviation, n_merged)[1],
            summed(self.spike_count, n_merged),
            np.empty(0, np.int64),
        )

    def pack(self) -> dict[str, PackedArray]:
        """Return arrays by name, without those that hold nothing; largest values only beside others."""
        planes = {"dff_low": self.dff_low, "rate_low": self.rate_low, "deviation": self.deviation}
        if self.frames_per_step > 1:
            planes |= {"dff_high": self.dff_high, "rate_high": self.rate_high}
        arrays = {name: pack_steps(plane) for name, plane in planes.items() if (plane != MISSING).any()}
        if self.spike_count.any():
            arrays["spike_count"] = pack_numbers(self.spike_count)
        if self.frames_per_step == 1:
            arrays["spike_ticks"] = pack_numbers(np.diff(self.spike_ticks, prepend=0))
        return arrays


def unpack(arrays: Mapping[str, PackedArray], n_steps: int, frames_per_step: int) -> RoiSteps:
    """Return what `RoiSteps.pack` packed; the page's own reader is ``pages/templates/arrays.js``."""
    absent = np.full(n_steps, MISSING, np.int16)
    planes = {name: unpack_steps(arrays[name]) for name in arrays if not name.startswith("spike")}
    counts, ticks = arrays.get("spike_count"), arrays.get("spike_ticks")
    return RoiSteps(
        frames_per_step,
        dff_low=planes.get("dff_low", absent),
        dff_high=planes.get("dff_high", planes.get("dff_low", absent)),
        rate_low=planes.get("rate_low", absent),
        rate_high=planes.get("rate_high", planes.get("rate_low", absent)),
        deviation=planes.get("deviation", absent),
        spike_count=np.zeros(n_steps, np.int16) if counts is None else counts.values().astype(np.int16),
        spike_ticks=np.empty(0, np.int64) if ticks is None else np.cumsum(ticks.values(), dtype=np.int64),
    )


def full_detail(
    dff: NDArray[np.int16] | None,
    rates: NDArray[np.int16],
    deviation: NDArray[np.int16] | None,
    spike_frames: NDArray[np.float64],
) -> RoiSteps:
    """Put one ROI together, every frame.

    Parameters
    ----------
    dff, rates, deviation : numpy.ndarray or None
        (n_frames,) int16, quantised; None: not in the file.
    spike_frames : numpy.ndarray
        (n_spikes,) float64, spike times after the first frame, in frames.
    """
    absent = np.full(rates.size, MISSING, np.int16)
    dff = absent if dff is None else dff
    nearest = np.clip(np.floor(spike_frames + 0.5), 0, max(0, rates.size - 1)).astype(np.int64)
    counts = np.minimum(np.bincount(nearest, minlength=rates.size), np.iinfo(np.int16).max).astype(np.int16)
    ticks = np.sort(np.maximum(np.rint(spike_frames * TICKS_PER_FRAME), 0).astype(np.int64))
    return RoiSteps(1, dff, dff, rates, rates, absent if deviation is None else deviation, counts, ticks)


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
