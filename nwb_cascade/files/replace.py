"""Replace a file or folder in one step: work beside it, check, flush to disk, move into place.

At any moment the target is either its old self or its new self. All work happens in a hidden folder beside
it, ``.nwb-cascade-<hash of the target's name>-<host>-<pid>``, so that the last step is a rename within one
file system. A lock, which the kernel releases when a process dies, tells which folders are still in use.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ground_truth_nwb.appearing import NO_FOLLOWING
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import flush, flush_folder
from nwb_cascade.files.locks import NO_LOCKS, lock

PREVIOUS = ".previous"
READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h

Stamp = str | None


def stamp(path: Path) -> Stamp:
    """Return a text that changes when somebody writes to a file or folder; None if it does not exist."""
    try:
        entries = [path, *sorted(path.rglob("*"))] if path.is_dir() else [path]
        parts = [(str(p), s.st_ino, s.st_size, s.st_mtime_ns) for p in entries for s in (p.stat(),)]
    except FileNotFoundError:
        return None
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@contextmanager
def workplace(target: Path) -> Iterator[Path]:
    """Lend a folder beside the target, on the same file system, for one process at a time.

    What dead runs left behind for this target is removed first (see `repair`); the folder itself is removed at
    the end, whatever happens. Where the file system knows no locks, left-overs stay.

    Parameters
    ----------
    target : pathlib.Path
        File or folder that will be replaced; its parent must exist.

    Raises
    ------
    InputError
        If another living process works on this target.
    PermissionError
        If the folder of the target cannot be written.
    """
    name = f"{_prefix(target)}{_host()}-{os.getpid()}"
    try:
        with _locked(target) as is_locked:
            if is_locked:
                _sweep(target)
            work = target.parent / name
            work.mkdir(mode=0o700)
            try:
                yield work
            finally:
                _remove(target.parent.glob(f"{work.name}*"))
    except OSError as error:
        here = error.filename is not None and Path(error.filename).parent == target.parent
        if not here or error.errno not in READ_ONLY:
            raise
        message = f"Cannot write in {target.parent}: {error.strerror}. Choose another output folder."
        raise PermissionError(message) from error


def beside(work: Path, suffix: str) -> Path:
    """Return a hidden name beside a `workplace`, in the target's own folder, that is cleared away with it.

    For files that name others relative to their folder.
    """
    return work.with_name(work.name + (suffix or ".file"))


def repair(target: Path) -> None:
    """Bring back a target that a run killed between its two renames left aside; does nothing otherwise."""
    if target.exists() or not _leftovers(target):
        return
    with _locked(target):
        _sweep(target)


def install(prepared: Path, target: Path, *, expected: Stamp) -> None:
    """Flush a prepared file or folder to disk and move it to the target in one step.

    Parameters
    ----------
    prepared : pathlib.Path
        Complete file or folder inside the `workplace` of the target, or `beside` it.
    target : pathlib.Path
        Takes over permissions and owner of what it replaces.
    expected : str or None
        `stamp` of the target when the work began.

    Raises
    ------
    InputError
        If somebody else changed the target in the meantime; it is left as it is.
    """
    if stamp(target) != expected:
        raise InputError(f"Another program changed {target} meanwhile; it was left as it is. Run again.")
    flush(prepared)
    if expected is not None:
        _take_over(target, prepared)
    if prepared.is_dir() and expected is not None:
        _swap(prepared, target)
    else:
        os.replace(prepared, target)
    flush_folder(target.parent)


@contextmanager
def kept_from_writers(path: Path) -> Iterator[None]:
    """Hold the lock by which HDF5 knows readers, so that no program opens a file for writing meanwhile.

    For a file that is read by other means than HDF5; folders, and systems without locks, are not protected.
    """
    if not path.is_file():
        yield
        return
    with open(path, "rb") as file:
        _try_lock(file.fileno(), shared=True)
        yield


def _prefix(target: Path) -> str:
    """Start of the hidden names that belong to one target; a hash keeps them short."""
    return f".nwb-cascade-{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]}-"


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", socket.gethostname())[:40]


def _leftovers(target: Path) -> list[Path]:
    """All that runs on this target keep beside it, but the lock."""
    return [p for p in target.parent.glob(f"{_prefix(target)}*") if p.name != f"{_prefix(target)}lock"]


def _sweep(target: Path) -> None:
    """Remove what dead runs left, after moving back what one of them took away. Needs the lock."""
    leftovers = _leftovers(target)
    for path in leftovers:
        for previous in [path] if path.name.endswith(PREVIOUS) else path.glob(f"*{PREVIOUS}"):
            if not target.exists():
                os.rename(previous, target)
    _remove(leftovers)


def _remove(paths: Iterable[Path]) -> None:
    """Remove files and folders; one that cannot be removed now is left to the next run."""
    for path in list(paths):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


@contextmanager
def _locked(target: Path) -> Iterator[bool]:
    """Hold the target's lock file; yields False where the system has no locks."""
    if sys.platform == "win32":
        yield False
        return
    path = target.parent / f"{_prefix(target)}lock"
    descriptor, is_locked = _acquire(path, target)
    try:
        yield is_locked
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        os.close(descriptor)


def _acquire(path: Path, target: Path) -> tuple[int, bool]:
    """Open and lock the lock file; once more if its last owner removed it in between."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOWING, 0o666)
        try:
            is_locked = _try_lock(descriptor)
            if not is_locked or _is_still(path, descriptor):
                return descriptor, is_locked
        except BlockingIOError as error:
            os.close(descriptor)
            raise InputError(f"Another nwb-cascade run is writing {target}; wait until it has finished.") from error
        os.close(descriptor)


def _try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock, or return False where the file system has none."""
    try:
        lock(descriptor, shared=shared)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Tell whether the path names the opened file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _take_over(target: Path, prepared: Path) -> None:
    """Give the prepared file mode, access lists and, where allowed, the owner of the one it replaces."""
    shutil.copystat(target, prepared)
    os.utime(prepared)
    old, new = target.stat(), prepared.stat()
    if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
        with contextlib.suppress(PermissionError):
            os.chown(prepared, old.st_uid, old.st_gid)


def _swap(prepared: Path, target: Path) -> None:
    """Exchange two folders in one step, or in two renames between which a killed run can be repaired."""
    if not exchange(prepared, target):
        os.rename(target, prepared.with_name(prepared.name + PREVIOUS))
        os.rename(prepared, target)


def exchange(first: Path, second: Path) -> bool:
    """Exchange two names atomically (renameat2 of Linux); False where system or file system cannot."""
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None, use_errno=True), "renameat2"):
        return False
    failed = libc.renameat2(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE)
    if failed and ctypes.get_errno() not in (errno.ENOSYS, errno.EINVAL):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(second))
    return not failed
