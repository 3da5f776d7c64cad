"""The clock of a recording: what its timestamps say about frames, and traces that come back as they went."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.stretches import LONGEST_HOLE_S, regular_rate

RATE, FRAMES = 30.0, 3000
EVEN = np.arange(FRAMES) / RATE


def told(timestamps: NDArray[np.float64]) -> list[tuple[int, int, float, tuple[tuple[int, int], ...]]]:
    stretches = FrameClock.from_timestamps(timestamps).stretches
    return [(one.first, one.stop, round(one.imaging_rate, 3), one.holes) for one in stretches]


def paused(*pauses: tuple[int, float]) -> NDArray[np.float64]:
    times = EVEN.copy()
    for frame, seconds in pauses:
        times[frame:] += seconds
    return times


def test_a_pause_makes_two_stretches_of_one_rate() -> None:
    clock = FrameClock.from_timestamps(paused((1500, 20.0)))
    assert told(paused((1500, 20.0))) == [(0, 1500, 30.0, ()), (1500, 3000, 30.0, ())]
    assert clock.imaging_rates == pytest.approx((30.0,))
    assert clock.notes == (
        "The frames are 2 stretches of 1500 and 1500 frames at 30 Hz, 20 s apart, inferred one by one.",
    )


def test_dropped_frames_are_missing_at_their_place() -> None:
    times = np.delete(EVEN, [700, 1400, 1401])
    assert told(times) == [(0, 2997, 30.0, ((700, 1), (1399, 2)))]
    clock = FrameClock.from_timestamps(times)
    ((_, grid),) = clock.spread(np.delete(np.arange(3000.0), [700, 1400, 1401])[None])
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(grid[0])), [700, 1400, 1401])
    np.testing.assert_array_equal(grid[0, [699, 701, 2999]], [699, 701, 2999])
    assert clock.notes == ("3 frames are missing in 2 short holes, by the timestamps (the first before frame 700).",)


def test_a_timestamp_twice_is_named_and_moves_nothing() -> None:
    times = EVEN.copy()
    times[700] = times[699]
    assert told(times) == [(0, 3000, 30.0, ())]
    (note,) = FrameClock.from_timestamps(times).notes
    assert note.startswith("The timestamp of frame 700 does not come after the one before: ")


def test_a_timestamp_far_off_is_no_pause() -> None:
    for wrong in (0.0, 1e6):
        times = EVEN.copy()
        times[700] = wrong
        assert told(times) == [(0, 3000, 30.0, ())]


def test_a_frame_that_was_stored_twice_is_no_pause_either() -> None:
    assert told(np.insert(EVEN, 700, EVEN[700])) == [(0, 3001, 30.0, ())]


def test_late_frames_are_not_missing() -> None:
    times = EVEN.copy()
    times[1000:1004] = times[1004] - np.array([4, 3, 2, 1]) / 1000
    assert told(times) == [(0, 3000, 30.0, ())]


def test_jitter_is_stated_and_the_rate_is_right_all_the_same() -> None:
    times = np.sort(EVEN + np.random.default_rng(0).normal(0, 0.002, FRAMES))
    clock = FrameClock.from_timestamps(times)
    assert clock.is_even
    assert clock.imaging_rate == pytest.approx(30, rel=1e-5)
    assert clock.notes == ("The timestamps deviate from even frames by 2 ms (standard deviation).",)


@pytest.mark.parametrize("rates", [(15.0, 60.0), (60.0, 15.0), (30.0, 40.0)])
@pytest.mark.parametrize("pause", [0.0, 50.0])
def test_a_rate_that_changes_makes_two_stretches(rates: tuple[float, float], pause: float) -> None:
    first, second = rates
    times = np.concatenate([np.arange(1500) / first, 1500 / first + pause + np.arange(1500) / second])
    assert [one[2] for one in told(times)] == [first, second]
    (border,) = (one[0] for one in told(times)[1:])
    assert abs(border - 1500) <= 1
    assert f"at {first:g} and {second:g} Hz" in FrameClock.from_timestamps(times).notes[0]


def test_a_clock_that_starts_again_in_every_trial_makes_stretches() -> None:
    times = np.concatenate([np.arange(100) / RATE] * 5)
    assert [one[:2] for one in told(times)] == [(start, start + 100) for start in range(0, 500, 100)]
    assert "the clock goes back 4 times" in FrameClock.from_timestamps(times).notes[0]


def test_trials_with_a_jittering_clock_share_one_rate() -> None:
    rng = np.random.default_rng(1)
    times = np.concatenate([10 * trial + np.arange(50) / RATE + rng.normal(0, 0.002, 50) for trial in range(60)])
    clock = FrameClock.from_timestamps(times)
    assert [(one.first, one.holes) for one in clock.stretches] == [(start, ()) for start in range(0, 3000, 50)]
    assert len(clock.imaging_rates) == 1
    assert clock.imaging_rate == pytest.approx(30, rel=1e-3)


def test_scanners_that_take_turns_are_one_stretch() -> None:
    times = EVEN + 0.008 * (-1.0) ** np.arange(FRAMES)
    assert told(times) == [(0, 3000, 30.0, ())]


def test_slow_recordings_may_drop_a_few_frames() -> None:
    times = np.delete(np.arange(300.0), [50, 100, 101, 102])
    assert told(times) == [(0, 296, 1.0, ((50, 1), (99, 3)))]


def test_a_frame_alone_between_pauses_is_a_stretch_of_the_usual_rate() -> None:
    assert told(paused((1500, 20.0), (1501, 30.0))) == [
        (0, 1500, 30.0, ()),
        (1500, 1501, 30.0, ()),
        (1501, 3000, 30.0, ()),
    ]


def test_times_that_are_not_finite_lie_between_the_others() -> None:
    times = EVEN.copy()
    times[[10, 2000]] = np.nan
    clock = FrameClock.from_timestamps(times)
    assert clock.is_even
    assert clock.imaging_rate == pytest.approx(30)
    assert "2 timestamps not finite" in clock.notes[0]


@pytest.mark.parametrize(
    "times, why",
    [
        ([], "no timestamp makes"),
        ([1.0], "one timestamp makes"),
        ([np.nan, 1.0], "one timestamp makes"),
        ([2.0, 1.0], "not increase"),
    ],
)
def test_times_that_make_no_rate_say_why(times: list[float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        FrameClock.from_timestamps(np.array(times))


def test_masked_frames_are_missing_for_networks_and_stay_in_the_recording() -> None:
    masked = np.zeros(FRAMES, bool)
    masked[100:110] = True
    clock = FrameClock.from_rate(RATE, FRAMES).without(masked, "they lie in invalid_times")
    assert not clock.is_even
    ((_, grid),) = clock.spread(np.ones((2, FRAMES), np.float32))
    assert np.isnan(grid).sum() == 20
    assert clock.notes == ("10 frames of 3000 count as missing: they lie in invalid_times.",)
    assert clock.record()[0]["missing"] == [[100, 110]]
    assert clock.without(np.zeros(FRAMES, bool), "nothing") is clock


def test_places_in_the_grid_have_times() -> None:
    dropped = FrameClock.from_timestamps(np.delete(EVEN, 700) + 5)
    np.testing.assert_allclose(
        dropped.times(dropped.stretches[0], np.array([0.5, 700, 701])), 5 + np.array([0.5, 700, 701]) / 30
    )
    stated = FrameClock.from_rate(10.0, 50, 2.0)
    np.testing.assert_allclose(stated.times(stated.stretches[0], np.array([0.0, 5.0])), [2.0, 2.5])


def test_traces_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected traces of 10 frames, received shape \(2, 9\)"):
        list(FrameClock.from_rate(1.0, 10).spread(np.zeros((2, 9))))


@st.composite
def recordings(draw: st.DrawFn) -> tuple[NDArray[np.float64], list[int]]:
    """Times of frames with jitter, holes, pauses and changes of rate, and the first frames after the pauses."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rate = draw(st.floats(2, 100))
    parts, borders, start = [], [], 0.0
    for _ in range(draw(st.integers(1, 4))):
        n_frames = draw(st.integers(30, 300))
        frames = np.arange(n_frames, dtype=float)
        if draw(st.booleans()):
            frames = np.delete(frames, draw(st.integers(10, n_frames - 10)))
        times = start + (frames + draw(st.floats(0, 0.04)) * rng.standard_normal(frames.size)) / rate
        borders.append(sum(map(len, parts)))
        parts.append(times)
        start = float(times[-1]) + max(2 * LONGEST_HOLE_S, 8 / rate) + draw(st.floats(0, 1e4))
        rate = draw(st.sampled_from([rate, rate, 2 * rate, rate / 2]))
    return np.concatenate(parts), borders[1:]


@settings(max_examples=60, deadline=None)
@given(recordings())
def test_traces_come_back_from_the_grids_as_they_went(recording: tuple[NDArray[np.float64], list[int]]) -> None:
    times, _ = recording
    dff = np.arange(2.0 * times.size, dtype=np.float32).reshape(2, -1)
    clock = FrameClock.from_timestamps(times)
    np.testing.assert_array_equal(clock.gather(clock.spread(dff)), dff)
    assert [one.first for one in clock.stretches] == [0, *(one.stop for one in clock.stretches[:-1])]
    assert clock.n_frames == times.size


@settings(max_examples=60, deadline=None)
@given(recordings())
def test_no_stretch_spans_a_pause(recording: tuple[NDArray[np.float64], list[int]]) -> None:
    times, borders = recording
    firsts = {one.first for one in FrameClock.from_timestamps(times).stretches}
    assert set(borders) <= firsts


@settings(max_examples=60, deadline=None)
@given(st.floats(1, 120), st.integers(1000, 5000), st.floats(0, 0.06), st.integers(0, 2**32 - 1))
def test_the_rate_is_known_to_1e4_under_jitter(rate: float, n_frames: int, jitter: float, seed: int) -> None:
    times = (np.arange(n_frames) + jitter * np.random.default_rng(seed).standard_normal(n_frames)) / rate
    clock = FrameClock.from_timestamps(times)
    assert len(clock.stretches) == 1
    assert clock.imaging_rate == pytest.approx(rate, rel=1e-4 if n_frames > 3000 else 4e-4)


@settings(max_examples=60, deadline=None)
@given(st.floats(1, 120), st.integers(2, 2000), st.floats(-1e3, 1e5), st.integers(0, 2**32 - 1))
def test_a_regular_recording_is_one_stretch_at_its_mean_rate(
    rate: float, n_frames: int, start: float, seed: int
) -> None:
    times = start + (np.arange(n_frames) + np.random.default_rng(seed).uniform(-0.05, 0.05, n_frames)) / rate
    clock = FrameClock.from_timestamps(times)
    assert regular_rate(times) == (n_frames - 1) / (times[-1] - times[0])
    assert clock.is_even
    assert (clock.imaging_rate, clock.notes, clock.record()) == (regular_rate(times), (), [])


@pytest.mark.parametrize("frame", [0, 59, 60, 61, 99])
def test_knots_lead_from_frames_to_their_times_and_back(frame: int) -> None:
    times = np.delete(np.arange(100) / 10, 20)
    times[60:] += 20
    clock = FrameClock.from_timestamps(np.append(times, times[-1] + 0.1))
    knots = clock.knots()
    assert knots is not None
    assert clock.breaks == (20, 60)
    assert np.interp(frame, *knots) == pytest.approx(clock.frame_times[frame])
    assert np.interp(clock.frame_times[frame], *knots[::-1]) == pytest.approx(frame)


def test_even_frames_and_a_clock_that_goes_back_have_no_knots() -> None:
    again = np.concatenate([np.arange(50) / 10, np.arange(50) / 10])
    assert FrameClock.from_rate(10.0, 50).knots() is None
    assert FrameClock.from_timestamps(again).knots() is None


@settings(max_examples=30, deadline=None)
@given(st.floats(5, 100), st.floats(0.15, 0.3), st.integers(0, 2**32 - 1))
def test_strong_jitter_is_no_hole(rate: float, jitter: float, seed: int) -> None:
    times = np.sort(np.arange(FRAMES) + jitter * np.random.default_rng(seed).standard_normal(FRAMES)) / rate
    (stretch,) = FrameClock.from_timestamps(times).stretches
    assert stretch.n_grid - stretch.n_frames <= 1
    assert stretch.imaging_rate == pytest.approx(rate, rel=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.floats(5, 100), st.floats(0.06, 0.15), st.booleans(), st.integers(400, 2600), st.floats(0, 0.01))
def test_a_small_change_of_the_rate_makes_two_stretches(
    rate: float, change: float, up: bool, frame: int, jitter: float
) -> None:
    other = rate * (1 + change if up else 1 - change)
    intervals = np.where(np.arange(FRAMES - 1) < frame, 1 / rate, 1 / other)
    times = np.concatenate([[0.0], np.cumsum(intervals)])
    times += jitter / rate * np.random.default_rng(0).standard_normal(FRAMES)
    before, after = FrameClock.from_timestamps(times).stretches
    assert before.stop == pytest.approx(frame, abs=5)
    assert (before.imaging_rate, after.imaging_rate) == pytest.approx((rate, other), rel=2e-3)


@settings(max_examples=30, deadline=None)
@given(st.floats(5, 100), st.floats(0.95, 1.05), st.integers(0, 2**32 - 1))
def test_a_clock_that_drifts_a_little_stays_one_stretch(rate: float, drift: float, seed: int) -> None:
    intervals = np.linspace(1, drift, FRAMES) / rate
    assert len(FrameClock.from_timestamps(np.cumsum(intervals)).stretches) == 1
