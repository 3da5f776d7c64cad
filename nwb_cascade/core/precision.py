"""Numbers of few bits: as exact as they need to be, so that files of them are small."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MANTISSA_BITS = 23  # that float32 stores
RATE_BITS, DEVIATION_BITS = 10, 6  # that are kept: errors of at most 0.05 % of a rate, 0.8 % of a deviation


def rounded(values: NDArray[np.float32], bits: int) -> NDArray[np.float32]:
    """Round to so many bits behind the first one; the others are zero, which any compression makes use of.

    Parameters
    ----------
    values : numpy.ndarray
        float32 of any shape. NaN, infinity and numbers below 1e-38 stay as they are.
    bits : int
        1 to 22. The error is at most ``2 ** -(bits + 1)`` of a value, and as often up as down.

    Examples
    --------
    >>> rounded(np.array([0.3, -1.0, 0.0, np.nan], np.float32), 10)
    array([ 0.30004883, -1.        ,  0.        ,         nan], dtype=float32)
    """
    dropped = MANTISSA_BITS - bits
    numbers = np.array(values, np.float32)
    words = numbers.view(np.uint32)
    normal = np.isfinite(numbers) & (np.abs(numbers) >= np.finfo(np.float32).tiny)
    lowest = (words >> np.uint32(dropped)) & np.uint32(1)  # halves go to the even neighbour
    half = np.uint32((1 << (dropped - 1)) - 1)
    words[normal] = ((words + half + lowest) >> np.uint32(dropped) << np.uint32(dropped))[normal]
    return numbers
