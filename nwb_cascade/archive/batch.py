"""Workers that are jobs of a batch system, by dask-jobqueue."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nwb_cascade.archive.cluster import ANY_PORT, PATIENT, import_dask, require_memory
from nwb_cascade.archive.credentials import as_environment, written_credentials
from nwb_cascade.archive.job import ONE_THREAD
from nwb_cascade.errors import InputError, RemoteError

KEEP_JOBS_EVERY_S = 20.0
LOST_BATCH_JOB = "2 minutes"  # without a sign of its worker, after which it is cancelled and another one submitted
ROUTES = Path("/proc/net/route")  # a line per route: interface, destination, gateway, flags, ..., metric, mask
PROLOGUE, WORKER_ARGUMENTS, SCHEDULER_OPTIONS = "job_script_prologue", "worker_extra_args", "scheduler_options"


@contextmanager
def batch_cluster(
    system: str,
    jobs: int,
    *,
    memory: str,
    logs: Path,
    options: Mapping[str, Any],
    dashboard: str,
) -> Iterator[Any]:
    """Yield a client of workers that are jobs of a batch system.

    All talk by TLS; the credentials are files that only the user may read, beside the logs, as long as the cluster is.

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
        If the system is unknown or has no such option, or no scheduler starts with those that were given.
    RemoteError
        If it does not take the first batch jobs.
    """
    dask, distributed = import_dask()
    require_memory(memory)
    kind = _kind(system)
    from nwb_cascade.archive.upkeep import exported, kept_at, mark_of_end, private_folder

    host = dashboard.rpartition(":")[0] or "{host}"
    config = {
        **PATIENT,
        "distributed.deploy.lost-worker-timeout": LOST_BATCH_JOB,
        "distributed.dashboard.link": f"{{scheme}}://{host}:{{port}}/status",  # dask takes the scheduler's host for it
    }
    with private_folder(logs) as private:
        tls = written_credentials(distributed, private)
        prologue = [*exported({**ONE_THREAD, **as_environment(tls)}), *mark_of_end(private, system)]
        settings = _settings({"memory": memory, "log_directory": str(logs), **options}, prologue, dashboard)
        with dask.config.set({**config, **tls}), _cluster(kind, settings, options) as cluster:
            logging.getLogger("tornado.application").setLevel(logging.CRITICAL)  # what fails is told in one sentence
            _submit(cluster, jobs, system)
            with (
                distributed.Client(cluster) as client,
                kept_at(cluster, jobs, every_s=KEEP_JOBS_EVERY_S, marks=private),
            ):
                yield client


def default_interface() -> str | None:
    """Return the network interface of the default route (Linux), None if there is none: the way to other machines."""
    try:
        lines = ROUTES.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return None
    routes = [line.split() for line in lines if len(line.split()) > 7]
    found = [(int(fields[6]), fields[0]) for fields in routes if fields[1] == fields[7] == "00000000"]
    return min(found)[1] if found else None


def _settings(given: Mapping[str, Any], prologue: list[str], dashboard: str) -> dict[str, Any]:
    """Arguments of dask-jobqueue's class: those that were given, and the lists among them with ours before them."""
    return {
        "cores": 1,
        "processes": 1,
        "protocol": "tls://",
        **given,
        SCHEDULER_OPTIONS: {"dashboard_address": dashboard, **dict(given.get(SCHEDULER_OPTIONS) or {})},
        WORKER_ARGUMENTS: ["--dashboard-address", ANY_PORT, *_listed(given, WORKER_ARGUMENTS)],
        PROLOGUE: [*prologue, *_listed(given, PROLOGUE)],
    }


def _listed(given: Mapping[str, Any], name: str) -> list[str]:
    """A list among the arguments, which may be given as a single text."""
    value = given.get(name) or []
    return [value] if isinstance(value, str) else value


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
        listed = ", ".join(f"{name}={value!r}" for name, value in given.items() if name != SCHEDULER_OPTIONS)
        raise InputError(
            f"Expected options of dask-jobqueue's {kind.__name__}, received {listed}: {error}. See its documentation."
        ) from error
    try:
        return kind(**settings)
    except RuntimeError as error:
        raise InputError(f"No scheduler starts with these options: {error.__cause__ or error}.") from error


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
