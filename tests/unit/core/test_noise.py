"""The noise level follows its definition and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.core.noise import noise_level, noise_std


@given(st.floats(1e-3, 1e3), st.floats(0.5, 200))
def test_scales_with_dff_and_falls_with_the_root_of_the_rate(scale, rate):
    dff = np.random.default_rng(0).normal(size=(2, 100))
    np.testing.assert_allclose(noise_level(scale * dff, rate), scale * noise_level(dff, 1.0) / np.sqrt(rate), rtol=1e-5)


def test_white_noise_gives_the_published_constant():
    dff = np.random.default_rng(0).normal(0, 0.1, size=(1, 1_000_000))
    assert noise_level(dff, 25.0)[0] == pytest.approx(0.954 * 100 * 0.1 / 5, rel=0.005)
    assert noise_std(noise_level(dff, 25.0), 25.0) == pytest.approx(0.1, rel=0.005)


def test_missing_frames_are_left_out():
    dff = np.random.default_rng(0).normal(size=(1, 200))
    with_gap = np.insert(dff, 100, np.nan, axis=1)
    pairs = np.abs(np.diff(dff[0]))
    expected = 100 * np.median(np.delete(pairs, 99)) / np.sqrt(30)
    assert noise_level(with_gap, 30.0)[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("trace", [[np.nan] * 5, [1.0], [1.0, np.nan, 1.0]])
def test_no_neighbouring_frames_give_nan(trace):
    assert np.isnan(noise_level(np.array([trace]), 30.0)).all()
