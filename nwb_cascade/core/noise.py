"""Noise level of a trace: the quantity by which models are matched to recordings."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Noise level of white noise of standard deviation 1 at 1 Hz: the median of the absolute difference of two frames is
# 0.954 standard deviations, and levels are in percent.
LEVEL_PER_STD = 95.4
MEDIAN_TO_STD = 1.4826  # standard deviation of normal values whose absolute deviation has the median 1
ENOUGH_FRAMES = 300  # of fewer, the median of differences is uncertain by more than 8 %


def noise_level(dff: NDArray[np.floating[Any]], imaging_rate: float) -> NDArray[np.float32]:
    """Estimate the noise level of every ROI from its frame-to-frame differences.

    ``100 * median(|dff[t+1] - dff[t]|) / sqrt(imaging_rate)`` in % Hz^-1/2 (Rupprecht et al. 2021, Methods).
    For white noise, `noise_std` is its inverse.

    Parameters
    ----------
    dff : numpy.ndarray
        (n_rois, n_frames), dF/F as a fraction; differences with NaN are left out.
    imaging_rate : float
        Rate of the recording (not of the model), Hz.

    Returns
    -------
    numpy.ndarray
        (n_rois,) float32, % Hz^-1/2; NaN where a trace has no two neighbouring finite frames.

    Examples
    --------
    >>> import numpy as np
    >>> noise_level(np.array([[0.0, 0.1, 0.0, 0.1]]), imaging_rate=25.0)
    array([2.], dtype=float32)
    """
    with np.errstate(invalid="ignore"):  # between two infinite values there is no difference
        differences = np.abs(np.diff(dff, axis=1))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        # numpy's nanmedian takes many times as long as its median, and few recordings miss frames
        whole = differences.size > 0 and not np.isnan(differences).any()
        median = (np.median if whole else np.nanmedian)(differences, axis=1)
    return np.asarray(100.0 * median / np.sqrt(imaging_rate), dtype=np.float32)


def noise_std(level: Any, imaging_rate: Any) -> Any:
    """Standard deviation per frame, as a fraction dF/F, of white noise of a noise level (% Hz^-1/2) at a rate (Hz).

    Works on numbers and arrays alike.

    Examples
    --------
    >>> round(float(noise_std(2.0, imaging_rate=25.0)), 4)
    0.1048
    """
    return level * np.sqrt(imaging_rate) / LEVEL_PER_STD
