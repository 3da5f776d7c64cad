"""Running baselines of a trace, and the small estimates they rest on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import MEDIAN_TO_STD
from nwb_cascade.core.rest_level import QUANTILE, raised
from nwb_cascade.dff.method import DffMethod


def running_percentile(trace: NDArray[np.float32], percentile: float, n_frames: int) -> NDArray[np.float32]:
    """Percentile (the value of the lower rank) in a centred window that slides along a trace without NaN.

    The trace is mirrored at its ends; a window as long as the trace or longer gives one value for all frames. Cost
    per frame grows with the logarithm of the window (SciPy 1.15 or later; before, with the window).
    """
    from scipy.ndimage import percentile_filter  # here, so that dF/F which is there already does not wait for it

    if n_frames >= trace.size:
        return np.full_like(trace, np.percentile(trace, percentile, method="lower"))
    return np.asarray(percentile_filter(trace, percentile, size=n_frames | 1, mode="reflect"))


def running_baseline(trace: NDArray[np.float32], imaging_rate: float, method: DffMethod) -> NDArray[np.float32]:
    """Baseline of a trace without NaN by the method's own rule."""
    from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d

    window = window_frames(imaging_rate, method)
    if method.baseline == "rest":
        return _running_rest(trace, imaging_rate, window)
    if method.baseline == "percentile":
        return running_percentile(trace, method.percentile, window)
    smooth = gaussian_filter1d(trace, method.smoothing_frames) if method.smoothing_frames else trace
    if window >= smooth.size:
        return np.full_like(smooth, smooth.min())
    return np.asarray(maximum_filter1d(minimum_filter1d(smooth, window), window))


def _running_rest(trace: NDArray[np.float32], imaging_rate: float, window: int) -> NDArray[np.float32]:
    """Running rest level: the 15th percentile of means over one second, raised by what noise lowers it by."""
    from scipy.ndimage import uniform_filter1d

    width = max(1, min(round(imaging_rate), trace.size))
    means = uniform_filter1d(trace.astype(np.float64), width, mode="reflect").astype(np.float32)
    low, middle = (running_percentile(means, percent, window) for percent in (100 * QUANTILE, 50.0))
    return raised(low, middle, noise_std(trace) / np.sqrt(width)).astype(np.float32)


def window_frames(imaging_rate: float, method: DffMethod) -> int:
    """Length of the running window, whole frames, at least one."""
    return max(1, int(min(method.window_s * imaging_rate, 1e9)))


def noise_std(trace: NDArray[np.float32]) -> float:
    """Standard deviation of white noise, from the median difference of neighbouring frames."""
    if trace.size < 2:
        return 0.0
    return float(MEDIAN_TO_STD / np.sqrt(2.0) * np.median(np.abs(np.diff(trace))))


def bridge(trace: NDArray[np.float32], left_out: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Replace frames by straight lines between their neighbours; some frame is kept."""
    if not left_out.any():
        return trace
    frames = np.arange(trace.size)
    return np.interp(frames, frames[~left_out], trace[~left_out]).astype(np.float32)
