"""Smoothing kernels: the shape that expected spikes carry, applied exactly centred."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

GAUSSIAN_REACH = 5.0
NARROWEST_FRAMES = 1e-3
CAUSAL_HALF_WIDTH = 99


def gaussian_kernel(smoothing_s: float, imaging_rate: float) -> NDArray[np.float64]:
    """Gaussian of standard deviation ``smoothing_s``, sampled at frames and cut at five standard deviations.

    Parameters
    ----------
    smoothing_s : float
        Standard deviation, s. 0 gives the identity, ``[1.0]``.
    imaging_rate : float
        Hz.

    Returns
    -------
    numpy.ndarray
        (2 * half_width + 1,) float64, sums to 1; the middle element is lag 0.
    """
    _require_valid(smoothing_s, imaging_rate)
    sigma = smoothing_s * imaging_rate
    if sigma < NARROWEST_FRAMES:
        return np.ones(1)
    half_width = int(np.ceil(GAUSSIAN_REACH * sigma))
    lags = np.arange(-half_width, half_width + 1)
    weights = np.exp(-0.5 * (lags / sigma) ** 2)
    return np.asarray(weights / weights.sum())


def causal_kernel(smoothing_s: float, imaging_rate: float) -> NDArray[np.float64]:
    """Inverse-Gaussian density: a kernel whose weight lies (almost) all after the spike.

    The published definition (Cascade, Rupprecht et al. 2021): with f the rate and s the smoothing,
    ``invgauss.pdf(x, mu=2 s, loc=101/f, scale=1)`` on 199 frames, moved towards the centre by
    ``int((99 - argmax) / 1.5)`` frames and normalised.

    Parameters
    ----------
    smoothing_s : float
        Nominal width, s. 0 gives the identity, ``[1.0]``.
    imaging_rate : float
        Hz.

    Returns
    -------
    numpy.ndarray
        (199,) float64 (or (1,)), sums to 1; element 99 is lag 0, later elements follow the spike.
    """
    _require_valid(smoothing_s, imaging_rate)
    if smoothing_s * imaging_rate < NARROWEST_FRAMES:
        return np.ones(1)
    frame_times = np.arange(2 * CAUSAL_HALF_WIDTH + 1) / imaging_rate
    onset = (CAUSAL_HALF_WIDTH + 2) / imaging_rate
    density = _inverse_gaussian(frame_times - onset, 2 * smoothing_s)
    if not density.sum() > 0:
        # Narrower than a frame: no sample falls on the density, so all of it belongs to the frame of the spike.
        density = (np.arange(density.size) == CAUSAL_HALF_WIDTH).astype(float)
    shift = int((CAUSAL_HALF_WIDTH - int(density.argmax())) / 1.5)
    return np.asarray(np.roll(density, shift) / density.sum())


def smoothing_kernel(kernel: str, smoothing_s: float, imaging_rate: float) -> NDArray[np.float64]:
    """Weights of the kernel named as in ``ModelConfig.kernel``.

    Raises
    ------
    ValueError
        If the name is neither ``gaussian`` nor ``causal``, the smoothing negative or the rate not positive.
    """
    if kernel == "gaussian":
        return gaussian_kernel(smoothing_s, imaging_rate)
    if kernel == "causal":
        return causal_kernel(smoothing_s, imaging_rate)
    raise ValueError(f"Expected the kernel 'gaussian' or 'causal', received {kernel!r}.")


def smooth(
    values: NDArray[Any], present: NDArray[np.bool_] | None = None, *, kernel: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Convolve along the last axis with a centred kernel of odd length.

    Symmetric kernels see the trace reflected at its ends, which keeps its sum; others see nothing beyond the ends.
    Absent frames lend no weight: what their neighbours lack of the kernel is made up by the frames that are there.

    Parameters
    ----------
    values : numpy.ndarray
        (..., n_frames), expected or counted spikes per frame.
    present : numpy.ndarray, optional
        (n_frames,) or the shape of ``values``, bool: which frames were recorded. Left out: those that are not NaN.
    kernel : numpy.ndarray
        (2 * half_width + 1,), as made by ``smoothing_kernel``.

    Returns
    -------
    numpy.ndarray
        Shape of ``values``, float32; NaN where a frame is absent.

    Examples
    --------
    >>> smooth(np.array([0.0, 0.0, 4.0, 0.0, 0.0]), kernel=np.array([0.25, 0.5, 0.25]))
    array([0., 1., 2., 1., 0.], dtype=float32)
    """
    from scipy.ndimage import convolve1d  # here, because a tenth of a second counts where nothing is smoothed

    values = np.asarray(values, dtype=np.float64)
    mode: Literal["reflect", "constant"] = "reflect" if np.allclose(kernel, kernel[::-1]) else "constant"
    there = np.isfinite(values) if present is None else np.broadcast_to(present, values.shape)
    if there.all():
        return np.asarray(convolve1d(values, kernel, axis=-1, mode=mode), dtype=np.float32)
    total = convolve1d(np.where(there, values, 0.0), kernel, axis=-1, mode=mode)
    # Beyond the ends counts as there and empty, so that a whole trace gives what the plain path gives.
    weight = 1.0 - convolve1d((~there).astype(np.float64), kernel, axis=-1, mode=mode)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(there, total / weight, np.nan).astype(np.float32)


def single_spike_amplitude(kernel: NDArray[np.float64]) -> float:
    """Height of one smoothed spike, expected spikes per frame: the kernel's peak."""
    return float(kernel.max())


def _inverse_gaussian(x: NDArray[np.float64], mean: float) -> NDArray[np.float64]:
    """Density of the inverse Gaussian of this mean and shape 1, 0 up to x = 0: that of ``scipy.stats.invgauss``.

    Written out because ``scipy.stats`` takes longer to import than all else that a dry run needs of SciPy.
    """
    later = np.where(x > 0, x, 1.0)
    density = 1.0 / np.sqrt(2 * np.pi * later**3.0) * np.exp(-1.0 / (2 * later) * (later / mean - 1) ** 2)
    return np.where(x > 0, density, 0.0)


def _require_valid(smoothing_s: float, imaging_rate: float) -> None:
    if not smoothing_s >= 0 or not imaging_rate > 0:
        raise ValueError(
            f"Expected smoothing_s >= 0 and imaging_rate > 0, received {smoothing_s} s and {imaging_rate} Hz."
        )
