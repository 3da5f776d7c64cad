"""How often the spikes lie within the band of the ensemble's deviation around the expected spikes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.kernels import single_spike_amplitude, smoothing_kernel
from nwb_cascade.evaluation.assessment import Case, Estimator

WIDTHS = (1.0, 2.0, 3.0)  # half-widths of the band in standard deviations
EVENT_SHARE = 0.1  # of the height of one smoothed spike: above it a frame belongs to an event


@dataclass(frozen=True)
class IntervalCoverage:
    """Shares of the frames of a group of cells whose smoothed spikes lie within the band, one per ``WIDTHS``.

    ``within`` counts the frames of events: those where spikes or expected spikes exceed a tenth of the height of one
    smoothed spike. Silent frames, nearly all of a recording, would make any band look right; their share is
    ``within_all`` with all other frames.
    """

    dataset: str
    n_cells: int
    n_event_frames: int
    within: tuple[float, ...]
    within_all: tuple[float, ...]


def interval_coverage(cases: Sequence[Case], expected: Estimator, deviation: Estimator) -> list[IntervalCoverage]:
    """Compare the spikes of cases with bands of ``expected`` ± a multiple of ``deviation``.

    Parameters
    ----------
    cases : sequence of Case
        Cells at one condition.
    expected, deviation : Estimator
        Expected spikes and their standard deviation; frames where either is NaN are left out.

    Returns
    -------
    list of IntervalCoverage
        One per dataset, then ``all``.
    """
    counts: dict[str, list[NDArray[np.int64]]] = {}
    for case, means, deviations in zip(cases, expected(cases), deviation(cases), strict=True):
        counts.setdefault(case.recording.dataset, []).append(_count(case, means, deviations))
    every = [count for cells in counts.values() for count in cells]
    found = [_coverage(name, cells) for name, cells in sorted(counts.items())]
    return [*found, _coverage("all", every)] if every else []


def coverage_entry(coverage: IntervalCoverage) -> Mapping[str, float | str]:
    """One group as a flat record for a table or a file."""
    record: dict[str, float | str] = {"dataset": coverage.dataset, "cells": coverage.n_cells}
    record["event_frames"] = coverage.n_event_frames
    for width, event, every in zip(WIDTHS, coverage.within, coverage.within_all, strict=True):
        record[f"within_{width:g}_sd"] = event
        record[f"within_{width:g}_sd_all_frames"] = every
    return record


def _count(
    case: Case, means: Sequence[NDArray[np.float32]], deviations: Sequence[NDArray[np.float32]]
) -> NDArray[np.int64]:
    """Frames of a cell within each band: rows events and all frames, columns the widths and then the total."""
    condition = case.condition
    kernel = smoothing_kernel(condition.kernel, condition.smoothing_s, condition.imaging_rate)
    height = EVENT_SHARE * single_spike_amplitude(kernel)
    truth, mean, spread = (np.concatenate(parts) for parts in (case.truths, means, deviations))
    usable = np.isfinite(mean) & np.isfinite(spread)
    truth, mean, spread = truth[usable], mean[usable], spread[usable]
    distance = np.abs(truth - mean)
    is_event = np.maximum(truth, mean) > height
    within = np.stack([distance <= width * spread for width in WIDTHS] + [np.ones_like(is_event)])
    return np.stack([(within & is_event).sum(axis=1), within.sum(axis=1)])


def _coverage(name: str, cells: Sequence[NDArray[np.int64]]) -> IntervalCoverage:
    """Shares of all frames of a group together."""
    total = np.sum(cells, axis=0)
    shares = total[:, :-1] / np.maximum(total[:, -1:], 1)
    return IntervalCoverage(
        name, len(cells), int(total[0, -1]), tuple(map(float, shares[0])), tuple(map(float, shares[1]))
    )
