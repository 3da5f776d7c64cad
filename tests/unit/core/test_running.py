"""Levels that run along: they find rest and noise, forget how they began, and heed no constant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.running import RunningNoise, RunningRest, above_rest

RATE = 30.0


def run(level, traces, present=None):
    """Run a level along (n_rois, n_frames)."""
    present = np.isfinite(traces) if present is None else present
    for values, here in zip(np.nan_to_num(traces).T.astype(np.float32), present.T, strict=True):
        level.update(values, here)
    return level.level


def transients(rng, n_rois=6, seconds=120):
    """dF/F of 0.5 +- 0.1 at rest with transients that decay within a second."""
    n = int(seconds * RATE)
    spikes = (rng.random((n_rois, n)) < 0.5 / RATE).astype(float)
    shape = np.exp(-np.arange(90) / 20.0)
    clean = np.array([np.convolve(row, shape)[:n] for row in spikes])
    return (0.5 + clean + 0.1 * rng.standard_normal(clean.shape)).astype(np.float32)


@pytest.mark.parametrize("level", [1.0, 4.0, 12.0])
def test_the_running_noise_level_is_that_of_white_noise(level):
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((50, 3000)) * level * np.sqrt(RATE) / 95.4
    assert np.mean(run(RunningNoise(50, RATE), noise)) == pytest.approx(level, rel=0.03)


def test_the_running_noise_level_is_that_of_the_whole_trace_with_transients():
    traces = transients(np.random.default_rng(1))
    assert run(RunningNoise(6, RATE), traces) == pytest.approx(noise_level(traces, RATE), rel=0.12)


def test_the_running_rest_level_lies_near_rest_below_transients():
    found = run(RunningRest(6, RATE), transients(np.random.default_rng(2)))
    assert np.all(np.abs(found - 0.5) < 0.2)  # transients have a mean of 0.33
    assert abs(np.mean(found) - 0.5) < 0.12


@pytest.mark.parametrize("kind", [RunningNoise, RunningRest])
def test_a_level_forgets_how_it_began(kind):
    traces = transients(np.random.default_rng(3), seconds=600)
    odd = traces.copy()
    odd[:, :300] = 3.0 * np.random.default_rng(4).standard_normal((6, 300))
    apart = [np.abs(run(kind(6, RATE), t[:, :n]) - run(kind(6, RATE), o[:, :n])).max()
             for t, o in [(traces, odd)] for n in (600, 18_000)]  # fmt: skip
    assert apart[1] < max(apart[0] * 1e-3, 1e-5)


@given(offset=st.floats(-5, 5, width=16), seed=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_a_constant_changes_nothing_above_rest(offset, seed):
    traces = transients(np.random.default_rng(seed), n_rois=2, seconds=8)
    present = np.random.default_rng(seed).random(traces.shape) > 0.1
    moved = above_rest(traces + np.float32(offset), present, RATE)
    assert moved == pytest.approx(above_rest(traces, present, RATE), abs=2e-5)


def test_absent_frames_change_no_level():
    traces = transients(np.random.default_rng(5), seconds=20)
    gap = np.full((6, 50), np.nan, np.float32)
    with_gap = np.concatenate([traces[:, :300], gap, traces[:, 300:]], axis=1)
    assert np.array_equal(run(RunningRest(6, RATE), traces), run(RunningRest(6, RATE), with_gap))


def test_before_two_frames_there_is_no_noise_level():
    noise = RunningNoise(1, RATE)
    noise.update(np.ones(1, np.float32), np.ones(1, bool))
    assert np.isnan(noise.level).all()
