"""Arithmetic with half-open byte ranges (start, stop): which bytes are known, which are missing, what to ask for."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable

ByteRange = tuple[int, int]


def union(ranges: Iterable[ByteRange]) -> list[ByteRange]:
    """Return the same bytes as sorted ranges that neither overlap nor touch.

    Examples
    --------
    >>> union([(5, 9), (0, 3), (3, 4), (7, 12), (20, 20)])
    [(0, 4), (5, 12)]
    """
    merged: list[ByteRange] = []
    for start, stop in sorted(ranges):
        if start >= stop:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def subtract(ranges: Iterable[ByteRange], known: Iterable[ByteRange]) -> list[ByteRange]:
    """Return the bytes of the first ranges that are in none of the second.

    Examples
    --------
    >>> subtract([(0, 10), (20, 30)], [(3, 5), (8, 22)])
    [(0, 3), (5, 8), (22, 30)]
    """
    missing: list[ByteRange] = []
    holes = union(known)
    for start, stop in union(ranges):
        first = bisect_left(holes, start, key=lambda hole: hole[1])
        for hole_start, hole_stop in holes[first:]:
            if hole_start >= stop:
                break
            if start < hole_start:
                missing.append((start, hole_start))
            start = max(start, hole_stop)
        if start < stop:
            missing.append((start, stop))
    return missing


def bridge(ranges: Iterable[ByteRange], *, spare_bytes: int, max_gap: int) -> list[ByteRange]:
    """Join neighbours over their smallest gaps, to ask for fewer and larger ranges.

    Parameters
    ----------
    ranges : iterable of (start, stop)
        Bytes that are needed.
    spare_bytes : int
        Bytes in gaps that may be fetched in vain.
    max_gap : int
        Longest gap that is bridged.

    Examples
    --------
    >>> bridge([(0, 100), (105, 200), (250, 300)], spare_bytes=30, max_gap=1000)
    [(0, 200), (250, 300)]
    """
    needed = union(ranges)
    gaps = sorted((needed[i + 1][0] - needed[i][1], i) for i in range(len(needed) - 1))
    bridged: set[int] = set()
    for gap, position in gaps:
        spare_bytes -= gap
        if gap > max_gap or spare_bytes < 0:
            break
        bridged.add(position)
    return union([*needed, *((needed[i][1], needed[i + 1][0]) for i in bridged)])


def split(ranges: Iterable[ByteRange], max_bytes: int) -> list[ByteRange]:
    """Cut long ranges into even pieces of at most max_bytes.

    Examples
    --------
    >>> split([(0, 10), (20, 23)], 4)
    [(0, 4), (4, 8), (8, 10), (20, 23)]
    """
    return [(at, min(at + max_bytes, stop)) for start, stop in ranges for at in range(start, stop, max_bytes)]


def total(ranges: Iterable[ByteRange]) -> int:
    """Return the number of bytes in ranges that do not overlap."""
    return sum(stop - start for start, stop in ranges)


class Extents:
    """The stored pieces of one file: which they are, and which bytes they leave out. Pieces may overlap."""

    def __init__(self) -> None:
        self._extents: list[ByteRange] = []
        self._covered: list[ByteRange] = []
        self._longest = 0

    def add(self, extent: ByteRange) -> None:
        """Take in a piece; one that is known already stays as it is."""
        position = bisect_left(self._extents, extent)
        if extent[0] >= extent[1] or self._extents[position : position + 1] == [extent]:
            return
        insort(self._extents, extent)
        self._longest = max(self._longest, extent[1] - extent[0])
        first = bisect_left(self._covered, extent[0], key=lambda known: known[1])
        last = bisect_right(self._covered, extent[1], key=lambda known: known[0])
        self._covered[first:last] = union([extent, *self._covered[first:last]])

    def discard(self, extent: ByteRange) -> None:
        """Forget a piece."""
        if extent in self._extents:
            self._extents.remove(extent)
            self._covered = union(self._extents)

    def find(self, position: int) -> ByteRange | None:
        """Return a piece that holds a byte, None if none does."""
        index = bisect_right(self._extents, (position, float("inf")))
        while index > 0 and self._extents[index - 1][0] > position - self._longest:
            index -= 1
            if self._extents[index][1] > position:
                return self._extents[index]
        return None

    def hole(self, position: int, size: int) -> ByteRange:
        """Return the gap around a byte that no piece holds, in a file of that size."""
        index = bisect_right(self._covered, position, key=lambda known: known[0])
        start = self._covered[index - 1][1] if index else 0
        return start, self._covered[index][0] if index < len(self._covered) else size

    @property
    def covered(self) -> list[ByteRange]:
        """All bytes that pieces hold, as sorted ranges."""
        return list(self._covered)

    def missing(self, ranges: Iterable[ByteRange]) -> list[ByteRange]:
        """Return the bytes that no piece holds."""
        return subtract(ranges, self._covered)
