"""Plan: list the recordings, look at each header, and write down one job per recording, or why there is none."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nwb_cascade.archive.copies import without_copies
from nwb_cascade.archive.job import output_problem
from nwb_cascade.archive.listing import Source, as_asset, list_sources
from nwb_cascade.archive.manifest import Header, Job, Skipped, job_id, write_manifest
from nwb_cascade.core.progress import Progress
from nwb_cascade.errors import InputError, NoModelError, RemoteError
from nwb_cascade.files.kinds import MANIFEST, require_kind
from nwb_cascade.inference_run import prepare_run, require_rates
from nwb_cascade.models.library import load_model, model_reference
from nwb_cascade.options import InferenceOptions
from nwb_cascade.readers.registry import reader_of

if TYPE_CHECKING:
    from nwb_cascade.core.clock import FrameClock
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
    """What was asked for, and the fields of `nwb_cascade.dandi.stream.StreamSettings`."""

    options: InferenceOptions
    streaming: Mapping[str, Any]


def plan(
    sources: Iterable[str],
    path: Path,
    options: InferenceOptions | None = None,
    *,
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
        The manifest; an earlier one is replaced in one step.
    options : InferenceOptions, optional
        What is asked for; the model ``auto`` is picked per recording.
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
    options = _located(options or InferenceOptions())
    wish = Wish(options, dict(streaming or {}))
    require_kind(path, MANIFEST)
    path.parent.mkdir(parents=True, exist_ok=True)
    if problem := output_problem(path.parent):  # now, and not after hundreds of headers
        raise PermissionError(problem)
    listed = list(list_sources(given, instance=instance))
    records: list[Job | Skipped] = []
    for done, record in enumerate(_once(_looked_at(listed, wish, readers)), 1):
        records.append(record)
        if progress is not None:
            progress(done, len(listed))
    records = without_copies(records)
    jobs = [record for record in records if isinstance(record, Job)]
    header = Header(
        sources=given,
        model=str(options.model),
        models={job.model: job.model_sha256 for job in jobs},
        parameters=parameters_of(options),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    write_manifest(path, header, records)
    return PlanSummary(path, len(jobs), tuple(record for record in records if isinstance(record, Skipped)))


def _once(records: Iterable[Job | Skipped]) -> Iterator[Job | Skipped]:
    """Skip recordings of the same content but the first."""
    known: dict[str, str] = {}
    for record in records:
        if isinstance(record, Job) and record.id in known:
            why = f"It has the same content as {known[record.id]}, which has the job."
            yield Skipped(record.address, why, record.is_private)
            continue
        if isinstance(record, Job):
            known[record.id] = record.address
        yield record


def look_at(source: Source, wish: Wish) -> Job | Skipped:
    """Read the header of one recording and make a job of it, or say why not; never raises."""
    try:
        reader_of(source["address"]).check(source["address"], wish.options)
        source = _with_record(source)
        return _job(source, wish)
    except (InputError, NoModelError, LookupError, OSError, ImportError, RemoteError) as error:
        return Skipped(source["address"], " ".join(str(error).split()), _is_private(source))
    except Exception as error:  # one file must not stop the others
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        why = f"Its header cannot be read: {type(error).__name__}: {error} ({where})."
        return Skipped(source["address"], why, _is_private(source))


def _with_record(source: Source) -> Source:
    """Add what the archive's record says of an asset."""
    if source["kind"] == "file":
        return source
    from nwb_cascade.dandi.assets import with_record

    asset = with_record(as_asset(source))
    # a Zarr may change under its id, a blob may not
    content = f"{asset.content_id} {asset.digest}" if asset.kind == "zarr" else asset.content_id
    return {**source, "content_id": content, "asset": asdict(asset)}


def _is_private(source: Source) -> bool:
    return bool(source.get("asset", {}).get("is_private"))


def _job(source: Source, wish: Wish) -> Job:
    options, found = _header(source, wish)
    recordings, runs = [], []
    for series, clock in found:
        told = options.told(series.indicator, series.species)
        runs.append(prepare_run(clock.imaging_rate, told))
        require_rates(runs[-1], clock)
        recordings.append(
            {
                "series": series.object_path,
                "n_rois": series.n_rois,
                "n_frames": series.n_frames,
                "imaging_rate_hz": clock.imaging_rate,
                "indicator": told.indicator,
            }
        )
    run = runs[0]
    if names := sorted({one.model.config.name for one in runs if one.model.sha256 != run.model.sha256}):
        raise NoModelError(
            f"Expected one model for all {len(runs)} series, found {run.model.config.name} and {', '.join(names)}: "
            "name one with --model, or plan one series with --series."
        )
    parameters = parameters_of(options)
    return Job(
        id=job_id(source["content_id"], run.model.sha256, parameters),
        address=source["address"],
        content_id=source["content_id"],
        source=source,
        model=run.model.config.name if options.model == "auto" else str(options.model),
        model_sha256=run.model.sha256,
        parameters=parameters,
        recordings=tuple(recordings),
    )


def _located(options: InferenceOptions) -> InferenceOptions:
    """Options with a model that loads, named so that jobs find it from other folders."""
    if options.model == "auto":
        return options
    load_model(str(options.model))
    return replace(options, model=model_reference(str(options.model)))


def parameters_of(options: InferenceOptions) -> dict[str, Any]:
    """Return what was asked for but the model, which a job names with its hash."""
    return {name: value for name, value in options.to_dict().items() if name != "model"}


def _header(source: Source, wish: Wish) -> tuple[InferenceOptions, tuple[tuple[Candidate, FrameClock], ...]]:
    """The series of a recording and their clocks by its header, with the options as they became known."""
    from nwb_cascade.readers.nwb import look_at_header

    if source["kind"] == "file":
        return look_at_header(source["address"], wish.options)
    from nwb_cascade.dandi.stream import StreamSettings

    return look_at_header(as_asset(source), wish.options, streaming=StreamSettings(**wish.streaming))


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
