"""Status counts jobs by state and failures by cause."""

import json

from click.testing import CliRunner

from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.manifest import Manifest, Skipped
from nwb_cascade.archive.status import status_of
from nwb_cascade.cli import main
from tests.support.archive_jobs import made_up_job, manifest_of

JOBS = [made_up_job(number) for number in range(6)]


def prepared(tmp_path):
    """One job done, three failed for two causes, one running, one to do; two files skipped for one reason."""
    skipped = [Skipped(f"/data/x{n}.nwb", f"Expected an NWB file, received /data/x{n}.nwb.") for n in range(2)]
    path = manifest_of(tmp_path / "m.jsonl", *JOBS, *skipped)
    ledger = Ledger(tmp_path / "out")
    ledger.prepare()
    with ledger.claim(JOBS[0].id) as claim:
        (claim.folder / "x").write_text("x")
        claim.finish(claim.folder / "x", {"size": 1, "seconds": 2.0})
    for job in JOBS[1:4]:
        cause = "No disk." if job is JOBS[3] else f"{job.address} is empty."
        with ledger.claim(job.id) as claim:
            claim.fail({"cause": cause, "kind": "InputError", "seconds": 1.0})
    ledger.claim(JOBS[4].id)
    return path, ledger


def test_failures_are_grouped_by_cause(tmp_path):
    path, ledger = prepared(tmp_path)
    status = status_of(Manifest(path), ledger)
    assert status.counts == {"done": 1, "failed": 3, "running": 1, "interrupted": 0, "pending": 1}
    first = f"{JOBS[1].address} is empty."
    assert [(group.cause, group.count) for group in status.failures] == [(first, 2), ("No disk.", 1)]
    assert status.failures[0].examples == (JOBS[1].address, JOBS[2].address)
    assert [(group.cause, group.count) for group in status.skipped] == [
        ("Expected an NWB file, received /data/x0.nwb.", 2)
    ]
    assert status.per_second > 0


def test_the_command_prints_it(tmp_path):
    path, ledger = prepared(tmp_path)
    arguments = ["archive", "status", str(path), "--out", str(ledger.folder)]
    printed = CliRunner().invoke(main, arguments).stdout
    assert "6 jobs: 1 done, 3 failed, 1 running, 1 pending; 2 files skipped" in printed
    assert "  2 failed (InputError), such as /data/sub-1.nwb is empty.\n" in printed
    assert "  1 failed (InputError), such as /data/sub-3.nwb: No disk.\n" in printed
    assert "FILE" not in printed
    assert json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)["total"] == 6


def test_a_folder_of_something_else_is_refused(tmp_path):
    path = manifest_of(tmp_path / "m.jsonl", *JOBS)
    ended = CliRunner().invoke(main, ["archive", "status", str(path), "--out", str(tmp_path)])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert f"Expected the output folder of 'nwb-cascade archive run', received {tmp_path}." in ended.stderr


def test_nothing_was_begun_yet(tmp_path):
    path = manifest_of(tmp_path / "m.jsonl", *JOBS)
    assert status_of(Manifest(path), Ledger(tmp_path / "none")).counts["pending"] == 6
