"""Keras' other backends: the same code trains both architectures there, and inference gives the same numbers."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from nwb_cascade import infer

SCRIPT = """
import json, sys
from pathlib import Path
import keras
import numpy as np
from nwb_cascade import infer
from nwb_cascade.core.kernels import gaussian_kernel
from nwb_cascade.training.bank import make_bank
from nwb_cascade.training.cascade_training import CASCADE_NETWORK, cascade_trainee
from nwb_cascade.architectures.conditional_sizes import ConditionalSizes
from nwb_cascade.training.conditional_training import conditional_trainee
from nwb_cascade.training.steps import TrainingSettings, train_network
from tests.support.simulated_recordings import simulated_recording

sizes = ConditionalSizes(widths=(4, 6), depths=(1, 1), condition=4, embedding=2, indicators=("GCaMP6f",))
settings = TrainingSettings(n_steps=8, batch_size=4, n_frames=128, warmup_steps=2, decay_steps=2, checkpoint_steps=2)
recordings = [simulated_recording("DS10", cell, seed=index) for index, cell in enumerate("ab")]
bank = make_bank(recordings, sizes.indicator_code, np.random.default_rng(0), versions=1)
makers = {
    "conditional": lambda: conditional_trainee(sizes),
    "cascade": lambda: cascade_trainee(CASCADE_NETWORK, 64, 32, gaussian_kernel(0.05, 30)),
}
losses = {
    name: [point["loss"] for point in train_network(make, bank, settings, Path(sys.argv[1]) / name).history]
    for name, make in makers.items()
}
dff = np.random.default_rng(0).normal(0, 0.1, (2, 300)).astype(np.float32)
spikes = infer(dff, 30.0, indicator="GCaMP6f").expected_spikes
print(json.dumps({"backend": keras.backend.backend(), "losses": losses, "spikes": spikes.tolist()}))
"""


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_another_backend_trains_both_architectures_and_infers_the_same(backend, tmp_path, pytestconfig):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(pytestconfig.rootpath)}
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["backend"] == backend
    for losses in found["losses"].values():
        assert np.isfinite(losses).all()
        assert len(set(losses)) > 1
    dff = np.random.default_rng(0).normal(0, 0.1, (2, 300)).astype(np.float32)
    assert np.array(found["spikes"]) == pytest.approx(infer(dff, 30.0, indicator="GCaMP6f").expected_spikes, abs=1e-5)
