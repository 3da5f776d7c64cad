"""The answers of the DANDI test server, without sockets: API, pagination, access, signed links, storage."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from dandischema.consts import DANDI_SCHEMA_VERSION

from tests.support.dandi_content import Archive, Dandiset, Json, StoredAsset, ZarrTree

MAX_PAGE = 1000


@dataclass(frozen=True)
class Request:
    """One request; `query` holds the last value of each parameter."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    authorization: str | None = None
    body: bytes = b""

    def json(self) -> Json:
        """Parse the body."""
        parsed: Json = json.loads(self.body)
        return parsed


@dataclass(frozen=True)
class Response:
    """One answer; `etag` marks an object of the storage, which may be asked for in ranges."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    etag: str | None = None


class RefusedError(Exception):
    """An answer other than 2xx, raised where it is found out."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.response = as_json(detail if status == 403 else {"detail": detail}, status=status)


class Routes:
    """Answers requests from an archive.

    Parameters
    ----------
    archive : Archive
        What the server holds; may be changed while it runs.
    root : str
        Address of the server, ``http://127.0.0.1:PORT``.
    token : str
        The API key of the one user, who owns every embargoed dandiset.
    """

    def __init__(self, archive: Archive, root: str, token: str) -> None:
        self.archive = archive
        self.root = root
        self.token = token
        self._signatures = itertools.count(1)
        self._valid: set[str] = set()
        self._lock = threading.Lock()
        self.patterns = [(re.compile(pattern), getattr(self, name)) for pattern, name in self.routes()]

    def routes(self) -> list[tuple[str, str]]:
        """List the paths served, as regular expressions with the methods that answer them."""
        dandiset = r"/api/dandisets/(?P<dandiset>[0-9]{6})/"
        version = dandiset + r"versions/(?P<version>[^/]+)/"
        asset = r"assets/(?P<asset_id>[^/]+)/"
        return [
            (r"/api/info/?", "info"),
            (r"/api/auth/token/?", "auth_token"),
            (r"/api/dandisets/?", "dandisets"),
            (dandiset, "dandiset"),
            (dandiset + r"versions/?", "versions"),
            (version + r"info/", "version_info"),
            (version, "version_metadata"),
            (version + r"assets/", "assets"),
            (f"(?:{version}|/api/)" + asset, "asset"),
            (f"(?:{version}|/api/)" + asset + r"info/", "asset_info"),
            (f"(?:{version}|/api/)" + asset + r"download/?", "download"),
            (r"/api/zarr/(?P<zarr_id>[^/]+)/?", "zarr"),
            (r"/api/zarr/(?P<zarr_id>[^/]+)/files", "zarr_files_elsewhere"),
            (r"/api/zarr/(?P<zarr_id>[^/]+)/files/", "zarr_files"),
            (r"/(?P<key>(?:blobs|zarr)/.+)", "stored_object"),
        ]

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        try:
            self._check_token(request)
            for pattern, method in self.patterns:
                if match := pattern.fullmatch(request.path):
                    response: Response = method(request, **match.groupdict())
                    return response
            raise RefusedError(404, f"Not found: {request.path}")
        except RefusedError as refusal:
            return refusal.response

    def expire_links(self) -> None:
        """Make every signed link handed out so far invalid."""
        with self._lock:
            self._valid.clear()

    # -- API -------------------------------------------------------------------------------------------------

    def info(self, request: Request) -> Response:
        url = f"{self.root}/api"
        return as_json(
            {
                "version": "0.0.0",
                "schema_version": DANDI_SCHEMA_VERSION,
                "schema_url": "",
                "services": {"api": {"url": url}},
                "cli-minimal-version": "0.0.0",
                "cli-bad-versions": [],
            }
        )

    def auth_token(self, request: Request) -> Response:
        if request.authorization is None:
            raise RefusedError(401, "Authentication credentials were not provided.")
        return as_json({"token": self.token})

    def dandisets(self, request: Request) -> Response:
        shown = [d for d in self.archive.dandisets.values() if not d.embargoed or self._may_read(request)]
        if request.query.get("embargoed", "").lower() != "true" and request.query.get("user") != "me":
            shown = [d for d in shown if not d.embargoed]
        return self._page(request, [d.brief() for d in sorted(shown, key=lambda d: d.identifier)])

    def dandiset(self, request: Request, dandiset: str) -> Response:
        return as_json(self._dandiset(request, dandiset).brief())

    def versions(self, request: Request, dandiset: str) -> Response:
        found = self._dandiset(request, dandiset)
        return self._page(request, [found.version_brief(version) for version in found.versions])

    def version_info(self, request: Request, dandiset: str, version: str) -> Response:
        return as_json(self._version(request, dandiset, version).version_info(version))

    def version_metadata(self, request: Request, dandiset: str, version: str) -> Response:
        return as_json(self._version(request, dandiset, version).version_metadata(version))

    def assets(self, request: Request, dandiset: str, version: str) -> Response:
        found, query = self._version(request, dandiset, version), request.query
        order, glob = query.get("order", ""), query.get("glob", "")
        listed = found.listing(version, prefix=query.get("path", ""), glob=glob, order=order)
        return self._page(request, [asset.brief() for asset in listed])

    def asset(self, request: Request, asset_id: str, **scope: str | None) -> Response:
        owner, asset = self._asset(request, asset_id, **scope)
        return as_json(asset.full(self.root, embargoed=owner.embargoed))

    def asset_info(self, request: Request, asset_id: str, **scope: str | None) -> Response:
        owner, asset = self._asset(request, asset_id, **scope)
        return as_json({**asset.brief(), "metadata": asset.full(self.root, embargoed=owner.embargoed)})

    def download(self, request: Request, asset_id: str, **scope: str | None) -> Response:
        stored = self._asset(request, asset_id, **scope)[1].stored
        if isinstance(stored, ZarrTree):
            raise RefusedError(400, "Unable to provide download link for zarr assets.")
        return self._redirect(stored.key)

    def zarr(self, request: Request, zarr_id: str) -> Response:
        tree = self._zarr(request, zarr_id)
        status = {"zarr_id": zarr_id, "status": "Complete", "checksum": tree.checksum, "size": tree.size}
        return as_json(status)

    def zarr_files_elsewhere(self, request: Request, zarr_id: str) -> Response:
        return Response(301, headers={"Location": f"{self.root}{request.path}/?{urlencode(request.query)}"})

    def zarr_files(self, request: Request, zarr_id: str) -> Response:
        tree, query = self._zarr(request, zarr_id), request.query
        prefix = query.get("prefix", "")
        if query.get("download") == "true":
            return self._redirect(f"zarr/{zarr_id}/{prefix}")
        limit = min(int(query.get("limit", MAX_PAGE)), MAX_PAGE)
        entries = [entry for entry in tree.entries(prefix) if entry["Key"] > query.get("after", "")]
        more = urlencode({**query, "after": entries[limit - 1]["Key"]}) if len(entries) > limit else None
        following = f"{self.root}{request.path}?{more}" if more else None
        return as_json({"next": following, "previous": None, "results": entries[:limit]})

    # -- storage ---------------------------------------------------------------------------------------------

    def stored_object(self, request: Request, key: str) -> Response:
        found = self.archive.by_key(key)
        signature = request.query.get("X-Amz-Signature")
        if signature is not None and signature not in self._valid:
            return as_xml(403, "AccessDenied", "Request has expired")
        if found is None:
            return as_xml(404, "NoSuchKey", "The specified key does not exist.")
        embargoed, content, etag = found
        if embargoed and signature is None:
            return as_xml(403, "AccessDenied", "Access Denied")
        return Response(200, content, {"Content-Type": "application/octet-stream"}, etag)

    # -- parts -----------------------------------------------------------------------------------------------

    def _check_token(self, request: Request) -> None:
        """Refuse a wrong token even for public things, as the archive does."""
        is_api = request.path.startswith("/api/")
        if is_api and request.authorization is not None and not self._may_read(request):
            raise RefusedError(401, "Invalid token.")

    def _may_read(self, request: Request) -> bool:
        return request.authorization == f"token {self.token}"

    def _permit(self, request: Request, dandiset: Dandiset) -> None:
        if dandiset.embargoed and not self._may_read(request):
            raise RefusedError(401, "Authentication credentials were not provided.")

    def _dandiset(self, request: Request, identifier: str) -> Dandiset:
        if identifier not in self.archive.dandisets:
            raise RefusedError(404, "Not found.")
        dandiset = self.archive.dandisets[identifier]
        self._permit(request, dandiset)
        return dandiset

    def _version(self, request: Request, dandiset: str, version: str) -> Dandiset:
        found = self._dandiset(request, dandiset)
        if version not in found.versions:
            raise RefusedError(404, "Not found.")
        return found

    def _asset(
        self, request: Request, asset_id: str, dandiset: str | None = None, version: str | None = None
    ) -> tuple[Dandiset, StoredAsset]:
        if dandiset is not None and version is not None:
            chosen = self._version(request, dandiset, version)
            candidates = [(chosen, asset) for asset in chosen.versions[version].values()]
        else:
            candidates = list(self.archive.assets())
        for owner, asset in candidates:
            if asset.asset_id == asset_id:
                self._permit(request, owner)
                return owner, asset
        raise RefusedError(404, "Not found.")

    def _zarr(self, request: Request, zarr_id: str) -> ZarrTree:
        for dandiset, asset in self.archive.assets():
            if isinstance(asset.stored, ZarrTree) and asset.stored.zarr_id == zarr_id:
                if dandiset.embargoed and not self._may_read(request):
                    raise RefusedError(403, "You do not have permission to perform this action.")
                return asset.stored
        raise RefusedError(404, "Not found.")

    def _redirect(self, key: str) -> Response:
        """Send to the storage by a link that is valid until `expire_links`."""
        with self._lock:
            signature = f"{next(self._signatures):08x}"
            self._valid.add(signature)
        query = urlencode({"X-Amz-Expires": 3600, "X-Amz-Signature": signature})
        return Response(302, headers={"Location": f"{self.root}/{key}?{query}"})

    def _page(self, request: Request, items: Sequence[Any]) -> Response:
        """Return one page of a listing; `next` repeats the request with another page number."""
        size = min(int(request.query.get("page_size", 100)), MAX_PAGE)
        page = int(request.query.get("page", 1))
        shown = list(items[(page - 1) * size : page * size])
        if not shown and page > 1:
            raise RefusedError(404, "Invalid page.")

        def link(number: int) -> str:
            return f"{self.root}{request.path}?{urlencode({**request.query, 'page': number})}"

        following = link(page + 1) if page * size < len(items) else None
        previous = link(page - 1) if page > 1 else None
        return as_json({"count": len(items), "next": following, "previous": previous, "results": shown})


def as_json(content: Any, status: int = 200) -> Response:
    """Return an answer in JSON."""
    return Response(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def as_xml(status: int, code: str, message: str) -> Response:
    """Return an error in the words of S3."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Response(status, body.encode(), {"Content-Type": "application/xml"})
