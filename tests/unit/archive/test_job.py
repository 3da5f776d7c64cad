"""A job annotates its recording, and notes how it ended; what is wrong with the machine is not held against it."""

import os

import pytest

from nwb_cascade.archive import job as job_module
from nwb_cascade.archive.job import MOST_INTERRUPTIONS, Settings, perform
from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.listing import local_source
from tests.support.archive_jobs import file_job, made_up_job
from tests.support.fake_runs import fake_run
from tests.support.recordings import dff_recording


@pytest.fixture(autouse=True)
def fake_networks(monkeypatch):
    monkeypatch.setattr("nwb_cascade.annotation.annotate.prepare_run", fake_run)
    job_module.kept_model.cache_clear()


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return dff_recording(tmp_path_factory.mktemp("data") / "sub-1_ses-a_ophys.nwb")


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "out")
    ledger.prepare()
    return ledger


def test_a_job_is_done_once(ledger, recording):
    job = file_job(recording)
    outcome = perform(job, Settings(str(ledger.folder)))
    assert (outcome.status, outcome.is_new) == ("done", True)
    record = ledger.entry(job.id).record
    (run,) = record["runs"]
    assert (run["n_rois"], run["n_frames"], record["address"]) == (4, 300, str(recording))
    assert record["size"] == ledger.entry(job.id).output.stat().st_size
    again = perform(job, Settings(str(ledger.folder), retry_failed=True))
    assert (again.status, again.is_new) == ("done", False)


def test_a_finished_file_of_an_interrupted_attempt_is_adopted(ledger, recording, monkeypatch):
    job = file_job(recording)

    class KilledError(BaseException):
        pass

    def killed(claim, *args):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("nwb_cascade.archive.ledger.Claim.finish", killed)
        patch.setattr("nwb_cascade.archive.ledger.Claim.release", lambda claim: None)  # a dead process gives none back
        with pytest.raises(KilledError):
            perform(job, Settings(str(ledger.folder)))
    (first,) = ledger.entry(job.id).folder.glob("attempt-0001/*.nwb")
    content = first.read_bytes()
    os.utime(ledger.entry(job.id).folder / "claim-0001", (1, 1))
    assert perform(job, Settings(str(ledger.folder))).status == "done"
    entry = ledger.entry(job.id)
    assert entry.record["runs"][0]["is_adopted"]
    assert entry.output.read_bytes() == content
    assert sorted(p.name for p in entry.folder.glob("attempt-*")) == ["attempt-0002"]


def test_a_failure_is_noted_with_its_cause_and_traceback(ledger, tmp_path):
    (tmp_path / "sub-2.nwb").write_bytes(b"no recording")
    job = file_job(tmp_path / "sub-2.nwb")
    outcome = perform(job, Settings(str(ledger.folder)))
    assert (outcome.status, outcome.kind) == ("failed", "InputError")
    record = ledger.entry(job.id).record
    assert record["cause"] == outcome.cause
    assert "Expected an NWB file" in outcome.cause
    assert "Traceback" in record["traceback"]
    assert not perform(job, Settings(str(ledger.folder))).is_new


def test_a_file_that_changed_since_it_was_planned_is_refused(ledger, recording, tmp_path):
    path = tmp_path / "sub-3.nwb"
    path.write_bytes(recording.read_bytes())
    job = file_job(path)
    os.utime(path, (1, 1))
    assert "was changed since the manifest was planned" in perform(job, Settings(str(ledger.folder))).cause


@pytest.mark.parametrize(
    ("changes", "kind", "cause"),
    [
        ({"model": "nowhere"}, "NoModelError", "lacks the model 'nowhere': install it there"),
        ({"model_sha256": "cd" * 32}, "ModelFileError", r"with weights cdcdcdcdcdcd…, the worker \S+ has"),
    ],
)
def test_a_worker_without_the_model_says_so(ledger, recording, changes, kind, cause):
    import re

    outcome = perform(file_job(recording, **changes), Settings(str(ledger.folder)))
    assert (outcome.status, outcome.kind) == ("failed", kind)
    assert re.search(cause, outcome.cause)


def test_a_job_that_kills_its_process_every_time_fails(ledger):
    job = made_up_job()
    for number in range(1, MOST_INTERRUPTIONS + 1):
        ledger.claim(job.id)
        os.utime(ledger.entry(job.id).folder / f"claim-{number:04d}", (1, 1))
    outcome = perform(job, Settings(str(ledger.folder)))
    assert (outcome.status, outcome.kind) == ("failed", "KilledTooOftenError")
    assert "killed 5 times in a row" in outcome.cause


def test_a_job_that_somebody_else_has_is_left_alone(ledger, recording):
    job = file_job(recording)
    with ledger.claim(job.id):
        assert perform(job, Settings(str(ledger.folder))).status == "held"


def no_space(*args, **options):
    raise OSError(28, "No space left on device")


def test_too_little_room_for_one_recording_is_its_failure(ledger, recording, monkeypatch):
    monkeypatch.setattr("nwb_cascade.annotation.annotate.annotate_source", no_space)
    assert perform(file_job(recording), Settings(str(ledger.folder))).status == "failed"


@pytest.mark.parametrize("sign", ["nothing can be written", "little is left"])
def test_a_full_disk_halts_and_nothing_is_noted(ledger, recording, monkeypatch, sign):
    monkeypatch.setattr("nwb_cascade.annotation.annotate.annotate_source", no_space)
    if sign == "little is left":
        monkeypatch.setattr("nwb_cascade.archive.job.LEAST_FREE_BYTES", 2**62)
    else:
        monkeypatch.setattr("os.fsync", no_space)
    job = file_job(recording)
    outcome = perform(job, Settings(str(ledger.folder)))
    assert outcome.status == "halted"
    assert "No space left in" in outcome.cause
    assert ledger.entry(job.id).state == "pending"


def test_a_local_recording_is_known_by_its_content(tmp_path, recording):
    first = local_source(recording)
    copy = tmp_path / "copy.nwb"
    copy.write_bytes(recording.read_bytes())
    os.utime(copy, ns=(1, recording.stat().st_mtime_ns))
    assert local_source(copy)["content_id"] == first["content_id"]
    with open(copy, "r+b") as file:
        file.write(b"x")
    assert local_source(copy)["content_id"] != first["content_id"]
