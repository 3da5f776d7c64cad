"""Rates around events are means over the frames of each bin, on the recording's own clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pynwb.epoch import TimeIntervals

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.nwb.events import Events, events_of
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.report.around_events import EventMeans, Window, event_means, page_times
from tests.support.field_recordings import field_recording
from tests.support.recordings import bare_nwbfile


def events_at(*times: float, length_s: float = 1.0) -> Events:
    return Events("trials", "start_time", np.array(times), length_s, {})


def test_means_are_those_of_the_frames_around_the_events() -> None:
    rng = np.random.default_rng(0)
    clock, rates = FrameClock.from_rate(10.0, 600, start_s=2.0), rng.random(600)
    rates[100:120] = np.nan
    means = EventMeans(events_at(10.03, 13.0, 40.0), clock, 1)
    means.add(0, rates)
    window, times = means.window, page_times(clock)
    for bin_number in range(window.n_bins):
        low = window.start_s + bin_number * window.bin_s
        own = np.concatenate(
            [
                rates[(times - event >= low - 1e-9) & (times - event < low + window.bin_s - 1e-9)]
                for event in means.events.times_s
            ]
        )
        if np.isfinite(own).any():
            assert means.means_hz[0, bin_number] == pytest.approx(10 * np.nanmean(own), rel=1e-5)
        else:
            assert np.isnan(means.means_hz[0, bin_number])


def test_a_bin_begins_with_the_event_and_holds_a_frame_or_more() -> None:
    for length, rate in ((0.25, 30.0), (2.0, 7.5), (600.0, 60.0), (float("nan"), 1.0)):
        window = Window.of(length, rate)
        assert window.start_s == -window.n_before * window.bin_s
        assert window.bin_s >= 1 / rate
        assert 1 <= window.start_s * -1 <= 5 + window.bin_s
        assert window.n_bins <= 62


def test_nothing_is_taken_from_across_a_pause() -> None:
    times = np.concatenate([np.arange(100) / 10, 30 + np.arange(100) / 10])
    rates = np.concatenate([np.full(100, 0.1), np.full(100, 0.9)])
    means = EventMeans(events_at(9.5, 20.0), FrameClock.from_timestamps(times), 1)
    means.add(0, rates)
    assert means.seen.tolist() == [True, False], "no frame is near the second"
    known = np.isfinite(means.means_hz[0])
    after = means.window.start_s + np.arange(means.window.n_bins) * means.window.bin_s
    np.testing.assert_allclose(means.means_hz[0, known], 1.0, rtol=1e-5)
    assert not known[after > 0.5].any()


def test_each_stretch_counts_at_its_own_rate() -> None:
    times = np.concatenate([np.arange(200) / 10, 60 + np.arange(400) / 20])
    clock = FrameClock.from_timestamps(times)
    means = EventMeans(events_at(10.0, 70.0), clock, 1)
    means.add(0, np.where(np.arange(600) < 200, 0.2, 0.1))
    np.testing.assert_allclose(means.means_hz[0], 2.0, rtol=1e-5)


def test_kinds_that_the_recording_does_not_see_or_that_have_no_room_are_left_out() -> None:
    clock = FrameClock.from_rate(10.0, 600)
    kinds = [events_at(1e4), events_at(10.0), events_at(20.0), events_at(30.0)]
    assert [len(event_means(kinds, clock, n)[0]) for n in (10, 3000, 10**5)] == [3, 2, 1]
    assert event_means(kinds, clock, 3000)[1] == 1


def test_all_tables_of_intervals_are_events_but_invalid_times(tmp_path: Path) -> None:
    with open_nwb(field_recording(tmp_path / "r.nwb", 3, 900)) as (nwbfile, _):
        found = events_of(nwbfile)
    assert [(one.table, one.column) for one in found] == [("trials", "start_time"), ("gratings", "start_time")]
    trials = found[0]
    assert trials.length_s == 1.0
    assert set(trials.groups) == {"side"}
    assert trials.groups["side"].tolist()[:2] == ["right", "left"]


def test_other_times_of_a_table_are_events_too_and_odd_columns_are_not_in_the_way() -> None:
    nwbfile = bare_nwbfile()
    table = TimeIntervals(name="trials", description="Trials.")
    table.add_column("go_time", "Cue.")
    table.add_column("angle", "Degrees.")
    table.add_column("licks", "Times.", index=True)
    for start, go, angle in ((5.0, np.nan, 45.0), (1.0, 1.5, 90.0), (9.0, 9.25, 45.0)):
        table.add_row(start_time=start, stop_time=start + 2, go_time=go, angle=angle, licks=[1.0] * int(start))
    nwbfile.trials = table
    starts, go = events_of(nwbfile)
    assert starts.times_s.tolist() == [1.0, 5.0, 9.0]
    assert starts.groups["angle"].tolist() == ["90", "45", "45"]
    assert (go.column, go.times_s.tolist()) == ("go_time", [1.5, 9.25])
    assert go.groups["angle"].tolist() == ["90", "45"]


def test_an_empty_table_has_no_events() -> None:
    nwbfile = bare_nwbfile()
    nwbfile.trials = TimeIntervals(name="trials", description="None yet.")
    assert events_of(nwbfile) == []
