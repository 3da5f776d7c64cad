"""How much to ask for when a byte is missing: small pieces for lone jumps, larger ones for reading on.

An HDF5 file is opened by many small reads, here and there. Fixed blocks fit one kind of file only: large ones fetch
the whole file where the descriptions lie between the data, small ones need many requests where they lie together.
"""

from __future__ import annotations

from nwb_cascade.dandi.ranges import ByteRange

KIB, MIB = 2**10, 2**20
LONE_BYTES = 64 * KIB  # around a lone read: the description of one object and its neighbours
LEAD = 4  # a quarter of that before the byte asked for, since HDF5 also goes back to what was written just before
FIRST_WINDOW = 512 * KIB
GROWTH = 8  # of the window with each step of reading on
REST_BYTES = 512 * KIB  # what would be left of the unknown bytes, such as the end of the file, is fetched, too
NEAR_BYTES = 1280 * KIB  # what a connection of 200 Mbit/s delivers while a request of 50 ms is waited for
SPARE_BYTES = 20 * MIB  # most that may be fetched of one file only because it lay in between


class ReadAhead:
    """Chooses the range to fetch for a miss.

    A miss right after known bytes, or not far after, counts as reading on: what lies in between is fetched, too, and
    a window that grows each time. A miss farther away, or any but the first kind once ``spare_bytes`` are used up,
    is fetched on its own, but for the first one if little of the file is left from there: descriptions that begin
    after a movie are there together, often with small data between them, and end with the file.

    Parameters
    ----------
    max_window : int
        Largest window in bytes.

    Attributes
    ----------
    spare_bytes : int
        Bytes that may still be fetched because they lie between wanted ones.
    is_exact : bool
        While set, every miss is treated as a lone one and leaves the window as it is.
    """

    def __init__(self, max_window: int) -> None:
        self.spare_bytes = SPARE_BYTES
        self.is_exact = False
        self._max_window = max_window
        self._window = min(FIRST_WINDOW, max_window)
        self._has_jumped = False

    def choose(self, start: int, stop: int, hole: ByteRange) -> ByteRange:
        """Return the range to fetch for reading start to stop, within the hole of unknown bytes around start."""
        hole_start, hole_stop = hole
        gap = start - hole_start
        if self.is_exact:
            first, last = lone_range(start)
            return max(first, hole_start), min(max(last, stop), hole_stop)
        if gap == 0 or (gap <= NEAR_BYTES and self.spare_bytes > 0):
            first, last = hole_start, max(stop, hole_start + self._window)
            self._window = min(GROWTH * self._window, self._max_window)
            self.spare_bytes -= min(last, hole_stop) - first if gap else 0
        else:
            first, last = lone_range(start)
            last = max(last, stop)
            if hole_stop - last > REST_BYTES:
                if not self._has_jumped and hole_stop - first <= self.spare_bytes:
                    self.spare_bytes -= hole_stop - first
                    last = hole_stop
                self._has_jumped = True
            self._window = max(self._window // GROWTH, min(FIRST_WINDOW, self._max_window))
        return max(first, hole_start), hole_stop if hole_stop - last <= REST_BYTES else last


def lone_range(position: int) -> ByteRange:
    """Return the range to fetch around a byte when only its neighbourhood matters."""
    first = max(0, position - LONE_BYTES // LEAD)
    return first, first + LONE_BYTES
