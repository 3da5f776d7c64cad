"""What is already where a run is to be stored: this very run, what may be replaced, or what may not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pynwb import NWBFile

from ground_truth_nwb.hdf5_files import open_hdf5
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.nwb.classify import OUR_SERIES
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.kinds_of_series import others_of, traces_of
from nwb_cascade.nwb.places import place_of, require_free, run_at, run_paths
from nwb_cascade.provenance import file_name


def recording_holds_run(nwbfile: NWBFile, source_path: str, run_name: str, run_key: str, *, overwrite: bool) -> bool:
    """Tell whether a recording holds this very run for the series at ``source_path``.

    Raises
    ------
    NameTakenError
        If it holds something else of this name that may not be replaced.
    """
    place = place_of(nwbfile, source_path, run_name)
    if place.key == run_key:
        return True
    require_free(place, overwrite=overwrite)
    return False


def copy_holds_run(
    copy: Path,
    nwbfile: NWBFile,
    source_path: str,
    run_name: str,
    run_key: str,
    *,
    renewed: frozenset[str],
    overwrite: bool,
    adding: Callable[[str], str],
) -> bool:
    """Tell whether an annotated copy of a recording holds this very run; if not, it may be replaced by a new one.

    Parameters
    ----------
    copy : pathlib.Path
        The copy.
    nwbfile : pynwb.NWBFile
        The open recording.
    source_path, run_name, run_key : str
        Path of the series, and the run.
    renewed : frozenset of str
        Paths of all runs that a new copy will hold.
    overwrite : bool
        Whether the copy may be replaced.
    adding : callable
        Gives the command that adds the run to the copy under a name, for the message; empty if there is none.

    Raises
    ------
    NameTakenError
        If it holds other results, and ``overwrite`` is not set or would lose some that the new copy has not.
    InputError, OSError
        If it is no copy of this recording, or cannot be read.
    """
    place = place_of(nwbfile, source_path, run_name)
    stored = _stored_runs(copy)
    if stored and stored.identifier == nwbfile.identifier and stored.keys.get(place.object_path) == run_key:
        return True
    with _output(copy) as held:
        if held.identifier != nwbfile.identifier:
            raise InputError("it is another recording")
        is_there = source_path in {*traces_of(held), *others_of(held)}
        found = place_of(held, source_path, run_name) if is_there else None
        command = adding(_free_name(held, source_path, run_name)) if is_there else ""
        runs = run_paths(held)
    if found is not None and found.key == run_key:
        return True
    add_to_it = f"add the run to it: {command}" if command else "add the run to it (--in-place)"
    if not overwrite:
        raise NameTakenError(
            f"The output {copy} exists without this run. Choose another output (-o), replace it (--overwrite), or "
            f"{add_to_it}."
        )
    if lost := sorted(runs - run_paths(nwbfile) - renewed):
        raise NameTakenError(
            f"The output {copy} exists and holds {', '.join(lost)}, which overwriting would lose. Choose another "
            f"output (-o), or {add_to_it}."
        )
    return False


def sidecar_holds_run(
    sidecar: Path,
    sources: Sequence[Mapping[str, str]],
    object_path: str,
    run_key: str,
    *,
    renewed: frozenset[str],
    overwrite: bool,
) -> bool:
    """Tell whether an existing sidecar of a recording, of some of its series, holds this very run.

    ``renewed`` are the paths of all runs that a new sidecar will hold.

    Returns
    -------
    bool
        False if the sidecar may be replaced by a new one.

    Raises
    ------
    NameTakenError
        If it holds other results of this recording, and ``overwrite`` is not set or would lose another run.
    InputError, OSError
        If it is no sidecar of this recording, or cannot be read.
    """
    stored = _stored_runs(sidecar)
    if (
        stored is not None
        and stored.identifier != sources[0]["file_identifier"]
        and stored.keys.get(object_path) == run_key
        and all(any(_is_origin(origin, source) for source in sources) for origin in stored.origins)
    ):
        return True
    with _output(sidecar) as held:
        runs = {path: run_at(held, path) for path in run_paths(held)}
        origins = [json.loads(run.source_provenance) for run in runs.values()]
        keys = {path: run.run_key for path, run in runs.items()}
        is_sidecar = bool(runs) and held.identifier != sources[0]["file_identifier"]
        known = (any(_is_origin(origin, source) for source in sources) for origin in origins)
        if not is_sidecar or not all(known):
            raise InputError("it was not made from this recording")
    if keys.get(object_path) == run_key:
        return True
    if not overwrite or (lost := sorted(keys.keys() - renewed)):
        held_runs = ", ".join(lost if overwrite else sorted(keys))
        raise NameTakenError(
            f"The output {sidecar} exists and holds {held_runs}, made otherwise. Choose another output (-o)"
            + ("." if overwrite else " or replace it (--overwrite).")
        )
    return False


def is_of_another(sidecar: Path, source: Mapping[str, str]) -> bool:
    """Tell whether a file is a sidecar of another recording; one that is no sidecar is not.

    Parameters
    ----------
    sidecar : pathlib.Path
        The file; it is read without pynwb, as it may be one of many.
    source : mapping
        The recording, see `nwb_cascade.core.traces.DffTraces`.
    """
    stored = _stored_runs(sidecar)
    return stored is not None and not any(_is_origin(origin, source) for origin in stored.origins)


@dataclass(frozen=True)
class _StoredRuns:
    """The runs of a file: its identifier, their keys by their paths, and what they were made from."""

    identifier: str
    keys: Mapping[str, str]
    origins: Sequence[Mapping[str, str]]


def _stored_runs(path: Path) -> _StoredRuns | None:
    """Look for runs in an HDF5 file without pynwb and the types of the extension, 0.3 s; None if none can be told."""
    if not path.is_file():
        return None
    try:
        with open_hdf5(path) as file:
            runs = {
                f"/processing/{module_name}/{name}": series
                for module_name, module in file.get("processing", {}).items()
                for name, series in module.items()
                if series.attrs.get("neurodata_type") == OUR_SERIES
            }
            keys = {place: str(series.attrs["run_key"]) for place, series in runs.items()}
            origins = [json.loads(series["source_provenance"].asstr()[()]) for series in runs.values()]
            identifier = file["identifier"].asstr()[()]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return _StoredRuns(identifier, keys, origins) if runs else None


def _is_origin(origin: Mapping[str, str], source: Mapping[str, str]) -> bool:
    """Whether provenance is that of a recording: by the identifier of its file, which copied files may share."""
    is_named_so = origin.get("file_name") == file_name(source["path"])
    is_series = all(origin.get(name) == source.get(name) for name in ("object_id", "object_path"))
    return origin.get("file_identifier") == source["file_identifier"] and (is_series or is_named_so)


@contextmanager
def _output(path: Path) -> Iterator[NWBFile]:
    """Open an existing output; what is wrong with it is told as the reason why it is not replaced."""
    try:
        with open_nwb(path) as (held, _):
            yield held
    except (InputError, OSError) as error:
        reason = str(error).rstrip(".")
        raise type(error)(f"The output {path} exists and is not replaced: {reason}. Choose another (-o).") from error


def _free_name(nwbfile: NWBFile, source_path: str, name: str) -> str:
    """Return the name for a run, with a number behind it if it is taken."""
    names = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(2)))
    return next(one for one in names if place_of(nwbfile, source_path, one).taken_by is None)
