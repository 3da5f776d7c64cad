"""What is said about folders and HDF5 files that are no recording, and that the commands in it run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner

from nwb_cascade.cli import main
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.readers.folders import require_recording
from tests.support.recordings import dff_recording, simulated_dff


def said(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        require_recording(folder)
    return str(caught.value)


def test_a_folder_of_recordings_names_some_and_the_way_to_do_all(tmp_path: Path) -> None:
    for number in range(7):
        (tmp_path / f"{number}.nwb").touch()
    text = said(tmp_path)
    assert f"Name what is meant in it: {tmp_path}/0.nwb" in text
    assert "4.nwb and 2 more, or all NWB files by: nwb-cascade archive plan" in text


def test_planes_of_suite2p_are_named_by_their_folders(tmp_path: Path) -> None:
    for plane in ("plane0", "plane1"):
        (tmp_path / "suite2p" / plane).mkdir(parents=True)
        (tmp_path / "suite2p" / plane / "F.npy").touch()
    assert said(tmp_path).endswith(f"in it: {tmp_path}/suite2p/plane0, {tmp_path}/suite2p/plane1.")


def test_matrices_are_named_where_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / "dff.npy").touch()
    assert said(tmp_path).endswith(f"Name what is meant in it: {tmp_path}/dff.npy.")


def test_a_folder_of_nothing_says_so(tmp_path: Path) -> None:
    assert "with no NWB file, matrix or output of suite2p in it" in said(tmp_path)


def test_a_zarr_store_and_a_file_pass(tmp_path: Path) -> None:
    (tmp_path / ".zgroup").touch()
    require_recording(tmp_path)
    require_recording(tmp_path / ".zgroup")


def test_the_current_folder_is_a_folder_like_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["infer", "."], catch_exceptions=False)
    assert (result.exit_code, result.stderr[:33]) == (1, "Expected a recording, received .:")


def test_the_command_for_all_files_of_a_folder_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("of mouse 1").mkdir()
    dff_recording(Path("of mouse 1/a.nwb"))
    (command,) = re.findall(r"nwb-cascade (.*)\.$", said(Path("of mouse 1")))
    result = CliRunner().invoke(main, shlex.split(command), catch_exceptions=False)
    assert "1 job in jobs.jsonl" in result.stdout


def test_the_commands_that_read_other_hdf5_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "other.h5"
    with h5py.File(name, "w") as file:
        file["a/dff"] = simulated_dff(4, 300)
    with pytest.raises(InputError, match="but without the attribute nwb_version") as caught, open_nwb(name):
        pass
    code, arguments = re.findall(r'python -c "(.*)" && nwb-cascade (.*)$', str(caught.value))[0]
    subprocess.run([sys.executable, "-c", code], check=True)
    result = CliRunner().invoke(main, [*shlex.split(arguments.replace("HZ", "30")), "--dry-run"])
    assert "4 ROIs, 300 frames at 30 Hz" in result.stdout
