"""Local search: change spike trains as long as the smoothed train comes closer to the rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.discrete.moves import Costs, Move
from nwb_cascade.discrete.segments import ranges
from nwb_cascade.discrete.shape import SpikeShape

# A move must lower the squared error by this fraction of one spike's own; below it float32 cannot tell.
LEAST_GAIN = np.float32(1e-5)
# After so many sweeps the stretches in which nothing is to be gained any more are left alone.
SWEEPS_BETWEEN_CULLS = 4


def search(
    counts: NDArray[np.float32],
    drive: NDArray[np.float32],
    may_hold: NDArray[np.bool_],
    shape: SpikeShape,
    moves: tuple[Move, ...],
    most_sweeps: int,
) -> NDArray[np.float32]:
    """Make moves, all that do not interfere at once, until none lowers the squared error.

    Parameters
    ----------
    counts : numpy.ndarray
        (n,) float32, whole numbers.
    drive : numpy.ndarray
        (n,) float32, inner product of the rates with a spike's shape at every frame.
    may_hold : numpy.ndarray
        (n,) bool, frames that may hold spikes. No spike passes over others.
    moves : tuple of Move
        The moves to try.
    most_sweeps : int
        A bound on the work, which few trains reach.

    Returns
    -------
    numpy.ndarray
        (n,) float32, new counts.
    """
    counts = counts.copy()
    reach = shape.overlap.size + 2 * max(move.span for move in moves)
    inside, frames = may_hold, np.arange(counts.size)
    for _ in range(most_sweeps // SWEEPS_BETWEEN_CULLS):
        # Spikes elsewhere stay where they are: what they explain of the rates is taken off first.
        rest = drive - shape.interact(np.where(inside, np.float32(0), counts))
        free = inside[frames]
        part = np.where(free, counts[frames], np.float32(0))
        closed = Costs.FORBIDDEN * (~free).astype(np.float32)
        still = _sweep(part, rest[frames], closed, shape, moves)
        counts[frames[free]] = part[free]
        if still.size == 0:
            break
        lively = frames[still]
        inside = np.zeros_like(may_hold)
        inside[_around(lively, reach, counts.size)] = True
        inside &= may_hold
        frames = _around(lively, reach + shape.half_width, counts.size)
    return counts


def _sweep(
    counts: NDArray[np.float32],
    drive: NDArray[np.float32],
    closed: NDArray[np.float32],
    shape: SpikeShape,
    moves: tuple[Move, ...],
) -> NDArray[np.int64]:
    """Sweep a few times, in place; return the frames where the last sweep saw something to gain."""
    margin = max(move.span for move in moves)
    threshold = -LEAST_GAIN * shape.overlap[0]
    gainful = np.empty(0, dtype=np.int64)
    for _ in range(SWEEPS_BETWEEN_CULLS):
        costs = Costs.at(counts, drive, closed, shape, margin)
        best = costs.everywhere(moves[0])
        for move in moves[1:]:
            np.minimum(best, costs.everywhere(move), out=best)
        gainful = np.flatnonzero(best < threshold)
        if gainful.size == 0:
            break
        chosen = _lowest(best, shape.interplay + margin, gainful)
        _apply(counts, costs, moves, chosen, best[chosen])
    return gainful


def _apply(
    counts: NDArray[np.float32],
    costs: Costs,
    moves: tuple[Move, ...],
    chosen: NDArray[np.int64],
    best: NDArray[np.float32],
) -> None:
    """Make the best move at each chosen frame, in place; the frames lie too far apart to interfere."""
    for move in moves:
        is_best = costs.starting(move, chosen) <= best
        for offset, change in move.steps:
            counts[chosen[is_best] + offset] += change
        chosen, best = chosen[~is_best], best[~is_best]


def _lowest(values: NDArray[np.float32], radius: int, among: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the frames whose value is the lowest within the radius; no two of them within the radius."""
    low = np.full(values.size + 2 * radius, np.inf, dtype=np.float32)
    low[radius : radius + values.size] = values
    span, width = 1, 2 * radius + 1
    while span < width:
        step = min(span, width - span)
        low = np.minimum(low[:-step], low[step:])
        span += step
    lowest = among[values[among] == low[among]]
    return np.asarray(lowest[np.diff(lowest, prepend=-width) > radius])


def _around(frames: NDArray[np.int64], reach: int, n_frames: int) -> NDArray[np.int64]:
    """All of so many frames that lie within the reach of some frames, both in order."""
    ends = np.flatnonzero(np.diff(frames) > 2 * reach)
    first, last = frames[np.append(0, ends + 1)], frames[np.append(ends, frames.size - 1)]
    return ranges(np.maximum(first - reach, 0), np.minimum(last + reach + 1, n_frames))
