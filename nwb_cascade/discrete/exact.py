"""Best arrangement of a few spikes on a few frames, by trying all of them."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.discrete.shape import SpikeShape

# Beyond this many arrangements an event counts as large.
MOST_ARRANGEMENTS = 300


def is_small(n_frames: NDArray[np.int64], n_spikes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether all ways to put indistinguishable spikes on frames, several on one allowed, are few enough to try."""
    from scipy.special import comb  # here, because every inference imports this module and few find spikes

    return np.asarray(comb(n_frames + n_spikes - 1, n_spikes) <= MOST_ARRANGEMENTS)


@lru_cache(maxsize=256)
def arrangements(n_frames: int, n_spikes: int) -> NDArray[np.float32]:
    """(n, n_frames) float32: every way to put the spikes on the frames, earliest first."""
    places = list(combinations_with_replacement(range(n_frames), n_spikes))
    table = np.zeros((len(places), n_frames), dtype=np.float32)
    if n_spikes:
        np.add.at(table, (np.arange(len(places))[:, None], np.array(places)), 1)
    table.flags.writeable = False
    return table


def best_arrangements(
    drive: NDArray[np.float32], n_spikes: int, shape: SpikeShape
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Best counts of isolated events of one length, and the change of the squared error that they bring.

    Parameters
    ----------
    drive : numpy.ndarray
        (n_events, n_frames) float32, inner product of the rates with a spike's shape at every frame.
    n_spikes : int
        How many spikes each event holds.

    Returns
    -------
    counts : numpy.ndarray
        (n_events, n_frames) float32.
    change : numpy.ndarray
        (n_events,) float32: squared error with these spikes minus that without any.
    """
    table = arrangements(drive.shape[1], n_spikes)
    distance = np.abs(np.subtract.outer(np.arange(drive.shape[1]), np.arange(drive.shape[1])))
    overlap = np.append(shape.overlap, np.float32(0))[np.minimum(distance, shape.overlap.size)]
    energy = np.einsum("af,af->a", table @ overlap, table)
    change = energy - 2 * drive @ table.T
    best = change.argmin(axis=1)
    return table[best], change[np.arange(len(best)), best]
