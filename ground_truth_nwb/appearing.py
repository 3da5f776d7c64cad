"""Files that appear complete or not at all, and what killed processes left of such files."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ANYBODY = 0o666  # less what the user's umask takes away
NO_FOLLOWING = getattr(os, "O_NOFOLLOW", 0)
ABANDONED_S = 86400.0  # nobody writes a file for so long without a change of it
_PARTIAL = re.compile(r"\..+\.(?P<host>\w+)-(?P<pid>[0-9]+)\.partial(?:\.\w+)?")
_swept: set[Path] = set()  # folders that this process has looked through


@contextmanager
def appearing(path: Path, *, mode: int = ANYBODY) -> Iterator[Path]:
    """Yield an empty hidden file beside a file: what is written there takes the file's place in one step at the end.

    It has the mode from the start, less what the user's umask takes away. After an error nothing has changed. What
    killed processes left in the folder is removed: those of this machine, and of others after a day.
    """
    _sweep(path.parent)
    partial = path.with_name(f".{path.stem}.{host_name()}-{os.getpid()}.partial{path.suffix}")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOWING, mode))
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def host_name() -> str:
    """Return the name of this machine, as it stands in the names of unfinished files."""
    return re.sub(r"\W+", "_", socket.gethostname())[:40] or "here"


def _sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder, once per process."""
    if folder in _swept:
        return
    _swept.add(folder)
    for path in folder.iterdir() if folder.is_dir() else ():
        if match := _PARTIAL.fullmatch(path.name):
            with contextlib.suppress(OSError):  # somebody else removed it, or it may not be removed
                is_old = time.time() - path.lstat().st_ctime > ABANDONED_S
                if is_old or (match["host"] == host_name() and _is_dead(int(match["pid"]))):
                    path.unlink()


def _is_dead(pid: int) -> bool:
    """Tell whether there is no such process on this machine; Windows does not say."""
    if sys.platform == "win32":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False
