"""Check of the two clocks: by how much the fluorescence follows the spikes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ground_truth_nwb.cells import Cell, Trial
from ground_truth_nwb.indicators import KINETICS

MAX_RATE_HZ = 100.0
MAX_LAG_S = 1.5
MIN_SPIKES = 10
MIN_CORRELATION = 0.1
UNKNOWN_DECAY_S = 0.5
# Differences are smoothed over about five frames, so that single noisy frames do not decide.
SMOOTHING = 0.8


def response_lag_s(cell: Cell) -> float:
    """Return the delay (s) at which fluorescence best follows the spikes; NaN where it cannot be told.

    The spike train, filtered with the indicator's decay but without a rise, is compared with dF/F: the lag of the
    peak of their cross-correlation, both differentiated and lightly smoothed, over all trials. Some tens of
    milliseconds are the indicator's rise; a negative lag, or one far from the other cells of a data set, says that
    the clocks disagree. NaN with fewer than 10 spikes or a peak correlation below 0.1.
    """
    rate = min(MAX_RATE_HZ, float(np.median([trial.imaging_rate for trial in cell.trials])))
    decay_s = KINETICS[cell.indicator].decay_s if cell.indicator in KINETICS else UNKNOWN_DECAY_S
    n_lags = int(MAX_LAG_S * rate)
    total = np.zeros(2 * n_lags + 1)
    energy = np.zeros(2)
    n_spikes = 0
    for trial in (trial.valid() for trial in cell.trials):
        if trial.imaging_rate < 0.5 * rate or trial.duration_s * rate <= 4 * n_lags:
            continue
        model, observed = _differentiated(trial, rate, decay_s)
        total += _cross_correlation(observed, model, n_lags)
        energy += [np.dot(model, model), np.dot(observed, observed)]
        n_spikes += trial.n_spikes_imaged()
    if n_spikes < MIN_SPIKES or total.max() < MIN_CORRELATION * np.sqrt(energy.prod()):
        return float("nan")
    return (int(total.argmax()) - n_lags) / rate


def _differentiated(trial: Trial, rate: float, decay_s: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return filtered spikes and dF/F on a regular grid, differentiated, smoothed and without their means."""
    from scipy.signal import lfilter

    grid = np.arange(trial.time_s[0], trial.time_s[-1], 1.0 / rate)
    finite = np.isfinite(trial.dff)
    dff = np.interp(grid, trial.time_s[finite], trial.dff[finite])
    edges = np.append(grid - 0.5 / rate, grid[-1] + 0.5 / rate)
    spikes = np.histogram(trial.spike_times_s, edges)[0].astype(np.float64)
    calcium = lfilter([1.0], [1.0, -np.exp(-1.0 / (rate * decay_s))], spikes)
    model, observed = (lfilter([1.0, -1.0], [1.0, -SMOOTHING], values - values[0]) for values in (calcium, dff))
    return model - model.mean(), observed - observed.mean()


def _cross_correlation(later: NDArray[np.float64], earlier: NDArray[np.float64], n_lags: int) -> NDArray[np.float64]:
    """Return the sums of products for lags -n_lags to n_lags (frames) of ``later`` behind ``earlier``."""
    from scipy.signal import correlate

    middle = earlier.size - 1
    return np.asarray(correlate(later, earlier, method="fft")[middle - n_lags : middle + n_lags + 1], dtype=np.float64)
