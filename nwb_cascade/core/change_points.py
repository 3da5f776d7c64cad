"""Where a quantity that is known window by window changes for good, against how much it scatters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import MEDIAN_TO_STD

LEAST_WINDOWS = 3  # on either side of a change
LEAST_SPREADS = 3.0  # by which both sides differ, in standard deviations of single windows


def change_points(values: NDArray[np.float64], least_change: float) -> list[int]:
    """Return the windows before which values (n_windows,) change for good, in order.

    A sequence is halved where its means differ most, as long as the medians of both halves differ by at least
    ``least_change`` and by three standard deviations; a few windows that stick out are no change.

    Examples
    --------
    >>> change_points(np.array([1.0, 1.1, 1.0, 3.0, 3.1, 3.0, 3.0]), least_change=0.5)
    [3]
    """
    n = values.size
    if n < 2 * LEAST_WINDOWS:
        return []
    sums, at = np.cumsum(values), np.arange(LEAST_WINDOWS, n - LEAST_WINDOWS + 1)
    before, after = sums[at - 1] / at, (sums[-1] - sums[at - 1]) / (n - at)
    split = int(at[np.argmax((after - before) ** 2 * at * (n - at))])
    sides = values[:split], values[split:]
    change = abs(float(np.median(sides[1]) - np.median(sides[0])))
    spread = max(float(np.median(np.abs(side - np.median(side)))) * MEDIAN_TO_STD for side in sides)
    if change < max(least_change, LEAST_SPREADS * spread):
        return []
    later = change_points(sides[1], least_change)
    return [*change_points(sides[0], least_change), split, *(split + one for one in later)]
