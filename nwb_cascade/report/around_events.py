"""Rates around events: the mean of every ROI from some time before trials, stimuli and other intervals until after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.nwb.events import Events
from nwb_cascade.report.arrays import Packer, pack_array, pack_numbers

MOST_BINS = 60
BEFORE_S, AFTER_S = (1.0, 5.0), (2.0, 15.0)  # least and most of the window
MOST_MEANS = 400_000  # of all kinds of events, ROIs and bins
ROUNDING = 1e-6  # of a bin: a frame that stands where a bin begins is in it, whatever the last digit of its time says
LARGEST, NO_VALUE = 65534, 65535


@dataclass(frozen=True)
class Window:
    """Bins of one length, s, around an event; one of them begins with it."""

    bin_s: float
    n_before: int
    n_bins: int

    @classmethod
    def of(cls, length_s: float, imaging_rate: float) -> Window:
        """Return a window of half an interval before its start and half of one after its end, within limits.

        Examples
        --------
        >>> Window.of(2.0, 10.0)
        Window(bin_s=0.1, n_before=10, n_bins=40)
        """
        length = length_s if np.isfinite(length_s) else 0.0
        before = float(np.clip(0.5 * length, *BEFORE_S))
        after = float(np.clip(1.5 * length, *AFTER_S))
        bin_s = max((before + after) / MOST_BINS, 1 / imaging_rate)
        n_before, n_after = (round(np.ceil(round(time / bin_s, 6))) for time in (before, after))
        return cls(bin_s, n_before, n_before + n_after)

    @property
    def start_s(self) -> float:
        """Begin of the first bin after the event, s."""
        return -self.n_before * self.bin_s


class EventMeans:
    """Collects the mean rates of all ROIs around events of one kind, ROI by ROI.

    Parameters
    ----------
    events : Events
        When they were.
    clock : FrameClock
        When the frames of the recording were; all frames are evenly spaced, or it has knots.
    n_rois : int
        ROIs of the recording.

    Attributes
    ----------
    means_hz : numpy.ndarray
        (n_rois, n_bins) float32, mean over the frames in each bin around all events, spikes/s; NaN: no value.
    seen : numpy.ndarray
        (n_events,) bool, whether any frame lies in the window around an event.
    """

    def __init__(self, events: Events, clock: FrameClock, n_rois: int) -> None:
        self.events, self.window = events, Window.of(events.length_s, clock.imaging_rate)
        times = page_times(clock)
        start = self.window.start_s - ROUNDING * self.window.bin_s
        firsts = np.searchsorted(times, events.times_s + start)
        stops = np.searchsorted(times, events.times_s + start + self.window.n_bins * self.window.bin_s)
        self.seen = stops > firsts
        frames = np.concatenate([np.arange(first, stop) for first, stop in zip(firsts, stops, strict=True)])
        apart = times[frames] - np.repeat(events.times_s, stops - firsts)
        bins = np.clip(np.floor((apart - start) / self.window.bin_s), 0, self.window.n_bins - 1).astype(np.int64)
        shape = self.window.n_bins, clock.n_frames
        self._weights = coo_array((np.ones(frames.size), (bins, frames)), shape=shape).tocsr()
        self._frame_rates = clock.frame_rates
        self.means_hz = np.full((n_rois, self.window.n_bins), np.nan, np.float32)

    def add(self, roi: int, rates: NDArray[np.floating[Any]]) -> None:
        """Add the expected spikes per frame (n_frames,) of one ROI; NaN: no value."""
        there = np.isfinite(rates)
        sums = self._weights @ (self._frame_rates * np.where(there, rates, 0))
        counts = self._weights @ there.astype(np.float64)
        self.means_hz[roi] = np.divide(sums, counts, out=np.full(counts.size, np.nan), where=counts > 0)

    def title(self) -> str:
        """Return what the events are, and how many of them the recording sees."""
        return f"{self.events.table}, {self.events.column} ({int(self.seen.sum())})"

    def facts(self, packer: Packer) -> dict[str, Any]:
        """Return plain values for the charts: means in units of ``unit_hz``, 65535 for none."""
        known = np.isfinite(self.means_hz)
        unit = float(np.abs(self.means_hz[known]).max(initial=0.0)) / LARGEST or 1.0
        steps = np.where(known, np.rint(np.clip(np.nan_to_num(self.means_hz), 0, None) / unit), NO_VALUE)
        groups = {name: values[self.seen] for name, values in self.events.groups.items()}
        return {
            "table": self.events.table,
            "column": self.events.column,
            "times": packer.add(pack_array(self.events.times_s[self.seen])),
            "start_s": self.window.start_s,
            "bin_s": self.window.bin_s,
            "n_bins": self.window.n_bins,
            "unit_hz": unit,
            "means": packer.add(pack_array(steps.astype(np.uint16))),
            "groups": {name: _group_facts(values, packer) for name, values in groups.items()},
        }


def page_times(clock: FrameClock) -> NDArray[np.float64]:
    """Return the time of every frame (n_frames,) as a page draws it, s: even, but for pauses and holes."""
    knots, frames = clock.knots(), np.arange(clock.n_frames)
    return clock.start_s + frames / clock.imaging_rate if knots is None else np.interp(frames, *knots)


def event_means(kinds: Sequence[Events], clock: FrameClock, n_rois: int) -> tuple[list[EventMeans], int]:
    """Return what collects the means around events of each kind that was seen, and how many kinds have no room."""
    if clock.knots() is None and not clock.is_even:
        return [], 0  # the clock goes back: a time is no one frame
    seen = [means for means in (EventMeans(events, clock, n_rois) for events in kinds) if means.seen.any()]
    most = max(1, int(MOST_MEANS // (n_rois * MOST_BINS)))
    return seen[:most], max(0, len(seen) - most)


def _group_facts(values: NDArray[np.str_], packer: Packer) -> dict[str, Any]:
    names, of = np.unique(values, return_inverse=True)
    return {"names": names.tolist(), "of": packer.add(pack_numbers(of))}
