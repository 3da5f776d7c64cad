"""Folders that are no recording: what lies in them that could be meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from nwb_cascade.core.wording import proposed
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import require_plain

STORE_MARKS = (".zgroup", ".zmetadata", "zarr.json")
MEANT = ("*.nwb", "*/*.nwb", "*.zarr", "*/*.zarr", "F.npy", "plane*/F.npy", "*/plane*/F.npy", "*/*/plane*/F.npy")
MATRICES = ("*.npy", "*.mat")
MOST_NAMED = 5
MOST_LOOKED_AT = 1000


def require_recording(folder: Path, asked: Sequence[str] = ()) -> None:
    """Raise InputError for a folder that is no Zarr store, with what in it could be meant; and for pipes.

    ``asked`` are options of the command, for one that is proposed instead.
    """
    require_plain(folder)
    if not folder.is_dir() or any((folder / mark).exists() for mark in STORE_MARKS):
        return
    found = list(islice(_meant(folder), MOST_LOOKED_AT))
    if not found:
        raise InputError(
            f"Expected a recording, received {folder}: a folder that is no Zarr store, with no NWB file, matrix or "
            "output of suite2p in it."
        )
    named = ", ".join(map(str, found[:MOST_NAMED]))
    more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    all_of_them = ""
    if any(path.suffix == ".nwb" for path in found):
        all_of_them = f", or all NWB files by: {proposed('archive', 'plan', folder, *asked, '-o', 'jobs.jsonl')}"
    raise InputError(
        f"Expected a recording, received {folder}: a folder. Name what is meant in it: {named}{more}{all_of_them}."
    )


def _meant(folder: Path) -> Iterator[Path]:
    """Yield what could be meant in a folder: recordings and folders of suite2p; matrices if there are none of these."""
    paths = [path for pattern in MEANT for path in sorted(folder.glob(pattern))]
    for path in paths or [path for pattern in MATRICES for path in sorted(folder.glob(pattern))]:
        yield path.parent if path.name == "F.npy" else path
