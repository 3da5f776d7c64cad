"""Bytes on a disk: copy them, flush them, find out in time that there is no room for them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from ground_truth_nwb.appearing import ANYBODY, appearing
from nwb_cascade.core.progress import Progress
from nwb_cascade.errors import InputError
from nwb_cascade.files.private import mode_like, new_file

COPY_BYTES = 16 * 2**20  # one step of copying; small enough for a smooth progress bar
NO_SHARING = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EBADF}
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def copy(source: Path, destination: Path, progress: Progress | None = None) -> None:
    """Copy a file or a folder, sharing blocks where the file system can; reports (MiB done, MiB total)."""
    files = [p for p in sorted(source.rglob("*")) if p.is_file()] if source.is_dir() else [source]
    total, done = sum(p.stat().st_size for p in files), 0
    if source.is_dir():
        for folder in (source, *sorted(p for p in source.rglob("*") if p.is_dir())):
            (destination / folder.relative_to(source)).mkdir(mode=folder.stat().st_mode & 0o777 | 0o700)
    for path in files:
        copied = destination / path.relative_to(source) if source.is_dir() else destination
        for n_bytes in _copy_file(path, copied):
            done += n_bytes
            if progress is not None:
                progress(done // 2**20, max(1, total // 2**20))


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    return sum(p.stat().st_size for p in path.rglob("*")) if path.is_dir() else path.stat().st_size


def require_plain(path: Path) -> None:
    """Raise InputError for what is neither file nor folder: a pipe is waited for, a device may never end."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(f"Expected a file or folder, received {path}, which is a pipe, socket or device.")


def flush(prepared: Path) -> None:
    """Wait until a file, or every file and folder below a folder, is on the disk."""
    for path in (*prepared.rglob("*"), prepared) if prepared.is_dir() else (prepared,):
        if path.is_dir():
            flush_folder(path)
        else:
            with open(path, "rb+") as file:
                os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Wait until a folder's list of names is on the disk; Windows opens no folders and needs no such step."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_text(path: Path, text: str, *, mode: int = ANYBODY) -> None:
    """Write a file of text that is there in full or not at all."""
    with appearing(path, mode=mode) as partial:
        partial.write_text(text, encoding="utf-8", newline="")


@contextmanager
def clear_disk_errors(target: Path) -> Iterator[None]:
    """Turn a full disk, a quota or a size limit, however the storage library words it, into one sentence."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        codes = {int(n) for n in re.findall(r"errno = (\d+)", str(error))} | {getattr(error, "errno", None)}
        if not codes & NO_SPACE:
            raise
        raise OSError(
            f"No space left for {target.name} in {target.parent}; nothing there was changed. "
            "Free some space or choose another output folder."
        ) from error


def require_space(folder: Path, n_bytes: int, what: str) -> None:
    """Raise OSError before long work if a folder's disk has less than n_bytes free."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise OSError(
            f"No space left for {what} in {folder}: up to {n_bytes / 1e6:.0f} MB are needed, "
            f"{free / 1e6:.0f} MB are free; nothing was changed. Free some space or choose another folder."
        )


def reserve(path: Path, n_bytes: int) -> None:
    """Take room behind the end of a file, before a library writes there that cannot cope with a full disk.

    HDF5 raises an error when the disk fills up under it, and then crashes the process when it closes files. It writes
    into the reserved room and gives back the rest when it closes the file.

    Raises
    ------
    OSError
        If there is no such room.
    """
    if not hasattr(os, "posix_fallocate"):
        require_space(path.parent, n_bytes, path.name)
        return
    with open(path, "r+b") as file:
        os.posix_fallocate(file.fileno(), path.stat().st_size, n_bytes)


def _copy_file(source: Path, destination: Path) -> Iterator[int]:
    """Copy one file, yielding the bytes of each step; within the kernel where it can."""
    in_kernel, done = hasattr(os, "copy_file_range"), 0
    copied = new_file(destination, mode_like(source))
    with open(copied, "wb", buffering=0) as writer, open(source, "rb", buffering=0) as reader:
        while True:
            try:
                n_bytes = _copy_step(reader, writer, in_kernel)
            except OSError as error:
                if not in_kernel or error.errno not in NO_SHARING:
                    raise
                in_kernel = False
                continue
            if n_bytes == 0:
                break
            done += n_bytes
            yield n_bytes
    if done != source.stat().st_size:
        raise InputError(f"{source} changed while it was copied; run again when no program writes to it.")


def _copy_step(reader: FileIO, writer: FileIO, in_kernel: bool) -> int:
    if in_kernel:
        return os.copy_file_range(reader.fileno(), writer.fileno(), COPY_BYTES)
    rest = memoryview(reader.read(COPY_BYTES))
    n_bytes = len(rest)
    while rest:
        rest = rest[writer.write(rest) :]
    return n_bytes
