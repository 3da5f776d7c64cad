"""The dense evaluation gives the network's own numbers, for any sizes of its layers."""

import numpy as np
import pytest

from nwb_cascade.architectures import cascade
from nwb_cascade.architectures.cascade import cascade_networks, fold_kernel
from nwb_cascade.core.engine import infer_block
from tests.support.networks import cascade_config, cascade_weights, windowed_cascade

SIZES = [
    {},
    {"window_size": 25, "before_frames": 6},
    {"window_size": 31, "before_frames": 30},
    {"network": {"filter_sizes": [5, 3, 2], "filter_numbers": [3, 4, 7], "dense_width": 1}},
    {"network": {"filter_sizes": [8, 6, 4], "filter_numbers": [2, 3, 2], "dense_width": 4}, "window_size": 40},
]


@pytest.mark.parametrize("changes", SIZES)
def test_dense_evaluation_equals_one_window_per_frame(changes):
    config = cascade_config(**changes)
    weights = cascade_weights(config)
    traces = np.random.default_rng(1).normal(size=(2, 90)).astype(np.float32)
    ensemble = cascade_networks(config, weights).ensemble(4.0)
    dense = ensemble(traces, np.ones(traces.shape, bool), *np.ones((2, 2), np.float32))
    for member in range(config.ensemble_size):
        for row, trace in enumerate(traces):
            expected = windowed_cascade(config, weights, 4.0, member, trace)
            np.testing.assert_allclose(dense[member, row], expected, atol=2e-6)


@pytest.mark.parametrize("n_frames", range(64, 90, 5))
def test_every_length_of_row_is_served_whole(n_frames):
    config = cascade_config()
    ensemble = cascade_networks(config, cascade_weights(config)).ensemble(2.0)
    dense = ensemble(np.zeros((1, n_frames), np.float32), np.ones((1, n_frames), bool), *np.ones((2, 1), np.float32))
    assert dense.shape == (config.ensemble_size, 1, n_frames - config.window_size + 1)


@pytest.mark.parametrize(("width", "fold"), [(31, 8), (19, 2), (1, 4), (5, 3)])
def test_folded_kernel_convolves_alike(width, fold):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(width, 2, 3)).astype(np.float32)
    signal = rng.normal(size=(12 * fold, 2))
    windows = np.lib.stride_tricks.sliding_window_view(signal, width, axis=0)
    plain = np.einsum("tik,kio->to", windows, kernel)
    folded = fold_kernel(kernel, fold)
    views = np.lib.stride_tricks.sliding_window_view(signal.reshape(12, -1), folded.shape[0], axis=0)
    result = np.einsum("tik,kio->to", views, folded).reshape(-1, 3)
    np.testing.assert_allclose(result, plain[: len(result)], atol=1e-5)


def test_noise_levels_and_recordings_of_any_length_share_one_compilation(monkeypatch):
    compiled = []
    network = cascade.network
    monkeypatch.setattr(cascade, "network", lambda *arrays: compiled.append(arrays) or network(*arrays))
    # Sizes that no other test has, so that nothing is compiled yet.
    config = cascade_config(noise_levels=(2.0, 4.0, 6.0), network={**cascade_config().network, "dense_width": 2})
    networks = cascade_networks(config, cascade_weights(config))
    rng = np.random.default_rng(0)
    for n_frames in (60, 700, 3000):
        scales = np.array([[0.05], [0.2], [0.5]])
        infer_block((scales * rng.normal(size=(3, n_frames))).astype(np.float32), 30.0, networks)
    assert len(compiled) == config.ensemble_size
