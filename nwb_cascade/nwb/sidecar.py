"""Write a run into a small file of its own: session, subject, ROIs and results, without the recording."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from hdmf.common import DynamicTable
from pynwb import NWBHDF5IO, NWBFile

from ground_truth_nwb.hdf5_files import hdf5_file
from nwb_cascade.core.progress import Progress
from nwb_cascade.files.disk import reserve
from nwb_cascade.nwb.access import Access
from nwb_cascade.nwb.kinds_of_series import region_of, series_at
from nwb_cascade.nwb.places import module_of, place_in
from nwb_cascade.nwb.roi_table import region_copy, roi_table_copy, table_bytes
from nwb_cascade.nwb.session import session_copy
from nwb_cascade.nwb.storage import compressed
from nwb_cascade.nwb.write import Axes, RunRecord, add_run, made_region, time_base


def write_sidecar(
    path: Path,
    source: NWBFile,
    records: Sequence[RunRecord],
    access: Access | None = None,
    *,
    reserve_bytes: int = 0,
    progress: Progress | None = None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write a new NWB file (HDF5) that holds runs and what is needed to understand them.

    Copied are the session's metadata, the subject, and the tables of the ROIs with imaging planes and devices; the
    times are those of the dF/F series. The series themselves are not copied; the provenance of the runs tells where
    they are. The identifier of the file is new, but the same for the same runs on the same recording.

    Parameters
    ----------
    path : pathlib.Path
        The new file.
    source : pynwb.NWBFile
        The open recording.
    records : sequence of RunRecord
        The runs.
    access : Access, optional
        How values of the recording are read.
    reserve_bytes : int
        Room on the disk to make sure of first, for the runs; that for the tables is added.
    progress : callable, optional
        Called with (ROIs stored, ROIs in all).

    Returns
    -------
    (tuple of str, tuple of str)
        Object paths of the new series, and what was left out of the tables of ROIs, one sentence each.

    Raises InputError if a source series is not in the recording.
    """
    nwbfile = session_copy(source, identifier=_identifier(source, records))
    stored = partial(compressed, path=path, progress=progress)
    tables: dict[int, DynamicTable] = {}
    notes: list[str] = []
    paths = []
    for record in records:
        series = series_at(source, record.source_path)
        module, (_, table) = module_of(series), region_of(series)
        if table is not None and id(table) not in tables:
            tables[id(table)], left_out = roi_table_copy(table, nwbfile, module, access or Access())
            notes += left_out
        if table is not None:
            rois = region_copy(series.rois, tables[id(table)])
        else:
            rois = made_region(nwbfile, module, series.name, np.arange(len(record.noise_levels)))
        add_run(nwbfile, record, Axes(module, rois, time_base(series, record)), stored)
        paths.append(place_in(nwbfile, module, record.name).object_path)
    hdf5_file(path, "w").close()
    reserve(path, reserve_bytes + sum(map(table_bytes, tables.values())))
    with hdf5_file(path, "r+") as file, NWBHDF5IO(file=file, mode="w") as io:
        io.write(nwbfile)
    return tuple(paths), tuple(notes)


def _identifier(source: NWBFile, records: Sequence[RunRecord]) -> str:
    """A UUID made from recording and runs."""
    runs = " ".join(f"{record.name} {record.run_key}" for record in records)
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{source.identifier} {runs}"))
