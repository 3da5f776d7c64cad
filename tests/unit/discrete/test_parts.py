"""The parts of the spike search: shapes, moves and the sharing out of whole spikes."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nwb_cascade.core.kernels import causal_kernel, gaussian_kernel
from nwb_cascade.discrete.moves import rearrangements, simple_moves
from nwb_cascade.discrete.segments import cut, share_out
from nwb_cascade.discrete.shape import SpikeShape

SHAPES = {
    "narrow": SpikeShape.from_kernel(gaussian_kernel(0.025, 30.0)),
    "wide": SpikeShape.from_kernel(gaussian_kernel(0.2, 30.0)),
    "causal": SpikeShape.from_kernel(causal_kernel(0.05, 30.0)),
    "none": SpikeShape.from_kernel([1.0]),
}


@pytest.mark.parametrize("name", list(SHAPES))
def test_filters_agree_with_plain_convolution(name):
    shape = SHAPES[name]
    values = np.random.default_rng(0).poisson(0.2, 500).astype(np.float32)
    reach = shape.half_width
    weights = shape.weights.astype(float)

    def centred(kernel):
        return np.convolve(values, kernel)[kernel.size // 2 :][: values.size]

    assert shape.weights.sum() == pytest.approx(1.0)
    assert shape.overlap.size == 2 * reach + 1
    np.testing.assert_allclose(shape.smooth(values), centred(weights), atol=1e-6)
    np.testing.assert_allclose(shape.match(values), centred(weights[::-1]), atol=1e-6)
    np.testing.assert_allclose(shape.interact(values), centred(np.convolve(weights, weights[::-1])), atol=1e-6)


def test_the_slope_of_a_gaussian_is_its_derivative():
    shape = SHAPES["wide"]
    lags = np.arange(shape.weights.size) - shape.half_width
    np.testing.assert_allclose(shape.derivative, -lags / 6.0**2 * shape.weights, atol=1e-5)


def test_a_causal_shape_knows_its_delay():
    kernel = causal_kernel(0.2, 30.0)
    shape = SpikeShape.from_kernel(kernel)
    delay = kernel @ np.arange(kernel.size) - kernel.size // 2
    assert shape.lag == round(delay) > 0


@pytest.mark.parametrize("keep_count", [True, False])
@pytest.mark.parametrize("name", list(SHAPES))
def test_moves_know_how_much_they_change_the_smoothed_train(name, keep_count):
    shape = SHAPES[name]
    for move in (*simple_moves(shape, keep_count=keep_count), *rearrangements(shape, keep_count=keep_count)):
        change = np.zeros(move.span + 1)
        change[[offset for offset, _ in move.steps]] = [count for _, count in move.steps]
        assert abs(change.sum()) <= (0 if keep_count else 1)
        energy = np.sum(np.convolve(change, shape.weights.astype(float)) ** 2)
        assert move.energy == pytest.approx(energy, abs=1e-5)


@pytest.mark.parametrize("name", list(SHAPES))
def test_spikes_cannot_pass_frames_that_a_move_does_not_name(name):
    for move in (*simple_moves(SHAPES[name], keep_count=True), *rearrangements(SHAPES[name], keep_count=True)):
        named = dict(move.steps)
        balance = np.cumsum([named.get(offset, 0) for offset in range(move.span + 1)])
        assert all(balance[offset] == 0 for offset in range(move.span + 1) if offset not in named)


@given(masses=st.lists(st.floats(0, 3), min_size=1, max_size=5))
def test_spikes_are_shared_out_as_close_to_the_masses_as_whole_numbers_can_be(masses):
    mass = np.array(masses)
    assume(abs(mass.sum() % 1 - 0.5) > 1e-6)
    counts = share_out(mass, np.zeros(mass.size, int), 1)
    total = round(mass.sum())
    best = min(
        np.sum((np.array(other) - mass) ** 2)
        for other in itertools.product(range(5), repeat=mass.size)
        if sum(other) == total
    )
    assert counts.sum() == total
    assert np.sum((counts - mass) ** 2) == pytest.approx(best)


def test_traces_are_cut_where_the_rates_cross_the_floor_and_where_a_trace_ends():
    segments = cut(np.array([0, 2, 2, 0, 3, 3, 0, 1], np.float32), 4, 1.5)
    assert segments.start.tolist() == [0, 1, 3, 4, 6]
    assert segments.stop.tolist() == [1, 3, 4, 6, 8]
    assert segments.row.tolist() == [0, 0, 0, 1, 1]
    assert segments.is_event.tolist() == [False, True, False, True, False]
    assert segments.mass.tolist() == [0, 4, 0, 6, 1]
