"""Pieces of remote files on disk, shared by all processes of a machine, within a limit of size.

fsspec's own caches do not fit: their list of blocks is read, changed and written without a lock, so that processes
lose each other's entries; a block counts as stored before it arrives, so that a failed request leaves zeros; nothing
bounds their size; and content that changed on the server is mixed with the old one. Here every piece is a file whose
name says which bytes it holds and whose end holds a checksum. It appears complete or not at all, it can be deleted
at any time, and no list has to agree with it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nwb_cascade.dandi.ranges import ByteRange
from nwb_cascade.files.locks import lock
from nwb_cascade.files.private import OWNER, make_private, new_file, shared_file

logger = logging.getLogger(__name__)

FOLDER_VARIABLE = "NWB_CASCADE_CACHE"
CHECKSUM_BYTES = 4
KEPT_FRACTION = 0.8  # of the limit, when old pieces are deleted; so that this is not needed for every new piece
LOCK_PATIENCE_S = 2.0
LOCK_POLL_S = 0.005
UNFINISHED = ".part"


def default_folder() -> Path:
    """Return the folder of the cache: ``NWB_CASCADE_CACHE``, else the platform's place for caches."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("nwb-cascade", appauthor=False) / "dandi"


class ExtentStore:
    """Pieces of files in a folder, the least recently used ones deleted where they exceed a limit.

    Any number of processes may use a folder at the same time. Where the file system knows no locks, nothing is
    stored. A full disk or a folder that cannot be written ends storing, not reading.

    Parameters
    ----------
    folder : pathlib.Path
        Created on first use; use one on a disk of this machine, not a network share.
    limit_bytes : int
        Most that all pieces together may take; 0 stores nothing.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._is_usable = limit_bytes > 0 and sys.platform != "win32"
        self._is_foreign = False

    @property
    def capacity_bytes(self) -> int:
        """Bytes that can be stored; 0 if nothing is."""
        return self.limit_bytes if self._is_usable else 0

    def extents(self, key: str) -> list[ByteRange]:
        """List the pieces stored for some content, by any process."""
        try:
            if self._is_usable and self.folder.exists():  # or somebody else might have put pieces there
                make_private(self.folder)
            names = os.listdir(self._folder_of(key)) if self._is_usable else []
        except PermissionError as error:
            self._is_foreign = True
            return self._give_up(error)
        except OSError:
            return []
        return [extent for name in names if (extent := _parse(name)) is not None]

    def _give_up(self, error: OSError) -> list[ByteRange]:
        """Go on without a cache; returns that nothing is stored."""
        logger.warning("The cache in %s cannot be used (%s); reading goes on without it.", self.folder, error)
        self._is_usable = False
        return []

    def load(self, key: str, extent: ByteRange) -> bytes | None:
        """Return a stored piece; None if it was deleted or is damaged."""
        path = self._folder_of(key) / _name(extent)
        try:
            stored = b"" if self._is_foreign else path.read_bytes()
        except OSError:
            return None
        content, checksum = stored[:-CHECKSUM_BYTES], stored[-CHECKSUM_BYTES:]
        if len(content) != extent[1] - extent[0] or _checksum(content) != checksum:
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)  # the time of its last use, by which old pieces are told
        return content

    def save(self, key: str, start: int, content: bytes) -> bool:
        """Store a piece; returns whether it is stored now. Never raises and never waits long."""
        size = len(content) + CHECKSUM_BYTES
        if not self._is_usable or size > self.limit_bytes:
            return False
        try:
            with self._locked() as ledger:
                if ledger is None:
                    return False
                self._write(ledger, self._folder_of(key) / _name((start, start + len(content))), content)
        except OSError as error:
            self._give_up(error)
            return False
        return True

    def _write(self, ledger: int, path: Path, content: bytes) -> None:
        """Write a piece within the limit. Needs the lock; the ledger is raised first, so that a crash errs upwards."""
        size = len(content) + CHECKSUM_BYTES
        used = _read_number(ledger)
        if used is None or used + size > self.limit_bytes:
            used = self._make_room(size)
        _write_number(ledger, used + size)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(path.name + UNFINISHED)
        unfinished.unlink(missing_ok=True)
        try:
            with open(new_file(unfinished, OWNER), "wb") as file:
                file.write(content + _checksum(content))
            os.replace(unfinished, path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise

    def _make_room(self, size: int) -> int:
        """Delete unfinished and the least recently used pieces; returns the bytes that are left. Needs the lock."""
        found = []
        for path in self.folder.glob("*/*/*"):
            status = path.stat()
            if path.name.endswith(UNFINISHED):
                path.unlink()
            else:
                found.append((status.st_mtime_ns, status.st_size, path))
        used = sum(n_bytes for _, n_bytes, _ in found)
        if used + size <= self.limit_bytes:
            return used
        target = max(0, min(int(KEPT_FRACTION * self.limit_bytes), self.limit_bytes - size))
        for _, n_bytes, path in sorted(found):
            if used <= target:
                break
            path.unlink(missing_ok=True)
            with suppress(OSError):
                path.parent.rmdir()
            used -= n_bytes
        return used

    @contextmanager
    def _locked(self) -> Iterator[int | None]:
        """Hold the lock of the folder; yields the open ledger, or None if it stays taken.

        The wait is bounded: the caller may hold HDF5's global lock, for which another thread of this process may
        wait while it holds ours.
        """
        make_private(self.folder)
        ledger = shared_file(self.folder / "usage")
        try:
            yield ledger if _acquire(ledger) else None
        finally:
            os.close(ledger)

    def _folder_of(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / digest[:2] / digest[2:]


def _acquire(ledger: int) -> bool:
    """Take the lock within a bounded time."""
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while not _try_lock(ledger):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOCK_POLL_S)
    return True


def _try_lock(ledger: int) -> bool:
    try:
        lock(ledger)
    except BlockingIOError:
        return False
    return True


def _name(extent: ByteRange) -> str:
    return f"{extent[0]:x}-{extent[1]:x}"


def _parse(name: str) -> ByteRange | None:
    start, dash, stop = name.partition("-")
    try:
        return (int(start, 16), int(stop, 16)) if dash else None
    except ValueError:
        return None


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(CHECKSUM_BYTES, "little")


def _read_number(descriptor: int) -> int | None:
    """Bytes in use as the ledger has it; None if it is new or cannot be read."""
    text = os.pread(descriptor, 32, 0)
    return int(text) if text.isdigit() else None


def _write_number(descriptor: int, number: int) -> None:
    os.pwrite(descriptor, b"%032d" % number, 0)
