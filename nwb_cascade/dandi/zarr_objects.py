"""The objects of a remote Zarr asset: listed by the archive, fetched once, kept on disk."""

from __future__ import annotations

import itertools
import re
import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from dandi.consts import DandiInstance
from dandi.dandiapi import DandiAPIClient

from nwb_cascade.dandi.assets import Asset, reading
from nwb_cascade.dandi.client import PAGE_SIZE
from nwb_cascade.dandi.link import Link, RetryPolicy, Sessions, token_of
from nwb_cascade.dandi.store import ExtentStore
from nwb_cascade.dandi.transport import RangeReader
from nwb_cascade.errors import RemoteChangedError

N_CONNECTIONS = 4


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
        self._known: dict[str, StoredObject] = {}
        self._listed: dict[str, bool] = {}  # prefixes that were asked for, and whether all below them is known
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
        if not may_be_object(key):
            return None
        wider = listing_prefixes(key)
        with self._listing:
            for prefix in wider:
                if key in self._known or self._look(prefix, all_pages=prefix == wider[-1]):
                    break
            return self._known.get(key)

    def has_below(self, folder: str) -> bool:
        """Whether there are objects whose key starts with that of a folder, which ends with a slash."""
        if not may_be_object(f"{folder}0"):
            return False
        with self._listing:
            prefixes = iter(listing_prefixes(f"{folder}0"))
            while not any(key.startswith(folder) for key in self._known):
                prefix = next(prefixes, None)
                if prefix is None or self._look(prefix):
                    break
            return any(key.startswith(folder) for key in self._known)

    def entries(self, prefix: str) -> dict[str, StoredObject]:
        """List all objects whose key starts with a prefix."""
        with self._listing:
            if not self._look(""):
                self._look(prefix, all_pages=True)
            return {key: entry for key, entry in self._known.items() if key.startswith(prefix)}

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

    def _look(self, prefix: str, *, all_pages: bool = False) -> bool:
        """Ask the archive once for objects whose key starts with a prefix; returns whether all of them are known."""
        if any(is_all for listed, is_all in self._listed.items() if prefix.startswith(listed)):
            return True
        if prefix not in self._listed or all_pages:
            with self._client() as client:
                pages = client.paginate(f"/zarr/{self.asset.content_id}/files/", params={"prefix": prefix})
                found = list(pages if all_pages else itertools.islice(pages, PAGE_SIZE))
                self._known |= {page["Key"]: StoredObject(page["Size"], page["ETag"].strip('"')) for page in found}
            self._listed[prefix] = all_pages or len(found) < PAGE_SIZE
        return self._listed[prefix]

    def _client(self) -> AbstractContextManager[DandiAPIClient]:
        """A connection to the archive, with its failures in words."""
        return reading(DandiInstance(self.asset.instance, None, self.asset.api_url), self.asset.address)

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


def may_be_object(key: str) -> bool:
    """Tell whether a key can be one of Zarr: a description, which has nothing below it, or a chunk.

    Examples
    --------
    >>> [may_be_object(key) for key in ("a/.zarray", "a/0.3", "a/b", "a/.zgroup/.zarray")]
    [True, True, False, False]
    """
    *above, name = key.split("/")
    return re.match(r"[.\d]", name) is not None and not any(one.startswith(".z") for one in above)


def listing_prefixes(key: str) -> list[str]:
    """Return the prefixes to list for finding an object, the widest first; the last holds its array's objects only.

    Examples
    --------
    >>> listing_prefixes("acquisition/dff/data/0.3"), listing_prefixes("a/data/0/3")
    (['', 'acquisition/', 'acquisition/dff/', 'acquisition/dff/data/'], ['', 'a/', 'a/data/'])
    >>> listing_prefixes("a/b/.zarray"), listing_prefixes(".zmetadata")
    (['', 'a/', 'a/b/.'], ['', '.'])
    """
    parts = re.sub(r"/\d+(?:[./]\d+)*$", "/0", key).split("/")
    folders = ["/".join([*parts[:n], ""]) if n else "" for n in range(len(parts))]
    if not parts[-1].startswith("."):
        return folders
    return [*(folders[:-1] or folders), f"{folders[-1]}."]
