"""Compare spike trains: which inferred spikes can be paired with true ones within a tolerance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nwb_cascade.errors import InputError


class SpikeMatch(NamedTuple):
    """Agreement of two spike trains, from 0 to 1.

    ``precision`` is the part of the inferred spikes that were paired (NaN without any), ``recall`` that of the true
    ones (NaN without any), ``f1`` twice the pairs over all spikes of both trains (NaN without any).
    """

    precision: float
    recall: float
    f1: float


def match_spikes(true_times: ArrayLike, inferred_times: ArrayLike, tolerance_s: float) -> SpikeMatch:
    """Pair the spikes of two trains one to one, as many as possible, at most a tolerance apart.

    Pairing the earliest spikes that can be paired leaves the most partners to the later ones, so one pass over both
    sorted trains finds the largest number of pairs.

    Parameters
    ----------
    true_times, inferred_times : array_like
        (n,) spike times, s, in any order.
    tolerance_s : float
        Largest distance of a pair, s, inclusive.

    Raises
    ------
    InputError
        If times are not 1-D and finite or the tolerance is negative.

    Examples
    --------
    >>> match_spikes([1.0, 2.0, 3.0], [1.02, 2.9, 2.98], tolerance_s=0.05)
    SpikeMatch(precision=0.6666666666666666, recall=0.6666666666666666, f1=0.6666666666666666)
    """
    if not tolerance_s >= 0:
        raise InputError(f"Expected tolerance_s >= 0, received {tolerance_s!r}.")
    true, inferred = _sorted("true_times", true_times), _sorted("inferred_times", inferred_times)
    pairs = _count_pairs(true.tolist(), inferred.tolist(), tolerance_s)
    return SpikeMatch(
        precision=_ratio(pairs, inferred.size),
        recall=_ratio(pairs, true.size),
        f1=_ratio(2 * pairs, true.size + inferred.size),
    )


def _count_pairs(true: list[float], inferred: list[float], tolerance_s: float) -> int:
    pairs = at_true = at_inferred = 0
    while at_true < len(true) and at_inferred < len(inferred):
        lead = true[at_true] - inferred[at_inferred]
        pairs += abs(lead) <= tolerance_s
        at_true += lead <= tolerance_s
        at_inferred += lead >= -tolerance_s
    return pairs


def _sorted(name: str, times: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(times, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise InputError(f"Expected {name} as a 1-D array of finite times, received shape {values.shape}.")
    return np.sort(values)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
