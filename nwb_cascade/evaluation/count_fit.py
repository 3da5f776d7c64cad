"""Fit the distribution of spike counts on predictions for cells whose networks never saw their animal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

from nwb_cascade.architectures.architecture import Weights
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.count_model import (
    FITS,
    LEAST_SPREAD,
    NODE_WEIGHTS,
    NODES,
    CountModel,
    features,
)
from nwb_cascade.core.indicators import is_of_interneurons
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.resampling import frame_grid
from nwb_cascade.evaluation.assessment import MIN_FRAMES, Case, Condition, make_case
from nwb_cascade.evaluation.evaluation_run import WITH_KIND, held_out_estimator, judges
from nwb_cascade.training.recordings import KnownRecording

CONDITIONS = tuple(Condition(rate, level, "gaussian", 0.05) for rate in (7.5, 15.0, 30.0) for level in (2.0, 4.0, 8.0))
WINDOWS_S = (0.25, 1.0, 4.0)  # beside whole trials
MOST_WINDOWS = 24  # of a cell, a condition and a length, drawn evenly
LEAST_SHARE = 0.1  # of the variance of log gains that either of its parts has: few groups tell no more
PRIOR_SD = np.array([2.0, 0.5, 0.5, 3.0, 0.5, 0.2, 0.5, 0.5])  # of the parameters: holds only what the data leave open
PRIOR_STRENGTH = 500.0  # windows that the prior is weighed against
FIRST_SD, ROUNDS = 0.5, 2
FEWER_NODES, FEWER_WEIGHTS = NODES[::2], NODE_WEIGHTS[::2]  # for the fit
START = np.array([0.0, 0.0, 0.0, -1.0, -0.3, 0.0, 0.0, -0.3])
N_MEAN = 3  # of them that tell the mean


@dataclass(frozen=True, eq=False)
class KnownCounts:
    """Known and expected counts in windows of one cell under one condition.

    ``counts`` and ``expected`` are (n_windows,) of windows of ``window_s`` (n_windows,) seconds with a value; ``judge``
    names the networks that gave them, ``kind`` says which of `nwb_cascade.core.count_model.FITS` the cell belongs to.
    """

    recording: KnownRecording
    judge: str
    kind: str
    noise_level: float
    counts: NDArray[np.float64]
    expected: NDArray[np.float64]
    window_s: NDArray[np.float64]

    @property
    def group(self) -> str:
        """What shares a gain beyond the cell: its animal where the class is met, else its dataset."""
        return self.recording.animal if self.kind == "met" else self.recording.dataset


def class_of(config: ModelConfig, recording: KnownRecording, members: Sequence[int]) -> str:
    """Which of ``FITS`` a cell belongs to for networks that did not see its animal.

    ``met`` if all of them were trained on other animals of its dataset and on its indicator, and it is no interneuron.
    """
    if is_of_interneurons(recording.own_code):
        return "unmet_interneuron"
    records = [config.extra["members"][member] for member in members]
    code = recording.told
    known = all(recording.dataset in one["datasets"] and code in one["indicators"] for one in records)
    return "met" if known else "unmet"


def known_counts(
    config: ModelConfig,
    weights: Weights,
    recordings: Sequence[KnownRecording],
    condition: Condition,
    windows_s: Sequence[float | None] = (*WINDOWS_S, None),
    *,
    seed: int = 0,
) -> list[list[KnownCounts]]:
    """Predict held-out cells and sum what is known and expected in windows: per cell one entry per length.

    A length of None means whole trials. Cells that every network was trained on are left out. Interneurons are told as
    such.
    """
    made = [make_case(recording, condition, seed=seed) for recording in recordings]
    cases = [case for case in made if isinstance(case, Case) and judges(config, case, "animal")]
    estimates = held_out_estimator(config, weights, "animal", told=WITH_KIND)(cases)
    return [
        [_counted(config, case, trials, window) for window in windows_s]
        for case, trials in zip(cases, estimates, strict=True)
    ]


def fit_count_models(
    config: ModelConfig,
    weights: Weights,
    recordings: Sequence[KnownRecording],
    *,
    conditions: Sequence[Condition] = CONDITIONS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fit all classes of a model whose networks left out some animals each.

    Parameters
    ----------
    config : ModelConfig
        Of the model; its record says what each network was trained on.
    weights : mapping
        Its arrays.
    recordings : sequence of KnownRecording
        Ground truth.
    conditions : sequence of Condition
        Rates and noise levels at which counts are predicted.
    progress : callable, optional
        Called with the conditions done and their total.

    Returns
    -------
    dict
        JSON-able, for `nwb_cascade.core.config.ModelConfig.extra` under ``count_models``: the parameters by class,
        ``met_indicators``, and ``held_out``: the parameters without what each network judges, which alone may be used
        to judge intervals on the same cells.

    Raises
    ------
    LookupError
        If the model has no record of what its networks were trained on, or no recording can be judged.
    """
    cells: list[KnownCounts] = []
    for done, condition in enumerate(conditions, start=1):
        found = known_counts(config, weights, recordings, condition)
        cells += [_thinned(one) for of_cell in found for one in of_cell if one.counts.size]
        if progress is not None:
            progress(done, len(conditions))
    if not cells:
        raise LookupError(f"Expected recordings that some network of {config.name} was not trained on, received none.")
    return fit_classes(cells)


def fit_classes(cells: Sequence[KnownCounts]) -> dict[str, Any]:
    """Fit all classes to cells, each of them also without what each network judges, see `fit_count_models`."""
    record: dict[str, Any] = {"met_indicators": sorted({one.recording.told for one in cells if one.kind == "met"})}
    held_out: dict[str, dict[str, Any]] = {judge: {} for judge in sorted({one.judge for one in cells})}
    for fit, kind in FITS.items():
        own = [one for one in cells if one.kind == fit] or cells
        whole, start = fit_class(kind, own)
        record[fit] = whole.to_dict()
        for judge, models in held_out.items():
            others = [one for one in own if one.judge != judge]
            models[fit] = fit_class(kind, others, start)[0].to_dict() if others else whole.to_dict()
    return {**record, "held_out": held_out}


def fit_class(
    kind: str, cells: Sequence[KnownCounts], start: NDArray[np.float64] = START
) -> tuple[CountModel, NDArray[np.float64]]:
    """Fit one class by the likelihood of single windows, in which every dataset, cell and length weighs the same.

    Returns the model and the parameters, with which another fit may start.
    """
    table, parameters, parts = _Table.of(cells), start, (FIRST_SD, FIRST_SD)
    for _ in range(ROUNDS):
        gain_sd = float(np.hypot(*parts))
        found = minimize(table.loss, parameters, args=(gain_sd,), jac=True, method="L-BFGS-B", options={"ftol": 1e-6})
        parameters = found.x
        model = CountModel(kind, tuple(parameters[:N_MEAN]), tuple(parameters[N_MEAN:]), *parts)
        parts = _gain_sds(model, cells)
    return replace(model, cell_sd=parts[0], preparation_sd=parts[1]), parameters


@dataclass(frozen=True, eq=False)
class _Table:
    """All windows of a fit: counts, features of means (3, n) and of spreads (5, n), weights that sum to 1."""

    counts: NDArray[np.float64]
    log_mean: NDArray[np.float64]
    of_mean: NDArray[np.float64]
    of_spread: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, cells: Sequence[KnownCounts]) -> _Table:
        sizes = [one.counts.size for one in cells]
        counts, expected, window = (
            np.concatenate([getattr(one, name) for one in cells]) for name in ("counts", "expected", "window_s")
        )
        noise = np.repeat([one.noise_level for one in cells], sizes)
        weights = np.repeat([weight / size for weight, size in zip(_weights(cells), sizes, strict=True)], sizes)
        return cls(counts, *features(expected, noise, window), weights / weights.sum())

    def loss(self, parameters: NDArray[np.float64], sd: float) -> tuple[float, NDArray[np.float64]]:
        """Negative log likelihood per window for this deviation of the log gain, with its gradient."""
        exponent = np.clip(parameters[N_MEAN:] @ self.of_spread, -20, 6)
        spread = LEAST_SPREAD + np.exp(exponent)
        size = 1 / spread
        n = self.counts
        of_node = np.empty((len(FEWER_NODES), n.size))
        middle = self.log_mean + parameters[:N_MEAN] @ self.of_mean
        fixed = gammaln(n + size) - gammaln(size) - gammaln(n + 1) + size * np.log(size)
        for row, node in zip(of_node, FEWER_NODES, strict=True):
            log_mean = middle + sd * node
            row[:] = fixed + n * log_mean - (n + size) * np.log(size + np.exp(log_mean))
        of_node += np.log(2 * FEWER_WEIGHTS)[:, None]
        top = of_node.max(axis=0)
        shares = np.exp(of_node - top)
        total = shares.sum(axis=0)
        shares /= total
        by_mean, by_spread = np.zeros_like(n), np.zeros_like(n)
        fixed_slope = digamma(n + size) - digamma(size) + np.log(size) + 1
        for share, node in zip(shares, FEWER_NODES, strict=True):
            mean = np.exp(middle + sd * node)
            by_mean += share * (n - mean) * size / (size + mean)
            by_spread -= share * size * (fixed_slope - np.log(size + mean) - (n + size) / (size + mean))
        by_spread *= np.exp(exponent) / spread
        gradient = np.concatenate(
            [self.of_mean @ (self.weights * by_mean), self.of_spread @ (self.weights * by_spread)]
        )
        prior = parameters / PRIOR_SD**2 / PRIOR_STRENGTH
        loss = -float(self.weights @ (top + np.log(total))) + 0.5 * float(parameters @ prior)
        return loss, prior - gradient


def _weights(cells: Sequence[KnownCounts]) -> list[float]:
    """The same for every dataset, in it for every cell, and there for every entry."""
    entries: dict[tuple[str, str], int] = {}
    for one in cells:
        key = (one.recording.dataset, one.recording.cell)
        entries[key] = entries.get(key, 0) + 1
    of_dataset: dict[str, int] = {}
    for dataset, _ in entries:
        of_dataset[dataset] = of_dataset.get(dataset, 0) + 1
    return [1 / entries[one.recording.dataset, one.recording.cell] / of_dataset[one.recording.dataset] for one in cells]


def _gain_sds(model: CountModel, cells: Sequence[KnownCounts]) -> tuple[float, float]:
    """Standard deviations of the log gains of cells within groups, and of groups."""
    gains: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for one in cells:
        means = model.means(one.expected, one.noise_level, one.window_s)
        key = (one.group, one.recording.dataset, one.recording.cell)
        gains.setdefault(key, []).append((float(one.counts.sum()), float(means.sum())))
    groups: dict[str, list[float]] = {}
    for (group, _, _), sums in gains.items():
        counts, means = np.sum(sums, axis=0)
        groups.setdefault(group, []).append(float(np.log((counts + 0.5) / (means + 0.5))))
    within, between = variance_parts(list(groups.values()))
    return float(np.sqrt(within)), float(np.sqrt(between))


def variance_parts(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Variance within groups of values and variance of the groups, each at least a tenth of both.

    Source: the usual estimators of one-way random effects (Searle, Variance Components, 1992, chapter 3).

    Examples
    --------
    >>> variance_parts([[0.0, 2.0], [5.0, 7.0], [10.0, 12.0]])
    (2.6, 24.0)
    """
    sizes = np.array([len(group) for group in groups], float)
    total = sizes.sum()
    middles = np.array([np.mean(group) for group in groups])
    overall = float(sizes @ middles) / total
    n_groups = len(groups)
    if n_groups < 2 or total <= n_groups:
        spread = float(np.var(np.concatenate([np.asarray(group) for group in groups]))) if total > 1 else FIRST_SD**2
        return spread / 2, spread / 2
    squares = sum(float(np.sum((np.array(g) - m) ** 2)) for g, m in zip(groups, middles, strict=True))
    within = squares / (total - n_groups)
    effective = (total - float(sizes @ sizes) / total) / (n_groups - 1)
    between = max((float(sizes @ (middles - overall) ** 2) / (n_groups - 1) - within) / effective, 0.0)
    both = within + between
    return float(max(within, LEAST_SHARE * both)), float(max(between, LEAST_SHARE * both))


def _counted(
    config: ModelConfig, case: Case, estimates: Sequence[NDArray[np.float32]], window_s: float | None
) -> KnownCounts:
    """Known and expected counts of the windows of a case, all trials together."""
    members = judges(config, case, "animal")
    rate = case.condition.imaging_rate
    parts = [
        _in_windows(known, rates, rate, window_s) for known, rates in zip(known_spikes(case), estimates, strict=True)
    ]
    counts, expected, seconds = (np.concatenate(one) for one in zip(*parts, strict=True))
    kind = class_of(config, case.recording, members)
    judge = ",".join(map(str, members))
    return KnownCounts(case.recording, judge, kind, case.noise_level, counts, expected, seconds)


def known_sums(case: Case, estimates: Sequence[NDArray[np.float32]]) -> tuple[float, float, float]:
    """Known and expected spikes of a case in the frames with an estimate, and the seconds of these."""
    rate = case.condition.imaging_rate
    parts = [_in_windows(known, rates, rate, None) for known, rates in zip(known_spikes(case), estimates, strict=True)]
    counts, expected, seconds = (float(np.concatenate(one).sum()) for one in zip(*parts, strict=True))
    return counts, expected, seconds


def known_spikes(case: Case) -> Iterator[NDArray[np.float64]]:
    """Spikes per frame, (n_frames,), of each trial of a case."""
    rate = case.condition.imaging_rate
    for trial in case.recording.trials:
        grid = frame_grid(float(trial.times[0]), float(trial.times[-1]), rate)
        if grid.size >= MIN_FRAMES:
            frames = np.floor((trial.spike_times - grid[0]) * rate + 0.5)
            inside = frames[(frames >= 0) & (frames < grid.size)].astype(np.int64)
            yield np.bincount(inside, minlength=grid.size).astype(np.float64)


def _in_windows(
    known: NDArray[np.float64], rates: NDArray[np.float32], rate: float, window_s: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Sums over whole windows whose frames all have a value; of whole trials over the frames that have one."""
    valid = np.isfinite(rates)
    length = rates.size if window_s is None else max(round(window_s * rate), 1)
    n_windows = rates.size // length
    sums = [
        np.where(valid, values, 0)[: n_windows * length].reshape(n_windows, length).sum(axis=1, dtype=np.float64)
        for values in (known, rates, valid)
    ]
    usable = sums[2] >= (1 if window_s is None else length)
    return sums[0][usable], sums[1][usable], sums[2][usable] / rate


def _thinned(one: KnownCounts) -> KnownCounts:
    """Some windows of a cell, evenly over its time."""
    if one.counts.size <= MOST_WINDOWS:
        return one
    kept = np.linspace(0, one.counts.size - 1, MOST_WINDOWS).astype(np.int64)
    return replace(one, counts=one.counts[kept], expected=one.expected[kept], window_s=one.window_s[kept])
