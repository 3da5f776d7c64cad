"""Connect to the engine that does the work: a cluster of this machine, an existing one, or one of a batch system."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nwb_cascade.archive.job import ONE_THREAD
from nwb_cascade.errors import InputError, RemoteError

MEMORY_PER_WORKER = "4GiB"
CONNECT_TIMEOUT_S = 15.0
START_TIMEOUT_S = 600.0  # a busy machine takes long to import what a worker needs
KEEP_EVERY_S = 2.0
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
def _kept_at(cluster: Any, workers: int) -> Iterator[None]:
    """Keep a local cluster at a number of workers.

    Dask starts a worker anew that died at work, but not one that died while it was starting.
    """
    stop = threading.Event()

    def keep() -> None:
        for name, nanny in list(cluster.workers.items()):
            if nanny.status.name in ("closed", "closing", "failed", "stopped"):
                del cluster.workers[name]
                cluster.worker_spec.pop(name, None)
        if not stop.is_set():
            cluster.scale(workers)

    def watch() -> None:
        while not stop.wait(KEEP_EVERY_S):
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
def batch_cluster(system: str, jobs: int, *, memory: str, options: Mapping[str, Any]) -> Iterator[Any]:
    """Yield a client of workers that are jobs of a batch system, by dask-jobqueue.

    Parameters
    ----------
    system : str
        Such as ``slurm``, ``sge``, ``pbs``, ``lsf``.
    jobs : int
        Number of batch jobs, one worker each.
    memory : str
        Memory of each.
    options : mapping
        Further arguments of dask-jobqueue's class, such as ``queue`` and ``walltime``.
    """
    dask, distributed = _dask()
    try:
        import dask_jobqueue
    except ImportError as error:
        raise ImportError("--jobqueue needs dask-jobqueue: pip install 'nwb-cascade[archive]'.") from error
    kinds = {name.removesuffix("Cluster").lower(): name for name in dir(dask_jobqueue) if name.endswith("Cluster")}
    kinds.pop("local", None)
    if system not in kinds:
        raise InputError(f"Expected a batch system out of {', '.join(sorted(kinds))}, received {system!r}.")
    prologue = [f"export {name}={value}" for name, value in ONE_THREAD.items()]
    with dask.config.set(PATIENT):
        settings = {"cores": 1, "processes": 1, "memory": memory, "job_script_prologue": prologue, **options}
        cluster = getattr(dask_jobqueue, kinds[system])(**settings)
        with cluster, distributed.Client(cluster) as client:
            cluster.scale(jobs=jobs)
            yield client


def _dask() -> tuple[Any, Any]:
    try:
        import dask
        import distributed
    except ImportError as error:
        raise ImportError("Running a manifest needs dask: pip install 'nwb-cascade[archive]'.") from error
    return dask, distributed
