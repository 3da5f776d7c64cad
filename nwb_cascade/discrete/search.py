"""Local search: change spike trains as long as the smoothed train comes closer to the rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.discrete.moves import Costs, Move
from nwb_cascade.discrete.segments import ranges
from nwb_cascade.discrete.shape import SpikeShape

# A move must lower the squared error by this fraction of one spike's own; below it float32 cannot tell.
LEAST_GAIN = np.float32(1e-5)
# After so many sweeps the groups in which nothing moves any more are left alone.
SWEEPS_BETWEEN_CULLS = 4


def search(
    counts: NDArray[np.float32],
    drive: NDArray[np.float32],
    may_hold: NDArray[np.bool_],
    group_start: NDArray[np.int64],
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
    group_start : numpy.ndarray
        First frames of the groups into which the frames fall; no spike of one group overlaps one of another.
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
    closed = Costs.FORBIDDEN * (~may_hold).astype(np.float32)
    group_stop = np.append(group_start[1:], counts.size)
    frames = np.arange(counts.size)
    for _ in range(most_sweeps // SWEEPS_BETWEEN_CULLS):
        part = counts[frames]
        moved = _sweep(part, drive[frames], closed[frames], shape, moves)
        counts[frames] = part
        if moved.size == 0:
            break
        lively = np.unique(np.searchsorted(group_start, frames[moved], side="right") - 1)
        frames = ranges(group_start[lively], group_stop[lively])
    return counts


def _sweep(
    counts: NDArray[np.float32],
    drive: NDArray[np.float32],
    closed: NDArray[np.float32],
    shape: SpikeShape,
    moves: tuple[Move, ...],
) -> NDArray[np.int64]:
    """Sweep a few times, in place; return the frames where the last sweep changed something."""
    margin = max(move.span for move in moves)
    threshold = -LEAST_GAIN * shape.overlap[0]
    chosen = np.empty(0, dtype=np.int64)
    for _ in range(SWEEPS_BETWEEN_CULLS):
        costs = Costs.at(counts, drive, closed, shape, margin)
        best = costs.everywhere(moves[0])
        for move in moves[1:]:
            np.minimum(best, costs.everywhere(move), out=best)
        chosen = _lowest(best, shape.interplay + margin, threshold)
        if chosen.size == 0:
            break
        _apply(counts, costs, moves, chosen, best[chosen])
    return chosen


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


def _lowest(values: NDArray[np.float32], radius: int, threshold: np.float32) -> NDArray[np.int64]:
    """Frames below the threshold whose value is the lowest within the radius; no two of them within the radius."""
    low = np.full(values.size + 2 * radius, np.inf, dtype=np.float32)
    low[radius : radius + values.size] = values
    span, width = 1, 2 * radius + 1
    while span < width:
        step = min(span, width - span)
        low = np.minimum(low[:-step], low[step:])
        span += step
    candidates = np.flatnonzero((values == low) & (values < threshold))
    return candidates[np.diff(candidates, prepend=-width) > radius]
