"""The imaging rate of a series: as stated, or from timestamps that are regular enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.wording import counted
from nwb_cascade.errors import InputError

TIMESTAMP_TOLERANCE = 0.25
"""Largest deviation of an interval from the usual one, as a share of it. A dropped frame deviates by 1; the jitter
of clocks and of times stored with milliseconds or as float32 stays far below."""
FIRST_TIMESTAMPS = 1000
LEAST_RATE = 0.1
"""Hz; no recording that shows calcium transients is slower, and frames of 10 s would be."""
UNITS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
UNIT_AGREEMENT = 0.2  # share by which a plane's rate may differ from the rate that its times have in another unit
BLOCK_TIMESTAMPS = 2**18


@dataclass(frozen=True)
class Timing:
    """Imaging rate in Hz, or None, and where it comes from or why there is none."""

    imaging_rate: float | None
    why: str


def stated_rate(rate: float) -> Timing:
    """Judge the rate that a series states.

    Examples
    --------
    >>> stated_rate(0.0)
    Timing(imaging_rate=None, why='the stated rate is 0 Hz')
    """
    if np.isfinite(rate) and rate > 0:
        return Timing(float(rate), "stated rate")
    return Timing(None, f"the stated rate is {rate:g} Hz")


def judged_rate(timing: Timing, plane_rate: float | None, *, from_timestamps: bool) -> Timing:
    """Take back a rate that can be none, and say what its numbers look like.

    Parameters
    ----------
    timing : Timing
        As stated, or from timestamps.
    plane_rate : float or None
        What the imaging plane states, Hz.
    from_timestamps : bool
        Where the rate comes from: timestamps may be in another unit, a stated rate may be an interval.

    Examples
    --------
    >>> judged_rate(Timing(0.03, "from timestamps"), 30.0, from_timestamps=True).why
    'its timestamps look like milliseconds: 0.03 Hz is no imaging rate'
    >>> judged_rate(Timing(0.04, "stated rate"), None, from_timestamps=False).why
    'its stated rate looks like the interval between frames in seconds: 0.04 Hz is no imaging rate'
    """
    rate = timing.imaging_rate
    if rate is None:
        return timing
    looks = _unit_of(rate, plane_rate) if from_timestamps else "the interval between frames in seconds"
    if rate >= LEAST_RATE and not (from_timestamps and looks):
        return timing
    what = "timestamps look" if from_timestamps else "stated rate looks"
    return Timing(None, f"its {what} like {looks or 'no seconds'}: {rate:.3g} Hz is no imaging rate")


def _unit_of(rate: float, plane_rate: float | None) -> str | None:
    """Return the unit that times have whose rate would be this one if they were seconds; None if they may be."""
    for unit, per_second in UNITS.items():
        if plane_rate and abs(rate * per_second - plane_rate) <= UNIT_AGREEMENT * plane_rate:
            return unit
        if rate < LEAST_RATE and 1 <= rate * per_second < 1000:
            return unit
    return None


def rate_from_timestamps(timestamps: Any, n_frames: int, *, complete: bool = True) -> Timing:
    """Derive the imaging rate from timestamps in seconds.

    Parameters
    ----------
    timestamps : array-like
        (n_frames,), in memory or in a file; read in blocks.
    n_frames : int
        Frames that the data have.
    complete : bool
        Look at all timestamps, or only at the first 1001 (little to read from a remote file).

    Returns
    -------
    Timing
        The mean rate if all intervals are positive and within `TIMESTAMP_TOLERANCE` of the usual one (the median of
        the first thousand).
    """
    n_stamps = int(timestamps.shape[0])
    if n_stamps != n_frames:
        return Timing(None, f"there are {counted(n_stamps, 'timestamp')} for {counted(n_frames, 'frame')}")
    if n_stamps < 2:
        return Timing(None, f"{counted(n_stamps, 'timestamp')} cannot tell a rate")
    first = np.asarray(timestamps[: FIRST_TIMESTAMPS + 1], dtype=np.float64)
    usual = float(np.median(np.diff(first)))
    if not (np.isfinite(first).all() and usual > 0):
        return Timing(None, "the timestamps do not increase")
    span = n_stamps if complete else len(first)
    frame, interval, last = _largest_deviation(timestamps, span, usual)
    deviation = abs(interval - usual) / usual
    if not deviation <= TIMESTAMP_TOLERANCE:
        return Timing(
            None,
            f"the timestamps are irregular: the interval after frame {frame} is {interval:.6g} s, the usual one "
            f"{usual:.6g} s, a deviation of {100 * deviation:.3g} % where {100 * TIMESTAMP_TOLERANCE:g} % are allowed",
        )
    which = "timestamps" if complete else f"the first {span} timestamps"
    rate = (span - 1) / (last - float(first[0]))
    return Timing(rate, f"from {which}, whose intervals deviate by at most {max(0.01, 100 * deviation):.2g} %")


def _largest_deviation(timestamps: Any, n_stamps: int, usual: float) -> tuple[int, float, float]:
    """Return the frame before the interval furthest from the usual one, that interval, and the last timestamp."""
    worst_frame, worst_interval, worst = 0, usual, 0.0
    stamps: NDArray[np.float64] = np.empty(0)
    for start in range(0, n_stamps - 1, BLOCK_TIMESTAMPS):
        stamps = np.asarray(timestamps[start : min(start + BLOCK_TIMESTAMPS + 1, n_stamps)], dtype=np.float64)
        intervals = np.diff(stamps)
        deviations = np.where(np.isfinite(intervals), np.abs(intervals - usual), np.inf)
        index = int(np.argmax(deviations))
        if deviations[index] > worst:
            worst_frame, worst_interval, worst = start + index, float(intervals[index]), float(deviations[index])
    return worst_frame, worst_interval, float(stamps[-1])


@dataclass(frozen=True, eq=False)
class FrameClock:
    """Times of the frames of a series, and between them, on the clock of its file.

    ``timestamps`` (n_frames,) float64, s, or None for frames that follow ``start_s`` at the imaging rate (Hz).
    """

    imaging_rate: float
    start_s: float = 0.0
    timestamps: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, series: Any, imaging_rate: float) -> FrameClock:
        """Read the clock of a ``TimeSeries``; the given rate serves one that states none.

        Raises
        ------
        InputError
            If its timestamps do not ascend.
        """
        if series.timestamps is not None:
            stamps = np.asarray(series.timestamps[:], np.float64)
            if not (np.diff(stamps) > 0).all():
                raise InputError(f"Expected ascending timestamps in {series.name}, received others.")
            return cls(imaging_rate, timestamps=stamps)
        start = 0.0 if series.starting_time is None else float(series.starting_time)
        return cls(float(series.rate or imaging_rate), start)

    def at(self, frames: NDArray[np.float64]) -> NDArray[np.float64]:
        """Times of fractional frames, s; none before the first timestamp or after the last.

        Examples
        --------
        >>> FrameClock(10.0, timestamps=np.array([1.0, 1.1, 1.3])).at(np.array([0.5, 1.5]))
        array([1.05, 1.2 ])
        """
        if self.timestamps is None:
            return np.asarray(self.start_s + frames / self.imaging_rate)
        return np.interp(frames, np.arange(self.timestamps.size), self.timestamps)
