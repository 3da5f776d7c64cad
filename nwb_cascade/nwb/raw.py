"""dF/F computed from the raw fluorescence in a file: which series, which neuropil, by which method."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pynwb import NWBFile

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.traces import DffTraces
from nwb_cascade.core.wording import counted
from nwb_cascade.dff import DffMethod, DffRows
from nwb_cascade.errors import AmbiguousSeriesError, InputError
from nwb_cascade.nwb.access import Access
from nwb_cascade.nwb.blocks import BLOCK_BYTES, TraceBlocks
from nwb_cascade.nwb.candidate import Candidate
from nwb_cascade.nwb.choose import NO_SERIES, NOT_DFF, named, require_traces
from nwb_cascade.nwb.discover import describe, stored_traces
from nwb_cascade.nwb.kinds_of_series import region_of, series_at
from nwb_cascade.nwb.read import roi_ids_of
from nwb_cascade.options import FromRaw

SHORT_STRETCH_S = 30.0
CORRECTED = re.compile(r"correct|subtract|decontaminat|demix", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class RawTraces:
    """dF/F that is computed when it is read.

    ``traces`` reads ``rows``, ``record`` is what is kept of how it was made, ``notes`` what a user should know.
    """

    traces: DffTraces
    rows: DffRows
    record: Mapping[str, Any]
    notes: tuple[str, ...]


def choose_raw(candidates: Sequence[Candidate], series: str | None = None) -> Candidate:
    """Pick one series of raw fluorescence.

    Raises
    ------
    AmbiguousSeriesError
        If several could be meant.
    InputError
        If there is none, or the named one is something else.
    """
    if series is not None:
        candidate = named(candidates, series)
    else:
        raw = [c for c in candidates if c.kind == "raw_fluorescence"]
        if not raw:
            found = ", ".join(c.describe() for c in candidates) or NO_SERIES
            raise InputError(f"Expected raw fluorescence in the file, found {found}. Leave out --from-raw for dF/F.")
        if len(raw) > 1:
            listed = ", ".join(c.describe() for c in raw)
            raise AmbiguousSeriesError(
                f"Expected one series of raw fluorescence, found {len(raw)}: {listed}; name one with series= "
                "(--series NAME)."
            )
        candidate = raw[0]
    path = candidate.object_path
    kinds = {**NOT_DFF, "dff": "dF/F already (leave out --from-raw)"}
    if candidate.kind in kinds:
        raise InputError(f"Expected raw fluorescence, but {path} holds {kinds[candidate.kind]}: {candidate.why}.")
    require_traces(candidate)
    return candidate


def matching_neuropil(
    nwbfile: NWBFile, candidates: Sequence[Candidate], raw: Candidate, wanted: str | None = None
) -> Candidate | None:
    """Find the neuropil traces that belong to a series: same shape, same ROIs; None if there are none.

    Raises
    ------
    AmbiguousSeriesError
        If several could be meant.
    InputError
        If the named ones are not there or not of the same ROIs.
    """
    if wanted is not None:
        chosen = named(candidates, wanted)
        if not _same_rois(nwbfile, raw, chosen):
            raise InputError(
                f"Expected neuropil of the ROIs and frames of {raw.object_path}, received {chosen.describe()}."
            )
        return chosen
    found = [c for c in candidates if c.kind == "neuropil" and _same_rois(nwbfile, raw, c)]
    twin = re.sub("fluorescence", "neuropil", raw.object_path, flags=re.IGNORECASE).lower()
    found = [c for c in found if c.object_path.lower() == twin] or found
    found = [c for c in found if c.name == raw.name] or found
    if len(found) > 1:
        raise AmbiguousSeriesError(
            f"Expected one series of neuropil for {raw.object_path}, found {len(found)}: "
            f"{', '.join(c.object_path for c in found)}; name one with --neuropil-series."
        )
    return found[0] if found else None


def open_raw_traces(
    nwbfile: NWBFile,
    candidates: Sequence[Candidate],
    raw: Candidate,
    how: FromRaw,
    access: Access,
    *,
    clock: FrameClock,
    asked: NDArray[np.bool_] | None = None,
) -> RawTraces:
    """Open a series of raw fluorescence as dF/F; values are computed when they are read, and for ``asked`` ROIs only.

    Stretches of the clock have baselines of their own.

    Raises
    ------
    InputError
        If the neuropil that the method needs is missing, or there is no imaging rate.
    """
    neuropil, method, notes = _neuropil(nwbfile, candidates, raw, how)
    dff = _rows(nwbfile, raw, neuropil, method, clock, access, asked)
    source = {
        "path": access.name,
        "object_path": raw.object_path,
        **({"object_id": raw.object_id} if raw.object_id else {}),
        "file_identifier": str(nwbfile.identifier),
        "unit": raw.unit,
        "scale": "fraction",
        "scale_from": "dF/F was computed from raw fluorescence",
        "imaging_rate_from": "option" if raw.imaging_rate is None else raw.imaging_rate_why,
    }
    record: dict[str, Any] = {
        "method": asdict(method),
        "neuropil_series": None if neuropil is None else neuropil.object_path,
    }
    if others := [c.object_path for c in candidates if c.kind == "dff"]:
        notes = (*notes, f"The file holds dF/F as well ({', '.join(others)}), which was not used.")
    notes = (*notes, *_short_stretches(clock))
    ids = roi_ids_of(series_at(nwbfile, raw.object_path), raw.n_rois)
    return RawTraces(DffTraces(dff, clock.imaging_rate, ids, MappingProxyType(source)), dff, record, notes)


def _short_stretches(clock: FrameClock) -> tuple[str, ...]:
    """Say so if there are pauses between which a baseline is hard to tell."""
    short = sum(one.n_frames < SHORT_STRETCH_S * one.imaging_rate for one in clock.stretches)
    if len(clock.stretches) == 1 or not short:
        return ()
    named = counted(short, "stretch is", "stretches are")
    return (
        f"Baselines end at pauses, and {named} shorter than {SHORT_STRETCH_S:g} s: activity that fills one counts as "
        "baseline there.",
    )


def reopen_raw_dff(nwbfile: NWBFile, series: Any, record: Mapping[str, Any], clock: FrameClock) -> DffRows:
    """Open the dF/F of a stored run again, from the record of how it was made.

    Raises
    ------
    InputError
        If the record or the neuropil that it names cannot be used.
    """
    method = DffMethod.from_json(json.dumps(record.get("method")))
    path, neuropil = record.get("neuropil_series"), None
    if path is not None:
        neuropil = describe(series_at(nwbfile, path), nwbfile)
    return _rows(nwbfile, describe(series, nwbfile), neuropil, method, clock, Access())


def _neuropil(
    nwbfile: NWBFile, candidates: Sequence[Candidate], raw: Candidate, how: FromRaw
) -> tuple[Candidate | None, DffMethod, tuple[str, ...]]:
    """The neuropil traces that are subtracted, the method as it is applied, and what to say about it."""
    method = how.applied()
    if method.neuropil == "none":
        return None, method, ()
    text = f"{raw.object_path} {series_at(nwbfile, raw.object_path).description or ''}"
    if CORRECTED.search(text) and not how.needs_neuropil:
        note = f"{raw.object_path} is corrected already, by its name or description: no neuropil was subtracted."
        return None, replace(method, neuropil="none"), (note,)
    neuropil = matching_neuropil(nwbfile, candidates, raw, how.neuropil_series)
    if neuropil is not None:
        return neuropil, method, ()
    if how.needs_neuropil:
        raise InputError(
            f"Expected neuropil traces of the ROIs of {raw.object_path}, found none in the file. Name them with "
            "--neuropil-series, or choose --neuropil none."
        )
    note = f"The file holds no neuropil traces of the ROIs of {raw.object_path}: none was subtracted."
    return None, replace(method, neuropil="none"), (note,)


def _rows(
    nwbfile: NWBFile,
    raw: Candidate,
    neuropil: Candidate | None,
    method: DffMethod,
    clock: FrameClock,
    access: Access,
    asked: NDArray[np.bool_] | None = None,
) -> DffRows:
    def blocks(candidate: Candidate) -> TraceBlocks:
        series = series_at(nwbfile, candidate.object_path)
        stored = stored_traces(series, access, transposed=bool(candidate.transposed))
        return TraceBlocks(stored, block_bytes=BLOCK_BYTES, scratch_dir=access.scratch_dir)

    around = None if neuropil is None else blocks(neuropil)
    return DffRows(
        blocks(raw),
        clock.imaging_rate,
        method,
        neuropil=around,
        asked=asked,
        bad_frames=clock.missing,
        stretches=clock.stretches,
    )


def _same_rois(nwbfile: NWBFile, raw: Candidate, other: Candidate) -> bool:
    """Whether two series hold the same ROIs of the same table over as many frames."""
    if (raw.n_rois, raw.n_frames, raw.roi_table) != (other.n_rois, other.n_frames, other.roi_table):
        return False
    mine, others = (region_of(series_at(nwbfile, one.object_path))[0] for one in (raw, other))
    if mine is None or others is None:
        return mine is others
    return bool(np.array_equal(mine, others))
