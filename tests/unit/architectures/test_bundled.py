"""The bundled conditional ensemble: it is there, small, records its making, and finds simulated spikes at any rate."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_cascade.architectures.registry import build_networks
from nwb_cascade.core.engine import infer_block
from nwb_cascade.core.kernels import gaussian_kernel, smooth
from nwb_cascade.core.resampling import bin_spikes, frame_grid, resample_trace
from nwb_cascade.core.scores import score
from nwb_cascade.models.library import load_model
from nwb_cascade.training.conditional_bundle import members_without
from tests.support.simulated_recordings import simulated_trial

NAME = "conditional-1-120Hz"
LARGEST_BYTES = 12e6


@pytest.fixture(scope="module")
def model():
    return load_model(NAME)


def test_it_fits_into_the_wheel(model):
    assert sum(array.nbytes for array in model.weights.values()) < LARGEST_BYTES


def test_its_record_says_what_each_network_was_trained_on(model):
    record = model.config.extra
    assert set(record["dataset_sha256"]) == set(model.config.training_datasets)
    assert len(record["members"]) == model.config.ensemble_size == 5
    assert members_without(model.config, dataset="DS10") == (0,)
    assert members_without(model.config, animal="479115") == (2,)


@pytest.mark.parametrize(("rate", "smoothing_s", "least"), [(30.0, 0.05, 0.8), (8.46, 0.2, 0.8), (60.0, 0.05, 0.8)])
def test_it_finds_simulated_spikes_at_the_rate_of_the_recording(model, rate, smoothing_s, least):
    trial = simulated_trial(3, rate=120.0, seconds=120.0, spike_rate=0.5, noise=0.1)
    frame_times = frame_grid(0.0, 119.0, rate)
    dff = resample_trace(trial.dff, trial.times, frame_times, rate)
    kernel = gaussian_kernel(smoothing_s, rate)
    truth = smooth(bin_spikes(trial.spike_times, frame_times, rate), kernel=kernel)
    networks = build_networks(model.config, model.weights, imaging_rate=rate, indicator="GCaMP6f")
    found = smooth(infer_block(dff[None], rate, networks).expected_spikes, kernel=kernel)[0]
    assert np.isfinite(found).all()
    assert score(found, truth, rate).correlation > least
