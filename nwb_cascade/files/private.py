"""Files and folders that appear with their mode and owner: nothing planted is followed, nothing open for a moment."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ground_truth_nwb.appearing import ANYBODY, NO_FOLLOWING

OWNER = 0o600


def mode_like(source: Path | None, *, is_private: bool = False) -> int:
    """Return the mode of a file that is made from another one: who may read or write that, and always its owner.

    What is made from a remote recording that is not for everybody is the user's alone.
    """
    if is_private:
        return OWNER
    if source is None or not source.exists():
        return ANYBODY
    return stat.S_IMODE(source.stat().st_mode) & ANYBODY | stat.S_IWUSR | stat.S_IRUSR


def new_file(path: Path, mode: int = ANYBODY) -> int:
    """Create a file that is not there yet and return it, opened for writing.

    Raises
    ------
    FileExistsError
        If there is anything of that name, be it a link to nothing.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOWING, mode)


def make_file(path: Path, mode: int = ANYBODY) -> Path:
    """Create an empty file, as `new_file`, for a library that opens files by their names; returns its path."""
    os.close(new_file(path, mode))
    return path


def shared_file(path: Path) -> int:
    """Open a file that several processes of a user share, made if need be, for reading and writing.

    Raises
    ------
    PermissionError
        If it is a link, no plain file, or somebody else's, who could have put it there to have something overwritten.
    """
    if path.is_symlink():
        raise PermissionError(f"{path} is a symbolic link, which is not followed here: remove it.")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_FOLLOWING, OWNER)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or not _is_own(status) or status.st_nlink > 1:
        os.close(descriptor)
        raise PermissionError(f"{path} is not a file of this user's own: remove it, or name another folder.")
    return descriptor


def make_private(path: Path) -> None:
    """Make a folder that only this user can enter; one that is there is made so.

    Raises
    ------
    PermissionError
        If it, or a link of that name, is another user's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(path):
        path.mkdir(mode=0o700, exist_ok=True)
    if not (_is_own(path.lstat()) and _is_own(path.stat())):
        raise PermissionError(
            f"{path} belongs to another user, who could change what is kept there: name another folder."
        )
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o700)


def _is_own(status: os.stat_result) -> bool:
    """Tell whether something is the user's own; systems without owners say yes."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
