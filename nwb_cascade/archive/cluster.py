"""Connect to the engine that does the work: a cluster of this machine, or one that runs already."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nwb_cascade.archive.credentials import TLS, temporary_security
from nwb_cascade.archive.job import ONE_THREAD
from nwb_cascade.errors import InputError, RemoteError
from nwb_cascade.files.private import make_private

MEMORY_PER_WORKER, LEAST_MEMORY = "4GiB", "512MiB"  # with less a worker is killed before it has a job
ANY_PORT = "127.0.0.1:0"
CONNECT_TIMEOUT_S = 15.0
KEEP_EVERY_S = 2.0
LOG = "workers.log"
NAMED = f"{TLS}.ca-file, {TLS}.client.cert and {TLS}.client.key"
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

    They talk by TLS with credentials that nobody else has: other users of the machine reach its loopback, too.

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

    make_private(logs)
    with dask.config.set(PATIENT):
        cluster = distributed.LocalCluster(
            n_workers=0,
            threads_per_worker=1,
            processes=True,
            security=temporary_security(distributed),
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
def existing_cluster(address: str, *, encrypted: bool = True) -> Iterator[Any]:
    """Yield a client of a scheduler that runs already, with the credentials that dask's configuration names.

    Raises
    ------
    InputError
        If it is to be ``encrypted``, and is not, or no credentials for it are known.
    RemoteError
        If it does not answer.
    """
    _, distributed = import_dask()
    if encrypted:
        require_encrypted(address)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what is lost is told in one sentence
    try:
        client = distributed.Client(address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise RemoteError(f"No dask scheduler answers at {address}: check the address, or start one there.") from error
    with client:
        yield client


def require_encrypted(address: str) -> None:
    """Raise InputError unless an address is that of an encrypted scheduler, and dask knows credentials for it."""
    _, distributed = import_dask()
    if distributed.comm.addressing.parse_address(address)[0] not in ("tls", "wss"):
        raise InputError(
            f"Expected a scheduler with TLS, such as tls://host:8786, received {address}: whoever reaches one without "
            "runs code as the owner of its workers. See 'A scheduler of your own' in docs/archive.md, or give --no-tls "
            "if nobody else reaches it."
        )
    try:
        known = distributed.Security().get_connection_args("client")["ssl_context"]
    except OSError as error:  # so are errors of ssl
        raise InputError(
            f"Cannot read the TLS credentials that dask's configuration names ({NAMED}): {error}."
        ) from error
    if known is None:
        raise InputError(f"Expected TLS credentials for {address} in dask's configuration: {NAMED}.")


def require_memory(memory: str) -> None:
    """Raise InputError unless a text is an amount of memory in which a worker can start."""
    from dask.utils import parse_bytes

    try:
        enough = parse_bytes(memory) >= parse_bytes(LEAST_MEMORY)
    except (ValueError, OverflowError) as error:
        raise InputError(f"Expected memory such as 4GiB, received {memory!r}.") from error
    if not enough:
        raise InputError(f"Expected at least {LEAST_MEMORY} of memory per worker, received {memory!r}.")


def import_dask() -> tuple[Any, Any]:
    """Return the modules dask and distributed; raises ImportError, naming the extra, where they are missing."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise ImportError("Running a manifest needs dask: pip install 'nwb-cascade[archive]'.") from error
    return dask, distributed
