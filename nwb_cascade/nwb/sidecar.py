"""Write a run into a small file of its own: session, subject, ROIs and results, without the recording."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from pynwb import NWBHDF5IO, NWBFile

from nwb_cascade.core.progress import Progress
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.files.disk import reserve
from nwb_cascade.nwb.classify import OUR_SERIES
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.roi_table import region_copy, roi_table_copy
from nwb_cascade.nwb.session import session_copy
from nwb_cascade.nwb.write import Axes, RunRecord, add_run, module_of, place_in, rate_of, run_paths, source_series
from nwb_cascade.provenance import file_name


def write_sidecar(
    path: Path,
    source: NWBFile,
    record: RunRecord,
    *,
    reserve_bytes: int = 0,
    progress: Progress | None = None,
) -> tuple[str, tuple[str, ...]]:
    """Write a new NWB file (HDF5) that holds a run and what is needed to understand it.

    Copied are the session's metadata, the subject, and the table of the ROIs with imaging plane and device; the
    times are those of the dF/F series. The series itself is not copied; the run's provenance tells where it is. The
    identifier of the file is new, but the same for the same run on the same recording.

    Parameters
    ----------
    path : pathlib.Path
        The new file.
    source : pynwb.NWBFile
        The open recording.
    record : RunRecord
        The run.
    reserve_bytes : int
        Room on the disk to make sure of first.
    progress : callable, optional
        Called with (ROIs stored, ROIs in all).

    Returns
    -------
    (str, tuple of str)
        Object path of the new series, and what was left out of the table of ROIs, one sentence each.

    Raises
    ------
    InputError
        If the source series is not in the recording.
    """
    series = source_series(source, record.source_object_id)
    module = module_of(series)
    nwbfile = session_copy(source, identifier=_identifier(source, record))
    table, notes = roi_table_copy(series.rois.table, nwbfile, module)
    stamps = series.timestamps
    times = rate_of(series, record.imaging_rate) if stamps is None else {"timestamps": np.asarray(stamps[:])}
    add_run(nwbfile, record, Axes(module, region_copy(series.rois, table), times), path, progress)
    h5py.File(path, "w").close()
    reserve(path, reserve_bytes)
    with h5py.File(path, "r+") as file, NWBHDF5IO(file=file, mode="w") as io:
        io.write(nwbfile)
    return place_in(nwbfile, module, record.name).object_path, notes


def _identifier(source: NWBFile, record: RunRecord) -> str:
    """A UUID made from recording and run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{source.identifier} {record.name} {record.run_key}"))


def is_of_another(sidecar: Path, source: Mapping[str, str]) -> bool:
    """Tell whether a file is a sidecar of another recording; one that is no sidecar is not.

    Parameters
    ----------
    sidecar : pathlib.Path
        The file; it is read without pynwb, as it may be one of many.
    source : mapping
        The recording, see `nwb_cascade.core.traces.DffTraces`.
    """
    if not sidecar.is_file():
        return False
    try:
        with h5py.File(sidecar, "r") as file:
            texts = [
                series["source_provenance"].asstr()[()]
                for module in file.get("processing", {}).values()
                for series in module.values()
                if series.attrs.get("neurodata_type") == OUR_SERIES
            ]
        origins = [json.loads(text) for text in texts]
    except (OSError, ValueError, KeyError, AttributeError):
        return False
    return bool(origins) and not any(_is_origin(origin, source) for origin in origins)


def _is_origin(origin: Mapping[str, str], source: Mapping[str, str]) -> bool:
    """Whether provenance is that of a recording: by the identifier of its file, which copied files may share."""
    is_named_so = origin.get("file_name") == file_name(source["path"])
    is_series = origin.get("object_id") == source["object_id"]
    return origin.get("file_identifier") == source["file_identifier"] and (is_series or is_named_so)


def sidecar_holds_run(
    sidecar: Path, source: Mapping[str, str], object_path: str, run_key: str, *, overwrite: bool
) -> bool:
    """Tell whether an existing sidecar holds this very run.

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
    try:
        with open_nwb(sidecar) as (held, _):
            runs = {path: held.processing[path.split("/")[2]][path.split("/")[3]] for path in run_paths(held)}
            origins = [json.loads(run.source_provenance) for run in runs.values()]
            keys = {path: run.run_key for path, run in runs.items()}
            is_sidecar = bool(runs) and held.identifier != source["file_identifier"]
        if not is_sidecar or not all(_is_origin(origin, source) for origin in origins):
            raise InputError("it was not made from this recording")
    except (InputError, OSError) as error:
        reason = str(error).rstrip(".")
        raise type(error)(f"The output {sidecar} exists and is not replaced: {reason}. Choose another (-o).") from error
    if keys.get(object_path) == run_key:
        return True
    if not overwrite or (lost := sorted(keys.keys() - {object_path})):
        held_runs = ", ".join(lost if overwrite else sorted(keys))
        raise NameTakenError(
            f"The output {sidecar} exists and holds {held_runs}, made otherwise. Choose another output (-o)"
            + ("." if overwrite else " or replace it (--overwrite).")
        )
    return False
