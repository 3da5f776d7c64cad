"""The objects of a remote Zarr asset: listed by the archive, fetched once, kept on disk."""

from __future__ import annotations

import itertools
import re
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from dandi.consts import DandiInstance
from dandi.dandiapi import DandiAPIClient

from nwb_cascade.dandi.assets import Asset, clear_errors
from nwb_cascade.dandi.client import PAGE_SIZE, connect
from nwb_cascade.dandi.link import Link, RetryPolicy, Sessions, token_of
from nwb_cascade.dandi.store import ExtentStore
from nwb_cascade.dandi.transport import RangeReader
from nwb_cascade.errors import RemoteChangedError

N_CONNECTIONS = 4
WHOLE = "/"  # no key starts with it: stands for the first page of the listing of all objects


@dataclass(frozen=True)
class StoredObject:
    """An object as the archive lists it."""

    size: int
    etag: str


class ZarrObjects:
    """The objects of one Zarr asset, for any number of threads.

    Parameters
    ----------
    asset : Asset
        With digest and storage URL.
    store : ExtentStore
        Objects on disk.
    policy : RetryPolicy, optional
        How long to insist.
    """

    def __init__(self, asset: Asset, store: ExtentStore, policy: RetryPolicy | None = None) -> None:
        self.asset = asset
        self._store = store
        self._policy = policy
        self._sessions = Sessions()
        self._storage_url = asset.storage_url
        self._listed: dict[str, dict[str, StoredObject]] = {}
        self._is_small = False
        self._listing = threading.Lock()
        self._received: deque[int] = deque()
        self._ahead: dict[str, Future[bytes]] = {}
        self._pool = ThreadPoolExecutor(N_CONNECTIONS)

    @property
    def n_requests(self) -> int:
        """Objects fetched so far."""
        return len(self._received)

    @property
    def n_bytes(self) -> int:
        """Bytes of objects fetched so far."""
        return sum(self._received)

    @property
    def ahead(self) -> frozenset[str]:
        """Keys of the objects that were asked for ahead and not read yet."""
        return frozenset(self._ahead)

    def require_unchanged(self) -> None:
        """Raise RemoteChangedError unless the archive states the checksum that the asset was looked up with.

        A Zarr may change under its id, unlike a blob.
        """
        with self._client() as client:
            found = client.get(f"/zarr/{self.asset.content_id}/").get("checksum")
        if found and self.asset.digest and found != self.asset.digest:
            raise RemoteChangedError(
                f"{self.asset.address} has changed: expected the checksum {self.asset.digest}, the server states "
                f"{found}. Look the asset up again."
            )

    def find(self, key: str) -> StoredObject | None:
        """Return what the archive says of an object; None if there is none of that key."""
        return self.entries(listing_prefix(key)).get(key)

    def entries(self, prefix: str) -> dict[str, StoredObject]:
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

    def prefetch(self, keys: Iterable[str]) -> None:
        """Begin to fetch objects that `content` will be asked for; those asked for earlier are forgotten."""
        wanted = set(keys)
        for key in set(self._ahead) - wanted:
            if (forgotten := self._ahead.pop(key, None)) is not None:
                forgotten.cancel()
        for key in sorted(wanted - set(self._ahead)):
            if (entry := self.find(key)) is not None:
                self._ahead[key] = self._pool.submit(self._load, key, entry)

    def content(self, key: str, entry: StoredObject) -> bytes:
        """Return an object from the disk or from the server."""
        ahead = self._ahead.pop(key, None)
        return self._load(key, entry) if ahead is None else ahead.result()

    def _load(self, key: str, entry: StoredObject) -> bytes:
        """Read an object from the disk or fetch it."""
        if entry.size == 0:
            return b""
        stored_as, extent = f"{self.asset.content_id}/{key} {entry.etag}", (0, entry.size)
        content = self._store.load(stored_as, extent)
        if content is None:
            content = self._fetch(key, entry)
            self._store.save(stored_as, 0, content)
        return content

    def _list(self, prefix: str, *, first_page_only: bool = False) -> dict[str, StoredObject]:
        """Ask the archive for the objects whose key starts with a prefix."""
        with self._client() as client:
            listed = client.paginate(f"/zarr/{self.asset.content_id}/files", params={"prefix": prefix})
            pages = itertools.islice(listed, PAGE_SIZE) if first_page_only else listed
            return {page["Key"]: StoredObject(page["Size"], page["ETag"].strip('"')) for page in pages}

    @contextmanager
    def _client(self) -> Iterator[DandiAPIClient]:
        """A connection to the archive, with its failures in words."""
        instance = DandiInstance(self.asset.instance, None, self.asset.api_url)
        with connect(instance) as client, clear_errors(instance, self.asset.address):
            yield client

    def _fetch(self, key: str, entry: StoredObject) -> bytes:
        """Fetch an object from the storage, or by a link of the API if the storage refuses it."""
        direct = f"{self._storage_url}{quote(key)}" if self._storage_url else ""
        query = urlencode({"prefix": key, "download": "true"})
        by_api = f"{self.asset.api_url}/zarr/{self.asset.content_id}/files/?{query}"
        link = Link(f"{self.asset.address}/{key}", direct, by_api, token_of(self.asset))
        reader = RangeReader(link, size=entry.size, etag=entry.etag, policy=self._policy, sessions=self._sessions)
        content = reader.read(0, entry.size)
        if link.is_replaced:  # the storage refuses what the API lets read: embargoed
            self._storage_url = ""
        self._received.append(len(content))
        return content


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
