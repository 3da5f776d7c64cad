"""A process that infers says nothing on standard error but its own words, and still what really went wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nwb_cascade.archive.cluster import local_cluster
from tests.support.recordings import dff_recording

ROOT = Path(__file__).parents[2]
NOTE = "I0000 00:00:1.5 7 port.cc:153] oneDNN custom operations are on."
ERROR = "E0000 00:00:1.5 7 gpu.cc:9] the driver is older than this library"
INFER = "import numpy as np, nwb_cascade; nwb_cascade.infer(np.random.default_rng(0).normal(0, 0.1, (2, 300)), 30.0)"
COMMAND = "import sys; from nwb_cascade.cli import main; main(sys.argv[1:])"
QUIETLY = """
import os
from nwb_cascade.architectures.start_up import without_notes
with without_notes():
    os.write(2, b"{note}\\n{error}\\n")
    {ending}
"""
FAILING = """
import os
os.write(2, b"{note}\\n")
raise ImportError("libtensorflow.so: no such file")
"""


def fresh(code: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new process whose environment asks for no silence."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("TF_", "PYTHONFAULT"))}
    path = os.pathsep.join([environment.pop("PYTHONPATH", ""), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**inherited, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def without_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TF_")]:
        monkeypatch.delenv(name)


def test_the_command_says_nothing_but_its_result(tmp_path: Path) -> None:
    run = fresh(COMMAND, "infer", dff_recording(tmp_path / "one.nwb"))
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("Wrote ")
    assert run.stderr == ""


def test_python_says_nothing_and_shows_the_notes_to_who_asks() -> None:
    assert fresh(INFER).stderr == ""
    assert "oneDNN" in fresh(INFER, TF_CPP_MIN_LOG_LEVEL="0").stderr


def test_keras_is_whole_after_an_inference_that_did_without_it() -> None:
    after = "import gc, sys; assert gc.isenabled() and 'keras' not in sys.modules"
    whole = "import tensorflow as tf; from tensorflow.keras import layers; tf.keras.optimizers.Adam(); layers.Dense(1)"
    run = fresh(f"{INFER}; {after}; {whole}")
    assert run.returncode == 0, run.stderr


def test_workers_say_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_silence(monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    logs = tmp_path / "logs"
    with local_cluster(1, logs=logs) as client:
        client.submit(exec, INFER).result()
    told = "".join(path.read_text() for path in logs.iterdir())
    assert "oneDNN" not in told
    assert "cuda" not in told.lower()


@pytest.mark.parametrize(
    ("ending", "shown"),
    [
        ("pass", [ERROR]),
        ("os.write(2, b'half a line')", [ERROR, "half a line"]),
        ("raise ImportError('no library')", [NOTE, ERROR, "ImportError: no library"]),
        ("os.abort()", ["Fatal Python error: Aborted"]),
    ],
)
def test_what_goes_wrong_while_tensorflow_starts_is_shown(ending: str, shown: list[str]) -> None:
    run = fresh(QUIETLY.format(note=NOTE, error=ERROR, ending=ending))
    for line in shown:
        assert line in run.stderr
    assert (NOTE in run.stderr) == (NOTE in shown)


def test_a_tensorflow_that_does_not_start_is_shown_with_all_that_it_said(tmp_path: Path) -> None:
    broken = tmp_path / "path" / "tensorflow"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(FAILING.format(note=NOTE))
    run = fresh(COMMAND, "infer", dff_recording(tmp_path / "one.nwb"), PYTHONPATH=str(broken.parent))
    assert run.returncode == 1
    assert NOTE in run.stderr
    assert "libtensorflow.so: no such file" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_dry_run_and_a_result_that_is_there_need_no_tensorflow(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "one.nwb")
    probe = f"{COMMAND.replace('main(sys.argv[1:])', 'main(sys.argv[1:], standalone_mode=False)')}\n" + (
        "print('loaded', [m for m in ('tensorflow', 'keras', 'scipy.stats', 'matplotlib') if m in sys.modules])"
    )
    assert fresh(probe, "infer", path, "--dry-run").stdout.endswith("loaded []\n")
    assert fresh(COMMAND, "infer", path).returncode == 0
    again = fresh(probe, "infer", path).stdout
    assert again.startswith("Already in ")
    assert again.endswith("loaded []\n")


def test_a_dry_run_on_a_file_without_our_types_does_without_them(tmp_path: Path) -> None:
    # Written by a process that has no extension loaded: pynwb would store the types of one with the file.
    recording = tmp_path / "one.nwb"
    write = "import sys; from pathlib import Path; from tests.support.recordings import dff_recording"
    assert fresh(f"{write}; dff_recording(Path(sys.argv[1]))", recording).returncode == 0
    told = f"{COMMAND[: COMMAND.rindex('main(')]}main(sys.argv[1:], standalone_mode=False)"
    run = fresh(f"{told}\nprint('ndx_spike_inference' in sys.modules)", "infer", "--dry-run", recording)
    assert run.stdout.splitlines()[-1] == "False", run.stderr


def test_a_command_leaves_the_process_of_another_program_as_it_was() -> None:
    code = (
        "import gc, sys, pynwb; state = lambda: (gc.isenabled(), gc.get_freeze_count(), 'zarr' in sys.modules); "
        "before = state(); from nwb_cascade.cli.start import load_readers; load_readers(); print(before == state())"
    )
    assert fresh(code).stdout.split() == ["True"]


def test_what_reads_recordings_is_loaded_with_the_collection_of_garbage_as_it_was() -> None:
    code = (
        "import gc, sys; from nwb_cascade.cli.start import load_readers; load_readers(); "
        "is_hidden = sys.modules.get('zarr', 0) is None; "
        "print(gc.isenabled(), gc.get_freeze_count() > 0, not is_hidden, 'pynwb' in sys.modules)"
    )
    assert fresh(code).stdout.split() == ["True"] * 4
