"""Write a run into a small file of its own: session, subject, ROIs and results, without the recording."""

from __future__ import annotations

import uuid
from functools import partial
from pathlib import Path

from pynwb import NWBHDF5IO, NWBFile

from ground_truth_nwb.hdf5_files import hdf5_file
from nwb_cascade.core.progress import Progress
from nwb_cascade.files.disk import reserve
from nwb_cascade.nwb.access import Access
from nwb_cascade.nwb.objects import series_at
from nwb_cascade.nwb.places import module_of, place_in
from nwb_cascade.nwb.roi_table import region_copy, roi_table_copy
from nwb_cascade.nwb.session import session_copy
from nwb_cascade.nwb.storage import compressed
from nwb_cascade.nwb.write import Axes, RunRecord, add_run, time_base


def write_sidecar(
    path: Path,
    source: NWBFile,
    record: RunRecord,
    access: Access | None = None,
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
    access : Access, optional
        How values of the recording are read.
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
    series = series_at(source, record.source_path)
    module = module_of(series)
    nwbfile = session_copy(source, identifier=_identifier(source, record))
    table, notes = roi_table_copy(series.rois.table, nwbfile, module, access or Access())
    stored = partial(compressed, path=path, progress=progress)
    add_run(nwbfile, record, Axes(module, region_copy(series.rois, table), time_base(series, record)), stored)
    hdf5_file(path, "w").close()
    reserve(path, reserve_bytes)
    with hdf5_file(path, "r+") as file, NWBHDF5IO(file=file, mode="w") as io:
        io.write(nwbfile)
    return place_in(nwbfile, module, record.name).object_path, notes


def _identifier(source: NWBFile, record: RunRecord) -> str:
    """A UUID made from recording and run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{source.identifier} {record.name} {record.run_key}"))
