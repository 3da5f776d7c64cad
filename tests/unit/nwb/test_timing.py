from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.core.stretches import FIRST_TIMESTAMPS
from nwb_cascade.nwb.timing import Timing, by_timestamps, given_clock, judged_rate, stated_rate, timing_of
from tests.support.nwb_oddities import irregular_timestamps


@given(
    st.floats(1, 120),
    st.integers(2, 3000),
    st.floats(0, 0.12),
    st.floats(-1e3, 1e5),
    st.integers(0, 2**32 - 1),
)
def test_times_with_some_jitter_give_their_rate(rate, n_frames, jitter, start, seed):
    stamps = start + (np.arange(n_frames) + np.random.default_rng(seed).uniform(-jitter, jitter, n_frames)) / rate
    found = by_timestamps(stamps, n_frames)
    shift = 2 * jitter / (n_frames - 1)  # most that the mean interval can differ by; the rate is its inverse
    assert found.imaging_rate == pytest.approx(rate, rel=shift / (1 - shift) + 1e-5)


def test_times_rounded_to_milliseconds_or_float32_are_regular():
    stamps = np.arange(20_000) / 30
    for rounded in (np.round(stamps, 3), stamps.astype(np.float32)):
        found = by_timestamps(rounded, 20_000)
        assert found.imaging_rate == pytest.approx(30, rel=1e-5)
        assert found.clock.is_even
        assert found.why.startswith("from timestamps, whose intervals deviate by at most ")


def test_a_pause_makes_stretches():
    found = by_timestamps(irregular_timestamps(300), 300)
    assert (found.imaging_rate, found.why) == (pytest.approx(30), "from timestamps in 2 stretches")
    assert [one.first for one in found.clock.stretches] == [0, 101]


def test_a_dropped_frame_is_irregular():
    found = by_timestamps(np.delete(np.arange(301) / 30, 200), 300)
    assert (found.imaging_rate, found.why) == (pytest.approx(30), "from timestamps, which are irregular")


def test_the_first_timestamps_alone_do_not_see_a_late_pause_and_make_no_clock():
    stamps = irregular_timestamps(3000, gap_after=2000)
    found = by_timestamps(stamps, 3000, complete=False)
    assert (found.imaging_rate, found.clock) == (pytest.approx(30), None)
    assert f"the first {FIRST_TIMESTAMPS + 1} timestamps" in found.why


def test_timestamps_without_a_frame_are_left_out_with_a_note():
    found = by_timestamps(np.arange(310) / 30, 300)
    assert (found.clock.n_frames, found.imaging_rate) == (300, pytest.approx(30))
    assert found.clock.notes == ("There are 310 timestamps for 300 frames: the first 300 are taken.",)


@pytest.mark.parametrize(
    "stamps, n_frames, why",
    [
        ([0.0, 0.1, 0.2], 4, "there are 3 timestamps for 4 frames"),
        ([0.0], 1, "one timestamp makes no rate"),
        ([], 0, "no timestamp makes no rate"),
        ([0.3, 0.2, 0.1], 3, "do not increase"),
        ([1.0, 1.0, 1.0], 3, "do not increase"),
    ],
)
def test_timestamps_that_make_no_rate_say_why(stamps, n_frames, why):
    found = by_timestamps(np.array(stamps), n_frames)
    assert found.imaging_rate is None
    assert why in found.why


@pytest.mark.parametrize("rate", [0.0, -3.0, np.nan, np.inf])
def test_a_stated_rate_must_be_positive(rate):
    assert stated_rate(rate).imaging_rate is None
    assert f"the stated rate is {rate:g} Hz" in stated_rate(rate).why


def test_a_positive_stated_rate_is_taken():
    assert stated_rate(30.9).imaging_rate == 30.9


@pytest.mark.parametrize(
    "rate, plane_rate, unit",
    [
        (0.03, 30.0, "milliseconds"),
        (0.03, None, "milliseconds"),
        (0.03, 0.03, "milliseconds"),  # the plane's rate was computed from the same times
        (3e-5, None, "microseconds"),
        (0.12, 122.0, "milliseconds"),
        (1e-14, None, "no seconds"),
    ],
)
def test_times_in_another_unit_give_no_rate(rate, plane_rate, unit):
    found = judged_rate(Timing(rate, "from timestamps"), plane_rate, from_timestamps=True)
    assert found == Timing(None, f"its timestamps look like {unit}: {rate:.3g} Hz is no imaging rate")


def test_a_stated_interval_is_no_rate():
    found = judged_rate(stated_rate(1 / 30), 30.0, from_timestamps=False)
    assert found.imaging_rate is None
    assert "looks like the interval between frames in seconds: 0.0333 Hz is no imaging rate" in found.why


@pytest.mark.parametrize("rate, plane_rate, from_timestamps", [(0.5, 0.5, True), (0.12, None, True), (0.1, 100, False)])
def test_slow_recordings_keep_their_rate(rate, plane_rate, from_timestamps):
    timing = Timing(rate, "as it is")
    assert judged_rate(timing, plane_rate, from_timestamps=from_timestamps) == timing


def series(**fields):
    return SimpleNamespace(**{"timestamps": None, "rate": None, "starting_time": None, **fields})


def test_frames_follow_the_start_at_the_stated_rate():
    clock = timing_of(series(rate=10.0, starting_time=2.0), 50).clock
    np.testing.assert_allclose(clock.times(clock.stretches[0], np.array([0.0, 5.0])), [2.0, 2.5])
    assert timing_of(series(), 50).clock is None


def test_a_given_rate_makes_even_frames_whose_timestamps_keep_their_names():
    in_ms = series(timestamps=np.arange(100) * 100 / 3)
    assert timing_of(in_ms, 100, 30.0).imaging_rate is None
    clock = given_clock(in_ms, 30.0, 100)
    assert (clock.is_even, clock.imaging_rate) == (True, 30.0)
    np.testing.assert_allclose(clock.times(clock.stretches[0], np.array([3.0])), [100.0])
    few = given_clock(series(timestamps=np.arange(9) / 30), 30.0, 100)
    np.testing.assert_allclose(few.times(few.stretches[0], np.array([30.0])), [1.0])
