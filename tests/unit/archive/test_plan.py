"""A plan names jobs by content, and tells in readable words why files have none."""

import shutil
import sys

import pytest
from click.testing import CliRunner

from nwb_cascade.archive.job import Settings, perform
from nwb_cascade.archive.ledger import Ledger
from nwb_cascade.archive.listing import list_sources
from nwb_cascade.archive.manifest import Job, Manifest
from nwb_cascade.archive.plan import Wish, look_at
from nwb_cascade.cli import main
from nwb_cascade.nwb.stored_run import open_run
from nwb_cascade.options import FromRaw, InferenceOptions
from tests.support.dandi_content import Archive
from tests.support.dandi_server import DandiServer
from tests.support.fake_runs import fake_run
from tests.support.raw_recordings import raw_recording
from tests.support.recordings import bare_nwbfile, dff_recording, simulated_dff, write_recording

WISH = Wish(InferenceOptions(), {"cache_limit_bytes": 0})


@pytest.fixture(autouse=True)
def no_update_check(monkeypatch):
    monkeypatch.setenv("DANDI_NO_ET", "1")


def test_a_zarr_that_changes_under_its_id_gets_another_job(tmp_path):
    store = dff_recording(tmp_path / "a.nwb.zarr")
    archive = Archive()
    dandiset = archive.add("000001")
    with DandiServer(archive) as server:

        def job():
            dandiset.add("sub-1/sub-1_ophys.nwb.zarr", store)
            (source,) = list_sources([f"dandi://{server.url.removeprefix('http://')}/000001@draft/"])
            return look_at(source, WISH)

        first, again = job(), job()
        shutil.rmtree(store)
        dff_recording(store, simulated_dff(seed=1))
        changed = job()
    assert isinstance(first, Job), first
    assert first.source["asset"]["content_id"] == changed.source["asset"]["content_id"]
    assert first.id == again.id != changed.id


def test_reasons_are_sentences_about_the_first_file_of_a_kind(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.nwb").write_bytes(b"")
    (folder / "d.nwb").write_bytes(b"no recording")
    write_recording(folder / "e.nwb", bare_nwbfile())
    planned = CliRunner().invoke(main, ["archive", "plan", str(folder), "-o", str(tmp_path / "m"), "--readers", "1"])
    assert planned.stdout.splitlines() == [
        f"0 jobs in {tmp_path / 'm'}, 5 files without one.",
        f"  3 skipped, such as Expected an NWB file, received {folder / 'a.nwb'}, which is empty: write, copy or "
        "download it anew.",
        f"  1 skipped, such as Expected an NWB file (HDF5 or Zarr), received {folder / 'd.nwb'}, which is neither.",
        f"  1 skipped, such as {folder / 'e.nwb'}: It holds no series of ROI traces (RoiResponseSeries).",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_place_that_cannot_be_written_is_told_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("nwb_cascade.archive.plan.look_at", lambda *args: pytest.fail("a header was read"))
    (tmp_path / "a.nwb").write_bytes(b"x")
    planned = CliRunner().invoke(main, ["archive", "plan", str(tmp_path), "-o", "/proc/m.jsonl", "--readers", "1"])
    assert planned.exit_code == 1
    assert planned.stderr.startswith("Error: Cannot write in /proc: ")


def test_every_option_of_an_inference_reaches_the_job(tmp_path, monkeypatch):
    folder = tmp_path / "recordings"
    folder.mkdir()
    raw_recording(folder / "raw.nwb")
    dff_recording(folder / "dff.nwb")
    words = ["--from-raw", "--neuropil", "none", "--spikes", "--threshold", "raw", "--run-name", "Mine"]
    manifest = tmp_path / "m"
    command = ["archive", "plan", str(folder), "-o", str(manifest), "--readers", "1", *words]
    planned = CliRunner().invoke(main, command)
    assert planned.exit_code == 0, planned.output
    assert "1 skipped" in planned.stdout
    assert "Leave out --from-raw for dF/F" in planned.stdout
    (job,) = Manifest(manifest).jobs()
    assert job.parameters == {
        "from_raw": {"neuropil": "none"},
        "spikes": "conserved",
        "threshold": "raw",
        "run_name": "Mine",
    }
    assert InferenceOptions.from_dict(job.parameters).from_raw == FromRaw(neuropil="none")
    monkeypatch.setattr("nwb_cascade.annotation.annotate.prepare_run", fake_run)
    ledger = Ledger(tmp_path / "out")
    ledger.prepare()
    outcome = perform(job, Settings(str(ledger.folder)))
    assert outcome.status == "done", outcome.cause
    with open_run(ledger.entry(job.id).output, "Mine") as run:
        assert run.spikes is not None
        assert run.parameters["dff"]["method"]["neuropil"] == "none"
        assert run.parameters["threshold"] == "raw"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--variable", "x"], "--variable does not apply to"),
        (["--legacy-alignment"], "Expected no legacy alignment for conditional-1-120Hz"),
        (["--imaging-rate", "15"], "has an imaging rate of 30 Hz, but 15 Hz was given"),
    ],
)
def test_what_could_not_be_done_is_planned_as_skipped(tmp_path, words, reason):
    path = dff_recording(tmp_path / "a.nwb")
    planned = CliRunner().invoke(main, ["archive", "plan", str(path), "-o", str(tmp_path / "m"), *words])
    assert "0 jobs in" in planned.stdout
    assert reason in planned.stdout


def test_options_about_dff_need_from_raw(tmp_path):
    planned = CliRunner().invoke(main, ["archive", "plan", str(tmp_path), "-o", str(tmp_path / "m"), "--window", "9"])
    assert planned.exit_code == 2
    assert "--window needs --from-raw" in planned.stderr
