"""What only ROIs together show: the same cell twice, and a signal that all share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.core.population import Population
from tests.support.recordings import simulated_dff

RATE, N_ROIS, N_FRAMES = 30.0, 20, 6000


def warnings_of(dff: np.ndarray, *edges: int) -> list[tuple[int, str]]:
    population = Population(dff.shape[1], RATE)
    for first, stop in zip((0, *edges), (*edges, len(dff)), strict=True):
        population.add(first, dff[first:stop])
    return [(one.roi, one.code) for one in population.warnings()]


def clean(seed: int = 0) -> np.ndarray:
    return simulated_dff(N_ROIS, N_FRAMES, seed=seed)


def neuropil(seed: int = 1) -> np.ndarray:
    """What the light of all neighbours does: slow, and the same for all."""
    steps = np.random.default_rng(seed).normal(size=N_FRAMES // 60)
    return np.repeat(steps, 60).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_cells_of_their_own_raise_nothing(seed):
    assert warnings_of(clean(seed)) == []


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, N_ROIS - 1), unique=True, max_size=4).map(sorted))
def test_a_cell_that_is_there_twice_is_told_however_traces_are_read(edges):
    dff = clean()
    dff[17] = 1.3 * dff[4] + 0.1  # the same light, another F0
    assert warnings_of(dff, *edges) == [(17, "repeats")]


def test_masks_that_overlap_for_the_most_part_are_one_cell():
    dff, rng = clean(), np.random.default_rng(0)
    dff[17] = dff[4] + rng.normal(0, 0.03, N_FRAMES)
    assert warnings_of(dff) == [(17, "repeats")]
    dff[17] = dff[4] + rng.normal(0, 0.3, N_FRAMES)
    assert warnings_of(dff) == []


def test_a_signal_that_all_share_is_told_of_those_that_it_dominates():
    dff = clean()
    dff[:15] += 2 * neuropil()
    found = warnings_of(dff)
    assert {code for _, code in found} == {"shared-signal"}
    assert [roi for roi, _ in found] == list(range(15))
    assert warnings_of(clean() + 0.1 * neuropil()) == []


def test_bleaching_that_all_share_is_no_signal():
    assert warnings_of(clean() - np.linspace(0, 3, N_FRAMES, dtype=np.float32)) == []


def test_missing_frames_do_not_count():
    dff = clean()
    dff[17] = dff[4]
    dff[:, 100:400] = np.nan
    dff[9] = np.nan
    assert warnings_of(dff) == [(17, "repeats")]


@pytest.mark.parametrize("shape", [(1, N_FRAMES), (3, 1), (12, 2), (12, 40), (0, 100)])
def test_recordings_too_small_to_tell_say_nothing(shape):
    assert warnings_of(np.random.default_rng(0).normal(size=shape).astype(np.float32)) == []


def test_rois_that_do_not_change_are_no_repeats():
    assert warnings_of(np.zeros((12, N_FRAMES), np.float32)) == []
