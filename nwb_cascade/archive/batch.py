"""Workers that are jobs of a batch system, by dask-jobqueue."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nwb_cascade.archive.cluster import PATIENT, import_dask, require_memory
from nwb_cascade.archive.job import ONE_THREAD
from nwb_cascade.errors import InputError, RemoteError

KEEP_JOBS_EVERY_S = 20.0
LOST_BATCH_JOB = "2 minutes"  # without a sign of its worker, after which it is cancelled and another one submitted
PROLOGUE = "job_script_prologue"


@contextmanager
def batch_cluster(
    system: str, jobs: int, *, memory: str, logs: Path, options: Mapping[str, Any], dashboard: str
) -> Iterator[Any]:
    """Yield a client of workers that are jobs of a batch system.

    Parameters
    ----------
    system : str
        Such as ``slurm``, ``sge``, ``pbs``, ``lsf``.
    jobs : int
        Number of batch jobs, one worker each.
    memory : str
        Memory of each.
    logs : pathlib.Path
        Folder of what they print.
    options : mapping
        Further arguments of dask-jobqueue's class, such as ``queue`` and ``walltime``.
    dashboard : str
        As for `nwb_cascade.archive.cluster.local_cluster`.

    Raises
    ------
    InputError
        If the system is unknown or has no such option.
    RemoteError
        If it does not take the first batch jobs.
    """
    dask, distributed = import_dask()
    require_memory(memory)
    kind = _kind(system)
    from nwb_cascade.archive.upkeep import folder_of_marks, kept_at, mark_of_end

    host = dashboard.rpartition(":")[0] or "{host}"
    config = {
        **PATIENT,
        "distributed.deploy.lost-worker-timeout": LOST_BATCH_JOB,
        "distributed.dashboard.link": f"{{scheme}}://{host}:{{port}}/status",  # dask takes the scheduler's host for it
    }
    with dask.config.set(config), folder_of_marks(logs) as marks:
        theirs = options.get(PROLOGUE) or []
        exports = [f"export {name}={value}" for name, value in ONE_THREAD.items()]
        settings = {
            "cores": 1,
            "processes": 1,
            "memory": memory,
            "log_directory": str(logs),
            "scheduler_options": {"dashboard_address": dashboard},
            **options,
            PROLOGUE: [*exports, *mark_of_end(marks), *([theirs] if isinstance(theirs, str) else theirs)],
        }
        with _cluster(kind, settings, options) as cluster:
            logging.getLogger("tornado.application").setLevel(logging.CRITICAL)  # what fails is told in one sentence
            _submit(cluster, jobs, system)
            with (
                distributed.Client(cluster) as client,
                kept_at(cluster, jobs, every_s=KEEP_JOBS_EVERY_S, marks=marks),
            ):
                yield client


def _kind(system: str) -> Any:
    """Class of dask-jobqueue for a batch system."""
    try:
        import dask_jobqueue
    except ImportError as error:
        raise ImportError("--jobqueue needs dask-jobqueue: pip install 'nwb-cascade[archive]'.") from error
    kinds = {name.removesuffix("Cluster").lower(): name for name in dir(dask_jobqueue) if name.endswith("Cluster")}
    for name in ("jobqueue", "local"):
        kinds.pop(name, None)
    if system not in kinds:
        raise InputError(f"Expected a batch system out of {', '.join(sorted(kinds))}, received {system!r}.")
    return getattr(dask_jobqueue, kinds[system])


def _cluster(kind: Any, settings: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """Make a cluster of batch jobs; a job first, as a cluster that cannot be made leaves half of itself behind."""
    from dask_jobqueue.core import JobQueueCluster

    of_cluster = inspect.signature(JobQueueCluster).parameters
    try:
        kind.job_cls("tcp://scheduler", "worker", **{k: v for k, v in settings.items() if k not in of_cluster})
    except (TypeError, ValueError) as error:
        listed = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise InputError(
            f"Expected options of dask-jobqueue's {kind.__name__}, received {listed}: {error}. See its documentation."
        ) from error
    return kind(**settings)


def _submit(cluster: Any, jobs: int, system: str) -> None:
    """Submit batch jobs; raises RemoteError with the system's words if one is refused."""
    cluster.scale(jobs)
    try:
        cluster.sync(_submitted, cluster, jobs)
    except (OSError, RuntimeError, ValueError) as error:
        why = " ".join(str(error).split()).rpartition("stderr: ")[2]
        raise RemoteError(f"{system} did not take a batch job: {why}") from error


async def _submitted(cluster: Any, jobs: int) -> None:
    """Wait until all batch jobs were submitted; one that was refused is submitted again, and raises why."""
    while len(cluster.workers) < jobs:
        await asyncio.sleep(0.1)
    from distributed import Status

    refused = [job for job in cluster.workers.values() if job.status is Status.created]
    for job in refused:
        job.status = Status.failed  # which the cluster wants to know when it is closed
    if refused:
        await refused[0].start()
