from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.errors import InputError
from nwb_cascade.nwb import timing
from nwb_cascade.nwb.timing import (
    FIRST_TIMESTAMPS,
    FrameClock,
    Timing,
    judged_rate,
    rate_from_timestamps,
    stated_rate,
)
from tests.support.nwb_oddities import irregular_timestamps


@given(
    st.floats(1, 120),
    st.integers(2, 3000),
    st.floats(0, 0.12),
    st.floats(-1e3, 1e5),
    st.integers(0, 2**32 - 1),
)
def test_regular_times_with_some_jitter_give_their_rate(rate, n_frames, jitter, start, seed):
    stamps = start + (np.arange(n_frames) + np.random.default_rng(seed).uniform(-jitter, jitter, n_frames)) / rate
    found = rate_from_timestamps(stamps, n_frames)
    if found.imaging_rate is None:
        assert jitter > 0.05  # two neighbours that jitter apart, over the usual interval of a few
    else:
        shift = 2 * jitter / (n_frames - 1)  # most that the mean interval can differ by; the rate is its inverse
        assert found.imaging_rate == pytest.approx(rate, rel=shift / (1 - shift) + 1e-5)


def test_times_rounded_to_milliseconds_or_float32_are_regular():
    stamps = np.arange(20_000) / 30
    assert rate_from_timestamps(np.round(stamps, 3), 20_000).imaging_rate == pytest.approx(30, rel=1e-5)
    assert rate_from_timestamps(stamps.astype(np.float32), 20_000).imaging_rate == pytest.approx(30, rel=1e-5)


def test_a_pause_is_reported_with_its_place_and_size(monkeypatch):
    monkeypatch.setattr(timing, "BLOCK_TIMESTAMPS", 64)
    found = rate_from_timestamps(irregular_timestamps(300), 300)
    assert found.imaging_rate is None
    assert "the interval after frame 100 is 2.03333 s, the usual one 0.0333333 s" in found.why
    assert "a deviation of 6e+03 % where 25 % are allowed" in found.why


@pytest.mark.parametrize("gap_after", [63, 64, 127, 298])
def test_no_interval_is_missed_at_the_borders_of_blocks(monkeypatch, gap_after):
    monkeypatch.setattr(timing, "BLOCK_TIMESTAMPS", 64)
    found = rate_from_timestamps(irregular_timestamps(300, gap_after=gap_after), 300)
    assert f"after frame {gap_after} " in found.why


def test_a_dropped_frame_is_irregular():
    stamps = np.delete(np.arange(301) / 30, 200)
    assert "after frame 199 is 0.0666667 s" in rate_from_timestamps(stamps, 300).why


def test_the_first_timestamps_alone_do_not_see_a_late_pause():
    stamps = irregular_timestamps(3000, gap_after=2000)
    found = rate_from_timestamps(stamps, 3000, complete=False)
    assert found.imaging_rate == pytest.approx(30)
    assert f"the first {FIRST_TIMESTAMPS + 1} timestamps" in found.why


@pytest.mark.parametrize(
    "stamps, n_frames, why",
    [
        ([0.0, 0.1, 0.2], 4, "there are 3 timestamps for 4 frames"),
        ([0.0], 1, "1 timestamp cannot tell a rate"),
        ([], 0, "0 timestamps cannot tell a rate"),
        ([0.0, np.nan, 0.2, 0.3], 4, "do not increase"),
        ([0.3, 0.2, 0.1], 3, "do not increase"),
        ([1.0, 1.0, 1.0], 3, "do not increase"),
    ],
)
def test_timestamps_that_make_no_rate_say_why(stamps, n_frames, why):
    found = rate_from_timestamps(np.array(stamps), n_frames)
    assert found.imaging_rate is None
    assert why in found.why


def test_a_late_nan_is_not_forgotten(monkeypatch):
    monkeypatch.setattr(timing, "BLOCK_TIMESTAMPS", 64)
    stamps = np.arange(2000) / 30
    stamps[1500] = np.nan
    assert "after frame 1499 is nan s" in rate_from_timestamps(stamps, 2000).why


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


def test_frames_have_times_between_timestamps_too() -> None:
    series = SimpleNamespace(name="r", timestamps=np.array([1.0, 1.1, 1.3]), rate=None, starting_time=None)
    clock = FrameClock.of(series, 10.0)
    np.testing.assert_allclose(clock.at(np.array([-1.0, 0.5, 1.5, 9.0])), [1.0, 1.05, 1.2, 1.3])


def test_frames_follow_the_start_at_the_stated_rate_or_the_given_one() -> None:
    stated = SimpleNamespace(name="r", timestamps=None, rate=10.0, starting_time=2.0)
    np.testing.assert_allclose(FrameClock.of(stated, 99.0).at(np.array([0.0, 5.0])), [2.0, 2.5])
    silent = SimpleNamespace(name="r", timestamps=None, rate=None, starting_time=None)
    np.testing.assert_allclose(FrameClock.of(silent, 5.0).at(np.array([1.0])), [0.2])


def test_timestamps_that_do_not_ascend_are_refused() -> None:
    series = SimpleNamespace(name="r", timestamps=np.array([1.0, 1.0]), rate=None, starting_time=None)
    with pytest.raises(InputError, match="ascending timestamps in r"):
        FrameClock.of(series, 10.0)
