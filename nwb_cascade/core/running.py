"""Levels that run along with a recording: rest level and noise level of every ROI, from its past frames alone.

Both are leaky averages with bounded or uneven pull, so that two of them that began differently come together
exponentially: what was long ago does not matter, and nothing drifts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Time constants of the rest level, s: of the average that it follows, of its way down and of its way up. The uneven
# ways keep it near the lowest values: it rises by a thirtieth of what it falls.
REST_AVERAGE_S, REST_DOWN_S, REST_UP_S = 0.3, 1.5, 45.0
NOISE_S = 15.0
# The pull on the logarithm of the noise is bounded, so that transients count little; the median of differences of
# white noise lies this factor above the level at which bounded pulls balance (half-normal density, by quadrature).
MOST_PULL = 0.5
BALANCE_TO_MEDIAN = 1.02204
FREE_STEPS = 12  # differences until pulls are bounded so tightly: the first may be far off
SMALLEST_DIFFERENCE = 1e-6  # dF/F
WARM_FRAMES = 128
MOST_COUNT = 1e6  # steps are constant long before


class RunningRest:
    """Running rest level of ROIs: an average that falls fast and rises slowly.

    Parameters
    ----------
    n_rois : int
        Number of ROIs.
    imaging_rate : float or numpy.ndarray
        Hz; one, or (n_rois,).
    times_s : (float, float, float)
        Time constants, s: of the average, of the way down and of the way up.

    Attributes
    ----------
    average, level, count : numpy.ndarray
        (n_rois,) float32: the average, the rest level, and how many frames have been seen. ``level`` is 0 before.
    """

    def __init__(
        self,
        n_rois: int,
        imaging_rate: float | NDArray[Any],
        times_s: tuple[float, float, float] = (REST_AVERAGE_S, REST_DOWN_S, REST_UP_S),
    ) -> None:
        self.average, self.level, self.count, *self._room = np.zeros((6, n_rois), np.float32)
        rate = np.asarray(imaging_rate, np.float32)
        self._steps = [np.minimum(np.float32(1), 1 / (np.float32(time) * rate)) for time in times_s]

    def update(self, values: NDArray[np.float32], present: NDArray[np.bool_]) -> None:
        """Take one frame (n_rois,) in; absent values change nothing and have to be finite."""
        step, away, pull = self._room
        follow, down, up = self._steps
        self.count += present
        np.minimum(self.count, MOST_COUNT, out=self.count)
        np.maximum(self.count, 1, out=step)
        np.divide(1, step, out=step)  # the first frames count alike
        np.maximum(step, follow, out=pull)
        np.subtract(values, self.average, out=away)
        away *= pull
        np.add(self.average, away, out=self.average, where=present)
        np.multiply(step, step, out=pull)
        np.maximum(pull, up, out=pull)
        np.maximum(step, down, out=step)
        np.subtract(self.average, self.level, out=away)
        np.copyto(pull, step, where=away < 0)
        away *= pull
        np.add(self.level, away, out=self.level, where=present)


class RunningNoise:
    """Running noise level of ROIs: where bounded pulls of the logarithms of frame-to-frame differences balance.

    Parameters
    ----------
    n_rois : int
        Number of ROIs.
    imaging_rate : float
        Hz.

    Attributes
    ----------
    balance, last, seen, count : numpy.ndarray
        (n_rois,) float32: natural logarithm of the difference, the last value, whether it was present (0 or 1), and
        how many differences there were.
    log_factor : float
        What has to be added to ``balance`` for the logarithm of the noise level.
    """

    def __init__(self, n_rois: int, imaging_rate: float) -> None:
        self.balance, self.last, self.seen, self.count, *self._room = np.zeros((7, n_rois), np.float32)
        self._both = np.zeros(n_rois, bool)
        self._step = np.float32(min(1.0, 1.0 / (NOISE_S * imaging_rate)))
        self.log_factor = np.float32(np.log(100.0 * BALANCE_TO_MEDIAN / np.sqrt(imaging_rate)))

    def update(self, values: NDArray[np.float32], present: NDArray[np.bool_]) -> None:
        """Take one frame (n_rois,) in; absent values have to be finite."""
        step, pull, bound = self._room
        both = np.logical_and(present, self.seen, out=self._both)
        np.subtract(values, self.last, out=pull)
        np.abs(pull, out=pull)
        np.maximum(pull, SMALLEST_DIFFERENCE, out=pull)
        np.log(pull, out=pull)
        pull -= self.balance
        self.count += both
        np.minimum(self.count, MOST_COUNT, out=self.count)
        np.maximum(self.count, 1, out=step)
        np.divide(1, step, out=step)  # the first differences count alike
        np.multiply(step, FREE_STEPS, out=bound)
        bound *= bound
        np.maximum(bound, 1, out=bound)
        bound *= MOST_PULL
        np.minimum(pull, bound, out=pull)
        np.negative(bound, out=bound)
        np.maximum(pull, bound, out=pull)
        np.maximum(step, self._step, out=step)
        pull *= step
        np.add(self.balance, pull, out=self.balance, where=both)
        np.copyto(self.last, values, where=present)
        np.copyto(self.seen, present)

    @property
    def level(self) -> NDArray[np.float32]:
        """Noise level (n_rois,), % Hz^-1/2; NaN before there was a difference."""
        return np.where(self.count > 0, np.exp(self.balance + self.log_factor), np.nan).astype(np.float32)


def above_rest(
    traces: NDArray[Any],
    present: NDArray[np.bool_],
    imaging_rate: float | NDArray[Any],
    *,
    warm: NDArray[Any] | None = None,
) -> NDArray[np.float32]:
    """Traces less their running rest levels, as they would come in frame by frame.

    Parameters
    ----------
    traces : numpy.ndarray
        (n_rois, n_frames), finite.
    present : numpy.ndarray
        (n_rois, n_frames) bool; the result is 0 in other frames.
    imaging_rate : float or numpy.ndarray
        Hz; one, or (n_rois,).
    warm : numpy.ndarray, optional
        (n_rois,) bool: ROIs whose level first runs backwards along some frames, as if they had been seen before.

    Returns
    -------
    numpy.ndarray
        (n_rois, n_frames) float32.

    Examples
    --------
    >>> above_rest(np.array([[5.0, 5.0, 6.0]]), np.ones((1, 3), bool), 1.0).round(2)
    array([[0.  , 0.  , 0.89]], dtype=float32)
    """
    frames = np.ascontiguousarray(traces.T, np.float32)
    there = np.ascontiguousarray(present.T)
    rest = RunningRest(len(traces), imaging_rate)
    if warm is not None:
        for values, seen in zip(frames[WARM_FRAMES::-1], there[WARM_FRAMES::-1] & warm, strict=True):
            rest.update(values, seen)
    for values, seen in zip(frames, there, strict=True):
        rest.update(values, seen)
        np.subtract(values, rest.level, out=values, where=seen)
        values[~seen] = 0
    return np.ascontiguousarray(frames.T)
