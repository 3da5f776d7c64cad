"""Traces are validated once, with a sentence that says what to do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.core.traces import DffTraces
from nwb_cascade.errors import InputError


@pytest.mark.parametrize(
    ("dff", "rate", "message"),
    [
        (np.zeros(1200), 30.0, r"received \(1200,\)\. For one ROI pass dff\[None, :\]"),
        (np.zeros((2, 3, 4)), 30.0, r"shape \(n_rois, n_frames\), received \(2, 3, 4\)"),
        (np.zeros((2, 3)), 0.0, "positive imaging rate in Hz, received 0.0"),
        (np.zeros((2, 3)), float("nan"), "positive imaging rate in Hz, received nan"),
        (np.array([["a", "b"]]), 30.0, "dff as numbers"),
        (np.zeros((2, 3), complex), 30.0, "dff as numbers"),
    ],
)
def test_bad_traces(dff, rate, message):
    with pytest.raises(InputError, match=message):
        DffTraces.from_array(dff, rate)


def test_ids_must_match():
    with pytest.raises(InputError, match="Expected 2 ROI ids"):
        DffTraces.from_array(np.zeros((2, 3)), 30.0, roi_ids=[1, 2, 3])


@given(st.integers(0, 7), st.integers(0, 9), st.integers(1, 200))
def test_blocks_reassemble_to_the_matrix(n_rois, n_frames, max_bytes):
    dff = np.random.default_rng(0).normal(size=(n_rois, n_frames)).astype(np.float32)
    blocks = list(DffTraces.from_array(dff, 30.0).blocks(max_bytes))
    np.testing.assert_array_equal(np.concatenate([b for _, b in blocks]) if blocks else dff[:0], dff)
    assert all(b.shape[0] == r.stop - r.start for r, b in blocks)
    assert all(b.nbytes <= max_bytes or len(b) == 1 for _, b in blocks)
