"""Run: hand the jobs of a manifest to a dask cluster, a window of them at a time, until each is done or failed."""

from __future__ import annotations

import math
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from nwb_cascade.archive.job import JobOutcome, KilledTooOftenError, Settings, output_problem, perform
from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.losses import Losses, task_key
from nwb_cascade.archive.manifest import Job, Manifest
from nwb_cascade.core.wording import counted
from nwb_cascade.errors import RemoteError

JOBS_PER_THREAD = 8  # handed to a cluster per thread of its workers: enough that none waits, few enough to forget
TICK_S = 1.0
HELD_S = 2.0  # between two looks at jobs that other processes hold
IN_VAIN_IN_A_ROW = 8
IN_VAIN = {  # failures that are none of the recordings', if they come in a row, and what to say of the jobs
    RemoteError.__name__: "found no server that answers",
    KilledTooOftenError.__name__: "were killed again and again",
}
Work = Callable[[Job, Settings], JobOutcome]


@dataclass
class Tally:
    """How far a run is.

    ``before`` counts jobs that were done or had failed before it began; ``total`` all jobs of the manifest.
    """

    total: int
    before_done: int = 0
    before_failed: int = 0
    done: int = 0
    failed: int = 0
    elsewhere: int = 0
    started: float = field(default_factory=time.monotonic)
    workers: int = 0

    @property
    def settled(self) -> int:
        """Jobs that are done or failed, whoever did them."""
        return self.before_done + self.before_failed + self.done + self.failed

    @property
    def per_second(self) -> float:
        """Jobs that this run settled, by the second."""
        return (self.done + self.failed) / max(time.monotonic() - self.started, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time that the rest takes; None if nothing is known yet."""
        return (self.total - self.settled) / self.per_second if self.done + self.failed else None


TallyProgress = Callable[[Tally, JobOutcome | None], None]


class RunStoppedError(RemoteError):
    """A run cannot go on; what is done is kept, and running again takes up the rest."""


def run_manifest(
    client: Any,
    manifest: Manifest,
    settings: Settings,
    *,
    work: Work = perform,
    progress: TallyProgress | None = None,
    patience_s: float = math.inf,
) -> Tally:
    """Do all jobs of a manifest that are not done yet.

    The runner keeps a few jobs per worker in mind, however many there are; all else is in the ledger. So it may be
    killed, and several may run on one manifest and folder.

    Parameters
    ----------
    client : distributed.Client
        Connected to the cluster.
    manifest : Manifest
        The jobs.
    settings : Settings
        How to do them.
    work : callable
        Does one job; may be any function that the workers can import.
    progress : callable, optional
        Called with the tally and an outcome whenever there is one, and about every second.
    patience_s : float
        Most seconds without any worker, s; batch jobs may wait in a queue.

    Raises
    ------
    RunStoppedError
        If the scheduler goes away, nothing can be written, no server answers, workers end before they have done
        anything, or none comes; the sentence says so.
    """
    return _Run(client, manifest, settings, work, progress or (lambda tally, outcome: None), patience_s).execute()


def at_a_worker(work: Work, job: Job, settings: Settings) -> tuple[str, JobOutcome]:
    """Do a job at a worker of the cluster, and say at which."""
    from distributed import get_worker

    return get_worker().address, work(job, settings)


class _Run:
    """The state of one run."""

    def __init__(
        self,
        client: Any,
        manifest: Manifest,
        settings: Settings,
        work: Work,
        progress: TallyProgress,
        patience_s: float,
    ) -> None:
        self.client, self.settings, self.work, self.progress = client, settings, work, progress
        self.ledger = Ledger(settings.out, lease_s=settings.lease_s)
        self.tally = Tally(manifest.count())
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.flying: dict[Any, Job] = {}
        self.again: deque[Job] = deque()
        self.held: deque[Job] = deque()
        self.looked_at_held = time.monotonic()
        self.n_submitted = self.n_in_vain = 0
        self.in_vain = ""
        self.losses = Losses(client, self.ledger, patience_s)
        self.threads, self.asked_threads = 1, 0.0
        self.to_do = self._unsettled(manifest)

    def execute(self) -> Tally:
        """Keep the cluster busy until nothing is left."""
        try:
            self._submit()
            while self.flying or self.held:
                try:
                    self._settle(self.ended.get(timeout=TICK_S))
                except queue.Empty:
                    self.progress(self.tally, None)
                self._look_at_held()
                self._submit()
                if why := self.losses.too_many(self.tally.workers):
                    raise self._stopped(why)
        finally:
            self.losses.close()
            for future in list(self.flying):
                future.release()
        return self.tally

    def _unsettled(self, manifest: Manifest) -> Iterator[Job]:
        """Jobs that are not done, nor failed unless failed ones are wanted."""
        for job in manifest.jobs():
            state = self.ledger.entry(job.id).state
            if state == "done":
                self.tally.before_done += 1
            elif state == "failed" and not self.settings.retry_failed:
                self.tally.before_failed += 1
            else:
                yield job

    def _submit(self) -> None:
        """Fill the window."""
        window = JOBS_PER_THREAD * self._n_threads()
        while len(self.flying) < window:
            job = self.again.popleft() if self.again else next(self.to_do, None)
            if job is None:
                return
            self.n_submitted += 1
            key = task_key(job.id, self.n_submitted)
            try:
                future = self.client.submit(at_a_worker, self.work, job, self.settings, key=key, pure=False)
            except Exception as error:  # whatever dask raises when its connection is gone
                raise self._scheduler_is_gone() from error
            self.flying[future] = job
            future.add_done_callback(self.ended.put)

    def _settle(self, future: Any) -> None:
        """Take note of how a job ended."""
        job = self.flying.pop(future)
        outcome = self._outcome(future, job)
        if outcome is None:
            self.again.append(job)
        elif outcome.status == "held":
            self.held.append(job)
        elif outcome.status == "halted":
            raise self._stopped(outcome.cause)
        else:
            self._count(outcome)

    def _count(self, outcome: JobOutcome) -> None:
        if outcome.status == "done":
            self.tally.done += 1
        else:
            self.tally.failed += 1
        if not outcome.is_new:
            self.tally.elsewhere += 1
        self.n_in_vain = self.n_in_vain * (outcome.kind == self.in_vain) + (outcome.kind in IN_VAIN)
        self.in_vain = outcome.kind
        self.progress(self.tally, outcome)
        if self.n_in_vain >= IN_VAIN_IN_A_ROW:
            raise self._stopped(
                f"The last {self.n_in_vain} jobs {IN_VAIN[outcome.kind]}: {outcome.cause} These jobs are noted as "
                "failed; take them up with --retry-failed when that is mended."
            )

    def _outcome(self, future: Any, job: Job) -> JobOutcome | None:
        """Result of a job; None if its worker died or was lost, so that it has to be handed out again."""
        from distributed import KilledWorker

        if future.status == "finished":
            try:
                worker, outcome = future.result(timeout=30)
            except Exception:  # the worker died with the result; what it did is in the ledger
                return None
            self.losses.has_worked(worker)
            return cast(JobOutcome, outcome)
        if future.status in ("cancelled", "lost"):
            if self.client.status not in ("running", "connecting"):
                raise self._scheduler_is_gone()
            return None
        error = future.exception()
        if isinstance(error, KilledWorker):
            return None
        raise self._stopped(
            f"A worker of the cluster cannot run jobs ({type(error).__name__}: {error}): install the same nwb-cascade "
            "there."
        ) from error

    def _look_at_held(self) -> None:
        """Count held jobs that have been settled, hand out those whose holder is gone."""
        if not self.held or time.monotonic() - self.looked_at_held < HELD_S:
            return
        self.looked_at_held = time.monotonic()
        for _ in range(len(self.held)):
            job = self.held.popleft()
            entry = self.ledger.entry(job.id)
            if entry.state == "running":
                self.held.append(job)
            elif entry.state in ("done", "failed"):
                cause, kind = entry.record.get("cause", ""), entry.record.get("kind", "")
                self._count(JobOutcome(job.id, entry.state, cause, kind, is_new=False))
            else:
                self.again.append(job)

    def _n_threads(self) -> int:
        """Threads of all workers; asked for now and then, since workers come and go."""
        if time.monotonic() - self.asked_threads > TICK_S:
            self.asked_threads = time.monotonic()
            try:
                threads = self.client.nthreads()
            except Exception as error:  # whatever dask raises when its connection is gone
                raise self._scheduler_is_gone() from error
            self.threads, self.tally.workers = max(1, sum(threads.values())), len(threads)
        return self.threads

    def _scheduler_is_gone(self) -> RunStoppedError:
        return self._stopped("The dask scheduler went away.")

    def _stopped(self, why: str) -> RunStoppedError:
        problem = output_problem(self.ledger.folder)
        return RunStoppedError(
            f"{problem or why} Stopped after {self.tally.settled} of {counted(self.tally.total, 'job')}; what is "
            "done is kept, and the same command goes on from there."
        )
