"""One-photon traces, which have no baseline, on a scale that the networks can read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.traces import TraceArray

# Chosen, not measured: a noise level of usual two-photon recordings, and the rise that a burst has in them. A trace
# that was denoised has hardly any noise; its peaks decide.
NOISE_LEVEL = 6.0  # % Hz^-1/2
PEAK = 3.0  # dF/F, the 99.9th percentile over the median


class OneScale:
    """Traces of any unit, each on a scale of its own: to a noise level of 6 or peaks of 300 %, whichever is less.

    Shape, dtype and reading are those of a float32 array (n_rois, n_frames); NaN stays NaN.

    Parameters
    ----------
    traces : TraceArray
        (n_rois, n_frames), of any unit.
    imaging_rate : float
        Hz.

    Examples
    --------
    >>> traces = np.random.default_rng(0).normal(900.0, 30.0, (2, 2000))
    >>> noise_level(OneScale(traces, 20.0)[:], 20.0).round(3)
    array([6., 6.], dtype=float32)
    """

    def __init__(self, traces: TraceArray, imaging_rate: float) -> None:
        self._traces, self._imaging_rate = traces, imaging_rate
        self.shape = tuple(traces.shape)

    def __getitem__(self, rois: Any) -> NDArray[np.float32]:
        values = np.asarray(self._traces[rois], np.float64)
        rows = np.atleast_2d(values)
        scaled = np.full(rows.shape, np.nan)
        for row, target in zip(rows, scaled, strict=True):
            known = row[np.isfinite(row)]
            if not known.size:
                continue
            rest, peak = np.quantile(known, (0.5, 0.999))
            of_noise = float(noise_level(row[None, :], self._imaging_rate)[0]) / NOISE_LEVEL
            least = max((peak - rest) / PEAK, of_noise if np.isfinite(of_noise) else 0.0)
            target[:] = (row - rest) / least if least > 0 else row - rest
        result: NDArray[np.float32] = scaled.reshape(values.shape).astype(np.float32)
        return result

    def record(self) -> dict[str, float]:
        """Return what decides the values, for the key of a run."""
        return {"noise_level": NOISE_LEVEL, "peak": PEAK}
