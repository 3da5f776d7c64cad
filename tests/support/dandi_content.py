"""What the DANDI test server holds: dandisets, versions, assets, blobs and Zarr trees, and their JSON forms."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dandi.consts import DRAFT
from dandi.support.digests import get_zarr_checksum
from dandischema.consts import DANDI_SCHEMA_VERSION
from dandischema.digests.dandietag import DandiETag
from dandischema.exceptions import JsonschemaValidationError, PydanticValidationError
from dandischema.metadata import validate

Json = dict[str, Any]
DATE = "2024-01-01T00:00:00Z"
COMPLETE: Json = {  # what the archive calls valid, when somebody has filled in its form
    "schemaKey": "Dandiset",
    "schemaVersion": DANDI_SCHEMA_VERSION,
    "name": "Rates of mine",
    "description": "Spike rates.",
    "contributor": [
        {
            "schemaKey": "Person",
            "name": "Doe, Jane",
            "email": "jane@example.org",
            "roleName": ["dcite:ContactPerson"],
            "includeInCitation": True,
        }
    ],
    "license": ["spdx:CC-BY-4.0"],
}
COMPUTED = ("identifier", "id", "version", "url", "manifestLocation", "citation", "dateCreated", "assetsSummary")


@dataclass(frozen=True)
class Blob:
    """A stored file: its content, and the etag under which storage hands it out."""

    content: bytes
    blob_id: str
    etag: str

    @classmethod
    def from_bytes(cls, content: bytes) -> Blob:
        """Digest some content the way DANDI does; the id depends on the content alone."""
        return cls(content, _identifier("blob", hashlib.sha256(content).digest()), dandi_etag(content))

    @property
    def key(self) -> str:
        """Path in the bucket, as the archive lays it out."""
        return f"blobs/{self.blob_id[:3]}/{self.blob_id[3:6]}/{self.blob_id}"


@dataclass(frozen=True)
class ZarrTree:
    """A stored Zarr: a local folder served key by key."""

    folder: Path
    zarr_id: str
    checksum: str

    @classmethod
    def from_folder(cls, folder: Path) -> ZarrTree:
        """Digest a folder the way DANDI does."""
        return cls(folder, _identifier("zarr", str(folder).encode()), get_zarr_checksum(folder))

    def entries(self, prefix: str = "") -> Iterator[Json]:
        """Yield key, size and etag of every file whose key starts with the prefix, in the order of the keys."""
        for path in sorted(p for p in self.folder.rglob("*") if p.is_file()):
            key = path.relative_to(self.folder).as_posix()
            if key.startswith(prefix):
                content = path.read_bytes()
                etag = hashlib.md5(content).hexdigest()
                yield {"Key": key, "Size": len(content), "ETag": etag, "LastModified": DATE}

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry["Size"] for entry in self.entries())


@dataclass(frozen=True)
class StoredAsset:
    """One file of a dandiset."""

    path: str
    stored: Blob | ZarrTree
    asset_id: str
    metadata: Json = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes stored."""
        return self.stored.size if isinstance(self.stored, ZarrTree) else len(self.stored.content)

    def brief(self) -> Json:
        """Return the form that listings hold."""
        zarr = self.stored.zarr_id if isinstance(self.stored, ZarrTree) else None
        ids: Json = {"blob": self.stored.blob_id if isinstance(self.stored, Blob) else None, "zarr": zarr}
        common = {"asset_id": self.asset_id, "path": self.path, "size": self.size}
        return {**common, **ids, "created": DATE, "modified": DATE}

    def full(self, root: str, *, embargoed: bool = False) -> Json:
        """Return the metadata record; root is the server's address."""
        if isinstance(self.stored, ZarrTree):
            digest = {"dandi:dandi-zarr-checksum": self.stored.checksum}
            storage = f"{root}/zarr/{self.stored.zarr_id}/"
        else:
            sha256 = hashlib.sha256(self.stored.content).hexdigest()
            digest = {"dandi:dandi-etag": self.stored.etag, "dandi:sha2-256": sha256}
            storage = f"{root}/{self.stored.key}"
        own = {
            "schemaKey": "Asset",
            "identifier": self.asset_id,
            "access": [
                {"schemaKey": "AccessRequirements", "status": f"dandi:{'Embargoed' if embargoed else 'Open'}Access"}
            ],
            "path": self.path,
            "contentSize": self.size,
            "contentUrl": [f"{root}/api/assets/{self.asset_id}/download/", storage],
            "digest": digest,
            "blobDateModified": DATE,
            "dateModified": DATE,
        }
        return {**self.metadata, **own}


@dataclass
class Dandiset:
    """A dandiset with its draft and its published versions, each a mapping of path to asset."""

    identifier: str
    embargoed: bool = False
    metadata: Json = field(default_factory=dict)
    versions: dict[str, dict[str, StoredAsset]] = field(default_factory=lambda: {DRAFT: {}})
    replaced: list[StoredAsset] = field(default_factory=list)  # which may be read by their ids still

    def add(self, path: str, content: bytes | Path, *, metadata: Json | None = None) -> StoredAsset:
        """Put a file (bytes or a path) or a Zarr (a folder) into the draft; replaces what has the same path."""
        return self.attach(path, store(content), metadata=metadata)

    def attach(self, path: str, stored: Blob | ZarrTree, *, metadata: Json | None = None) -> StoredAsset:
        """Put stored content into the draft under a path."""
        label = stored.zarr_id if isinstance(stored, ZarrTree) else stored.blob_id
        asset_id = _identifier(self.identifier, path.encode(), label.encode())
        asset = StoredAsset(path, stored, asset_id, dict(metadata or {}))
        before = self.versions[DRAFT].get(path)
        if before is not None and before.asset_id != asset_id:  # a Zarr that changes in place keeps its id
            self.replaced.append(before)
        self.versions[DRAFT][path] = asset
        return asset

    def publish(self, version: str) -> None:
        """Freeze the draft as a version."""
        self.versions[version] = dict(self.versions[DRAFT])

    @property
    def published(self) -> list[str]:
        """Published versions, oldest first."""
        return sorted(version for version in self.versions if version != DRAFT)

    def complaints(self, version: str) -> list[Json]:
        """Return what the archive's validation says against the metadata, by the schema of dandischema."""
        try:
            validate(self.version_metadata(version), schema_key="Dandiset", json_validation=True)
        except JsonschemaValidationError as error:
            return [{"field": ".".join(map(str, one.path)), "message": one.message} for one in error.errors]
        except PydanticValidationError as error:
            return [{"field": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in error.errors]
        except ValueError as error:  # such as of a schema's version that is not known
            return [{"field": "", "message": str(error)}]
        return []

    def version_brief(self, version: str) -> Json:
        """Return one version as listings hold it; there a draft awaits its validation for ever."""
        assets = self.versions[version].values()
        return {
            "version": version,
            "name": self.metadata.get("name", f"Dandiset {self.identifier}"),
            "asset_count": len(assets),
            "size": sum(asset.size for asset in assets),
            "created": DATE,
            "modified": DATE,
            "status": "Pending" if version == DRAFT else "Published",
        }

    def version_info(self, version: str) -> Json:
        """Return one version with what its validation says."""
        brief, found = self.version_brief(version), self.complaints(version)
        if version == DRAFT:
            brief["status"] = "Invalid" if found else "Valid"
        errors: Json = {"asset_validation_errors": [], "version_validation_errors": found}
        return {**brief, **errors, "metadata": self.version_metadata(version)}

    def version_metadata(self, version: str) -> Json:
        """Return the dandiset's own metadata with what the archive itself knows."""
        brief = self.version_brief(version)
        place = f"http://127.0.0.1/dandisets/{self.identifier}/versions/{version}/"
        own = {
            "identifier": f"DANDI:{self.identifier}",
            "id": f"DANDI:{self.identifier}/{version}",
            "version": version,
            "url": place,
            "manifestLocation": [f"{place}assets/"],
            "citation": f"{brief['name']}. {place}",
            "dateCreated": DATE,
            "assetsSummary": {
                "schemaKey": "AssetsSummary",
                "numberOfBytes": brief["size"],
                "numberOfFiles": brief["asset_count"],
            },
        }
        return {"name": brief["name"], **self.metadata, **own}

    def brief(self) -> Json:
        """Return the form that listings hold."""
        newest = self.version_brief(self.published[-1]) if self.published else None
        return {
            "identifier": self.identifier,
            "created": DATE,
            "modified": DATE,
            "contact_person": "Doe, Jane",
            "embargo_status": "EMBARGOED" if self.embargoed else "OPEN",
            "most_recent_published_version": newest,
            "draft_version": self.version_brief(DRAFT),
        }

    def listing(self, version: str, *, prefix: str = "", glob: str = "", order: str = "") -> list[StoredAsset]:
        """Return the assets of a version whose path starts with a prefix and matches a glob."""
        pattern = re.compile(re.escape(glob).replace(r"\*", ".*") if glob else ".*", flags=re.I)
        assets = self.versions[version].values()
        chosen = [a for a in assets if a.path.startswith(prefix) and pattern.fullmatch(a.path)]
        return sorted(chosen, key=lambda asset: asset.path, reverse=order.startswith("-")) if order else chosen


@dataclass
class Archive:
    """All dandisets of a server."""

    dandisets: dict[str, Dandiset] = field(default_factory=dict)

    def add(self, identifier: str, *, embargoed: bool = False, metadata: Json | None = None) -> Dandiset:
        """Create an empty dandiset."""
        self.dandisets[identifier] = Dandiset(identifier, embargoed, dict(metadata or {}))
        return self.dandisets[identifier]

    def assets(self) -> Iterator[tuple[Dandiset, StoredAsset]]:
        """Yield every asset of every version, and those that were replaced, with its dandiset."""
        for dandiset in self.dandisets.values():
            yield from ((dandiset, asset) for asset in dandiset.replaced)
            for assets in dandiset.versions.values():
                for asset in assets.values():
                    yield dandiset, asset

    def by_key(self, key: str) -> tuple[bool, bytes, str] | None:
        """Find an object of the bucket; returns (embargoed, content, etag) or None."""
        for dandiset, asset in self.assets():
            if isinstance(asset.stored, Blob) and asset.stored.key == key:
                return dandiset.embargoed, asset.stored.content, asset.stored.etag
            if isinstance(asset.stored, ZarrTree) and key.startswith(f"zarr/{asset.stored.zarr_id}/"):
                path = asset.stored.folder / key.split("/", 2)[2]
                if path.is_file():
                    content = path.read_bytes()
                    return dandiset.embargoed, content, hashlib.md5(content).hexdigest()
        return None

    def overwrite(self, asset: StoredAsset, content: bytes) -> None:
        """Replace the bytes behind a blob without a new id, as a broken storage would."""
        for dandiset, found in list(self.assets()):
            if isinstance(found.stored, Blob) and found.stored == asset.stored:
                fresh = replace(found.stored, content=content, etag=dandi_etag(content))
                for version in dandiset.versions.values():
                    if version.get(found.path) == found:
                        version[found.path] = replace(found, stored=fresh)


def store(content: bytes | Path) -> Blob | ZarrTree:
    """Take in a file's bytes, a file or a Zarr folder."""
    if isinstance(content, Path):
        return ZarrTree.from_folder(content) if content.is_dir() else Blob.from_bytes(content.read_bytes())
    return Blob.from_bytes(content)


def dandi_etag(content: bytes) -> str:
    """Return the etag that S3 gives to a file uploaded in DANDI's parts."""
    if not content:
        return hashlib.md5(b"").hexdigest() + "-1"
    etag = DandiETag(len(content))
    for part in etag.get_parts():
        etag.update(content[part.offset : part.offset + part.size])
    return str(etag.as_str())


def _identifier(*parts: str | bytes) -> str:
    """Return a UUID made from its parts, so that every run of a test sees the same ones."""
    raw = b"/".join(part.encode() if isinstance(part, str) else part for part in parts)
    return str(uuid.UUID(bytes=hashlib.sha256(raw).digest()[:16]))
