"""Tiles reassemble to the whole trace, gaps stay local, every ROI gets the network of its noise level."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.core.engine import NetworkSet, infer_block, infer_stretches, nearest_levels, valid_bounds
from nwb_cascade.core.reading import FromRest
from nwb_cascade.core.rest_level import tell_block
from tests.support.networks import MovingSum


def window_sums(trace, before, after):
    """Sum over the window of each frame; NaN where it does not fit."""
    sums = np.full(len(trace), np.nan)
    if len(trace) > before + after:
        windows = np.lib.stride_tricks.sliding_window_view(trace, before + 1 + after)
        sums[before : len(trace) - after] = windows.sum(axis=1)
    return sums


@settings(max_examples=40, deadline=None)
@given(
    n_rois=st.integers(1, 4),
    n_frames=st.integers(2, 1500),
    before=st.integers(0, 40),
    after=st.integers(0, 40),
    fills_edges=st.booleans(),
)
def test_tiles_reassemble_to_the_whole_trace(n_rois, n_frames, before, after, fills_edges):
    dff = np.random.default_rng(n_frames).normal(size=(n_rois, n_frames)).astype(np.float32)
    ensemble = MovingSum(before, after, fills_edges=fills_edges)
    result = infer_block(dff, 30.0, ensemble.network_set())
    padded = np.pad(dff, ((0, 0), (before, after))) if fills_edges else dff
    expected = np.array([window_sums(trace, before, after) for trace in padded])
    if fills_edges:
        expected = expected[:, before : before + n_frames]
    np.testing.assert_allclose(result.expected_spikes, 1.5 * expected, rtol=1e-4, atol=1e-4)


def test_mean_and_sample_deviation_over_the_networks():
    dff = np.random.default_rng(0).normal(size=(1, 50)).astype(np.float32)
    result = infer_block(dff, 30.0, MovingSum(members=3).network_set())
    sums = window_sums(dff[0], 2, 1)
    np.testing.assert_allclose(result.expected_spikes[0], 2 * sums, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result.ensemble_std[0], np.abs(sums), rtol=1e-4, atol=1e-6)


def test_a_single_network_has_no_deviation():
    dff = np.random.default_rng(0).normal(size=(1, 50)).astype(np.float32)
    result = infer_block(dff, 30.0, MovingSum(members=1).network_set())
    assert np.all(result.ensemble_std[0, 2:-1] == 0)
    assert np.isnan(result.ensemble_std[0, :2]).all()


def test_valid_frames_are_the_bounds_of_the_values():
    dff = np.random.default_rng(0).normal(size=(2, 30)).astype(np.float32)
    dff[1, :5] = np.nan
    result = infer_block(dff, 30.0, MovingSum(before=4, after=2).network_set())
    np.testing.assert_array_equal(result.valid_frames, [[4, 28], [9, 28]])
    np.testing.assert_array_equal(valid_bounds(np.isfinite(result.expected_spikes)), result.valid_frames)


def test_short_gap_is_bridged_and_gets_no_value_itself():
    dff = np.tile(np.arange(40, dtype=np.float32), (1, 1))
    dff[0, ::2] += 0.5
    whole = infer_block(dff, 30.0, MovingSum(before=8, after=7).network_set())
    with_gap = dff.copy()
    with_gap[0, 20] = np.nan
    result = infer_block(with_gap, 30.0, MovingSum(before=8, after=7).network_set())
    missing = np.isnan(result.expected_spikes[0]) & np.isfinite(whole.expected_spikes[0])
    np.testing.assert_array_equal(np.flatnonzero(missing), [20])
    away = [f for f in range(8, 33) if abs(f - 20) > 8]
    np.testing.assert_array_equal(result.expected_spikes[0, away], whole.expected_spikes[0, away])
    assert [w.code for w in result.warnings] == ["missing-frames"]


def test_long_gap_splits_the_trace():
    rng = np.random.default_rng(3)
    dff = rng.normal(size=(1, 60)).astype(np.float32)
    dff[0, 25:35] = np.nan
    result = infer_block(dff, 30.0, MovingSum(before=4, after=3).network_set())
    expected = np.r_[window_sums(dff[0, :25], 4, 3), np.full(10, np.nan), window_sums(dff[0, 35:], 4, 3)]
    np.testing.assert_allclose(result.expected_spikes[0], 1.5 * expected, rtol=1e-4, atol=1e-5)


def test_network_that_fills_edges_sees_missing_frames_as_absent():
    dff = np.ones((1, 30), np.float32)
    dff[0, ::3] = 2
    dff[0, 10:14] = np.nan
    result = infer_block(dff, 30.0, MovingSum(before=2, after=2, fills_edges=True).network_set())
    padded = np.pad(np.nan_to_num(dff[0]), 2)
    expected = 1.5 * np.lib.stride_tricks.sliding_window_view(padded, 5).sum(axis=1)
    expected[10:14] = np.nan
    np.testing.assert_allclose(result.expected_spikes[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("trace", "code", "message"),
    [
        (np.full(40, np.nan), "all-missing", "no finite frame, nothing inferred"),
        (np.zeros(40), "constant", r"constant trace \(every frame is 0\)"),
        (np.full(40, 0.5), "constant", r"every frame is 0\.5"),
        (np.r_[np.full(30, np.nan), np.arange(10.0)], "too-short", "shorter than the window of 16 frames"),
    ],
)
def test_trace_that_cannot_be_inferred_says_why_and_leaves_the_others_alone(trace, code, message):
    good = np.random.default_rng(0).normal(size=40)
    dff = np.stack([good, trace, good]).astype(np.float32)
    result = infer_block(dff, 30.0, MovingSum(before=8, after=7).network_set((2.0, 4.0)), first_roi=10)
    assert np.isnan(result.expected_spikes[1]).all()
    assert np.isnan(result.model_noise_levels[1])
    np.testing.assert_array_equal(result.valid_frames[1], [0, 0])
    np.testing.assert_array_equal(result.expected_spikes[0], result.expected_spikes[2])
    assert np.isfinite(result.expected_spikes[0, 8:33]).all()
    (warning,) = [w for w in result.warnings if w.code == code]
    assert warning.roi == 11
    assert re.search(message, warning.message)


def test_zero_padded_tail_counts_as_missing():
    dff = np.random.default_rng(0).normal(size=(1, 60)).astype(np.float32)
    dff[0, 40:] = 0
    result = infer_block(dff, 30.0, MovingSum(before=8, after=7).network_set())
    np.testing.assert_array_equal(result.valid_frames, [[8, 33]])
    assert [w.code for w in result.warnings] == ["padded-tail"]


def test_every_roi_gets_the_network_of_the_nearest_level():
    rng = np.random.default_rng(0)
    scales = np.array([0.02, 0.5, 0.1, 0.3])
    dff = (scales[:, None] * rng.normal(size=(4, 400))).astype(np.float32)
    asked = []
    networks = NetworkSet((2.0, 4.0, 6.0, 8.0), 1, lambda level: asked.append(level) or Constant(level))
    result = infer_block(dff, 30.0, networks)
    np.testing.assert_array_equal(result.model_noise_levels, nearest_levels(result.noise_levels, networks.levels))
    np.testing.assert_array_equal(np.nanmax(result.expected_spikes, axis=1), result.model_noise_levels)
    assert len(asked) == len(set(asked)) == len(set(result.model_noise_levels))


class Constant(MovingSum):
    """Gives its noise level everywhere."""

    def __init__(self, level):
        super().__init__(members=1)
        self.level = level

    def __call__(self, traces, present, noise_level, activity):
        return np.full_like(super().__call__(traces, present, noise_level, activity), self.level)


def test_rows_have_few_shapes_whatever_the_recordings():
    ensemble = MovingSum(before=32, after=31)
    for n_frames in range(100, 9000, 700):
        infer_block(
            np.random.default_rng(0).normal(size=(1, n_frames)).astype(np.float32), 30.0, ensemble.network_set()
        )
    assert len(ensemble.row_shapes) <= 5


@given(st.lists(st.floats(0, 50), min_size=1, max_size=5), st.lists(st.floats(0.1, 40), min_size=1, max_size=6))
def test_no_level_is_nearer_than_the_one_chosen(own, available):
    chosen = nearest_levels(np.float32(own), available)
    for level, near in zip(np.float32(own), chosen, strict=True):
        assert abs(level - near) <= min(abs(level - np.float32(a)) for a in available) + 1e-6


class Counting(MovingSum):
    """Counts how often it is called."""

    calls = 0

    def __call__(self, traces, present, noise_level, activity):
        self.calls += 1
        return super().__call__(traces, present, noise_level, activity)


def test_stretches_are_each_inferred_alone_and_share_calls():
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(3, n_frames)).astype(np.float32) for n_frames in (200, 60, 90, 1)]
    told = [tell_block(part, 30.0) for part in parts]
    ensemble = Counting(before=4, after=2, fills_edges=True)
    found = infer_stretches(parts, told, ensemble.network_set(), first_roi=5)
    assert ensemble.calls == 1
    for part, one in zip(parts, found, strict=True):
        alone = infer_block(part, 30.0, MovingSum(before=4, after=2, fills_edges=True).network_set(), first_roi=5)
        np.testing.assert_allclose(one.expected_spikes, alone.expected_spikes, rtol=1e-6)
        np.testing.assert_array_equal(one.valid_frames, alone.valid_frames)
        assert one.warnings == alone.warnings


def test_empty_block():
    result = infer_block(np.zeros((0, 100), np.float32), 30.0, MovingSum().network_set((2.0,)))
    assert result.expected_spikes.shape == (0, 100)
    assert result.valid_frames.shape == (0, 2)


@settings(max_examples=15, deadline=None)
@given(factor=st.floats(0.75, 1.25))
def test_what_reads_from_rest_sees_no_wrong_f0_and_is_told_the_noise_of_what_it_sees(factor):
    class Told(MovingSum):
        def __call__(self, traces, present, noise_level, activity):
            told.append((noise_level[:2], activity[:2]))
            return super().__call__(traces, present, noise_level, activity)

    dff = np.random.default_rng(0).normal(0.05, 0.1, (2, 3000)).astype(np.float32)
    told: list[tuple[np.ndarray, np.ndarray]] = []
    networks = Told(before=4, after=2, fills_edges=True).network_set(reading=FromRest())
    right, wrong = (infer_block(one, 30.0, networks) for one in (dff, factor * (1 + dff) - 1))
    np.testing.assert_allclose(wrong.expected_spikes, right.expected_spikes, atol=1e-4)
    np.testing.assert_allclose(wrong.noise_levels, factor * right.noise_levels, rtol=1e-4)
    np.testing.assert_allclose(told[0], told[1], rtol=1e-3)
    as_it_is = MovingSum(before=4, after=2, fills_edges=True).network_set()
    assert not np.allclose(infer_block(dff, 30.0, as_it_is).expected_spikes, right.expected_spikes, atol=0.1)
