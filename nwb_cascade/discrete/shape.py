"""The smoothed shape of one spike: what it leaves in its neighbours, and how far it reaches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nwb_cascade.errors import InputError

# Weights below this fraction of the peak are cut off: together less than 1e-4 of a Gaussian or causal kernel.
NEGLIGIBLE_WEIGHT = 1e-5
# Two changes whose shapes overlap by less than this fraction are made at once.
NEGLIGIBLE_OVERLAP = 1e-2
# Longer kernels are applied by FFT (measured on float32 in cache).
LONGEST_DIRECT_KERNEL = 11
LONGEST_DIRECT_OVERLAP = 25


@dataclass(frozen=True, eq=False)
class SpikeShape:
    """One smoothed spike, centred on its centre of mass.

    Parameters
    ----------
    weights : numpy.ndarray
        (2 * half_width + 1,) float32, sums to 1; the middle element is the centre of mass, rounded to a frame.
    lag : int
        Frames from the spike to that centre (positive for a causal kernel).
    overlap : numpy.ndarray
        (2 * half_width + 1,) float32: inner product of two shapes 0, 1, 2, ... frames apart.
    derivative : numpy.ndarray
        Like ``weights``: slope of the band-limited curve through the weights, per frame.
    """

    weights: NDArray[np.float32]
    lag: int
    overlap: NDArray[np.float32]
    derivative: NDArray[np.float32]

    @classmethod
    def from_kernel(cls, kernel: ArrayLike) -> SpikeShape:
        """Describe a smoothing kernel of odd length whose middle element is lag 0.

        Raises
        ------
        InputError
            If the kernel is not 1-D, of odd length, finite, non-negative and of sum 1.
        """
        given = np.asarray(kernel, dtype=np.float64)
        if given.ndim != 1 or given.size % 2 == 0:
            raise InputError(f"Expected a 1-D kernel of odd length, its middle at lag 0, received shape {given.shape}.")
        if not (np.isfinite(given).all() and (given >= 0).all() and abs(given.sum() - 1) < 1e-3):
            raise InputError(
                f"Expected a kernel of finite weights >= 0 that sum to 1, received the sum {given.sum():.6g} and the "
                f"smallest weight {given.min():.6g}."
            )
        lag = int(np.rint(given @ np.arange(given.size))) - given.size // 2
        used = np.flatnonzero(given > NEGLIGIBLE_WEIGHT * given.max()) - given.size // 2 - lag
        half_width = int(np.abs(used).max())
        weights = np.zeros(2 * half_width + 1)
        weights[used + half_width] = given[used + given.size // 2 + lag]
        weights /= weights.sum()
        return cls(
            weights.astype(np.float32),
            lag,
            np.convolve(weights, weights[::-1])[2 * half_width :].astype(np.float32),
            _slope(weights).astype(np.float32),
        )

    @property
    def half_width(self) -> int:
        """Frames on each side of the centre of mass."""
        return self.weights.size // 2

    @property
    def margin(self) -> int:
        """Frames on each side of an event that its spikes reach; events twice as far apart are independent."""
        return max(self.half_width, 1)

    @property
    def interplay(self) -> int:
        """Distance in frames from which on two shapes hardly overlap."""
        return int(np.flatnonzero(self.overlap > NEGLIGIBLE_OVERLAP * self.overlap[0])[-1]) + 1

    @property
    def width(self) -> float:
        """Standard deviation of the shape, frames."""
        lags = np.arange(self.weights.size) - self.half_width
        mean = float(self.weights @ lags)
        return float(np.sqrt(self.weights @ (lags - mean) ** 2))

    def overlap_at(self, distance: int) -> float:
        """Inner product of two shapes that many frames apart."""
        distance = abs(distance)
        return float(self.overlap[distance]) if distance < self.overlap.size else 0.0

    def smooth(self, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Smoothed counts of a 1-D train, nothing beyond its ends."""
        return _convolve(counts, self.weights)

    def match(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner product of the values with a shape at every frame (matched filter)."""
        return _convolve(values, self.weights[::-1])

    def interact(self, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner product of the smoothed counts with a shape at every frame."""
        half, both = self.overlap, np.concatenate([self.overlap[:0:-1], self.overlap])
        if half.size > LONGEST_DIRECT_OVERLAP:
            return _convolve(counts, both)
        reach = half.size - 1
        padded = np.zeros(counts.size + 2 * reach, np.float32)
        padded[reach : reach + counts.size] = counts
        total: NDArray[np.float32] = counts * half[0]
        pair = np.empty_like(total)
        for distance in range(1, half.size):
            before = padded[reach - distance : reach - distance + counts.size]
            np.add(before, padded[reach + distance : reach + distance + counts.size], out=pair)
            pair *= half[distance]
            total += pair
        return total

    def match_slope(self, residual: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner product of the residual with the slope of a shape at every frame."""
        return _convolve(residual, self.derivative[::-1])

    def curvature_bound(self, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum over all spikes of the absolute inner product of their slopes with that of a shape at every frame."""
        bound = np.abs(np.convolve(self.derivative, self.derivative[::-1]))
        return _convolve(counts, bound)


def _convolve(values: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centred convolution, as long as the values, by whichever way is fast for this length."""
    half_width = weights.size // 2
    if weights.size <= LONGEST_DIRECT_KERNEL or values.size < weights.size:
        full = np.convolve(values, weights)
    else:
        from scipy.signal import oaconvolve  # slow to import, and few kernels are that long

        full = oaconvolve(values, weights)
    return np.asarray(full[half_width : half_width + values.size], dtype=np.float32)


def _slope(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivative per frame of the band-limited curve through the weights."""
    n_points = 4 * weights.size
    spectrum = 2j * np.pi * np.fft.rfftfreq(n_points) * np.fft.rfft(weights, n_points)
    return np.fft.irfft(spectrum, n_points)[: weights.size]
