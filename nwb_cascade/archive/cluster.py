"""Connect to the engine that does the work: a cluster of this machine, or one that runs already."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nwb_cascade.archive.job import ONE_THREAD
from nwb_cascade.errors import InputError, RemoteError

MEMORY_PER_WORKER = "4GiB"
ANY_PORT = "127.0.0.1:0"
CONNECT_TIMEOUT_S = 15.0
KEEP_EVERY_S = 2.0
LOG = "workers.log"
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
def local_cluster(
    workers: int, *, logs: Path, memory: str = MEMORY_PER_WORKER, dashboard: str = ANY_PORT
) -> Iterator[Any]:
    """Yield a client of a cluster of processes on this machine, one thread each; they end with this process.

    Parameters
    ----------
    workers : int
        Number of processes; they may not be ready yet.
    logs : pathlib.Path
        Folder of what they print.
    memory : str
        Most memory of each; one that takes more is restarted and its job begun anew.
    dashboard : str
        Address of dask's dashboard; port 0 for any free one.
    """
    dask, distributed = import_dask()
    require_memory(memory)
    from nwb_cascade.archive.upkeep import WorkerLog, kept_at

    logs.mkdir(parents=True, exist_ok=True)
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
        with cluster, distributed.Client(cluster) as client:
            client.register_plugin(WorkerLog(str(logs / LOG)))
            with kept_at(cluster, workers, every_s=KEEP_EVERY_S):
                yield client


@contextmanager
def existing_cluster(address: str) -> Iterator[Any]:
    """Yield a client of a scheduler that runs already.

    Raises
    ------
    RemoteError
        If it does not answer.
    """
    _, distributed = import_dask()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost is told in one sentence
    try:
        client = distributed.Client(address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise RemoteError(f"No dask scheduler answers at {address}: check the address, or start one there.") from error
    with client:
        yield client


def require_memory(memory: str) -> None:
    """Raise InputError unless a text is an amount of memory."""
    from dask.utils import parse_bytes

    try:
        parse_bytes(memory)
    except ValueError as error:
        raise InputError(f"Expected memory such as 4GiB, received {memory!r}.") from error


def import_dask() -> tuple[Any, Any]:
    """Return the modules dask and distributed; raises ImportError, naming the extra, where they are missing."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise ImportError("Running a manifest needs dask: pip install 'nwb-cascade[archive]'.") from error
    return dask, distributed
