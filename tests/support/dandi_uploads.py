"""Uploads to the DANDI test server: what dandi's own uploader asks for, with parts that go to the storage."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import Any

from dandischema.digests.dandietag import DandiETag

from tests.support.dandi_content import COMPUTED, Blob, Dandiset, Json
from tests.support.dandi_routes import RefusedError, Request, Response, Routes, as_json


@dataclass
class Upload:
    """One that was begun: what it is to become, and the parts that are here."""

    etag: str
    size: int
    parts: dict[int, bytes] = field(default_factory=dict)

    def content(self) -> bytes:
        """The parts in a row; refused unless they are what was announced."""
        content = b"".join(self.parts[number] for number in sorted(self.parts))
        if len(content) != self.size or Blob.from_bytes(content).etag != self.etag:
            raise RefusedError(400, "The parts are not what was announced.")
        return content


class UploadRoutes(Routes):
    """Also takes uploads of the one user into dandisets that exist; for ``DandiServer(archive, routes=UploadRoutes)``.

    Attributes
    ----------
    received : list of (str, str)
        Methods and paths of requests that changed something.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.received: list[tuple[str, str]] = []
        self._uploads: dict[str, Upload] = {}
        self._blobs: dict[str, Blob] = {}
        self._numbers = itertools.count(1)

    def routes(self) -> list[tuple[str, str]]:
        """Those of uploads, before all others."""
        upload = r"/api/uploads/(?P<upload_id>[^/]+)/"
        storage = r"/blobs/uploads/(?P<upload_id>[^/]+)/"
        return [
            (r"/api/uploads/initialize/", "initialize"),
            (upload + "complete/", "complete"),
            (upload + "validate/", "validate"),
            (storage + r"(?P<number>\d+)", "store_part"),
            (storage + "complete", "join_parts"),
            *super().routes(),
        ]

    def answer(self, request: Request) -> Response:
        """Note what changes something."""
        if request.method in ("POST", "PUT"):
            self.received.append((request.method, request.path))
        return super().answer(request)

    def initialize(self, request: Request) -> Response:
        wanted = request.json()
        self._owned(request, wanted["dandiset"])
        etag, size = wanted["digest"]["value"], wanted["contentSize"]
        for blob in self._blobs.values():
            if blob.etag == etag:
                return Response(409, b"{}", {"Location": blob.blob_id})
        upload_id = str(next(self._numbers))
        self._uploads[upload_id] = Upload(etag, size)
        parts = [
            {
                "part_number": part.number,
                "size": part.size,
                "upload_url": f"{self.root}/blobs/uploads/{upload_id}/{part.number}",
            }
            for part in DandiETag(size).get_parts()
        ]
        return as_json({"upload_id": upload_id, "parts": parts})

    def store_part(self, request: Request, upload_id: str, number: str) -> Response:
        self._uploads[upload_id].parts[int(number)] = request.body
        return Response(200, headers={"ETag": f'"{hashlib.md5(request.body).hexdigest()}"'})

    def complete(self, request: Request, upload_id: str) -> Response:
        self._permit_changes(request)
        self._uploads[upload_id].content()
        return as_json({"complete_url": f"{self.root}/blobs/uploads/{upload_id}/complete", "body": "<Complete/>"})

    def join_parts(self, request: Request, upload_id: str) -> Response:
        etag = Blob.from_bytes(self._uploads[upload_id].content()).etag
        return Response(200, f'<Result><ETag>"{etag}"</ETag></Result>'.encode())

    def validate(self, request: Request, upload_id: str) -> Response:
        self._permit_changes(request)
        blob = Blob.from_bytes(self._uploads.pop(upload_id).content())
        self._blobs[blob.blob_id] = blob
        return as_json({"blob_id": blob.blob_id})

    def assets(self, request: Request, dandiset: str, version: str) -> Response:
        """List assets, or make one of a blob that was uploaded."""
        if request.method == "GET":
            return super().assets(request, dandiset, version)
        return self._attach(request, self._owned(request, dandiset))

    def asset(self, request: Request, asset_id: str, **scope: str | None) -> Response:
        """Return an asset's record, or replace the asset by another of the same path."""
        if request.method == "GET":
            return super().asset(request, asset_id, **scope)
        return self._attach(request, self._owned(request, str(scope["dandiset"])))

    def version_metadata(self, request: Request, dandiset: str, version: str) -> Response:
        """Return or replace the metadata of a dandiset; all of them, except what the archive itself knows."""
        if request.method == "PUT":
            given: Json = request.json()["metadata"]
            kept = {name: value for name, value in given.items() if name not in COMPUTED}
            self._owned(request, dandiset).metadata = kept
        return super().version_metadata(request, dandiset, version)

    def _attach(self, request: Request, dandiset: Dandiset) -> Response:
        wanted: Json = request.json()
        path = wanted["metadata"]["path"]
        return as_json(dandiset.attach(path, self._blobs[wanted["blob_id"]], metadata=wanted["metadata"]).brief())

    def _permit_changes(self, request: Request) -> None:
        if not self._may_read(request):
            raise RefusedError(401, "Authentication credentials were not provided.")

    def _owned(self, request: Request, dandiset: str) -> Dandiset:
        self._permit_changes(request)
        return self._dandiset(request, dandiset)
