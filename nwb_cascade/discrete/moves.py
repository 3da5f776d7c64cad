"""The small changes of a spike train that a local search tries, chosen for the kernel at hand."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.discrete.shape import SpikeShape

# Pairs of spikes are moved towards or away from each other up to this many standard deviations of the shape apart.
PAIR_REACH = 2.0
MOST_PAIR_DISTANCES = 8
# Rearrangements of neighbouring spikes: so many frames wide, so many counts changed in all and at one frame, and of
# these the ones that alter the smoothed train least. More of them found nothing more (docs/discrete_spikes.md).
SPAN = 6
MOST_CHANGED = 8
MOST_CHANGED_AT_ONCE = 2
N_REARRANGEMENTS = 32
# A single spike may also jump so many frames.
LONGEST_JUMP = 6


@dataclass(frozen=True)
class Move:
    """A change of the counts at a few frames.

    Parameters
    ----------
    steps : tuple of (int, int)
        (frame offset, change of the count). A change of 0 stands for a frame that the moved spikes pass over: it must
        be open to spikes, so that none leaves its event.
    energy : float
        Squared norm of the change once smoothed: the part of the change in squared error that no data decides.
    """

    steps: tuple[tuple[int, int], ...]
    energy: float

    @classmethod
    def of(cls, changes: tuple[int, ...], shape: SpikeShape) -> Move:
        """Make a move of the changes at consecutive frames; the first is not 0."""
        at = [(offset, change) for offset, change in enumerate(changes) if change]
        energy = sum(one * other * shape.overlap_at(i - j) for i, one in at for j, other in at)
        balance = np.cumsum(changes)
        last = at[-1][0]
        steps = [(i, c) for i, c in enumerate(changes[: last + 1]) if c or balance[i]]
        return cls(tuple(steps), float(energy))

    @property
    def span(self) -> int:
        """Frames from the first changed to the last."""
        return self.steps[-1][0]


def simple_moves(shape: SpikeShape, *, keep_count: bool) -> tuple[Move, ...]:
    """Moves of one spike by one frame, and of two spikes by one frame each in opposite directions."""
    single = [(-1, 1), (1, -1)]
    farthest = max(2, int(np.ceil(PAIR_REACH * shape.width)))
    distances = np.unique(np.geomspace(1, farthest, MOST_PAIR_DISTANCES).astype(int))
    apart = [(1, -1, *[0] * (distance - 1), -1, 1) for distance in distances]
    together = [(-1, 1, *[0] * (distance - 1), 1, -1) for distance in distances]
    meeting = [(1, -2, 1), (-1, 2, -1)]
    counted = [] if keep_count else [(1,), (-1,)]
    return tuple(Move.of(changes, shape) for changes in (*counted, *single, *meeting, *apart, *together))


def rearrangements(shape: SpikeShape, *, keep_count: bool) -> tuple[Move, ...]:
    """The moves over a few frames that change the smoothed train least, and jumps of one spike.

    In the lattice of smoothed trains these are the shortest vectors. Where no single step and no pair lowers the
    error, these decide whether a better train is near (Agrell et al. 2002, IEEE Trans. Inf. Theory 48:2201, on
    relevant vectors and closest points).
    """
    one_frame = range(-MOST_CHANGED_AT_ONCE, MOST_CHANGED_AT_ONCE + 1)
    changes = np.array(list(product(one_frame, repeat=SPAN)))
    net = np.abs(changes.sum(axis=1))
    size = np.abs(changes).sum(axis=1)
    changes = changes[(changes[:, 0] != 0) & (size <= MOST_CHANGED) & (net <= (0 if keep_count else 1))]
    gram = np.array([[shape.overlap_at(i - j) for j in range(SPAN)] for i in range(SPAN)])
    energy = np.einsum("mi,ij,mj->m", changes, gram, changes)
    shortest = np.lexsort((np.abs(changes).sum(axis=1), np.round(energy / shape.overlap_at(0), 6)))[:N_REARRANGEMENTS]
    least = [tuple(int(change) for change in changes[i]) for i in shortest]
    jumps = [(sign, *[0] * (jump - 1), -sign) for jump in range(2, LONGEST_JUMP + 1) for sign in (-1, 1)]
    return tuple(Move.of(move, shape) for move in (*least, *jumps))


@dataclass(frozen=True, eq=False)
class Costs:
    """What changing the count of one frame alone would add to the squared error, less the change's own energy.

    ``term[change]`` has (n_frames + margin,) elements; where the change is impossible they are ``FORBIDDEN`` and more.
    """

    term: dict[int, NDArray[np.float32]]
    n_frames: int

    FORBIDDEN = np.float32(1e6)

    @classmethod
    def at(
        cls,
        counts: NDArray[np.float32],
        drive: NDArray[np.float32],
        closed: NDArray[np.float32],
        shape: SpikeShape,
        margin: int,
    ) -> Costs:
        """Evaluate at the present counts; ``closed`` is ``FORBIDDEN`` at frames that may not hold a spike, else 0."""
        pull = 2 * (drive - shape.interact(counts))
        term = {}
        for change in range(-MOST_CHANGED_AT_ONCE, MOST_CHANGED_AT_ONCE + 1):
            barrier = closed if change >= 0 else cls.FORBIDDEN * (counts < -change)
            padded = np.full(counts.size + margin, cls.FORBIDDEN)
            np.subtract(barrier, np.float32(change) * pull, out=padded[: counts.size])
            term[change] = padded
        return cls(term, counts.size)

    def everywhere(self, move: Move) -> NDArray[np.float32]:
        """Change of the squared error by a move that starts at each frame."""
        return _total(
            [self.term[change][offset : offset + self.n_frames] for offset, change in move.steps], move.energy
        )

    def starting(self, move: Move, frames: NDArray[np.int64]) -> NDArray[np.float32]:
        """The same for a move that starts at some frames; bit for bit equal to ``everywhere``."""
        return _total([self.term[change][frames + offset] for offset, change in move.steps], move.energy)


def _total(parts: list[NDArray[np.float32]], constant: float) -> NDArray[np.float32]:
    total: NDArray[np.float32] = parts[0] + np.float32(constant)
    for part in parts[1:]:
        total += part
    return total
