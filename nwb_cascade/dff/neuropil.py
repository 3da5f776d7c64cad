"""How much of the neuropil is in the fluorescence of an ROI."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import MEDIAN_TO_STD
from nwb_cascade.dff.baseline import running_percentile

# Tukey's bisquare: 95 % efficient on normal residuals, blind to those beyond so many robust standard deviations.
TUKEY_CUTOFF = 4.685
MOST_REFITS = 30
SMALLEST_CHANGE = 1e-4


def fit_neuropil_factor(trace: NDArray[np.float32], neuropil: NDArray[np.float32], window: int) -> float:
    """Fit the factor by which the neuropil enters a trace, both without NaN.

    Bisquare regression by iterated reweighting (Beaton & Tukey 1974, Technometrics 16:147) of the trace on the
    neuropil, after a running median over ``window`` frames took the slow trends, bleaching above all, out of both.
    Transients of the ROI itself are outliers.

    Returns
    -------
    float
        From 0 to 1; 0 if the neuropil does not vary.
    """
    return neuropil_factor([(trace, neuropil, window)])


def neuropil_factor(parts: Sequence[tuple[NDArray[np.float32], NDArray[np.float32], int]]) -> float:
    """Fit one factor to all stretches of a recording: trace, neuropil and running window of each."""
    response, regressor = [], []
    for trace, neuropil, window in parts:
        response.append(trace - running_percentile(trace, 50.0, window))
        regressor.append(neuropil - running_percentile(neuropil, 50.0, window))
    return _fitted(np.concatenate(response).astype(np.float64), np.concatenate(regressor).astype(np.float64))


def _fitted(response: NDArray[np.float64], regressor: NDArray[np.float64]) -> float:
    """Bisquare regression, see `fit_neuropil_factor`."""
    weights = np.ones_like(response)
    factor = 0.0
    for _ in range(MOST_REFITS):
        centred = regressor - weights @ regressor / weights.sum()
        spread = weights @ centred**2
        if not spread > 0:
            return 0.0
        previous, factor = factor, float(weights @ (centred * response) / spread)
        residual = response - factor * regressor
        residual -= np.median(residual)
        scale = MEDIAN_TO_STD * np.median(np.abs(residual))
        if not scale > 0 or abs(factor - previous) < SMALLEST_CHANGE:
            break
        weights = np.maximum(1.0 - (residual / (TUKEY_CUTOFF * scale)) ** 2, 0.0) ** 2
    return float(np.clip(factor, 0.0, 1.0))
