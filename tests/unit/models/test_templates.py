"""Shapes that a configuration implies, and the comparison with what is there."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nwb_cascade.core.config import ModelConfig
from nwb_cascade.errors import ModelFileError
from nwb_cascade.models.templates import check_weights, n_time_steps, network_shapes, weight_shapes

NETWORK = {"filter_sizes": [31, 19, 5], "filter_numbers": [30, 40, 50], "dense_width": 10}


def config(**changes):
    values = {
        "name": "m",
        "version": "1",
        "architecture": "cascade",
        "model_rates_hz": (30.0, 30.0),
        "kernel": "gaussian",
        "smoothing_s": 0.05,
        "noise_levels": (2.0, 2.5),
        "ensemble_size": 2,
        "window_size": 64,
        "before_frames": 32,
        "network": NETWORK,
    }
    return ModelConfig(**(values | changes))


def weights_of(model_config):
    return {key: np.zeros(shape, np.float32) for key, shape in weight_shapes(model_config).items()}


def test_published_sizes_give_the_published_number_of_weights():
    assert sum(np.prod(shape) for shape in network_shapes(64, NETWORK).values()) == 34_381


@given(sizes=st.tuples(*[st.integers(1, 20)] * 3), window=st.integers(50, 130))
def test_time_steps_equal_those_of_a_walk_through_the_layers(sizes, window):
    assume(n_time_steps(window, sizes) > 0)
    trace = np.arange(window)
    for index, size in enumerate(sizes):
        trace = np.convolve(trace, np.ones(size), mode="valid")
        if index > 0:
            trace = trace[: len(trace) // 2 * 2 : 2]
    assert n_time_steps(window, sizes) == len(trace)


def test_every_level_and_member_has_its_arrays():
    keys = set(weight_shapes(config()))
    assert {"2/0/conv1/kernel", "2/1/output/bias", "2.5/0/dense/kernel", "2.5/1/conv3/bias"} <= keys
    assert len(keys) == 2 * 2 * 10


def test_matching_weights_pass():
    check_weights(config(), weights_of(config()), "here")


def test_a_missing_network_is_named():
    weights = {key: array for key, array in weights_of(config()).items() if not key.startswith("2.5/1/")}
    with pytest.raises(ModelFileError, match=r"40 arrays .* m\.file lacks 10, of the networks .* 2\.5/1"):
        check_weights(config(), weights, "m.file")


def test_both_shapes_are_in_the_message():
    weights = weights_of(config()) | {"2/0/dense/kernel": np.zeros((50, 30), np.float32)}
    with pytest.raises(ModelFileError, match=r"2/0/dense/kernel of shape \(50, 10\).*received \(50, 30\)"):
        check_weights(config(), weights, "here")


def test_surplus_arrays_are_refused():
    weights = weights_of(config()) | {"9/0/conv1/bias": np.zeros(30, np.float32)}
    with pytest.raises(ModelFileError, match=r"received 1 more in here: 9/0/conv1/bias"):
        check_weights(config(), weights, "here")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(bad):
    weights = weights_of(config())
    weights["2/0/output/bias"][0] = bad
    with pytest.raises(ModelFileError, match=r"finite weights.*2/0/output/bias"):
        check_weights(config(), weights, "here")


def test_other_number_types_are_refused():
    weights = weights_of(config()) | {"2/0/output/bias": np.zeros(1)}
    with pytest.raises(ModelFileError, match=r"2/0/output/bias as float32, received float64"):
        check_weights(config(), weights, "here")


def test_filters_longer_than_the_window_are_refused():
    with pytest.raises(ModelFileError, match=r"longer than its filters.*window_size 50"):
        network_shapes(50, NETWORK)


@pytest.mark.parametrize("sizes", [[31, 19], [31, 19, 0], "abc", None, [31, 19, 5.5]])
def test_filter_sizes_must_be_three_positive_integers(sizes):
    with pytest.raises(ModelFileError, match=r"filter_sizes of the network as 3 positive integer"):
        network_shapes(64, NETWORK | {"filter_sizes": sizes})


def test_an_architecture_without_template_is_checked_for_finite_float32_only():
    other = config(architecture="conditional", network={})
    assert weight_shapes(other) is None
    check_weights(other, {"anything": np.zeros(3, np.float32)}, "here")
    with pytest.raises(ModelFileError, match="received none in here"):
        check_weights(other, {}, "here")
