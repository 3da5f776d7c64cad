"""Keep a cluster at its number of workers, tell of those that ended before they were ready, keep what they print."""

from __future__ import annotations

import faulthandler
import os
import re
import shlex
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import Scheduler, SchedulerPlugin, Worker, WorkerPlugin

from ground_truth_nwb.appearing import NO_FOLLOWING
from nwb_cascade.archive.losses import ENDED_UNREADY, TOPIC
from nwb_cascade.files.private import OWNER, make_private

GONE = ("closed", "closing", "failed", "stopped", "created")  # the last of a batch job that was not accepted
# Where batch systems tell a job its number; one that they do not tell is only missed when it has been at work.
JOB_NUMBER = "${SLURM_JOB_ID:-${PBS_JOBID:-${LSB_JOBID:-${OAR_JOB_ID:-${JOB_ID:-unknown}}}}}"
CONDOR, CONDOR_NUMBER = "htcondor", "$(ClusterId)"  # tells it nowhere, but writes it into the words of a job


@contextmanager
def kept_at(cluster: Any, workers: int, *, every_s: float, marks: Path | None = None) -> Iterator[None]:
    """Keep a cluster at a number of workers.

    Dask starts a worker anew that died at work, but neither one that died while it was starting nor a batch job that
    has ended.

    Parameters
    ----------
    cluster : distributed.SpecCluster
        With its scheduler in this process.
    workers : int
        So many.
    every_s : float
        Seconds between two looks.
    marks : pathlib.Path, optional
        Folder of marks by batch jobs that have ended, see `mark_of_end`.
    """
    ready = _Ready()
    cluster.scheduler.add_plugin(ready)
    stop = threading.Event()

    def keep() -> None:
        ended = set() if marks is None else {_digits(path.name) for path in marks.iterdir()}
        for name, worker in list(cluster.workers.items()):
            number = _digits(str(getattr(worker, "job_id", "")))
            if worker.status.name in GONE or number in ended:
                del cluster.workers[name]
                cluster.worker_spec.pop(name, None)
                if not ready.take(name):
                    cluster.scheduler.log_event(TOPIC, {"action": ENDED_UNREADY, "job": number})
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
def private_folder(logs: Path) -> Iterator[Path]:
    """Make a folder for what this run's batch jobs read and leave, which other users may not enter."""
    make_private(logs)
    with tempfile.TemporaryDirectory(dir=logs, prefix=".jobs-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def exported(variables: Mapping[str, str]) -> list[str]:
    """Return the lines of a batch script that set variables."""
    return [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]


def mark_of_end(marks: Path, system: str = "") -> list[str]:
    """Return the lines of a script for a batch system by which it leaves a mark when it ends, however early."""
    number = CONDOR_NUMBER if system == CONDOR else JOB_NUMBER
    return [
        f'nwb_cascade_ended() {{ touch {shlex.quote(str(marks))}/"{number}" 2>/dev/null; }}',
        "trap nwb_cascade_ended EXIT",
    ]


class WorkerLog(WorkerPlugin):
    """Sends what a worker of this machine prints to a file, with the place of a crash."""

    name = "nwb-cascade-log"

    def __init__(self, path: str) -> None:
        self._path = path

    def setup(self, worker: Worker) -> None:
        """Called by dask when a worker has started."""
        log = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | NO_FOLLOWING, OWNER)
        os.dup2(log, sys.stderr.fileno())
        os.close(log)
        faulthandler.enable()


class _Ready(SchedulerPlugin):
    """Counts by name the workers that were ready for a job."""

    name = "nwb-cascade-ready"

    def __init__(self) -> None:
        self._names: Counter[str] = Counter()

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        self._names[str(scheduler.workers[worker].name)] += 1

    def take(self, name: object) -> bool:
        """Whether a worker of this name, or one of its processes, was ready since this was asked last."""
        found = [one for one in self._names if one == str(name) or one.startswith(f"{name}-")]
        return sum(self._names.pop(one) for one in found) > 0


def _digits(text: str) -> str:
    """Leading number of a batch job's name; what has none stays, and is that of no job."""
    match = re.match(r"\d+", text)
    return match[0] if match else f"?{text}"
