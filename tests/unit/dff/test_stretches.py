"""A baseline ends where a pause begins: the dF/F of a stretch is that of the stretch alone."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.core.stretches import Stretch
from nwb_cascade.dff import DffMethod, DffRows, compute_dff

RATE, N_FRAMES = 10.0, 600
METHODS = (
    DffMethod(),
    DffMethod(neuropil="none", window_s=8.0),
    DffMethod(baseline="percentile", window_s=15.0),
    DffMethod.suite2p(window_s=5.0),
)


def fluorescence(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two ROIs that drift and fire, and their neuropil, of which a few frames are missing."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.normal(0, 1, (2, N_FRAMES)), axis=1)
    transients = 100 * (rng.random((2, N_FRAMES)) < 0.02)
    cells = (1000 + drift + transients + rng.normal(0, 10, (2, N_FRAMES))).astype(np.float32)
    around = rng.normal(300, 10, (2, N_FRAMES)).astype(np.float32)
    cells[:, rng.integers(0, N_FRAMES, 5)] = np.nan
    return cells, around


def split(edges: list[int]) -> tuple[Stretch, ...]:
    """Stretches whose rates differ."""
    bounds = [0, *sorted(set(edges)), N_FRAMES]
    return tuple(Stretch(first, stop, RATE * (1 + number)) for number, (first, stop) in enumerate(pairwise(bounds)))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(20, N_FRAMES - 20), max_size=4, unique_by=lambda edge: edge // 20),
    st.sampled_from(METHODS),
)
def test_the_dff_of_a_stretch_is_that_of_the_stretch_alone(seed, edges, method):
    cells, around = fluorescence(seed)
    stretches = split(edges)
    whole = compute_dff(cells, RATE, method, neuropil=around, stretches=stretches)
    for one in stretches:
        frames = slice(one.first, one.stop)
        alone = compute_dff(cells[:, frames], one.imaging_rate, method, neuropil=around[:, frames])
        np.testing.assert_array_equal(whole.dff[:, frames], alone.dff)


def test_a_recording_without_a_pause_is_one_stretch():
    cells, around = fluorescence(0)
    one = compute_dff(cells, RATE, DffMethod(), neuropil=around, stretches=(Stretch(0, N_FRAMES, RATE),))
    np.testing.assert_array_equal(one.dff, compute_dff(cells, RATE, DffMethod(), neuropil=around).dff)


@pytest.mark.parametrize("method", METHODS)
def test_light_that_is_another_after_a_pause_is_another_baseline(method):
    cells, around = fluorescence(0)
    brighter = np.where(np.arange(N_FRAMES) < 300, 1, 3).astype(np.float32)
    stretches = split([300])
    found = DffRows(cells * brighter, RATE, method, neuropil=around * brighter, stretches=stretches)[:]
    as_before = compute_dff(cells, RATE, method, neuropil=around, stretches=stretches).dff
    np.testing.assert_allclose(found, as_before, atol=1e-4)
    smeared = compute_dff(cells * brighter, RATE, method, neuropil=around * brighter).dff
    assert np.nanmax(np.abs(smeared[:, 280:320] - as_before[:, 280:320])) > 0.5


def test_one_factor_of_the_neuropil_serves_all_stretches():
    rng = np.random.default_rng(0)
    around = rng.normal(300, 30, (1, N_FRAMES)).astype(np.float32)
    cells = (1000 + 0.4 * around + rng.normal(0, 3, (1, N_FRAMES)) + 500 * (np.arange(N_FRAMES) > 400)).astype(
        np.float32
    )
    found = compute_dff(cells, RATE, DffMethod(neuropil="robust"), neuropil=around, stretches=split([401]))
    assert found.neuropil_factor[0] == pytest.approx(0.4, abs=0.02)


def test_a_stretch_without_a_usable_frame_leaves_the_others():
    cells, around = fluorescence(0)
    bad = np.arange(N_FRAMES) < 200
    found = compute_dff(cells, RATE, DffMethod(), neuropil=around, bad_frames=bad, stretches=split([200]))
    alone = compute_dff(cells[:, 200:], 2 * RATE, DffMethod(), neuropil=around[:, 200:])
    assert np.isnan(found.dff[:, :200]).all()
    np.testing.assert_array_equal(found.dff[:, 200:], alone.dff)
