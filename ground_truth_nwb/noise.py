"""Noise level of one trace, for tables and for the simulator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# The noise level of white noise of standard deviation 1 at 1 Hz, as in ``nwb_cascade.core.noise``.
LEVEL_PER_STD = 95.4


def noise_level(dff: NDArray[np.floating], imaging_rate: float) -> float:
    """Estimate the noise level of one trace in % Hz^-1/2; NaN where no two neighbouring frames are finite.

    ``100 * median(|dff[t+1] - dff[t]|) / sqrt(imaging_rate)`` (Rupprecht et al. 2021, Methods). The same
    formula as ``nwb_cascade.core.noise``, which this package does not import; a test compares the two.

    Examples
    --------
    >>> import numpy as np
    >>> noise_level(np.array([0.0, 0.1, 0.0, 0.1]), 25.0)
    2.0
    """
    steps = np.abs(np.diff(dff))
    steps = steps[np.isfinite(steps)]
    return float(100.0 * np.median(steps) / np.sqrt(imaging_rate)) if steps.size else float("nan")
