"""Which ROIs are asked for, by whichever column says so."""

import numpy as np
import pytest

from nwb_cascade.core.roi_choice import chosen_rois
from nwb_cascade.errors import InputError

VERDICT = np.array([True, False, True])
SNR = np.array([3.5, 1.0, 0.0])


@pytest.mark.parametrize(
    "columns",
    [
        {"snr": SNR, "iscell": np.column_stack([VERDICT, [0.9, 0.2, 0.8]])},  # suite2p
        {"Rejected": ~VERDICT, "Accepted": VERDICT.astype(int)},  # neuroconv
        {"accepted": np.zeros(3), "keep": VERDICT.astype(float)},  # CaImAn, without a verdict of the user
        {"valid_roi": VERDICT, "keep": ~VERDICT},  # AllenSDK
    ],
)
def test_accepted_means_the_usual_column(columns):
    assert chosen_rois("accepted", columns, "the table").asked.tolist() == VERDICT.tolist()


def test_any_column_of_zeros_and_ones_can_be_named():
    choice = chosen_rois("red", {"red": VERDICT, "iscell": ~VERDICT}, "the table")
    assert (choice.asked.tolist(), choice.column) == (VERDICT.tolist(), "red")


@pytest.mark.parametrize("wanted", [None, "all"])
def test_all_need_no_column(wanted):
    assert chosen_rois(wanted, {}, "the table") is None


@pytest.mark.parametrize(
    ("wanted", "columns", "message"),
    [
        ("accepted", {"red": VERDICT, "snr": SNR}, r"accepted ROIs \(iscell, .*in the table, found red\. Name one"),
        (
            "snr",
            {"snr": SNR, "names": np.array(list("abc"))},
            "a column 'snr' of zeros and ones in the table, found none",
        ),
        ("red", {"red": np.zeros(3)}, "the column red of the table accepts none of 3"),
    ],
)
def test_a_column_that_does_not_tell_is_refused_with_those_that_do(wanted, columns, message):
    with pytest.raises(InputError, match=message):
        chosen_rois(wanted, columns, "the table")


def test_a_choice_is_recorded_by_its_rois_and_their_column():
    one, other = (chosen_rois("red", {"red": verdict}, "").record() for verdict in (VERDICT, ~VERDICT))
    assert one != other
    assert one == chosen_rois("red", {"red": VERDICT * 1.0}, "").record()
