"""Simulated ground truth: spike trains, indicator, drift, neuropil, photon and read noise, frame jitter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ground_truth_nwb.cells import Cell, Trial
from ground_truth_nwb.indicators import Kinetics, kinetics_of
from ground_truth_nwb.noise import LEVEL_PER_STD
from ground_truth_nwb.noise import noise_level as measured_noise_level

SIMULATED_DATASET = "SIM"
REFRACTORY_S = 0.0025
BURST_INTERVAL_S = 0.008
MEAN_BURST_SIZE = 1.6
RATE_DRIFT_TIME_S = 20.0
RATE_DRIFT_LOG_STD = 0.7
BASELINE_DRIFT_TIME_S = 60.0
BASELINE_DRIFT_STD = 0.03
NEUROPIL_TIME_S = 1.5
NEUROPIL_STD = 0.05
CELL_SPREAD_LOG_STD = 0.25
READ_NOISE_SHARE = 0.3
KERNEL_REACH = 8.0
PEAK_STEPS = 1001
NOISE_TOLERANCE = 1e-4


def simulate_cell(
    rng: np.random.Generator,
    *,
    indicator: str = "GCaMP6f",
    imaging_rate: float = 30.0,
    duration_s: float = 120.0,
    firing_rate_hz: float = 1.0,
    noise_level: float = 2.0,
    n_trials: int = 1,
    cell_id: str = "1",
    frame_jitter_s: float = 0.0,
) -> Cell:
    """Simulate one cell with its exact spike times.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    indicator : str
        A key of :data:`ground_truth_nwb.indicators.KINETICS`; the cell's own kinetics and amplitude vary around it.
    imaging_rate, duration_s, firing_rate_hz : float
        Hz, s per trial, and mean spike rate (Hz).
    noise_level : float
        Noise level of every trial, % Hz^-1/2, reached to a relative error of 1e-4.
    n_trials : int
        Number of trials, each on its own clock that begins at zero.
    cell_id : str
        Name of the cell and, as ``sim-<cell_id>``, of its animal.
    frame_jitter_s : float
        Standard deviation of the frame times around a regular clock, s.

    Raises
    ------
    LookupError, ValueError
        If the indicator is not known; if a parameter is out of range or the signal alone is noisier than the level.

    Examples
    --------
    >>> cell = simulate_cell(np.random.default_rng(1), duration_s=20.0)
    >>> cell.trials[0].n_frames
    600
    """
    kinetics = _cell_kinetics(rng, kinetics_of(indicator))
    trials = []
    for _ in range(n_trials):
        time_s = _frame_times(rng, imaging_rate, duration_s, frame_jitter_s)
        spikes = simulate_spikes(rng, duration_s=duration_s, firing_rate_hz=firing_rate_hz)
        neuropil = _slow_noise(rng, time_s, NEUROPIL_TIME_S)
        dff = _simulate_trace(rng, time_s, spikes, kinetics, neuropil, imaging_rate, noise_level)
        trials.append(Trial(time_s, dff, spikes))
    return Cell(
        dataset=SIMULATED_DATASET,
        cell_id=cell_id,
        animal_id=f"sim-{cell_id}",
        animal_basis="simulated",
        indicator=indicator,
        species="Mus musculus",
        region="Primary visual area",
        trials=tuple(trials),
    )


def simulate_population(
    rng: np.random.Generator,
    n_rois: int,
    *,
    indicator: str = "GCaMP6f",
    imaging_rate: float = 30.0,
    duration_s: float = 120.0,
    firing_rate_hz: float = 0.5,
    noise_level: ArrayLike = 2.0,
) -> tuple[NDArray[np.float32], list[NDArray[np.float64]]]:
    """Simulate a population on one regular clock, frame ``i`` at ``i / imaging_rate`` seconds.

    Mean rates differ between cells (log-normal around ``firing_rate_hz``); the neuropil is common to all.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    n_rois : int
        Number of cells.
    noise_level : array_like
        One level or one per cell, % Hz^-1/2, reached to a relative error of 1e-4.

    Returns
    -------
    dff : numpy.ndarray
        (n_rois, n_frames) float32, dF/F as a fraction.
    spike_times : list of numpy.ndarray
        One float64 vector of spike times (s) per cell.

    Raises
    ------
    LookupError, ValueError
        As for :func:`simulate_cell`.
    """
    table = kinetics_of(indicator)
    levels = np.broadcast_to(np.asarray(noise_level, dtype=np.float64), (n_rois,))
    time_s = _frame_times(rng, imaging_rate, duration_s, 0.0)
    neuropil = _slow_noise(rng, time_s, NEUROPIL_TIME_S)
    dff = np.empty((n_rois, time_s.size), dtype=np.float32)
    spike_times = []
    for roi, level in enumerate(levels):
        rate = firing_rate_hz * np.exp(rng.normal(0.0, 0.5))
        spikes = simulate_spikes(rng, duration_s=duration_s, firing_rate_hz=rate)
        cell = _cell_kinetics(rng, table)
        dff[roi] = _simulate_trace(rng, time_s, spikes, cell, neuropil, imaging_rate, float(level))
        spike_times.append(spikes)
    return dff, spike_times


def simulate_spikes(rng: np.random.Generator, *, duration_s: float, firing_rate_hz: float) -> NDArray[np.float64]:
    """Simulate ascending spike times in [0, duration_s): bursts whose rate drifts, with a refractory time.

    The expected number of spikes is ``firing_rate_hz * duration_s`` up to what the refractory time takes
    away.
    """
    if not (duration_s > 0 and firing_rate_hz >= 0):
        raise ValueError(
            f"Expected a positive duration and a rate of at least 0 Hz, received {duration_s!r} s and "
            f"{firing_rate_hz!r} Hz."
        )
    grid = np.arange(0.0, duration_s, min(0.1, duration_s / 10))
    drift = np.exp(RATE_DRIFT_LOG_STD * _slow_noise(rng, grid, RATE_DRIFT_TIME_S))
    cumulative = np.concatenate([[0.0], np.cumsum(drift)])
    n_bursts = rng.poisson(firing_rate_hz * duration_s / MEAN_BURST_SIZE)
    edges = np.append(grid, duration_s)
    starts = np.interp(rng.uniform(0.0, cumulative[-1], n_bursts), cumulative, edges)
    sizes = rng.geometric(1.0 / MEAN_BURST_SIZE, n_bursts)
    intervals = REFRACTORY_S + rng.exponential(BURST_INTERVAL_S - REFRACTORY_S, int(sizes.sum()))
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    since_start = np.cumsum(intervals) - np.cumsum(intervals)[first] if intervals.size else intervals
    spikes = np.sort(np.repeat(starts, sizes) + since_start)
    spikes = spikes[spikes < duration_s]
    keep = np.concatenate([np.ones(min(1, spikes.size), bool), np.diff(spikes) >= REFRACTORY_S])
    return np.asarray(spikes[keep], dtype=np.float64)


def fluorescence(
    time_s: NDArray[np.float64], spike_times_s: NDArray[np.float64], kinetics: Kinetics
) -> NDArray[np.float64]:
    """Return the noise-free dF/F at the given times: calcium of all spikes, cooperative binding, saturation.

    Calcium is the sum over the spikes of a rise times a decay. The rise has ``hill`` times the table's time constant
    and the decay is the ``hill``-th root of the table's sum of a slow and a fast one, so that the response to one
    spike, which follows the power ``hill`` of calcium, falls as the table says. The Hill curve is placed so that one
    spike peaks at ``amplitude``.
    """
    # The slow decay alone would peak here; a fast part only moves the peak to an earlier time.
    latest_peak = kinetics.rise_s * kinetics.hill * np.log1p(kinetics.decay_s / kinetics.rise_s)
    peak = _calcium(np.linspace(0.0, latest_peak, PEAK_STEPS), kinetics).max()
    calcium = np.zeros(time_s.size)
    first = np.searchsorted(time_s, spike_times_s)
    last = np.searchsorted(time_s, spike_times_s + KERNEL_REACH * kinetics.hill * kinetics.decay_s)
    for spike, start, stop in zip(spike_times_s, first, last, strict=True):
        calcium[start:stop] += _calcium(time_s[start:stop] - spike, kinetics) / peak
    power = calcium**kinetics.hill
    half = kinetics.max_dff / kinetics.amplitude - 1.0
    return np.asarray(kinetics.max_dff * power / (power + half), dtype=np.float64)


def _calcium(elapsed_s: NDArray[np.float64], kinetics: Kinetics) -> NDArray[np.float64]:
    """Return the calcium at times from a spike on, in units of its own."""
    slow = np.exp(-elapsed_s / kinetics.decay_s)
    fast = np.exp(-elapsed_s / kinetics.fast_decay_s)
    decay = (1.0 - kinetics.fast_share) * slow + kinetics.fast_share * fast
    rise = 1.0 - np.exp(-elapsed_s / (kinetics.hill * kinetics.rise_s))
    return np.asarray(rise * decay ** (1.0 / kinetics.hill), dtype=np.float64)


def _simulate_trace(
    rng: np.random.Generator,
    time_s: NDArray[np.float64],
    spikes: NDArray[np.float64],
    kinetics: Kinetics,
    neuropil: NDArray[np.float64],
    imaging_rate: float,
    level: float,
) -> NDArray[np.float32]:
    """Add drift, neuropil and noise of the requested level to the fluorescence of a spike train."""
    drift = BASELINE_DRIFT_STD * _slow_noise(rng, time_s, BASELINE_DRIFT_TIME_S)
    contamination = NEUROPIL_STD * rng.uniform(0.2, 1.0) * neuropil
    clean = (1.0 + fluorescence(time_s, spikes, kinetics)) * (1.0 + drift) + contamination - 1.0
    return _add_noise(rng, clean, imaging_rate, level)


def _add_noise(
    rng: np.random.Generator, clean: NDArray[np.float64], imaging_rate: float, level: float
) -> NDArray[np.float32]:
    """Add photon (Poisson) and read (Gaussian) noise, scaled until the measured level is as requested."""
    if not level > 0:
        raise ValueError(f"Expected a positive noise level in % Hz^-1/2, received {level!r}.")
    std = level * np.sqrt(imaging_rate) / LEVEL_PER_STD
    photons = 1.0 / (std**2 * (1.0 - READ_NOISE_SHARE**2))
    light = np.maximum(1.0 + clean, 0.0)
    shot = rng.poisson(photons * light) / photons - light
    noise = shot + rng.normal(0.0, READ_NOISE_SHARE * std, clean.size)
    if measured_noise_level(clean, imaging_rate) >= level:
        raise ValueError(
            "Expected a noise level above that of the noise-free signal, "
            f"{measured_noise_level(clean, imaging_rate):.3g}, "
            f"received {level:.3g} % Hz^-1/2. Ask for more noise or fewer spikes."
        )
    low, high = 0.0, 1.0
    while measured_noise_level(clean + high * noise, imaging_rate) < level:
        low, high = high, 2.0 * high
    while high - low > NOISE_TOLERANCE * high:
        middle = 0.5 * (low + high)
        below = measured_noise_level(clean + middle * noise, imaging_rate) < level
        low, high = (middle, high) if below else (low, middle)
    return np.asarray(clean + high * noise, dtype=np.float32)


def _frame_times(
    rng: np.random.Generator, imaging_rate: float, duration_s: float, jitter_s: float
) -> NDArray[np.float64]:
    """Return frame times from zero on, jittered by less than half an interval so that they stay in order."""
    n_frames = round(duration_s * imaging_rate)
    if not (imaging_rate > 0 and n_frames >= 2):
        raise ValueError(
            f"Expected a duration of at least two frames, received {duration_s!r} s at {imaging_rate!r} Hz."
        )
    jitter = np.clip(rng.normal(0.0, jitter_s, n_frames), -0.45 / imaging_rate, 0.45 / imaging_rate)
    return np.arange(n_frames) / imaging_rate + (jitter if jitter_s > 0 else 0.0)


def _slow_noise(rng: np.random.Generator, time_s: NDArray[np.float64], correlation_s: float) -> NDArray[np.float64]:
    """Return noise of unit variance whose correlation falls to 1/e within ``correlation_s``."""
    from scipy.signal import lfilter, lfiltic

    if time_s.size < 2:
        return rng.normal(size=time_s.size)
    keep = float(np.exp(-(time_s[-1] - time_s[0]) / (time_s.size - 1) / correlation_s))
    drive = rng.normal(size=time_s.size) * np.sqrt(1.0 - keep**2)
    start = lfiltic([1.0], [1.0, -keep], [rng.normal()])
    return np.asarray(lfilter([1.0], [1.0, -keep], drive, zi=start)[0], dtype=np.float64)


def _cell_kinetics(rng: np.random.Generator, table: Kinetics) -> Kinetics:
    """Vary amplitude and decays from cell to cell."""
    spread = np.exp(rng.normal(0.0, CELL_SPREAD_LOG_STD, 2))
    amplitude = min(table.amplitude * spread[0], 0.5 * table.max_dff)
    decay_s, fast_decay_s = table.decay_s * spread[1], table.fast_decay_s * spread[1]
    return replace(table, amplitude=amplitude, decay_s=decay_s, fast_decay_s=fast_decay_s)
