"""Interval coverage: shares of frames within the band, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_cascade.evaluation.assessment import Condition, make_case
from nwb_cascade.evaluation.interval_coverage import WIDTHS, coverage_entry, interval_coverage
from tests.support.simulated_recordings import simulated_recording


@pytest.fixture(scope="module")
def case():
    return make_case(simulated_recording("DS10", "a"), Condition(30.0, 4.0))


def answer(make):
    return lambda cases: [[make(truth) for truth in case.truths] for case in cases]


def test_shares_follow_the_distance_in_deviations(case):
    # One and a half deviations off everywhere: outside the narrowest band, inside the others.
    expected, deviation = answer(lambda truth: truth + 0.15), answer(lambda truth: np.full_like(truth, 0.1))
    groups = interval_coverage([case], expected, deviation)
    assert [group.dataset for group in groups] == ["DS10", "all"]
    assert WIDTHS == (1.0, 2.0, 3.0)
    assert groups[0].within == groups[0].within_all == (0.0, 1.0, 1.0)


def test_silent_frames_do_not_count_as_events(case):
    nothing = answer(np.zeros_like)
    group = interval_coverage([case], nothing, nothing)[0]
    silent = np.concatenate([truth == 0 for truth in case.truths])
    assert 0 < group.n_event_frames < silent.size
    assert group.within[0] == 0.0
    assert group.within_all[0] == pytest.approx(silent.mean(), abs=1e-12)


def test_frames_without_a_value_are_left_out(case):
    def half(truth):
        return np.where(np.arange(truth.size) < truth.size // 2, truth, np.nan)

    whole = interval_coverage([case], answer(lambda truth: truth), answer(np.zeros_like))[0]
    part = interval_coverage([case], answer(half), answer(np.zeros_like))[0]
    assert part.within == whole.within == (1.0, 1.0, 1.0)
    assert part.n_event_frames < whole.n_event_frames
    assert coverage_entry(part)["within_1_sd"] == 1.0
    assert interval_coverage([], answer(half), answer(half)) == []
