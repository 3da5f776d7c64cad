"""What lies where in an NWB file: runs, the spikes that explain them, and whether a name is free for another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pynwb import NWBFile, TimeSeries

from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.nwb.kinds_of_series import series_at
from nwb_cascade.nwb.objects import RATES, SPIKES, is_ours, is_stored, object_path, objects_of
from nwb_cascade.provenance import json_object

DEFAULT_RUN_NAME = "InferredSpikeRates"
DEFAULT_MODULE = "ophys"
SPIKES_KEY = "spikes_key"
NO_TYPE = "something of no NWB type"


@dataclass(frozen=True)
class Place:
    """Where a run, or the table of its spikes, goes in a file and what is there already.

    ``taken_by`` says what object has this name already (None: it is free), ``key`` is that object's own key if
    it is what would go there (None: it is something else).
    """

    object_path: str
    taken_by: str | None = None
    key: str | None = None


def place_of(nwbfile: NWBFile, source_path: str, name: str) -> Place:
    """Tell where a run of this name would go: into the processing module of its source, else into ``ophys``."""
    return place_in(nwbfile, module_of(series_at(nwbfile, source_path)), name)


def place_in(nwbfile: NWBFile, module: str, name: str) -> Place:
    """Tell where a run of this name would go in a processing module, and what is there.

    Raises
    ------
    NameTakenError
        If something else has the name of the module.
    """
    path = f"/processing/{module}/{name}"
    if module not in nwbfile.processing and is_stored(nwbfile, f"/processing/{module}"):
        raise NameTakenError(f"Expected a processing module at /processing/{module}, the file has {NO_TYPE} there.")
    existing = nwbfile.processing[module].data_interfaces.get(name) if module in nwbfile.processing else None
    if existing is None:
        return Place(path, NO_TYPE if is_stored(nwbfile, path) else None)
    key = existing.run_key if is_ours(existing, RATES) else None
    return Place(path, f"a {type(existing).__name__}", key)


def spikes_place(nwbfile: NWBFile, rates_path: str, name: str) -> Place:
    """Tell where the spikes of a run would go: beside its rates.

    Raises
    ------
    InputError
        If the run is not in the file, or lies in no processing module.
    """
    module = run_at(nwbfile, rates_path).get_ancestor("ProcessingModule")
    if module is None:
        raise InputError(f"Expected the run {rates_path} in a processing module, where its spikes would go as well.")
    path = f"{object_path(module)}/{name}"
    existing = module.data_interfaces.get(name)
    if existing is None:
        return Place(path, NO_TYPE if is_stored(nwbfile, path) else None)
    is_spikes = is_ours(existing, SPIKES)
    key = str(json_object(existing.parameters).get(SPIKES_KEY, "")) if is_spikes else None
    return Place(path, f"a {type(existing).__name__}", key)


def module_of(source: TimeSeries) -> str:
    """Return the name of the processing module that a series lies in, else of the one where results go by default."""
    ancestor = source.get_ancestor("ProcessingModule")
    return DEFAULT_MODULE if ancestor is None else str(ancestor.name)


def runs_of(nwbfile: NWBFile) -> dict[str, Any]:
    """Return all runs of a file by their paths."""
    return objects_of(nwbfile, RATES)


def run_at(nwbfile: NWBFile, rates_path: str) -> Any:
    """Return the run at a path; an InputError says that there is none."""
    run = runs_of(nwbfile).get(rates_path)
    if run is None:
        raise InputError(f"Expected inferred spike rates at {rates_path}, the file holds none there.")
    return run


def run_paths(nwbfile: NWBFile) -> frozenset[str]:
    """Return the paths of all runs in the processing modules of a file."""
    return frozenset(path for path in runs_of(nwbfile) if path.startswith("/processing/"))


def spikes_tables(nwbfile: NWBFile, rates_path: str | None = None) -> tuple[str, ...]:
    """Return the paths of all tables of discrete spikes, or of those that explain one run."""
    return tuple(
        path
        for path, one in objects_of(nwbfile, SPIKES).items()
        if rates_path is None or (one.rates is not None and object_path(one.rates) == rates_path)
    )


def require_free(place: Place, *, overwrite: bool) -> None:
    """Raise unless a run may be stored at a place: it is free, or holds a run that may be replaced.

    Raises
    ------
    NameTakenError
        If an object has this name already.
    """
    if place.taken_by is None or (overwrite and place.key is not None):
        return
    what = "a run made from other inputs" if place.key is not None else place.taken_by
    remedy = "Choose another with --run-name" + (", or replace it with --overwrite" if place.key else "")
    raise NameTakenError(f"The name {place.object_path} is taken by {what}. {remedy}.")


def require_free_for_spikes(place: Place, *, overwrite: bool) -> None:
    """Raise NameTakenError unless a place is free, or holds spikes that may be replaced."""
    if place.taken_by is None or (overwrite and place.key is not None):
        return
    if place.key is None:
        raise NameTakenError(f"The name {place.object_path} is taken by {place.taken_by}, which is not replaced.")
    raise NameTakenError(
        f"{place.object_path} holds discrete spikes that were found with other rates or options. Replace them with "
        "--overwrite."
    )
