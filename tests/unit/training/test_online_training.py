"""The online network learns, and its record says what it was trained with."""

import pytest

from nwb_cascade.architectures.registry import architecture_of
from nwb_cascade.models.bundle import make_model
from nwb_cascade.online.inference import OnlineInference
from nwb_cascade.training.plans import run_plan
from nwb_cascade.training.steps import TrainingSettings
from nwb_cascade.training.training_plan import TrainingPlan
from tests.support.simulated_recordings import simulated_recording

# Keras 3.11 and before on NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
SIZES = {
    "channels": 6,
    "dilations": [1, 2],
    "hidden": 6,
    "delays": [0, 2],
    "whole_delay": 2,
    "condition": 6,
    "embedding": 2,
}


def test_a_plan_trains_an_online_model_that_runs(tmp_path):
    recordings = [simulated_recording("DS10", cell, seed=index) for index, cell in enumerate("ab")]
    settings = TrainingSettings(
        n_steps=30, batch_size=6, n_frames=128, learning_rate=1e-2, warmup_steps=2, decay_steps=5, checkpoint_steps=10
    )
    plan = TrainingPlan(
        name="small", architecture="online", ensemble_size=1, versions=2, network=SIZES, settings=settings
    )
    losses = []
    config, weights = run_plan(plan, recordings, tmp_path, progress=lambda *state: losses.append(state[-1]["loss"]))
    assert losses[-1] < 0.9 * losses[0]
    assert architecture_of(config).name == "online"
    assert config.extra["running_rest_level"] == {"average_s": 0.3, "down_s": 1.5, "up_s": 45.0}
    online = OnlineInference(1, 30.0, model=make_model(config, weights), look_ahead_s=2 / 30)
    for _ in range(5):
        expected = online.push([0.1])
    assert expected[0] > 0
