"""The lag of fluorescence behind spikes."""

import numpy as np
import pytest

from ground_truth_nwb.alignment import response_lag_s
from ground_truth_nwb.cells import Trial
from ground_truth_nwb.simulate import simulate_cell
from tests.support.ground_truth_files import make_cell


def shifted_cell(shift_s, **options):
    options = {"indicator": "jGCaMP8m", "imaging_rate": 60.0, "noise_level": 3.0, "n_trials": 2, **options}
    cell = simulate_cell(np.random.default_rng(0), **options)
    trials = tuple(Trial(trial.time_s + shift_s, trial.dff, trial.spike_times_s) for trial in cell.trials)
    return make_cell(trials=trials, trial_numbers=tuple(range(len(trials))), indicator="jGCaMP8m")


@pytest.mark.parametrize("shift_s", [-0.5, -0.1, 0.0, 0.2, 1.0])
def test_shift_between_the_clocks_is_found_within_two_frames(shift_s):
    assert response_lag_s(shifted_cell(shift_s)) == pytest.approx(shift_s, abs=2 / 60)


def test_trials_at_another_rate_do_not_disturb():
    fast, slow = shifted_cell(0.1), shifted_cell(-0.4, imaging_rate=3.0, duration_s=300.0, noise_level=10.0)
    cell = make_cell(trials=(*fast.trials, slow.trials[0]), trial_numbers=(0, 1, 2), indicator="jGCaMP8m")
    assert response_lag_s(cell) == pytest.approx(0.1, abs=2 / 60)


def test_gaps_in_the_trace_do_not_disturb():
    trial = shifted_cell(0.1).trials[0]
    dff = trial.dff.copy()
    dff[1000:1100] = np.nan
    cell = make_cell(trials=(Trial(trial.time_s, dff, trial.spike_times_s),), trial_numbers=(0,), indicator="jGCaMP8m")
    assert response_lag_s(cell) == pytest.approx(0.1, abs=2 / 60)


def test_silent_short_and_unrelated_recordings_have_no_lag():
    noise = np.random.default_rng(1).normal(0, 1, 6000).astype(np.float32)
    spikes = np.sort(np.random.default_rng(2).uniform(0, 100, 50))
    for trial in (
        Trial(np.arange(6000) / 60, noise, np.empty(0)),
        Trial(np.arange(100) / 60, noise[:100], np.linspace(0, 1.6, 20)),
        Trial(np.arange(6000) / 60, noise, spikes),
    ):
        assert np.isnan(response_lag_s(make_cell(trials=(trial,), trial_numbers=(0,), indicator="jGCaMP8m")))
