"""Windows of calcium with and without a spike in the middle: which there are, balanced draws, splits of neurons."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nwb_cascade.spikefinder.neurons import BIN_HZ, Neuron, Segment

MIDDLE_BINS = 5
BEFORE_CENTRE = 2  # the middle bins are those from -2 to 2 around bin size // 2
MIN_WINDOW = MIDDLE_BINS
BALANCES = ("pooled", "neuron")


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows with their labels and where they come from.

    Parameters
    ----------
    values : numpy.ndarray
        (n, size) float32, scaled dF/F.
    labels : numpy.ndarray
        (n,) bool: whether a spike fell into the middle five bins.
    neurons, segments, starts : numpy.ndarray
        (n,) int64: index of the neuron, of its trial, and the window's first bin there.
    """

    values: NDArray[np.float32]
    labels: NDArray[np.bool_]
    neurons: NDArray[np.int64]
    segments: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> int:
        """Bins per window."""
        return int(self.values.shape[1])

    def take(self, index: NDArray[np.int64]) -> Windows:
        """Some of the windows, in the order of an index."""
        return Windows(
            values=np.asarray(self.values[index]),
            labels=np.asarray(self.labels[index]),
            neurons=np.asarray(self.neurons[index]),
            segments=np.asarray(self.segments[index]),
            starts=np.asarray(self.starts[index]),
        )


def first_middle_bin(size: int) -> int:
    """First of the middle five bins of a window.

    Examples
    --------
    >>> first_middle_bin(20)
    8
    """
    return size // 2 - BEFORE_CENTRE


def window_labels(segment: Segment, size: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return first bins of all windows of a trial without a missing bin, and whether each has a spike in its middle.

    Both are empty where the trial is shorter than a window.
    """
    if segment.trace.size < size:
        return np.empty(0, np.int64), np.empty(0, np.bool_)
    complete = sliding_window_view(np.isfinite(segment.trace), size).all(axis=1)
    starts = np.flatnonzero(complete)
    spikes_before = np.concatenate([[0], np.cumsum(segment.counts)])
    first = starts + first_middle_bin(size)
    return starts, spikes_before[first + MIDDLE_BINS] > spikes_before[first]


def draw_windows(
    neurons: Sequence[Neuron],
    chosen: Collection[int],
    size: int,
    n_windows: int,
    generator: np.random.Generator,
    *,
    balance: str = "pooled",
) -> Windows:
    """Draw as many windows with a spike in the middle as without, each window at most once.

    Parameters
    ----------
    neurons : sequence of Neuron
        All neurons; ``neurons`` of the result counts in it.
    chosen : collection of int
        Indices of those to draw from.
    size : int
        Bins per window, at least 5.
    n_windows : int
        At most so many; fewer where one kind of window is rarer than half of it.
    generator : numpy.random.Generator
        Source of the draw.
    balance : {"pooled", "neuron"}
        ``pooled``: as many of either kind in all, as the tutorial does, so that which cell a window comes from says
        something about its label. ``neuron``: as many of either kind within each neuron, so that it says nothing.

    Raises
    ------
    ValueError
        If the size is below 5 or above the longest trial of a neuron, the balance is unknown, or one kind of window
        is missing.
    """
    if balance not in BALANCES:
        raise ValueError(f"Expected a balance of {' or '.join(BALANCES)}, received {balance!r}.")
    if n_windows < 2:
        raise ValueError(f"Expected at least 2 windows to draw, received {n_windows}.")
    pools = [_pool(neurons[index], index, size) for index in sorted(chosen)]
    if balance == "neuron":
        share = -(-n_windows // max(len(pools), 1))
        drawn = [part for pool in pools for part in _drawn(pool, share, generator)]
    else:
        drawn = _drawn(np.concatenate(pools) if pools else np.empty((0, 4), np.int64), n_windows, generator)
    rows = np.concatenate(drawn) if drawn else np.empty((0, 4), np.int64)
    if rows.size == 0:
        _raise_one_kind(pools, size)
    rows = rows[generator.permutation(len(rows))]
    where, part, start, label = rows.T
    bins = np.arange(size)
    values = np.empty((len(rows), size), np.float32)
    for row, (neuron, segment, first) in enumerate(zip(where, part, start, strict=True)):
        values[row] = neurons[neuron].segments[segment].trace[first + bins]
    return Windows(values, label.astype(np.bool_), where, part, start)


def _pool(neuron: Neuron, index: int, size: int) -> NDArray[np.int64]:
    """All windows of a neuron: rows of (neuron, segment, start, label)."""
    if size < MIN_WINDOW:
        raise ValueError(f"Expected windows of at least {MIN_WINDOW} bins, received {size}.")
    longest = max(segment.trace.size for segment in neuron.segments)
    if longest < size:
        raise ValueError(
            f"Expected traces of at least {size} bins ({size / BIN_HZ:g} s), the longest trial of {neuron.name} has "
            f"{longest}. Choose smaller windows, or leave this cell out."
        )
    rows = []
    for number, segment in enumerate(neuron.segments):
        starts, labels = window_labels(segment, size)
        same = np.full(starts.size, index), np.full(starts.size, number)
        rows.append(np.stack([*same, starts, labels.astype(np.int64)], axis=1))
    return np.concatenate(rows)


def _drawn(pool: NDArray[np.int64], n_windows: int, generator: np.random.Generator) -> list[NDArray[np.int64]]:
    """As many rows with label 1 as with label 0, at most ``n_windows`` together."""
    kinds = [np.flatnonzero(pool[:, 3] == label) for label in (0, 1)]
    each = min(n_windows // 2, *(kind.size for kind in kinds))
    return [pool[generator.choice(kind, each, replace=False)] for kind in kinds] if each else []


def _raise_one_kind(pools: Sequence[NDArray[np.int64]], size: int) -> None:
    n_windows = sum(len(pool) for pool in pools)
    n_positive = sum(int(pool[:, 3].sum()) for pool in pools)
    lacking = "a spike" if n_positive == 0 else "no spike"
    raise ValueError(
        f"Expected windows with {lacking} in their middle {MIDDLE_BINS} bins, none of the {n_windows} windows of "
        f"{size} bins of {len(pools)} neurons has {lacking} there. Choose other data sets, or a smaller window."
    )


@dataclass(frozen=True)
class Split:
    """Indices of neurons to train on and held out: disjoint, and no animal on both sides."""

    training: tuple[int, ...]
    held_out: tuple[int, ...]


def split_by_neuron(neurons: Sequence[Neuron], *, share: float = 0.25, seed: int = 0) -> Split:
    """Hold out a share of the neurons of each dataset (of each dataset with two or more), whole animals at a time.

    Datasets with a single animal train; if all have, a share of all animals is held out.

    Raises
    ------
    ValueError
        If there is only one animal, or the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise ValueError(f"Expected a share of held-out neurons between 0 and 1, received {share:g}.")
    generator = np.random.default_rng(seed)
    held_out: set[str] = set()
    groups = _animals_by_dataset(neurons)
    if all(len(animals) < 2 for animals in groups.values()):
        groups = {"": sorted({neuron.recording.animal for neuron in neurons})}
    for _, animals in sorted(groups.items()):
        if len(animals) > 1:
            n_held_out = min(max(1, round(share * len(animals))), len(animals) - 1)
            held_out.update(animals[i] for i in generator.permutation(len(animals))[:n_held_out])
    return _split(neurons, lambda neuron: neuron.recording.animal in held_out)


def split_by_dataset(neurons: Sequence[Neuron], held_out: Collection[str]) -> Split:
    """Hold out whole datasets, and all that shares an animal with them.

    Raises
    ------
    LookupError
        If there is no such dataset.
    ValueError
        If nothing is left to train on.
    """
    known = {neuron.dataset for neuron in neurons}
    if unknown := sorted(set(held_out) - known):
        raise LookupError(f"Expected data sets of {', '.join(sorted(known))}, received {', '.join(unknown)}.")
    animals = {neuron.recording.animal for neuron in neurons if neuron.dataset in held_out}
    return _split(neurons, lambda neuron: neuron.recording.animal in animals)


def _animals_by_dataset(neurons: Sequence[Neuron]) -> dict[str, list[str]]:
    groups: dict[str, set[str]] = {}
    for neuron in neurons:
        groups.setdefault(neuron.dataset, set()).add(neuron.recording.animal)
    return {dataset: sorted(animals) for dataset, animals in groups.items()}


def _split(neurons: Sequence[Neuron], is_held_out: Callable[[Neuron], bool]) -> Split:
    sides = [is_held_out(neuron) for neuron in neurons]
    if all(sides) or not any(sides):
        raise ValueError(
            f"Expected neurons of at least two animals or data sets, to train on and to hold out; of {len(neurons)} "
            f"neurons {sum(sides)} would be held out. Add cells, or hold out other data sets."
        )
    return Split(
        training=tuple(index for index, side in enumerate(sides) if not side),
        held_out=tuple(index for index, side in enumerate(sides) if side),
    )
