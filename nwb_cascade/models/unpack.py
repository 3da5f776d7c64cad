"""Unpacking of zip archives that come from elsewhere."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath

from nwb_cascade.errors import ModelFileError

MAX_FILES = 5000
MAX_FILE_BYTES = 64 * 2**20
MAX_TOTAL_BYTES = 512 * 2**20
_CHUNK = 2**20


def extract_flat(archive: Path, into: Path, *, wanted: Callable[[str], bool]) -> list[Path]:
    """Unpack the wanted files of an archive into one flat folder, after checking all its entries.

    The published networks take 0.2 to 0.4 MB each, a model at most 30 MB: the limits (64 MiB a file,
    512 MiB and 5000 files in all) only stop archives that are not models.

    Parameters
    ----------
    archive : pathlib.Path
        The zip file.
    into : pathlib.Path
        An existing folder; every file lands directly in it, under the last part of its path.
    wanted : callable
        Tells from a file's name, without folders, whether to unpack it.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Raises
    ------
    ModelFileError
        If the file is not a zip archive or is damaged, an entry points outside the archive, is a link, is
        encrypted or too large, or the wanted files lie in more than one folder.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = _checked_entries(opened, archive)
            chosen = [entry for entry in entries if not entry.is_dir() and wanted(PurePosixPath(entry.filename).name)]
            _check_distinct(chosen, archive)
            return [_extract(opened, entry, into) for entry in chosen]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelFileError(f"Expected a zip archive, {archive} cannot be read: {error}.") from error


def _checked_entries(opened: zipfile.ZipFile, archive: Path) -> list[zipfile.ZipInfo]:
    entries = opened.infolist()
    if len(entries) > MAX_FILES:
        raise ModelFileError(f"Expected at most {MAX_FILES} files in an archive, {archive} has {len(entries)}.")
    for entry in entries:
        _check_entry(entry, archive)
    total = sum(entry.file_size for entry in entries)
    if total > MAX_TOTAL_BYTES:
        raise ModelFileError(f"Expected at most {MAX_TOTAL_BYTES} bytes unpacked, {archive} has {total}.")
    return [entry for entry in entries if not _is_resource_fork(entry)]


def _check_entry(entry: zipfile.ZipInfo, archive: Path) -> None:
    name = entry.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor:
        raise ModelFileError(f"{archive} has an entry that points outside the archive: {name!r}; nothing was unpacked.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise ModelFileError(f"{archive} has a symbolic link, {name!r}; nothing was unpacked.")
    if entry.flag_bits & 0x1:
        raise ModelFileError(f"{archive} is encrypted ({name!r}); unpack it and import the folder.")
    if entry.file_size > MAX_FILE_BYTES:
        raise ModelFileError(
            f"Expected at most {MAX_FILE_BYTES} bytes a file, {name!r} in {archive} has {entry.file_size}."
        )


def _is_resource_fork(entry: zipfile.ZipInfo) -> bool:
    """Recognise what macOS adds to archives."""
    path = PurePosixPath(entry.filename)
    return path.parts[:1] == ("__MACOSX",) or path.name.startswith("._")


def _check_distinct(entries: list[zipfile.ZipInfo], archive: Path) -> None:
    folders = sorted({str(PurePosixPath(entry.filename).parent) for entry in entries})
    if len(folders) > 1:
        raise ModelFileError(
            f"Expected the archive of one model, {archive} has files of several in {', '.join(folders)}; "
            "unpack it and import one folder."
        )


def _extract(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, into: Path) -> Path:
    target = into / PurePosixPath(entry.filename).name
    with opened.open(entry) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
    return target
