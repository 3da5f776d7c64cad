"""Correlation, error, bias and lag against cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.core.kernels import gaussian_kernel, smooth
from nwb_cascade.core.scores import correlation, lag, score


def spikes(n: int = 3000, seed: int = 0) -> np.ndarray:
    counts = np.random.default_rng(seed).poisson(0.05, n).astype(float)
    return smooth(counts, kernel=gaussian_kernel(0.05, 30)).astype(float)


def test_a_perfect_estimate_scores_perfectly():
    truth = spikes()
    scores = score(truth, truth, 30.0)
    assert scores.correlation == pytest.approx(1)
    assert (scores.error, scores.bias) == (0, 0)
    assert scores.lag_s == pytest.approx(0, abs=1e-4)


@given(st.floats(0.1, 5))
def test_bias_and_error_of_a_scaled_estimate(factor):
    truth = spikes()
    scores = score(factor * truth, truth, 30.0)
    assert scores.correlation == pytest.approx(1)
    assert scores.bias == pytest.approx(factor - 1)
    assert scores.error == pytest.approx(abs(factor - 1))


@given(st.integers(-8, 8))
def test_lag_is_the_delay_of_the_estimate(frames):
    truth = spikes()
    assert lag(np.roll(truth, frames), truth, 30.0) == pytest.approx(frames / 30, abs=2e-3)


def test_lag_resolves_less_than_a_frame():
    fine = smooth(np.random.default_rng(1).poisson(0.01, 30_000).astype(float), kernel=gaussian_kernel(0.05, 300))
    truth, late = fine[10::10], fine[6:-4:10]
    assert lag(late, truth, 30.0) == pytest.approx(4 / 300, abs=2e-3)


def test_frames_without_estimate_are_left_out():
    truth = spikes()
    estimate = truth.copy()
    estimate[:32] = np.nan
    estimate[-32:] = np.nan
    scores = score(estimate, truth, 30.0)
    assert scores.correlation == pytest.approx(1)
    assert scores.bias == 0
    assert scores.lag_s == pytest.approx(0, abs=1e-4)


def test_correlation_agrees_with_numpy():
    generator = np.random.default_rng(2)
    first, second = generator.random(100), generator.random(100)
    assert correlation(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1])


def test_a_constant_estimate_has_no_correlation():
    scores = score(np.full(100, 0.3), spikes(100), 30.0)
    assert np.isnan(scores.correlation)
    assert np.isnan(scores.lag_s)


def test_without_spikes_error_and_bias_are_not_defined():
    scores = score(np.ones(100), np.zeros(100), 30.0)
    assert np.isnan([scores.error, scores.bias, scores.correlation]).all()


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"received \(3,\) and \(4,\)"):
        score(np.zeros(3), np.zeros(4), 30.0)
