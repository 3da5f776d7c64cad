"""In which order the ROIs of a population are shown: by rate, by place, those that are active together side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

MOST_CLUSTERED = 3000  # ROIs: 36 MB of distances
MOST_TURNED = 400  # ROIs whose clusters are turned towards each other as well, which takes long for more


def by_rate(mean_rates: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return ROIs by their mean rate (n_rois,), the busiest first; those without one, NaN, last.

    Examples
    --------
    >>> by_rate(np.array([0.5, np.nan, 2.0])).tolist()
    [2, 0, 1]
    """
    return np.argsort(-np.nan_to_num(mean_rates, nan=-np.inf), kind="stable")


def by_place(centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return ROIs from left to right by their centres (n_rois, 2); those without one, NaN, last."""
    return np.argsort(np.nan_to_num(centres[:, 0], nan=np.inf), kind="stable")


def by_correlation(rates: NDArray[np.float32]) -> NDArray[np.int64] | None:
    """Return ROIs with those whose rates (n_rois, n_times) are correlated next to each other.

    The order is that of the leaves of average linkage by Pearson's correlation (`scipy.cluster.hierarchy`). Times at
    which an ROI has no value, NaN, count as its mean; ROIs that never change come last. None for fewer than three that
    do, and for more than 3,000.
    """
    there = np.isfinite(rates)
    sums = np.where(there, rates, 0).sum(axis=1, dtype=np.float64)
    means = sums / np.maximum(there.sum(axis=1), 1)
    centred = np.where(there, rates - means[:, None], 0).astype(np.float32)
    changing = np.flatnonzero(np.abs(centred).max(axis=1, initial=0) > 0)
    if not 3 <= changing.size <= MOST_CLUSTERED:
        return None
    unit = centred[changing] / np.linalg.norm(centred[changing], axis=1, keepdims=True)
    distances = squareform(np.clip(1 - unit @ unit.T, 0, 2), checks=False)
    tree = linkage(distances, "average", optimal_ordering=changing.size <= MOST_TURNED)
    return np.concatenate([changing[leaves_list(tree)], np.setdiff1d(np.arange(len(rates)), changing)])
