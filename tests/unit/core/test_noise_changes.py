"""Where the noise of a trace changes for good, and where it does not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nwb_cascade
from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.noise_changes import changed_clocks, noise_changes
from tests.support.recordings import simulated_dff

FRAMES = 3000


def noise(n_rois: int, std: float = 0.03, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, std, (n_rois, FRAMES)).astype(np.float32)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), factor=st.floats(2.6, 10), at=st.integers(3, 7))
def test_a_change_is_found_where_it_is(seed: int, factor: float, at: int) -> None:
    dff = noise(3, seed=seed)
    dff[1:, at * 300 :] *= factor
    quiet, *loud = noise_changes(dff, 30.0)
    assert quiet == ()
    assert loud == [(at * 300,)] * 2


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000))
def test_neither_noise_nor_a_burst_of_spikes_is_a_change(seed: int) -> None:
    dff = noise(4, seed=seed) + simulated_dff(4, FRAMES)
    dff[0, 900:1500] += np.abs(noise(1, 0.4, seed)[0, :600])
    assert noise_changes(dff, 30.0) == [()] * 4


def test_short_traces_and_traces_without_values_change_nowhere() -> None:
    assert noise_changes(noise(2)[:, :1000], 30.0) == [(), ()]
    assert noise_changes(np.full((1, FRAMES), np.nan), 30.0) == [()]
    assert changed_clocks(np.zeros((0, FRAMES)), FrameClock.from_rate(30.0, FRAMES)) == []


def test_rois_that_change_together_share_a_clock() -> None:
    dff = noise(6)
    dff[[1, 3, 4], 1500:] *= 5
    dff[4, 1500:1800] /= 5  # a window later than the others
    found = [([one.first for one in clock.stretches], rows) for clock, rows in changed_clocks(dff, _clock())]
    assert found == [([0], [0, 2, 5]), ([0, 1500], [1, 3, 4])]


def _clock() -> FrameClock:
    return FrameClock.from_rate(30.0, FRAMES)


def test_each_part_is_told_its_own_noise_level_and_the_others_what_they_were() -> None:
    dff = noise(3) + simulated_dff(3, FRAMES)
    dff[1, 1500:] += noise(1, 0.5)[0, :1500]
    found = nwb_cascade.infer(dff, 30.0, indicator="GCaMP6f")
    alone = nwb_cascade.infer(dff[[0, 2]], 30.0, indicator="GCaMP6f")
    np.testing.assert_allclose(found.expected_spikes[[0, 2]], alone.expected_spikes, atol=2e-5)
    (second,) = [nwb_cascade.infer(dff[1:2, 1500:], 30.0, indicator="GCaMP6f")]
    # the rest level and how active the cell is are those of all that was recorded
    assert np.corrcoef(found.expected_spikes[1, 1500:], second.expected_spikes[0])[0, 1] > 0.99
    (told,) = [one for one in found.warnings if one.code == "noise-changes"]
    assert told.roi == 1
    assert "in frames 0 to 1499" in told.message
    assert f"{second.noise_levels[0]:.2g} in frames 1500 to 2999" in told.message


@pytest.mark.parametrize("level", [1.0, 8.0])
def test_a_noise_level_that_is_given_is_told_and_the_measured_one_kept(level: float) -> None:
    dff = noise(2) + simulated_dff(2, FRAMES)
    measured = nwb_cascade.infer(dff, 30.0).noise_levels
    found = nwb_cascade.infer(dff, 30.0, noise_level=level)
    np.testing.assert_array_equal(found.noise_levels, measured)
    np.testing.assert_allclose(found.model_noise_levels, level, rtol=0.15)  # as dF/F from its rest level has it
    assert found.parameters["noise_level"] == level
