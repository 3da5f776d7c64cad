"""Stretches of one rate put one after another, far enough apart that nothing reaches from one into the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock, Part


@dataclass(frozen=True, eq=False)
class JoinedGrid:
    """The stretches of one rate on one grid.

    ``values`` (n, n_grid) are NaN where a frame is missing and between stretches; ``starts`` says where these begin.
    """

    imaging_rate: float
    values: NDArray[Any]
    clock: FrameClock
    parts: tuple[Part, ...]
    starts: NDArray[np.intp]

    def times(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the times, s, of fractional places in the grid; what lies between stretches goes to the nearer end."""
        if len(self.parts) == 1:
            return self.clock.times(self.parts[0][0], positions)
        ends = self.starts + [values.shape[-1] - 1 for _, values in self.parts]
        which = np.searchsorted((ends[:-1] + self.starts[1:]) / 2, positions)
        found = np.empty(positions.shape)
        for number in np.unique(which):
            stretch, values = self.parts[number]
            inside = np.clip(positions[which == number] - self.starts[number], 0, values.shape[-1] - 1)
            found[which == number] = self.clock.times(stretch, inside)
        return found


def joined_grids(clock: FrameClock, values: NDArray[Any], apart: Callable[[float], int]) -> Iterator[JoinedGrid]:
    """Yield the grid of every rate of a recording.

    Parameters
    ----------
    clock : FrameClock
        With the stretches.
    values : numpy.ndarray
        (n, n_frames) at the recording's own frames.
    apart : callable
        Frames between two stretches, by the rate (Hz).
    """
    parts = list(clock.spread(values))
    for rate in clock.imaging_rates:
        own = tuple((stretch, part) for stretch, part in parts if stretch.imaging_rate == rate)
        lengths = np.array([part.shape[-1] for _, part in own])
        starts = np.concatenate([[0], np.cumsum(lengths[:-1] + apart(rate))]).astype(np.intp)
        joined = np.full((values.shape[0], starts[-1] + lengths[-1]), np.nan, values.dtype)
        for start, (_, part) in zip(starts, own, strict=True):
            joined[:, start : start + part.shape[-1]] = part
        yield JoinedGrid(rate, joined, clock, own, starts)
