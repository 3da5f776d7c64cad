"""Locks on open files, by which processes keep out of each other's way; the system takes them back from a dead one."""

from __future__ import annotations

import errno
import sys

if sys.platform != "win32":
    import fcntl

ENOTSUPP = 524  # of Linux, where NFS gives it to programs that have no name for it
NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL, ENOTSUPP}


def lock(descriptor: int, *, shared: bool = False) -> None:
    """Lock an open file without waiting, until it is closed.

    Raises
    ------
    BlockingIOError
        If another process has the lock.
    OSError
        If there are no locks here: on some file systems, and on Windows. Its number is one of ``NO_LOCKS``.
    """
    if sys.platform == "win32":
        raise OSError(errno.ENOSYS, "No locks on open files")
    fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
