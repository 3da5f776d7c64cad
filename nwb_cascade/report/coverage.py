"""How noisy the ROIs are, and whether the model was trained for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_BINS = 40
LEAST_WIDTH = 1 / 100  # of a bin, of all that the histogram shows: some pixels


@dataclass(frozen=True, eq=False)
class Coverage:
    """Noise levels of a recording against those of a model.

    Parameters
    ----------
    edges : numpy.ndarray
        (n_bins + 1,) float64, % Hz^-1/2.
    covered, uncovered : numpy.ndarray
        (n_bins,) int64, ROIs per bin that lie within and outside what the model was trained for.
    model_levels : tuple of float
        Levels that the model was trained for, or the ends of their range, ascending.
    low, high : float
        What the model was trained for, ends included.
    below, within, above, unknown : int
        ROIs below, within and above that, and without a noise level.
    median : float
        % Hz^-1/2; NaN without any.
    """

    edges: NDArray[np.float64]
    covered: NDArray[np.int64]
    uncovered: NDArray[np.int64]
    model_levels: tuple[float, ...]
    low: float
    high: float
    below: int
    within: int
    above: int
    unknown: int
    median: float


def noise_coverage(
    noise_levels: NDArray[np.floating[Any]], model_levels: Sequence[float], *, quieter_is_covered: bool = False
) -> Coverage:
    """Compare noise levels (n_rois,), NaN: unknown, with those that a model was trained for.

    Parameters
    ----------
    noise_levels : numpy.ndarray
        (n_rois,), % Hz^-1/2; NaN: unknown.
    model_levels : sequence of float
        Levels with networks of their own, or the ends of a range; empty: any level is covered.
    quieter_is_covered : bool
        Whether the networks of the lowest level serve whatever is quieter, as in Cascade.

    Examples
    --------
    >>> coverage = noise_coverage(np.array([1.0, 3.0, 12.0, np.nan]), [2.0, 8.0])
    >>> coverage.below, coverage.within, coverage.above, coverage.unknown
    (1, 1, 1, 1)
    """
    known = np.asarray(noise_levels, np.float64)
    known = known[np.isfinite(known)]
    levels = tuple(sorted(float(level) for level in model_levels))
    low = levels[0] if levels and not quieter_is_covered else 0.0
    high = levels[-1] if levels else float("inf")
    edges = _edges(known, max([*levels, *known], default=1.0))
    within = (known >= low) & (known <= high)
    return Coverage(
        edges=edges,
        covered=np.histogram(known[within], bins=edges)[0].astype(np.int64),
        uncovered=np.histogram(known[~within], bins=edges)[0].astype(np.int64),
        model_levels=levels,
        low=low,
        high=high,
        below=int((known < low).sum()),
        within=int(within.sum()),
        above=int((known > high).sum()),
        unknown=int(len(noise_levels) - known.size),
        median=float(np.median(known)) if known.size else float("nan"),
    )


def _edges(known: NDArray[np.float64], highest: float) -> NDArray[np.float64]:
    """Ends of bins of one width around the known levels, wide enough to be seen on an axis from 0 to the highest."""
    if not known.size:
        return np.array([0.0, 1.0])
    n_bins = min(MOST_BINS, int(np.ceil(2 * np.sqrt(known.size))))
    low, high = float(known.min()), float(known.max())
    width = max((high - low) / n_bins, LEAST_WIDTH * highest) or 1.0
    n_bins = max(1, int(np.ceil((high - low) / width - 1e-9)))
    first = max(0.0, (low + high - n_bins * width) / 2)
    edges = np.asarray(first + width * np.arange(n_bins + 1), np.float64)
    edges[0], edges[-1] = min(edges[0], low), max(edges[-1], high)  # rounding must lose none
    return edges
