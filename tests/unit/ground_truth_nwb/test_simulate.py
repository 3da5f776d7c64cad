"""The simulator: noise level by construction, spike statistics, kinetics, seeds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground_truth_nwb.cells import Trial
from ground_truth_nwb.indicators import KINETICS, Kinetics, kinetics_of
from ground_truth_nwb.kinetics_fit import LAGS_S, fit_kinetics, fit_response, half_width_s, isolated_response
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
# Seconds above half the peak, and dF/F of pairs of spikes within 20 ms over that of single ones (mean of 0 to 50 ms
# after the last): medians over the cells of DS10, DS30, DS31, DS32 with `isolated_response`.
MEASURED_HALF_WIDTH_S = {"GCaMP6f": 0.126, "jGCaMP8f": 0.046, "jGCaMP8m": 0.071, "jGCaMP8s": 0.206}
MEASURED_PAIR_OVER_ONE = {"jGCaMP8f": 2.44, "jGCaMP8m": 2.11, "jGCaMP8s": 2.16}


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
    late = (time_s > 0.1 + 6 * kinetics.rise_s + 0.6 * kinetics.decay_s) & (response > 0.05 * kinetics.amplitude)
    decay = -1.0 / np.polyfit(time_s[late], np.log(response[late]), 1)[0]
    assert decay == pytest.approx(kinetics.decay_s, rel=0.15)


@pytest.mark.parametrize("indicator", sorted(MEASURED_HALF_WIDTH_S))
def test_response_to_one_spike_is_as_short_as_the_measured_one(indicator):
    time_s = np.arange(-0.1, 3.0, 1e-4)
    response = fluorescence(time_s, np.zeros(1), kinetics_of(indicator))
    assert half_width_s(time_s, response) == pytest.approx(MEASURED_HALF_WIDTH_S[indicator], rel=0.15)


@pytest.mark.parametrize("indicator", sorted(MEASURED_PAIR_OVER_ONE))
def test_pairs_of_spikes_exceed_single_ones_as_measured(indicator):
    time_s = np.arange(0.0, 0.05, 1e-4)
    spikes = np.array([-0.008, 0.0])
    pair, one = (fluorescence(time_s, train, kinetics_of(indicator)).mean() for train in (spikes, spikes[1:]))
    assert pair / one == pytest.approx(MEASURED_PAIR_OVER_ONE[indicator], rel=0.1)


@given(
    rise=st.floats(1e-3, 0.1),
    decay=st.floats(0.05, 2.0),
    fast=st.floats(0.1, 1.0),
    share=st.floats(0.0, 0.95),
    hill=st.floats(1.0, 3.0),
)
def test_response_peaks_at_the_amplitude_and_falls_as_slow_and_fast_part(rise, decay, fast, share, hill):
    kinetics = Kinetics(rise, decay, 0.2, 1e6, hill, "test", fast_decay_s=fast * decay, fast_share=share)
    time_s = np.concatenate([[-1.0, -1e-9], np.linspace(0.0, 8 * decay, 20_001)])
    response = fluorescence(time_s, np.zeros(1), kinetics)
    assert np.all(response[:2] == 0)
    assert response.max() == pytest.approx(0.2, rel=1e-3)
    since = time_s[2:]
    falling = (1 - share) * np.exp(-since / decay) + share * np.exp(-since / (fast * decay))
    rising = (1 - np.exp(-since / (hill * rise))) ** hill
    np.testing.assert_allclose(response[2:], 0.2 * rising * falling / (rising * falling).max(), atol=1e-3)


@pytest.mark.parametrize("indicator", sorted(KINETICS))
def test_fast_part_of_the_decay_is_the_faster_one(indicator):
    kinetics = kinetics_of(indicator)
    assert 0 < kinetics.fast_decay_s <= kinetics.decay_s
    assert 0 <= kinetics.fast_share < 1


@pytest.mark.parametrize("linear", [LINEAR, replace(LINEAR, fast_decay_s=0.05, fast_share=0.6)])
def test_spikes_add_up_in_a_linear_indicator(linear):
    time_s = np.arange(0.0, 3.0, 1e-3)
    spikes = np.array([0.1, 0.15])
    single = [fluorescence(time_s, spikes[[k]], linear) for k in (0, 1)]
    np.testing.assert_allclose(fluorescence(time_s, spikes, linear), sum(single), atol=1e-6)


def test_spikes_more_than_add_up_in_a_cooperative_indicator():
    time_s = np.arange(0.0, 3.0, 1e-3)
    spikes = np.array([0.1, 0.15])
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


def quiet_cell(kinetics, delay_s=0.0, spikes_per_burst=1):
    """A cell that fires every two seconds, imaged at 122 Hz with little noise."""
    rng = np.random.default_rng(6)
    time_s = np.arange(0, 120, 1 / 122)
    starts = np.arange(1.5, 119, 2.0) + rng.uniform(-0.2, 0.2, 59)
    spikes = (starts[:, None] + 0.008 * np.arange(spikes_per_burst)).ravel()
    dff = fluorescence(time_s, spikes + delay_s, kinetics) + 0.2 + rng.normal(0, 0.02, time_s.size)
    return make_cell(trials=(Trial(time_s, dff.astype(np.float32), spikes),), trial_numbers=(0,))


def test_fit_of_the_response_to_isolated_spikes_finds_both_decays_and_the_delay():
    truth = kinetics_of("jGCaMP8f")
    response, n_spikes = isolated_response(quiet_cell(truth, delay_s=-0.005))
    fit = fit_response(response, replace(truth, decay_s=0.3, fast_share=0.0))
    assert n_spikes == 59
    assert fit.delay_s == pytest.approx(-0.005, abs=0.002)
    assert fit.kinetics.decay_s == pytest.approx(truth.decay_s, rel=0.15)
    assert fit.kinetics.fast_decay_s == pytest.approx(truth.fast_decay_s, rel=0.15)
    assert fit.kinetics.fast_share == pytest.approx(truth.fast_share, abs=0.05)
    assert fit.kinetics.amplitude == pytest.approx(truth.amplitude, rel=0.05)


def test_fit_keeps_a_single_decay_where_it_suffices():
    response, _ = isolated_response(quiet_cell(kinetics_of("jGCaMP8s")))
    fit = fit_response(response, kinetics_of("jGCaMP8s"))
    assert fit.kinetics.fast_share == 0
    assert fit.kinetics.decay_s == pytest.approx(kinetics_of("jGCaMP8s").decay_s, rel=0.1)


def test_pairs_of_spikes_are_averaged_apart_from_single_ones():
    cell = quiet_cell(kinetics_of("jGCaMP8f"), spikes_per_burst=2)
    alone, n_alone = isolated_response(cell)
    pairs, n_pairs = isolated_response(cell, burst_size=2)
    assert (n_alone, n_pairs) == (0, 59)
    assert np.all(np.isnan(alone))
    assert np.nanmax(pairs[LAGS_S > 0]) > 1.8 * kinetics_of("jGCaMP8f").amplitude


def test_half_width_needs_both_flanks():
    assert half_width_s(np.arange(5.0), np.array([0.0, 1.0, 0.8, 0.4, 0.0])) == pytest.approx(2.25)
    with pytest.raises(ValueError, match="rises above half its peak and falls below it"):
        half_width_s(np.arange(3.0), np.array([1.0, 0.5, 0.0]))
