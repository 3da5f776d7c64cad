"""The command ``nwb-cascade doctor``: what is wrong with a machine becomes a row, and nothing a traceback."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from click.testing import CliRunner

from nwb_cascade.cli import main
from nwb_cascade.doctor import examination, machine, places, software, trials
from nwb_cascade.doctor.finding import Finding, looked, shown
from nwb_cascade.models.library import BUNDLED_FOLDER
from tests.support.dandi_content import Archive
from tests.support.dandi_server import DandiServer

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("NWB_CASCADE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("NWB_CASCADE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def told(*arguments, status=0):
    result = CliRunner().invoke(main, ["doctor", *arguments])
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result.stdout


def rows(status=0):
    return json.loads(told("--json", status=status))["findings"]


def named(name, status=0):
    return [row for row in rows(status) if row["name"] == name]


def test_a_sound_machine_has_no_problem_and_every_part_has_rows():
    answer = json.loads(told("--json"))
    assert answer["problems"] == 0
    assert answer["notes"] == sum(row["verdict"] == "note" for row in answer["findings"])
    parts = {row["part"] for row in answer["findings"]}
    assert parts == {"software", "machine", "models", "places", "settings"}
    names = [row["name"] for row in answer["findings"]]
    assert {"Python", "nwb-cascade", "tensorflow", "numpy", "memory", "conditional-1-120Hz", "this folder"} <= {*names}


def test_people_read_the_same_rows_and_a_sum():
    lines = told().splitlines()
    assert lines[0] == "software"
    assert any(line.startswith("  ok      conditional-1-120Hz") for line in lines)
    assert lines[-1].startswith("0 problems, ")


def test_nothing_heavy_is_started_unless_asked():
    code = "import sys; from nwb_cascade.cli import main; main(['doctor'], standalone_mode=False)"
    code = f"{code[: code.index('main([')]}\ntry:\n    {code[code.index('main([') :]}\nexcept SystemExit: pass\n"
    code += "print([m for m in ('tensorflow', 'keras', 'torch', 'dandi') if m in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    assert run.stdout.splitlines()[-1] == "[]"
    assert run.stderr == ""


def test_a_look_that_fails_is_a_row_and_stops_no_other(monkeypatch):
    def broken():
        yield Finding("machine", "first", "ok", "seen before the failure")
        raise RuntimeError("no such\n   driver")

    monkeypatch.setattr(examination, "LOOKS", (("machine", "second", broken), *examination.LOOKS[:1]))
    found = rows(status=1)
    assert [row["name"] for row in found] == ["first", "second", "Python"]
    assert found[1]["verdict"] == "problem"
    assert found[1]["value"] == "RuntimeError: no such driver"


def test_an_old_and_a_missing_requirement_are_problems_with_what_to_type(monkeypatch):
    def installed(name):
        return others[name] if name in others else real(name)

    others = {"pynwb": "2.8.0", "zarr": "3.0.1", "urllib3": None}
    real = software.installed_version
    monkeypatch.setattr(software, "installed_version", installed)
    found = {row["name"]: row for row in rows(status=1)}
    (wanted,) = (line.removeprefix("pynwb") for line in requires("nwb-cascade") if re.match(r"pynwb[<>=]", line))
    assert (found["pynwb"]["verdict"], found["pynwb"]["value"]) == ("problem", f"2.8.0, expected {wanted}")
    assert found["pynwb"]["advice"] == f"pip install 'pynwb{wanted}'"
    assert (found["urllib3"]["verdict"], found["urllib3"]["value"]) == ("problem", "missing")
    assert found["[zarr]"]["verdict"] == "note"
    assert found["[zarr]"]["advice"].endswith("pip install 'nwb-cascade[zarr]'")


def test_a_package_that_cannot_be_loaded_is_a_problem(monkeypatch):
    monkeypatch.setattr(software, "COMPILED", ("numpy", "broken_package"))
    (row,) = named("import broken_package", status=1)
    assert row["value"] == "ModuleNotFoundError: No module named 'broken_package'"
    assert row["advice"] == "install it anew: pip install --force-reinstall broken-package"


def test_a_package_without_metadata_is_told(monkeypatch):
    def nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(software, "version", nothing)
    (row,) = named("packages", status=1)
    assert row["value"].startswith("PackageNotFoundError")


def test_a_damaged_model_is_told_beside_the_sound_ones(tmp_path):
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    found = {row["name"]: row for row in rows(status=1) if row["part"] == "models" or row["name"] == "mine"}
    assert found["mine"]["verdict"] == "problem"
    assert "fetch it again" in found["mine"]["advice"]
    assert found["conditional-1-120Hz"]["verdict"] == "ok"
    assert {path.name for path in BUNDLED_FOLDER.iterdir()} <= set(found)


def test_a_folder_that_cannot_be_written_to_is_told_with_the_variable_that_moves_it(tmp_path, monkeypatch):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("NWB_CASCADE_CACHE", str(tmp_path / "a file" / "cache"))
    (row,) = named("cache of DANDI")
    assert row["verdict"] == "note"
    assert "cannot be written to" in row["value"]
    assert "NWB_CASCADE_CACHE" in row["advice"]


def test_the_cache_says_how_much_it_holds_and_nothing_stays_of_the_trial(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "piece").write_bytes(bytes(3 * 2**20))
    (row,) = named("cache of DANDI")
    assert "holds 3 MiB" in row["value"]
    assert [path.name for path in tmp_path.rglob("*")] == ["cache", "piece"]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this system has no folder in memory by that name")
def test_temporary_files_in_memory_are_told(monkeypatch):
    assert places.disk_kind(Path("/dev/shm/x")) == "tmpfs"
    monkeypatch.setattr(places.tempfile, "tempdir", "/dev/shm")
    found = named("temporary files")
    assert [row["verdict"] for row in found] == ["ok", "note"]
    assert "TMPDIR" in found[1]["advice"]


def test_no_key_password_or_home_is_shown(monkeypatch):
    monkeypatch.setenv("DANDI_API_KEY", "very-secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:very-secret@proxy:8080")
    monkeypatch.setenv("NWB_CASCADE_CACHE", str(Path.home() / "somewhere"))
    for text in (told(), told("--json")):
        assert "very-secret" not in text
        assert "http://...@proxy:8080" in text
        assert f"{Path.home()}{os.sep}" not in text
    assert named("DANDI_API_KEY")[0]["value"] == "set"
    assert shown(Path.home()) == "~"
    assert shown(f"{Path.home()}-of-another") == f"{Path.home()}-of-another"


def test_control_characters_in_settings_steer_no_terminal(monkeypatch):
    monkeypatch.setenv("DANDI_INSTANCE", "x\x1b[31m\ny")
    assert "\x1b" not in told()
    assert "x\\x1b[31m\\ny" in told()


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for the driver's command")
@pytest.mark.parametrize(
    ("script", "visible", "verdicts", "words"),
    [
        ("echo 'NVIDIA H200, 143771 MiB, 570.1'", "", ["ok", "note"], "hidden by CUDA_VISIBLE_DEVICES"),
        ("echo 'NVIDIA H200, 143771 MiB, 570.1'", "0", ["ok"], "NVIDIA H200, 143771 MiB, 570.1"),
        ("echo 'Driver/library version mismatch' >&2; exit 18", "0", ["note"], "Driver/library version mismatch"),
    ],
)
def test_gpus_are_those_of_the_driver(script, visible, verdicts, words, tmp_path, monkeypatch):
    command = tmp_path / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = named("GPU")
    assert [row["verdict"] for row in found] == verdicts
    assert words in found[-1]["value"]


def test_threads_that_are_limited_are_told(monkeypatch):
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    (row,) = named("threads")
    assert (row["verdict"], row["value"]) == ("note", "limited by OMP_NUM_THREADS=1")


def test_the_trials_measure_tensorflow_inference_and_a_file():
    found = {row.name: row for name in ("inference", "nwb") for row in trials.in_own_process(name)}
    assert set(found) == {"start", "devices", "inference", "NWB"}
    assert all(row.verdict != "problem" for row in found.values()), found
    assert "CPU:0" in found["devices"].value
    assert float(found["start"].value.removesuffix(" s")) > 0
    assert int(found["inference"].value.split()[0].replace(",", "")) > 0


def test_a_tensorflow_that_crashes_its_process_is_a_row(tmp_path, monkeypatch):
    broken = tmp_path / "path" / "tensorflow"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(str(broken.parent))
    (row,) = trials.in_own_process("inference")
    assert row.verdict == "problem"
    assert row.value.startswith("the process ended with status -6: Fatal Python error: Aborted")


def test_a_tensorflow_that_cannot_be_imported_is_a_row(tmp_path, monkeypatch):
    broken = tmp_path / "path" / "tensorflow"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libtensorflow.so: no such file')")
    monkeypatch.syspath_prepend(str(broken.parent))
    (row,) = trials.in_own_process("inference")
    assert (row.verdict, row.value) == ("problem", "ImportError: libtensorflow.so: no such file")


def test_a_trial_that_does_not_end_is_a_row(monkeypatch):
    monkeypatch.setitem(trials.LIMITS_S, "nwb", 0.01)
    (row,) = trials.in_own_process("nwb")
    assert (row.verdict, row.value) == ("problem", "did not end within 0.01 s")


def test_the_archive_is_asked(monkeypatch):
    monkeypatch.setenv("DANDI_NO_ET", "1")
    with DandiServer(Archive()) as server:
        monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
        (row,) = trials.in_own_process("archive")
        assert row.verdict == "ok"
        assert " answers in " in row.value
    (row,) = trials.in_own_process("archive")
    assert row.verdict == "note"
    assert "does not answer as a DANDI archive" in row.value


def test_full_adds_the_trials(monkeypatch):
    monkeypatch.setattr(examination, "LOOKS", ())
    monkeypatch.setattr(trials, "LIMITS_S", dict.fromkeys(trials.TRIALS, 0.01))
    found = json.loads(told("--json", "--full", status=1))["findings"]
    assert [row["name"] for row in found] == list(trials.TRIALS)


def test_what_was_found_before_a_failure_is_kept():
    def look():
        yield Finding("a", "b", "ok", "c")
        raise KeyError("d")

    assert [row.verdict for row in looked("a", "e", look)] == ["ok", "problem"]
