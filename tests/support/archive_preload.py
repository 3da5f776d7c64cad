"""Loaded by the dask workers of tests: inference is arithmetic, and a worker dies where a test wants it.

``DASK_DISTRIBUTED__WORKER__PRELOAD=tests.support.archive_preload`` loads it. If ``NWB_CASCADE_TEST_KILLS`` names a
folder, a worker that is about to infer takes a file from there and is gone.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import nwb_cascade.annotation.annotate
from nwb_cascade.inference_run import InferenceRun
from nwb_cascade.options import InferenceOptions
from tests.support.fake_runs import fake_run


def mortal_run(imaging_rate: float, options: InferenceOptions) -> InferenceRun:
    """As `fake_run`, if there is no kill left."""
    for kill in Path(os.environ.get("NWB_CASCADE_TEST_KILLS", "/nonexistent")).glob("*"):
        kill.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return fake_run(imaging_rate, options)


def dask_setup(worker: Any) -> None:
    """Called by dask in the worker only: a test that imports this module keeps its networks."""
    nwb_cascade.annotation.annotate.prepare_run = mortal_run  # type: ignore[attr-defined]
