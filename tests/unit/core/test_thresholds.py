"""Threshold modes do what their names say and never touch NaN."""

import numpy as np
import pytest

from nwb_cascade.core.thresholds import apply_threshold
from nwb_cascade.errors import InputError

RATES = np.array([[np.nan, -0.2, 0.1, 0.3, 0.1, 0.1, 0.0], [np.nan, -0.1, 0.1, 0.1, 0.1, 0.1, 0.1]], np.float32)


@pytest.mark.parametrize(
    ("mode", "dilation", "first", "second"),
    [
        ("raw", 1, [-0.2, 0.1, 0.3, 0.1, 0.1, 0.0], [-0.1, 0.1, 0.1, 0.1, 0.1, 0.1]),
        ("nonnegative", 1, [0, 0.1, 0.3, 0.1, 0.1, 0], [0, 0.1, 0.1, 0.1, 0.1, 0.1]),
        ("single-spike", 0, [0, 0, 0.3, 0, 0, 0], [0, 0, 0, 0, 0, 0]),
        ("single-spike", 1, [0, 0.1, 0.3, 0.1, 0, 0], [0, 0, 0, 0, 0, 0]),
        ("single-spike", None, [0, 0.1, 0.3, 0.1, 0.1, 0], [0, 0, 0, 0, 0, 0]),
    ],
)
def test_modes(mode, dilation, first, second):
    before = RATES.copy()
    result = apply_threshold(RATES, mode, spike_peak=0.5, dilation_frames=dilation)
    np.testing.assert_allclose(result[:, 1:], [first, second], atol=1e-7)
    assert np.isnan(result[:, 0]).all()
    np.testing.assert_array_equal(RATES, before)


def test_unknown_mode_names_the_known_ones():
    with pytest.raises(InputError, match=r"out of raw, nonnegative, single-spike, received 'hard'"):
        apply_threshold(RATES, "hard", spike_peak=0.5, dilation_frames=1)
