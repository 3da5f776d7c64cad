"""dF/F computed when it is read equals dF/F computed at once."""

import numpy as np
import pytest

from nwb_cascade.dff import DffMethod, DffRows, compute_dff
from nwb_cascade.errors import InputError

RATE = 10.0


@pytest.fixture
def traces():
    rng = np.random.default_rng(0)
    cells = (500 + 20 * rng.standard_normal((6, 400))).astype(np.float32)
    cells[4] = 100
    around = (200 + 10 * rng.standard_normal((6, 400))).astype(np.float32)
    return cells, around


def test_blocks_single_rois_and_all_of_them_agree(traces):
    cells, around = traces
    rows = DffRows(cells, RATE, DffMethod(), neuropil=around)
    wanted = compute_dff(cells, RATE, DffMethod(), neuropil=around).dff
    assert rows.shape == (6, 400)
    np.testing.assert_array_equal(rows[:], wanted)
    np.testing.assert_array_equal(rows[1:4], wanted[1:4])
    np.testing.assert_array_equal(rows[-1], wanted[-1])
    assert rows[6:9].shape == (0, 400)


def test_rois_that_nobody_asked_for_are_not_computed(traces):
    cells, around = traces
    bad, asked = np.arange(400) == 7, np.isin(np.arange(6), (0, 5))
    rows = DffRows(cells, RATE, DffMethod(), neuropil=around, asked=asked, bad_frames=bad)
    wanted = compute_dff(cells[asked], RATE, DffMethod(), neuropil=around[asked], bad_frames=bad).dff
    np.testing.assert_array_equal(rows[:][asked], wanted)
    np.testing.assert_array_equal(rows[5], wanted[1])
    assert np.isnan(rows[0][7])
    assert np.isnan(rows[1:5]).all()
    assert rows.roi_warnings() == ()  # not even of the fifth, which has no baseline


def test_what_happened_to_rois_is_told_once_however_often_they_are_read(traces):
    cells, around = traces
    rows = DffRows(cells, RATE, DffMethod(), neuropil=around)
    assert rows.roi_warnings() == ()
    for block in (slice(0, 3), slice(3, 6), slice(3, 6)):
        rows[block]
    assert [(warning.roi, warning.code) for warning in rows.roi_warnings()] == [(4, "dff-excluded")]


def test_neuropil_that_is_missing_or_of_another_shape_is_refused(traces):
    cells, around = traces
    with pytest.raises(InputError, match="Expected neuropil traces for neuropil='fixed', received none"):
        DffRows(cells, RATE, DffMethod())
    with pytest.raises(InputError, match=r"shape \(6, 400\), received \(5, 400\)"):
        DffRows(cells, RATE, DffMethod(), neuropil=around[:5])
    assert DffRows(cells, RATE, DffMethod(neuropil="none"), neuropil=around).neuropil is None
