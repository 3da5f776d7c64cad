"""The simulator: noise level by construction, spike statistics, kinetics, seeds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground_truth_nwb.cells import Trial
from ground_truth_nwb.indicators import KINETICS, Kinetics, canonical_indicator, kinetics_of
from ground_truth_nwb.kinetics_fit import fit_kinetics
from ground_truth_nwb.noise import noise_level
from ground_truth_nwb.simulate import (
    REFRACTORY_S,
    fluorescence,
    simulate_cell,
    simulate_population,
    simulate_spikes,
)
from tests.support.ground_truth_files import make_cell, make_trial

LINEAR = Kinetics(0.02, 0.4, 0.2, 1e6, 1.0, "test")


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    indicator=st.sampled_from(sorted(KINETICS)),
    rate=st.sampled_from([5.0, 30.0, 100.0]),
    level=st.floats(3.0, 15.0),
)
def test_noise_level_is_the_requested_one(seed, indicator, rate, level):
    rng = np.random.default_rng(seed)
    cell = simulate_cell(
        rng, indicator=indicator, imaging_rate=rate, duration_s=30.0, noise_level=level, firing_rate_hz=0.3
    )
    assert noise_level(cell.trials[0].dff, rate) == pytest.approx(level, rel=1e-3)


def test_population_reaches_one_level_per_cell():
    levels = [1.0, 2.0, 4.0, 8.0]
    dff, spikes = simulate_population(np.random.default_rng(0), 4, noise_level=levels, duration_s=60.0)
    assert dff.shape == (4, 1800)
    assert dff.dtype == np.float32
    assert len(spikes) == 4
    assert [noise_level(trace, 30.0) for trace in dff] == pytest.approx(levels, rel=1e-3)


def test_noise_grows_with_the_signal_as_photon_noise_does():
    dff, spikes = simulate_population(
        np.random.default_rng(1), 1, indicator="jGCaMP8s", noise_level=6.0, duration_s=600.0, firing_rate_hz=2.0
    )
    time_s = np.arange(dff.shape[1]) / 30.0
    clean = fluorescence(time_s, spikes[0], kinetics_of("jGCaMP8s"))
    steps = np.abs(np.diff(dff[0]))
    assert np.median(steps[clean[1:] > 1.5]) > 1.2 * np.median(steps[clean[1:] < 0.1])


def test_same_seed_gives_the_same_recording_and_another_seed_another():
    one, same, other = (simulate_cell(np.random.default_rng(seed), duration_s=10.0) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.trials[0].dff, same.trials[0].dff)
    np.testing.assert_array_equal(one.trials[0].spike_times_s, same.trials[0].spike_times_s)
    assert not np.array_equal(one.trials[0].dff, other.trials[0].dff)


def test_mean_spike_rate_is_the_requested_one():
    spikes = simulate_spikes(np.random.default_rng(2), duration_s=20000.0, firing_rate_hz=1.0)
    assert spikes.size / 20000.0 == pytest.approx(1.0, rel=0.1)


def test_spikes_come_in_bursts_whose_rate_drifts():
    spikes = simulate_spikes(np.random.default_rng(3), duration_s=5000.0, firing_rate_hz=1.0)
    assert np.mean(np.diff(spikes) < 0.02) > 0.2
    per_minute = np.histogram(spikes, np.arange(0, 5001, 60))[0]
    assert per_minute.var() > 3 * per_minute.mean()


@settings(deadline=None)
@given(seed=st.integers(0, 200), rate=st.floats(0.0, 50.0), duration=st.floats(0.5, 20.0))
def test_spike_trains_are_ascending_within_the_recording_and_refractory(seed, rate, duration):
    spikes = simulate_spikes(np.random.default_rng(seed), duration_s=duration, firing_rate_hz=rate)
    assert np.all((spikes >= 0) & (spikes < duration))
    assert np.all(np.diff(spikes) >= REFRACTORY_S - 1e-12)


@pytest.mark.parametrize("indicator", sorted(KINETICS))
def test_one_spike_peaks_at_the_amplitude_of_the_table(indicator):
    kinetics = kinetics_of(indicator)
    time_s = np.arange(0.0, 5.0, 1e-4)
    response = fluorescence(time_s, np.array([0.1]), kinetics)
    assert response.max() == pytest.approx(kinetics.amplitude, rel=1e-3)
    assert np.all(response[time_s < 0.1] == 0)
    late = (time_s > 0.1 + 6 * kinetics.rise_s + 0.5 * kinetics.decay_s) & (response > 0.05 * kinetics.amplitude)
    decay = -1.0 / np.polyfit(time_s[late], np.log(response[late]), 1)[0]
    assert decay == pytest.approx(kinetics.decay_s, rel=0.15)


def test_spikes_add_up_in_a_linear_indicator_and_more_than_add_up_in_a_cooperative_one():
    time_s = np.arange(0.0, 3.0, 1e-3)
    spikes = np.array([0.1, 0.15])
    single = [fluorescence(time_s, spikes[[k]], LINEAR) for k in (0, 1)]
    np.testing.assert_allclose(fluorescence(time_s, spikes, LINEAR), sum(single), atol=1e-6)
    cooperative = Kinetics(0.02, 0.4, 0.2, 1e6, 2.0, "test")
    assert fluorescence(time_s, spikes, cooperative).max() > 2.5 * 0.2


def test_fluorescence_saturates():
    kinetics = Kinetics(0.02, 0.4, 0.2, 2.0, 1.0, "test")
    assert fluorescence(np.arange(0, 2, 0.01), np.arange(0, 2, 0.005), kinetics).max() < 2.0


def test_trials_have_their_own_clocks_and_jitter_keeps_the_order_of_frames():
    cell = simulate_cell(np.random.default_rng(4), n_trials=3, duration_s=10.0, frame_jitter_s=0.05, noise_level=4.0)
    assert len(cell.trials) == 3
    for trial in cell.trials:
        assert abs(trial.time_s[0]) < 0.05
        assert np.std(np.diff(trial.time_s)) > 1e-3
    assert (cell.dataset, cell.animal_basis) == ("SIM", "simulated")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_level": 0.0}, "Expected a positive noise level"),
        ({"noise_level": 0.01}, "above that of the noise-free signal"),
        ({"duration_s": 0.01}, "at least two frames"),
        ({"imaging_rate": 0.0}, "at least two frames"),
        ({"firing_rate_hz": -1.0}, "a rate of at least 0 Hz"),
    ],
)
def test_impossible_requests_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        simulate_cell(np.random.default_rng(0), **options)


def test_unknown_indicator_is_refused_with_the_known_ones():
    with pytest.raises(LookupError, match=r"received 'GCaMP99'\. Known: OGB-1, "):
        simulate_cell(np.random.default_rng(0), indicator="GCaMP99")


@pytest.mark.parametrize(
    ("text", "name"),
    [("GCaMP8m", "jGCaMP8m"), ("jGCaMP-8s", "jGCaMP8s"), ("xcampgf", "XCaMP-Gf"), ("OGB1", "OGB-1"), ("rhod", "rhod")],
)
def test_spellings_of_indicators(text, name):
    assert canonical_indicator(text) == name


def test_fit_finds_the_kinetics_of_a_simulated_cell():
    rng = np.random.default_rng(5)
    truth = Kinetics(0.02, 0.6, 0.3, KINETICS["jGCaMP8s"].max_dff, 1.4, "test")
    time_s = np.arange(0, 120, 1 / 60)
    spikes = simulate_spikes(rng, duration_s=120.0, firing_rate_hz=0.7)
    dff = fluorescence(time_s, spikes, truth) + 0.1 + rng.normal(0, 0.03, time_s.size)
    cell = make_cell(trials=(Trial(time_s, dff.astype(np.float32), spikes),), trial_numbers=(0,), indicator="jGCaMP8s")
    fit, explained = fit_kinetics(cell)
    assert fit.decay_s == pytest.approx(truth.decay_s, rel=0.15)
    assert fit.amplitude == pytest.approx(truth.amplitude, rel=0.15)
    assert fit.hill == pytest.approx(truth.hill, abs=0.2)
    assert explained > 0.9


def test_fit_needs_spikes():
    cell = make_cell(trials=(make_trial(spikes=(0.5,)),), trial_numbers=(0,))
    with pytest.raises(ValueError, match="at least 3 spikes in DS30-jGCaMP8f-471993-1, found none"):
        fit_kinetics(cell)
