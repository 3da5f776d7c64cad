"""Published models by name: the registry that lists them, and the way of one onto this machine."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

from nwb_cascade.core.bounds import shown
from nwb_cascade.core.progress import Progress
from nwb_cascade.errors import ModelFileError, NoModelError
from nwb_cascade.files.download import BACKOFF_S, download, read_text
from nwb_cascade.files.replace import workplace
from nwb_cascade.models.bundle import Model
from nwb_cascade.models.folders import bundle_folder, load_if_sound
from nwb_cascade.models.import_cascade import import_cascade
from nwb_cascade.models.library import unknown_name
from nwb_cascade.models.yaml_entries import read_entries

REGISTRY_VARIABLE = "NWB_CASCADE_REGISTRY"
DEFAULT_REGISTRY = (
    "https://raw.githubusercontent.com/HelmchenLabSoftware/Cascade/master/Pretrained_models/available_models.yaml"
)
DOWNLOADS = ".downloads"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SNIFFED_BYTES = 200


@dataclass(frozen=True)
class RegistryEntry:
    """One published model.

    Parameters
    ----------
    name : str
        Name of the model.
    link : str
        Address of its archive.
    info : str
        Remark of the registry, often empty.
    sha256 : str
        Hash of the archive if the registry states one (Cascade's does not), else empty.
    """

    name: str
    link: str
    info: str = ""
    sha256: str = ""


def read_registry(
    registry: str | os.PathLike[str] | None = None, *, backoff_s: float = BACKOFF_S
) -> dict[str, RegistryEntry]:
    """Read a registry of published models.

    Parameters
    ----------
    registry : str or path, optional
        File or http(s) address of a YAML file with an entry ``Link`` (and optionally ``Info``, ``SHA256``) per
        model name. By default the variable ``NWB_CASCADE_REGISTRY``, else Cascade's own registry.

    Returns
    -------
    dict of str to RegistryEntry
        In the order of the file.

    Raises
    ------
    ModelFileError
        If it is not such a file.
    FileNotFoundError, ConnectionError
        If it cannot be read.
    """
    source = os.fspath(registry or os.environ.get(REGISTRY_VARIABLE) or DEFAULT_REGISTRY)
    if _is_url(source):
        text = read_text(source, backoff_s=backoff_s)
    else:
        text = Path(source).read_text(encoding="utf-8", errors="replace")
    values = read_entries(text, f"the registry {source}")
    return {name: _entry(name, value, source) for name, value in values.items()}


def fetch_model(
    name: str,
    *,
    registry: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    backoff_s: float = BACKOFF_S,
) -> Model:
    """Download a published model and install it; an interrupted download is resumed by the next call.

    A sound model of that name that is installed already is returned as it is, without asking the registry.

    Parameters
    ----------
    name : str
        Name in the registry.
    registry : str or path, optional
        See :func:`read_registry`.
    overwrite : bool
        Download and install even if a model of that name is installed.
    progress : callable, optional
        Called with (bytes so far, bytes in all; 0 if unknown).
    backoff_s : float
        Pause before the second attempt at a failed download, s; doubled for every further one.

    Returns
    -------
    Model
        The installed model; ``config.extra["archive"]`` records address, size and SHA-256 of the archive.

    Raises
    ------
    NoModelError
        If the registry has no such name; the message lists the nearest ones.
    ModelFileError
        If what was received is not a sound archive of a Cascade model, or not the one the registry hashes.
    FileNotFoundError, ConnectionError
        If registry or archive cannot be downloaded.
    """
    folder = bundle_folder(name)
    if not overwrite and (installed := load_if_sound(folder)) is not None:
        return installed
    entries = read_registry(registry, backoff_s=backoff_s)
    if name not in entries:
        raise NoModelError(unknown_name(name, entries, f"is among the {len(entries)} of the registry"))
    _warn_of_open_way(entries[name])
    archive = folder.parent / DOWNLOADS / f"{name}.zip"
    archive.parent.mkdir(parents=True, exist_ok=True)
    with workplace(archive):  # one download of this model at a time
        sha256 = download(entries[name].link, archive, progress=progress, backoff_s=backoff_s)
        try:
            _check_archive(archive, sha256, entries[name])
            record = {"url": entries[name].link, "sha256": sha256, "bytes": archive.stat().st_size}
            origin = {"archive": record}
            return import_cascade(archive, into=folder.parent, name=name, overwrite=True, origin=origin)
        finally:
            archive.unlink()


def _entry(name: str, value: object, source: str) -> RegistryEntry:
    link = value.get("Link") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(link, str) or not _is_url(link):
        raise ModelFileError(
            f"Expected an http(s) address as Link of the model {name!r} in {source}, received {shown(link)}."
        )
    sha256 = str(value.get("SHA256") or "").lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        raise ModelFileError(f"Expected 64 hexadecimal digits as SHA256 of {name!r} in {source}, received {sha256!r}.")
    return RegistryEntry(name, link, str(value.get("Info") or ""), sha256)


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _warn_of_open_way(entry: RegistryEntry) -> None:
    if not entry.sha256 and entry.link.startswith("http://"):
        warnings.warn(
            f"{entry.link} is neither encrypted nor hashed by the registry: whoever is on the way can change it.",
            stacklevel=3,
        )


def _check_archive(archive: Path, sha256: str, entry: RegistryEntry) -> None:
    if entry.sha256 and entry.sha256 != sha256:
        raise ModelFileError(
            f"Expected SHA-256 {entry.sha256} of {entry.link} as the registry states, received {sha256}."
        )
    with archive.open("rb") as file:
        start = file.read(_SNIFFED_BYTES)
    if not start.startswith(b"PK"):
        shown = " ".join(start.decode("utf-8", errors="replace").split())[:60]
        raise ModelFileError(
            f"Expected a zip archive of the model {entry.name!r} at {entry.link}, received something that "
            f"starts with {shown!r}: the link may have expired."
        )
