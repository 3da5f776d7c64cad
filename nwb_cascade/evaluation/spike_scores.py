"""How well discrete spikes, found in the estimates of a model, match known spikes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.table import median
from nwb_cascade.core.kernels import smoothing_kernel
from nwb_cascade.core.resampling import frame_grid
from nwb_cascade.core.spike_total import SPIKE_TOTALS, SpikeTotal
from nwb_cascade.discrete import discrete_spikes, match_spikes
from nwb_cascade.discrete.matching import SpikeMatch
from nwb_cascade.evaluation.assessment import MIN_FRAMES, Case, Estimator

TOLERANCE_S = 0.05


@dataclass(frozen=True)
class SpikeScores:
    """Discrete spikes of one cell against its known spikes.

    Parameters
    ----------
    dataset, cell, animal, indicator : str
        The cell.
    spike_total : {"conserved", "supported"}
        See `nwb_cascade.discrete.discrete_spikes`.
    n_true, n_found : int
        Known spikes in frames with an estimate, and discrete spikes.
    match : SpikeMatch
        Precision, recall and F1 within the tolerance, all trials together.
    fit_error : float
        Summed misfit over summed rates of all trials.
    """

    dataset: str
    cell: str
    animal: str
    indicator: str
    spike_total: SpikeTotal
    n_true: int
    n_found: int
    match: SpikeMatch
    fit_error: float

    @property
    def count_error(self) -> float:
        """Surplus of found spikes as a share of the known ones; NaN without any."""
        return (self.n_found - self.n_true) / self.n_true if self.n_true else float("nan")


def spike_scores(cases: Sequence[Case], estimator: Estimator, *, tolerance_s: float = TOLERANCE_S) -> list[SpikeScores]:
    """Find the discrete spikes in an estimator's rates and compare them with the known ones, both counts of each cell.

    Cells without any estimate are left out.
    """
    found = []
    for case, estimates in zip(cases, estimator(cases), strict=True):
        if any(np.isfinite(one).any() for one in estimates):
            found += [_score(case, estimates, spike_total, tolerance_s) for spike_total in SPIKE_TOTALS]
    return found


def median_spike_scores(scores: Iterable[SpikeScores]) -> dict[tuple[str, str], dict[str, float]]:
    """Medians over cells with known spikes by (dataset, spike total), ``all`` for all of them.

    Keys: n, f1, precision, recall, count_error (signed) and count_distance (unsigned), fit_error.
    """
    groups: dict[tuple[str, str], list[SpikeScores]] = {}
    for one in scores:
        if one.n_true:
            groups.setdefault((one.dataset, one.spike_total), []).append(one)
            groups.setdefault(("all", one.spike_total), []).append(one)
    return {key: _medians(cells) for key, cells in groups.items()}


def _medians(cells: Sequence[SpikeScores]) -> dict[str, float]:
    values = {
        "f1": [one.match.f1 for one in cells],
        "precision": [one.match.precision for one in cells],
        "recall": [one.match.recall for one in cells],
        "count_error": [one.count_error for one in cells],
        "count_distance": [abs(one.count_error) for one in cells],
        "fit_error": [one.fit_error for one in cells],
    }
    return {"n": float(len(cells)), **{name: median(numbers) for name, numbers in values.items()}}


def _score(
    case: Case, estimates: Sequence[NDArray[np.float32]], spike_total: SpikeTotal, tolerance_s: float
) -> SpikeScores:
    """Scores of one cell; its trials are put one behind the other, too far apart for a pair across them."""
    rate, condition = case.condition.imaging_rate, case.condition
    kernel = smoothing_kernel(condition.kernel, condition.smoothing_s, rate)
    true, inferred, misfit, total, start = [np.empty(0)], [np.empty(0)], 0.0, 0.0, 0.0
    for (frame_times, spike_times), rates in zip(_trials(case), estimates, strict=True):
        spikes = discrete_spikes(rates[None], kernel, rate, spike_total=spike_total)
        seconds = spike_times - frame_times[0]
        frames = np.floor(seconds * rate + 0.5).astype(np.int64)
        inside = (frames >= 0) & (frames < rates.size)
        inside[inside] = np.isfinite(rates[frames[inside]])
        true.append(start + seconds[inside])
        inferred.append(start + spikes.spike_times[0])
        mass = float(np.nansum(np.maximum(rates, 0), dtype=np.float64))
        misfit += mass * float(np.nan_to_num(spikes.fit_error[0]))
        total += mass
        start += rates.size / rate + 2 * tolerance_s + 1.0
    known, found = np.concatenate(true), np.concatenate(inferred)
    who = case.recording
    return SpikeScores(
        who.dataset,
        who.cell,
        who.animal,
        who.indicator,
        spike_total,
        known.size,
        found.size,
        match_spikes(known, found, tolerance_s),
        misfit / total if total else float("nan"),
    )


def _trials(case: Case) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Frame times and known spike times, s, of the trials that a case is made of."""
    rate = case.condition.imaging_rate
    grids = [(frame_grid(float(t.times[0]), float(t.times[-1]), rate), t.spike_times) for t in case.recording.trials]
    return [(grid, spikes) for grid, spikes in grids if grid.size >= MIN_FRAMES]
