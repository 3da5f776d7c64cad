"""Cut traces into events and quiet stretches, share whole spikes out among them and give each a first place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Segments:
    """Stretches of flattened traces, in order, without gaps: alternately events and quiet stretches.

    Parameters
    ----------
    start, stop : numpy.ndarray
        (n,) int64, first frame and the one after the last.
    row : numpy.ndarray
        (n,) int64, the trace that it belongs to.
    is_event : numpy.ndarray
        (n,) bool: rates above the floor throughout; else below it throughout.
    mass : numpy.ndarray
        (n,) float64, sum of the rates.
    """

    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    row: NDArray[np.int64]
    is_event: NDArray[np.bool_]
    mass: NDArray[np.float64]


def cut(rates: NDArray[np.float32], row_length: int, floor: float) -> Segments:
    """Cut flattened traces of one length where the rates cross the floor."""
    above = rates > floor
    border = np.empty(rates.size, dtype=bool)
    np.not_equal(above[1:], above[:-1], out=border[1:])
    border[::row_length] = True
    start = np.flatnonzero(border)
    stop = np.append(start[1:], rates.size)
    mass = np.add.reduceat(rates, start, dtype=np.float64)
    return Segments(start, stop, start // row_length, above[start], mass)


def share_out(mass: NDArray[np.float64], row: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    """Whole spikes per segment: the largest-remainder method within every row.

    Every segment gets its mass rounded down or up, and every row its rounded sum. Among the ways to do so this one
    is closest to the masses in the sense of least squares (Hamilton's apportionment).
    """
    whole = np.floor(mass)
    wanted = np.rint(np.bincount(row, mass, n_rows))
    missing = wanted - np.bincount(row, whole, n_rows)
    order = np.lexsort((whole - mass, row))
    rank = np.arange(mass.size) - np.searchsorted(row, row)
    counts = whole.astype(np.int64)
    counts[order] += rank < missing[row]
    return counts


def spread(rates: NDArray[np.float32], segments: Segments, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Place the spikes of every segment by its rates alone: the frame of each spike, in order.

    A segment with c spikes is divided into c cells of equal mass. In an event the spike lies at the cell's median,
    in a quiet stretch at its highest rate.
    """
    cumulative = np.cumsum(rates, dtype=np.float64)
    segment = np.repeat(np.arange(counts.size), counts)
    nth = np.arange(segment.size) - np.repeat(np.cumsum(counts) - counts, counts)
    start, stop = segments.start[segment], segments.stop[segment]
    before = np.where(start > 0, cumulative[start - 1], 0.0)
    cell = segments.mass[segment] / counts[segment]
    frame = np.searchsorted(cumulative, before + (nth + 0.5) * cell)
    quiet = np.flatnonzero(~segments.is_event[segment])
    first = np.searchsorted(cumulative, (before + nth * cell)[quiet], side="right")
    after = np.searchsorted(cumulative, (before + (nth + 1) * cell)[quiet], side="right")
    frame[quiet] = _highest(rates, first, np.minimum(after, stop[quiet]))
    return np.clip(frame, start, stop - 1)


def ranges(start: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.int64]:
    """Concatenate the ranges [start, stop)."""
    length = stop - start
    return np.asarray(np.arange(length.sum()) + np.repeat(start - (np.cumsum(length) - length), length))


def _highest(rates: NDArray[np.float32], first: NDArray[np.int64], stop: NDArray[np.int64]) -> NDArray[np.int64]:
    """Frame of the highest rate in every stretch [first, stop); no stretch is empty."""
    frames = ranges(first, stop)
    if frames.size == 0:
        return frames
    length = stop - first
    begin = np.cumsum(length) - length
    values = rates[frames]
    hits = np.flatnonzero(values == np.repeat(np.maximum.reduceat(values, begin), length))
    return np.asarray(frames[hits[np.searchsorted(hits, begin)]])
