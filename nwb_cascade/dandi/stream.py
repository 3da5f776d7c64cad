"""Open remote NWB files (HDF5) as file objects: only the bytes that are needed travel, and each of them once."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import h5py

from nwb_cascade.dandi.assets import Asset, find_asset, with_record
from nwb_cascade.dandi.cache import ExtentCache
from nwb_cascade.dandi.chunks import PrefetchedDataset
from nwb_cascade.dandi.headers import prefetch_headers
from nwb_cascade.dandi.link import Link, RetryPolicy
from nwb_cascade.dandi.ranges import ByteRange
from nwb_cascade.dandi.store import ExtentStore, default_folder
from nwb_cascade.dandi.transport import RangeReader
from nwb_cascade.errors import InputError
from nwb_cascade.files.fence import Served, fenced

Result = TypeVar("Result")
CACHE_LIMIT_BYTES = 10 * 2**30
BLOCK_BYTES = 8 * 2**20
MEMORY_BYTES = 64 * 2**20
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
HDF5_OFFSETS = (0, 512, 1024, 2048)  # where it may stand: at the start, or after a user block


@dataclass(frozen=True)
class StreamSettings:
    """How remote files are read; small and picklable, for workers.

    Parameters
    ----------
    cache_dir : path, optional
        Folder of the cache on disk, shared by all processes; by default ``NWB_CASCADE_CACHE``, else the platform's.
    cache_limit_bytes : int
        Most that this folder may hold; 0 for no cache on disk.
    policy : RetryPolicy, optional
        How long to insist when the connection or the server fails.
    instance : str, optional
        DANDI instance for addresses that name none.
    block_bytes : int
        Most bytes to read ahead of the reader of an HDF5 file.
    memory_bytes : int
        Most bytes of an HDF5 file to keep in memory.
    """

    cache_dir: str | os.PathLike[str] | None = None
    cache_limit_bytes: int = CACHE_LIMIT_BYTES
    policy: RetryPolicy | None = None
    instance: str | None = None
    block_bytes: int = BLOCK_BYTES
    memory_bytes: int = MEMORY_BYTES

    def asset(self, source: Asset | str) -> Asset:
        """Return the asset of an address, or an asset with what the archive has on record of it."""
        return with_record(find_asset(source, instance=self.instance) if isinstance(source, str) else source)

    def store(self) -> ExtentStore:
        """Return the cache on disk."""
        return ExtentStore(Path(self.cache_dir) if self.cache_dir else default_folder(), self.cache_limit_bytes)


class RemoteFile(io.RawIOBase):
    """A remote file opened for reading; made by `open_remote`, used by one thread at a time.

    Attributes
    ----------
    asset : Asset
        What is read, with the digest by which a change is noticed.
    size : int
        Bytes of the file.
    """

    def __init__(self, asset: Asset, reader: RangeReader, settings: StreamSettings) -> None:
        self.asset = asset
        self.size = asset.size
        self._position = 0
        self._reader = reader
        key = f"{asset.content_id} {asset.digest}"
        memory, store = settings.memory_bytes, settings.store()
        self._cache = ExtentCache(settings.block_bytes, reader, store, key=key, memory_bytes=memory)

    @property
    def path(self) -> str:
        """The address of the asset."""
        return self.asset.address

    def readable(self) -> bool:
        """It can be read, and not be written."""
        return True

    def seekable(self) -> bool:
        """It can be read anywhere."""
        return True

    def tell(self) -> int:
        """Position of the next byte that is read."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position from the start, from here, or from the end, and return it."""
        origins = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}
        if whence not in origins or origins[whence] + offset < 0:
            raise ValueError(f"Expected a position within {self.path}, received {offset} from origin {whence}.")
        self._position = origins[whence] + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer from the position on, short only at the end of the file, and return how many bytes came."""
        if self.closed:
            raise ValueError(f"Expected an open file, received the closed file {self.path}.")
        view = memoryview(buffer).cast("B")
        content = self._cache.read(self._position, self._position + len(view))
        view[: len(content)] = content
        self._position += len(content)
        return len(content)

    def close(self) -> None:
        """Give up what is on its way; closing again does nothing."""
        if not self.closed:
            self._cache.close()
        super().close()

    @property
    def n_requests(self) -> int:
        """Requests so far that brought bytes of the file."""
        return self._reader.n_requests

    @property
    def n_bytes(self) -> int:
        """Bytes fetched so far from the server."""
        return self._reader.n_bytes

    def prefetch(self, ranges: Iterable[ByteRange]) -> None:
        """Begin to fetch byte ranges (start, stop) in the background; small gaps are fetched, too, to save requests."""
        self._cache.prefetch(list(ranges))

    def prefetch_around(self, positions: Iterable[int]) -> None:
        """Fetch what lies around some bytes, and what lies between as far as that saves requests."""
        self._cache.prefetch_around(list(positions))

    def wait(self, ranges: Iterable[ByteRange]) -> None:
        """Wait until ranges that `prefetch` was called for are here; raises what went wrong with them."""
        self._cache.wait(list(ranges))

    def read_range(self, start: int, stop: int) -> bytes:
        """Return the bytes from start up to stop; the position of the file stays as it is."""
        return self._cache.read(start, stop)

    def can_hold(self, n_bytes: int) -> bool:
        """Tell whether so many bytes, fetched ahead, are kept until they are read."""
        return self._cache.can_hold(n_bytes)

    @contextmanager
    def exact_reads(self) -> Iterator[None]:
        """Read little around what is asked for, not ahead: for looking up where data lie."""
        before = self._cache.read_exactly(True)
        try:
            yield
        finally:
            self._cache.read_exactly(before)

    def prefetched(self, dataset: Any) -> Any:
        """Return an h5py dataset of this file as an array that fetches by chunks, ahead of the reading.

        Anything else is returned as it is.
        """
        return PrefetchedDataset(dataset, self) if isinstance(dataset, h5py.Dataset) else dataset

    def fenced(self, work: Callable[[RemoteFile], Result]) -> Result:
        """Return what comes of work with this file in a fence; bytes are fetched and kept out here."""
        served = Served(self._cache)

        def within() -> Result:
            self._cache = served  # type: ignore[assignment]  # of the copy in the child
            return work(self)

        return fenced(self.path, within, serves=served, n_bytes=self.size)

    def __reduce__(self) -> Any:
        raise TypeError(f"An open remote file cannot be pickled; pass its asset and open {self.path} there.")

    def __repr__(self) -> str:
        return f"<RemoteFile {self.path}>"

    __str__ = __repr__


def open_remote(source: Asset | str, settings: StreamSettings | None = None) -> RemoteFile:
    """Open a remote HDF5 file for reading.

    Parameters
    ----------
    source : Asset or str
        An asset, or an address as `nwb_cascade.dandi.urls.parse_address` takes it that means one file.
    settings : StreamSettings, optional
        Cache, patience, and the archive that an address without one means.

    Returns
    -------
    RemoteFile
        A seekable file object for h5py or pynwb; close it after use.

    Raises
    ------
    InputError
        If the address cannot be understood, or the file is empty or no HDF5 file.
    LookupError, PermissionError
        If there is no such asset, or it may not be read.
    RemoteError
        If the server does not deliver.
    """
    settings = settings or StreamSettings()
    asset = settings.asset(source)
    if asset.kind == "zarr":
        raise InputError(f"Expected an HDF5 file, received {asset.address}, which is a Zarr store: use open_zarr.")
    reader = RangeReader(Link.of(asset), size=asset.size, etag=asset.digest, policy=settings.policy)
    if asset.size < 0:
        reader.probe()
        asset = replace(asset, size=reader.size, digest=reader.etag)
    if asset.size == 0:
        raise InputError(f"Expected an NWB file, received {asset.address}, which is empty (0 bytes).")
    if not asset.digest:  # other content would not be noticed
        settings = replace(settings, cache_limit_bytes=0)
    file = RemoteFile(asset, reader, settings)
    try:
        _require_hdf5(file)
        file.fenced(prefetch_headers)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _require_hdf5(file: RemoteFile) -> None:
    """Raise unless the file begins as HDF5 files do."""
    for offset in HDF5_OFFSETS:
        file.seek(offset)
        if file.read(len(HDF5_SIGNATURE)) == HDF5_SIGNATURE:
            return
    file.seek(0)
    start = file.read(len(HDF5_SIGNATURE))
    raise InputError(f"Expected an NWB file (HDF5), received {file.path}, which starts with {start!r}.")
