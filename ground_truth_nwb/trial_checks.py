"""From vectors as found in a source to a valid Trial: every repair is on purpose and leaves a Remark."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.cells import Remark, Trial

MIN_FRAMES = 2
# Frames behind a closed shutter: dF/F below this, and clearly below everything that follows.
DARK_DFF = -0.5
DARK_MARGIN = 0.2
MAX_DARK_SECONDS = 1.0
# A trial that begins with this many exact zeros was padded, not recorded.
MIN_PADDED_FRAMES = 5
# 99 % of dF/F of a real indicator stay far below this fraction (20 means 2000 %).
IMPLAUSIBLE_DFF = 20.0


def clean_trial(
    times: NDArray[np.float64], dff: NDArray[Any], spikes: NDArray[np.float64], number: int
) -> tuple[Trial | None, list[Remark], list[Remark]]:
    """Make a Trial of the vectors of one source trial.

    Parameters
    ----------
    times, dff, spikes : numpy.ndarray
        Frame times (s), dF/F (fraction) and spike times (s) as stored; NaN, padding and disorder are allowed.
    number : int
        Position of the trial in its source, for the remarks.

    Returns
    -------
    tuple
        The trial (None if it cannot be used), what was dropped, and what was kept although it is unusual.
    """
    frames = _Frames(times, np.asarray(dff, dtype=np.float32), number)
    frames.cut_to_common_length()
    frames.drop(~np.isfinite(frames.times), "frames-without-time", "have no time")
    frames.drop(_not_later(frames.times), "frames-repeated", "are not later than the frame before them")
    frames.mark_infinite()
    spike_times, spike_remarks = _clean_spikes(spikes, number)
    if frames.times.size < MIN_FRAMES or not np.isfinite(frames.dff).any():
        text = f"Trial {number} has {np.isfinite(frames.dff).sum()} usable frames and was left out."
        return None, [*frames.dropped, Remark("trial-too-short", text, number)], []
    first_valid, valid_remarks = _first_valid_frame(frames.times, frames.dff, number)
    trial = Trial(frames.times, frames.dff, spike_times, first_valid)
    notes = [*spike_remarks, *frames.notes, *valid_remarks, *_unusual(trial, number)]
    return trial, frames.dropped, notes


class _Frames:
    """Times and values of one trial while frames are dropped, with the remarks about it."""

    def __init__(self, times: NDArray[np.float64], dff: NDArray[np.float32], number: int) -> None:
        self.times, self.dff, self.number = times, dff, number
        self.dropped: list[Remark] = []
        self.notes: list[Remark] = []

    def cut_to_common_length(self) -> None:
        """Drop the end that lacks its counterpart: times and values start together (seen in DS04, DS05)."""
        n_times, n_values = self.times.size, self.dff.size
        n_common = min(n_times, n_values)
        if n_times != n_values:
            text = (
                f"Trial {self.number} has {n_values} dF/F values and {n_times} times; the first {n_common} were kept."
            )
            self.dropped.append(Remark("frames-unpaired", text, self.number, max(n_times, n_values) - n_common))
        self.times, self.dff = self.times[:n_common], self.dff[:n_common]

    def drop(self, bad: NDArray[np.bool_], code: str, what: str) -> None:
        """Remove the frames that are bad and say so."""
        count = int(np.count_nonzero(bad))
        if count:
            text = f"{count} of {bad.size} frames of trial {self.number} {what} and were left out."
            self.dropped.append(Remark(code, text, self.number, count))
            self.times, self.dff = self.times[~bad], self.dff[~bad]

    def mark_infinite(self) -> None:
        """Turn infinite values into NaN; count those and the NaN that were there."""
        infinite = np.isinf(self.dff)
        if infinite.any():
            self.dff = np.where(infinite, np.float32(np.nan), self.dff)
            text = f"{infinite.sum()} infinite dF/F values of trial {self.number} became NaN."
            self.dropped.append(Remark("values-infinite", text, self.number, int(infinite.sum())))
        missing = int(np.isnan(self.dff).sum())
        if missing:
            text = f"{missing} of {self.dff.size} frames of trial {self.number} have no dF/F value (NaN)."
            self.notes.append(Remark("values-missing", text, self.number, missing))


def _not_later(times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark frames whose time is not after all times before."""
    latest = np.maximum.accumulate(times) if times.size else times
    return np.concatenate([np.zeros(min(1, times.size), bool), times[1:] <= latest[:-1]])


def _clean_spikes(spikes: NDArray[np.float64], number: int) -> tuple[NDArray[np.float64], list[Remark]]:
    """Drop the NaN that pad a matrix of several cells and sort the rest."""
    finite = spikes[np.isfinite(spikes)]
    remarks = []
    if finite.size < spikes.size:
        text = f"{spikes.size - finite.size} of {spikes.size} spike entries of trial {number} are padding (NaN)."
        remarks.append(Remark("spikes-padded", text, number, spikes.size - finite.size))
    disorder = int(np.count_nonzero(np.diff(finite) < 0))
    if disorder:
        text = f"Spikes of trial {number} were not in order ({disorder} steps back) and were sorted."
        remarks.append(Remark("spikes-unsorted", text, number, disorder))
    return np.sort(finite), remarks


def _first_valid_frame(times: NDArray[np.float64], dff: NDArray[np.float32], number: int) -> tuple[int, list[Remark]]:
    """Count the frames at the beginning that show a closed shutter or zero padding."""
    limit = min(int(np.searchsorted(times, times[0] + MAX_DARK_SECONDS)), dff.size // 2)
    rest = dff[max(limit, 1) :]
    lowest = float(np.nanpercentile(rest, 0.5)) if np.isfinite(rest).any() else np.inf
    dark = _leading(dff[: max(limit, 1)] < min(DARK_DFF, lowest - DARK_MARGIN))
    if dark and dark < dff.size - MIN_FRAMES:
        # The shutter may open during the next frame.
        dark += int(dff[dark] < lowest)
        text = f"The first {dark} frames of trial {number} are dark (dF/F near -1, closed shutter)."
        return dark, [Remark("frames-dark", text, number, dark)]
    padded = _leading(dff == 0)
    if MIN_PADDED_FRAMES <= padded < dff.size - MIN_FRAMES:
        text = f"The first {padded} frames of trial {number} are exactly zero (padding)."
        return padded, [Remark("frames-padded", text, number, padded)]
    return 0, []


def _leading(true: NDArray[np.bool_]) -> int:
    """Length of the run of True at the beginning."""
    return int(true.size if true.all() else np.argmin(true))


def _unusual(trial: Trial, number: int) -> list[Remark]:
    """Say what is kept although it needs attention: spikes outside the imaged time, implausible dF/F."""
    remarks = []
    outside = trial.spike_times_s.size - trial.n_spikes_imaged()
    if outside:
        text = f"{outside} of {trial.spike_times_s.size} spikes of trial {number} lie outside the imaged time."
        remarks.append(Remark("spikes-outside-imaging", text, number, outside))
    largest = float(np.nanpercentile(np.abs(trial.valid().dff), 99))
    if largest > IMPLAUSIBLE_DFF:
        text = (
            f"dF/F of trial {number} reaches {largest:.0f} (99th percentile): percent, or a baseline close to zero; "
            "it was left as it is."
        )
        remarks.append(Remark("dff-implausible", text, number))
    return remarks
