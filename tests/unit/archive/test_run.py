"""The runner hands out a window of jobs, again where a worker died, and stops where nothing can go on."""

import os
from types import SimpleNamespace

import pytest

from nwb_cascade.archive.job import JobOutcome, Settings
from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.manifest import Manifest
from nwb_cascade.archive.run import JOBS_PER_THREAD, RunStoppedError, run_manifest
from tests.support.archive_jobs import made_up_job, manifest_of

distributed = pytest.importorskip("distributed", reason="needs dask")
N_JOBS = 20


class Future:
    def __init__(self, status, value):
        self.status, self.value, self.callbacks = status, value, []

    def add_done_callback(self, callback):
        self.callbacks.append(callback)

    def result(self, timeout=None):
        return self.value

    def exception(self):
        return self.value

    def release(self):
        pass


class Client:
    """Does a job when the window is full or nothing more comes; ``script`` may give another end to the n-th one."""

    status = "running"

    def __init__(self, threads=1, script=None):
        self.threads, self.script, self.submitted, self.most = threads, dict(script or {}), 0, 0
        self.flying, self.handlers = [], {}

    def subscribe_topic(self, topic, handler):
        self.handlers[topic] = handler

    def unsubscribe_topic(self, topic):
        del self.handlers[topic]

    def nthreads(self):
        self.land()
        return {"worker": self.threads}

    def submit(self, work, job_work, job, settings, *, key, pure):
        self.submitted += 1
        status, value = self.script.get(self.submitted, ("finished", None))
        value = work(job_work, job, settings)[1] if value is None else value
        future = Future(status, ("worker", value) if status == "finished" else value)
        self.flying.append(future)
        self.most = max(self.most, len(self.flying))
        return future

    def land(self):
        flying, self.flying = self.flying, []
        for future in flying:
            for callback in future.callbacks:
                callback(future)


def work(job, settings):
    """Finish a job without a recording."""
    claim = Ledger(settings.out).claim(job.id, retry_failed=settings.retry_failed)
    if claim is None:
        entry = Ledger(settings.out).entry(job.id)
        return JobOutcome(job.id, entry.state if entry.state in ("done", "failed") else "held", is_new=False)
    with claim:
        (claim.folder / "x.nwb").write_text("x")
        claim.finish(claim.folder / "x.nwb", {"size": 1})
    return JobOutcome(job.id, "done")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name in ("TICK_S", "HELD_S"):
        monkeypatch.setattr(f"nwb_cascade.archive.run.{name}", 0.001)
    monkeypatch.setattr(distributed, "get_worker", lambda: SimpleNamespace(address="worker"))


@pytest.fixture
def manifest(tmp_path):
    return Manifest(manifest_of(tmp_path / "m.jsonl", *map(made_up_job, range(N_JOBS))))


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "out")
    ledger.prepare()
    return ledger


def run(client, manifest, ledger, **options):
    return run_manifest(client, manifest, Settings(str(ledger.folder), **options), work=work)


def states(manifest, ledger):
    return {ledger.entry(job.id).state for job in manifest.jobs()}


@pytest.mark.parametrize("threads", [1, 3])
def test_all_jobs_are_done_a_few_at_a_time(manifest, ledger, threads):
    client = Client(threads)
    tally = run(client, manifest, ledger)
    assert (tally.done, tally.failed, tally.settled) == (N_JOBS, 0, N_JOBS)
    assert client.most <= JOBS_PER_THREAD * threads
    assert states(manifest, ledger) == {"done"}
    again = Client()
    assert run(again, manifest, ledger).before_done == N_JOBS
    assert again.submitted == 0


def test_a_job_whose_worker_died_is_handed_out_again(manifest, ledger):
    killed = ("error", distributed.KilledWorker("task", None, 3))
    client = Client(script={2: killed, 5: ("cancelled", "x"), 7: ("lost", "x")})
    assert run(client, manifest, ledger).done == N_JOBS
    assert client.submitted == N_JOBS + 3
    assert states(manifest, ledger) == {"done"}


def test_a_worker_that_cannot_run_jobs_stops_the_run(manifest, ledger):
    client = Client(script={1: ("error", ModuleNotFoundError("No module named 'nwb_cascade'"))})
    with pytest.raises(RunStoppedError, match=r"cannot run jobs \(ModuleNotFoundError: .*: install the same"):
        run(client, manifest, ledger)


def test_a_scheduler_that_goes_away_stops_the_run(manifest, ledger):
    class Gone(Client):
        def submit(self, *args, **options):
            if self.submitted == 4:
                self.status = "closed"
                raise RuntimeError("IOLoop is closed")
            return super().submit(*args, **options)

    with pytest.raises(RunStoppedError, match=r"scheduler went away.*the same command goes on from there"):
        run(Gone(), manifest, ledger)
    assert run(Client(), manifest, ledger).settled == N_JOBS
    assert states(manifest, ledger) == {"done"}


def test_a_halt_stops_the_run(manifest, ledger):
    client = Client(script={3: ("finished", JobOutcome("x", "halted", "No space left in out: free some."))})
    with pytest.raises(RunStoppedError, match=r"No space left in out: free some\. Stopped after"):
        run(client, manifest, ledger)


def test_servers_that_do_not_answer_stop_the_run(manifest, ledger):
    unreachable = ("finished", JobOutcome("x", "failed", "dandi does not answer.", "RemoteError"))
    with pytest.raises(RunStoppedError, match=r"The last 8 jobs found no server.*--retry-failed"):
        run(Client(script=dict.fromkeys(range(1, 21), unreachable)), manifest, ledger)


def test_jobs_that_are_killed_one_after_the_other_stop_the_run(manifest, ledger):
    killed = ("finished", JobOutcome("x", "failed", "Its process was killed 5 times.", "KilledTooOftenError"))
    with pytest.raises(RunStoppedError, match=r"The last 8 jobs were killed again and again: Its process was killed"):
        run(Client(script=dict.fromkeys(range(1, 21), killed)), manifest, ledger)


def test_failures_of_different_kinds_or_with_results_between_them_do_not_stop_it(manifest, ledger):
    failures = [JobOutcome("x", "failed", "x", kind) for kind in ("RemoteError", "KilledTooOftenError", "InputError")]
    script = {number: ("finished", failures[number % 3]) for number in range(1, N_JOBS + 1)}
    assert run(Client(script=script), manifest, ledger).failed == N_JOBS
    script = {number: ("finished", failures[0]) for number in range(1, N_JOBS + 1) if number % 8}
    assert run(Client(script=script), manifest, ledger).done == 2


def test_workers_that_end_before_they_have_done_anything_stop_the_run(manifest, ledger):
    class Losing(Client):
        """Its workers are lost with what they were given."""

        def land(self):
            lost, self.flying = self.flying, []
            for future in lost:
                self.handlers["all"](
                    (0.0, {"action": "remove-worker", "worker": "w", "processing-tasks": [future.key]})
                )

        def submit(self, *args, key, **options):
            future = super().submit(lambda *_: (None, None), *args[1:], key=key, **options)
            future.key = key
            return future

    client = Losing()
    with pytest.raises(RunStoppedError, match=r"^8 workers in a row ended before .* Stopped after 0 of 20 jobs;"):
        run(client, manifest, ledger)
    assert client.handlers == {}


def test_failed_jobs_are_left_until_they_are_asked_for(manifest, ledger):
    job = made_up_job(3)
    with ledger.claim(job.id) as claim:
        claim.fail({"cause": "x", "kind": "InputError"})
    tally = run(Client(), manifest, ledger)
    assert (tally.done, tally.before_failed) == (N_JOBS - 1, 1)
    assert run(Client(), manifest, ledger, retry_failed=True).done == 1
    assert states(manifest, ledger) == {"done"}


def test_a_job_that_another_runner_holds_is_awaited(manifest, ledger):
    claim = ledger.claim(made_up_job(0).id)
    claim.folder.mkdir()
    looks = 0

    def progress(tally, outcome):
        nonlocal looks
        looks += outcome is None
        if looks == 3 and ledger.entry(made_up_job(0).id).state == "running":
            (claim.folder / "x.nwb").write_text("x")
            claim.finish(claim.folder / "x.nwb", {"size": 1})

    tally = run_manifest(Client(), manifest, Settings(str(ledger.folder)), work=work, progress=progress)
    assert (tally.settled, tally.elsewhere) == (N_JOBS, 1)


def test_a_job_whose_holder_is_gone_is_done(manifest, ledger):
    ledger.claim(made_up_job(0).id)

    def progress(tally, outcome):
        if outcome is None:
            os.utime(ledger.entry(made_up_job(0).id).folder / "claim-0001", (1, 1))

    tally = run_manifest(Client(), manifest, Settings(str(ledger.folder)), work=work, progress=progress)
    assert tally.settled == N_JOBS
    assert states(manifest, ledger) == {"done"}
