"""The cache of one open remote file: pieces in memory, on disk, on their way, and fetched when they are missing.

HDF5 calls it while it holds its global lock, and the garbage collector of any other thread may wait for that lock.
So a reading thread never waits for another thread without a limit: background threads only fetch, they share no lock
with the reader, and hand over by a SimpleQueue, which needs none. What does not come in time is fetched again.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue

from nwb_cascade.dandi.ranges import ByteRange, Extents, bridge, split, subtract, total
from nwb_cascade.dandi.readahead import LONE_BYTES, NEAR_BYTES, ReadAhead, lone_range
from nwb_cascade.dandi.store import ExtentStore
from nwb_cascade.dandi.transport import RangeReader

PIECE_BYTES = 8 * 2**20  # most that one piece holds and one request in the background asks for
N_CONNECTIONS = 4
OVERHEAD = 0.05  # bytes between wanted ones that may be fetched to save requests, as a fraction of the wanted ones
NEIGHBOURS_BYTES = 512  # that HDF5 will ask for with a byte of a description
PATIENCE_S = 1.0


class ExtentCache:
    """Cache of a remote file over byte ranges of any size.

    Parameters
    ----------
    block_size : int
        Largest range to read ahead.
    reader : RangeReader
        Fetches what is missing.
    store : ExtentStore
        Pieces on disk.
    key : str
        Under which content is stored; other content must have another key.
    memory_bytes : int
        Most to keep in memory.
    """

    def __init__(
        self, block_size: int, reader: RangeReader, store: ExtentStore, *, key: str, memory_bytes: int
    ) -> None:
        self.size = reader.size
        self.memory_bytes = memory_bytes
        self.readahead = ReadAhead(block_size)
        self._reader = reader
        self._store = store
        self._key = key
        self._known = Extents()
        self._memory: OrderedDict[ByteRange, bytes] = OrderedDict()
        self._n_memory = 0
        self._pending: set[ByteRange] = set()
        self._arrived: SimpleQueue[tuple[ByteRange, bytes | Exception]] = SimpleQueue()
        self._pool: ThreadPoolExecutor | None = None
        self._look_at_store()

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from start up to stop, or up to the end of the file."""
        position, stop = start, min(stop, self.size)
        pieces = []
        while position < stop:
            piece = self._held(position, stop)
            if piece:
                pieces.append(piece)
                position += len(piece)
            else:
                self._obtain(position, stop)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def prefetch(self, ranges: Iterable[ByteRange]) -> None:
        """Begin to fetch what is missing of some ranges, in the background, with small gaps to save requests."""
        self._collect()
        self._look_at_store()
        missing = self._known.missing((start, min(stop, self.size)) for start, stop in ranges)
        spare_bytes = int(OVERHEAD * total(missing))
        self._begin(bridge(missing, spare_bytes=spare_bytes, max_gap=NEAR_BYTES))

    def prefetch_around(self, positions: Iterable[int]) -> None:
        """Fetch what lies around some bytes, with gaps between that and known bytes to save requests later."""
        self._collect()
        windows = [lone_range(at) for at in positions if not self._holds((at, at + NEIGHBOURS_BYTES))]
        missing = self._known.missing((start, min(stop, self.size)) for start, stop in windows)
        if not missing:
            return
        known = self._known.covered
        bridged = bridge([*missing, *known], spare_bytes=self.readahead.spare_bytes, max_gap=NEAR_BYTES)
        apart = subtract(bridged, known)
        wanted = bridge(apart, spare_bytes=self.readahead.spare_bytes, max_gap=2 * LONE_BYTES)
        self.readahead.spare_bytes -= total(wanted) - total(missing)
        self._begin(wanted)
        self.wait(wanted)

    def wait(self, ranges: Iterable[ByteRange]) -> None:
        """Wait for what `prefetch` began to fetch of some ranges; raises what went wrong on the way."""
        wanted = list(ranges)
        while self._coming(wanted):
            self._take(*self._arrived.get(), raising=True)

    def read_exactly(self, is_exact: bool) -> bool:
        """Read little around what is asked for, or ahead as before; returns how it was until now."""
        before, self.readahead.is_exact = self.readahead.is_exact, is_exact
        return before

    def can_hold(self, n_bytes: int) -> bool:
        """Tell whether so many bytes stay here until they are read, beside as many that come ahead of time."""
        return 2 * n_bytes <= max(self.memory_bytes, self._store.capacity_bytes)

    def close(self) -> None:
        """Give up what is on its way and forget what is in memory."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None
        self._memory.clear()
        self._n_memory = 0

    def _holds(self, extent: ByteRange) -> bool:
        """Tell whether all bytes of a range are in memory or on disk."""
        return not self._known.missing([(extent[0], min(extent[1], self.size))])

    def _begin(self, ranges: Iterable[ByteRange]) -> None:
        """Let the background fetch some ranges, but for what is on its way already."""
        for piece in split(subtract(ranges, self._pending), PIECE_BYTES):
            if self._pool is None:
                self._pool = ThreadPoolExecutor(N_CONNECTIONS, thread_name_prefix="nwb-cascade-prefetch")
            self._pending.add(piece)
            self._pool.submit(self._fetch_in_background, piece)

    def _held(self, position: int, stop: int) -> bytes | None:
        """Return the bytes of one piece from a position on; None if no piece holds it."""
        extent = self._known.find(position)
        if extent is None:
            return None
        content = self._memory.get(extent)
        if content is None:
            content = self._store.load(self._key, extent)
            if content is None:
                self._known.discard(extent)
                return self._held(position, stop)
            self._remember(extent, content)
        self._memory.move_to_end(extent)
        return content[position - extent[0] : min(stop, extent[1]) - extent[0]]

    def _obtain(self, position: int, stop: int) -> None:
        """Get the byte at a position from where it is nearest: on its way, on disk, or on the server."""
        self._collect()
        if self._coming([(position, position + 1)]):
            self._wait_briefly(position)
        else:
            self._look_at_store()
        if self._known.find(position) is not None:
            return
        hole = self._known.hole(position, self.size)
        first, last = self.readahead.choose(position, stop, hole)
        around = subtract([(first, last)], self._pending - self._coming([(position, position + 1)]))
        first, last = next(extent for extent in around if extent[0] <= position < extent[1])
        self._insert(first, self._reader.read(first, last))

    def _insert(self, start: int, content: bytes) -> None:
        """Keep what was fetched, in pieces."""
        for first, last in split([(start, start + len(content))], PIECE_BYTES):
            piece = content[first - start : last - start]
            self._store.save(self._key, first, piece)
            self._known.add((first, last))
            self._remember((first, last), piece)

    def _remember(self, extent: ByteRange, content: bytes) -> None:
        """Keep a piece in memory, and drop those used least recently."""
        if extent not in self._memory:
            self._n_memory += len(content)
        self._memory[extent] = content
        while self._n_memory > self.memory_bytes and len(self._memory) > 1:
            _, dropped = self._memory.popitem(last=False)
            self._n_memory -= len(dropped)

    def _look_at_store(self) -> None:
        """Take in what this or other processes stored."""
        for extent in self._store.extents(self._key):
            self._known.add(extent)

    def _fetch_in_background(self, extent: ByteRange) -> None:
        """Fetch a piece; runs in a thread of the pool and must touch nothing of this object but the queue."""
        try:
            self._arrived.put((extent, self._reader.read(*extent)))
        except Exception as error:
            self._arrived.put((extent, error))

    def _collect(self) -> None:
        """Take in what has arrived by now."""
        with suppress(Empty):
            while True:
                self._take(*self._arrived.get_nowait(), raising=False)

    def _take(self, extent: ByteRange, content: bytes | Exception, *, raising: bool) -> None:
        self._pending.discard(extent)
        if isinstance(content, bytes):
            self._insert(extent[0], content)
        elif raising:
            raise content

    def _coming(self, ranges: Iterable[ByteRange]) -> set[ByteRange]:
        """Return the pieces on their way that hold bytes of some ranges."""
        wanted = list(ranges)
        return {extent for extent in self._pending if _overlaps(extent, wanted)}

    def _wait_briefly(self, position: int) -> None:
        """Wait for a piece on its way, but not for ever."""
        deadline = time.monotonic() + PATIENCE_S
        while self._coming([(position, position + 1)]) and (left := deadline - time.monotonic()) > 0:
            with suppress(Empty):
                self._take(*self._arrived.get(timeout=left), raising=False)


def _overlaps(extent: ByteRange, ranges: Iterable[ByteRange]) -> bool:
    return any(start < extent[1] and extent[0] < stop for start, stop in ranges)
