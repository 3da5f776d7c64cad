"""Open the traces of one series as DffTraces: fractions, ROIs first, read block by block."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from pynwb import NWBFile, TimeSeries

from nwb_cascade.core.traces import DffTraces
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.access import Access
from nwb_cascade.nwb.blocks import BLOCK_BYTES, TraceBlocks
from nwb_cascade.nwb.candidate import FACTORS, Candidate
from nwb_cascade.nwb.choose import require_usable, resolve_factor, resolve_rate
from nwb_cascade.nwb.discover import describe, stored_traces
from nwb_cascade.nwb.kinds_of_series import region_of, series_at
from nwb_cascade.nwb.layout import region_problem
from nwb_cascade.nwb.objects import object_path, stated_id


def open_traces(
    nwbfile: NWBFile,
    series: Candidate | TimeSeries,
    access: Access | None = None,
    *,
    scale: str | None = None,
    imaging_rate: float | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> DffTraces:
    """Open the dF/F traces of a series; values are read when they are asked for.

    Parameters
    ----------
    nwbfile : pynwb.NWBFile
        An open file; it must stay open as long as traces are read.
    series : Candidate or TimeSeries
        What to read, a candidate of this file or the series itself.
    access : Access, optional
        How values are read; by default directly, from the file that pynwb knows.
    scale : {"fraction", "percent"}, optional
        What the values are, where the file does not say.
    imaging_rate : float, optional
        Hz, for a series without a usable rate.
    block_bytes : int
        Bytes of float32 traces to hold at a time, see `nwb_cascade.nwb.blocks.TraceBlocks`.

    Returns
    -------
    DffTraces
        Its ``dff`` is a `TraceBlocks`: ``dff[i:j]`` gives (j - i, n_frames) float32, dF/F as a fraction, NaN where
        the file has NaN. ``dff.close()`` deletes the scratch file early; otherwise it goes with the object.

    Raises
    ------
    InputError
        If the series is not in the file or cannot be used as dF/F, see `nwb_cascade.nwb.choose.choose`.
    """
    if isinstance(series, Candidate):
        candidate, series = series, series_at(nwbfile, series.object_path)
        if stated_id(series) != candidate.object_id:
            raise InputError(
                f"Expected the series {candidate.object_path} ({candidate.object_id}) in {nwbfile.container_source}, "
                "but it is not there: inspect this file anew."
            )
    else:
        candidate = describe(series, nwbfile)
    require_usable(candidate, scale=scale, imaging_rate=imaging_rate)
    factor, rate = resolve_factor(candidate, scale), resolve_rate(candidate, imaging_rate)
    access = access or Access(str(nwbfile.container_source or ""))
    stored = stored_traces(series, access, transposed=bool(candidate.transposed), factor=factor)
    return DffTraces(
        dff=TraceBlocks(stored, block_bytes=block_bytes, scratch_dir=access.scratch_dir),
        imaging_rate=rate,
        roi_ids=roi_ids_of(series, candidate.n_rois),
        source=_provenance(nwbfile, candidate, access.name, scale, factor),
    )


def _provenance(
    nwbfile: NWBFile, candidate: Candidate, path: str, scale: str | None, factor: float
) -> MappingProxyType[str, str]:
    """Where traces come from, and who says how they are read."""
    return MappingProxyType(
        {
            "path": path,
            "object_path": candidate.object_path,
            **({"object_id": candidate.object_id} if candidate.object_id else {}),
            "file_identifier": str(nwbfile.identifier),
            "unit": candidate.unit,
            "scale": next(name for name in (scale, *FACTORS) if name is not None and FACTORS[name] == factor),
            "scale_from": "option" if scale else candidate.scale_why,
            "imaging_rate_from": "option" if candidate.imaging_rate is None else candidate.imaging_rate_why,
        }
    )


def roi_ids_of(series: TimeSeries, n_rois: int = 0) -> NDArray[np.int64]:
    """Return the ids of the ROIs in their table; raises InputError if the region names rows that it does not have.

    Those of a series that names no ROIs count them, ``n_rois`` of them.
    """
    rows, table = region_of(series)
    if rows is None or table is None:
        return np.arange(n_rois)
    ids = np.asarray(table.id[:])
    if problem := region_problem(rows, rows.size, ids.size):
        raise InputError(f"{object_path(series)} has no ROIs. {problem} Correct the region in the file.")
    named: NDArray[np.int64] = ids[rows].astype(np.int64)
    return named
