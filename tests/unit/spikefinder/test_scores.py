"""Accuracy, thresholds, latent analysis, expected spikes in bins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.spikefinder.calibrated import ExpectedSpikes, spikes_per_bin, window_scores
from nwb_cascade.spikefinder.clock import best_shifts, measured_lags, with_later_expectation, with_later_spikes
from nwb_cascade.spikefinder.latents import linear_boundary, principal_components
from nwb_cascade.spikefinder.neurons import Neuron, Segment, neuron_from
from nwb_cascade.spikefinder.results import score, summaries, to_csv
from nwb_cascade.spikefinder.scores import best_threshold, confusion
from nwb_cascade.spikefinder.windows import Windows, first_middle_bin
from tests.support.simulated_recordings import simulated_recording


def test_confusion_counts_every_window_once():
    found = confusion(np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 1, 1, 0], bool))
    assert (found.true_positive, found.false_negative, found.false_positive, found.true_negative) == (2, 1, 1, 1)
    assert found.accuracy == pytest.approx(0.6)
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\)"):
        confusion(np.ones(2, bool), np.ones(3, bool))


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_no_other_threshold_tells_more_windows_right(pairs):
    labels, scores = np.array([one for one, _ in pairs]), np.array([float(one) for _, one in pairs])
    found = np.mean((scores > best_threshold(labels, scores)) == labels)
    others = [np.mean((scores > bound) == labels) for bound in (-np.inf, *(scores + 0.5), np.inf)]
    assert found == max(others)


def latents(n=600):
    """Latents whose second, small dimension knows the label, beside a large one that does not."""
    generator = np.random.default_rng(0)
    labels = generator.random(n) < 0.5
    values = generator.normal(size=(n, 4)) * [10, 0.1, 1, 1]
    values[:, 1] += np.where(labels, 0.3, -0.3)
    return values, labels


def test_components_share_out_all_variance_and_turn_towards_spikes():
    values, labels = latents()
    found = principal_components(values, labels)
    assert found.explained.size == 4
    assert found.explained.sum() == pytest.approx(1)
    assert found.explained[0] > 0.9
    assert found.projected[labels, 0].mean() >= found.projected[~labels, 0].mean()


def test_the_boundary_finds_the_dimension_that_knows_the_label():
    values, labels = latents()
    boundary = linear_boundary(values, labels)
    assert np.mean(boundary.predict(values) == labels) > 0.95
    assert np.argmax(np.abs(boundary.normal) / values.std(axis=0)) == 1
    assert boundary.normal[1] > 0
    towards, away = boundary.along_normal(np.array([3.0, -3.0]))
    assert boundary.predict(np.stack([towards, away])).tolist() == [True, False]


@settings(deadline=None)
@given(st.floats(3, 120), st.integers(3, 40), st.integers(0, 999))
def test_expected_spikes_are_divided_among_bins_without_loss(rate, n_frames, seed):
    expected = np.random.default_rng(seed).random(n_frames)
    times = 5.0 + np.arange(n_frames) / rate
    n_bins = int(n_frames / rate * 100) + 200
    per_bin = spikes_per_bin(expected, times, rate, n_bins, 5.0 - 1.0)
    assert per_bin.sum() == pytest.approx(expected.sum())
    assert per_bin.min() >= 0


def test_a_frame_of_a_bin_keeps_its_value_and_missing_frames_count_as_nothing():
    expected = np.array([0.1, np.nan, 0.3, -0.2])
    np.testing.assert_allclose(spikes_per_bin(expected, np.arange(4) / 100, 100.0, 4, 0.0), [0.1, 0, 0.3, 0])


def test_windows_are_scored_by_their_middle_bins():
    per_bin = np.arange(100, dtype=float)
    expected = ExpectedSpikes("model", ((per_bin,),), (True,))
    zeros, starts = np.zeros(2, np.int64), np.array([0, 30])
    windows = Windows(np.zeros((2, 20), np.float32), np.array([True, False]), zeros, zeros, starts)
    middle = first_middle_bin(20)
    assert window_scores(expected, windows).tolist() == [per_bin[s + middle : s + middle + 5].sum() for s in starts]


def test_a_late_clock_is_measured_and_mended_on_training_neurons():
    neurons = [neuron_from(simulated_recording("DS10", cell, seed=seed)) for seed, cell in enumerate("ab", start=1)]
    lag = measured_lags(neurons, [0, 1])["DS10"]
    late = with_later_spikes(neurons, {"DS10": -0.1})
    assert abs(lag) < 0.03
    # The spikes stand 100 ms too early: the same lag, measured on the clock as it is then, is 100 ms longer.
    moved = [neuron_from(_earlier(neuron, 0.1)) for neuron in neurons]
    assert measured_lags(moved, [0, 1])["DS10"] == pytest.approx(lag + 0.1, abs=0.02)
    for one, other in zip(late, moved, strict=True):
        np.testing.assert_array_equal(one.segments[0].counts, other.segments[0].counts)
    assert measured_lags(neurons, []) == {"DS10": 0.0}


def _earlier(neuron, seconds):
    from dataclasses import replace

    recording = neuron.recording
    trials = tuple(replace(one, spike_times=one.spike_times - seconds) for one in recording.trials)
    return replace(recording, trials=trials)


def test_the_offset_of_expected_spikes_is_found_and_applied():
    generator = np.random.default_rng(0)
    counts = (generator.random(3000) < 0.02).astype(np.int64)
    recording = simulated_recording("DS10").__class__("DS10", "a", "m", "GCaMP6f", ())
    neurons = [Neuron(recording, (Segment(0.0, np.zeros(3000, np.float32), counts),))]
    early = np.roll(counts.astype(float), -7)
    expected = ExpectedSpikes("model", ((early,),), (True,))
    shifts = best_shifts(neurons, [0], expected)
    assert shifts == {"DS10": 7}
    np.testing.assert_array_equal(with_later_expectation(neurons, expected, shifts).per_bin[0][0][7:], counts[7:])
    assert best_shifts(neurons, [], expected) == {"DS10": 0}


def test_means_and_spreads_over_repetitions():
    half, whole = (
        confusion(np.array([1, 0], bool), np.array([1, 1], bool)),
        confusion(np.array([1], bool), np.array([1], bool)),
    )
    scores = [score("classifier", 20, seed, "held-out", found) for seed, found in enumerate((half, whole))]
    (mean,) = summaries(scores)
    assert (mean.accuracy, mean.seeds) == (0.75, 2)
    assert mean.spread == pytest.approx(np.std([0.5, 1.0], ddof=1))
    assert to_csv([mean]).splitlines()[0] == "method,size,windows,accuracy,spread,seeds"
