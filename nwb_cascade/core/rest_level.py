"""The rest level of traces, and how active they are as a whole: what a network that sees a few seconds cannot know.

dF/F should rest at 0, but where it does depends on who computed F0. An F0 that is wrong by a factor turns dF/F x into
``c (1 + x) - 1``: it rests at r, and all transients are scaled by 1 + r. ``(x - r) / (1 + r)`` undoes that exactly,
because the rest level here moves and scales with the trace. An F0 that drifts makes r a line in time, which is
undone likewise. A constant that was added to dF/F cannot be told from that; its transients come out smaller by 1 + r.
Where the rest level moves by more than a third of the fluorescence, transients are divided by its mean: in ground truth
they do not follow such a line (docs/counts.md), as in bleaching that was never scaled out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_level, noise_std

HALF_WINDOW_S = 0.5
QUANTILE, QUANTILE_Z = 0.15, 1.0364  # the share of windows below the line, and how far that is in a normal distribution
DRIFT_FROM_S = 60.0  # in a shorter recording a slope would follow the activity
STEPS = 20  # of the reweighted least squares: the line moves by less than a hundredth of the noise after them
MOST_SCALED = 0.35  # of the mean fluorescence: transients do not follow a line that moves by more
LEAST_FLUORESCENCE = 0.2  # of 1 + r; a lower one is no rest level of dF/F
EVENT_Z = 2.0  # standard deviations of noise above rest, from which a window counts as active
FLOOR, CEILING = 0.01, 1e4  # of the mean square of what exceeds that
ACTIVITY_CENTRE, ACTIVITY_SCALE = -1.0, 3.0  # bring its logarithm to the order of 1; part of the format of models


@dataclass(frozen=True, eq=False)
class Told:
    """What networks are told of a block of ROIs in one stretch; arrays (n_rois,).

    ``noise_level`` in % Hz^-1/2 of the traces as given; ``first`` and ``step`` are the line of the rest level, dF/F at
    the stretch's first frame and its change per frame; ``activity`` as by `tell`; ``scale`` is the fluorescence at rest
    by which all transients are divided, NaN where they follow the line.
    """

    noise_level: NDArray[np.float32]
    first: NDArray[np.float64]
    step: NDArray[np.float64]
    activity: NDArray[np.float32]
    scale: NDArray[np.float64]

    def rest(self, rows: Any, n_frames: int) -> NDArray[np.float64]:
        """Return the rest level of some ROIs in every frame, (n, n_frames) or for one ROI (n_frames,)."""
        first, step = np.asarray(self.first[rows]), np.asarray(self.step[rows])
        return np.asarray(first[..., None] + step[..., None] * np.arange(n_frames))

    def from_rest(self, dff: NDArray[Any], rows: Any) -> NDArray[np.float32]:
        """Return dF/F of some ROIs, (n, n_frames) or for one ROI (n_frames,), as it is relative to its rest level."""
        return from_rest(dff, self.rest(rows, dff.shape[-1]), self.scale[rows])

    def noise_from_rest(self, n_frames: int) -> NDArray[np.float32]:
        """Return the noise levels of that, (n_rois,)."""
        scale = np.where(np.isfinite(self.scale), self.scale, fluorescence(self.mean_rest(n_frames)))
        return np.asarray(self.noise_level / scale, np.float32)

    def with_level(self, noise_level: float | None) -> Told:
        """Return the same, but told this noise level, unless it is None."""
        return self if noise_level is None else replace(self, noise_level=np.full_like(self.noise_level, noise_level))

    def mean_rest(self, n_frames: int) -> NDArray[np.float64]:
        """Return the mean rest level of every ROI, (n,)."""
        return np.asarray(self.first + self.step * (n_frames - 1) / 2)


def from_rest(
    dff: NDArray[Any], rest: NDArray[np.float64], scale: NDArray[np.float64] | float = np.nan
) -> NDArray[np.float32]:
    """Return dF/F as it is relative to its rest level: ``(dff - rest) / (1 + rest)``, or by a scale that is known.

    Examples
    --------
    >>> from_rest(np.array([0.2, 0.8]), np.array([0.2, 0.2]))
    array([0. , 0.5], dtype=float32)
    """
    by = np.asarray(scale)[..., None]
    return np.asarray((dff - rest) / np.where(np.isfinite(by), by, fluorescence(rest)), np.float32)


def fluorescence(rest: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 + r: the fluorescence at rest in units of the F0 that was used."""
    return np.asarray(np.maximum(1 + rest, LEAST_FLUORESCENCE))


def tell_block(dff: NDArray[Any], imaging_rate: float) -> Told:
    """Return what networks are told of traces (n, n_frames) that are one stretch; see `tell`."""
    return tell([dff], [imaging_rate], [noise_level(dff, imaging_rate)])[0]


def tell(
    parts: Sequence[NDArray[Any]], imaging_rates: Sequence[float], levels: Sequence[NDArray[np.float32]]
) -> list[Told]:
    """Return what networks are told of the stretches of a recording.

    The rest level is a line through the 15th percentile of the running mean over one second, raised by what noise
    alone lowers it. It is one line for all stretches, in recorded time. Activity is the mean square by which half
    seconds exceed rest by more than two standard deviations of their noise, as a logarithm of the order of 1: -1 is
    noise, above 0 are cells with frequent transients. Both move and scale with the traces.

    Parameters
    ----------
    parts : sequence of numpy.ndarray
        (n_rois, n_frames) each, dF/F as a fraction, NaN where a frame is missing; the same ROIs.
    imaging_rates : sequence of float
        Of each stretch, Hz.
    levels : sequence of numpy.ndarray
        (n_rois,) each, noise levels, % Hz^-1/2.
    """
    begun = np.cumsum([0.0, *(dff.shape[1] / rate for dff, rate in zip(parts, imaging_rates, strict=True))])
    found = [
        _windows(dff, rate, level, start)
        for dff, rate, level, start in zip(parts, imaging_rates, levels, begun, strict=False)
    ]
    windows = _Windows(*(np.concatenate(arrays, axis=1) for arrays in zip(*found, strict=True)))
    seconds = np.full(len(parts[0]), begun[-1])
    first, slope, activity = _told(windows, seconds)
    scale = _scales(first, slope, seconds)
    return [
        Told(level, first + slope * start, slope / rate, activity, scale)
        for level, rate, start in zip(levels, imaging_rates, begun, strict=False)
    ]


def tell_apart(
    traces: Sequence[NDArray[Any]], imaging_rates: Sequence[float], levels: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32], NDArray[np.float64]]:
    """Return the line of the rest level (first, step per frame), activity and scale of traces of different cells.

    The traces are (n_frames,). The same as `tell` for each, at less cost.
    """
    seconds = np.array([trace.size / rate for trace, rate in zip(traces, imaging_rates, strict=True)])
    each = [
        _windows(trace[None], rate, np.array([level], np.float32), 0.0)
        for trace, rate, level in zip(traces, imaging_rates, levels, strict=True)
    ]
    first, slope, activity = _told(_Windows(*(_padded(arrays) for arrays in zip(*each, strict=True))), seconds)
    return first, slope / np.asarray(imaging_rates), activity, _scales(first, slope, seconds)


class _Windows(NamedTuple):
    """Means over half seconds and seconds (n, n_windows), NaN where there is none; times in s; noise of the halves."""

    half: NDArray[np.float64]
    half_times: NDArray[np.float64]
    noise: NDArray[np.float64]
    whole: NDArray[np.float64]
    times: NDArray[np.float64]


def _windows(dff: NDArray[Any], rate: float, level: NDArray[np.float32], start_s: float) -> _Windows:
    """Return the windows of one stretch (n, n_frames) that begins at a time, s."""
    width = max(1, min(round(HALF_WINDOW_S * rate), dff.shape[1]))
    half = _means(dff, width)
    times = np.broadcast_to(start_s + (np.arange(half.shape[1]) + 0.5) * width / rate, half.shape)
    noise = noise_std(np.nan_to_num(level.astype(np.float64)), rate) / np.sqrt(width)
    pairs = ((values[:, 1:] + values[:, :-1]) / 2 if half.shape[1] > 1 else values for values in (half, times))
    return _Windows(half, times, np.broadcast_to(noise[:, None], half.shape), *pairs)


def _padded(arrays: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return rows (1, n) of different lengths below each other, NaN at their ends."""
    joined = np.full((len(arrays), max(array.shape[1] for array in arrays)), np.nan)
    for row, array in zip(joined, arrays, strict=True):
        row[: array.shape[1]] = array[0]
    return joined


def _told(
    windows: _Windows, seconds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """Return rest level at time 0, its slope per second and activity, (n,) each."""
    there = np.isfinite(windows.noise)
    variance = np.where(there, windows.noise, 0.0) ** 2
    noise = np.sqrt(variance.sum(axis=1) / np.maximum(there.sum(axis=1), 1) / 2)  # of means over two halves
    first, slope = _lines(windows.whole, windows.times, noise, seconds)
    rest = first[:, None] + slope[:, None] * windows.half_times
    return first, slope, _activity(windows.half - rest, windows.noise)


def _scales(
    first: NDArray[np.float64], slope: NDArray[np.float64], seconds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean fluorescence at rest of traces whose transients do not follow the line, NaN for the others."""
    mean = fluorescence(first + slope * seconds / 2)
    return np.where(np.abs(slope) * seconds > MOST_SCALED * mean, mean, np.nan)


def _means(dff: NDArray[Any], width: int) -> NDArray[np.float64]:
    """Return means over ``width`` frames, (n, n_windows); NaN where most are missing, or all are 0 (padding)."""
    n_windows = dff.shape[1] // width
    windows = dff[:, : n_windows * width].reshape(len(dff), n_windows, width)
    there = np.isfinite(windows)
    count = there.sum(axis=2)
    total = np.where(there, windows, 0).sum(axis=2, dtype=np.float64)
    known = (2 * count >= width) & (count > 0) & (np.where(there, windows, 0) != 0).any(axis=2)
    return np.where(known, total / np.maximum(count, 1), np.nan)


def _lines(
    means: NDArray[np.float64], times: NDArray[np.float64], noise: NDArray[np.float64], seconds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rest level at time 0 and its slope, (n,) each; 0 for ROIs without a value."""
    n_rois = len(means)
    slope = np.zeros(n_rois)
    if not means.shape[1]:
        return slope, slope
    long = seconds >= DRIFT_FROM_S
    slope[long] = _slopes(means[long], times[long])
    ordered = np.sort(means - slope[:, None] * times, axis=1)
    low, middle = _quantiles(ordered, QUANTILE), _quantiles(ordered, 0.5)
    return np.nan_to_num(raised(low, middle, noise)), slope


def raised(low: NDArray[Any], middle: NDArray[Any], noise: NDArray[Any] | float) -> NDArray[np.float64]:
    """Return a low percentile (of share ``QUANTILE``) without what noise of a standard deviation lowers it by.

    Up to the median, the values of a quiet trace are spread by noise, those of a busy one by its activity as well,
    beside which noise lowers the percentile less.
    """
    spread = (middle - low) / QUANTILE_Z
    signal = np.sqrt(np.maximum(spread**2 - noise**2, 0.0))
    return np.asarray(low + QUANTILE_Z * np.maximum(np.minimum(spread, np.hypot(signal, noise)) - signal, 0.0))


def _slopes(means: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slopes of lines above a share of the windows: linear quantile regression, by reweighting."""
    there = np.isfinite(means)
    values = np.where(there, means, 0.0)
    ordered = np.sort(means, axis=1)
    low = np.nan_to_num(_quantiles(ordered, QUANTILE))
    least = (1e-3 * np.nan_to_num(_quantiles(ordered, 0.85) - low) + 1e-12)[:, None]
    span = np.maximum(np.max(np.where(there, times, 0.0), axis=1, initial=1e-9), 1e-9)
    x = np.where(there, times, 0.0) / span[:, None] - 0.5
    start, slope = low, np.zeros(len(means))
    for _ in range(STEPS):
        residual = values - start[:, None] - slope[:, None] * x
        weight = np.where(residual > 0, QUANTILE, 1 - QUANTILE) / np.maximum(np.abs(residual), least)
        weight = np.where(there, weight, 0.0)
        weighted = weight * x
        total, once, twice = weight.sum(axis=1), weighted.sum(axis=1), (weighted * x).sum(axis=1)
        sum_y, sum_xy = (weight * values).sum(axis=1), (weighted * values).sum(axis=1)
        determinant = total * twice - once**2
        usable = determinant > 1e-9 * total * twice
        slope = np.where(usable, (total * sum_xy - once * sum_y) / np.where(usable, determinant, 1.0), 0.0)
        start = np.where(total > 0, (sum_y - slope * once) / np.where(total > 0, total, 1.0), 0.0)
    return np.asarray(slope / span)


def _quantiles(ordered: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return a quantile of each row of sorted values with NaN at the end, (n,); NaN for a row without values."""
    count = np.isfinite(ordered).sum(axis=1)
    place = share * np.maximum(count - 1, 0)
    below = place.astype(np.intp)
    above = np.minimum(below + 1, np.maximum(count - 1, 0))
    rows = np.arange(len(ordered))
    low, high = ordered[rows, below], ordered[rows, above]
    return np.asarray(low + (place - below) * (high - low))


def _activity(above_rest: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return how active ROIs are, (n,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.minimum(np.maximum(above_rest / noise - EVENT_Z, 0.0), 1e3) ** 2
    there = np.isfinite(excess)
    mean = np.where(there, excess, 0.0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
    return np.asarray((np.log(np.minimum(mean, CEILING) + FLOOR) - ACTIVITY_CENTRE) / ACTIVITY_SCALE, np.float32)
