"""Stretches: the parts of a recording that were taken without a pause, each with its rate and its dropped frames.

Frames are told apart from what happened to their times: a jittering clock, a doubled or wrong timestamp, dropped
frames, a pause, another rate. Only intervals that deviate from the usual one are looked at, each with the frames before
and after it, so that a wrong timestamp, which the next frames contradict, is no pause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.change_points import change_points

TIMESTAMP_TOLERANCE = 0.25
"""Largest deviation of an interval from the usual one, as a share of it, that nobody asks about. A dropped frame
deviates by 1; the jitter of clocks and of times stored with milliseconds or as float32 stays far below."""
FIRST_TIMESTAMPS = 1000  # intervals whose median is the usual one of a regular recording
LONGEST_HOLE_S = 1.0  # a longer absence is a pause: no network looks further, and the scene may have changed
LEAST_HOLE_FRAMES = 3  # but so many missing frames are a hole at any rate
CONTEXT_FRAMES = 5  # before and after a deviating interval; more than half of them decide
JITTER_FRAMES, MOST_STEP = 25, 0.5  # frames whose mean lateness moves by less than this if none is missing
SLOPE_FRAMES = 100  # of which the rate is known, so that a small change is seen ...
SMALL_CHANGE = 0.05  # ... of more than this share, at which the models of one rate differ
RATE_INTERVALS = 20  # after it, by which another rate is recognised ...
FEWEST_INTERVALS = 5  # ... unless there are fewer
RATE_CHANGE = 0.2  # share of the rate; less if all frames say so, see SMALL_CHANGE
FEWEST_PAIRS = 12  # of fewer, a dropped frame and a pause might be half
START_INTERVALS = 40  # at the start of a stretch, by which its usual interval is known
REFINING_FRAMES, REFINEMENT = 100, 0.05  # later by so many frames, if they say nearly the same
LATE_FRAMES = 30  # after a hole, within which frames that are early again close it
AT_ONCE = 4096  # intervals that are looked at together
SAME_RATE = 0.01  # stretches whose rates differ by less have one


@dataclass(frozen=True)
class Stretch:
    """Frames of one rate without a pause between them.

    Parameters
    ----------
    first, stop : int
        The frames [first, stop) of the recording.
    imaging_rate : float
        Hz.
    holes : tuple of (int, int)
        Dropped frames: the frame before which they are missing, counted from the start of the recording, and how many.

    Examples
    --------
    >>> stretch = Stretch(10, 14, 30.0, holes=((12, 2),))
    >>> stretch.positions, stretch.n_grid
    (array([0, 1, 4, 5]), 6)
    """

    first: int
    stop: int
    imaging_rate: float
    holes: tuple[tuple[int, int], ...] = ()

    @property
    def n_frames(self) -> int:
        """Frames that were recorded."""
        return self.stop - self.first

    @property
    def n_grid(self) -> int:
        """Frames of the regular grid: recorded and missing ones."""
        return self.n_frames + sum(missing for _, missing in self.holes)

    @property
    def positions(self) -> NDArray[np.intp]:
        """(n_frames,) place of each recorded frame in the grid."""
        steps = np.ones(self.n_frames, np.intp)
        steps[:1] = 0
        for frame, missing in self.holes:
            steps[frame - self.first] += missing
        return np.cumsum(steps)

    def split(self, frames: Iterable[int]) -> list[Stretch]:
        """Return the parts that end before some frames of the recording; those outside the stretch end none."""
        edges = [self.first, *sorted({frame for frame in frames if self.first < frame < self.stop}), self.stop]
        holes = [tuple(hole for hole in self.holes if first < hole[0] < stop) for first, stop in pairwise(edges)]
        return [
            Stretch(first, stop, self.imaging_rate, own)
            for (first, stop), own in zip(pairwise(edges), holes, strict=True)
        ]


@dataclass
class _Open:
    """A stretch that is being followed."""

    first: int
    usual: float
    holes: list[tuple[int, int]] = field(default_factory=list)

    def position(self, frame: int) -> int:
        """Place of a frame in the grid."""
        return frame - self.first + sum(missing for before, missing in self.holes if before <= frame)

    @property
    def longest_hole(self) -> int:
        """Most frames that may be missing within a stretch."""
        return max(LEAST_HOLE_FRAMES, round(LONGEST_HOLE_S / self.usual))

    def move(self, frame: int, shift: int) -> None:
        """Note that the clock has moved on by so many frames; back again soon after, frames were late, not missing."""
        if shift > 0:
            self.holes.append((frame + 1, shift))
        elif shift < 0 and self.holes and frame - self.holes[-1][0] < LATE_FRAMES:
            before, missing = self.holes.pop()
            if missing + shift > 0:
                self.holes.append((before, missing + shift))

    def refine(self, timestamps: NDArray[np.float64], frame: int) -> None:
        """Take the usual interval from many frames, once there are so many."""
        earlier = frame - REFINING_FRAMES
        if earlier >= self.first:
            seconds = float(timestamps[frame] - timestamps[earlier])
            usual = seconds / (self.position(frame) - self.position(earlier))
            if abs(usual / self.usual - 1) <= REFINEMENT:
                self.usual = usual


def regular_rate(timestamps: NDArray[np.float64]) -> float | None:
    """Return the mean rate, Hz, if every interval is near the usual one, the median of the first thousand; else None.

    Examples
    --------
    >>> regular_rate(np.arange(300) / 30), regular_rate(np.array([0.0, 1.0, 2.0, 4.0]))
    (30.0, None)
    """
    if timestamps.size < 2:
        return None
    intervals = np.diff(timestamps)
    usual = float(np.median(intervals[:FIRST_TIMESTAMPS]))
    if not usual > 0 or not (np.abs(intervals - usual) <= TIMESTAMP_TOLERANCE * usual).all():
        return None
    return (timestamps.size - 1) / float(timestamps[-1] - timestamps[0])


def find_stretches(timestamps: NDArray[np.float64]) -> tuple[Stretch, ...]:
    """Split a recording by the times of its frames.

    Parameters
    ----------
    timestamps : numpy.ndarray
        (n_frames,) float64, finite, s; at least two.

    Returns
    -------
    tuple of Stretch
        In order, without gaps between them; a regular recording is one, at its mean rate.

    Raises
    ------
    ValueError
        If the times make no rate: nowhere do they ascend.

    Examples
    --------
    >>> clock = np.arange(100) / 10
    >>> clock[60:] += 20
    >>> [(s.first, s.stop, round(s.imaging_rate, 6)) for s in find_stretches(clock)]
    [(0, 60, 10.0), (60, 100, 10.0)]
    """
    if (rate := regular_rate(timestamps) or _jittering_rate(timestamps)) is not None:
        even = Stretch(0, timestamps.size, rate)
        parts = _where_the_rate_changes(even, timestamps)
        return (even,) if len(parts) == 1 else _with_rates(parts, timestamps, rate)
    ascending = np.diff(timestamps)
    ascending = ascending[ascending > 0]
    if not ascending.size:
        raise ValueError("the timestamps do not increase")
    fallback = float(np.median(ascending))
    found: list[Stretch] = []
    first = 0
    while first < timestamps.size:
        stop, holes = _followed(timestamps, first, fallback)
        found += _where_the_rate_changes(Stretch(first, stop, np.nan, holes), timestamps)
        first = stop
    return _with_rates(found, timestamps, 1 / fallback)


def _jittering_rate(timestamps: NDArray[np.float64]) -> float | None:
    """Return the rate, Hz, of frames that come early and late by chance, but none of which is missing; else None."""
    n_blocks = timestamps.size // JITTER_FRAMES
    rate = _own_rate(Stretch(0, timestamps.size, np.nan), timestamps) if n_blocks > 1 else None
    if rate is None:
        return None
    late = (timestamps - timestamps[0]) * rate - np.arange(timestamps.size)
    means = late[: n_blocks * JITTER_FRAMES].reshape(n_blocks, JITTER_FRAMES).mean(axis=1)
    apart = np.abs(late - np.append(np.repeat(means, JITTER_FRAMES), [means[-1]] * (timestamps.size % JITTER_FRAMES)))
    steps = np.abs(np.concatenate([means[1:] - means[:-1], means[2:] - means[:-2]]))
    return rate if steps.max() < MOST_STEP and apart.max() < LEAST_HOLE_FRAMES - 1 else None


def _followed(timestamps: NDArray[np.float64], first: int, fallback: float) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Follow a stretch from its first frame to where it ends; returns that and its holes."""
    stretch = _Open(first, _usual(np.diff(timestamps[first : first + START_INTERVALS + 1])) or fallback)
    for frame in _deviating(timestamps, stretch):
        stretch.refine(timestamps, frame)
        shift = _shift(timestamps, stretch, frame)
        ahead = _unbroken(np.diff(timestamps[frame + 1 : frame + 2 + RATE_INTERVALS]), stretch)
        usual = _usual(ahead, FEWEST_INTERVALS) if len(ahead) >= FEWEST_INTERVALS else None
        if usual is not None and _is_another(usual, ahead, stretch):
            interval = timestamps[frame + 1] - timestamps[frame]
            belongs = abs(interval / usual - 1) <= TIMESTAMP_TOLERANCE  # the interval is the first of the new rate
            stop = frame if belongs and frame > first else frame + 1
            return stop, tuple(hole for hole in stretch.holes if hole[0] < stop)
        if not -LEAST_HOLE_FRAMES <= shift <= stretch.longest_hole:
            return frame + 1, tuple(stretch.holes)
        stretch.move(frame, shift)
    return timestamps.size, tuple(stretch.holes)


def _where_the_rate_changes(stretch: Stretch, timestamps: NDArray[np.float64]) -> list[Stretch]:
    """Split a stretch where its rate changes by little, which no single interval shows."""
    times, positions = timestamps[stretch.first : stretch.stop], stretch.positions
    seconds, frames = (np.diff(values[::SLOPE_FRAMES]) for values in (times, positions))
    if not (seconds > 0).all():
        return [stretch]
    edges = [0, *(at * SLOPE_FRAMES for at in change_points(np.log(frames / seconds), SMALL_CHANGE)), stretch.n_frames]
    for number, (start, middle, stop) in enumerate(zip(edges, edges[1:], edges[2:], strict=False), 1):
        sides = (start, middle - SLOPE_FRAMES), (middle + SLOPE_FRAMES, stop)  # what lies between may be of either
        lines = [np.polyfit(np.arange(low, high), times[low:high], 1) for low, high in sides]
        crossing = (lines[1][1] - lines[0][1]) / (lines[0][0] - lines[1][0])
        edges[number] = int(np.clip(round(crossing), middle - SLOPE_FRAMES, middle + SLOPE_FRAMES))
    return stretch.split(stretch.first + edge for edge in edges)


def _deviating(timestamps: NDArray[np.float64], stretch: _Open) -> Iterator[int]:
    """Yield the frames of a stretch, and of those after it, that an unusual interval follows."""
    for start in range(stretch.first, timestamps.size - 1, AT_ONCE):
        intervals = np.diff(timestamps[start : start + AT_ONCE + 1])
        far = np.abs(intervals - stretch.usual) > TIMESTAMP_TOLERANCE * stretch.usual
        yield from (start + np.flatnonzero(far)).tolist()


def _shift(timestamps: NDArray[np.float64], stretch: _Open, frame: int) -> int:
    """Return by how many frames the clock has moved on after a frame, beyond one: what most frames around it say."""
    before = range(max(stretch.first, frame + 1 - CONTEXT_FRAMES), frame + 1)
    after = range(frame + 1, min(frame + 1 + CONTEXT_FRAMES, timestamps.size))
    last, usual = stretch.position(frame), stretch.usual
    phase = _median([timestamps[one] - stretch.position(one) * usual for one in before])
    moved = [(timestamps[one] - phase) / usual - (last + one - frame) for one in after]
    if -LEAST_HOLE_FRAMES <= moved[0] <= stretch.longest_hole:  # the next frame is near: what is far lies after a pause
        moved = [one for one in moved if abs(one - moved[0]) <= stretch.longest_hole]
    return round(_median(moved))


def _is_another(usual: float, ahead: NDArray[np.float64], stretch: _Open) -> bool:
    """Tell whether the intervals ahead are of another rate: by their median, blind to holes, and mean."""
    change, mean_change = abs(usual / stretch.usual - 1), abs(float(ahead.mean()) / stretch.usual - 1)
    return change > RATE_CHANGE or (len(ahead) >= RATE_INTERVALS and min(change, mean_change) > SMALL_CHANGE)


def _unbroken(intervals: NDArray[np.float64], stretch: _Open) -> NDArray[np.float64]:
    """Return the intervals up to the first that is longer than a hole can be."""
    pauses = np.flatnonzero(intervals > (stretch.longest_hole + 1) * stretch.usual)
    return intervals[: pauses[0]] if pauses.size else intervals


def _usual(intervals: NDArray[np.float64], fewest_pairs: int = FEWEST_PAIRS) -> float | None:
    """Return the usual interval, s: of many, the median over neighbouring two, since scanners may take turns."""
    if intervals.size >= fewest_pairs:
        intervals = (intervals[1:] + intervals[:-1]) / 2
    usual = _median(intervals.tolist()) if intervals.size else 0.0
    return usual if usual > 0 else None


def _median(values: Sequence[float]) -> float:
    """The lower median of a few values; numpy's takes ten times as long."""
    return float(sorted(values)[(len(values) - 1) // 2])


def _with_rates(stretches: list[Stretch], timestamps: NDArray[np.float64], fallback: float) -> tuple[Stretch, ...]:
    """Give every stretch its rate, and one rate to those that agree within what they can tell."""
    own = [_own_rate(stretch, timestamps) for stretch in stretches]
    groups: list[tuple[float, list[int]]] = []
    for number in sorted(range(len(stretches)), key=lambda number: -stretches[number].n_frames):
        rate, intervals = own[number], max(1, stretches[number].n_frames - 1)
        tolerance = max(SAME_RATE, TIMESTAMP_TOLERANCE / intervals)
        near = [group for group in groups if rate is None or abs(rate / group[0] - 1) <= tolerance]
        if near:
            near[0][1].append(number)
        else:
            groups.append((rate or fallback, [number]))
    rates = np.full(len(stretches), fallback)
    for rate, members in groups:
        weights = [stretches[number].n_grid - 1 for number in members if own[number] is not None]
        seconds = [(stretches[number].n_grid - 1) / (own[number] or rate) for number in members if own[number]]
        rates[members] = rate if len(members) == 1 or not sum(seconds) else sum(weights) / sum(seconds)
    return tuple(replace(stretch, imaging_rate=float(rate)) for stretch, rate in zip(stretches, rates, strict=True))


def _own_rate(stretch: Stretch, timestamps: NDArray[np.float64]) -> float | None:
    """Return the median slope over half the stretch, Hz: exact under jitter, blind to wrong timestamps."""
    times, positions = timestamps[stretch.first : stretch.stop], stretch.positions
    half = stretch.n_frames // 2
    if half == 0:
        return None
    seconds = float(np.median((times[half:] - times[:-half]) / (positions[half:] - positions[:-half])))
    return 1 / seconds if seconds > 0 else None
