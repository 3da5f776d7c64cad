"""Smoothing kernels: exact centring, mass, the published causal formula, gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import gaussian_filter1d
from scipy.stats import invgauss

from nwb_cascade.core.kernels import causal_kernel, gaussian_kernel, single_spike_amplitude, smooth, smoothing_kernel

counts = hnp.arrays(np.float64, st.integers(1, 200), elements=st.integers(0, 5).map(float))


@given(st.floats(0, 1), st.floats(1, 200), st.sampled_from(["gaussian", "causal"]))
def test_kernels_have_odd_length_unit_sum_and_no_negative_weight(smoothing_s, rate, name):
    kernel = smoothing_kernel(name, smoothing_s, rate)
    assert kernel.size % 2 == 1
    assert kernel.sum() == pytest.approx(1)
    assert (kernel >= 0).all()


@given(counts, st.floats(0, 0.5), st.floats(5, 60))
def test_gaussian_smoothing_keeps_the_number_of_spikes(values, smoothing_s, rate):
    smoothed = smooth(values, kernel=gaussian_kernel(smoothing_s, rate))
    assert smoothed.sum() == pytest.approx(values.sum(), rel=1e-5)


def test_gaussian_smoothing_agrees_with_scipy():
    values = np.random.default_rng(0).poisson(0.2, 500).astype(float)
    expected = gaussian_filter1d(values, 0.2 * 7.5, truncate=5.0)
    assert smooth(values, kernel=gaussian_kernel(0.2, 7.5)) == pytest.approx(expected, abs=1e-6)


def test_a_gaussian_smoothed_spike_is_symmetric_about_its_frame():
    values = np.zeros(101)
    values[50] = 1
    smoothed = smooth(values, kernel=gaussian_kernel(0.05, 30))
    assert smoothed == pytest.approx(smoothed[::-1])
    assert smoothed.argmax() == 50


def test_causal_smoothing_agrees_with_the_published_procedure():
    rate, smoothing_s = 30.0, 0.05
    frames = np.arange(199) / rate
    density = invgauss.pdf(frames, mu=2 * smoothing_s, loc=101 / rate, scale=1)
    density = np.roll(density, int((99 - np.argmax(density)) / 1.5))
    values = np.random.default_rng(1).poisson(0.2, 600).astype(float)
    expected = np.convolve(values, density / density.sum(), mode="same")
    assert smooth(values, kernel=causal_kernel(smoothing_s, rate)) == pytest.approx(expected, abs=1e-6)


def test_most_of_a_causal_kernel_follows_the_spike():
    kernel = causal_kernel(0.2, 30.0)
    assert kernel[99:].sum() > 0.9


def test_a_causal_kernel_keeps_short_traces_as_long_as_they_are():
    assert smooth(np.ones(20), kernel=causal_kernel(0.1, 30.0)).shape == (20,)


@given(counts, st.floats(0.02, 0.3))
def test_a_constant_stays_constant_across_missing_frames(values, smoothing_s):
    trace = np.where(values > 3, np.nan, 2.0)
    smoothed = smooth(trace, kernel=gaussian_kernel(smoothing_s, 30))
    present = np.isfinite(trace)
    assert smoothed[present] == pytest.approx(2.0, rel=1e-5)
    assert np.isnan(smoothed[~present]).all()


def test_frames_marked_absent_lend_nothing_whatever_their_value():
    values = np.array([[1.0, 1.0, 99.0, 1.0, 1.0]])
    present = np.array([True, True, False, True, True])
    smoothed = smooth(values, present, kernel=np.array([0.25, 0.5, 0.25]))
    assert smoothed[0, present] == pytest.approx(1.0)
    assert np.isnan(smoothed[0, 2])


def test_the_amplitude_of_one_spike_is_the_peak_of_its_smoothed_trace():
    kernel = gaussian_kernel(0.1, 30)
    values = np.zeros(99)
    values[40] = 1
    assert single_spike_amplitude(kernel) == pytest.approx(smooth(values, kernel=kernel).max())


def test_an_unknown_kernel_is_named():
    with pytest.raises(ValueError, match="'gaussian' or 'causal', received 'box'"):
        smoothing_kernel("box", 0.1, 30)


def test_a_negative_smoothing_is_refused():
    with pytest.raises(ValueError, match="smoothing_s >= 0"):
        gaussian_kernel(-0.1, 30)
