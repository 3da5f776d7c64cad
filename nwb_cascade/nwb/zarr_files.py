"""Zarr stores as hdmf-zarr reads them: what leads out of a store is refused, or stays below its folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import zarr
from hdmf_zarr import NWBZarrIO
from hdmf_zarr.backend import SPEC_LOC_ATTR
from pynwb import get_type_map

from nwb_cascade.errors import InputError


class OwnZarrIO(NWBZarrIO):  # type: ignore[misc]  # hdmf has no type hints
    """NWBZarrIO that judges where a link or reference leads before it is followed.

    ``elsewhere`` are the other stores that were read. Namespaces cached in the store are read only if there is one that
    pynwb does not know yet: the others are ignored by hdmf, after a request for each of a remote store.
    """

    def __init__(self, path: str, *, name: str, is_remote: bool, **options: Any) -> None:
        self._name, self._is_remote = name, is_remote
        self._home = {".", "./", ""}
        self.elsewhere: frozenset[str] = frozenset()
        if not is_remote:
            _require_own_files(Path(path))
        if options.get("load_namespaces"):
            cached = _cached_namespaces(path, options.get("storage_options"))
            options["load_namespaces"] = not cached <= set(get_type_map().namespace_catalog.namespaces)
        super().__init__(path, **options)

    def resolve_ref(self, zarr_ref: Mapping[str, Any]) -> Any:
        """Return name and object that a link or reference leads to."""
        named = zarr_ref.get("source")
        named = str(zarr_ref.get("path") if named is None else named)
        if named not in self._home and named not in self.elsewhere:
            self._judge(named, str(zarr_ref.get("path")))
        return super().resolve_ref(zarr_ref)

    def _judge(self, named: str, path: str) -> None:
        """Raise unless another store may be read for this one."""
        if self._is_remote:
            raise InputError(
                f"{self._name} names another store: {named}, for {path}. Other stores are not read for a recording "
                "that comes from elsewhere; ask its authors for one that is complete in itself."
            )
        own = Path(self._name)
        target = Path(os.path.normpath(os.path.join(os.path.abspath(own), named)))
        if target.resolve() == own.resolve():
            self._home.add(named)
            return
        if target.exists() and not (target.is_dir() and target.resolve().is_relative_to(own.parent.resolve())):
            raise _outside(own, path, target)
        if target.is_dir():
            _require_own_files(target)
        self.elsewhere |= {named}


def _cached_namespaces(path: str, storage_options: Any) -> set[str]:
    """Names of the namespaces that a store holds; none if it does not say where."""
    store = zarr.open_group(path, mode="r", storage_options=storage_options)
    place = store.attrs.get(SPEC_LOC_ATTR)
    return set() if place is None else set(store[place])


def _require_own_files(store: Path) -> None:
    """Raise InputError if a store on disk has symbolic links to files outside its own folder."""
    root = store.parent.resolve()
    for entry in _entries(store):
        if entry.is_symlink() and not (target := Path(entry.path).resolve()).is_relative_to(root):
            raise _outside(store, os.path.relpath(entry.path, store), target)


def _entries(folder: str | Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from _entries(entry.path)


def _outside(store: Path, path: str, target: Path) -> InputError:
    return InputError(
        f"{store} names another place: {path} lies in {target}. Only what lies below the recording's own folder "
        f"{store.parent} is read for it; move both below one folder if they belong together."
    )
