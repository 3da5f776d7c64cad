"""Training: batches that depend on seed and step alone, resuming after a kill, held-out sets that stay outside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nwb_cascade.architectures.conditional_sizes import ConditionalSizes
from nwb_cascade.training.bank import RateRange, make_bank, resample_trial
from nwb_cascade.training.batches import Augmentation, draw_batch
from nwb_cascade.training.conditional_training import conditional_trainee
from nwb_cascade.training.steps import TrainingSettings, train_network
from tests.support.simulated_recordings import simulated_recording

# Keras reads TensorFlow variables in a way that NumPy 2 will stop supporting.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SIZES = ConditionalSizes(widths=(4, 6), depths=(1, 1), condition=4, embedding=2, indicators=("GCaMP6f",))
SETTINGS = TrainingSettings(
    n_steps=6, batch_size=4, n_frames=64, warmup_steps=2, decay_steps=2, checkpoint_steps=2, average_momentum=0.5
)


@pytest.fixture(scope="module")
def bank():
    recordings = [simulated_recording("DS10", cell, seed=index) for index, cell in enumerate("ab")]
    return make_bank(recordings, SIZES.indicator_code, np.random.default_rng(0), versions=2)


def make():
    return conditional_trainee(SIZES)


def batch(bank, seed, **options):
    options = {"batch_size": 6, "n_frames": 96, "augmentation": Augmentation(), **options}
    return draw_batch(bank, np.random.default_rng(seed), **options)


def test_a_batch_depends_on_its_seed_alone(bank):
    one, same, other = batch(bank, 1), batch(bank, 1), batch(bank, 2)
    assert np.array_equal(one.trace, same.trace)
    assert np.array_equal(one.counts, same.counts)
    assert not np.array_equal(one.trace, other.trace)


def test_absent_frames_are_zero_in_trace_and_counts(bank):
    one = batch(bank, 3, n_frames=4096)
    absent = one.present == 0
    assert absent.any()
    assert (one.trace[absent] == 0).all()
    assert (one.counts[absent] == 0).all()


def test_noise_reaches_the_level_that_the_network_is_told(bank):
    quiet = Augmentation(
        noise_levels=(6, 6), high_noise_share=0, gain_spread=0, drift_share=0, gap_share=0, noise_spread=0
    )
    one = batch(bank, 4, batch_size=40, n_frames=400, augmentation=quiet)
    measured = [
        100 * np.median(np.abs(np.diff(trace[there > 0]))) / np.sqrt(rate)
        for trace, there, rate in zip(one.trace, one.present, one.imaging_rate, strict=True)
    ]
    assert np.median(np.array(measured) / one.noise_level) == pytest.approx(1, abs=0.06)
    assert one.noise_level == pytest.approx(6, rel=0.01)


def test_some_crops_are_told_no_indicator(bank):
    told = batch(bank, 5, batch_size=200, unknown_share=0.3).indicator
    assert (told == 0).mean() == pytest.approx(0.3, abs=0.1)
    assert set(told.tolist()) == {0, 1}


def test_cells_without_spikes_are_silent_and_slow_ones_are_told_only_as_indicators_of_many_cells(bank):
    one = batch(bank, 6, batch_size=200, silent_share=1.0, unknown_share=0.0)
    assert not one.counts.any()
    slow = one.indicator == 0
    assert slow.mean() == pytest.approx(0.2, abs=0.1)  # what is only noise keeps its code
    known = replace(bank, well_known=frozenset({1}))
    assert batch(known, 6, batch_size=200, silent_share=1.0, unknown_share=0.0).indicator.all()
    rest = np.array(
        [row[there > 0].mean() for row, there in zip(one.from_rest[~slow], one.present[~slow], strict=True)]
    )
    assert abs(np.median(rest)) < 0.02


def test_crops_are_read_from_the_rest_level_of_their_trial(bank):
    still = Augmentation(baseline_spread=0, drift_share=0, gap_share=0)
    moved = [
        [[replace(s, trace=0.8 * (1 + s.trace) - 1, noise_level=0.8 * s.noise_level) for s in cell] for cell in one]
        for one in bank.cells
    ]
    moved = replace(bank, cells=moved)
    right, wrong = (
        batch(one, 7, augmentation=replace(still, noise_levels=(0.1, 0.1), high_noise_share=0)) for one in (bank, moved)
    )
    assert np.abs(wrong.trace - right.trace).max() > 0.1
    np.testing.assert_allclose(wrong.from_rest, right.from_rest, atol=0.02)
    np.testing.assert_allclose(wrong.activity, right.activity, atol=0.02)


def test_frames_far_from_spikes_count_more(bank):
    one = batch(bank, 8, n_frames=400)
    for counts, weight, rate in zip(one.counts, one.weight, one.imaging_rate, strict=True):
        near = np.convolve(counts > 0, np.ones(2 * max(int(2 * rate), 1) + 1), "full")
        reach = max(int(2 * rate), 1)
        np.testing.assert_allclose(
            weight / weight.min() if (near > 0).any() else 2.0, np.where(near[reach:-reach] > 0, 1.0, 2.0), rtol=1e-5
        )


def test_crops_hold_the_spikes_of_their_frames():
    recording = simulated_recording(noise=0.0)
    bank = make_bank(
        [recording], lambda name: 1, np.random.default_rng(0), versions=1, rates=RateRange((60, 60), (60, 60))
    )
    for segment in bank.cells[0][0]:
        onsets = np.flatnonzero(segment.counts)
        rise = np.diff(segment.trace, prepend=segment.trace[0])
        # The mean over a frame rises in the frame of the spike and the next.
        assert all(rise[frame : frame + 2].max() > 0.05 for frame in onsets[:-1])


@pytest.mark.parametrize(("own", "highest"), [(30.0, 36.0), (7.5, 35.0), (200.0, 122.0)])
def test_recordings_are_not_brought_far_above_their_own_rate(own, highest):
    generator = np.random.default_rng(0)
    drawn = [RateRange().draw(own, generator) for _ in range(300)]
    assert max(drawn) <= highest + 1e-9
    assert min(drawn) >= 1


def test_recordings_too_short_to_train_on_are_refused():
    recording = simulated_recording(seconds=0.3)
    with pytest.raises(ValueError, match="24 frames or more"):
        make_bank([recording], lambda name: 1, np.random.default_rng(0))


def test_a_training_that_was_interrupted_ends_where_the_uninterrupted_one_ends(bank, tmp_path):
    whole = train_network(make, bank, SETTINGS, tmp_path / "whole")

    class KilledError(Exception):
        pass

    def kill(step, n_steps, losses):
        if step == 4:
            raise KilledError

    with pytest.raises(KilledError):
        train_network(make, bank, SETTINGS, tmp_path / "killed", progress=kill)
    resumed = train_network(make, bank, SETTINGS, tmp_path / "killed")
    assert resumed.history == whole.history
    for name, value in whole.weights.items():
        assert resumed.weights[name] == pytest.approx(value, abs=1e-6), name


def test_a_training_can_be_prolonged_before_its_learning_rate_falls_but_not_after(bank, tmp_path):
    longer = replace(SETTINGS, n_steps=20)

    class KilledError(Exception):
        pass

    def kill(step, n_steps, losses):
        raise KilledError

    with pytest.raises(KilledError):
        train_network(make, bank, longer, tmp_path, progress=kill)
    trained = train_network(make, bank, SETTINGS, tmp_path)
    assert [losses["step"] for losses in trained.history] == [2, 4, 6]
    with pytest.raises(ValueError, match="other settings"):
        train_network(make, bank, longer, tmp_path)


def test_a_checkpoint_of_another_training_is_refused(bank, tmp_path):
    train_network(make, bank, SETTINGS, tmp_path)
    with pytest.raises(ValueError, match="other settings or sizes"):
        train_network(make, bank, replace(SETTINGS, learning_rate=1.0), tmp_path)


def test_held_out_recordings_are_scored_and_change_nothing(bank, tmp_path):
    alone = train_network(make, bank, SETTINGS, tmp_path / "alone")
    watched = train_network(make, bank, SETTINGS, tmp_path / "watched", held_out=bank)
    assert all("held_out_loss" in losses for losses in watched.history)
    for name, value in alone.weights.items():
        assert watched.weights[name] == pytest.approx(value, abs=1e-6), name


def test_training_lowers_the_loss(bank, tmp_path):
    settings = replace(SETTINGS, n_steps=60, decay_steps=20, checkpoint_steps=20, batch_size=8)
    history = train_network(make, bank, settings, tmp_path).history
    assert history[-1]["loss"] < history[0]["loss"]


def test_frame_jitter_moves_the_fluorescence_but_not_the_spikes():
    trial = simulated_recording("DS10", "a").trials[0]
    steady, jittered = (
        resample_trial(trial, 20.0, 1.0, 0, np.random.default_rng(3), frame_jitter=jitter) for jitter in (0.0, 0.1)
    )
    assert np.array_equal(steady.counts, jittered.counts)
    assert not np.array_equal(steady.trace, jittered.trace)
    assert np.corrcoef(steady.trace, jittered.trace)[0, 1] > 0.95
