"""Annotate recordings in tests: with the fake ensemble, here or in another process; and compare files."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).parents[2]
CHANGED_BY_APPENDING = ("nwb_version", ".specloc")  # attributes that pynwb renews whenever it writes
SERVER = """
import json, os, signal, sys
from pathlib import Path
import nwb_cascade.annotation.annotate
import nwb_cascade.writers.nwb
from tests.support.fake_runs import fake_run
nwb_cascade.annotation.annotate.prepare_run = fake_run
annotate = nwb_cascade.annotation.annotate.annotate

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:
    code, log = json.loads(line)
    child = os.fork()
    if not child:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
        os.dup2(1, 2)
        exec(code)
        sys.stdout.flush()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Sandbox:
    """A process with everything imported that runs code in children of its own, which may be killed.

    In them `annotate` uses the fake ensemble and `die` kills the child. Forking where no thread has been started
    saves the seconds that imports take.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SERVER],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, log: Path) -> tuple[int, str]:
        """Run code in a child; returns its exit code, negative for a signal, and what it printed into the log."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([textwrap.dedent(code), str(log)]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline()), log.read_text()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def contents(path: Path) -> dict[str, str]:
    """Hash of every dataset and attribute of an HDF5 file by path, without the cached schemas."""
    found: dict[str, str] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if name.startswith("specifications"):
            return
        for key, value in item.attrs.items():
            if key not in CHANGED_BY_APPENDING:
                found[f"{name}@{key}"] = _text(item, value)
        if isinstance(item, h5py.Dataset):
            found[name] = _text(item, item[()])

    with h5py.File(path) as file:
        visit("", file)
        file.visititems(visit)
    return found


def hidden_files(folder: Path) -> list[str]:
    """Names of hidden files in a folder: what an unfinished run leaves behind."""
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


def _text(item: h5py.Group | h5py.Dataset, value: object) -> str:
    """A hash of a value; references are followed to the name of what they mean."""
    array = np.asarray(value)
    if array.dtype.kind == "O":
        values = [item.file[v].name if isinstance(v, h5py.Reference) else v for v in array.reshape(-1)]
        return hashlib.sha256(repr(values).encode()).hexdigest()
    return hashlib.sha256(array.tobytes() + str((array.dtype, array.shape)).encode()).hexdigest()
