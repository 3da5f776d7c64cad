"""Remote Zarr assets for hdmf-zarr: a read-only fsspec filesystem over the objects that the archive lists.

zarr takes an object that it cannot read for a missing chunk and fills in zeros, if the failure is an OSError. So an
object is missing here only if the archive's listing lacks it; every other failure is a `RemoteError`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import fsspec
from fsspec.spec import AbstractFileSystem

from nwb_cascade.dandi.assets import Asset
from nwb_cascade.dandi.stream import StreamSettings
from nwb_cascade.dandi.zarr_chunks import PrefetchedArray
from nwb_cascade.dandi.zarr_objects import N_CONNECTIONS, ZarrObjects
from nwb_cascade.errors import InputError
from nwb_cascade.files.fence import Served, fenced

Result = TypeVar("Result")
PROTOCOL = "nwb-cascade-zarr"
CONSOLIDATED, DESCRIPTIONS = ".zmetadata", (".zgroup", ".zarray", ".zattrs")


@dataclass(frozen=True)
class RemoteZarr:
    """A remote Zarr store, to be opened by ``NWBZarrIO(zarr.url, mode="r", storage_options=zarr.storage_options)``.

    Parameters
    ----------
    asset : Asset
        What is read.
    objects : ZarrObjects
        Reads it.
    """

    asset: Asset
    objects: ZarrObjects

    @property
    def url(self) -> str:
        """Address for fsspec and zarr, valid in this process."""
        return f"{PROTOCOL}://{self.asset.content_id}"

    @property
    def storage_options(self) -> dict[str, Any]:
        """Options for fsspec and zarr that belong to the URL."""
        return {"objects": self.objects, "exceptions": (KeyError,)}

    @property
    def path(self) -> str:
        """The address of the asset, for messages."""
        return self.asset.address

    def fenced(self, work: Callable[[RemoteZarr], Result]) -> Result:
        """Return what comes of work with this store in a fence; objects are fetched and kept out here."""
        served = Served(self.objects)
        inner = replace(self, objects=cast(ZarrObjects, served))
        return fenced(self.path, lambda: work(inner), serves=served, n_bytes=max(0, self.asset.size))

    def prefetched(self, array: Any) -> Any:
        """Return an array of this store as one whose next block is fetched while the caller works on the last.

        Anything else is returned as it is.
        """
        is_array = hasattr(array, "chunks") and hasattr(array, "path") and len(array.shape) > 0
        return PrefetchedArray(array, self.objects) if is_array else array

    @property
    def n_requests(self) -> int:
        """Requests so far that brought bytes of objects."""
        return self.objects.n_requests

    @property
    def n_bytes(self) -> int:
        """Bytes of objects fetched so far."""
        return self.objects.n_bytes


class RemoteZarrFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no type hints
    """The objects of one Zarr asset, by the paths ``ZARR_ID/KEY``.

    Parameters
    ----------
    objects : ZarrObjects
        What is there.
    """

    protocol = PROTOCOL
    root_marker = ""
    cachable = False  # fsspec would keep every store that was ever opened

    def __init__(self, objects: ZarrObjects, **options: Any) -> None:
        super().__init__(**options)
        self._objects = objects
        self._descriptions: dict[str, Any] | None = None  # of all groups and arrays, once they are asked for
        self._describing = threading.Lock()

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Return the content of an object."""
        key = self._key(path)
        entry = self._objects.find(key)
        if entry is None:
            raise FileNotFoundError(f"{self._objects.asset.address} has no object {key}.")
        content = self._described(key)
        return (self._objects.content(key, entry) if content is None else content)[slice(start, end)]

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:
        """Return the contents of objects, several at a time."""
        if isinstance(path, str):
            return self.cat_file(path)
        with ThreadPoolExecutor(N_CONNECTIONS) as pool:
            return dict(zip(path, pool.map(lambda each: self._cat_one(each, on_error), path), strict=True))

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe an object or folder."""
        path = without_protocol(path)
        key = self._key(path)
        entry = self._objects.find(key) if key else None
        if entry is not None:
            return {"name": path, "size": entry.size, "type": "file"}
        if key and not self._objects.has_below(f"{key}/"):
            raise FileNotFoundError(f"{self._objects.asset.address} has no object or folder {key}.")
        return {"name": path, "size": 0, "type": "directory"}

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Tell whether there is an object or folder; fsspec's own would take every failure for a no."""
        return self._kind(path) is not None

    def isfile(self, path: str) -> bool:
        """Tell whether there is an object; fsspec's own would take every failure for a no."""
        return self._kind(path) == "file"

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """List what lies directly in a folder."""
        path = without_protocol(path).rstrip("/")
        prefix = f"{key}/" if (key := self._key(path)) else ""
        found: dict[str, dict[str, Any]] = {}
        for name, entry in self._objects.entries(prefix).items():
            child, slash, _ = name.removeprefix(prefix).partition("/")
            kind = "directory" if slash else "file"
            found[child] = {"name": f"{path}/{child}", "size": 0 if slash else entry.size, "type": kind}
        return list(found.values()) if detail else [each["name"] for each in found.values()]

    def _described(self, key: str) -> bytes | None:
        """Return a description from the list of all if there is one, as hdmf-zarr does: a request less for each."""
        if key.rpartition("/")[2] not in DESCRIPTIONS:
            return None
        with self._describing:
            if self._descriptions is None:
                entry = self._objects.find(CONSOLIDATED)
                self._descriptions = {} if entry is None else _all_in(self._objects.content(CONSOLIDATED, entry))
        found = self._descriptions.get(key)
        return None if found is None else json.dumps(found).encode()

    def _kind(self, path: str) -> str | None:
        try:
            return str(self.info(path)["type"])
        except FileNotFoundError:
            return None

    def _key(self, path: str) -> str:
        """Key of an object within the Zarr."""
        return without_protocol(path).partition("/")[2].strip("/")

    def _cat_one(self, path: str, on_error: str) -> bytes | Exception:
        try:
            return self.cat_file(path)
        except FileNotFoundError as error:
            if on_error == "raise":
                raise
            return error


def _all_in(consolidated: bytes) -> dict[str, Any]:
    """Descriptions by their keys; none of a list that is damaged, so that the single ones are read."""
    try:
        found = json.loads(consolidated)["metadata"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def without_protocol(path: str) -> str:
    """Return a path of the filesystem as fsspec and zarr may name it, without what stands before ``ZARR_ID/KEY``."""
    return path.removeprefix(f"{PROTOCOL}://")


def open_zarr(source: Asset | str, settings: StreamSettings | None = None) -> RemoteZarr:
    """Open a remote Zarr asset for reading.

    Parameters
    ----------
    source, settings
        As for `nwb_cascade.dandi.stream.open_remote`.

    Returns
    -------
    RemoteZarr
        URL and options for hdmf-zarr or zarr; nothing is read yet. Of an asset that was looked up earlier, the archive
        is asked whether it is still the same.

    Raises
    ------
    InputError
        If the asset is no Zarr store.
    LookupError, PermissionError, RemoteError
        As for `open_remote`.
    """
    is_known = isinstance(source, Asset) and bool(source.digest)
    settings = settings or StreamSettings()
    asset = settings.asset(source)
    if asset.kind != "zarr":
        raise InputError(f"Expected a Zarr store, received {asset.address}, which is a single file: use open_remote.")
    fsspec.register_implementation(PROTOCOL, RemoteZarrFileSystem, clobber=True)
    objects = ZarrObjects(asset, settings.store(), settings.policy)
    if is_known:
        objects.require_unchanged()
    return RemoteZarr(asset, objects)
