"""Fit an indicator's kinetics to a recorded cell: where the simulator's table comes from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.cells import Cell, Trial
from ground_truth_nwb.indicators import Kinetics, kinetics_of
from ground_truth_nwb.simulate import fluorescence

BASELINE_WINDOW_S = 30.0
BASELINE_PERCENTILE = 15.0
MIN_SPIKES_PER_TRIAL = 3
MAX_EVALUATIONS = 25
# Bounds of rise (s), decay (s), amplitude; cooperativity is searched between 1 and 3.
LOWEST = np.log([1e-3, 0.02, 0.003])
HIGHEST = np.log([0.3, 4.0, 3.0])
Traces = list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]


def fit_kinetics(cell: Cell, *, max_seconds: float = 250.0) -> tuple[Kinetics, float]:
    """Fit rise, decay, amplitude and cooperativity to the first trials of a cell.

    The model is that of the simulator with one constant offset per trial; dF/F is freed from slow drift first (15th
    percentile in windows of 30 s). Least squares with a soft L1 loss. The dF/F at saturation stays that of the table,
    because few cells reach it.

    Parameters
    ----------
    cell : Cell
        A cell whose indicator is in the table.
    max_seconds : float
        Trials beyond this much recording are left out.

    Returns
    -------
    kinetics : Kinetics
        The fitted values.
    explained : float
        Share of the variance of dF/F that the model explains.

    Raises
    ------
    LookupError
        If the indicator is not in the table.
    ValueError
        If no trial has at least 3 spikes.

    Examples
    --------
    The table's values are medians over up to ten cells per data set::

        fits = [fit_kinetics(read_cell(path))[0] for path in list_cells(folder)[:10]]
        np.median([fit.decay_s for fit in fits])
    """
    from scipy.optimize import least_squares

    start = kinetics_of(cell.indicator)
    traces = _traces(cell.trials, max_seconds)
    if not traces:
        raise ValueError(f"Expected a trial with at least {MIN_SPIKES_PER_TRIAL} spikes in {cell.name}, found none.")
    noise = float(np.median(np.abs(np.concatenate([np.diff(dff) for _, dff, _ in traces]))))
    offsets = np.zeros(len(traces))
    initial = np.concatenate([np.log([start.rise_s, start.decay_s, start.amplitude]), [0.0], offsets])

    def residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return _residuals(values, traces, start)

    fit = least_squares(
        residuals,
        np.clip(initial, [*LOWEST, -4.0, *(offsets - 2.0)], [*HIGHEST, 4.0, *(offsets + 2.0)]),
        bounds=([*LOWEST, -4.0, *(offsets - 2.0)], [*HIGHEST, 4.0, *(offsets + 2.0)]),
        loss="soft_l1",
        f_scale=2.0 * (noise + 1e-3),
        max_nfev=MAX_EVALUATIONS,
        x_scale=np.concatenate([[0.3, 0.3, 0.3, 1.0], offsets + 0.05]),
    )
    observed = np.concatenate([dff for _, dff, _ in traces])
    explained = 1.0 - float(np.var(_residuals(fit.x, traces, start)) / np.var(observed))
    return _kinetics(fit.x, start), explained


def _kinetics(values: NDArray[np.float64], start: Kinetics) -> Kinetics:
    """Turn the fit's parameters (logarithms; a logistic one for the cooperativity) into kinetics."""
    rise_s, decay_s, amplitude = np.exp(values[:3])
    return Kinetics(
        rise_s=float(rise_s),
        decay_s=float(decay_s),
        amplitude=float(amplitude),
        max_dff=max(start.max_dff, 2.0 * float(amplitude)),
        hill=float(1.0 + 2.0 / (1.0 + np.exp(-values[3]))),
        source="fit",
    )


def _residuals(values: NDArray[np.float64], traces: Traces, start: Kinetics) -> NDArray[np.float64]:
    """Model minus dF/F over all trials."""
    kinetics = _kinetics(values, start)
    parts = [
        fluorescence(time_s, spikes, kinetics) + offset - dff
        for (time_s, dff, spikes), offset in zip(traces, values[4:], strict=True)
    ]
    return np.concatenate(parts)


def _traces(trials: Sequence[Trial], max_seconds: float) -> Traces:
    """Return (times, dF/F without drift, spikes) of the first trials with enough spikes."""
    traces: Traces = []
    seconds = 0.0
    for trial in (trial.valid() for trial in trials):
        if seconds > max_seconds:
            break
        finite = np.isfinite(trial.dff)
        time_s, dff = trial.time_s[finite], trial.dff[finite].astype(np.float64)
        spikes = trial.spike_times_s[(trial.spike_times_s > time_s[0] - 1.0) & (trial.spike_times_s < time_s[-1])]
        if spikes.size >= MIN_SPIKES_PER_TRIAL:
            traces.append((time_s, dff - _baseline(time_s, dff), spikes))
            seconds += trial.duration_s
    return traces


def _baseline(time_s: NDArray[np.float64], dff: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the low percentile of dF/F in windows, interpolated between their centres."""
    window = ((time_s - time_s[0]) // BASELINE_WINDOW_S).astype(np.int64)
    used = np.unique(window)
    levels = [np.percentile(dff[window == number], BASELINE_PERCENTILE) for number in used]
    centres = time_s[0] + (used + 0.5) * BASELINE_WINDOW_S
    return np.asarray(np.interp(time_s, centres, levels), dtype=np.float64)
