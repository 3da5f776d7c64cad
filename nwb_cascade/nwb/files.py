"""Open NWB files for reading, HDF5 or Zarr, on disk or through a file object, with errors that say what to do."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import IO, Any, Protocol

import h5py
from pynwb import NWBFile

from ground_truth_nwb.hdf5_files import CANNOT_LOCK, hdf5_file
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import require_plain
from nwb_cascade.nwb.damage import told_as_damage
from nwb_cascade.nwb.hdf5 import IndexedHDF5IO, judged
from nwb_cascade.nwb.lookalikes import about_hdf5
from nwb_cascade.nwb.objects import EXTENSION, import_extension


class StoreURL(Protocol):
    """A Zarr store that fsspec opens by a URL with options; ``path`` is what to call it in messages."""

    @property
    def url(self) -> str: ...

    @property
    def storage_options(self) -> dict[str, Any]: ...

    @property
    def path(self) -> str: ...


NWBSource = str | os.PathLike[str] | IO[bytes] | RawIOBase | StoreURL

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
HANDLED_WARNINGS = (  # of pynwb and hdmf while reading; what they mean for a series is found again in discover.py
    r"(?s).*Data is oriented incorrectly and should be transposed",
    r"(?s).*Your data may be transposed",
    r"Timeseries has a rate of 0\.0 Hz",
    r"(?s).*Rate must not be a negative value",
    r"(?s).*gnoring the following cached namespace",
    r"Path to Group altered/broken",
    r"(?s)DynamicTableRegion values .* are out of bounds",
    r"Inferred dtype from zarr type",
    r"\w+ is experimental -- it may be removed",  # types of hdmf that the file's writer chose
)


@contextmanager
def open_nwb(source: NWBSource) -> Iterator[tuple[NWBFile, Any]]:
    """Open an NWB file for reading and close it at the end of the context.

    Types of extensions are read from the namespaces cached in the file.

    Parameters
    ----------
    source : path, binary file object or Zarr store
        An HDF5 file, a Zarr folder, an open file object over the bytes of an HDF5 file (remote files), which stays
        open, or a Zarr store with ``url`` and ``storage_options`` for fsspec.

    Yields
    ------
    (pynwb.NWBFile, hdmf.backends.io.HDMFIO)
        The file and its backend, both valid within the context only.

    Raises
    ------
    FileNotFoundError, PermissionError, BlockingIOError
        If there is no such file, it may not be read, or another process is writing to it.
    InputError
        If it is not an NWB file, empty, truncated, or of NWB 1; or if it names other files that may not be read for it:
        none for a file object or remote store, only those below its own folder for a path.
    ImportError
        If it is a Zarr folder and hdmf-zarr is not installed.
    """
    with _open_zarr(source) if is_zarr(source) else _open_hdf5(source) as io:
        yield _read(io, source_name(source)), io


def is_zarr(source: NWBSource) -> bool:
    """Tell whether a source is a Zarr store."""
    return Path(source).is_dir() if isinstance(source, (str, os.PathLike)) else hasattr(source, "storage_options")


def other_files(nwbfile: NWBFile) -> tuple[str, ...]:
    """Return the names of the files that parts of an open file lie in, as it names them."""
    return tuple(sorted(nwbfile.get_read_io().elsewhere))


def source_name(source: NWBSource) -> str:
    """Return what to call a file in a message: its path, or the name a file object has."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    for attribute in ("full_name", "path", "name"):
        if isinstance(name := getattr(source, attribute, None), str):
            return name
    return f"the given {type(source).__name__}"


def _read(io: Any, name: str) -> NWBFile:
    """Build the NWBFile, turning failures of the libraries below into one sentence."""
    with told_as_damage(name, "opens but pynwb cannot read it"), _handled_warnings():
        return io.read()


@contextmanager
def _handled_warnings() -> Iterator[None]:
    """Silence what is handled elsewhere, and deprecations, which concern the writer of the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for message in HANDLED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        yield


@contextmanager
def _open_hdf5(source: Any) -> Iterator[IndexedHDF5IO]:
    """Open an HDF5 file and give it to pynwb."""
    name = source_name(source)
    if isinstance(source, (str, os.PathLike)):
        _require_file(Path(source))
        target: Any = os.fspath(source)
    else:
        target = source
    try:
        file = hdf5_file(target)
    except OSError as error:
        raise _explained(error, source, name) from error
    with file:
        with told_as_damage(name), _handled_warnings():
            own = judged(file, source)
            _require_nwb(file, name)
            if f"specifications/{EXTENSION}" in file:
                import_extension()
            io = IndexedHDF5IO(file, *own, mode="r", load_namespaces=True)
        try:
            yield io
        finally:
            io.close()


def _require_file(path: Path) -> None:
    """Raise if a path has no bytes that could be an HDF5 file."""
    if not path.exists():
        raise FileNotFoundError(f"Expected an NWB file at {path}, but there is none. Check the spelling of the path.")
    require_plain(path)
    if path.stat().st_size == 0:
        raise InputError(f"Expected an NWB file, received {path}, which is empty: write, copy or download it anew.")


def _explained(error: OSError, source: Any, name: str) -> Exception:
    """Return a clear error for a file that HDF5 does not open."""
    text = str(error)
    if isinstance(error, PermissionError):
        return PermissionError(f"{name} may not be read by this user: change its permissions or copy it.")
    if CANNOT_LOCK in text:
        return BlockingIOError(
            f"{name} is locked: another program has it open for writing. Close it there and run again. If none has, "
            "its drive cannot lock files: set HDF5_USE_FILE_LOCKING=FALSE in the environment."
        )
    if "truncated file" in text:
        return InputError(
            f"{name} is truncated: it is shorter than its own header says ({text.partition('(')[2].rstrip(')')}). "
            "Copy or download it anew."
        )
    if not _has_signature(source):
        return InputError(f"Expected an NWB file (HDF5 or Zarr), received {name}, which is neither.")
    return InputError(f"{name} is a damaged HDF5 file ({text}): copy or download it anew.")


def _has_signature(source: Any) -> bool:
    """Whether a file begins as HDF5 files do."""
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            return file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE
    source.seek(0)
    return bool(source.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE)


def _require_nwb(file: h5py.File, name: str) -> None:
    """Raise unless an HDF5 file says that it is NWB 2."""
    if "nwb_version" in file and "nwb_version" not in file.attrs:
        raise InputError(f"{name} is an NWB 1 file; only NWB 2 can be read. Convert it, for example with neuroconv.")
    if "nwb_version" not in file.attrs:
        about = about_hdf5(file, name)
        raise InputError(f"Expected an NWB file, received {name}: HDF5, but without the attribute nwb_version.{about}")
    version = file.attrs["nwb_version"]
    if not isinstance(version, str):
        raise InputError(f"Expected the attribute nwb_version of {name} to be text, received {version!r}.")
    if not version.lstrip("NWB-").startswith("2"):
        raise InputError(f"{name} is of NWB version {version}; only NWB 2 can be read.")


@contextmanager
def _open_zarr(source: Any) -> Iterator[Any]:
    """Open a Zarr store by hdmf-zarr."""
    name = source_name(source)
    if isinstance(source, (str, os.PathLike)):
        where, options, is_remote = os.fspath(source), None, False
        marks = [mark for mark in (".zgroup", ".zmetadata", "zarr.json") if (Path(source) / mark).exists()]
        if marks == ["zarr.json"]:
            raise InputError(f"{name} is a Zarr store of format 3, which hdmf-zarr cannot read: store it in format 2.")
        if not marks:
            raise InputError(f"Expected an NWB file, received {name}: a folder, but not a Zarr store.")
    else:
        where, options, is_remote = source.url, source.storage_options, True
    try:
        from nwb_cascade.nwb.zarr_files import OwnZarrIO
    except ImportError as error:
        raise ImportError(f"{name} is a Zarr store, which needs hdmf-zarr: pip install 'nwb-cascade[zarr]'.") from error
    import_extension()
    with told_as_damage(name), _handled_warnings():
        io = OwnZarrIO(where, name=name, is_remote=is_remote, mode="r", load_namespaces=True, storage_options=options)
    try:
        yield io
    finally:
        io.close()
