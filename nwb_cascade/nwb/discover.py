"""Find every ROI response series of an NWB file, wherever it lies, and describe it as a Candidate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pynwb import NWBFile, TimeSeries

from nwb_cascade.core.stretches import Stretch
from nwb_cascade.core.traces import sample_window
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.access import Access
from nwb_cascade.nwb.blocks import StoredTraces, lost_chunks
from nwb_cascade.nwb.candidate import FACTORS, Candidate
from nwb_cascade.nwb.choose import ALL, matching, means_several, named, several
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
from nwb_cascade.nwb.kinds_of_series import FIBER, imaged_by, one_photon_why, others_of, region_of, series_at, traces_of
from nwb_cascade.nwb.layout import Layout, layout, region_problem
from nwb_cascade.nwb.objects import containers, object_path, stated_id
from nwb_cascade.nwb.statistics import Statistics, trace_statistics
from nwb_cascade.nwb.timing import Timing, timing_of

PLANE_RATE_TOLERANCE = 0.1
NOT_LOOKED_AT = ScaleJudgement("unknown", "its values were not looked at")
SCALELESS_KINDS = ("events", "inferred", "z_scored")


def inspect(
    source: NWBSource, *, series: str | None = None, statistics: bool = True, scratch_dir: str | Path | None = None
) -> tuple[Candidate, ...]:
    """Describe every ROI response series of what `open_nwb` takes, see `nwb_cascade.inspect`."""
    access = Access.of(source, scratch_dir)
    with open_nwb(source) as (nwbfile, _):
        if series is None:
            return find_candidates(nwbfile, access, statistics=statistics)
        one = named(find_candidates(nwbfile, access, statistics=False, values=False, series=series), series)
        return (describe(series_at(nwbfile, one.object_path), nwbfile, access, statistics=statistics),)


def find_candidates(
    nwbfile: NWBFile,
    access: Access | None = None,
    *,
    statistics: bool = True,
    values: bool = True,
    series: str | None = None,
) -> tuple[Candidate, ...]:
    """Describe every series of ROI traces of an open file, see `describe`.

    Series that name no ROIs are described where there are no others, or where ``series`` names one and no other.
    """
    access, found = access or Access(), traces_of(nwbfile)
    if not found:
        _require_whole_links(nwbfile, access.name)
    if not found or not (
        series is None or means_several(series) or any(_is_named(*one, series) for one in found.items())
    ):
        found |= {
            path: one for path, one in others_of(nwbfile).items() if not found or _is_named(path, one, series or "")
        }
    return tuple(describe(one, nwbfile, access, statistics=statistics, values=values) for one in found.values())


def _is_named(path: str, series: TimeSeries, name: str) -> bool:
    """Whether a series has this name, path, end of a path or id."""
    return name in (path, series.name, stated_id(series)) or path.endswith("/" + name.strip("/"))


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
    header = find_candidates(nwbfile, access, statistics=False, values=False, series=series)
    found = {c.object_path: c for c in header}

    def look_at(chosen: list[Candidate]) -> None:
        for candidate in chosen:
            found[candidate.object_path] = describe(series_at(nwbfile, candidate.object_path), nwbfile, access)

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
    series: TimeSeries, nwbfile: NWBFile, access: Access | None = None, *, statistics: bool = False, values: bool = True
) -> Candidate:
    """Describe one series of an open file, see `inspect`; without ``values`` by its header alone."""
    access = access or Access()
    with told_as_damage(f"{access.name}:{object_path(series)}"):
        facts = _Facts.of(series, nwbfile, complete=statistics)
    stored = sample = None
    if facts.readable and values:
        stored = stored_traces(series, access, transposed=bool(facts.layout.transposed))
        sample = _sample(stored, facts.timing.imaging_rate)
    scale = judge_scale(sample, facts.unit) if values else NOT_LOOKED_AT
    judgement = _judged(series, facts, scale)
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


def _judged(series: TimeSeries, facts: _Facts, scale: ScaleJudgement) -> Judgement:
    """Judge what a series holds; one that names no ROIs is not guessed to be dF/F, its name may say that it is not."""
    if series.neurodata_type == FIBER:
        return Judgement("bulk", f"its type is {FIBER}")
    judgement = classify(_evidence(series, facts.unit))
    if facts.roi_table is None and judgement.kind in ("dff", "raw_fluorescence", "denoised"):
        return Judgement("unknown", f"it is a {series.neurodata_type}, which names no ROIs", certain=False)
    return reconcile(judgement, scale)


def _candidate(
    series: TimeSeries,
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
        one_photon=facts.one_photon,
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
    one_photon: str

    @classmethod
    def of(cls, series: TimeSeries, nwbfile: NWBFile, *, complete: bool) -> _Facts:
        stamps = series.timestamps
        require_readable(series.data)
        region, table = region_of(series)
        found = _lost_data(series) or layout(
            tuple(int(n) for n in np.shape(series.data)),
            n_region=None if region is None else len(region),
            n_timestamps=None if stamps is None else len(stamps),
            n_table=None if table is None else len(table),
        )
        plane = imaged_by(series, table, nwbfile)
        timing = timing_of(series, found.n_frames, plane_rate(plane), complete=complete)
        problem = ""
        if found.transposed is not None and region is not None and table is not None:
            problem = region_problem(region, found.n_rois, len(table))
        why = one_photon_why(series, plane, nwbfile)
        return cls(found, timing, str(series.unit), plane, None if table is None else object_path(table), problem, why)

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
            (bool(self.one_photon), f"It is refused without --one-photon, as it has no dF/F: {self.one_photon}."),
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


def _lost_data(series: TimeSeries) -> Layout | None:
    """Say where the data of a series were to be found that a link does not lead to; None if they are there."""
    if np.shape(series.data) != (0,):
        return None
    target = broken_links(series.get_read_io()).get(f"{object_path(series)}/data")
    return Layout(0, 0, None, f"Its data are a link to {target}, which is not there.") if target else None


def stored_traces(series: TimeSeries, access: Access, *, transposed: bool, factor: float = 1.0) -> StoredTraces:
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


def _evidence(series: TimeSeries, unit: str) -> Evidence:
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
