"""Every repair of a source trial is on purpose and leaves a remark."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ground_truth_nwb.trial_checks import clean_trial

NO_SPIKES = np.empty(0)


def clean(times=None, dff=None, spikes=NO_SPIKES, n_frames=50):
    times = np.arange(n_frames) / 10 if times is None else np.asarray(times, float)
    dff = np.linspace(0.0, 0.3, n_frames) if dff is None else dff
    return clean_trial(times, np.asarray(dff), np.asarray(spikes, float), 7)


def counts(remarks):
    return {remark.code: remark.count for remark in remarks}


def test_clean_trial_passes_unchanged():
    dff = np.random.default_rng(0).normal(0, 0.1, 50).astype(np.float32)
    trial, dropped, notes = clean(dff=dff, spikes=[0.5, 1.25])
    assert dropped == notes == []
    np.testing.assert_array_equal(trial.dff, dff)
    np.testing.assert_array_equal(trial.spike_times_s, [0.5, 1.25])


def test_values_without_a_time_at_the_end_are_dropped():
    trial, dropped, _ = clean(times=np.arange(30) / 10, n_frames=50)
    assert trial.n_frames == 30
    assert counts(dropped) == {"frames-unpaired": 20}
    assert "50 dF/F values and 30 times" in dropped[0].text
    assert dropped[0].trial == 7


def test_frames_without_a_time_are_dropped_wherever_they_are():
    times = np.arange(50) / 10
    times[:5] = np.nan
    times[20] = np.inf
    trial, dropped, _ = clean(times=times)
    assert trial.time_s[0] == 0.5
    assert trial.n_frames == 44
    assert counts(dropped) == {"frames-without-time": 6}


def test_repeated_last_frame_is_dropped():
    times = np.arange(50) / 10
    times[-1] = times[-2]
    trial, dropped, _ = clean(times=times)
    assert trial.n_frames == 49
    assert counts(dropped) == {"frames-repeated": 1}


def test_frames_that_step_back_in_time_are_dropped_until_time_goes_on():
    times = np.array([0.0, 0.1, 0.2, 0.05, 0.15, 0.3, 0.4])
    trial, dropped, _ = clean(times=times, n_frames=7)
    assert trial.time_s.tolist() == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert counts(dropped) == {"frames-repeated": 2}


def test_missing_values_are_kept_as_nan_and_noted():
    dff = np.full(50, 0.1)
    dff[10:13] = np.nan
    trial, dropped, notes = clean(dff=dff)
    assert np.isnan(trial.dff[10:13]).all()
    assert dropped == []
    assert counts(notes) == {"values-missing": 3}


def test_infinite_values_become_nan():
    dff = np.full(50, 0.1)
    dff[3] = -np.inf
    trial, dropped, _ = clean(dff=dff)
    assert np.isnan(trial.dff[3])
    assert counts(dropped) == {"values-infinite": 1}


def test_padding_and_disorder_of_spikes_are_noted():
    trial, dropped, notes = clean(spikes=[2.0, 1.0, 1.0, np.nan, np.nan])
    assert trial.spike_times_s.tolist() == [1.0, 1.0, 2.0]
    assert dropped == []
    assert counts(notes) == {"spikes-padded": 2, "spikes-unsorted": 1}


def test_spikes_outside_the_imaged_time_are_kept_and_noted():
    trial, _, notes = clean(spikes=[-3.0, 1.0, 400.0])
    assert trial.spike_times_s.size == 3
    assert counts(notes) == {"spikes-outside-imaging": 2}


@pytest.mark.parametrize("dark", [[-0.98], [-0.8, -0.81, -0.8], [-0.85, -0.86, -0.4]])
def test_frames_behind_a_closed_shutter_are_marked_not_removed(dark):
    dff = np.random.default_rng(1).normal(0.2, 0.05, 200)
    dff[: len(dark)] = dark
    trial, dropped, notes = clean(dff=dff, n_frames=200)
    assert trial.n_frames == 200
    assert trial.first_valid_frame == len(dark)
    assert dropped == []
    assert counts(notes) == {"frames-dark": len(dark)}


def test_noisy_trial_without_a_shutter_has_no_dark_frames():
    dff = np.random.default_rng(2).normal(0.0, 0.5, 500)
    dff[0] = -0.9
    trial, _, notes = clean(dff=dff, n_frames=500)
    assert trial.first_valid_frame == 0
    assert notes == []


def test_padding_with_zeros_is_marked():
    dff = np.random.default_rng(3).normal(0.2, 0.05, 100)
    dff[:33] = 0.0
    trial, _, notes = clean(dff=dff, n_frames=100)
    assert trial.first_valid_frame == 33
    assert counts(notes) == {"frames-padded": 33}


def test_zeros_of_a_quantised_trace_are_not_padding():
    dff = np.tile([0.0, 0.0, 0.1, 0.0], 25)
    assert clean(dff=dff, n_frames=100)[0].first_valid_frame == 0


def test_a_trace_of_zeros_alone_stays():
    trial, _, _ = clean(dff=np.zeros(50))
    assert trial.first_valid_frame == 0


@pytest.mark.parametrize("scale", [100.0, 300.0])
def test_percent_or_a_vanishing_baseline_is_noted(scale):
    dff = np.abs(np.random.default_rng(4).normal(0.0, 0.3, 200)) * scale
    _, _, notes = clean(dff=dff, n_frames=200)
    assert counts(notes) == {"dff-implausible": 1}


@pytest.mark.parametrize("dff", [np.full(50, np.nan), np.array([0.1])])
def test_trial_without_usable_frames_is_left_out(dff):
    trial, dropped, notes = clean(dff=dff)
    assert trial is None
    assert dropped[-1].code == "trial-too-short"
    assert notes == []


@settings(deadline=None)
@given(
    times=arrays(float, st.integers(0, 30), elements=st.floats(-10, 10) | st.just(np.nan)),
    dff=arrays(np.float32, st.integers(0, 30), elements=st.floats(-2, 2, width=32) | st.just(np.nan)),
    spikes=arrays(float, st.integers(0, 10), elements=st.floats(-20, 20) | st.just(np.nan)),
)
@example(np.array([-1.0, 0.0, 5e-324]), np.zeros(3, np.float32), np.zeros(0))
def test_any_input_gives_a_valid_trial_or_a_reason(times, dff, spikes):
    trial, dropped, _ = clean_trial(times, dff, spikes, 0)
    if trial is None:
        assert dropped
        return
    removed = sum(remark.count for remark in dropped if remark.code.startswith("frames-"))
    assert trial.n_frames + removed == max(times.size, dff.size)
    assert trial.spike_times_s.size == np.isfinite(spikes).sum()
