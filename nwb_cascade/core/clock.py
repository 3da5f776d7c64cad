"""FrameClock: when the frames of a recording were, and its traces on the regular grids that networks read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.stretches import TIMESTAMP_TOLERANCE, Stretch, find_stretches
from nwb_cascade.core.wording import counted, rounded

Part = tuple[Stretch, NDArray[Any]]
MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class FrameClock:
    """Times of the frames of a recording, in stretches of one rate each.

    Parameters
    ----------
    stretches : tuple of Stretch
        In order; together they are all frames.
    start_s : float
        Time of the first frame, s, where there are no timestamps.
    timestamps : numpy.ndarray or None
        (n_frames,) float64, s, as the recording states them; None for frames that follow at the rate.
    missing : numpy.ndarray or None
        (n_frames,) bool: frames that are there but not to be used; None if all are.
    notes : tuple of str
        What is not as it should be, one sentence each.

    Examples
    --------
    >>> clock = FrameClock.from_timestamps(np.array([0.0, 0.1, 0.2, 0.4, 0.5, 9.0, 9.1]))
    >>> for stretch, dff in clock.spread(np.arange(7.0)[None]):
    ...     print(stretch.first, dff)
    0 [[ 0.  1.  2. nan  3.  4.]]
    5 [[5. 6.]]
    >>> clock.gather(clock.spread(np.arange(7.0)[None]))
    array([[0., 1., 2., 3., 4., 5., 6.]])
    """

    stretches: tuple[Stretch, ...]
    start_s: float = 0.0
    timestamps: NDArray[np.float64] | None = None
    missing: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def from_rate(
        cls, imaging_rate: float, n_frames: int, start_s: float = 0.0, *, timestamps: NDArray[np.float64] | None = None
    ) -> FrameClock:
        """Return the clock of evenly spaced frames; timestamps only tell what these are called in the recording."""
        return cls((Stretch(0, n_frames, imaging_rate),), start_s, timestamps)

    @classmethod
    def from_timestamps(cls, timestamps: NDArray[Any]) -> FrameClock:
        """Return the clock that the times of the frames (n_frames,) show, s.

        A time that is not finite is taken to lie between its neighbours.

        Raises
        ------
        ValueError
            If the times make no rate: fewer than two are finite, or they do not ascend.
        """
        stamps = np.asarray(timestamps, np.float64)
        known = np.isfinite(stamps)
        if known.sum() < 2:
            raise ValueError("one timestamp makes no rate" if known.any() else "no timestamp makes no rate")
        if not known.all():
            frames = np.arange(stamps.size)
            stamps = np.where(known, stamps, np.interp(frames, frames[known], stamps[known]))
        stretches = find_stretches(stamps)
        return cls(stretches, float(stamps[0]), stamps, notes=_notes(stretches, stamps, int((~known).sum())))

    @property
    def n_frames(self) -> int:
        """Frames of the recording."""
        return self.stretches[-1].stop

    @property
    def imaging_rate(self) -> float:
        """Rate of most frames, Hz."""
        frames: dict[float, int] = {}
        for stretch in self.stretches:
            frames[stretch.imaging_rate] = frames.get(stretch.imaging_rate, 0) + stretch.n_frames
        return max(frames, key=lambda rate: frames[rate])

    @property
    def imaging_rates(self) -> tuple[float, ...]:
        """Every rate that occurs, Hz, ascending."""
        return tuple(sorted({stretch.imaging_rate for stretch in self.stretches}))

    @property
    def frame_times(self) -> NDArray[np.float64]:
        """(n_frames,) time of every frame, s."""
        if self.timestamps is not None:
            return self.timestamps
        return np.concatenate([self.times(one, one.positions.astype(np.float64)) for one in self.stretches])

    @property
    def frame_rates(self) -> NDArray[np.float64]:
        """(n_frames,) rate at which every frame was taken, Hz."""
        return np.repeat([one.imaging_rate for one in self.stretches], [one.n_frames for one in self.stretches])

    @property
    def breaks(self) -> tuple[int, ...]:
        """Frames before which some are missing or a pause was."""
        return tuple(at for one in self.stretches for at in (one.first, *(hole for hole, _ in one.holes)))[1:]

    def knots(self) -> tuple[NDArray[np.intp], NDArray[np.float64]] | None:
        """Return frames and their times, s, between which frames are evenly spaced: those on either side of `breaks`.

        None if all frames are evenly spaced, or if the clock goes back.
        """
        last = self.n_frames - 1
        frames = np.unique([0, *(at for first in self.breaks for at in (first - 1, first)), last]).astype(np.intp)
        times = self.frame_times[frames]
        return None if self.is_even or (np.diff(times) <= 0).any() else (frames, times)

    def describe(self) -> str:
        """Return rates and stretches in a few words.

        Examples
        --------
        >>> FrameClock.from_timestamps(np.array([0.0, 0.1, 0.2, 9.0, 9.1])).describe()
        '10 Hz in 2 stretches'
        """
        rates = [rounded(rate, 4) for rate in self.imaging_rates]
        several = f"{', '.join(rates[:-1])} and " if len(rates) > 1 else ""
        stretches = f" in {len(self.stretches)} stretches" if len(self.stretches) > 1 else ""
        return f"{several}{rates[-1]} Hz{stretches}"

    @property
    def is_even(self) -> bool:
        """Whether all frames are one stretch without holes, so that traces are read as they are."""
        return len(self.stretches) == 1 and not self.stretches[0].holes and self.missing is None

    def without(self, missing: NDArray[np.bool_], why: str) -> FrameClock:
        """Return the clock with some frames (n_frames,) marked as missing, and a note that says why."""
        if not missing.any():
            return self
        all_of_them = missing if self.missing is None else self.missing | missing
        n_missing = int(missing.sum())
        counts = "counts" if n_missing == 1 else "count"
        note = f"{counted(n_missing, 'frame')} of {self.n_frames} {counts} as missing: {why}."
        return replace(self, missing=all_of_them, notes=(*self.notes, note))

    def split(self, frames: Iterable[int]) -> FrameClock:
        """Return the clock with stretches that end before some frames as well: what holds before does not after.

        Examples
        --------
        >>> [(one.first, one.stop) for one in FrameClock.from_rate(30.0, 100).split([40]).stretches]
        [(0, 40), (40, 100)]
        """
        at = tuple(frames)
        return replace(self, stretches=tuple(part for one in self.stretches for part in one.split(at))) if at else self

    def spread(self, dff: NDArray[Any]) -> Iterator[Part]:
        """Yield each stretch with its part of traces (n, n_frames) on its grid (n, n_grid).

        Missing frames are NaN; parts without any are views.
        """
        if dff.shape[-1] != self.n_frames:
            raise ValueError(f"Expected traces of {counted(self.n_frames, 'frame')}, received shape {dff.shape}.")
        if self.missing is not None:
            dff = np.where(self.missing, dff.dtype.type(np.nan), dff)
        for stretch in self.stretches:
            part = dff[..., stretch.first : stretch.stop]
            if stretch.holes:
                grid = np.full((*part.shape[:-1], stretch.n_grid), np.nan, part.dtype)
                grid[..., stretch.positions] = part
                part = grid
            yield stretch, part

    def gather(self, parts: Iterable[Part]) -> NDArray[Any]:
        """Return values on the grids of all stretches at the recording's own frames (..., n_frames)."""
        own = [values[..., stretch.positions] if stretch.holes else values for stretch, values in parts]
        return np.concatenate(own, axis=-1)

    def times(self, stretch: Stretch, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the times, s, of fractional places in the grid of a stretch; none before its first or after its last.

        Examples
        --------
        >>> clock = FrameClock.from_timestamps(np.array([1.0, 1.1, 1.2, 1.4, 1.5]))
        >>> clock.times(clock.stretches[0], np.array([0.5, 3.0, 3.5]))
        array([1.05, 1.3 , 1.35])
        """
        if self.timestamps is None:
            return np.asarray(self.start_s + (stretch.first + positions) / stretch.imaging_rate)
        return np.interp(positions, stretch.positions, self.timestamps[stretch.first : stretch.stop])

    def record(self) -> list[dict[str, Any]]:
        """Return what decides numbers beside traces, JSON-able, a record per stretch; none for even frames.

        ``holes`` are pairs of a frame and how many are missing before it, ``missing`` are [first, stop) of frames that
        are there but not used.
        """
        if self.is_even:
            return []
        missing = np.zeros(self.n_frames, bool) if self.missing is None else self.missing
        found = []
        for stretch in self.stretches:
            record: dict[str, Any] = {
                "frames": [stretch.first, stretch.stop],
                "imaging_rate_hz": stretch.imaging_rate,
                "holes": [list(hole) for hole in stretch.holes],
                "missing": _runs(missing[stretch.first : stretch.stop], stretch.first),
            }
            found.append({name: value for name, value in record.items() if value})
        return found


def _runs(flags: NDArray[np.bool_], offset: int) -> list[list[int]]:
    """Return the runs of True as [first, stop) pairs, counted from an offset."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]))) + offset
    return edges.reshape(-1, 2).tolist()


def _notes(stretches: tuple[Stretch, ...], stamps: NDArray[np.float64], n_unknown: int) -> tuple[str, ...]:
    """Say what the times show that is not as it should be, one sentence each."""
    dropped = [hole for stretch in stretches for hole in stretch.holes]
    starts = {stretch.first for stretch in stretches}
    backward = [int(frame) + 1 for frame in np.flatnonzero(np.diff(stamps) <= 0) if int(frame) + 1 not in starts]
    found = []
    if n_unknown:
        found.append(f"{counted(n_unknown, 'timestamp')} not finite: taken to lie between the others.")
    if len(stretches) > 1:
        found.append(_stretches_in_words(stretches, stamps))
    if dropped:
        missing, first = sum(count for _, count in dropped), dropped[0][0]
        found.append(
            f"{counted(missing, 'frame')} {'is' if missing == 1 else 'are'} missing in "
            f"{counted(len(dropped), 'short hole')}, by the timestamps (the first before frame {first})."
        )
    if backward:
        named = ", ".join(map(str, backward[:MOST_NAMED])) + (", ..." if len(backward) > MOST_NAMED else "")
        which = f"timestamp of frame {named} does" if len(backward) == 1 else f"timestamps of frames {named} do"
        found.append(
            f"The {which} not come after the one before: frames are taken in their order, at the evident rate."
        )
    if not found and (jitter := _jitter(stretches[0], stamps)) is not None:
        found.append(f"The timestamps deviate from even frames by {jitter} (standard deviation).")
    return tuple(found)


def _stretches_in_words(stretches: tuple[Stretch, ...], stamps: NDArray[np.float64]) -> str:
    """Say into how many stretches a recording falls, at which rates, and how long the pauses are."""
    lengths = [stretch.n_frames for stretch in stretches]
    frames = " and ".join(map(str, lengths)) if len(lengths) == 2 else f"{min(lengths)} to {max(lengths)}"
    rates = " and ".join(dict.fromkeys(rounded(stretch.imaging_rate, 4) for stretch in stretches))
    pauses = [float(stamps[after.first] - stamps[before.stop - 1]) for before, after in pairwise(stretches)]
    shortest, longest = rounded(min(pauses), 3), rounded(max(pauses), 3)
    apart = f", {shortest} s apart" if shortest == longest else f", {shortest} to {longest} s apart"
    if back := sum(pause < 0 for pause in pauses):
        apart = f"; the clock goes back {counted(back, 'time')}"
    return f"The frames are {len(stretches)} stretches of {frames} frames at {rates} Hz{apart}, inferred one by one."


def _jitter(stretch: Stretch, stamps: NDArray[np.float64]) -> str | None:
    """Return the deviation of the times from even frames, in words; None if all intervals are near the usual one."""
    usual = 1 / stretch.imaging_rate
    if (np.abs(np.diff(stamps) - usual) <= TIMESTAMP_TOLERANCE * usual).all():
        return None
    return f"{rounded(1000 * float(np.std(np.diff(stamps))) / np.sqrt(2), 2)} ms"
