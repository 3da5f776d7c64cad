"""``nwb-cascade infer``: exit status, one line per failure, JSON, and nothing but results when not on a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nwb_cascade.annotation.annotate
from nwb_cascade.cli import main
from tests.support.fake_runs import fake_run
from tests.support.recordings import add_dff, bare_nwbfile, dff_recording, simulated_dff, write_recording


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["infer", *map(str, arguments)])


def test_one_file_gives_a_copy_and_says_so(tmp_path: Path) -> None:
    result = run(dff_recording(tmp_path / "mouse 7 ü.nwb"))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"Wrote {tmp_path / 'mouse 7 ü_spikes.nwb'}: InferredSpikeRates for 4 ROIs")
    assert "model: fake_30Hz was made up for tests." in result.stdout
    assert result.stderr == ""


def test_a_file_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "broken.nwb").write_text("not NWB")
    result = run(tmp_path / "broken.nwb", tmp_path / "absent.nwb", dff_recording(tmp_path / "good.nwb"))
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"Expected an NWB file (HDF5 or Zarr), received {tmp_path / 'broken.nwb'}, which")
    assert lines[1].startswith(f"Expected an NWB file at {tmp_path / 'absent.nwb'}, but there is none.")
    assert (tmp_path / "good_spikes.nwb").exists()


def test_json_holds_one_object_per_file(tmp_path: Path) -> None:
    (tmp_path / "broken.nwb").write_text("not NWB")
    result = run(dff_recording(tmp_path / "good.nwb"), tmp_path / "broken.nwb", "--json", "--dry-run")
    good, broken = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (good["run_name"], good["dry_run"], good["n_rois"]) == ("InferredSpikeRates", True, 4)
    assert good["reason"] == "fake_30Hz was made up for tests."
    assert "Expected an NWB file" in broken["error"]
    assert "Traceback" in broken["traceback"]


def test_an_error_that_is_ours_names_its_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", broken)
    result = run(dff_recording(tmp_path / "a.nwb"))
    assert result.exit_code == 1
    assert result.stderr == f"{tmp_path / 'a.nwb'}: RuntimeError: two lines\n"


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--debug", "infer", str(tmp_path / "absent.nwb")])
    assert result.exit_code == 1
    assert "Traceback (most recent call last)" in result.stderr


def test_options_reach_the_run(tmp_path: Path) -> None:
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, simulated_dff(), name="plane0")
    add_dff(nwbfile, simulated_dff(), name="plane1")
    path = write_recording(tmp_path / "a.nwb", nwbfile)
    options = ["--series", "plane1", "--run-name", "Mine", "--threshold", "raw", "--legacy-alignment", "--no-std"]
    result = run(path, "--in-place", *options, "--indicator", "GCaMP6s", "--json")
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    assert record["output"] == str(path)
    assert (record["run_name"], record["series"]) == ("Mine", "/processing/ophys/DfOverF/plane1")
    assert record["indicator"] == "GCaMP6s"


def test_a_second_run_is_skipped_with_status_0(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb")
    assert run(path, "--in-place").exit_code == 0
    again = run(path, "--in-place")
    assert again.exit_code == 0
    assert again.stdout.startswith(f"Already in {path}")


def test_several_files_go_into_a_folder(tmp_path: Path) -> None:
    files = [dff_recording(tmp_path / "a.nwb"), tmp_path / "b.npy"]
    np.save(files[1], simulated_dff())
    result = run(*files, "-o", tmp_path / "new folder", "--imaging-rate", 30)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "new folder/a.nwb").exists()
    assert (tmp_path / "new folder/b.npy").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'FILE...'"),
        (["a.nwb", "-o", "b.nwb", "--in-place"], "either an output or in_place"),
        (["a.nwb", "-o", "a.nwb"], "output other than the input a.nwb"),
        (["a.nwb", "b.nwb", "-o", "c.nwb"], "folder as output of 2 files"),
        (["a.npy"], "a.npy states no imaging rate: give it with --imaging-rate HZ"),
        (["a.npy", "--imaging-rate", "30", "--in-place"], "only NWB files can be added to in place"),
        (["a.npy", "--imaging-rate", "30", "--series", "x"], "--series does not apply to a.npy, a matrix"),
        (["a.nwb", "--variable", "x"], "--variable does not apply to a.nwb, an NWB file"),
        (["a.nwb", "--threshold", "high"], "Invalid value for '--threshold'"),
        (["a.nwb", "--imaging-rate", "fast"], "Invalid value for '--imaging-rate'"),
    ],
)
def test_options_that_do_not_fit_together_have_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.nwb", "b.nwb", "a.npy"):
        (tmp_path / name).touch()
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
