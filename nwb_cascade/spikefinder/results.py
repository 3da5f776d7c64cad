"""The tables of a run, from the arrays of its stages."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np

from nwb_cascade.spikefinder.scores import Confusion

METHODS = {
    "classifier": "LSTM classifier",
    "autoencoder": "VAE latents + linear SVM",
    "tutorial": "tutorial's recipe: VAE latents + linear SVM",
    "inference": "spike inference of this package",
    "inference-shifted": "the same, offset of each data set measured",
}


@dataclass(frozen=True)
class Score:
    """Accuracy of one method on one kind of windows of one repetition, with its confusion.

    ``windows``: "training", "held-out" (balanced as in the training) or "held-out, per neuron" (balanced within each).
    """

    method: str
    size: int
    seed: int
    windows: str
    accuracy: float
    true_positive: int
    false_negative: int
    false_positive: int
    true_negative: int


@dataclass(frozen=True)
class Summary:
    """Mean accuracy over repetitions; ``spread`` is their sample standard deviation (0 for a single one)."""

    method: str
    size: int
    windows: str
    accuracy: float
    spread: float
    seeds: int


@dataclass(frozen=True)
class Explained:
    """Share of the latents' variance in one principal component; NaN where nothing was run or reported."""

    component: int
    this_run: float
    tutorial_recipe: float
    tutorial_reported: float


def score(method: str, size: int, seed: int, windows: str, found: Confusion) -> Score:
    """One row of the table of scores."""
    return Score(method, size, seed, windows, found.accuracy, **asdict(found))


def summaries(scores: Iterable[Score]) -> list[Summary]:
    """Average over repetitions, in the order of first appearance."""
    groups: dict[tuple[str, int, str], list[float]] = {}
    for one in scores:
        groups.setdefault((one.method, one.size, one.windows), []).append(one.accuracy)
    return [
        Summary(*key, float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0, len(values))
        for key, values in groups.items()
    ]


def to_csv(rows: Sequence[Score] | Sequence[Summary] | Sequence[Explained]) -> str:
    """Rows as CSV with a header line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(rows[0])], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()
