"""One job is done by one process at a time, is never lost, and is never done twice, whoever dies when."""

import json
import os
import threading
import time

import pytest

from nwb_cascade.archive import ledger as ledger_module
from nwb_cascade.archive.ledger import Ledger
from tests.support.annotating import Sandbox
from tests.support.archive_jobs import made_up_job

JOB = made_up_job().id
GONE = {"host": "here", "machine": "other", "pid": 1, "started": 1}
ATTEMPT = """
    import os, sys
    from pathlib import Path
    from nwb_cascade.archive.ledger import Ledger
    steps = {steps}
    def counted(event, arguments):
        global steps
        if event in ("os.link", "os.remove", "os.mkdir", "os.rename", "os.rmdir", "fsync"):
            steps -= 1
            if steps < 0:
                die()
    sys.addaudithook(counted)
    fsync = os.fsync
    os.fsync = lambda file: (counted("fsync", ()), fsync(file))
    ledger = Ledger(Path({out!r}))
    claim = ledger.claim({job!r})
    with claim:
        for path in claim.earlier_outputs():
            os.rename(path, claim.folder / path.name)
        output = claim.folder / "result.nwb"
        (claim.folder / ".draft").write_text("whole")
        os.rename(claim.folder / ".draft", output)
        claim.finish(output, {{"size": 5}})
    print("steps left", steps)
"""


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "out")
    ledger.prepare()
    return ledger


@pytest.fixture(scope="module")
def sandbox():
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def finish(claim, text="whole"):
    output = claim.folder / "result.nwb"
    output.write_text(text)
    claim.finish(output, {"size": len(text)})


def abandon(ledger, job=JOB):
    """Leave a claim behind as a process does that is killed."""
    claim = ledger.claim(job)
    claim.folder.mkdir()
    (claim.folder.parent / f"claim-{claim.attempt:04d}").write_text(json.dumps({**GONE, "machine": None}))
    return claim


def let_lease_end(claim):
    path = claim.folder.parent / f"claim-{claim.attempt:04d}"
    os.utime(path, (1, 1))


def test_a_job_passes_through_its_states(ledger):
    assert ledger.entry(JOB).state == "pending"
    with ledger.claim(JOB) as claim:
        assert ledger.entry(JOB).state == "running"
        assert ledger.claim(JOB) is None
        finish(claim)
    entry = ledger.entry(JOB)
    assert (entry.state, entry.output.read_text()) == ("done", "whole")
    assert ledger.claim(JOB, retry_failed=True) is None


def test_a_failed_job_is_taken_up_only_when_asked(ledger):
    with ledger.claim(JOB) as claim:
        (claim.folder / "half").write_text("x")
        claim.fail({"cause": "It is empty.", "kind": "InputError"})
    entry = ledger.entry(JOB)
    assert (entry.state, entry.record["cause"], entry.attempt) == ("failed", "It is empty.", 1)
    assert not claim.folder.exists()
    assert ledger.claim(JOB) is None
    with ledger.claim(JOB, retry_failed=True) as claim:
        assert ledger.entry(JOB).state == "running"
        finish(claim)
    assert ledger.entry(JOB).state == "done"


def test_an_attempt_that_ends_without_a_word_gives_the_job_back(ledger):
    def interrupted():
        with ledger.claim(JOB) as claim:
            (claim.folder / "half").write_text("x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ledger.entry(JOB).state == "pending"
    assert list(ledger.entry(JOB).folder.iterdir()) == []


def test_the_claim_of_a_process_of_this_machine_that_is_gone_is_taken_over_at_once(ledger, sandbox, tmp_path):
    code = f"""
        from nwb_cascade.archive.ledger import Ledger
        Ledger({str(ledger.folder)!r}).claim({JOB!r}).__enter__()
        die()
    """
    assert sandbox.run(code, tmp_path / "log")[0] == -9
    entry = ledger.entry(JOB)
    assert (entry.state, entry.interruptions) == ("interrupted", 1)
    with ledger.claim(JOB) as claim:
        assert (claim.attempt, claim.interruptions) == (2, 1)
        finish(claim)
    assert ledger.entry(JOB).state == "done"


def test_the_claim_of_another_machine_holds_for_a_lease(ledger):
    claim = abandon(ledger)
    assert ledger.entry(JOB).state == "running"
    let_lease_end(claim)
    assert ledger.entry(JOB).state == "interrupted"


def test_an_unreadable_claim_holds_for_a_lease(ledger):
    claim = abandon(ledger)
    (claim.folder.parent / "claim-0001").write_text("")
    os.utime(claim.folder.parent / "claim-0001")
    assert ledger.entry(JOB).state == "running"
    let_lease_end(claim)
    assert ledger.entry(JOB).state == "interrupted"


def test_a_claim_is_renewed_while_its_work_goes_on(tmp_path):
    ledger = Ledger(tmp_path / "out", lease_s=0.02)
    ledger.prepare()
    with ledger.claim(JOB) as claim:
        path = claim.folder.parent / "claim-0001"
        os.utime(path, (1, 1))
        deadline = time.monotonic() + 30
        while path.stat().st_mtime == 1 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert path.stat().st_mtime > 1


def test_a_process_that_was_taken_for_dead_and_wakes_up_does_no_harm(ledger):
    late = abandon(ledger)
    let_lease_end(late)
    assert not late.is_lost
    with ledger.claim(JOB) as claim:
        assert late.is_lost
        finish(late, "late")
        assert ledger.entry(JOB).output.read_text() == "late"
        finish(claim, "second")
    assert ledger.entry(JOB).output.read_text() == "second"


def test_a_late_result_is_kept_when_nobody_else_has_begun_to_write(ledger):
    late = abandon(ledger)
    let_lease_end(late)
    finish(late, "late")
    assert ledger.claim(JOB) is None
    assert ledger.entry(JOB).output.read_text() == "late"


def test_a_result_that_was_lost_is_made_again(ledger):
    with ledger.claim(JOB) as claim:
        finish(claim)
    ledger.entry(JOB).output.write_text("cut")
    assert ledger.entry(JOB).state == "interrupted"
    with ledger.claim(JOB) as claim:
        finish(claim)
    assert ledger.entry(JOB).state == "done"


def test_interruptions_are_counted_since_the_last_word(ledger):
    for number in range(3):
        claim = abandon(ledger)
        assert claim.interruptions == number
        let_lease_end(claim)
    with ledger.claim(JOB) as claim:
        claim.fail({})
    assert ledger.claim(JOB, retry_failed=True).interruptions == 0


def test_many_at_once_and_only_one_gets_each_job(ledger):
    jobs = [f"{n:016x}" for n in range(20)]
    taken, barrier = [], threading.Barrier(8)

    def contend():
        own = Ledger(ledger.folder)
        barrier.wait()
        for job in jobs:
            if (claim := own.claim(job)) is not None:
                taken.append(job)
                with claim:
                    finish(claim)

    threads = [threading.Thread(target=contend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == jobs


def test_after_a_kill_at_any_step_the_job_is_done_once_more_at_most(sandbox, tmp_path):
    """The attempt is killed before its n-th change to the disk, for every n; then another one goes on."""
    for steps in range(100):
        out = tmp_path / str(steps)
        Ledger(out).prepare()
        code = ATTEMPT.format(steps=steps, out=str(out), job=JOB)
        status, printed = sandbox.run(code, tmp_path / "log")
        ledger = Ledger(out)
        was_done = ledger.entry(JOB).state == "done"
        if not was_done:
            again, printed_again = sandbox.run(ATTEMPT.format(steps=1000, out=str(out), job=JOB), tmp_path / "log")
            assert again == 0, printed_again
        entry = ledger.entry(JOB)
        assert (entry.state, entry.output.read_text()) == ("done", "whole")
        assert len(list(entry.folder.glob("done-*"))) == 1
        if status == 0:
            break
        assert status == -9, printed
    assert steps > 6


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_is_created_once(tmp_path, monkeypatch, has_links):
    if not has_links:

        def refuse(source, target):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "claim"
    assert ledger_module.create_once(path, "first")
    assert not ledger_module.create_once(path, "second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.docx").write_text("x")
    with pytest.raises(FileExistsError, match=r"holds thesis\.docx: name another folder"):
        Ledger(tmp_path).prepare()
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]


def test_a_folder_whose_making_was_interrupted_is_taken(tmp_path):
    (tmp_path / "jobs").mkdir()
    Ledger(tmp_path).prepare()
    Ledger(tmp_path).prepare()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["archive.json", "jobs"]
