"""Expected spikes per frame to spike times: the integer train whose smoothed counts fit best."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nwb_cascade.core.spike_total import SPIKE_TOTALS, SpikeTotal
from nwb_cascade.core.traces import require_matrix, require_rate
from nwb_cascade.discrete.fit import Fitter
from nwb_cascade.discrete.matching import SpikeMatch, match_spikes
from nwb_cascade.discrete.shape import SpikeShape
from nwb_cascade.errors import InputError

__all__ = ["POOR_FIT", "DiscreteSpikes", "SpikeMatch", "discrete_spikes", "match_spikes"]

# Spikes in one frame cannot be told apart; they are written this far apart, the order of the refractory period.
SPIKE_SPACING_S = 0.002
# No neuron fires so often within a frame: such input is in other units.
HIGHEST_RATE = 1000.0
# Above this fit error a train should not be read spike by spike, see docs/discrete_spikes.md.
POOR_FIT = 0.5
# Frames handled at once: the working arrays then stay in the processor's cache.
BLOCK_FRAMES = 65536


@dataclass(frozen=True, eq=False)
class DiscreteSpikes:
    """Spike trains inferred from expected spikes.

    Parameters
    ----------
    spike_times : tuple of numpy.ndarray
        One float64 array per ROI, s from the first frame, in order.
    fit_error : numpy.ndarray
        (n_rois,) float32: summed absolute difference between the smoothed counts per frame and the rates, over the
        sum of the rates. 0 is a perfect fit; above 1 the train explains the rates worse than no spike at all would.
        NaN where the rates sum to 0.
    """

    spike_times: tuple[NDArray[np.float64], ...]
    fit_error: NDArray[np.float32]


def discrete_spikes(
    expected_spikes: ArrayLike,
    kernel: ArrayLike,
    imaging_rate: float,
    *,
    spike_total: SpikeTotal = "conserved",
    n_threads: int = 1,
) -> DiscreteSpikes:
    """Find the spike trains whose smoothed counts come closest to expected spikes per frame.

    Minimises the squared difference between the rates and the counts per frame convolved with the kernel, the loss
    under which the networks learn what the rates mean. See ``docs/discrete_spikes.md`` for method and limits.

    Parameters
    ----------
    expected_spikes : array_like
        (n_rois, n_frames), expected spikes per frame. NaN frames were not evaluated; they and negative rates count
        as 0.
    kernel : array_like
        (2 * half_width + 1,), the smoothing that the rates carry, of sum 1, its middle at lag 0. ``[1.0]``: none.
    imaging_rate : float
        Hz.
    spike_total : {"conserved", "supported"}
        ``conserved``: every ROI gets the rounded sum of its rates, every event and every quiet stretch between events
        its own sum rounded down or up. ``supported``: only spikes that bring the smoothed train closer to the rates.
    n_threads : int
        ROIs are shared out among so many threads; the result does not depend on it.

    Returns
    -------
    DiscreteSpikes

    Raises
    ------
    InputError
        If shape, rates, kernel, imaging rate, ``spike_total`` or ``n_threads`` cannot be used.

    Examples
    --------
    >>> rates = [[0.0, 0.0, 0.25, 0.5, 0.25, 0.0, 0.0, 0.0]]
    >>> discrete_spikes(rates, [0.25, 0.5, 0.25], imaging_rate=10.0).spike_times
    (array([0.3]),)
    """
    rates = require_matrix("expected_spikes", expected_spikes)
    require_rate(imaging_rate)
    if spike_total not in SPIKE_TOTALS:
        raise InputError(f"Expected spike_total 'conserved' or 'supported', received {spike_total!r}.")
    if n_threads < 1:
        raise InputError(f"Expected n_threads of at least 1, received {n_threads!r}.")
    fitter = Fitter.prepare(SpikeShape.from_kernel(kernel), keep_count=spike_total == "conserved")
    rows = max(1, BLOCK_FRAMES // (rates.shape[1] + 2 * fitter.shape.margin))

    def solve(first: int) -> tuple[list[NDArray[np.float64]], NDArray[np.float32]]:
        return _solve_block(_read_block(rates, slice(first, first + rows)), fitter, float(imaging_rate))

    with ThreadPoolExecutor(n_threads) as pool:
        solved = list(pool.map(solve, range(0, rates.shape[0], rows)))
    errors = np.concatenate([np.empty(0, np.float32), *(of_block for _, of_block in solved)])
    return DiscreteSpikes(tuple(times for of_block, _ in solved for times in of_block), errors)


def _read_block(rates: NDArray[Any], rois: slice) -> NDArray[np.float32]:
    """Rates of a few ROIs as float32; refuse what cannot be expected spikes per frame."""
    block = rates[rois].astype(np.float32)
    too_high = np.argwhere(block > HIGHEST_RATE)
    if too_high.size:
        roi, frame = too_high[0]
        raise InputError(
            f"Expected at most {HIGHEST_RATE:g} expected spikes per frame, received {block[roi, frame]:g} for ROI "
            f"{rois.start + roi} at frame {frame}. Divide rates in spikes/s by the imaging rate first."
        )
    return block


def _solve_block(
    rates: NDArray[np.float32], fitter: Fitter, imaging_rate: float
) -> tuple[list[NDArray[np.float64]], NDArray[np.float32]]:
    """Spike times and fit errors of a few ROIs."""
    n_rois, n_frames = rates.shape
    margin = fitter.shape.margin
    known = ~np.isnan(rates)
    padded = np.zeros((n_rois, n_frames + 2 * margin), dtype=np.float32)
    inside = slice(margin, margin + n_frames)
    np.maximum(rates, 0, out=padded[:, inside], where=known)
    counts, offset = (flat.reshape(padded.shape) for flat in fitter.fit(padded.ravel(), padded.shape[1]))
    smoothed = fitter.shape.smooth(counts.ravel()).reshape(padded.shape)
    misfit = np.abs(smoothed - padded)[:, inside].sum(axis=1, where=known, dtype=np.float64)
    total = padded.sum(axis=1, dtype=np.float64)
    fit_error = np.divide(misfit, total, out=np.full(n_rois, np.nan), where=total > 0)
    times = _times(counts[:, inside], offset[:, inside], fitter.shape.lag, imaging_rate)
    return times, fit_error.astype(np.float32)


def _times(
    counts: NDArray[np.float32], offset: NDArray[np.float32], lag: int, imaging_rate: float
) -> list[NDArray[np.float64]]:
    """Spike times of every row, s; spikes of one frame a refractory period apart, all within their frame."""
    row, frame = np.nonzero(counts)
    number = counts[row, frame].astype(np.int64)
    spacing = np.minimum(SPIKE_SPACING_S * imaging_rate, 0.9 / number)
    room = 0.5 - 0.5 * spacing * number
    first = frame - lag + np.clip(offset[row, frame], -room, room) - 0.5 * spacing * (number - 1)
    nth = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
    times = (np.repeat(first, number) + nth * np.repeat(spacing, number)) / imaging_rate
    per_row = np.bincount(row, number, counts.shape[0]).astype(np.int64)
    return np.split(np.clip(times, 0.0, (counts.shape[1] - 1) / imaging_rate), np.cumsum(per_row)[:-1])
