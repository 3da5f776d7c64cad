"""Remote Zarr assets for hdmf-zarr: a read-only fsspec filesystem over the objects that the archive lists.

zarr takes an object that it cannot read for a missing chunk and fills in zeros, if the failure is an OSError. So an
object is missing here only if the archive's listing lacks it; every other failure is a `RemoteError`.
"""

from __future__ import annotations

import itertools
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import fsspec
from dandi.consts import DandiInstance
from fsspec.spec import AbstractFileSystem

from nwb_cascade.dandi.assets import Asset, clear_errors, find_asset, with_record
from nwb_cascade.dandi.client import PAGE_SIZE, connect
from nwb_cascade.dandi.link import Link, RetryPolicy, Sessions, token_of
from nwb_cascade.dandi.store import ExtentStore, default_folder
from nwb_cascade.dandi.stream import CACHE_LIMIT_BYTES
from nwb_cascade.dandi.transport import RangeReader
from nwb_cascade.errors import InputError

PROTOCOL = "nwb-cascade-zarr"
N_CONNECTIONS = 4
WHOLE = "/"  # no key starts with it: stands for the first page of the listing of all objects

_numbers = itertools.count()


@dataclass(frozen=True)
class RemoteZarr:
    """A remote Zarr store, to be opened by ``NWBZarrIO(zarr.url, mode="r", storage_options=zarr.storage_options)``.

    Parameters
    ----------
    asset : Asset
        What is read.
    filesystem : RemoteZarrFileSystem
        Reads its objects.
    storage_options : dict
        By which fsspec finds this filesystem again.
    """

    asset: Asset
    filesystem: RemoteZarrFileSystem
    storage_options: dict[str, Any]

    @property
    def url(self) -> str:
        """Address for fsspec and zarr, valid in this process."""
        return f"{PROTOCOL}://{self.asset.content_id}"

    @property
    def path(self) -> str:
        """The address of the asset, for messages."""
        return self.asset.address

    @property
    def n_requests(self) -> int:
        """Requests so far that brought bytes of objects."""
        return self.filesystem.n_requests

    @property
    def n_bytes(self) -> int:
        """Bytes of objects fetched so far."""
        return self.filesystem.n_bytes


@dataclass(frozen=True)
class Entry:
    """An object as the archive lists it."""

    size: int
    etag: str


class RemoteZarrFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no type hints
    """The objects of one Zarr asset, by the paths ``ZARR_ID/KEY``; made by `open_zarr`.

    Parameters
    ----------
    asset : Asset
        With digest and storage URL.
    store : ExtentStore
        Objects on disk.
    policy : RetryPolicy
        How long to insist.
    number : int
        Tells this filesystem from others over the same asset, which may have listed other content.
    """

    protocol = PROTOCOL
    root_marker = ""

    def __init__(
        self, asset: Asset, store: ExtentStore, policy: RetryPolicy | None = None, number: int = 0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.asset = asset
        self.n_requests = 0
        self.n_bytes = 0
        self._store = store
        self._policy = policy
        self._sessions = Sessions()
        self._storage_url = asset.storage_url
        self._listed: dict[str, dict[str, Entry]] = {}
        self._is_small = False
        self._listing = threading.Lock()

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Return the content of an object."""
        key = self._key(path)
        entry = self._entries(listing_prefix(key)).get(key)
        if entry is None:
            raise FileNotFoundError(f"{self.asset.address} has no object {key}.")
        return self._content(key, entry)[slice(start, end)]

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:
        """Return the contents of objects, several at a time."""
        if isinstance(path, str):
            return self.cat_file(path)
        with ThreadPoolExecutor(N_CONNECTIONS) as pool:
            return dict(zip(path, pool.map(lambda each: self._cat_one(each, on_error), path), strict=True))

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Describe an object or folder."""
        path = self._strip_protocol(path)
        key = self._key(path)
        entry = self._entries(listing_prefix(key)).get(key) if key else None
        if entry is not None:
            return {"name": path, "size": entry.size, "type": "file"}
        if key and not self._entries(f"{key}/"):
            raise FileNotFoundError(f"{self.asset.address} has no object or folder {key}.")
        return {"name": path, "size": 0, "type": "directory"}

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """List what lies directly in a folder."""
        path = self._strip_protocol(path).rstrip("/")
        prefix = f"{key}/" if (key := self._key(path)) else ""
        found: dict[str, dict[str, Any]] = {}
        for name, entry in self._entries(prefix).items():
            child, slash, _ = name.removeprefix(prefix).partition("/")
            kind = "directory" if slash else "file"
            found[child] = {"name": f"{path}/{child}", "size": 0 if slash else entry.size, "type": kind}
        return list(found.values()) if detail else [each["name"] for each in found.values()]

    def _key(self, path: str) -> str:
        """Key of an object within the Zarr."""
        return str(self._strip_protocol(path)).partition("/")[2].strip("/")

    def _cat_one(self, path: str, on_error: str) -> bytes | Exception:
        try:
            return self.cat_file(path)
        except FileNotFoundError as error:
            if on_error == "raise":
                raise
            return error

    def _entries(self, prefix: str) -> dict[str, Entry]:
        """List the objects whose key starts with a prefix; asks the archive once, for a small Zarr once for all."""
        with self._listing:
            if WHOLE not in self._listed:
                self._listed[WHOLE] = self._list("", first_page_only=True)
                self._is_small = len(self._listed[WHOLE]) < PAGE_SIZE
            if self._is_small:
                return {key: entry for key, entry in self._listed[WHOLE].items() if key.startswith(prefix)}
            if prefix not in self._listed:
                self._listed[prefix] = self._list(prefix)
            return self._listed[prefix]

    def _list(self, prefix: str, *, first_page_only: bool = False) -> dict[str, Entry]:
        """Ask the archive for the objects whose key starts with a prefix."""
        instance = DandiInstance(self.asset.instance, None, self.asset.api_url)
        with connect(instance) as client, clear_errors(instance, self.asset.address):
            listed = client.paginate(f"/zarr/{self.asset.content_id}/files", params={"prefix": prefix})
            pages = itertools.islice(listed, PAGE_SIZE) if first_page_only else listed
            return {page["Key"]: Entry(page["Size"], page["ETag"].strip('"')) for page in pages}

    def _content(self, key: str, entry: Entry) -> bytes:
        """Return an object from the disk or from the server."""
        if entry.size == 0:
            return b""
        stored_as, extent = f"{self.asset.content_id}/{key} {entry.etag}", (0, entry.size)
        content = self._store.load(stored_as, extent)
        if content is None:
            content = self._fetch(key, entry)
            self._store.save(stored_as, 0, content)
        return content

    def _fetch(self, key: str, entry: Entry) -> bytes:
        direct = f"{self._storage_url}{quote(key)}" if self._storage_url else ""
        query = urlencode({"prefix": key, "download": "true"})
        by_api = f"{self.asset.api_url}/zarr/{self.asset.content_id}/files/?{query}"
        link = Link(f"{self.asset.address}/{key}", direct, by_api, token_of(self.asset))
        reader = RangeReader(link, size=entry.size, etag=entry.etag, policy=self._policy, sessions=self._sessions)
        content = reader.read(0, entry.size)
        if link.is_replaced:  # the storage refuses what the API lets read: embargoed
            self._storage_url = ""
        self.n_requests += reader.n_requests
        self.n_bytes += reader.n_bytes
        return content


def open_zarr(
    source: Asset | str,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    cache_limit_bytes: int = CACHE_LIMIT_BYTES,
    policy: RetryPolicy | None = None,
    instance: str | None = None,
) -> RemoteZarr:
    """Open a remote Zarr asset for reading.

    Parameters
    ----------
    source, cache_dir, cache_limit_bytes, policy, instance
        As for `nwb_cascade.dandi.stream.open_remote`.

    Returns
    -------
    RemoteZarr
        URL and options for hdmf-zarr or zarr; nothing is read yet.

    Raises
    ------
    InputError
        If the asset is no Zarr store.
    LookupError, PermissionError, RemoteError
        As for `open_remote`.
    """
    asset = with_record(find_asset(source, instance=instance) if isinstance(source, str) else source)
    if asset.kind != "zarr":
        raise InputError(f"Expected a Zarr store, received {asset.address}, which is a single file: use open_remote.")
    store = ExtentStore(Path(cache_dir) if cache_dir else default_folder(), cache_limit_bytes)
    fsspec.register_implementation(PROTOCOL, RemoteZarrFileSystem, clobber=True)
    options = {"asset": asset, "store": store, "policy": policy, "number": next(_numbers)}
    filesystem = fsspec.filesystem(PROTOCOL, **options)
    return RemoteZarr(asset, filesystem, {**options, "exceptions": (KeyError,)})


def listing_prefix(key: str) -> str:
    """Return the prefix to list for finding an object: its array, or the descriptions of its group.

    Examples
    --------
    >>> listing_prefix("acquisition/dff/data/0.3"), listing_prefix("a/data/0/3"), listing_prefix("a/.zarray")
    ('acquisition/dff/data/', 'a/data/', 'a/.')
    >>> listing_prefix(".zmetadata")
    '.'
    """
    parent, slash, name = key.rpartition("/")
    if name.startswith("."):
        return f"{parent}{slash}."
    chunk = re.fullmatch(r"(.*?/)\d+(?:[./]\d+)*", key)
    return chunk[1] if chunk else key
