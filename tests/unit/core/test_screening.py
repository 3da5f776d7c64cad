"""Per-ROI checks: each speaks on the trace it is meant for and is silent on an ordinary one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d

from ground_truth_nwb.indicators import INDICATORS
from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.screening import screen_trace
from tests.support.simulated_recordings import simulated_trial

RATE = 30.0


def ordinary(seed: int = 0, noise: float = 0.1) -> np.ndarray:
    return simulated_trial(seed, rate=RATE, seconds=240.0, spike_rate=0.5, noise=noise).dff


def codes(trace: np.ndarray, **options) -> list[str]:
    level = float(noise_level(trace[None], RATE)[0])
    return [code for code, _ in screen_trace(trace, RATE, noise_level=level, **options)]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.6))
def test_an_ordinary_trace_raises_nothing(seed, noise):
    assert codes(ordinary(seed, noise), noise_range=(0.5, 30), indicator="GCaMP6f") == []


def test_a_noise_level_outside_the_trained_range_is_reported_with_both():
    (finding,) = screen_trace(ordinary(noise=0.3), RATE, noise_level=40.0, noise_range=(0.5, 30))
    assert finding[0] == "noise-outside-training"
    assert "40" in finding[1]
    assert "0.5 to 30" in finding[1]


def test_a_smoothed_trace_looks_denoised():
    assert "denoised" in codes(gaussian_filter1d(ordinary(), 2.0))


def test_a_trace_that_repeats_frames_looks_denoised():
    assert "denoised" in codes(np.repeat(ordinary()[::3], 3))


def test_a_percent_scaled_trace_is_reported():
    assert codes(100 * ordinary()) == ["percent-scaled"]


def test_raw_fluorescence_is_reported():
    assert codes(500 * (1 + ordinary())) == ["not-dff"]


def test_a_drifting_baseline_is_reported():
    trace = ordinary()
    assert codes(trace + np.linspace(0, 1.5, trace.size)) == ["drifting"]


@pytest.mark.parametrize("limits", [(-0.05, None), (None, 0.4)])
def test_a_clipped_trace_is_reported_with_how_many_frames(limits):
    trace = np.clip(ordinary(), *limits)
    (finding,) = screen_trace(trace, RATE, noise_level=2.0)
    assert finding[0] == "clipped"
    assert f"{(trace == (limits[0] or limits[1])).sum()} frames" in finding[1]


@pytest.mark.parametrize("indicator", [one for one in INDICATORS.values() if one.largest_dff], ids=lambda one: one.name)
def test_an_amplitude_beyond_what_the_indicator_showed_is_reported(indicator):
    trace = ordinary(noise=0.01)
    too_large = trace * (1.3 * indicator.largest_dff / np.percentile(trace, 99.95))
    assert "implausible-amplitude" in codes(too_large, indicator=indicator.name)
    assert "implausible-amplitude" not in codes(too_large)


@pytest.mark.parametrize("trace", [np.zeros(1000), np.full(1000, np.nan), np.ones(20)])
def test_traces_that_say_nothing_raise_nothing(trace):
    assert screen_trace(trace, RATE, noise_level=float("nan"), noise_range=(0.5, 30)) == ()


def test_missing_frames_do_not_count():
    trace = ordinary()
    trace[::17] = np.nan
    assert codes(trace, noise_range=(0.5, 30), indicator="GCaMP6f") == []
