"""``dandiset.yaml`` of a derived dandiset: what it is, and what it was derived from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ground_truth_nwb.appearing import ANYBODY
from nwb_cascade.archive.manifest import Header, Job
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import write_text
from nwb_cascade.files.private import mode_like
from nwb_cascade.provenance import SOFTWARE

DANDISET_FILE = "dandiset.yaml"
DERIVED_FROM = "dcite:IsDerivedFrom"
UNREGISTERED = "unregistered"
WEB_PAGES = {"dandi": "https://dandiarchive.org", "dandi-sandbox": "https://sandbox.dandiarchive.org"}
PREFIXES = {"dandi": "DANDI", "dandi-sandbox": "DANDI-SANDBOX"}


def write_dandiset_file(folder: Path, header: Header, jobs: Iterable[Job], *, mode: int = ANYBODY) -> Path:
    """Write ``dandiset.yaml``; what somebody added to an existing one stays, the relations to sources are renewed.

    Parameters
    ----------
    folder : pathlib.Path
        The derived dandiset.
    header : Header
        Of the manifest.
    jobs : iterable of Job
        Those whose results are in it.
    mode : int
        Of the file, less what the umask takes away.
    """
    path = folder / DANDISET_FILE
    values = read_dandiset_file(folder) if path.exists() else _new(header)
    related = [one for one in values.get("relatedResource") or [] if one.get("relation") != DERIVED_FROM]
    values["relatedResource"] = related + sources_of(jobs)
    _write(path, values, mode=mode)
    return path


@contextmanager
def registered(folder: Path, dandiset: str, instance: str) -> Iterator[None]:
    """Have ``dandiset.yaml`` state the number of the dandiset on the archive, for dandi's uploader.

    It stays there if all went well on an instance whose numbers have a name of their own; else the file becomes again
    what it was, as the number would mean a dandiset of the public archive.
    """
    path, prefix = folder / DANDISET_FILE, PREFIXES.get(instance)
    before, stays = path.read_text(encoding="utf-8"), False
    _write(path, {**read_dandiset_file(folder), "identifier": f"{prefix or 'DANDI'}:{dandiset}"}, mode=mode_like(path))
    try:
        yield
        stays = prefix is not None
    finally:
        if not stays:
            write_text(path, before, mode=mode_like(path))


def read_dandiset_file(folder: Path) -> dict[str, Any]:
    """Return the values of ``dandiset.yaml``.

    Raises
    ------
    InputError
        If it holds something else.
    """
    path = folder / DANDISET_FILE
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise InputError(f"Expected a mapping in {path}, received {type(values).__name__}: correct or remove the file.")
    return values


def sources_of(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """Return a resource per version of a dandiset that jobs read, as DANDI's schema wants it."""
    found = {}
    for job in jobs:
        asset = job.source.get("asset", {})
        if asset.get("dandiset"):
            key = (asset["instance"], asset["api_url"], asset["dandiset"], asset["version"])
            found[key] = _resource(*key)
    return [found[key] for key in sorted(found)]


def _resource(instance: str, api_url: str, dandiset: str, version: str) -> dict[str, Any]:
    page = WEB_PAGES.get(instance)
    place = f"dandiset/{dandiset}/{version}" if page else f"dandisets/{dandiset}/versions/{version}/"
    return {
        "schemaKey": "Resource",
        "identifier": f"{PREFIXES.get(instance, instance)}:{dandiset}/{version}",
        "name": f"Dandiset {dandiset}, version {version}",
        "url": f"{page or api_url}/{place}",
        "relation": DERIVED_FROM,
        "resourceType": "dcite:Dataset",
    }


def _new(header: Header) -> dict[str, Any]:
    models = ", ".join(sorted(header.models))
    return {
        "identifier": UNREGISTERED,
        "name": f"Spike rates inferred by {SOFTWARE}",
        "description": (
            f"Expected spikes per frame, inferred from dF/F by {SOFTWARE} {header.nwb_cascade} with {models}. Every "
            "file holds its provenance: source, series, model with the hash of its weights, parameters and software."
        ),
        "keywords": ["calcium imaging", "spike inference"],
    }


def _write(path: Path, values: dict[str, Any], *, mode: int) -> None:
    write_text(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True), mode=mode)
