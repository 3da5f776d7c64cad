"""Whole spikes on frames: the train whose smoothed counts come closest to the rates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.discrete.exact import best_arrangements, is_small
from nwb_cascade.discrete.moves import Move, rearrangements, simple_moves
from nwb_cascade.discrete.search import search
from nwb_cascade.discrete.segments import Segments, cut, ranges, share_out, spread
from nwb_cascade.discrete.shape import SpikeShape

# Rates below this fraction of one smoothed spike's peak belong to no event. Such a rate can never support a spike by
# itself: that takes about 0.35 of the peak.
EVENT_FLOOR = 0.05
N_SHARPENINGS = 4
# Bounds on the work, reached by dense trains under wide kernels only, where what is left to gain is small.
MOST_SIMPLE_SWEEPS = 24
MOST_REARRANGING_SWEEPS = 12
MOST_FINAL_SWEEPS = 64


@dataclass(frozen=True, eq=False)
class Fitter:
    """The search for one kernel, prepared once and used on any number of traces.

    Parameters
    ----------
    shape : SpikeShape
        One smoothed spike.
    keep_count : bool
        Whether events and quiet stretches hold their rounded sums; else only the spikes that bring the smoothed
        train closer to the rates.
    simple, thorough : tuple of Move
        Moves that are tried first and last, and between.
    """

    shape: SpikeShape
    keep_count: bool
    simple: tuple[Move, ...]
    thorough: tuple[Move, ...]

    @classmethod
    def prepare(cls, shape: SpikeShape, *, keep_count: bool) -> Fitter:
        """Choose the moves for a kernel."""
        return cls(
            shape, keep_count, simple_moves(shape, keep_count=keep_count), rearrangements(shape, keep_count=keep_count)
        )

    def fit(self, rates: NDArray[np.float32], row_length: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Count spikes per frame of flattened traces.

        Parameters
        ----------
        rates : numpy.ndarray
            (n_rows * row_length,) float32, >= 0. Every row begins and ends with at least
            ``shape.margin`` frames of 0.

        Returns
        -------
        counts : numpy.ndarray
            (n_rows * row_length,) float32, whole numbers.
        offset : numpy.ndarray
            Like ``counts``: where between frames the spikes of a frame lie, from -0.5 to 0.5 frames.
        """
        floor = EVENT_FLOOR * float(self.shape.weights.max())
        segments = cut(rates, row_length, floor)
        spikes = share_out(segments.mass, segments.row, rates.size // row_length)
        if not self.keep_count:
            spikes = np.where(segments.is_event, spikes, 0)
        groups = _Groups.of(segments, self.shape)
        if groups.start.size == 0:
            return _counts_at(spread(rates, segments, spikes), rates.size), np.zeros_like(rates)
        near = rates[groups.frames]
        may_hold = near > floor
        events = groups.frames[may_hold]
        sharp = rates.copy()
        sharp[events] = _sharpen(near, self.shape)[may_hold]
        sharp_mass = np.add.reduceat(sharp, segments.start, dtype=np.float64)
        counts = _counts_at(spread(sharp, replace(segments, mass=sharp_mass), spikes), rates.size)
        offset = np.zeros_like(counts)
        begin = np.where(may_hold, counts[groups.frames], np.float32(0))
        found = self._arrange(begin, near, may_hold, groups, spikes)
        counts[events] = found[may_hold]
        offset[events] = _between_frames(found, near, self.shape)[may_hold]
        return counts, offset

    def _arrange(
        self,
        counts: NDArray[np.float32],
        rates: NDArray[np.float32],
        may_hold: NDArray[np.bool_],
        groups: _Groups,
        spikes: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """Best counts of the events: of small isolated ones by trial, of the others by search."""
        drive = self.shape.match(rates)
        self._try_all(counts, drive, groups, spikes)
        for moves, most_sweeps in (
            (self.simple, MOST_SIMPLE_SWEEPS),
            (self.thorough, MOST_REARRANGING_SWEEPS),
            (self.simple, MOST_FINAL_SWEEPS),
        ):
            counts = search(counts, drive, may_hold, self.shape, moves, most_sweeps)
        return counts

    def _try_all(
        self, counts: NDArray[np.float32], drive: NDArray[np.float32], groups: _Groups, spikes: NDArray[np.int64]
    ) -> None:
        """Replace the counts of small isolated events by the best of all arrangements, in place."""
        start, length, number = groups.lone_start, groups.lone_length, spikes[groups.lone_segment]
        small = is_small(length, number + (not self.keep_count))
        start, length, number = start[small], length[small], number[small]
        base = int(number.max(initial=0)) + 1
        kinds, which = np.unique(length * base + number, return_inverse=True)
        for kind, code in enumerate(kinds.tolist()):
            n_frames, n_spikes = divmod(code, base)
            frames = start[which == kind][:, None] + np.arange(n_frames)
            best = np.full(len(frames), np.inf, dtype=np.float32)
            for tried in (n_spikes,) if self.keep_count else range(n_spikes + 2):
                found, change = best_arrangements(drive[frames], tried, self.shape)
                better = change < best
                best[better] = change[better]
                counts[frames[better]] = found[better]


@dataclass(frozen=True, eq=False)
class _Groups:
    """Events within reach of each other, with a margin on both sides; no spike of one group overlaps another's.

    ``frames`` lists the frames of all groups, ``start`` where in this list each group begins. Of the groups of one
    event, ``lone_start`` says where in the list the event begins, ``lone_length`` how many frames it has and
    ``lone_segment`` which segment it is.
    """

    frames: NDArray[np.int64]
    start: NDArray[np.int64]
    lone_start: NDArray[np.int64]
    lone_length: NDArray[np.int64]
    lone_segment: NDArray[np.int64]

    @classmethod
    def of(cls, segments: Segments, shape: SpikeShape) -> _Groups:
        events = np.flatnonzero(segments.is_event)
        start, stop = segments.start[events], segments.stop[events]
        is_first = np.ones(events.size, dtype=bool)
        is_first[1:] = start[1:] - stop[:-1] >= 2 * shape.margin
        first = np.flatnonzero(is_first)
        last = np.append(first[1:], events.size) - 1 if events.size else first
        begin, end = start[first] - shape.margin, stop[last] + shape.margin
        group_start = np.cumsum(end - begin) - (end - begin)
        lone = first == last
        lone_event = first[lone]
        return cls(
            ranges(begin, end),
            group_start,
            group_start[lone] + start[lone_event] - begin[lone],
            (stop - start)[lone_event],
            events[lone_event],
        )


def _counts_at(frames: NDArray[np.int64], n_frames: int) -> NDArray[np.float32]:
    return np.bincount(frames, minlength=n_frames).astype(np.float32)


def _sharpen(rates: NDArray[np.float32], shape: SpikeShape) -> NDArray[np.float32]:
    """Undo part of the smoothing: Richardson-Lucy iterations, which keep rates non-negative and about their sum."""
    tiny = np.float32(1e-6)
    sharp = rates
    for _ in range(N_SHARPENINGS):
        excess = np.divide(rates, np.maximum(shape.smooth(sharp), tiny), dtype=np.float32)
        sharp = sharp * np.maximum(shape.match(excess), tiny)
    return sharp


def _between_frames(counts: NDArray[np.float32], rates: NDArray[np.float32], shape: SpikeShape) -> NDArray[np.float32]:
    """Shift of each frame's spikes, from -0.5 to 0.5 frames, that lowers the squared error to first order.

    One majorised Newton step: the slope of the error over the row sum of its absolute curvature, a bound that holds
    however the neighbouring spikes move (Gershgorin), and exact for an isolated spike.
    """
    slope = shape.match_slope(rates - shape.smooth(counts))
    curvature = shape.curvature_bound(counts)
    shift = np.divide(-slope, curvature, out=np.zeros_like(slope), where=(counts > 0) & (curvature > 0))
    return np.clip(shift, -0.5, 0.5)
