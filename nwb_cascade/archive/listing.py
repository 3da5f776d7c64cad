"""Recordings that folders, globs, files and addresses on DANDI mean, each as plain values for a worker."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import require_plain
from nwb_cascade.readers.sources import is_remote, named

if TYPE_CHECKING:
    from nwb_cascade.dandi.assets import Asset

SUFFIXES = (".nwb", ".nwb.zarr")
EDGE_BYTES = 2**16

Source = Mapping[str, Any]


def list_sources(given: Iterable[str], *, instance: str | None = None) -> Iterator[Source]:
    """Yield every recording that folders, globs, files and addresses mean.

    Parameters
    ----------
    given : iterable of str
        A folder stands for all ``.nwb`` and ``.nwb.zarr`` below it; what is no path is taken for an address, see
        `nwb_cascade.dandi.assets.list_assets`.
    instance : str, optional
        DANDI instance for addresses that name none.

    Yields
    ------
    mapping
        ``kind`` (``file`` or ``asset``), ``address``, ``content_id``, and what else is needed to open it.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or a folder or glob holds no recording.
    InputError, LookupError, PermissionError, RemoteError
        As `list_assets`.
    """
    for text in map(named, given):
        if is_remote(text):
            yield from _assets(text, instance)
        else:
            yield from map(local_source, _local_paths(text))


def local_source(path: Path) -> Source:
    """Describe a recording on disk; a file that cannot be read gets an empty content id."""
    try:
        require_plain(path)
        identifier = content_id(path)
    except (OSError, InputError):
        identifier = ""
    return {"kind": "file", "address": str(path), "content_id": identifier}


def open_source(source: Source) -> Any:
    """Return what `nwb_cascade.annotate` takes: a path, or an Asset.

    Raises
    ------
    InputError
        If the file was changed since it was listed.
    """
    if source["kind"] == "asset":
        return as_asset(source)
    path = Path(source["address"])
    if path.exists() and content_id(path) != source["content_id"]:
        raise InputError(f"{path} was changed since the manifest was planned: plan again.")
    return path


def as_asset(source: Source) -> Asset:
    """Return the asset of a source."""
    from nwb_cascade.dandi.assets import Asset

    return Asset(**source["asset"])


def content_id(path: Path) -> str:
    """Return a text that changes when a file on disk is written to, without reading all of it.

    It is made of size, time of change and both ends of a file; for a Zarr store of names, sizes and times.
    """
    digest = hashlib.sha256()
    if path.is_dir():
        for part in sorted(p for p in path.rglob("*") if p.is_file()):
            status = part.stat()
            digest.update(f"{part.relative_to(path)} {status.st_size} {status.st_mtime_ns}\n".encode())
        return f"local:{digest.hexdigest()}"
    status = path.stat()
    digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    with open(path, "rb") as file:
        digest.update(file.read(EDGE_BYTES))
        file.seek(max(0, status.st_size - EDGE_BYTES))
        digest.update(file.read(EDGE_BYTES))
    return f"local:{digest.hexdigest()}"


def _assets(text: str, instance: str | None) -> Iterator[Source]:
    from nwb_cascade.dandi.assets import list_assets

    for asset in list_assets(text, instance=instance):
        if asset.storage_url != asset.content_id and not asset.api_url:
            raise InputError(
                f"Expected an address that lasts, received the signed link {asset.content_id}?…: its signature expires "
                "and is a secret. Give the address of the asset."
            )
        yield {"kind": "asset", "address": asset.address, "content_id": asset.content_id, "asset": asdict(asset)}


def _local_paths(text: str) -> list[Path]:
    """Recordings that a path or glob means, sorted."""
    path = Path(text).expanduser()
    matches = [path] if path.exists() else [Path(match) for match in glob.glob(str(path), recursive=True)]
    if not matches:
        raise FileNotFoundError(f"Expected recordings at {text}, there is no such file or folder. Check its spelling.")
    found = [p for match in matches for p in (_below(match) if _is_plain_folder(match) else [match])]
    if not found:
        raise FileNotFoundError(f"Expected recordings ({', '.join('*' + s for s in SUFFIXES)}) in {text}, found none.")
    return sorted({p.resolve() for p in found})


def _below(folder: Path) -> Iterator[Path]:
    """Recordings below a folder, but none in hidden folders and nothing inside a Zarr store."""
    for where, folders, files in os.walk(folder):
        names = [*files, *(name for name in folders if not _is_plain_folder(Path(where, name)))]
        folders[:] = [name for name in folders if name not in names and not name.startswith(".")]
        yield from (Path(where, name) for name in names if name.endswith(SUFFIXES) and not name.startswith("."))


def _is_plain_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.endswith(".zarr")
