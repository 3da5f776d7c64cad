"""A plan names jobs by content, and tells in readable words why files have none."""

import shutil
import sys

import pytest
from click.testing import CliRunner

from nwb_cascade.archive.listing import list_sources
from nwb_cascade.archive.manifest import Job
from nwb_cascade.archive.plan import Wish, look_at
from nwb_cascade.cli import main
from tests.support.dandi_content import Archive
from tests.support.dandi_server import DandiServer
from tests.support.recordings import bare_nwbfile, dff_recording, simulated_dff, write_recording

WISH = Wish("auto", {}, {"cache_limit_bytes": 0})


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
