"""Fetch the descriptions of all objects of an HDF5 file, many at a time.

Opening a file reads the description of every object, one after the other. Many writers put each of them beside its
data, so that each costs a request; and only the request before tells where the next one goes. The links of a group,
however, tell where all its members are: their descriptions can be fetched together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import h5py

Member = tuple[Any, bytes, int]  # group, name of the link, address of the object it leads to


def prefetch_headers(file: Any) -> None:
    """Fetch the descriptions of all objects of an open `RemoteFile`, level by level.

    A file that HDF5 cannot read is left to the one who opens it in earnest.
    """
    with suppress(OSError, RuntimeError, KeyError), h5py.File(file, "r") as opened:
        seen: set[int] = set()
        level = [opened["/"].id]
        while level:
            members = [member for group in level for member in _members(group) if member[2] not in seen]
            seen.update(address for _, _, address in members)
            file.prefetch_around(address for _, _, address in members)
            objects = (h5py.h5o.open(group, name) for group, name, _ in members)
            level = [found for found in objects if isinstance(found, h5py.h5g.GroupID)]


def _members(group: Any) -> Iterator[Member]:
    """List the hard links of a group."""
    for name in group:
        info = group.links.get_info(name)
        if info.type == h5py.h5l.TYPE_HARD:
            yield group, name, int(info.u)
