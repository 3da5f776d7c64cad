"""Recording: an open NWB file together with the dF/F series of it that is worked on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from pynwb import NWBFile

from nwb_cascade.core.traces import DffTraces
from nwb_cascade.dff import DffRows
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.candidate import Candidate
from nwb_cascade.nwb.choose import choose
from nwb_cascade.nwb.discover import as_array, find_candidates, find_for_choice
from nwb_cascade.nwb.files import NWBSource, open_nwb, source_name
from nwb_cascade.nwb.raw import FromRaw, choose_raw, open_raw_traces
from nwb_cascade.nwb.read import open_traces
from nwb_cascade.nwb.timing import judged_rate, rate_from_timestamps

SAMPLE_ROIS, SAMPLE_FRAMES = 32, 1000


@dataclass(frozen=True, eq=False)
class Recording:
    """An open NWB file and one of its dF/F series.

    ``name`` is its path or address, ``series`` describes the dF/F, ``traces`` reads it, ``is_only_dff`` tells
    whether the file holds no other dF/F,
    ``sample_sha256`` is the hash of some of its values, by which traces that were computed anew are recognised.
    Where dF/F is computed from raw fluorescence, ``series`` describes that, ``raw`` is the record of how, and
    ``notes`` says what is to be known about it.
    """

    name: str
    nwbfile: NWBFile
    series: Candidate
    traces: DffTraces
    is_only_dff: bool
    sample_sha256: str
    raw: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def open_recording(
    source: NWBSource,
    *,
    series: str | None = None,
    imaging_rate: float | None = None,
    scale: str | None = None,
    from_raw: FromRaw | None = None,
    scratch_dir: str | PathLike[str] | None = None,
) -> Iterator[Recording]:
    """Open an NWB file and pick its dF/F; options and errors as for `choose` and `open_traces`.

    With ``from_raw`` its raw fluorescence is picked and read as dF/F, see `nwb_cascade.nwb.raw`.
    """
    folder = None if scratch_dir is None else Path(scratch_dir)
    name = source_name(source)
    with open_nwb(source) as (nwbfile, _):
        if from_raw is not None:
            candidates = find_candidates(nwbfile, name=name, statistics=False, scratch_dir=folder)
            if scale is not None:
                raise InputError("Expected no scale (--scale) with from_raw: dF/F that is computed is a fraction.")
            chosen = _with_all_timestamps(nwbfile, choose_raw(candidates, series))
            raw = open_raw_traces(
                nwbfile, candidates, chosen, from_raw, name=name, imaging_rate=imaging_rate, scratch_dir=folder
            )
            traces, record, notes = raw.traces, raw.record, raw.notes
        else:
            candidates = find_for_choice(nwbfile, series, name=name, scratch_dir=folder)
            chosen = choose(candidates, series, scale=scale, imaging_rate=imaging_rate)
            chosen = _with_all_timestamps(nwbfile, chosen)
            traces = open_traces(nwbfile, chosen, name=name, scale=scale, imaging_rate=imaging_rate, scratch_dir=folder)
            record, notes = None, ()
        is_only = not any(c.kind in ("dff", chosen.kind) and c.object_id != chosen.object_id for c in candidates)
        try:
            yield Recording(name, nwbfile, chosen, traces, is_only, _sample_sha256(traces), record, notes)
        finally:
            traces.dff.close()  # type: ignore[attr-defined]  # open_traces gives TraceBlocks


def _sample_sha256(traces: DffTraces) -> str:
    """Hash of the middle of the first traces as float32: cheap to read in any storage layout."""
    start = max(0, (traces.n_frames - SAMPLE_FRAMES) // 2)
    frames = slice(start, min(start + SAMPLE_FRAMES, traces.n_frames))
    rois = slice(0, min(SAMPLE_ROIS, traces.n_rois))
    dff: Any = traces.dff
    read: list[Any] = [dff.fluorescence, dff.neuropil] if isinstance(dff, DffRows) else [dff]
    digest = hashlib.sha256()
    for blocks in read:
        if blocks is not None:
            digest.update(np.ascontiguousarray(blocks.stored.read(rois, frames), "<f4").tobytes())
    return digest.hexdigest()


def _with_all_timestamps(nwbfile: NWBFile, candidate: Candidate) -> Candidate:
    """Judge the rate by all timestamps; the search for candidates has looked at the first ones."""
    timestamps = nwbfile.objects[candidate.object_id].timestamps
    if timestamps is None:
        return candidate
    timing = rate_from_timestamps(as_array(timestamps), candidate.n_frames)
    timing = judged_rate(timing, candidate.plane_rate, from_timestamps=True)
    return replace(candidate, imaging_rate=timing.imaging_rate, imaging_rate_why=timing.why)
