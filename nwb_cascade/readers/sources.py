"""Recordings wherever they are: paths on disk, addresses on the web, assets of an archive, opened the same way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from nwb_cascade.dandi.address_forms import is_remote as is_address
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import size
from nwb_cascade.files.fence import fenced
from nwb_cascade.readers.folders import require_recording

if TYPE_CHECKING:
    from nwb_cascade.dandi.assets import Asset
    from nwb_cascade.dandi.stream import StreamSettings
    from nwb_cascade.nwb.files import NWBSource

Source: TypeAlias = "str | PathLike[str] | Asset"
Result = TypeVar("Result")


def is_remote(source: Source) -> bool:
    """Tell whether a source is an address or an asset, not a path."""
    return is_address(source) if isinstance(source, str) else not isinstance(source, os.PathLike)


def name_of(source: Source) -> str:
    """Return the path or address of a source."""
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else source.address


def named(text: str) -> str:
    """Return the text that names a recording; InputError if it is empty, which would mean the current folder."""
    if not text:
        raise InputError("Expected a path or address of a recording, received an empty text: a variable without value?")
    return text


def in_a_fence(file: NWBSource, work: Callable[[Any], Result]) -> Result:
    """Return what comes of work with what `opened` gave, where it does no harm: see `nwb_cascade.files.fence`."""
    if isinstance(file, Path):
        return fenced(str(file), lambda: work(file), n_bytes=size(file) if file.exists() else 0)
    return cast(Result, file.fenced(work))  # type: ignore[union-attr]  # remote


def expand(source: str, *, instance: str | None = None) -> Iterator[Path | Asset]:
    """Yield the recordings that a path or an address means: a dandiset, folder or glob on DANDI holds several.

    Parameters
    ----------
    source : str
        A path, or an address as `nwb_cascade.dandi.urls.parse_address` takes it.
    instance : str, optional
        DANDI instance for an address that names none.

    Raises
    ------
    InputError, LookupError, PermissionError, RemoteError
        As `nwb_cascade.dandi.assets.list_assets`.
    """
    if not is_remote(named(source)):
        yield Path(source)
        return
    from nwb_cascade.dandi.assets import list_assets

    yield from list_assets(source, instance=instance)


@contextmanager
def opened(
    source: Source, streaming: StreamSettings | None = None, *, asked: Sequence[str] = ()
) -> Iterator[tuple[NWBSource, Mapping[str, str]]]:
    """Open a recording for `nwb_cascade.nwb`, and close it at the end of the context.

    Parameters
    ----------
    source : path, str or Asset
        Path, address or asset.
    streaming : StreamSettings, optional
        How remote files are read.
    asked : sequence of str
        Options of the command, for one that is proposed instead.

    Yields
    ------
    (NWBSource, mapping of str to str)
        What `nwb_cascade.nwb.files.open_nwb` takes, and where it comes from; of a path nothing is said.

    Raises
    ------
    InputError, LookupError, PermissionError, RemoteError
        As `nwb_cascade.dandi.stream.open_remote`; for a path, which is opened later, only if it is a folder of
        other things.
    """
    if not is_remote(source):
        path = Path(name_of(source))
        require_recording(path, asked)
        yield path, {}
        return
    from nwb_cascade.dandi.stream import StreamSettings, open_remote
    from nwb_cascade.dandi.zarr_store import open_zarr

    settings = streaming or StreamSettings()
    asset = settings.asset(source)  # type: ignore[arg-type]  # no path
    if asset.kind == "zarr":
        zarr = open_zarr(asset, settings)
        yield zarr, provenance_of(zarr.asset)
        return
    with open_remote(asset, settings) as file:
        yield file, provenance_of(file.asset)


def is_private(file: NWBSource) -> bool:
    """Tell whether what `opened` gave is remote and not everybody may read it."""
    asset: Asset | None = getattr(file, "asset", None)
    return asset is not None and asset.is_private


def provenance_of(asset: Asset) -> dict[str, str]:
    """Return what identifies an asset for ever, without secrets; what is unknown is left out."""
    known = {
        "address": asset.address,
        "dandi_instance": asset.instance,
        "dandiset": asset.dandiset,
        "dandiset_version": asset.version,
        "asset_id": asset.asset_id,
        "asset_path": asset.path,
        "asset_modified": asset.modified,
        "content_id": asset.content_id,
        "digest": asset.digest,
        "sha256": asset.sha256,
    }
    return {name: value for name, value in known.items() if value}
