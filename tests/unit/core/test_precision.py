"""Laws of rounding to few bits."""

import gzip

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nwb_cascade.core.precision import DEVIATION_BITS, RATE_BITS, rounded

usual = st.floats(-(2.0**60), 2.0**60, width=32).filter(lambda value: value == 0 or abs(value) > 1e-30)
arrays = hnp.arrays(np.float32, st.integers(1, 20), elements=usual)


@given(arrays, st.integers(1, 22))
def test_the_error_is_at_most_half_of_the_last_bit(values, bits):
    assert np.all(np.abs(rounded(values, bits) - values) <= np.abs(values) * np.float32(2.0 ** -(bits + 1)))


@given(arrays, st.integers(1, 22))
def test_rounding_twice_changes_nothing_more_and_signs_and_order_stay(values, bits):
    once = rounded(values, bits)
    np.testing.assert_array_equal(rounded(once, bits), once)
    np.testing.assert_array_equal(np.sign(once), np.sign(values))
    assert np.all(np.diff(once[np.argsort(values)]) >= 0)


def test_what_is_no_number_stays():
    values = np.array([np.nan, np.inf, -np.inf, 0.0, 1e-45, np.finfo(np.float32).max], np.float32)
    np.testing.assert_array_equal(rounded(values, 10)[:5], values[:5])


def test_the_values_given_are_left_alone_and_the_sum_stays():
    values = np.random.default_rng(0).exponential(0.05, 100_000).astype(np.float32)
    before = values.copy()
    assert abs(rounded(values, RATE_BITS).sum(dtype=float) / values.sum(dtype=float) - 1) < 1e-5
    np.testing.assert_array_equal(values, before)


def test_rates_and_deviations_need_less_than_half_of_the_room():
    values = np.random.default_rng(0).exponential(0.05, (2, 50_000)).astype(np.float32)

    def size(numbers):
        return len(gzip.compress(numbers.view(np.uint8).reshape(-1, 4).T.tobytes(), 4))  # shuffled as HDF5 does

    few = size(rounded(values[0], RATE_BITS)) + size(rounded(values[1], DEVIATION_BITS))
    assert few < 0.5 * (size(values[0]) + size(values[1]))
