"""Training the published network in dense form: its weights serve the evaluation of published models unchanged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nwb_cascade.architectures.registry import build_networks
from nwb_cascade.core.engine import infer_block
from nwb_cascade.core.kernels import gaussian_kernel
from nwb_cascade.training.bank import make_bank
from nwb_cascade.training.cascade_training import (
    CASCADE_NETWORK,
    bundle_arrays,
    cascade_config,
    cascade_trainee,
    quiet_enough,
)
from nwb_cascade.training.plans import run_plan
from nwb_cascade.training.steps import TrainingSettings, network_weights
from nwb_cascade.training.training_plan import TrainingPlan, on_one_clock
from tests.support.simulated_recordings import simulated_recording

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SETTINGS = TrainingSettings(n_steps=2, batch_size=2, n_frames=160, decay_steps=1, warmup_steps=1)


@pytest.fixture(scope="module")
def recordings():
    return [simulated_recording("DS10", "a", seconds=20.0), simulated_recording("DS11", "b", seed=1, seconds=20.0)]


@pytest.mark.parametrize("window_size", [64, 65])
def test_the_trained_form_gives_what_the_evaluated_form_gives(window_size):
    before = 32
    model = cascade_trainee(CASCADE_NETWORK, window_size, before, gaussian_kernel(0.05, 30)).model
    trace = np.random.default_rng(0).standard_normal((1, 300)).astype(np.float32)
    trained = np.asarray(model({"trace": trace}))
    plan = TrainingPlan("one", "cascade", imaging_rate=30.0, noise_levels=(2,), ensemble_size=1)
    config = replace(cascade_config(plan, []), window_size=window_size, before_frames=before)
    weights = {f"2/0/{key}": value for key, value in bundle_arrays(network_weights(model)).items()}
    networks = build_networks(config, weights, imaging_rate=30.0, indicator=None)
    evaluated = infer_block(trace, 30.0, networks).expected_spikes[0]
    given = np.isfinite(evaluated)
    assert np.flatnonzero(given)[0] == before
    assert trained.shape == (1, 300 - window_size + 1)
    assert evaluated[given] == pytest.approx(trained[0], abs=1e-5)


def test_a_family_has_networks_for_every_noise_level_and_says_what_it_was_trained_on(recordings, tmp_path):
    plan = TrainingPlan(
        "tiny", "cascade", imaging_rate=30.0, noise_levels=(3, 5), ensemble_size=1, versions=1, settings=SETTINGS
    )
    config, weights = run_plan(plan, recordings, tmp_path)
    assert config.noise_levels == (3.0, 5.0)
    assert {key.split("/")[0] for key in weights} == {"3", "5"}
    assert config.training_datasets == ("DS10", "DS11")
    assert set(config.extra["dataset_sha256"]) == {"DS10", "DS11"}
    networks = build_networks(config, weights, imaging_rate=30.0, indicator=None)
    dff = recordings[0].trials[0].dff[None, ::2]
    assert np.isfinite(infer_block(dff, 30.0, networks).expected_spikes).any()


def test_later_noise_levels_start_from_the_level_before(recordings, tmp_path):
    plan = TrainingPlan(
        "tiny", "cascade", imaging_rate=30.0, noise_levels=(3, 5), ensemble_size=1, versions=1, later_steps=1
    )
    # A learning rate of 0 leaves the weights where they begin.
    settings = replace(SETTINGS, learning_rate=0.0, average_momentum=0.0)
    _, weights = run_plan(replace(plan, settings=settings), recordings, tmp_path / "chained")
    assert all(np.array_equal(weights[f"5/0/{key[4:]}"], weights[key]) for key in weights if key.startswith("3/"))
    _, alone = run_plan(replace(plan, settings=settings, later_steps=None, seeds=(7,)), recordings, tmp_path / "alone")
    assert not np.array_equal(alone["3/0/conv1/kernel"], weights["3/0/conv1/kernel"])


def test_the_spikes_of_a_dataset_with_a_late_clock_are_moved_for_training(recordings):
    moved = on_one_clock(recordings, {"DS11": 0.08})
    assert moved[0] is recordings[0]
    assert moved[1].trials[0].spike_times == pytest.approx(recordings[1].trials[0].spike_times + 0.08)


def test_recordings_noisier_than_the_level_are_left_out():
    quiet, noisy = simulated_recording("DS10", "a", noise=0.01), simulated_recording("DS11", "b", noise=1.0)
    bank = make_bank([quiet, noisy], lambda name: 0, np.random.default_rng(0), versions=2)
    assert quiet_enough(bank, 5.0).datasets == ("DS10",)
    with pytest.raises(ValueError, match="quiet enough"):
        quiet_enough(bank, 0.01)
