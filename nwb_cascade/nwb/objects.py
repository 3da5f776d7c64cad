"""Objects of an open NWB file by their paths: early writers gave them no ids, and copied ones share an id."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from pynwb import NWBFile, ProcessingModule

EXTENSION = "ndx-spike-inference"
RATES, SPIKES = "InferredSpikeRateSeries", "InferredSpikesTable"  # its types


def object_path(container: Any) -> str:
    """Return the path of an object in its file, starting with a slash."""
    builder = _builder(container)
    if builder is not None:
        return "/" + str(builder.path).removeprefix("root").lstrip("/")
    return "/" + "/".join([*(c.name for c in containers(container)[::-1]), container.name])


def containers(container: Any) -> list[Any]:
    """Return the containers of an object, nearest first, without the file."""
    return [c for c in container.get_ancestors() if not isinstance(c, NWBFile)]


def stated_id(container: Any) -> str:
    """Return the id of an object, empty if its file states none: pynwb then makes a new one at each opening."""
    builder = _builder(container)
    return str(container.object_id if builder is None else builder.attributes.get("object_id", ""))


def import_extension() -> None:
    """Have pynwb know the types of this project's extension, before it opens a file that has or gets them: 0.2 s."""
    importlib.import_module("ndx_spike_inference")


def is_ours(one: Any, kind: str) -> bool:
    """Whether an object is of a type of this project's extension, which is imported only where a file has it."""
    return type(one).__name__ == kind and getattr(one, "namespace", "") == EXTENSION


def objects_of(nwbfile: NWBFile, kind: type | str) -> dict[str, Any]:
    """Return all objects of a type by their paths, sorted; one that links lead to stands once.

    A text is the name of a type of this project's extension.
    """
    if isinstance(kind, str):
        return objects_where(nwbfile, lambda one: is_ours(one, kind))
    return objects_where(nwbfile, lambda one: isinstance(one, kind))


def objects_where(nwbfile: NWBFile, meant: Callable[[Any], bool]) -> dict[str, Any]:
    """Return all objects that are meant by their paths, sorted; one that links lead to stands once."""
    found, waiting = {}, [nwbfile]
    while waiting:
        one = waiting.pop()
        waiting += one.children
        if meant(one):
            found[object_path(one)] = one
    return dict(sorted(found.items()))


def is_stored(nwbfile: NWBFile, path: str) -> bool:
    """Whether a file holds anything at a path, be it of no type that NWB knows."""
    builder = _builder(nwbfile)
    return builder is not None and builder.get(path.strip("/")) is not None


def is_taken(nwbfile: NWBFile, module: ProcessingModule, name: str) -> bool:
    """Whether a name in a processing module is that of an object, or of something else in the file."""
    return name in module.data_interfaces or is_stored(nwbfile, f"processing/{module.name}/{name}")


def _builder(container: Any) -> Any:
    """Return what an object was read from; None for one that was not read."""
    io = container.get_read_io()
    return None if io is None else io.manager.get_builder(container)
