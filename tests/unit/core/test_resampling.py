"""Laws of resampling: spike count, exact time base, noise level, no wrap-around."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.resampling import add_noise, bin_spikes, frame_grid, photon_noise, resample_trace

rates = st.floats(1, 120)


def test_frame_times_are_exact_after_an_hour():
    times = frame_grid(0.3, 3600.3, 29.97)
    k = times.size - 1
    assert times[-1] == pytest.approx(0.3 + k / 29.97, abs=1e-9)
    assert np.abs(np.diff(times) - 1 / 29.97).max() < 1e-9


@given(rates, rates)
def test_a_spike_at_the_end_of_an_hour_lands_in_its_frame(own_rate, rate):
    frame_times = frame_grid(0.0, 3600.0, rate)
    wanted = frame_times.size - 5
    counts = bin_spikes(np.array([frame_times[wanted] + 1e-4, frame_times[3] - 1e-4]), frame_times, rate)
    assert np.flatnonzero(counts).tolist() == [3, wanted]


@given(st.lists(st.floats(-5, 25), max_size=60), rates)
def test_every_spike_of_the_imaged_time_is_counted_once(spikes, rate):
    frame_times = frame_grid(0.0, 20.0, rate)
    spikes = np.array(spikes)
    half = 0.5 / rate
    clearly_inside = (spikes >= -half + 1e-4) & (spikes <= frame_times[-1] + half - 1e-4)
    clearly_outside = (spikes < -half - 1e-4) | (spikes > frame_times[-1] + half + 1e-4)
    counts = bin_spikes(spikes, frame_times, rate)
    assert clearly_inside.sum() <= counts.sum() <= (~clearly_outside).sum()


@given(st.floats(5, 120), st.floats(3, 60))
def test_resampling_a_straight_line_gives_the_line(own_rate, rate):
    times = frame_grid(0.0, 20.0, own_rate)
    frame_times = frame_grid(1.0, 18.0, rate)
    line = 0.5 + 0.1 * times
    resampled = resample_trace(line, times, frame_times, rate)
    # A frame may reach beyond the last sample, where the line is reflected.
    inside = frame_times + 0.5 / rate < times[-1]
    assert resampled[inside] == pytest.approx(0.5 + 0.1 * frame_times[inside], abs=1e-5)


def test_a_step_at_the_end_does_not_show_at_the_beginning_and_does_not_ring():
    times = frame_grid(0.0, 60.0, 100.0)
    step = (times > 50).astype(float)
    resampled = resample_trace(step, times, frame_grid(0.0, 60.0, 30.0), 30.0)
    assert np.all(resampled[:1400] == 0)
    assert resampled.min() >= 0
    assert resampled.max() <= 1 + 1e-6


def test_a_pulse_keeps_its_centre_and_area():
    times = frame_grid(0.0, 20.0, 120.0)
    pulse = np.exp(-0.5 * ((times - 10.01) / 0.2) ** 2)
    frame_times = frame_grid(0.0, 20.0, 7.5)
    resampled = resample_trace(pulse, times, frame_times, 7.5)
    assert (frame_times * resampled).sum() / resampled.sum() == pytest.approx(10.01, abs=1e-3)
    assert resampled.sum() / 7.5 == pytest.approx(pulse.sum() / 120, rel=1e-3)


def test_irregular_frame_times_are_respected():
    generator = np.random.default_rng(0)
    times = np.cumsum(generator.uniform(0.01, 0.05, 500))
    frame_times = frame_grid(2.0, 10.0, 10.0)
    resampled = resample_trace(3.0 * times, times, frame_times, 10.0)
    assert resampled == pytest.approx(3.0 * frame_times, abs=1e-4)


def test_missing_samples_become_missing_frames_and_no_others():
    times = frame_grid(0.0, 10.0, 100.0)
    dff = np.ones(times.size)
    dff[500:520] = np.nan
    frame_times = frame_grid(0.0, 10.0, 20.0)
    resampled = resample_trace(dff, times, frame_times, 20.0)
    missing = frame_times[np.isnan(resampled)]
    assert missing.min() == pytest.approx(5.0, abs=0.051)
    assert missing.max() == pytest.approx(5.2, abs=0.051)
    assert np.all(resampled[np.isfinite(resampled)] == 1)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.5, 3), st.floats(1.2, 10), rates)
def test_the_noise_level_reaches_its_target_within_two_percent(seed, own, factor, rate):
    generator = np.random.default_rng(seed)
    dff = generator.standard_normal(3000) * own * np.sqrt(rate) / 95.4
    dff += np.where(generator.random(3000) < 0.05, 0.5, 0)
    target = factor * float(noise_level(dff[None], rate)[0])
    noisy = add_noise(dff, rate, target, generator)
    assert noise_level(noisy[None], rate)[0] == pytest.approx(target, rel=0.02)


def test_missing_frames_stay_missing_when_noise_is_added():
    dff = np.zeros(400)
    dff[100:120] = np.nan
    noisy = add_noise(dff, 30.0, 4.0, np.random.default_rng(0))
    assert np.flatnonzero(np.isnan(noisy)).tolist() == list(range(100, 120))


def test_noise_is_larger_where_the_cell_is_brighter():
    dff = np.repeat([0.0, 3.0], 50_000)
    noise = photon_noise(dff, np.random.default_rng(0))
    assert noise[50_000:].std() / noise[:50_000].std() == pytest.approx(2.0, rel=0.03)


def test_a_trace_noisier_than_the_target_is_refused():
    dff = np.random.default_rng(0).standard_normal(1000)
    with pytest.raises(ValueError, match="Noise can only be added"):
        add_noise(dff, 30.0, 2.0, np.random.default_rng(0))


def test_times_that_do_not_increase_are_refused():
    with pytest.raises(ValueError, match="strictly increasing"):
        resample_trace(np.zeros(3), np.array([0.0, 1.0, 1.0]), np.array([0.5]), 1.0)


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"received \(3,\) and \(2,\)"):
        resample_trace(np.zeros(3), np.zeros(2), np.array([0.5]), 1.0)
