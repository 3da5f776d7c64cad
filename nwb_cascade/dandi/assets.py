"""Assets: from an address to the files that it means, each with all that is needed to find it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import requests
from dandi.consts import DRAFT, DandiInstance
from dandi.dandiapi import BaseRemoteAsset, DandiAPIClient, RemoteAsset, RemoteDandiset
from dandi.dandiarchive import AssetItemURL, ParsedDandiURL, SingleAssetURL
from dandi.exceptions import NotFoundError

from nwb_cascade.dandi.client import connect, owns_a_token, token_variable
from nwb_cascade.dandi.urls import FileURL, parse_address
from nwb_cascade.errors import InputError, RemoteError
from nwb_cascade.files.connections import why

NWB_SUFFIXES = (".nwb", ".nwb.zarr")
OPEN_ACCESS = "dandi:OpenAccess"  # dandischema.models.AccessType
DIGESTS = {"blob": "dandi:dandi-etag", "zarr": "dandi:dandi-zarr-checksum"}


@dataclass(frozen=True)
class Asset:
    """One file of an archive: small, picklable, free of secrets; a worker opens it by itself.

    Parameters
    ----------
    path : str
        Path within the dandiset.
    kind : {"blob", "zarr"}
        One file, or a Zarr store.
    size : int
        Bytes; -1 for a plain URL that was not opened yet.
    content_id : str
        Id of the stored content; other content has another id. For a plain URL the URL without its query, which
        may be the secret of a signed link.
    instance, api_url : str
        Name and API URL of the DANDI instance; empty for a plain URL.
    dandiset, version, asset_id : str
        Identifiers within the instance; empty where the address did not tell.
    modified : str
        When it was last changed, ISO 8601; empty if unknown.
    digest : str
        DANDI etag of a blob, checksum of a Zarr; empty until `with_record` or `find_asset` asked for it.
    sha256 : str
        SHA-256 of a blob; empty if unknown or not yet computed by the archive.
    storage_url : str
        Where the content lies in the archive's storage; empty as long as the digest. For a plain URL the URL.
    is_private : bool
        Whether not everybody may read it: embargoed, as its record says, or a plain URL with a query, such as a signed
        link. False as long as there is no digest.
    """

    path: str
    kind: Literal["blob", "zarr"]
    size: int
    content_id: str
    instance: str = ""
    api_url: str = ""
    dandiset: str = ""
    version: str = ""
    asset_id: str = ""
    modified: str = ""
    digest: str = ""
    sha256: str = ""
    storage_url: str = ""
    is_private: bool = False

    @property
    def address(self) -> str:
        """The address by which a person finds the asset again."""
        if not self.api_url:
            return self.content_id
        if not self.dandiset:
            return f"{self.api_url}/assets/{self.asset_id}/"
        return f"dandi://{self.instance}/{self.dandiset}@{self.version}/{self.path}"

    @property
    def download_url(self) -> str:
        """URL of the API that leads to a blob's content by a link that works for some hours."""
        return f"{self.api_url}/assets/{self.asset_id}/download/" if self.api_url else self.storage_url


def list_assets(sources: str | Iterable[str], *, instance: str | None = None) -> Iterator[Asset]:
    """Yield the NWB assets that addresses mean, page by page, without digests.

    Parameters
    ----------
    sources : str or iterable of str
        Addresses as `nwb_cascade.dandi.urls.parse_address` takes them. Of a dandiset, folder or glob the assets
        whose name ends with ``.nwb`` or ``.nwb.zarr`` are taken; one that is named itself is taken as it is.
    instance : str, optional
        Instance for addresses that name none.

    Raises
    ------
    InputError
        If an address cannot be understood.
    LookupError
        If there is no such dandiset, version or asset.
    PermissionError
        If the dandiset is embargoed and there is no token, or a wrong one.
    RemoteError
        If the server does not answer.
    """
    for source in [sources] if isinstance(sources, str) else sources:
        address = parse_address(source, instance=instance)
        if isinstance(address, FileURL):
            yield _plain(address)
            continue
        with reading(address.instance, source) as client:
            found = False
            for asset in _listed(client, address):
                found = True
                yield _as_asset(address, asset)
            if not found:
                raise NotFoundError(source)


def find_asset(source: str, *, instance: str | None = None) -> Asset:
    """Return the one asset that an address means, with its digests and storage URL.

    Raises
    ------
    LookupError
        If there is none, or more than one.
    InputError, PermissionError, RemoteError
        As `list_assets`.
    """
    assets = list_assets(source, instance=instance)
    asset = next(assets)
    if (other := next(assets, None)) is not None:
        raise LookupError(
            f"Expected the address of one file; {source} holds {asset.path}, {other.path} and maybe more."
        )
    return with_record(asset)


def with_record(asset: Asset) -> Asset:
    """Return the asset with digests and storage URL from its metadata record (one request, if not yet there)."""
    if asset.digest or not asset.api_url:
        return asset
    instance = DandiInstance(asset.instance, None, asset.api_url)
    with reading(instance, asset.address) as client:
        return _with(asset, client.get(f"/assets/{asset.asset_id}/"))


def is_nwb(path: str) -> bool:
    """Tell by its name whether an asset is an NWB file."""
    return path.lower().endswith(NWB_SUFFIXES)


def _plain(address: FileURL) -> Asset:
    """An asset for the URL of a file; its size is found out when it is opened."""
    plain, mark, _ = address.url.partition("?")
    return Asset(address.path, "blob", -1, plain, storage_url=address.url, is_private=bool(mark))


def _listed(client: DandiAPIClient, address: ParsedDandiURL) -> Iterator[BaseRemoteAsset]:
    """List what an address means; only NWB files unless it names the file."""
    if isinstance(address, AssetItemURL):
        yield from _item(_versioned(client, address), address.path)
        return
    if address.dandiset_id is not None:
        address = replace(address, version_id=_versioned(client, address).version_id)
    for asset in address.get_assets(client, strict=False):
        if isinstance(address, SingleAssetURL) or is_nwb(asset.path):
            yield asset


def _versioned(client: DandiAPIClient, address: ParsedDandiURL) -> RemoteDandiset:
    """The dandiset in the version asked for, by default the newest published one."""
    dandiset = client.get_dandiset(str(address.dandiset_id), address.version_id)
    _ = dandiset.version_id  # asks the server if the address gives none
    return dandiset


def _item(dandiset: RemoteDandiset, path: str) -> Iterator[RemoteAsset]:
    """The asset of a path, or the NWB files of the folder of that name."""
    below = path.rstrip("/") + "/"
    found = False
    for asset in dandiset.get_assets_with_path_prefix(path):
        if asset.path == path or (asset.path.startswith(below) and is_nwb(asset.path)):
            found = True
            yield asset
    if not found:
        raise NotFoundError(f"No asset {path}")


def _as_asset(address: ParsedDandiURL, found: BaseRemoteAsset) -> Asset:
    """Keep what identifies an asset; the client has its record already if the address gave the id."""
    blob, zarr = getattr(found, "blob", None), getattr(found, "zarr", None)
    asset = Asset(
        path=found.path,
        kind="blob" if zarr is None else "zarr",
        size=found.size,
        content_id=str(blob or zarr),
        instance=address.instance.name,
        api_url=address.instance.api.rstrip("/"),
        dandiset=getattr(found, "dandiset_id", ""),
        version=getattr(found, "version_id", ""),
        asset_id=found.identifier,
        modified=found.modified.isoformat(),
    )
    return _with(asset, found.get_raw_metadata()) if hasattr(address, "asset_id") else asset


def _with(asset: Asset, record: dict[str, Any]) -> Asset:
    """Add what the metadata record says."""
    digests = record.get("digest", {})
    stored = [url for url in record.get("contentUrl", []) if not url.lower().startswith(asset.api_url.lower())]
    return replace(
        asset,
        digest=digests.get(DIGESTS[asset.kind], ""),
        sha256=digests.get("dandi:sha2-256", ""),
        storage_url=stored[0] if stored else "",
        is_private=any(one.get("status") != OPEN_ACCESS for one in record.get("access") or ()),
    )


@contextmanager
def clear_errors(instance: DandiInstance, source: str) -> Iterator[None]:
    """Turn what dandi's client raises into one sentence that says what to do."""
    try:
        yield
    except NotFoundError as error:
        raise LookupError(_what_is_missing(instance, source)) from error
    except requests.HTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status in (401, 403):
            raise PermissionError(_what_is_forbidden(instance, source)) from error
        if status == 404:
            raise LookupError(_what_is_missing(instance, source)) from error
        raise RemoteError(f"{instance.name} answers {status} for {source}: try again later.") from error
    except requests.JSONDecodeError as error:
        raise RemoteError(_what_is_malformed(instance, source)) from error
    except requests.RequestException as error:
        raise RemoteError(f"{instance.name} does not answer for {source}: {why(error)}.") from error


@contextmanager
def reading(instance: DandiInstance, source: str) -> Iterator[DandiAPIClient]:
    """Connect to an archive for reading, with its failures in words, and answers that are none of an archive."""
    try:
        with connect(instance) as client, clear_errors(instance, source):
            yield client
    except (InputError, PermissionError, RemoteError):
        raise
    except (
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        ValueError,
        RecursionError,
    ) as error:  # of what reads answers
        raise RemoteError(_what_is_malformed(instance, source)) from error


def _what_is_malformed(instance: DandiInstance, source: str) -> str:
    return (
        f"{instance.name} does not answer as a DANDI archive does when asked for {source}: it is out of order, or "
        "something else. Check the address, or try again later."
    )


def _what_is_missing(instance: DandiInstance, source: str) -> str:
    """Find out which part of an address does not exist."""
    address = parse_address(source, instance=instance.api)
    dandiset_id = getattr(address, "dandiset_id", None)
    if dandiset_id is None:
        return f"There is no asset {source} on {instance.name}."
    with connect(instance) as client:
        try:
            dandiset = client.get_dandiset(dandiset_id, lazy=False)
            versions = [version.identifier for version in dandiset.get_versions()]
        except (NotFoundError, requests.RequestException):
            return f"There is no dandiset {dandiset_id} on {instance.name}; check its number."
    version = getattr(address, "version_id", None) or dandiset.version_id
    if version not in versions:
        listed = ", ".join([*sorted(set(versions) - {DRAFT}), *sorted(set(versions) & {DRAFT})])
        return f"Dandiset {dandiset_id} on {instance.name} has no version {version}; it has {listed}."
    if not isinstance(address, SingleAssetURL):
        return f"{source} holds no NWB file (*.nwb, *.nwb.zarr) in version {version}."
    path = getattr(address, "path", None) or getattr(address, "asset_id", "")
    return f"Dandiset {dandiset_id}@{version} on {instance.name} has no asset {path}; check its path and the version."


def _what_is_forbidden(instance: DandiInstance, source: str) -> str:
    """Say which token is missing, or that the one given is wrong; never what it is."""
    variable = token_variable(instance)
    with connect(instance) as client:
        has_token = "Authorization" in client.session.headers
    if has_token:
        return f"{instance.name} refuses the API key in {variable} for {source}: it is wrong, or has no access there."
    also = "" if owns_a_token(instance) else f" and DANDI_INSTANCE to {instance.api}"
    return f"{source} is embargoed: set the environment variable {variable} to an API key that has access{also}."
