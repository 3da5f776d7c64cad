"""The clock of a series: at the rate that it states, or as its timestamps show."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.stretches import FIRST_TIMESTAMPS, SAME_RATE, regular_rate
from nwb_cascade.core.wording import counted
from nwb_cascade.errors import InputError

LEAST_RATE = 0.1
"""Hz; no recording that shows calcium transients is slower, and frames of 10 s would be."""
UNITS = {"milliseconds": 1e3, "microseconds": 1e6, "nanoseconds": 1e9}
UNIT_AGREEMENT = 0.2  # share by which a plane's rate may differ from the rate that its times have in another unit


@dataclass(frozen=True)
class Timing:
    """Imaging rate in Hz, or None, where it comes from or why there is none, and the clock if all of it was read."""

    imaging_rate: float | None
    why: str
    clock: FrameClock | None = field(default=None, repr=False, compare=False)


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


def timing_of(series: Any, n_frames: int, plane_rate: float | None = None, *, complete: bool = True) -> Timing:
    """Read the clock of a series.

    Parameters
    ----------
    series : pynwb.TimeSeries
        Of an open file.
    n_frames : int
        Frames that the data have.
    plane_rate : float, optional
        What the imaging plane states, Hz.
    complete : bool
        Look at all timestamps, or only at the first 1001 (little to read from a remote file), which make no clock.
    """
    if series.timestamps is not None:
        return judged_rate(
            by_timestamps(series.timestamps, n_frames, complete=complete), plane_rate, from_timestamps=True
        )
    timing = judged_rate(stated_rate(np.nan if series.rate is None else series.rate), plane_rate, from_timestamps=False)
    if timing.imaging_rate is None:
        return timing
    return replace(timing, clock=FrameClock.from_rate(timing.imaging_rate, n_frames, _start(series)))


def by_timestamps(timestamps: Any, n_frames: int, *, complete: bool = True) -> Timing:
    """Read the clock that timestamps show, s, (n,) in memory or in a file; those without a frame are left out."""
    n_stamps = len(timestamps)
    if n_stamps < n_frames:
        return Timing(None, f"there are {counted(n_stamps, 'timestamp')} for {counted(n_frames, 'frame')}")
    n_read = n_frames if complete else min(n_frames, FIRST_TIMESTAMPS + 1)
    stamps = np.asarray(timestamps[:n_read], np.float64)
    try:
        clock = FrameClock.from_timestamps(stamps)
    except ValueError as error:
        return Timing(None, str(error))
    if complete and n_stamps > n_frames:
        surplus = f"There are {n_stamps} timestamps for {n_frames} frames: the first {n_frames} are taken."
        clock = replace(clock, notes=(surplus, *clock.notes))
    which = "timestamps" if complete else f"the first {n_read} timestamps"
    return Timing(clock.imaging_rate, f"from {which}{_regularity(clock, stamps)}", clock if complete else None)


def given_clock(series: Any, imaging_rate: float, n_frames: int) -> FrameClock:
    """Return the clock of frames that are evenly spaced because somebody says so.

    Timestamps tell what frames are called if every frame has one and they ascend, else no more than when it began.
    """
    if series.timestamps is None:
        return FrameClock.from_rate(imaging_rate, n_frames, _start(series))
    stamps = np.asarray(series.timestamps[:n_frames], np.float64)
    if stamps.size == n_frames and (np.diff(stamps) > 0).all():
        return FrameClock.from_rate(imaging_rate, n_frames, timestamps=stamps)
    known = np.flatnonzero(np.isfinite(stamps))
    start = float(stamps[known[0]]) - float(known[0]) / imaging_rate if known.size else 0.0
    note = f"Its timestamps are not used: frames follow at the given {imaging_rate:g} Hz from {start:g} s on."
    return replace(FrameClock.from_rate(imaging_rate, n_frames, start), notes=(note,))


def clock_at(series: Any, imaging_rate: float, n_frames: int) -> FrameClock:
    """Return the clock by which a series was inferred at a rate: its own, unless that is of another rate."""
    own = timing_of(series, n_frames).clock
    agrees = own is not None and abs(own.imaging_rate / imaging_rate - 1) <= SAME_RATE
    return own if own is not None and agrees else given_clock(series, imaging_rate, n_frames)


def _start(series: Any) -> float:
    """Time of the first frame of a series without timestamps, s."""
    start = 0.0 if series.starting_time is None else float(series.starting_time)
    if not math.isfinite(start):
        raise InputError(
            f"Expected the starting_time of {series.name} in seconds, received {start}: write it anew, as 0."
        )
    return start


def _regularity(clock: FrameClock, stamps: NDArray[np.float64]) -> str:
    """Say how regular timestamps are, as the end of a sentence."""
    if len(clock.stretches) > 1:
        return f" in {len(clock.stretches)} stretches"
    if regular_rate(stamps) is None:
        return ", which are irregular"
    intervals = np.diff(stamps)
    usual = float(np.median(intervals[:FIRST_TIMESTAMPS]))
    deviation = float(np.abs(intervals - usual).max()) / usual
    return f", whose intervals deviate by at most {max(0.01, 100 * deviation):.2g} %"
