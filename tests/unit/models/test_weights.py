"""The comparison of a model's arrays with what its configuration implies."""

import numpy as np
import pytest

from nwb_cascade.errors import ModelFileError
from nwb_cascade.models.weights import check_weights
from tests.support.networks import cascade_config, zero_weights

CONFIG = cascade_config(noise_levels=(2.0, 2.5))


def test_matching_weights_pass():
    check_weights(CONFIG, zero_weights(CONFIG), "here")


def test_a_missing_network_is_named():
    weights = {key: array for key, array in zero_weights(CONFIG).items() if not key.startswith("2.5/1/")}
    with pytest.raises(ModelFileError, match=r"40 arrays .* m\.file lacks 10 of the networks 2\.5/1: 2\.5/1/conv1/"):
        check_weights(CONFIG, weights, "m.file")


def test_both_shapes_are_in_the_message():
    weights = zero_weights(CONFIG) | {"2/0/dense/kernel": np.zeros((3, 5), np.float32)}
    with pytest.raises(ModelFileError, match=r"2/0/dense/kernel of shape \(5, 3\).*received \(3, 5\) in here"):
        check_weights(CONFIG, weights, "here")


def test_surplus_arrays_are_refused():
    weights = zero_weights(CONFIG) | {"9/0/conv1/bias": np.zeros(30, np.float32)}
    with pytest.raises(ModelFileError, match=r"received 1 more in here: 9/0/conv1/bias\."):
        check_weights(CONFIG, weights, "here")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(bad):
    weights = zero_weights(CONFIG)
    weights["2/0/output/bias"][0] = bad
    with pytest.raises(ModelFileError, match=r"finite weights.*2/0/output/bias"):
        check_weights(CONFIG, weights, "here")


def test_other_number_types_are_refused():
    weights = zero_weights(CONFIG) | {"2/0/output/bias": np.zeros(1)}
    with pytest.raises(ModelFileError, match=r"2/0/output/bias as float32, received float64"):
        check_weights(CONFIG, weights, "here")


def test_a_conditional_model_is_compared_as_well():
    from nwb_cascade.architectures.conditional_sizes import ConditionalSizes

    sizes = ConditionalSizes(widths=(4,), depths=(1,), condition=4, embedding=2)
    config = cascade_config(architecture="conditional", network=sizes.to_network(), ensemble_size=1)
    weights = zero_weights(config)
    check_weights(config, weights, "here")
    del weights["0/output/kernel"]
    with pytest.raises(ModelFileError, match="here lacks 1 of the networks 0: 0/output/kernel"):
        check_weights(config, weights, "here")
