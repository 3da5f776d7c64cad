"""One job on one machine: take it, annotate the recording, note how it ended."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nwb_cascade.archive.ledger import API_FOLDER, LEASE_S, Claim, Ledger
from nwb_cascade.archive.listing import open_source
from nwb_cascade.archive.manifest import Job
from nwb_cascade.errors import ModelFileError, NoModelError
from nwb_cascade.files.hashing import file_sha256
from nwb_cascade.options import InferenceOptions, OutputOptions

if TYPE_CHECKING:
    from nwb_cascade.models.bundle import Model
    from nwb_cascade.results.result import AnnotationResult

API_CALLS = 4
MOST_INTERRUPTIONS = 5
LEAST_FREE_BYTES = 64 * 2**20  # with less on the disk a run stops, instead of noting one job after the other as failed
ONE_THREAD = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
}
UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


class KilledTooOftenError(RuntimeError):
    """Every process that took up a job was killed."""


@dataclass(frozen=True)
class Settings:
    """How jobs are done; small and picklable.

    Parameters
    ----------
    out : str
        The output folder.
    retry_failed : bool
        Take up jobs that failed.
    lease_s : float
        See `Ledger`.
    api_calls : int
        Most requests to the archive's API at once, of all processes that work for this output folder.
    streaming : mapping
        Fields of `nwb_cascade.dandi.stream.StreamSettings`.
    """

    out: str
    retry_failed: bool = False
    lease_s: float = LEASE_S
    api_calls: int = API_CALLS
    streaming: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JobOutcome:
    """How an attempt at a job ended.

    Parameters
    ----------
    job : str
        Name of the job.
    status : str
        ``done``, ``failed``; ``held``: somebody else has it; ``halted``: nothing can be written any more.
    cause : str
        Why it failed or halted, in one sentence.
    kind : str
        Name of the error's class.
    is_new : bool
        Whether this attempt did it; False if it was done or had failed before.
    seconds : float
        Time that it took.
    """

    job: str
    status: str
    cause: str = ""
    kind: str = ""
    is_new: bool = True
    seconds: float = 0.0


def perform(job: Job, settings: Settings) -> JobOutcome:
    """Do one job, unless it is done or somebody else has it; never raises for what is wrong with a recording.

    Parameters
    ----------
    job : Job
        From a manifest.
    settings : Settings
        How to do it.
    """
    ledger = Ledger(settings.out, lease_s=settings.lease_s)
    started = time.perf_counter()
    try:
        claim = ledger.claim(job.id, retry_failed=settings.retry_failed)
        if claim is None:
            return _not_ours(ledger, job.id)
        with claim:
            return _attempt(job, settings, claim, started)
    except OSError as error:
        return JobOutcome(
            job.id, "halted", output_problem(Path(settings.out)) or _sentence(error), type(error).__name__
        )


def output_problem(folder: Path) -> str:
    """Say why nothing more can be written to a folder; empty if something can."""
    full = f"No space left in {folder}: free some, then run again to go on."
    probe = folder / f".probe-{socket.gethostname()}-{os.getpid()}"
    try:
        with open(probe, "wb") as file:
            file.write(b"\0" * 2**16)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno in UNWRITABLE:
            return f"Cannot write in {folder} ({error.strerror}): change its permissions or name another folder."
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return full
        return f"Cannot write in {folder}: {error}."
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return full if shutil.disk_usage(folder).free < LEAST_FREE_BYTES else ""


def _attempt(job: Job, settings: Settings, claim: Claim, started: float) -> JobOutcome:
    """Annotate, and note the result or the failure."""
    try:
        if claim.interruptions >= MOST_INTERRUPTIONS:
            raise KilledTooOftenError(
                f"Its process was killed {claim.interruptions} times in a row: too little memory per worker, or a "
                "crash in a library."
            )
        results = _annotate(job, settings, claim)
        output = Path(results[0].output)
        seconds = time.perf_counter() - started
        record = {
            "runs": [_run_record(result) for result in results],
            "size": output.stat().st_size,
            "sha256": file_sha256(output),
            "seconds": round(seconds, 3),
            "address": job.address,
        }
        claim.finish(output, record)
        return JobOutcome(job.id, "done", seconds=seconds)
    except Exception as error:  # one recording's failure must not stop the others; it is recorded with its traceback
        if claim.is_lost:
            return JobOutcome(job.id, "held", is_new=False)
        if isinstance(error, OSError) and (problem := output_problem(Path(settings.out))):
            return JobOutcome(job.id, "halted", problem, type(error).__name__)
        seconds = time.perf_counter() - started
        claim.fail(
            {
                "cause": _sentence(error),
                "kind": type(error).__name__,
                "traceback": traceback.format_exc(),
                "seconds": round(seconds, 3),
                "address": job.address,
            }
        )
        return JobOutcome(job.id, "failed", _sentence(error), type(error).__name__, seconds=seconds)


def _annotate(job: Job, settings: Settings, claim: Claim) -> tuple[AnnotationResult, ...]:
    """Annotate the recording into the folder of the attempt, which takes over what an interrupted one finished."""
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    from nwb_cascade.annotation.annotate import annotate_source

    options = replace(InferenceOptions.from_dict(job.parameters), model=kept_model(job.model, job.model_sha256))
    source = open_source(job.source)
    for path in claim.earlier_outputs()[:1]:
        os.rename(path, claim.folder / path.name)
    where = OutputOptions(claim.folder, sidecar=True, overwrite=True)
    if job.source["kind"] == "file":
        return annotate_source(source, options, where)
    from nwb_cascade.dandi.stream import StreamSettings
    from nwb_cascade.dandi.turns import limited

    with limited(Path(settings.out, API_FOLDER), settings.api_calls):
        return annotate_source(source, options, where, streaming=StreamSettings(**settings.streaming))


@lru_cache(maxsize=8)
def kept_model(name: str, sha256: str) -> Model:
    """Load a model once per process, and make sure that it is the one that was planned with."""
    from nwb_cascade.models.library import load_model

    host = socket.gethostname()
    try:
        model = load_model(name)
    except NoModelError as error:
        raise NoModelError(f"The worker {host} lacks the model {name!r}: install it there. {error}") from error
    if model.sha256 != sha256:
        raise ModelFileError(
            f"Expected the model {name!r} with weights {sha256[:12]}…, the worker {host} has {model.sha256[:12]}…: "
            "install the one that was planned with, or plan again."
        )
    return model


def _not_ours(ledger: Ledger, job_id: str) -> JobOutcome:
    """How a job stands that could not be taken."""
    entry = ledger.entry(job_id)
    if entry.state in ("done", "failed"):
        cause, kind = entry.record.get("cause", ""), entry.record.get("kind", "")
        return JobOutcome(job_id, entry.state, cause, kind, is_new=False)
    return JobOutcome(job_id, "held", is_new=False)


def _run_record(result: AnnotationResult) -> dict[str, Any]:
    """What a table of results needs to know of a run."""
    return {
        "run_name": result.run_name,
        "run_key": result.run_key,
        "object_path": result.object_path,
        "series": result.series,
        "model": result.model,
        "model_sha256": result.model_sha256,
        "reason": result.reason,
        "indicator": result.indicator,
        "imaging_rate_hz": result.imaging_rate,
        "n_rois": result.n_rois,
        "n_frames": result.n_frames,
        "n_inferred": result.n_inferred,
        "warnings": list(result.warnings),
        "roi_warnings": dict(Counter(warning.code for warning in result.roi_warnings)),
        "is_adopted": result.skipped,
    }


def _sentence(error: BaseException) -> str:
    """An error in one line; one that says nothing by its name."""
    return " ".join(str(error).split()) or type(error).__name__
