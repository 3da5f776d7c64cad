"""Spike trains are paired one to one, as many as possible."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from nwb_cascade.discrete import match_spikes
from nwb_cascade.errors import InputError

trains = st.lists(st.integers(0, 100), max_size=25)


@given(true=trains, inferred=trains, tolerance=st.integers(0, 12))
def test_the_number_of_pairs_is_the_largest_possible(true, inferred, tolerance):
    match = match_spikes(true, inferred, tolerance)
    if not true or not inferred:
        return
    close = np.abs(np.subtract.outer(true, inferred)) <= tolerance
    pairs = np.sum(maximum_bipartite_matching(csr_matrix(close)) >= 0)
    assert match.precision == pytest.approx(pairs / len(inferred))
    assert match.recall == pytest.approx(pairs / len(true))
    assert match.f1 == pytest.approx(2 * pairs / (len(true) + len(inferred)))


@given(true=trains, inferred=trains, tolerance=st.integers(0, 12))
def test_exchanging_the_trains_exchanges_precision_and_recall(true, inferred, tolerance):
    forth, back = match_spikes(true, inferred, tolerance), match_spikes(inferred, true, tolerance)
    np.testing.assert_array_equal([forth.precision, forth.recall, forth.f1], [back.recall, back.precision, back.f1])


def test_empty_trains_have_no_score_where_none_is_defined():
    both = match_spikes([], [], 0.05)
    assert np.isnan([*both]).all()
    only_inferred = match_spikes([], [1.0], 0.05)
    assert (only_inferred.precision, only_inferred.f1) == (0.0, 0.0)
    assert np.isnan(only_inferred.recall)


@pytest.mark.parametrize(
    ("true", "inferred", "tolerance", "message"),
    [
        ([1.0], [1.0], -0.1, "tolerance_s >= 0"),
        ([1.0], [1.0], float("nan"), "tolerance_s >= 0"),
        ([[1.0]], [1.0], 0.1, r"true_times as a 1-D .* \(1, 1\)"),
        ([1.0], [np.nan], 0.1, "inferred_times as a 1-D array of finite times"),
    ],
)
def test_bad_input_is_refused(true, inferred, tolerance, message):
    with pytest.raises(InputError, match=message):
        match_spikes(true, inferred, tolerance)
