"""The conditional network: missing frames, edges, blocks, conditions, damaged weights."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_cascade.architectures.conditional_sizes import ConditionalSizes
from nwb_cascade.architectures.registry import build_networks
from nwb_cascade.architectures.told_sizes import CODES
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import infer_block
from nwb_cascade.core.rest_level import from_rest, tell_block
from nwb_cascade.errors import ModelFileError

SIZES = ConditionalSizes(widths=(4, 6, 8), depths=(1, 2, 1), condition=8, embedding=4, indicators=("GCaMP6f", "OGB-1"))


def random_weights(sizes: ConditionalSizes, n_members: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        f"{member}/{path}": (0.2 * generator.standard_normal(shape)).astype(np.float32)
        for member in range(n_members)
        for path, shape in sizes.shapes().items()
    }


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return random_weights(SIZES, 2)


@pytest.fixture(scope="module")
def config() -> ModelConfig:
    return ModelConfig(
        name="test",
        version="1",
        architecture="conditional",
        model_rates_hz=(1.0, 120.0),
        kernel="gaussian",
        smoothing_s=0.05,
        noise_levels=(0.5, 30.0),
        ensemble_size=2,
        window_size=2 * SIZES.halo + 1,
        before_frames=SIZES.halo,
        network=SIZES.to_network(),
        indicators=SIZES.indicators,
    )


def evaluate(config, weights, trace, present=None, *, rate=30.0, indicator="GCaMP6f", noise=4.0, activity=0.5):
    """Unsmoothed (members, frames) for one whole trace."""
    ensemble = build_networks(config, weights, imaging_rate=rate, indicator=indicator).ensemble(noise)
    present = np.ones(trace.shape, bool) if present is None else present
    halo = ensemble.before
    rows, there = (np.pad(a, (halo, halo))[None] for a in (trace, present))
    return ensemble(rows.astype(np.float32), there, *np.array([[noise], [activity]], np.float32))[:, 0]


def test_every_frame_gets_a_value_up_to_the_ends(config, weights):
    trace = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    values = evaluate(config, weights, trace)
    assert values.shape == (2, 100)
    assert np.isfinite(values).all()
    assert (values > 0).all()


def test_blocks_reassemble_to_the_whole_trace(config, weights):
    trace = np.random.default_rng(1).standard_normal(9000).astype(np.float32)
    whole = evaluate(config, weights, trace, noise=float("nan")).mean(axis=0)
    networks = build_networks(config, weights, imaging_rate=30.0, indicator="GCaMP6f")
    blocks = infer_block(trace[None], 30.0, networks)
    told = tell_block(trace[None], 30.0)
    rest = told.rest(0, trace.size)
    how = {"noise": float(told.noise_level[0] / (1 + rest.mean())), "activity": float(told.activity[0])}
    expected = evaluate(config, weights, from_rest(trace, rest), **how).mean(axis=0)
    assert blocks.expected_spikes[0] == pytest.approx(expected, rel=1e-4)
    assert not np.allclose(whole, expected, atol=1e-3)


def test_an_output_frame_does_not_depend_on_frames_beyond_the_halo(config, weights):
    trace = np.random.default_rng(2).standard_normal(512).astype(np.float32)
    changed = trace.copy()
    changed[256] += 5
    difference = np.abs(evaluate(config, weights, changed) - evaluate(config, weights, trace)).max(axis=0)
    reached = np.flatnonzero(difference > 1e-7)
    assert reached.min() >= 256 - SIZES.halo
    assert reached.max() <= 256 + SIZES.halo


def test_values_in_missing_frames_do_not_matter_and_yield_nothing(config, weights):
    trace = np.random.default_rng(3).standard_normal(256).astype(np.float32)
    present = np.ones(256, bool)
    present[100:140] = False
    filled = trace.copy()
    filled[100:140] = 1e3
    one, other = (evaluate(config, weights, x, present) for x in (trace, filled))
    assert one == pytest.approx(other)
    assert (one[:, 100:140] == 0).all()


def test_frames_beyond_the_end_are_the_same_as_missing_ones(config, weights):
    trace = np.random.default_rng(4).standard_normal(200).astype(np.float32)
    longer = np.concatenate([trace, np.full(120, 7, np.float32)])
    present = np.arange(320) < 200
    assert evaluate(config, weights, longer, present)[:, :200] == pytest.approx(evaluate(config, weights, trace))


@pytest.mark.parametrize(
    "change", [{"rate": 7.5}, {"indicator": "OGB-1"}, {"indicator": None}, {"noise": 9.0}, {"activity": -1.0}]
)
def test_rate_indicator_noise_level_and_activity_each_change_the_result(config, weights, change):
    trace = np.random.default_rng(5).standard_normal(128).astype(np.float32)
    assert not np.allclose(evaluate(config, weights, trace), evaluate(config, weights, trace, **change))


def test_an_indicator_in_another_spelling_is_told_as_the_model_knows_it(config, weights):
    trace = np.random.default_rng(6).standard_normal(128).astype(np.float32)
    as_known = evaluate(config, weights, trace, indicator="GCaMP6f")
    assert evaluate(config, weights, trace, indicator="AAV-GCaMP 6f") == pytest.approx(as_known)


def test_a_relative_is_told_as_halfway_between_what_the_model_knows_and_unknown(config, weights):
    trace = np.random.default_rng(6).standard_normal(128).astype(np.float32)
    halfway = {
        key: np.repeat((value[:1] + value[1:2]) / 2, len(value), axis=0) if key.endswith(CODES) else value
        for key, value in weights.items()
    }
    as_halfway = evaluate(config, halfway, trace, indicator=None)
    assert evaluate(config, weights, trace, indicator="jGCaMP7f") == pytest.approx(as_halfway)
    assert evaluate(config, weights, trace, indicator="near GCaMP6f") == pytest.approx(as_halfway)
    assert evaluate(config, weights, trace, indicator="GCaMP6f") != pytest.approx(as_halfway)


def test_noise_levels_outside_training_are_read_as_its_ends(config, weights):
    trace = np.random.default_rng(7).standard_normal(128).astype(np.float32)
    assert evaluate(config, weights, trace, noise=80.0) == pytest.approx(evaluate(config, weights, trace, noise=30.0))


def test_sizes_survive_the_round_trip_through_a_configuration():
    assert ConditionalSizes.from_network(SIZES.to_network()) == SIZES


def test_unknown_sizes_are_refused():
    with pytest.raises(ModelFileError, match="depth_of_sea"):
        ConditionalSizes.from_network({"depth_of_sea": 3})


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"widths": [4], "depths": [1, 1]}, "one depth per width"),
        ({"filter_size": 4}, "odd filter sizes"),
        ({"widths": ["4", "6"], "depths": [1, 1]}, "widths of a conditional network as 1 to 12 whole numbers"),
        ({"condition": 0}, "condition of a conditional network as a whole number"),
        ({"widths": [4] * 40, "depths": [1] * 40}, "widths of a conditional network as 1 to 12 whole numbers"),
        ({"widths": [4], "depths": [10**9]}, "depths of a conditional network as 1 to 12 whole numbers from 1 to 64"),
        ({"widths": [4] * 12, "depths": [1] * 12}, "at most 10000 frames of context, received"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes, message):
    with pytest.raises(ModelFileError, match=message):
        ConditionalSizes.from_network(sizes)
