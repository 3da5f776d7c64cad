"""Find every ROI response series of an NWB file, wherever it lies, and describe it as a Candidate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pynwb import NWBFile
from pynwb.ophys import RoiResponseSeries

from nwb_cascade.core.stretches import Stretch
from nwb_cascade.core.traces import sample_window
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.access import Access
from nwb_cascade.nwb.blocks import StoredTraces, lost_chunks
from nwb_cascade.nwb.candidate import FACTORS, Candidate
from nwb_cascade.nwb.choose import ALL, matching, named, several
from nwb_cascade.nwb.classify import (
    Evidence,
    Judgement,
    Sample,
    ScaleJudgement,
    classify,
    judge_scale,
    looks_like_ratio,
    reconcile,
)
from nwb_cascade.nwb.damage import told_as_damage
from nwb_cascade.nwb.files import NWBSource, open_nwb
from nwb_cascade.nwb.hdf5 import broken_links, require_readable
from nwb_cascade.nwb.layout import Layout, layout, region_problem
from nwb_cascade.nwb.objects import containers, object_path, objects_of, series_at, stated_id
from nwb_cascade.nwb.statistics import Statistics, trace_statistics
from nwb_cascade.nwb.timing import Timing, timing_of

PLANE_RATE_TOLERANCE = 0.1
NOT_LOOKED_AT = ScaleJudgement("unknown", "its values were not looked at")
SCALELESS_KINDS = ("events", "inferred", "z_scored")


def inspect(
    source: NWBSource,
    *,
    series: str | None = None,
    statistics: bool = True,
    scratch_dir: str | Path | None = None,
) -> tuple[Candidate, ...]:
    """Describe every ROI response series of what `open_nwb` takes, see `nwb_cascade.readers.nwb.inspect`."""
    access = Access.of(source, scratch_dir)
    with open_nwb(source) as (nwbfile, _):
        if series is None:
            return find_candidates(nwbfile, access, statistics=statistics)
        one = named(find_candidates(nwbfile, access, statistics=False, values=False), series)
        return (describe(series_at(nwbfile, one.object_path), nwbfile, access, statistics=statistics),)


def find_candidates(
    nwbfile: NWBFile, access: Access | None = None, *, statistics: bool = True, values: bool = True
) -> tuple[Candidate, ...]:
    """Describe every ROI response series of an open file, see `describe`."""
    access = access or Access()
    series = objects_of(nwbfile, RoiResponseSeries).values()
    if not series:
        _require_whole_links(nwbfile, access.name)
    return tuple(describe(one, nwbfile, access, statistics=statistics, values=values) for one in series)


def _require_whole_links(nwbfile: NWBFile, name: str) -> None:
    """Raise InputError if links of a file lead to nothing: its series may lie behind one."""
    with told_as_damage(name):
        broken = broken_links(nwbfile.get_read_io())
    if broken:
        lost = "; ".join(f"{path} leads to {target}, which is not there" for path, target in broken.items())
        raise InputError(f"Expected a series of ROI traces in {name}, found none, but links to nothing: {lost}.")


def find_for_choice(nwbfile: NWBFile, series: str | None = None, access: Access | None = None) -> tuple[Candidate, ...]:
    """Describe every series of an open file as far as `nwb_cascade.nwb.choose.choose` has to know it.

    Values are looked at where they matter: in the series that is named or, if none is, in those that are dF/F by their
    words, and in the others if none of these turns out to be. A look at each of 60 remote series costs 60 requests.
    """
    found = {c.object_path: c for c in find_candidates(nwbfile, access, statistics=False, values=False)}
    series_of = objects_of(nwbfile, RoiResponseSeries)

    def look_at(chosen: list[Candidate]) -> None:
        for candidate in chosen:
            found[candidate.object_path] = describe(series_of[candidate.object_path], nwbfile, access)

    candidates = list(found.values())
    meant = [] if series is None else matching(candidates, series)
    if series is not None and (meant or series != ALL):
        look_at(meant or list(several(candidates, series)))
        return tuple(found.values())
    look_at([c for c in candidates if c.kind == "dff"])
    if not any(c.kind == "dff" for c in found.values()):
        look_at([c for c in candidates if c.kind != "dff"])
    return tuple(found.values())


def describe(
    series: RoiResponseSeries,
    nwbfile: NWBFile,
    access: Access | None = None,
    *,
    statistics: bool = False,
    values: bool = True,
) -> Candidate:
    """Describe one series of an open file, see `inspect`; without ``values`` by its header alone."""
    access = access or Access()
    with told_as_damage(f"{access.name}:{object_path(series)}"):
        facts = _Facts.of(series, complete=statistics)
    stored = sample = None
    if facts.readable and values:
        stored = stored_traces(series, access, transposed=bool(facts.layout.transposed))
        sample = _sample(stored, facts.timing.imaging_rate)
    scale = judge_scale(sample, facts.unit) if values else NOT_LOOKED_AT
    judgement = reconcile(classify(_evidence(series, facts.unit)), scale)
    if judgement.kind in SCALELESS_KINDS or not facts.readable:
        scale = ScaleJudgement("unknown", "it holds no fluorescence traces")
    numbers = Statistics()
    if stored is not None and statistics:
        stored = replace(stored, factor=FACTORS.get(scale.scale, 1.0))
        rate = facts.timing.imaging_rate
        numbers = trace_statistics(stored, kind=judgement.kind, imaging_rate=rate, scratch_dir=access.scratch_dir)
    lost = () if stored is None else lost_chunks(series.data)
    problems = (*lost, *facts.problems(judgement.kind, sample), *numbers.problems)
    return _candidate(series, nwbfile, facts, judgement, scale, numbers, problems)


def _candidate(
    series: RoiResponseSeries,
    nwbfile: NWBFile,
    facts: _Facts,
    judgement: Judgement,
    scale: ScaleJudgement,
    numbers: Statistics,
    problems: tuple[str, ...],
) -> Candidate:
    """Put together what was found."""
    return Candidate(
        object_path=object_path(series),
        object_id=stated_id(series),
        name=series.name,
        neurodata_type=series.neurodata_type,
        kind=judgement.kind,
        why=judgement.why,
        n_rois=facts.layout.n_rois,
        n_frames=facts.layout.n_frames,
        region_problem=facts.region_problem,
        imaging_rate=facts.timing.imaging_rate,
        imaging_rate_why=facts.timing.why,
        stretches=facts.stretches,
        unit=facts.unit,
        scale=scale.scale,
        scale_why=scale.why,
        scale_stated=scale.stated,
        conversion=float(series.conversion),
        offset=float(series.offset),
        transposed=facts.layout.transposed,
        nan_fraction=numbers.nan_fraction,
        noise_levels=numbers.noise_levels,
        roi_table=facts.roi_table,
        problems=problems,
        **_imaging(facts.plane, nwbfile),
    )


@dataclass(frozen=True)
class _Facts:
    """What the headers of a series say."""

    layout: Layout
    timing: Timing
    unit: str
    plane: Any
    roi_table: str | None
    region_problem: str

    @classmethod
    def of(cls, series: RoiResponseSeries, *, complete: bool) -> _Facts:
        stamps = series.timestamps
        require_readable(series.data)
        region, table = np.asarray(series.rois.data[:]), series.rois.table
        found = _lost_data(series) or layout(
            tuple(int(n) for n in np.shape(series.data)),
            n_region=len(region),
            n_timestamps=None if stamps is None else len(stamps),
            n_table=len(table),
        )
        plane = getattr(table, "imaging_plane", None)
        timing = timing_of(series, found.n_frames, plane_rate(plane), complete=complete)
        problem = "" if found.transposed is None else region_problem(region, found.n_rois, len(table))
        return cls(found, timing, str(series.unit), plane, object_path(table), problem)

    @property
    def readable(self) -> bool:
        """Whether there are traces to look at."""
        return self.layout.transposed is not None and self.layout.n_rois > 0 and self.layout.n_frames > 0

    @property
    def stretches(self) -> tuple[Stretch, ...]:
        """Parts of a recording whose frames are not even."""
        clock = self.timing.clock
        return () if clock is None or clock.is_even else clock.stretches

    def problems(self, kind: str, sample: Sample | None) -> tuple[str, ...]:
        """Say what is wrong or doubtful, one sentence each."""
        stated, rate = plane_rate(self.plane), self.timing.imaging_rate
        states = f", and its imaging plane states {stated:g} Hz" if stated else ""
        other_rate = bool(stated and rate and abs(stated - rate) > PLANE_RATE_TOLERANCE * rate)
        found = (
            (bool(self.layout.problem), self.layout.problem),
            (bool(self.region_problem), self.region_problem),
            (
                other_rate,
                f"Its rate is {rate or 0:g} Hz, but its imaging plane {getattr(self.plane, 'name', '')!r} states "
                f"{stated or 0:g} Hz.",
            ),
            (
                kind == "dff" and looks_like_ratio(sample),
                "The traces rest near 1: they may be F/F0, from which 1 has to be taken.",
            ),
            (self.readable and rate is None, f"It has no usable imaging rate: {self.timing.why}{states}."),
        )
        clock = self.timing.clock
        return (*(text for is_so, text in found if is_so), *(clock.notes if clock and self.readable else ()))


def _lost_data(series: RoiResponseSeries) -> Layout | None:
    """Say where the data of a series were to be found that a link does not lead to; None if they are there."""
    if np.shape(series.data) != (0,):
        return None
    target = broken_links(series.get_read_io()).get(f"{object_path(series)}/data")
    return Layout(0, 0, None, f"Its data are a link to {target}, which is not there.") if target else None


def stored_traces(series: RoiResponseSeries, access: Access, *, transposed: bool, factor: float = 1.0) -> StoredTraces:
    """Wrap the data of a series with its conversion and offset."""
    return StoredTraces(
        as_array(access.array(series.data)),
        transposed=transposed,
        conversion=float(series.conversion),
        offset=float(series.offset),
        factor=factor,
        where=f"{access.name}:{object_path(series)}",
    )


def plane_rate(plane: Any) -> float | None:
    """Return the imaging rate that a plane states, Hz; None if it states none that is a number."""
    rate = getattr(plane, "imaging_rate", None)
    return float(rate) if rate is not None and np.isfinite(rate) else None


def as_array(data: Any) -> Any:
    """Return data that are an array of a file as they are, others (lists) as a numpy array."""
    return data if hasattr(data, "ndim") and hasattr(data, "dtype") else np.asarray(data)


def _evidence(series: RoiResponseSeries, unit: str) -> Evidence:
    """Gather what the classification looks at."""
    around = containers(series)
    others = getattr(around[0], "roi_response_series", {}) if around else {}
    return Evidence(
        neurodata_type=series.neurodata_type,
        name=series.name,
        description=series.description or "",
        unit=unit,
        ancestors=tuple((c.name, c.neurodata_type) for c in around),
        siblings=frozenset(others) - {series.name},
    )


def _sample(stored: StoredTraces, imaging_rate: float | None) -> Sample | None:
    """Look at a window in the middle of the recording, then at its start and end if that holds nothing."""
    rois, middle = sample_window(*stored.shape)
    size = middle.stop - middle.start
    for start in dict.fromkeys((middle.start, 0, stored.shape[1] - size)):
        values = stored.read(rois, slice(start, start + size))
        if (sample := Sample.of(values, imaging_rate)) is not None:
            return sample
    return None


def _imaging(plane: Any, nwbfile: NWBFile) -> dict[str, Any]:
    """Return the fields of a Candidate that describe plane and subject."""
    subject = nwbfile.subject
    return {
        "plane": getattr(plane, "name", None),
        "plane_rate": plane_rate(plane),
        "indicator": getattr(plane, "indicator", None),
        "location": getattr(plane, "location", None),
        "species": getattr(subject, "species", None),
        "genotype": getattr(subject, "genotype", None),
    }
