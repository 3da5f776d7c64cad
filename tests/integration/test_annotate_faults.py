"""What goes wrong around annotating: killed runs, locks, full disks, missing permissions; nothing is ever lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

import nwb_cascade.annotation.annotate
import nwb_cascade.writers.nwb
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.errors import InputError
from nwb_cascade.files import replace
from nwb_cascade.nwb.files import open_nwb
from tests.support.annotating import Sandbox, contents, hidden_files
from tests.support.fake_runs import fake_run
from tests.support.recordings import add_dff, bare_nwbfile, dff_recording, simulated_dff, write_recording

KILLS = {
    "while inferring": "annotate(path, in_place=True, progress=die)",
    "while copying": "annotate(path, in_place=True, progress=lambda done, total: die() if calls.pop() == 2 else 0)",
    "while storing": "annotate(path, in_place=True, progress=lambda done, total: die() if calls.pop() == 1 else 0)",
    "after appending": "nwb_cascade.writers.nwb.check_runs = die; annotate(path, in_place=True)",
    "before replacing": "os.replace = die; annotate(path, in_place=True)",
    "after replacing": "import nwb_cascade.files.replace as r; r.flush_folder = die; annotate(path, in_place=True)",
}


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


@pytest.fixture
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs") / "log"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return dff_recording(tmp_path / "mouse 7 ü.nwb")


def assert_annotated(path: Path, before: dict[str, str]) -> None:
    """The file holds a complete run and all that it held before, and nothing lies beside it."""
    with open_nwb(path) as (nwbfile, _):
        assert nwbfile.processing["ophys"]["InferredSpikeRates"].data.shape == (300, 4)
    assert before.items() <= contents(path).items()
    assert hidden_files(path.parent) == []


@pytest.mark.parametrize("moment", KILLS)
def test_a_run_killed_in_place_loses_nothing_and_a_rerun_finishes(
    recording: Path, moment: str, sandbox: Sandbox, log: Path
) -> None:
    whole, before = recording.read_bytes(), contents(recording)
    code = f"path, calls = Path({str(recording)!r}), [0, 0, 1, 2, 3]\n{KILLS[moment]}"
    assert sandbox.run(code, log)[0] == -signal.SIGKILL, log.read_text()
    assert hidden_files(recording.parent)
    if moment == "after replacing":
        assert before.items() <= contents(recording).items()
    else:
        assert recording.read_bytes() == whole
    assert annotate(recording, in_place=True).skipped == (moment == "after replacing")
    if moment == "after replacing":
        annotate(recording, in_place=True, run_name="Sweeps what was left")
    assert_annotated(recording, before)


@pytest.mark.parametrize("delay_s", [0.02, 0.1, 0.3, 0.6])
def test_a_run_killed_at_any_time_leaves_a_whole_file(
    recording: Path, delay_s: float, sandbox: Sandbox, log: Path
) -> None:
    before = contents(recording)
    code = f"import threading; threading.Timer({delay_s}, die).start(); annotate({str(recording)!r}, in_place=True)"
    assert sandbox.run(code, log)[0] in (0, -signal.SIGKILL), log.read_text()
    assert before.items() <= contents(recording).items()
    annotate(recording, in_place=True)
    annotate(recording, in_place=True, run_name="Sweeps what was left")
    assert_annotated(recording, before)


def test_a_killed_copy_leaves_no_output(recording: Path, sandbox: Sandbox, log: Path) -> None:
    code = f"nwb_cascade.writers.nwb.check_runs = die; annotate({str(recording)!r})"
    assert sandbox.run(code, log)[0] == -signal.SIGKILL, log.read_text()
    assert [p.name for p in recording.parent.iterdir() if not p.name.startswith(".")] == [recording.name]
    annotate(recording)
    assert hidden_files(recording.parent) == []


def test_a_zarr_store_killed_between_two_renames_is_repaired(tmp_path: Path, sandbox: Sandbox, log: Path) -> None:
    recording = dff_recording(tmp_path / "a.nwb.zarr")
    code = f"""
        import nwb_cascade.files.replace as r
        rename = os.rename
        r.exchange = lambda first, second: False
        os.rename = lambda a, b: die() if str(b).endswith("a.nwb.zarr") else rename(a, b)
        annotate({str(recording)!r}, in_place=True)
    """
    assert sandbox.run(code, log)[0] == -signal.SIGKILL, log.read_text()
    assert not recording.exists()
    assert not annotate(recording, in_place=True).skipped
    assert hidden_files(tmp_path) == []
    with open_nwb(recording) as (nwbfile, _):
        assert nwbfile.processing["ophys"]["InferredSpikeRates"].data.shape == (300, 4)


def test_zarr_in_place_is_one_exchange(tmp_path: Path) -> None:
    recording = dff_recording(tmp_path / "a.nwb.zarr")
    seen: list[bool] = []

    def watched(done: int, total: int) -> None:
        seen.append((recording / ".zgroup").exists())

    annotate(recording, in_place=True, progress=watched)
    assert all(seen)
    assert hidden_files(tmp_path) == []


def test_a_failure_while_storing_leaves_the_file_and_nothing_beside_it(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("Rates/data: the values of ROIs 0 to 3 are not as computed.")

    whole = recording.read_bytes()
    monkeypatch.setattr(nwb_cascade.writers.nwb, "check_runs", fail)
    with pytest.raises(OSError, match="are not as computed"):
        annotate(recording, in_place=True)
    assert recording.read_bytes() == whole
    assert hidden_files(recording.parent) == []


def test_a_recording_that_others_change_meanwhile_is_left_alone(recording: Path) -> None:
    def edit(done: int, total: int) -> None:
        os.utime(recording, ns=(0, 0))

    with pytest.raises(InputError, match=r"Another program changed .*mouse 7 ü\.nwb meanwhile"):
        annotate(recording, in_place=True, progress=edit)
    with pytest.raises(InputError, match=r"Another program changed .*mouse 7 ü\.nwb meanwhile"):
        annotate(recording, progress=lambda done, total: os.utime(recording, ns=(done, done)))
    assert hidden_files(recording.parent) == []


def test_nobody_writes_to_the_recording_while_it_is_annotated(recording: Path) -> None:
    refused = []

    def write(done: int, total: int) -> None:
        try:
            h5py.File(recording, "r+").close()
        except OSError as error:
            refused.append(str(error))

    annotate(recording, in_place=True, progress=write)
    assert len(refused) == 4
    assert "unable to lock file" in refused[-1]
    h5py.File(recording, "r+").close()


def test_an_output_that_appears_meanwhile_is_left_alone(recording: Path) -> None:
    output = recording.with_name("out.nwb")
    with pytest.raises(InputError, match=r"Another program changed .*out\.nwb meanwhile"):
        annotate(recording, output=output, progress=lambda done, total: output.write_text("mine"))
    assert output.read_text() == "mine"


def test_two_runs_on_one_file_do_not_mix(recording: Path) -> None:
    with (
        replace.workplace(recording),
        pytest.raises(InputError, match=r"Another nwb-cascade run is writing .*mouse 7 ü\.nwb"),
    ):
        annotate(recording, in_place=True)


@pytest.fixture
def writer(recording: Path) -> Iterator[None]:
    """Another process that has the recording open for writing."""
    code = f"import h5py, time; f = h5py.File({str(recording)!r}, 'r+'); print('open', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield
    process.kill()
    process.communicate()


@pytest.mark.usefixtures("writer")
@pytest.mark.parametrize("in_place", [True, False])
def test_a_file_that_another_process_writes_is_not_touched(recording: Path, in_place: bool) -> None:
    with pytest.raises(BlockingIOError, match=r"mouse 7 ü\.nwb is locked: another program has it open for writing"):
        annotate(recording, in_place=in_place)
    assert [p.name for p in recording.parent.iterdir()] == [recording.name]


def test_a_read_only_file_is_respected_even_by_root(recording: Path) -> None:
    recording.chmod(0o444)
    with pytest.raises(PermissionError, match=r"mouse 7 ü\.nwb is read-only and was left as it is.*\(-o\)"):
        annotate(recording, in_place=True)
    copy = annotate(recording, output=recording.with_name("copy.nwb")).output
    with h5py.File(copy, "r+"):
        pass


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs users as on POSIX systems")
def test_a_read_only_folder_is_named() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        recording = dff_recording(folder / "a.nwb")
        folder.chmod(0o555)
        user = os.geteuid()
        os.seteuid(65534 if user == 0 else user)
        try:
            with pytest.raises(PermissionError, match=r"Cannot write in .*: Permission denied\. Choose another output"):
                annotate(recording)
        finally:
            os.seteuid(user)
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_a_disk_that_is_too_small_is_found_before_the_work(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inferred: list[int] = []
    usage = shutil.disk_usage(recording.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=100_000))
    match = r"No space left for the annotated copy of mouse 7 ü\.nwb in .*nothing was changed"
    with pytest.raises(OSError, match=match):
        annotate(recording, progress=lambda done, total: inferred.append(done))
    assert inferred == []


@pytest.mark.parametrize("room", [1.0, 1.02])
def test_a_disk_that_fills_up_during_the_work_loses_nothing(
    tmp_path: Path, room: float, sandbox: Sandbox, log: Path
) -> None:
    """A limit on the size of files stands in for the end of the disk: while copying, and while storing."""
    recording = dff_recording(tmp_path / "a.nwb", simulated_dff(8, 3000))
    whole = recording.read_bytes()
    limit = int(room * len(whole)) - 1000
    code = f"""
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
        try:
            annotate({str(recording)!r}, in_place=True)
        except OSError as error:
            print(error)
    """
    assert sandbox.run(code, log)[1].startswith("No space left for a.nwb in "), log.read_text()
    assert recording.read_bytes() == whole
    assert hidden_files(tmp_path) == []


@pytest.mark.parametrize("spare", [-1_000, 80_000])
def test_a_real_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: int) -> None:
    disk = tmp_path / "small disk"
    disk.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() or not mount or subprocess.run([mount, "-t", "tmpfs", "-o", "size=9m", "x", disk]).returncode:
        pytest.skip("this machine lets no tests mount a small disk")
    try:
        recording = dff_recording(disk / "a.nwb", simulated_dff(8, 4000))
        whole = recording.read_bytes()
        (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - len(whole) - spare))
        monkeypatch.setattr(nwb_cascade.annotation.annotate, "require_space", lambda *_: None)
        with pytest.raises(OSError, match=r"No space left for a\.nwb in .*small disk"):
            annotate(recording, in_place=True, scratch_dir=tmp_path)
        assert recording.read_bytes() == whole
        assert hidden_files(disk) == []
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("size", [30, 300], ids=["masks read at once", "masks read some at a time"])
def test_the_room_that_is_made_sure_of_is_what_a_sidecar_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """HDF5 ends the process where it finds no room by itself."""
    nwbfile, rng = bare_nwbfile(), np.random.default_rng(0)
    stamps = np.arange(300) / 30 + rng.uniform(0, 0.005, 300)
    add_dff(nwbfile, simulated_dff(30), timestamps=stamps)
    table = nwbfile.processing["ophys"]["ImageSegmentation"]["rois_RoiResponseSeries"]
    table.add_column(name="image_mask", description="of noise", data=rng.random((30, size, size)).astype(np.float32))
    table.add_column(name="label", description="texts", data=[f"cell {'x' * 500} {number}" for number in range(30)])
    recording = write_recording(tmp_path / "a.nwb", nwbfile)
    asked: list[int] = []
    monkeypatch.setattr("nwb_cascade.nwb.sidecar.reserve", lambda path, n_bytes: asked.append(n_bytes))
    output = Path(annotate(recording, sidecar=True).output)
    assert len(asked) == 1
    assert output.stat().st_size < asked[0] < 2 * output.stat().st_size + 2 * 2**22
