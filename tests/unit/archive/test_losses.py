"""Workers that end without having done anything are counted; whoever worked, was idle or had begun a job is not."""

import os

import pytest

from nwb_cascade.archive.ledger import LOGS_FOLDER, Ledger
from nwb_cascade.archive.losses import ENDED_UNREADY, MOST_LOST, TOPIC, Losses, last_lines, task_key

JOB = "0123456789abcdef"


class Client:
    """Hands on what the scheduler would tell."""

    def __init__(self):
        self.handlers = {}

    def subscribe_topic(self, topic, handler):
        self.handlers[topic] = handler

    def lose(self, worker="tcp://a:1", jobs=(JOB,)):
        tasks = {task_key(job, 7) for job in jobs}
        self.handlers["all"]((0.0, {"action": "remove-worker", "worker": worker, "processing-tasks": tasks}))


@pytest.fixture
def client():
    return Client()


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "out")
    ledger.prepare()
    return ledger


@pytest.fixture
def losses(client, ledger):
    return Losses(client, ledger)


def test_a_few_in_a_row_are_too_many(client, losses):
    for lost in range(MOST_LOST):
        assert losses.too_many(1) == "", lost
        client.lose()
    assert losses.too_many(1).startswith("5 workers in a row ended before they had finished a job; there is no log of")


def test_those_that_never_were_ready_count_too(client, losses):
    for number in range(MOST_LOST):
        client.handlers[TOPIC]((0.0, {"action": ENDED_UNREADY, "job": f"1{number}"}))
    assert losses.too_many(0).startswith("5 workers in a row")


def test_the_log_of_the_batch_job_that_ended_comes_before_that_of_the_next_one(client, losses, ledger):
    logs = ledger.folder / LOGS_FOLDER
    logs.mkdir()
    for number, text in ((14, "no such library"), (15, "loading modules")):
        (logs / f"dask-worker-{number}.err").write_text(text)
    for number in range(10, 15):
        client.handlers[TOPIC]((0.0, {"action": ENDED_UNREADY, "job": str(number)}))
    assert losses.too_many(0).endswith('dask-worker-14.err, ends "no such library".')


def test_a_finished_job_begins_the_count_anew(client, losses):
    for _ in range(MOST_LOST - 1):
        client.lose()
    assert losses.too_many(1) == ""
    losses.has_worked("tcp://b:1")
    client.lose()
    assert losses.too_many(1) == ""


def test_a_wave_of_time_limits_is_none(client, losses):
    addresses = [f"tcp://a:{port}" for port in range(20)]
    for address in addresses:
        losses.has_worked(address)
    for address in addresses:
        client.lose(address)
    for address in addresses:
        client.lose(address, jobs=())  # those had nothing left to do
    assert losses.too_many(0) == ""
    for address in addresses:
        client.lose(address)  # the address is that of another one now
    assert losses.too_many(0) != ""


def test_every_worker_may_be_lost_once(client, losses):
    assert losses.too_many(8) == ""
    for _ in range(7):
        client.lose()
    assert losses.too_many(0) == ""
    client.lose()
    assert losses.too_many(0).startswith("8 workers in a row")


def test_a_job_that_kills_is_counted_by_the_ledger_and_not_here(client, losses, ledger):
    for _ in range(3 * MOST_LOST):
        ledger.claim(JOB)
        os.utime(max(ledger.entry(JOB).folder.glob("claim-*")), (1, 1))  # whose process is gone
        client.lose()
        assert losses.too_many(1) == ""
    for _ in range(MOST_LOST):  # the next ones do not come so far
        client.lose()
    assert losses.too_many(1) != ""


def test_other_events_and_tasks_do_not_matter(client, losses):
    event = {"action": "remove-worker", "worker": "tcp://a:1", "processing-tasks": {"sum-1", ("x", 0)}}
    for _ in range(MOST_LOST):
        client.handlers["all"]((0.0, {"action": "add-worker", "worker": "tcp://a:1"}))
        client.handlers["all"]((0.0, event))
    assert losses.too_many(1) == ""


def test_the_newest_log_of_this_run_that_says_anything_is_told(client, losses, ledger):
    logs = ledger.folder / LOGS_FOLDER
    logs.mkdir()
    for age, (name, text) in enumerate({"empty": "\n", "new": "a\nb: no such\tlibrary\n", "older": "c"}.items()):
        (logs / name).write_text(text)
        os.utime(logs / name, (4e9 - age, 4e9 - age))
    (logs / "of another day").write_text("d")
    os.utime(logs / "of another day", (1, 1))
    for _ in range(MOST_LOST):
        client.lose()
    assert losses.too_many(1).endswith(f'; the newest log, {logs / "new"}, ends "a | b: no such library".')
    for name in ("new", "older"):
        (logs / name).unlink()
    assert losses.too_many(1).endswith(f"there is no log of them in {logs}.")


def test_the_end_of_a_log_leaves_out_what_dask_says_of_its_course(tmp_path):
    log = tmp_path / "log"
    traceback = ["Traceback:", '  File "x.py", line 1', "    ^^^^^", "", "OSError: no such file"]
    course = ["2026-01-01 00:00:00,000 - distributed.nanny - INFO - Closing Nanny"] * 9
    log.write_text("\n".join([*map(str, range(9)), *traceback, *course]))
    assert last_lines(log) == '7 | 8 | Traceback: | File "x.py", line 1 | OSError: no such file'
    log.write_bytes(b"x\xff" * 10_000)
    assert len(last_lines(log)) == 600
