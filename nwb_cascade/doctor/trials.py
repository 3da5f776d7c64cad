"""What takes seconds, tried in a process of its own that may crash: TensorFlow's start, an inference, the archive.

``python -m nwb_cascade.doctor.trials NAME`` prints the findings of one trial as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from nwb_cascade.doctor.finding import Finding, looked

PART = "speed"
LIMITS_S = {"inference": 280.0, "nwb": 120.0, "archive": 60.0}
ANSWER_S = 10.0
SLOW_START_S = 20.0
N_ROIS, N_FRAMES, RATE_HZ = 16, 6000, 30.0
SLOW_FRAMES_PER_S = 100_000.0  # a core of 2020 makes 400,000 with the bundled ensemble


def in_own_process(name: str) -> Iterator[Finding]:
    """Yield the findings of one trial; a crash or an endless wait is one of them."""
    command = [sys.executable, "-m", "nwb_cascade.doctor.trials", name]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMITS_S[name], env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        yield Finding(PART, name, "problem", f"did not end within {LIMITS_S[name]:g} s")
        return
    try:
        rows = json.loads(run.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        told = " ".join(run.stderr.split()[:40]) or "without a word"
        yield Finding(PART, name, "problem", f"the process ended with status {run.returncode}: {told}")
        return
    yield from (Finding(**row) for row in rows)


def inference() -> Iterator[Finding]:
    """How long TensorFlow takes to start, on which devices it computes, and how fast."""
    started = time.perf_counter()
    from nwb_cascade.architectures.backend import devices

    names = devices()
    seconds = time.perf_counter() - started
    advice = "on network drives Python starts slowly: install it on a disk of this machine"
    is_slow = seconds > SLOW_START_S
    yield Finding(PART, "start", "note" if is_slow else "ok", f"{seconds:.1f} s", advice if is_slow else "")
    yield Finding(PART, "devices", "ok", ", ".join(names))
    import numpy as np

    from nwb_cascade.inference import infer

    dff = np.random.default_rng(0).normal(0, 0.1, (N_ROIS, N_FRAMES)).astype(np.float32)
    times = []
    for _ in range(2):
        started = time.perf_counter()
        infer(dff, RATE_HZ)
        times.append(time.perf_counter() - started)
    per_s = dff.size / times[1]
    is_slow = per_s < SLOW_FRAMES_PER_S
    words = f"{per_s:,.0f} frames of one ROI per s ({N_ROIS} ROIs x {N_FRAMES} frames); first time {times[0]:.1f} s"
    advice = "see 'processors' and 'threads' above; other programs may be running" if is_slow else ""
    yield Finding(PART, "inference", "note" if is_slow else "ok", words, advice)


def nwb() -> Iterator[Finding]:
    """How long pynwb takes to start, and whether a file can be written and read."""
    started = time.perf_counter()
    from pynwb import NWBHDF5IO
    from pynwb.testing.mock.file import mock_NWBFile

    seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial.nwb"
        with NWBHDF5IO(path, "w") as io:
            io.write(mock_NWBFile())
        with NWBHDF5IO(path, "r") as io:
            io.read()
    yield Finding(PART, "NWB", "ok", f"pynwb starts in {seconds:.1f} s; a file was written and read")


def archive() -> Iterator[Finding]:
    """Whether the DANDI archive answers; dandi's client, if it does not, goes on with the addresses that it knows."""
    import logging

    import requests

    from nwb_cascade.dandi.urls import find_instance

    name = os.environ.get("DANDI_INSTANCE") or "dandi"
    logging.disable()  # what is logged here is the row, too
    started = time.perf_counter()
    try:
        instance = find_instance(name)
        requests.get(f"{instance.api.rstrip('/')}/info/", timeout=ANSWER_S).raise_for_status()
    except Exception as error:  # whatever the network raises: work on files on disk goes on without
        told = " ".join(str(error).split())
        yield Finding(PART, "archive", "note", told, "needed for dandi:// addresses only; see HTTPS_PROXY")
        return
    yield Finding(PART, "archive", "ok", f"{instance.name} answers in {time.perf_counter() - started:.1f} s")


TRIALS: dict[str, Callable[[], Iterator[Finding]]] = {"inference": inference, "nwb": nwb, "archive": archive}


if __name__ == "__main__":
    found = [asdict(each) for each in looked(PART, sys.argv[1], TRIALS[sys.argv[1]])]
    sys.stdout.write(f"\n{json.dumps(found)}\n")
