"""How often the intervals of spike counts hold the true count, on cells that networks and parameters never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Weights
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.spike_counts import COUNT_MODELS
from nwb_cascade.evaluation.assessment import Condition
from nwb_cascade.evaluation.count_fit import KnownCounts, known_counts
from nwb_cascade.training.recordings import KnownRecording

LEVELS = (0.5, 0.8, 0.95)
WINDOW_S = 1.0
EVENT_SPIKES = 0.5  # expected spikes from which on a window belongs to an event, as one with a spike does


@dataclass(frozen=True)
class CountCoverage:
    """Shares of windows whose randomised transform lies within central intervals, one per ``LEVELS``.

    ``within`` counts windows of events, those with a spike or at least half an expected one; ``within_all`` all
    windows. ``width`` is that of the 80 % interval over the expected count, both summed over windows of events.
    """

    dataset: str
    kind: str
    n_cells: int
    n_event_windows: int
    within: tuple[float, ...]
    within_all: tuple[float, ...]
    width: float


def count_coverage(
    config: ModelConfig,
    weights: Weights,
    recordings: Sequence[KnownRecording],
    condition: Condition,
    *,
    window_s: float | None = WINDOW_S,
    seed: int = 0,
) -> list[CountCoverage]:
    """Compare the intervals of held-out cells with their true counts; one entry per dataset and class.

    A cell is predicted by networks that never saw its animal, with parameters fitted without all that these judge.
    ``window_s`` None takes whole trials.

    Raises
    ------
    LookupError
        If no intervals were fitted for the model.
    """
    fitted = config.extra.get(COUNT_MODELS)
    if not fitted:
        raise LookupError(f"Expected a model with fitted intervals of counts, received {config.name}, which has none.")
    generator = np.random.default_rng(seed)
    groups: dict[tuple[str, str], list[_Cell]] = {}
    for (one,) in known_counts(config, weights, recordings, condition, (window_s,), seed=seed):
        if one.counts.size:
            values = fitted["held_out"].get(one.judge, fitted)[one.kind]
            cell = _judged(one, CountModel.from_dict(values), generator)
            groups.setdefault((one.recording.dataset, one.kind), []).append(cell)
    return [_coverage(*key, cells) for key, cells in sorted(groups.items())]


def coverage_means(found: Sequence[CountCoverage]) -> list[CountCoverage]:
    """Means over the datasets of each class, named ``mean``."""
    means = []
    for kind in sorted({one.kind for one in found}):
        own = [one for one in found if one.kind == kind]
        within, of_all = (
            tuple(float(np.nanmean([getattr(one, name)[at] for one in own])) for at in range(len(LEVELS)))
            for name in ("within", "within_all")
        )
        sums = sum(one.n_cells for one in own), sum(one.n_event_windows for one in own)
        means.append(CountCoverage("mean", kind, *sums, within, of_all, float(np.nanmedian([o.width for o in own]))))
    return means


def coverage_record(one: CountCoverage) -> dict[str, Any]:
    """One group as a flat record for a table or a file."""
    record: dict[str, Any] = {"dataset": one.dataset, "class": one.kind, "cells": one.n_cells}
    record["event_windows"] = one.n_event_windows
    for level, share, of_all in zip(LEVELS, one.within, one.within_all, strict=True):
        record[f"events_{100 * level:g}"], record[f"all_{100 * level:g}"] = share, of_all
    return {**record, "width_of_80": one.width}


@dataclass(frozen=True, eq=False)
class _Cell:
    pit: NDArray[np.float64]
    is_event: NDArray[np.bool_]
    width: float
    expected: float


def _judged(one: KnownCounts, model: CountModel, generator: np.random.Generator) -> _Cell:
    """The transform of all windows of a cell, and the widths of its intervals in events."""
    where = one.expected, one.noise_level, one.window_s
    is_event = (one.counts > 0) | (one.expected >= EVENT_SPIKES)
    lower, upper = (model.quantiles(level, *where) for level in (0.1, 0.9))
    width = float((upper - lower)[is_event].sum())
    pit = model.pit(one.counts, *where, generator)
    return _Cell(pit, is_event, width, float(one.expected[is_event].sum()))


def _coverage(dataset: str, kind: str, cells: Sequence[_Cell]) -> CountCoverage:
    distance = np.abs(np.concatenate([one.pit for one in cells]) - 0.5)
    is_event = np.concatenate([one.is_event for one in cells])
    within, of_all = (
        tuple(float(np.mean(some <= level / 2)) if some.size else float("nan") for level in LEVELS)
        for some in (distance[is_event], distance)
    )
    expected = sum(one.expected for one in cells)
    width = sum(one.width for one in cells) / expected if expected else float("nan")
    return CountCoverage(dataset, kind, len(cells), int(is_event.sum()), within, of_all, width)
