"""Trial and Cell: validated once, figures that follow."""

import numpy as np
import pytest

from ground_truth_nwb.cell_summary import summarise_cell
from ground_truth_nwb.cells import Cell, Remark, Trial
from ground_truth_nwb.noise import LEVEL_PER_STD, noise_level
from nwb_cascade.core import noise as core_noise
from tests.support.ground_truth_files import make_cell, make_trial


def trial_of(**changes):
    fields = {"time_s": np.arange(5) / 10, "dff": np.zeros(5, np.float32), "spike_times_s": np.empty(0)}
    return Trial(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dff": np.zeros(5)}, "Expected dff as a vector of float32, received shape \\(5,\\) of float64"),
        ({"dff": np.zeros((5, 1), np.float32)}, "Expected dff as a vector of float32, received shape \\(5, 1\\)"),
        ({"dff": np.zeros(4, np.float32)}, "received 5 times and 4 values"),
        ({"time_s": np.array([0.0, 0.1, 0.1, 0.2, 0.3])}, "strictly ascending frame times"),
        ({"time_s": np.array([0.0, 0.1, np.nan, 0.2, 0.3])}, "finite, strictly ascending frame times"),
        ({"spike_times_s": np.array([0.2, 0.1])}, "finite, ascending spike times"),
        ({"first_valid_frame": 4}, "leave at least 2 of 5 frames, received 4"),
        ({"first_valid_frame": -1}, "received -1"),
    ],
)
def test_trial_refuses_what_it_does_not_promise(changes, message):
    with pytest.raises(ValueError, match=message):
        trial_of(**changes)


def test_equal_spike_times_are_two_spikes():
    assert trial_of(spike_times_s=np.array([0.1, 0.1])).spike_times_s.size == 2


def test_imaging_rate_leaves_gaps_out():
    times = np.concatenate([np.arange(10) / 20, 5 + np.arange(10) / 20])
    assert trial_of(time_s=times, dff=np.zeros(20, np.float32)).imaging_rate == pytest.approx(20.0)


def test_imaging_rate_of_quantised_times_is_that_of_the_whole_trial():
    times = np.round(np.arange(3000) / 121.97, 5)
    rate = Trial(times, np.zeros(3000, np.float32), np.empty(0)).imaging_rate
    assert rate == pytest.approx(121.97, rel=1e-6)


def test_valid_part_begins_at_the_first_valid_frame_and_keeps_all_spikes():
    trial = trial_of(first_valid_frame=2, spike_times_s=np.array([0.05]))
    assert trial.valid().time_s.tolist() == [0.2, 0.3, 0.4]
    assert trial.valid().first_valid_frame == 0
    assert trial.valid().spike_times_s.tolist() == [0.05]


def test_spikes_count_as_imaged_up_to_half_a_frame_beyond_the_outer_frames():
    spikes = np.array([-0.06, -0.04, 0.2, 0.44, 0.46])
    assert trial_of(spike_times_s=spikes).n_spikes_imaged() == 3


def test_trials_are_numbered_unless_the_source_skips_some():
    cell = Cell("DS01", "1", "a", "OGB-1", (make_trial(), make_trial()))
    assert cell.trial_numbers == (0, 1)
    with pytest.raises(ValueError, match="one trial number for each of 2 trials, received 1"):
        Cell("DS01", "1", "a", "OGB-1", (make_trial(), make_trial()), trial_numbers=(0,))


def test_remarks_list_what_was_dropped_before_what_is_unusual():
    cell = make_cell(dropped=(Remark("a", "A."),), notes=(Remark("b", "B."),))
    assert [remark.code for remark in cell.remarks()] == ["a", "b"]


def test_summary_adds_trials_up_and_leaves_dark_frames_out_of_the_noise():
    trial = make_trial()
    dark = trial.dff.copy()
    dark[:3] = [-50.0, 50.0, -50.0]
    cells = [
        make_cell(trials=(Trial(trial.time_s, dark, trial.spike_times_s, first),), trial_numbers=(0,))
        for first in (0, 3)
    ]
    with_dark, without = map(summarise_cell, cells)
    assert without.n_spikes == 3
    assert without.minutes == pytest.approx(39 / 20 / 60)
    assert without.noise_level == pytest.approx(noise_level(dark[3:], trial.imaging_rate))
    assert with_dark.noise_level != without.noise_level


def test_summary_weights_trials_by_their_duration():
    slow, fast = make_trial(n_frames=100, rate=2.0), make_trial(n_frames=100, rate=30.0)
    cell = make_cell(trials=(fast, slow, fast), trial_numbers=(0, 1, 2))
    assert summarise_cell(cell).imaging_rate_hz == pytest.approx(2.0)


def test_noise_level_is_that_of_the_core():
    dff = np.random.default_rng(3).normal(size=200).astype(np.float32)
    dff[50:60] = np.nan
    assert noise_level(dff, 17.0) == pytest.approx(float(core_noise.noise_level(dff[None], 17.0)[0]), rel=1e-6)
    assert np.isnan(noise_level(np.full(5, np.nan), 17.0))
    assert LEVEL_PER_STD == core_noise.LEVEL_PER_STD
