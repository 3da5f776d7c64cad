"""How well windows with a spike are told from those without: accuracy, confusion, threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Confusion:
    """Counts of windows: spike found or missed, no spike taken for one or left alone."""

    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int

    @property
    def n(self) -> int:
        """Number of windows."""
        return self.true_positive + self.false_negative + self.false_positive + self.true_negative

    @property
    def accuracy(self) -> float:
        """Share of windows that are told right; NaN without windows."""
        return (self.true_positive + self.true_negative) / self.n if self.n else float("nan")


def confusion(labels: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Confusion:
    """Count what was told right and wrong.

    Examples
    --------
    >>> confusion(np.array([True, True, False]), np.array([True, False, False])).accuracy
    0.6666666666666666
    """
    labels, predicted = np.asarray(labels, np.bool_), np.asarray(predicted, np.bool_)
    if labels.shape != predicted.shape:
        raise ValueError(f"Expected a prediction per label, received shapes {labels.shape} and {predicted.shape}.")
    return Confusion(
        true_positive=int((labels & predicted).sum()),
        false_negative=int((labels & ~predicted).sum()),
        false_positive=int((~labels & predicted).sum()),
        true_negative=int((~labels & ~predicted).sum()),
    )


def best_threshold(labels: NDArray[np.bool_], scores: NDArray[np.floating[Any]]) -> float:
    """The score from which on a window counts as one with a spike, so that most windows are told right.

    Half way between the two neighbouring scores; equal scores stay on one side.

    Examples
    --------
    >>> best_threshold(np.array([False, False, True]), np.array([0.0, 0.2, 0.4]))
    0.30000000000000004
    """
    order = np.argsort(scores, kind="stable")
    ranked, truth = np.asarray(scores, np.float64)[order], np.asarray(labels, np.bool_)[order]
    right = truth.sum() + np.concatenate([[0], np.cumsum(np.where(truth, -1, 1))])
    bounds = np.concatenate([[-np.inf], 0.5 * (ranked[1:] + ranked[:-1]), [np.inf]])
    allowed = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    return float(bounds[np.argmax(np.where(allowed, right, -1))])
