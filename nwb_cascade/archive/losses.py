"""Workers that ended before they had finished a job: when there were too many in a row, and what their log says."""

from __future__ import annotations

import contextlib
import math
import re
import time
from collections import deque
from pathlib import Path
from typing import Any

from nwb_cascade.archive.ledger import LOGS_FOLDER, Ledger

MOST_LOST = 5
LAST_LINES, MOST_CHARACTERS, END_BYTES = 5, 600, 2**16
TOPIC = "nwb-cascade"
ENDED_UNREADY = "ended-before-it-was-ready"
_KEY = re.compile(r"annotate-(?P<job>.+)-\d+")
_NOT_TELLING = re.compile(r" - (INFO|DEBUG) - |^\W*$")


def task_key(job_id: str, number: int) -> str:
    """Return the name of a task of dask; one that differs for each, but has one prefix for all."""
    return f"annotate-{job_id}-{number}"


class Losses:
    """Counts workers that ended, by what the scheduler tells of them.

    One that had finished a job does not count, nor one without any to do: time limits end many at once. Nor does one
    that had begun a job, as the ledger counts those by the job.

    Parameters
    ----------
    client : distributed.Client
        Connected to the cluster.
    ledger : Ledger
        Where jobs are noted that were begun.
    patience_s : float, optional
        Most seconds without any worker; by default for ever.
    """

    def __init__(self, client: Any, ledger: Ledger, patience_s: float = math.inf) -> None:
        self._ledger = ledger
        self._events: deque[dict[str, Any]] = deque()
        self._useful: set[str] = set()
        self._attempts: dict[str, int] = {}
        self._most_workers = self._in_a_row = 0
        self._started = time.time()
        self._last_job = "?"
        self._patience_s, self._seen = patience_s, time.monotonic()
        self._client = client
        for topic in ("all", TOPIC):
            client.subscribe_topic(topic, lambda event: self._events.append(event[1]))

    def close(self) -> None:
        """Listen no more; else the scheduler complains that it cannot tell of the client's end."""
        for topic in ("all", TOPIC):
            with contextlib.suppress(Exception):  # whatever dask raises when its connection is gone
                self._client.unsubscribe_topic(topic)

    def has_worked(self, worker: str) -> None:
        """Note that a worker has finished a job."""
        self._useful.add(worker)
        self._in_a_row = 0

    def too_many(self, workers: int) -> str:
        """Say how many workers were lost in a row if no more may be, or that none came; ``workers`` are there now."""
        self._most_workers = max(self._most_workers, workers)
        if workers:
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > self._patience_s:
            return f"There has been no worker for {self._patience_s / 3600:.3g} h; {self._newest_log()}"
        while self._events:
            self._in_a_row += self._is_loss(self._events.popleft())
        if self._in_a_row < max(MOST_LOST, self._most_workers):
            return ""
        return f"{self._in_a_row} workers in a row ended before they had finished a job; {self._newest_log()}"

    def _is_loss(self, event: dict[str, Any]) -> bool:
        action = event.get("action")
        if action == ENDED_UNREADY:
            self._last_job = event["job"]
        if action != "remove-worker":
            return bool(action == ENDED_UNREADY)
        was_useful = event["worker"] in self._useful
        self._useful.discard(event["worker"])
        jobs = [match["job"] for key in event["processing-tasks"] if (match := _KEY.fullmatch(str(key)))]
        begun = [self._was_begun(job) for job in jobs]
        return bool(jobs) and not was_useful and not any(begun)

    def _was_begun(self, job: str) -> bool:
        """Whether somebody took a job since this was asked last."""
        before, self._attempts[job] = self._attempts.get(job, 0), self._ledger.entry(job).attempt
        return self._attempts[job] > before

    def _newest_log(self) -> str:
        """The last lines of the newest log of this run that says anything; that of a batch job that ended first."""
        logs = [path for path in (self._ledger.folder / LOGS_FOLDER).glob("*") if path.is_file()]
        for path in sorted(logs, key=self._telling, reverse=True):
            if path.stat().st_mtime >= self._started and (lines := last_lines(path)):
                return f'the newest log, {path}, ends "{lines}".'
        return f"there is no log of them in {self._ledger.folder / LOGS_FOLDER}."

    def _telling(self, path: Path) -> tuple[bool, bool, float]:
        """How likely a log says why a worker ended: of the job that ended first, what it complained of, the newest."""
        return self._last_job in path.name, path.suffix == ".err", path.stat().st_mtime


def last_lines(path: Path) -> str:
    """Return the end of a log in one line, without what dask says of its course."""
    with open(path, "rb") as file:
        file.seek(max(0, path.stat().st_size - END_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    telling = [" ".join(line.split()) for line in lines if not _NOT_TELLING.search(line)]
    return " | ".join(telling[-LAST_LINES:])[-MOST_CHARACTERS:]
