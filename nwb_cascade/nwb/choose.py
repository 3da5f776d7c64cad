"""Pick the dF/F series of a file, or say why that cannot be done and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

from nwb_cascade.core.wording import counted
from nwb_cascade.errors import AmbiguousSeriesError, InputError
from nwb_cascade.nwb.candidate import ARBITRARY, FACTORS, Candidate

RATE_AGREEMENT = 1e-3  # a given rate this close to the stated one says the same
NOT_DFF = {
    "neuropil": "neuropil fluorescence",
    "baseline": "a baseline",
    "z_scored": "z-scores",
    "events": "events or deconvolved activity",
    "bulk": "the bulk signal of a fiber, of many cells at once: no spikes of single cells can be told from it",
    "inferred": "inferred spike rates, a result of nwb-cascade",
}
NO_SERIES = "no RoiResponseSeries at all"
PICK = "name one with series= (--series NAME)"
ALL = "all"
WILD = "*?["  # what makes a pattern of a name

One = TypeVar("One")
Made = TypeVar("Made")


def choose(
    candidates: Sequence[Candidate],
    series: str | None = None,
    *,
    scale: str | None = None,
    imaging_rate: float | None = None,
) -> Candidate:
    """Pick one dF/F series and make sure that it can be used.

    Parameters
    ----------
    candidates : sequence of Candidate
        Of one file, see `nwb_cascade.nwb.discover.inspect`.
    series : str, optional
        Name, object path, end of an object path ("dff/traces") or object id of the series. A series that is named
        is taken even if nothing says that it is dF/F, unless something says that it is not.
    scale : {"fraction", "percent"}, optional
        What the values are, where the file does not say.
    imaging_rate : float, optional
        Hz, for a file that states none.

    Raises
    ------
    AmbiguousSeriesError
        If more than one series could be meant, or only series of unknown kind are there.
    InputError
        If there is no dF/F series, or the one that is meant cannot be used: raw fluorescence, percent that is not
        stated, no rate, unclear orientation, NaN only.
    """
    candidate = _only_dff(candidates) if series is None else named(candidates, series)
    require_usable(candidate, scale=scale, imaging_rate=imaging_rate)
    return candidate


def named(candidates: Sequence[Candidate], series: str) -> Candidate:
    """Return the one series of a given name, path, end of a path or id, whatever it holds.

    Raises
    ------
    AmbiguousSeriesError, InputError
        If several series have that name, or none has.
    """
    matches = matching(candidates, series)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise AmbiguousSeriesError(
            f"Expected one series {series!r}, found {len(matches)}: {_listed(matches)}; give the path of one with "
            "series= (--series PATH)."
        )
    found = _listed(candidates) if candidates else NO_SERIES
    raise InputError(f"Expected a series {series!r}, found {found}.")


def means_several(series: str | None) -> bool:
    """Tell whether a name stands for several series: ``all``, or a pattern.

    Examples
    --------
    >>> [means_several(series) for series in (None, "dff", "all", "plane*")]
    [False, False, True, True]
    """
    return series is not None and (series == ALL or any(sign in series for sign in WILD))


def several(candidates: Sequence[Candidate], series: str, kind: str = "dff") -> tuple[Candidate, ...]:
    """Return all series of a kind, or those whose path, end of a path or name has a pattern: of the kind if any is."""
    of_kind = [c for c in candidates if c.kind == kind]
    if series == ALL:
        return tuple(of_kind)
    found = [c for c in candidates if any(fnmatchcase(c.object_path, one) for one in (series, f"*/{series}"))]
    return tuple([c for c in of_kind if c in found] or found)


def each_usable(found: Iterable[One], make: Callable[[One], Made]) -> tuple[tuple[Made, ...], tuple[str, ...]]:
    """Make something of each series or plane; those that cannot be used are left out, and a sentence says why.

    Raises
    ------
    InputError
        If none can be used: why the first cannot.
    """
    made: list[Made] = []
    refused: list[InputError] = []
    for one in found:
        try:
            made.append(make(one))
        except InputError as error:  # noqa: PERF203  # one must not stop the others
            refused.append(error)
    if not made and refused:
        raise refused[0]
    return tuple(made), tuple(f"Left out: {error}" for error in refused)


def label_of(candidate: Candidate, candidates: Sequence[Candidate]) -> str:
    """Return what tells a series from others like it in its file: the shortest end of its path; empty if it is alone.

    Parameters
    ----------
    candidate : Candidate
        The series.
    candidates : sequence of Candidate
        All of the file; those count that are dF/F, or of its kind.
    """
    alike = [c for c in candidates if c.object_path != candidate.object_path and c.kind in ("dff", candidate.kind)]
    parts = candidate.object_path.strip("/").split("/")
    ends = ["/".join(parts[-n:]) for n in range(1, len(parts) + 1)]
    own = [end for end in ends if not any(c.object_path.endswith(f"/{end}") for c in alike)]
    return (own or ends[-1:])[0].replace("/", "_") if alike else ""


def matching(candidates: Sequence[Candidate], series: str) -> list[Candidate]:
    """Return the series of a given path or id, else those of that name, else those whose path ends so."""
    by_id = [c for c in candidates if series and series in (c.object_path, c.object_id)]
    by_name = [c for c in candidates if c.name == series]
    return by_id or by_name or [c for c in candidates if c.object_path.endswith("/" + series.strip("/"))]


def require_usable(candidate: Candidate, *, scale: str | None = None, imaging_rate: float | None = None) -> None:
    """Raise InputError unless a series can be read as dF/F, see `choose`."""
    path = candidate.object_path
    if candidate.kind in NOT_DFF:
        raise InputError(f"Expected dF/F traces, but {path} holds {NOT_DFF[candidate.kind]}: {candidate.why}.")
    require_traces(candidate)
    if candidate.nan_fraction == 1:
        raise InputError(f"Expected dF/F values in {path}, but all of them are NaN.")
    resolve_rate(candidate, imaging_rate)  # first: the scale is judged by noise levels, which need the rate
    resolve_factor(candidate, scale)


def require_traces(candidate: Candidate) -> None:
    """Raise InputError if a series has no traces, or not one for every ROI that it names."""
    path, layout_problem = candidate.object_path, "".join(candidate.problems[:1])
    empty = candidate.n_rois == 0 or candidate.n_frames == 0
    if empty and candidate.transposed is None and layout_problem:
        raise InputError(f"Expected traces in {path}, but {layout_problem[0].lower()}{layout_problem[1:]}")
    if empty:
        raise InputError(
            f"Expected traces in {path}, received {counted(candidate.n_rois, 'ROI')}, "
            f"{counted(candidate.n_frames, 'frame')}."
        )
    if candidate.transposed is None:
        raise InputError(
            f"Cannot tell which axis of {path} is time. {layout_problem} Correct its ROI region or its timestamps in "
            "the file."
        )
    if problem := candidate.region_problem:
        raise InputError(
            f"Expected a ROI for every trace of {path}, but {problem[0].lower()}{problem[1:]} Correct the region in "
            "the file."
        )


def resolve_factor(candidate: Candidate, scale: str | None = None) -> float:
    """Return what a value has to be multiplied with to become a fraction.

    Raises
    ------
    InputError
        If the values look like percent or raw fluorescence and nobody says what they are.
    """
    if scale is not None and scale not in FACTORS:
        raise InputError(f"Expected scale 'fraction' or 'percent', received {scale!r}.")
    path = candidate.object_path
    if scale == ARBITRARY:
        return FACTORS[scale]
    if candidate.scale == "counts":
        raise InputError(
            f"Expected dF/F, but {path} looks like raw fluorescence: {candidate.scale_why}. Compute dF/F first and "
            "store it as a RoiResponseSeries in a DfOverF container, or have it computed with from_raw= (--from-raw)."
        )
    if scale is not None:
        return FACTORS[scale]
    if candidate.scale == "fraction" or (candidate.scale == "percent" and candidate.scale_stated):
        return FACTORS[candidate.scale]
    raise InputError(
        f"Expected dF/F as a fraction (0.5 means 50 %), but {path} may be in percent: {candidate.scale_why}. Say which "
        "it is with scale='percent' or 'fraction' (--scale)."
    )


def resolve_rate(candidate: Candidate, imaging_rate: float | None = None) -> float:
    """Return the imaging rate in Hz: that of the file, or the given one if the file has none.

    Raises
    ------
    InputError
        If there is no rate, or a given one contradicts the file.
    """
    path, stated = candidate.object_path, candidate.imaging_rate
    if imaging_rate is not None and not 0 < imaging_rate < float("inf"):
        raise InputError(f"Expected a positive imaging rate in Hz, received {imaging_rate!r}.")
    if stated is None and imaging_rate is not None:
        return float(imaging_rate)
    if stated is None:
        plane = f", and its imaging plane states {candidate.plane_rate:g} Hz" if candidate.plane_rate else ""
        raise InputError(
            f"Expected the imaging rate of {path}, but {candidate.imaging_rate_why}{plane}; if the frames are evenly "
            "spaced all the same, give the rate with imaging_rate= (--imaging-rate HZ)."
        )
    if imaging_rate is not None and abs(imaging_rate - stated) > RATE_AGREEMENT * stated:
        raise InputError(
            f"{path} has an imaging rate of {stated:g} Hz, but {imaging_rate:g} Hz was given: imaging_rate= "
            "(--imaging-rate) is for series without a rate. Leave it out, or correct the file."
        )
    return stated


def _only_dff(candidates: Sequence[Candidate]) -> Candidate:
    """Return the one series that is dF/F."""
    dff = [c for c in candidates if c.kind == "dff"]
    if len(dff) == 1:
        return dff[0]
    if len(dff) > 1:
        raise AmbiguousSeriesError(
            f"Expected one dF/F series, found {len(dff)}: {_listed(dff)}; {PICK}, or take all (--series all)."
        )
    possible = [c for c in candidates if c.kind in ("unknown", "denoised") and c.transposed is not None]
    if possible:
        raise AmbiguousSeriesError(
            f"Expected a dF/F series, found none that is surely one, but {_listed(possible)}; if one is, {PICK}."
        )
    raw = [c for c in candidates if c.kind == "raw_fluorescence"]
    if raw:
        raise InputError(
            f"Expected a dF/F series, found only raw fluorescence: {_listed(raw)}. Compute dF/F first, or have it "
            f"computed with from_raw= (--from-raw); if one of them is dF/F, {PICK}."
        )
    bulk = [c for c in candidates if c.kind == "bulk"]
    if bulk:
        raise InputError(f"Expected dF/F of single cells, found {_listed(bulk)}: {NOT_DFF['bulk']}.")
    found = f"only {_listed(candidates)}" if candidates else NO_SERIES
    raise InputError(f"Expected a dF/F series in the file, found {found}.")


def _listed(candidates: Sequence[Candidate]) -> str:
    return ", ".join(c.describe() for c in candidates)
