"""What every architecture tells of its models: shapes of all arrays, networks that are built late, facts."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nwb_cascade.architectures.cascade import cascade_shapes, n_time_steps, network_shapes
from nwb_cascade.architectures.registry import ARCHITECTURES, architecture_of
from nwb_cascade.errors import ModelFileError
from nwb_cascade.models.library import load_model
from tests.support.fresh_process import run_fresh
from tests.support.networks import cascade_config

NETWORK = {"filter_sizes": [31, 19, 5], "filter_numbers": [30, 40, 50], "dense_width": 10}
BUNDLED = {"cascade": "cascade-30Hz-25ms", "conditional": "conditional-1-120Hz", "online": "online-1-120Hz"}


def test_the_registry_needs_no_keras():
    run_fresh(
        "import sys\n"
        "from nwb_cascade.architectures.registry import ARCHITECTURES\n"
        "assert ARCHITECTURES and not {'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules)\n"
    )


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_bundled_model_of_an_architecture_has_the_arrays_that_it_states(name):
    model = load_model(BUNDLED[name])
    stated = architecture_of(model.config).shapes(model.config)
    assert stated == {key: array.shape for key, array in model.weights.items()}


def test_an_architecture_of_a_later_version_is_named_with_those_that_are_known():
    with pytest.raises(
        ModelFileError, match="out of cascade, conditional, online of the model 'tiny', received 'transformer'"
    ):
        architecture_of(cascade_config(architecture="transformer"))


def test_only_networks_for_single_noise_levels_serve_quieter_recordings():
    levels = {name: one.lowest_noise_level(cascade_config()) for name, one in ARCHITECTURES.items()}
    assert levels == {"cascade": 0.0, "conditional": 2.0, "online": 2.0}


@pytest.mark.parametrize(
    ("name", "told"), [("cascade", "jGCaMP7f"), ("conditional", "near GCaMP6f"), ("online", "near GCaMP6f")]
)
def test_what_a_recording_states_becomes_what_the_networks_are_told(name, told):
    config = cascade_config(indicators=("GCaMP6f",))
    assert ARCHITECTURES[name].told("AAV-jGCaMP7f", config, None).indicator == told


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
    keys = set(cascade_shapes(cascade_config(noise_levels=(2.0, 2.5))))
    assert {"2/0/conv1/kernel", "2/1/output/bias", "2.5/0/dense/kernel", "2.5/1/conv3/bias"} <= keys
    assert len(keys) == 2 * 2 * 10


def test_filters_longer_than_the_window_are_refused():
    with pytest.raises(ModelFileError, match=r"longer than its filters.*window_size 50"):
        network_shapes(50, NETWORK)


@pytest.mark.parametrize("sizes", [[31, 19], [31, 19, 0], "abc", None, [31, 19, 5.5]])
def test_filter_sizes_must_be_three_positive_integers(sizes):
    with pytest.raises(ModelFileError, match=r"filter_sizes of the network as 3 whole numbers"):
        network_shapes(64, NETWORK | {"filter_sizes": sizes})
