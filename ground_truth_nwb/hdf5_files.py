"""Open HDF5 files from strangers: what they say lies in other files is not read, or only below their own folder.

An HDF5 file may name others: a link leads to them, a virtual dataset is put together from them, and the values of a
dataset may be the bytes of any file (external storage). Whoever opens it reads those files with his own rights, and
whoever copies what he reads hands them on. So a file's objects are looked at once, before anything is read or followed.
"""

from __future__ import annotations

import errno
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
from h5py import h5d, h5l, h5o

PREFIXES = ("HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX")  # where HDF5 looks first

CANNOT_LOCK, HELD = "unable to lock file", (errno.EAGAIN, errno.EACCES)  # what HDF5 says; another program has the lock


class ForeignFileError(ValueError):
    """A file names another one that may not be read for it."""


@dataclass(frozen=True)
class Part:
    """What lies in another file: path of the object, how it names the file, and the name."""

    path: str
    kind: str
    file: str


@dataclass(frozen=True)
class Contents:
    """The objects of a file: their paths by address, and the parts that lie in other files."""

    paths: dict[int, bytes]
    elsewhere: tuple[Part, ...]


def hdf5_file(source: Any, mode: str = "r", **options: Any) -> h5py.File:
    """Open an HDF5 file as h5py does, and without a lock where the file system has none, as network drives may."""
    try:
        return h5py.File(source, mode, **options)
    except OSError as error:
        if CANNOT_LOCK not in str(error) or error.errno in HELD:
            raise
        return h5py.File(source, mode, locking=False, **options)


def open_hdf5(source: Any, *, below_folder: bool = False) -> h5py.File:
    """Open an HDF5 file for reading, unless it names other files.

    Parameters
    ----------
    source : path or file object
        What h5py opens.
    below_folder : bool
        Of a path: allow files below its own folder.

    Raises
    ------
    ForeignFileError
        If it names other files.
    OSError
        If it is no HDF5 file, or damaged.
    """
    file = hdf5_file(source)
    try:
        require_own(contents_of(file), source, below_folder=below_folder)
    except (RuntimeError, KeyError) as error:
        file.close()
        raise OSError(f"{source} is a damaged HDF5 file ({error})") from error
    except BaseException:
        file.close()
        raise
    return file


def contents_of(file: h5py.File) -> Contents:
    """Look once at every object of an open file; values, other files and indices of chunks are not read."""
    paths = {h5o.get_info(file.id).addr: b"/"}
    elsewhere: list[Part] = []

    def see(path: bytes, link: Any) -> None:
        if link.type == h5l.TYPE_HARD:
            paths.setdefault(link.u, path)  # bytes: in a damaged file it need not be UTF-8, and HDF5 takes it as it is
        elif link.type == h5l.TYPE_EXTERNAL:
            elsewhere.append(Part(_text(path), "is a link to", os.fsdecode(file.id.links.get_val(path)[0])))

    file.id.links.visit(see, info=True)
    for path in paths.values():
        found = h5o.open(file.id, path)
        if isinstance(found, h5d.DatasetID):
            elsewhere += (Part(_text(path), kind, name) for kind, name in sources_of(found))
    return Contents(paths, tuple(elsewhere))


def require_own(contents: Contents, source: Any, *, below_folder: bool) -> frozenset[str]:
    """Return the names of other files that parts of a file lie in, and parts of parts; raises as `open_hdf5`."""
    if not contents.elsewhere:
        return frozenset()
    if not below_folder or not isinstance(source, (str, os.PathLike)):
        part = contents.elsewhere[0]
        raise ForeignFileError(
            f"{getattr(source, 'path', source)} names another file: {part.path} {part.kind} {part.file}. Other files "
            "are not read for a recording that comes from elsewhere; ask its authors for one that is complete in "
            "itself."
        )
    own = Path(source)
    roots = {own.parent.resolve(), own.resolve().parent}
    names, seen, waiting = {part.file for part in contents.elsewhere}, {own.resolve()}, [(own, contents)]
    while waiting:
        holder, held = waiting.pop()
        for part in held.elsewhere:
            for target in sorted(_candidates(holder, part.file)):
                _require_below(target, roots, part, holder)
                if target.resolve() not in seen and h5py.is_hdf5(target):
                    seen.add(target.resolve())
                    with hdf5_file(target) as file:
                        waiting.append((target, contents_of(file)))
                        names.update(part.file for part in waiting[-1][1].elsewhere)
    return frozenset(names)


def sources_of(dataset: h5d.DatasetID) -> Iterator[tuple[str, str]]:
    """Yield how a dataset names other files, and their names."""
    made = dataset.get_create_plist()
    for number in range(made.get_external_count()):
        yield "is stored in", os.fsdecode(made.get_external(number)[0])
    if made.get_layout() == h5d.VIRTUAL:
        for number in range(made.get_virtual_count()):
            if (name := made.get_virtual_filename(number)) != ".":
                yield "takes its values from", name


def _candidates(holder: Path, name: str) -> set[Path]:
    """Return the files that HDF5 may open where a file names another: in its folder, the current one, a set one."""
    folders = {holder.parent, holder.resolve().parent, Path.cwd()}
    for variable in PREFIXES:
        folders.update(Path(one) for one in os.environ.get(variable, "").split(":") if one)
    places = {folder / one for folder in folders for one in (name, os.path.basename(name))}
    found = {place for place in places if os.path.exists(place)}
    if "%" in name:  # sources of virtual datasets may be numbered
        patterns = (glob.escape(str(place)).replace("%b", "*").replace("%%", "%") for place in places)
        found.update(Path(match) for pattern in patterns for match in glob.glob(pattern))
    return found


def _require_below(target: Path, roots: set[Path], part: Part, holder: Path) -> None:
    """Raise unless a file is one, and lies below one of the folders."""
    where = target.resolve()
    if where.is_file() and any(where.is_relative_to(root) for root in roots):
        return
    raise ForeignFileError(
        f"{holder} names another file: {part.path} {part.kind} {where}. Only files below the recording's own folder "
        f"{holder.parent} are read for it; move both below one folder if they belong together."
    )


def _text(path: bytes) -> str:
    return f"/{path.decode(errors='replace')}"
