"""Plan: list the recordings, look at each header, and write down one job per recording, or why there is none."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nwb_cascade.archive.job import output_problem
from nwb_cascade.archive.listing import Source, as_asset, list_sources
from nwb_cascade.archive.manifest import Header, Job, Skipped, job_id, write_manifest
from nwb_cascade.core.indicators import canonical_indicator
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.selection import select_model
from nwb_cascade.errors import InputError, NoModelError, RemoteError
from nwb_cascade.models.bundle import recorded_sha256
from nwb_cascade.models.library import installed_models, list_installed, load_model

if TYPE_CHECKING:
    from nwb_cascade.nwb.candidate import Candidate

READERS = 4
IN_THIS_PROCESS = 4  # so many headers are read sooner than further processes start


@dataclass(frozen=True)
class PlanSummary:
    """What was planned: numbers of jobs and of skipped files by reason."""

    path: Path
    n_jobs: int
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True)
class Wish:
    """What was asked for: a model, the parameters of `nwb_cascade.annotate`, settings of streams."""

    model: str
    parameters: Mapping[str, Any]
    streaming: Mapping[str, Any]


def plan(
    sources: Iterable[str],
    path: Path,
    *,
    model: str = "auto",
    parameters: Mapping[str, Any] | None = None,
    instance: str | None = None,
    readers: int = READERS,
    streaming: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> PlanSummary:
    """Write a manifest for all recordings that some sources mean.

    Of each recording only the header is read, by several processes at once.

    Parameters
    ----------
    sources : iterable of str
        Folders, globs, files, addresses, see `nwb_cascade.archive.listing.list_sources`.
    path : pathlib.Path
        The manifest; replaced in one step.
    model : str
        ``auto`` picks one per recording; else the name or folder of one for all.
    parameters : mapping, optional
        Keyword arguments of `nwb_cascade.annotate`.
    instance : str, optional
        DANDI instance for addresses that name none.
    readers : int
        Most headers read at the same time.
    streaming : mapping, optional
        Fields of `nwb_cascade.dandi.stream.StreamSettings`.
    progress : callable, optional
        Called with the headers read and the recordings listed.

    Raises
    ------
    InputError, LookupError, PermissionError, RemoteError, OSError
        If a source cannot be listed. A recording that cannot be read is noted in the manifest.
    """
    given = tuple(sources)
    wish = Wish(model, dict(parameters or {}), dict(streaming or {}))
    path.parent.mkdir(parents=True, exist_ok=True)
    if problem := output_problem(path.parent):  # now, and not after hundreds of headers
        raise PermissionError(problem)
    if model != "auto":
        load_model(model)
    listed = list(list_sources(given, instance=instance))
    records: list[Job | Skipped] = []
    known: dict[str, str] = {}
    for done, record in enumerate(_looked_at(listed, wish, readers), 1):
        if isinstance(record, Job) and record.id in known:
            record = Skipped(record.address, f"It has the same content as {known[record.id]}, which has the job.")
        elif isinstance(record, Job):
            known[record.id] = record.address
        records.append(record)
        if progress is not None:
            progress(done, len(listed))
    jobs = [record for record in records if isinstance(record, Job)]
    header = Header(
        sources=given,
        model=model,
        models={job.model: job.model_sha256 for job in jobs},
        parameters=wish.parameters,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    write_manifest(path, header, records)
    return PlanSummary(path, len(jobs), tuple(record for record in records if isinstance(record, Skipped)))


def look_at(source: Source, wish: Wish) -> Job | Skipped:
    """Read the header of one recording and make a job of it, or say why not; never raises."""
    try:
        return _job(source, wish)
    except (InputError, NoModelError, LookupError, OSError, ImportError, RemoteError) as error:
        return Skipped(source["address"], " ".join(str(error).split()))
    except Exception as error:  # one file must not stop the others
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return Skipped(source["address"], f"Its header cannot be read: {type(error).__name__}: {error} ({where}).")


def _job(source: Source, wish: Wish) -> Job:
    from nwb_cascade.nwb.choose import choose

    wanted = wish.parameters
    source, candidates = _candidates(source, wanted.get("series"), wish.streaming)
    if not candidates:
        raise InputError("It holds no series of ROI traces (RoiResponseSeries).")
    series = choose(
        candidates, wanted.get("series"), scale=wanted.get("scale"), imaging_rate=wanted.get("imaging_rate")
    )
    rate = float(wanted.get("imaging_rate") or series.imaging_rate or 0.0)
    indicator = wanted.get("indicator") or series.indicator
    name = wish.model
    if name == "auto":
        name = select_model(installed_models(), rate, canonical_indicator(indicator)).config.name
    sha256 = _model_sha256(name)
    return Job(
        id=job_id(source["content_id"], sha256, wanted),
        address=source["address"],
        content_id=source["content_id"],
        source=source,
        model=name,
        model_sha256=sha256,
        parameters=wanted,
        recording={
            "series": series.object_path,
            "n_rois": series.n_rois,
            "n_frames": series.n_frames,
            "imaging_rate_hz": rate,
            "indicator": indicator,
        },
    )


def _candidates(
    source: Source, series: str | None, streaming: Mapping[str, Any]
) -> tuple[Source, tuple[Candidate, ...]]:
    """Series of a recording by its header; and the source with what else became known of it."""
    from nwb_cascade.readers.nwb import inspect_for_choice

    if source["kind"] == "file":
        return source, inspect_for_choice(source["address"], series)
    from nwb_cascade.dandi.assets import with_record
    from nwb_cascade.dandi.stream import StreamSettings

    asset = with_record(as_asset(source))
    candidates = inspect_for_choice(asset, series, streaming=StreamSettings(**streaming))
    # a Zarr may change under its id, a blob may not
    content = f"{asset.content_id} {asset.digest}" if asset.kind == "zarr" else asset.content_id
    return {**source, "content_id": content, "asset": asdict(asset)}, candidates


def _model_sha256(name: str) -> str:
    folders = {entry.name: entry.path for entry in list_installed()}
    return recorded_sha256(folders.get(name, Path(name)))


def _looked_at(sources: list[Source], wish: Wish, readers: int) -> Iterator[Job | Skipped]:
    """Look at all sources, some at the same time, in their order; processes, since h5py reads one file at a time."""
    if readers == 1 or len(sources) <= IN_THIS_PROCESS:
        yield from (look_at(source, wish) for source in sources)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(readers, mp_context=context) as pool:
        waiting = iter(sources)
        running = [pool.submit(look_at, source, wish) for source in islice(waiting, 2 * readers)]
        while running:
            yield running.pop(0).result()
            running += [pool.submit(look_at, source, wish) for source in islice(waiting, 1)]
