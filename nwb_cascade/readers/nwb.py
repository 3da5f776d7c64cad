"""NWB files, on disk or remote: one of their series of dF/F, or of raw fluorescence that becomes dF/F."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from pynwb import NWBFile

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.roi_choice import recorded
from nwb_cascade.core.traces import sample_window
from nwb_cascade.errors import InputError
from nwb_cascade.nwb import discover
from nwb_cascade.nwb.access import Access
from nwb_cascade.nwb.asked_rois import asked_rois
from nwb_cascade.nwb.candidate import Candidate
from nwb_cascade.nwb.choose import ALL, choose, each_usable, label_of, matching, means_several, resolve_rate, several
from nwb_cascade.nwb.discover import find_candidates, find_for_choice
from nwb_cascade.nwb.files import NWBSource, open_nwb
from nwb_cascade.nwb.kinds_of_series import series_at
from nwb_cascade.nwb.masking import masked
from nwb_cascade.nwb.raw import choose_raw, open_raw_traces
from nwb_cascade.nwb.read import open_traces
from nwb_cascade.nwb.timing import given_clock, timing_of
from nwb_cascade.options import InferenceOptions, words_of
from nwb_cascade.readers.one_photon import require_one_photon, scale_of
from nwb_cascade.readers.reader import Reader
from nwb_cascade.readers.recording import MadeDff, NwbPart, Recording
from nwb_cascade.readers.sources import Source, in_a_fence, is_private, opened

if TYPE_CHECKING:
    from nwb_cascade.dandi.stream import StreamSettings


class NwbReader(Reader):
    """Whatever no other reader takes is an NWB file, or an error says why it is none."""

    kind = "an NWB file"
    takes = frozenset({"series", "imaging_rate", "scale", "from_raw", "mask_intervals", "rois"})
    is_nwb = True

    def recognises(self, source: Source) -> bool:
        return True

    @contextmanager
    def open(
        self,
        source: Source,
        options: InferenceOptions,
        *,
        scratch_dir: Path | None = None,
        streaming: StreamSettings | None = None,
    ) -> Iterator[tuple[Recording, ...]]:
        with opened(source, streaming, asked=words_of(options) or ()) as (file, origin):
            in_a_fence(file, lambda inner: _try(inner, options))
            with open_nwb(file) as (nwbfile, _):
                recordings = _recordings(nwbfile, Access.of(file, scratch_dir), options, origin)
                try:
                    yield tuple(replace(one, is_private=is_private(file)) for one in recordings)
                finally:
                    _close(recordings)


def _try(file: NWBSource, options: InferenceOptions) -> None:
    """Open a recording for nothing but to see that it can be opened; warnings come when it is opened in earnest."""
    with warnings.catch_warnings(), open_nwb(file) as (nwbfile, _):
        warnings.simplefilter("ignore")
        _close(_recordings(nwbfile, Access.of(file), options, {}))


def _close(recordings: Sequence[Recording]) -> None:
    """Close what the traces are read from."""
    for recording in recordings:
        recording.traces.dff.close()  # type: ignore[attr-defined]  # TraceBlocks or DffRows


def _recordings(
    nwbfile: NWBFile, access: Access, options: InferenceOptions, origin: Mapping[str, str]
) -> tuple[Recording, ...]:
    """Open all series that the options mean; what is left out of several is told with the first."""
    candidates = _candidates(nwbfile, access, options)
    (first, *others), left_out = each_usable(
        _meant(candidates, options), lambda one: _recording(nwbfile, access, candidates, one, options, origin)
    )
    return replace(first, notes=(*first.notes, *left_out)), *others


def _recording(
    nwbfile: NWBFile,
    access: Access,
    candidates: Sequence[Candidate],
    meant: Candidate,
    options: InferenceOptions,
    origin: Mapping[str, str],
) -> Recording:
    """Open one series of dF/F, or one of raw fluorescence and how it becomes dF/F."""
    options = replace(options, series=meant.object_path)
    series, clock = _timed(nwbfile, pick(candidates, options), options)
    rate, dff, notes = options.imaging_rate, None, (*series.problems, *clock.notes)
    choice = asked_rois(series_at(nwbfile, series.object_path), options.rois, access)
    if options.from_raw is None:
        traces = open_traces(nwbfile, series, access, scale=scale_of(options), imaging_rate=rate)
        sample = _sample_sha256(traces.dff)
    else:
        asked = None if choice is None else choice.asked
        raw = open_raw_traces(nwbfile, candidates, series, options.from_raw, access, clock=clock, asked=asked)
        traces, dff, notes = raw.traces, MadeDff(raw.rows, raw.record), (*notes, *raw.notes)
        sample = _sample_sha256(raw.rows.fluorescence, raw.rows.neuropil)
    content = {
        "object_id": series.identity,
        "n_rois": traces.n_rois,
        "n_frames": traces.n_frames,
        "scale": traces.source["scale"],
        "sample_sha256": sample,
        **({} if dff is None else {"dff": dict(dff.record)}),
        **({} if clock.is_even else {"clock": clock.record()}),
        **recorded(choice),
    }
    facts = {"session_id": str(nwbfile.session_id or ""), "sample_sha256": sample}
    return Recording(
        name=access.name,
        traces=replace(traces, source=MappingProxyType({**traces.source, **origin, **facts}), choice=choice),
        clock=clock,
        content=content,
        series=series.object_path,
        indicator=series.indicator,
        species=series.species,
        dff=dff,
        notes=notes,
        label=label_of(series, candidates),
        nwb=NwbPart(nwbfile, access, series),
    )


def _sample_sha256(*matrices: Any) -> str:
    """Hash of the middle of the first traces as float32: cheap to read in any storage layout."""
    digest = hashlib.sha256()
    for blocks in matrices:
        if blocks is None:
            continue
        values = blocks.stored.read(*sample_window(*blocks.shape))
        digest.update(np.ascontiguousarray(values, "<f4").tobytes())
    return digest.hexdigest()


def _timed(nwbfile: NWBFile, candidate: Candidate, options: InferenceOptions) -> tuple[Candidate, FrameClock]:
    """Read the clock of a series by all its timestamps; the search for candidates has looked at the first ones."""
    series = series_at(nwbfile, candidate.object_path)
    timing = timing_of(series, candidate.n_frames, candidate.plane_rate)
    candidate = replace(candidate, imaging_rate=timing.imaging_rate, imaging_rate_why=timing.why)
    rate = resolve_rate(candidate, options.imaging_rate)
    clock = timing.clock or given_clock(series, rate, candidate.n_frames)
    return candidate, masked(clock, nwbfile, series, options.mask_intervals)


def inspect(
    source: Source | NWBSource,
    *,
    series: str | None = None,
    statistics: bool = True,
    scratch_dir: str | Path | None = None,
    streaming: StreamSettings | None = None,
) -> tuple[Candidate, ...]:
    """Describe every ROI response series of an NWB file, on disk or remote: `nwb_cascade.inspect` for this format."""
    look: Callable[[Any], tuple[Candidate, ...]] = partial(
        discover.inspect, series=series, statistics=statistics, scratch_dir=scratch_dir
    )
    if hasattr(source, "fenced"):  # a remote one that is open
        return source.fenced(look)  # type: ignore[no-any-return]
    if hasattr(source, "read") or hasattr(source, "storage_options"):
        return look(source)
    with opened(source, streaming) as (file, _):
        return in_a_fence(file, look)


def look_at_header(
    source: Source, options: InferenceOptions, *, streaming: StreamSettings | None = None
) -> tuple[InferenceOptions, tuple[tuple[Candidate, FrameClock], ...]]:
    """Describe the series that the options mean, and their clocks, without reading traces.

    Where nothing is named and several series are dF/F, all are meant, since nobody is there to be asked; the options
    that are returned say so. Raises as `inspect`, and InputError if there is none that can be used.
    """

    def look(file: NWBSource) -> tuple[InferenceOptions, tuple[tuple[Candidate, FrameClock], ...]]:
        with open_nwb(file) as (nwbfile, _):
            access = Access.of(file)
            candidates = _candidates(nwbfile, access, options)
            if not candidates:
                raise InputError("It holds no series of ROI traces (RoiResponseSeries).")
            kind = "dff" if options.from_raw is None else "raw_fluorescence"
            asks = options.series is None and len(several(candidates, ALL, kind)) > 1
            asked = replace(options, series=ALL) if asks else options

            def timed(one: Candidate) -> tuple[Candidate, FrameClock]:
                named = replace(asked, series=one.object_path)
                asked_rois(series_at(nwbfile, one.object_path), options.rois, access)
                return _timed(nwbfile, pick(candidates, named), named)

            return asked, each_usable(_meant(candidates, asked), timed)[0]

    with opened(source, streaming) as (file, _):
        return in_a_fence(file, look)


def _meant(candidates: Sequence[Candidate], options: InferenceOptions) -> tuple[Candidate, ...]:
    """Return all series that the options mean; errors as `pick`."""
    series = options.series
    if series is None or not means_several(series) or matching(candidates, series):
        return (pick(candidates, options),)
    kind = "dff" if options.from_raw is None else "raw_fluorescence"
    found = several(candidates, series, kind)
    return found or (pick(candidates, replace(options, series=None if series == ALL else series)),)


def pick(candidates: Sequence[Candidate], options: InferenceOptions) -> Candidate:
    """Return the series that the options mean; errors as `nwb_cascade.nwb.choose.choose` or `choose_raw`."""
    if candidates and all(c.one_photon for c in candidates):
        require_one_photon(candidates[0].object_path, candidates[0].one_photon, options)
    if options.from_raw is not None:
        chosen = choose_raw(candidates, options.series)
    else:
        chosen = choose(candidates, options.series, scale=scale_of(options), imaging_rate=options.imaging_rate)
    if chosen.one_photon:
        require_one_photon(chosen.object_path, chosen.one_photon, options)
    return chosen


def _candidates(nwbfile: NWBFile, access: Access, options: InferenceOptions) -> tuple[Candidate, ...]:
    """Describe the series of an open file as far as picking one needs it."""
    if options.from_raw is None:
        return find_for_choice(nwbfile, options.series, access)
    if options.scale is not None:
        raise InputError("Expected no scale (--scale) with from_raw: dF/F that is computed is a fraction.")
    return find_candidates(nwbfile, access, statistics=False, series=options.series)
