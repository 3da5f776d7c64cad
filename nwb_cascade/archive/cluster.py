"""Connect to the engine that does the work: a cluster of this machine, an existing one, or one of a batch system."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nwb_cascade.archive.job import ONE_THREAD
from nwb_cascade.errors import InputError, RemoteError

MEMORY_PER_WORKER = "4GiB"
CONNECT_TIMEOUT_S = 15.0
START_TIMEOUT_S = 600.0  # a busy machine takes long to import what a worker needs
KEEP_EVERY_S, KEEP_JOBS_EVERY_S = 2.0, 20.0
GONE = ("closed", "closing", "failed", "stopped", "created")  # the last of a batch job that was not accepted
LOST_BATCH_JOB = "2 minutes"  # without a sign of its worker, after which it is cancelled and another one submitted
PATIENT = {
    # The ledger counts how often a job was interrupted, so dask need not give up on it sooner.
    "distributed.scheduler.allowed-failures": 1000,
    # A worker that died is started again, which takes a busy machine longer than the 15 s after which dask would
    # give the place up, and leave a cluster without workers.
    "distributed.deploy.lost-worker-timeout": "1 hour",
    "distributed.comm.timeouts.connect": "60 s",
    # The scheduler notes every step of every task; with short notes its memory does not grow with the jobs.
    "distributed.admin.low-level-log-length": 1000,
}


@contextmanager
def local_cluster(workers: int, *, memory: str = MEMORY_PER_WORKER, dashboard: str = "127.0.0.1:0") -> Iterator[Any]:
    """Yield a client of a cluster of processes on this machine, one thread each; they end with this process.

    Parameters
    ----------
    workers : int
        Number of processes.
    memory : str
        Most memory of each; one that takes more is restarted and its job begun anew.
    dashboard : str
        Address of dask's dashboard; port 0 for any free one.
    """
    dask, distributed = _dask()
    _require_memory(memory)
    with dask.config.set(PATIENT):
        cluster = distributed.LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            processes=True,
            memory_limit=memory,
            dashboard_address=dashboard,
            silence_logs=logging.CRITICAL,
            env={**ONE_THREAD, "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore")},
        )
        with cluster, _kept_at(cluster, workers), distributed.Client(cluster) as client:
            try:
                client.wait_for_workers(1, timeout=START_TIMEOUT_S)
            except TimeoutError as error:
                raise RemoteError(f"No worker has started on this machine in {START_TIMEOUT_S:g} s.") from error
            yield client


@contextmanager
def _kept_at(cluster: Any, workers: int, *, every_s: float = KEEP_EVERY_S) -> Iterator[None]:
    """Keep a cluster at a number of workers.

    Dask starts a worker anew that died at work, but neither one that died while it was starting nor a batch job that
    has ended.
    """
    stop = threading.Event()

    def keep() -> None:
        for name, worker in list(cluster.workers.items()):
            if worker.status.name in GONE:
                del cluster.workers[name]
                cluster.worker_spec.pop(name, None)
        if not stop.is_set():
            cluster.scale(workers)

    def watch() -> None:
        while not stop.wait(every_s):
            cluster.loop.add_callback(keep)

    cluster.scale(workers)
    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def existing_cluster(address: str) -> Iterator[Any]:
    """Yield a client of a scheduler that runs already.

    Raises
    ------
    RemoteError
        If it does not answer.
    """
    _, distributed = _dask()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost is told in one sentence
    try:
        client = distributed.Client(address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise RemoteError(f"No dask scheduler answers at {address}: check the address, or start one there.") from error
    with client:
        yield client


@contextmanager
def batch_cluster(
    system: str, jobs: int, *, memory: str, logs: Path, options: Mapping[str, Any], dashboard: str
) -> Iterator[Any]:
    """Yield a client of workers that are jobs of a batch system, by dask-jobqueue.

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
        As for `local_cluster`.

    Raises
    ------
    InputError
        If the system is unknown or has no such option.
    RemoteError
        If it does not take the first batch jobs.
    """
    dask, distributed = _dask()
    _require_memory(memory)
    try:
        import dask_jobqueue
    except ImportError as error:
        raise ImportError("--jobqueue needs dask-jobqueue: pip install 'nwb-cascade[archive]'.") from error
    kinds = {name.removesuffix("Cluster").lower(): name for name in dir(dask_jobqueue) if name.endswith("Cluster")}
    for name in ("jobqueue", "local"):
        kinds.pop(name, None)
    if system not in kinds:
        raise InputError(f"Expected a batch system out of {', '.join(sorted(kinds))}, received {system!r}.")
    prologue = [f"export {name}={value}" for name, value in ONE_THREAD.items()]
    settings = {
        "cores": 1,
        "processes": 1,
        "memory": memory,
        "job_script_prologue": prologue,
        "log_directory": str(logs),
        "scheduler_options": {"dashboard_address": dashboard},
        **options,
    }
    host = dashboard.rpartition(":")[0] or "{host}"
    config = {
        **PATIENT,
        "distributed.deploy.lost-worker-timeout": LOST_BATCH_JOB,
        "distributed.dashboard.link": f"{{scheme}}://{host}:{{port}}/status",  # dask takes the scheduler's host for it
    }
    with dask.config.set(config):
        cluster = _batch_cluster(getattr(dask_jobqueue, kinds[system]), settings, options)
        with cluster:
            logging.getLogger("tornado.application").setLevel(logging.CRITICAL)  # what fails is told in one sentence
            cluster.scale(jobs)
            try:
                cluster.sync(_submitted, cluster, jobs)
            except (OSError, RuntimeError, ValueError) as error:
                why = " ".join(str(error).split()).rpartition("stderr: ")[2]
                raise RemoteError(f"{system} did not take a batch job: {why}") from error
            with _kept_at(cluster, jobs, every_s=KEEP_JOBS_EVERY_S), distributed.Client(cluster) as client:
                yield client


def _batch_cluster(kind: Any, settings: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """Make a cluster of batch jobs; a job first, as a cluster that cannot be made leaves half of itself behind."""
    of_cluster = inspect.signature(kind.__bases__[0].__init__).parameters
    try:
        kind.job_cls("tcp://scheduler", "worker", **{k: v for k, v in settings.items() if k not in of_cluster})
    except (TypeError, ValueError) as error:
        listed = ", ".join(f"{name}={value!r}" for name, value in given.items())
        raise InputError(
            f"Expected options of dask-jobqueue's {kind.__name__}, received {listed}: {error}. See its documentation."
        ) from error
    return kind(**settings)


async def _submitted(cluster: Any, jobs: int) -> None:
    """Wait until all batch jobs were submitted; one that was refused is submitted again, and raises why."""
    while len(cluster.workers) < jobs:
        await asyncio.sleep(0.1)
    refused = [job for job in cluster.workers.values() if job.status.name == "created"]
    for job in refused:
        job.status = type(job.status).failed  # which the cluster wants to know when it is closed
    if refused:
        await refused[0].start()


def _require_memory(memory: str) -> None:
    """Raise InputError unless a text is an amount of memory."""
    from dask.utils import parse_bytes

    try:
        parse_bytes(memory)
    except ValueError as error:
        raise InputError(f"Expected memory such as 4GiB, received {memory!r}.") from error


def _dask() -> tuple[Any, Any]:
    try:
        import dask
        import distributed
    except ImportError as error:
        raise ImportError("Running a manifest needs dask: pip install 'nwb-cascade[archive]'.") from error
    return dask, distributed
