"""What changes slowly and is no spikes is told, each by its own code; ordinary traces raise nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.slow_changes import slow_findings
from tests.support.simulated_recordings import simulated_trial

RATE, SECONDS = 30.0, 240.0


def ordinary(seed: int = 0, noise: float = 0.1, rate: float = RATE) -> np.ndarray:
    return simulated_trial(seed, rate=rate, seconds=SECONDS, spike_rate=0.5, noise=noise).dff.astype(np.float64)


def findings(trace: np.ndarray, rate: float = RATE) -> dict[str, str]:
    return dict(slow_findings(trace, rate, float(noise_level(trace[None], rate)[0])))


def clock(trace: np.ndarray, rate: float = RATE) -> np.ndarray:
    return np.arange(trace.size) / rate


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.6), st.sampled_from([7.5, 30.0, 60.0]))
def test_an_ordinary_trace_raises_nothing(seed, noise, rate):
    assert findings(ordinary(seed, noise, rate), rate) == {}


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 0.5), st.floats(0.2, 0.4), st.floats(0, 6.28), st.integers(0, 10_000))
@example(0.25390625, 0.375, 6.0, 1)
def test_a_sine_is_told_with_its_frequency(frequency, amplitude, phase, seed):
    noise = np.random.default_rng(seed).normal(0, 0.05, round(SECONDS * RATE))
    wave = amplitude * np.sin(2 * np.pi * frequency * clock(noise) + phase)
    told = findings(wave + noise)
    assert list(told) == ["slow-wave"]
    assert float(told["slow-wave"].split("mostly ")[1].split(" Hz")[0]) == pytest.approx(frequency, rel=0.1, abs=0.005)


def test_a_random_walk_is_told():
    steps = np.random.default_rng(0).normal(0, 0.01, round(SECONDS * RATE))
    assert "slow-wave" in findings(np.cumsum(steps) + np.random.default_rng(1).normal(0, 0.05, steps.size))


@pytest.mark.parametrize("fall", [0.4, 0.6])
@pytest.mark.parametrize("tau_s", [60.0, 1000.0])
def test_bleaching_is_told_with_how_much(fall, tau_s):
    trace = ordinary()
    shape = np.exp(-clock(trace) / tau_s)
    told = findings(trace - fall * (1 - shape) / (1 - shape[-1]))
    assert list(told) == ["bleaching"]


def test_a_baseline_that_rises_or_wanders_is_a_drift():
    trace = ordinary()
    assert list(findings(trace + np.linspace(0, 1.5, trace.size))) == ["drifting"]
    assert "drifting" in findings(trace + 1.5 * np.sin(2 * np.pi * clock(trace) / 200))


@pytest.mark.parametrize("height", [0.5, -0.5])
@pytest.mark.parametrize("at_s", [60, 150])
def test_a_step_is_told_with_where_it_is(height, at_s):
    trace = ordinary()
    told = findings(trace + height * (clock(trace) >= at_s))
    assert list(told) == ["step"]
    assert int(told["step"].split("frame ")[1].split(",")[0]) == pytest.approx(at_s * RATE, abs=2 * 2 * RATE)
    assert f"jumps by {height:+.1f}"[:-1] in told["step"]


def test_noise_that_grows_is_told():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.05, round(SECONDS * RATE)) * np.linspace(1, 2, round(SECONDS * RATE))
    assert list(findings(noise)) == ["noise-grows"]


def test_noise_that_changes_at_once_is_no_step():
    noise = np.random.default_rng(0).normal(0, 0.1, round(SECONDS * RATE))
    noise[3600:] *= 6
    assert findings(noise) == {}


@pytest.mark.parametrize("height", [0.5, -0.5])
def test_missing_frames_hide_nothing(height):
    trace = ordinary() + height * (np.arange(round(SECONDS * RATE)) >= 120 * RATE)
    trace[::17] = np.nan
    trace[1000:1100] = np.nan
    assert list(findings(trace)) == ["step"]


@pytest.mark.parametrize("n_frames", [2, 30, 300])
def test_short_traces_say_nothing(n_frames):
    wave = np.sin(np.arange(n_frames) / 20) + np.random.default_rng(0).normal(0, 0.05, n_frames)
    assert findings(wave) == {}


def test_traces_of_which_little_is_known_say_nothing():
    assert findings(np.where(np.arange(7200) % 3 == 0, ordinary(), np.nan)) == {}
