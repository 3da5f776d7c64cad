"""Fit an indicator's kinetics to a recorded cell: where the simulator's table comes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

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
# Isolated spikes, or bursts of at most 20 ms, have no spike in the second before them and none in the 0.1 s after.
QUIET_BEFORE_S = 1.0
QUIET_AFTER_S = 0.1
BURST_SPAN_S = 0.02
MIN_ISOLATED_SPIKES = 10
BASELINE_ENDS_S = -0.02
# Fine where the response is fast: 5 ms around the spike, then 10, 20, 50 and 100 ms.
LAG_EDGES_S = np.concatenate(
    [
        [-0.2, -0.1, -0.05, -0.02, -0.01],
        np.arange(-1, 6) * 0.005,
        np.arange(3, 10) * 0.01,
        np.arange(5, 10) * 0.02,
        np.arange(4, 10) * 0.05,
        np.arange(5, 11) * 0.1,
    ]
)
LAGS_S = 0.5 * (LAG_EDGES_S[1:] + LAG_EDGES_S[:-1])
# A second decay is kept if the misfit without it is larger by more than a third.
MISFIT_RATIO = 4.0 / 3.0
# Bounds of the delay (s), the fast decay (s, as logarithm) and its share.
MAX_DELAY_S = 0.02
LOWEST_FAST = [np.log(0.008), 0.02]
HIGHEST_FAST = [np.log(0.2), 0.98]
Traces = list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]


def fit_kinetics(cell: Cell, *, max_seconds: float = 250.0) -> tuple[Kinetics, float]:
    """Fit rise, decay, amplitude and cooperativity to the first trials of a cell.

    The model is that of the simulator with one constant offset per trial; dF/F is freed from slow drift first (15th
    percentile in windows of 30 s). Least squares with a soft L1 loss. The dF/F at saturation stays that of the table,
    because few cells reach it, and so does the fast part of the decay, which :func:`fit_response` finds.

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


@dataclass(frozen=True)
class ResponseFit:
    """Fit of the response to isolated spikes.

    Parameters
    ----------
    kinetics : Kinetics
        The table's, with rise, decays, share of the fast one and amplitude as fitted.
    delay_s : float
        Delay of the response behind the spike times of the files, s; negative where it begins before them.
    misfit : float
        Root mean square of response minus fit, relative to the fitted amplitude.
    """

    kinetics: Kinetics
    delay_s: float
    misfit: float


def isolated_response(cell: Cell, *, burst_size: int = 1) -> tuple[NDArray[np.float64], int]:
    """Average dF/F around the isolated spikes of a cell, above the mean of the 0.2 s before each.

    Frames count until the next spike and up to 1 s; their own times, not interpolated ones, put them into bins.

    Parameters
    ----------
    cell : Cell
        A recorded or simulated cell.
    burst_size : int
        Spikes that belong together: 2 averages around pairs, from their last spike on.

    Returns
    -------
    response : numpy.ndarray
        dF/F at ``LAGS_S``, a fraction; NaN where there is no frame.
    n_bursts : int
        Number of isolated spikes, or bursts.

    Examples
    --------
    Decays and amplitudes are fits to the median over the cells of a data set with at least 10 such spikes::

        averages = [isolated_response(read_cell(path)) for path in list_cells(folder)]
        responses = np.array([response for response, n_spikes in averages if n_spikes >= MIN_ISOLATED_SPIKES])
        fit_response(np.nanmedian(responses, axis=0), kinetics_of("jGCaMP8f"))
    """
    sums, counts = np.zeros(LAGS_S.size), np.zeros(LAGS_S.size)
    n_bursts = 0
    for trial in (trial.valid() for trial in cell.trials):
        finite = np.isfinite(trial.dff)
        time_s, dff = trial.time_s[finite], trial.dff[finite].astype(np.float64)
        for first, last, following in _isolated_bursts(trial.spike_times_s, burst_size):
            frames = slice(*np.searchsorted(time_s, [first + LAG_EDGES_S[0], min(last + LAG_EDGES_S[-1], following)]))
            values = dff[frames]
            before = time_s[frames] < first + BASELINE_ENDS_S
            if before.any() and last + QUIET_AFTER_S <= time_s[-1]:
                lags = time_s[frames] - last
                sums += np.histogram(lags, LAG_EDGES_S, weights=values - values[before].mean())[0]
                counts += np.histogram(lags, LAG_EDGES_S)[0]
                n_bursts += 1
    return np.divide(sums, counts, out=np.full(LAGS_S.size, np.nan), where=counts > 0), n_bursts


def fit_response(response: NDArray[np.float64], start: Kinetics) -> ResponseFit:
    """Fit rise, amplitude, delay and one or two decays to the response to one spike.

    The model is that of the simulator with an offset; saturation and cooperativity stay those of ``start``. A second,
    fast decay is kept only if the misfit without it is more than a third larger.

    Parameters
    ----------
    response : numpy.ndarray
        dF/F at ``LAGS_S`` as of :func:`isolated_response`, of one cell or the median over cells; NaN is left out.
    start : Kinetics
        Where the fit begins.
    """
    single = _fit_decays(response, replace(start, fast_share=0.0), [])
    double = _fit_decays(response, start, [np.log(0.03), 0.5])
    return double if single.misfit > MISFIT_RATIO * double.misfit else single


def half_width_s(time_s: NDArray[np.float64], response: NDArray[np.float64]) -> float:
    """Return how long a response stays above half its peak, interpolated (s); it does not depend on where time begins.

    Raises
    ------
    ValueError
        If it is not below half its peak on both sides of it.
    """
    peak = int(np.argmax(response))
    low = np.flatnonzero(response < 0.5 * response[peak])
    if not (low.size and low[0] < peak < low[-1]):
        raise ValueError("Expected a response that rises above half its peak and falls below it again.")
    before, after = low[low < peak][-1], low[low > peak][0]
    rise, fall = [before, before + 1], [after, after - 1]
    start, end = (np.interp(0.5 * response[peak], response[side], time_s[side]) for side in (rise, fall))
    return float(end - start)


def _isolated_bursts(spike_times_s: NDArray[np.float64], burst_size: int) -> Iterator[tuple[float, float, float]]:
    """Yield first and last spike of the isolated bursts and the spike that follows them (infinity after the end)."""
    spikes = np.concatenate([[-np.inf], np.sort(spike_times_s), [np.inf]])
    for first in range(1, spikes.size - burst_size):
        last = first + burst_size - 1
        together = spikes[last] - spikes[first] <= BURST_SPAN_S
        quiet_before = spikes[first] - spikes[first - 1] > QUIET_BEFORE_S
        if together and quiet_before and spikes[last + 1] - spikes[last] > QUIET_AFTER_S:
            yield float(spikes[first]), float(spikes[last]), float(spikes[last + 1])


def _fit_decays(response: NDArray[np.float64], start: Kinetics, fast: list[float]) -> ResponseFit:
    """Fit the response with the fast decay (logarithm of s) and its share given to begin with, or without."""
    from scipy.optimize import least_squares

    known = np.isfinite(response)
    lags, observed = LAGS_S[known], response[known]
    height = float(observed.max())

    def model(values: NDArray[np.float64]) -> tuple[Kinetics, NDArray[np.float64]]:
        rise_s, decay_s = np.exp(values[:2])
        kinetics = replace(start, rise_s=float(rise_s), decay_s=float(decay_s), amplitude=float(values[2]))
        if fast:
            kinetics = replace(kinetics, fast_decay_s=float(np.exp(values[5])), fast_share=float(values[6]))
        return kinetics, fluorescence(lags, values[3:4], kinetics) + values[4]

    initial = np.array([np.log(start.rise_s), np.log(start.decay_s), height, 0.0, 0.0, *fast])
    lowest = [*LOWEST[:2], 0.1 * height, -MAX_DELAY_S, -height, *LOWEST_FAST[: len(fast)]]
    highest = [*HIGHEST[:2], 3.0 * height, MAX_DELAY_S, height, *HIGHEST_FAST[: len(fast)]]
    scale = [0.3, 0.3, height, 0.003, 0.1 * height, 0.3, 0.3][: initial.size]
    fit = least_squares(lambda values: model(values)[1] - observed, initial, bounds=(lowest, highest), x_scale=scale)
    kinetics, _ = model(fit.x)
    misfit = float(np.sqrt(np.mean(fit.fun**2))) / kinetics.amplitude
    return ResponseFit(replace(kinetics, source="fit"), delay_s=float(fit.x[3]), misfit=misfit)


def _kinetics(values: NDArray[np.float64], start: Kinetics) -> Kinetics:
    """Turn the fit's parameters (logarithms; a logistic one for the cooperativity) into kinetics."""
    rise_s, decay_s, amplitude = np.exp(values[:3])
    return replace(
        start,
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
