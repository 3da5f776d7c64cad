"""Small simulated recordings for training and evaluation tests: spikes, a decaying response, white noise."""

from __future__ import annotations

import numpy as np

from nwb_cascade.training.recordings import KnownRecording, KnownTrial


def simulated_trial(
    seed: int, *, rate: float = 60.0, seconds: float = 30.0, spike_rate: float = 1.0, noise: float = 0.02
) -> KnownTrial:
    """One trial: Poisson spikes, each a jump of 0.3 dF/F that decays with 0.3 s."""
    generator = np.random.default_rng(seed)
    times = np.arange(int(seconds * rate)) / rate
    spikes = np.sort(generator.uniform(0, seconds, generator.poisson(seconds * spike_rate)))
    since = times[:, None] - spikes[None]
    dff = np.where(since >= 0, 0.3 * np.exp(-np.maximum(since, 0) / 0.3), 0.0).sum(axis=1)
    return KnownTrial(times, (dff + noise * generator.standard_normal(times.size)).astype(np.float32), spikes)


def simulated_recording(dataset: str = "DS10", cell: str = "a", *, seed: int = 0, **trial: float) -> KnownRecording:
    """One cell of two trials."""
    trials = tuple(simulated_trial(1000 * seed + number, **trial) for number in range(2))
    return KnownRecording(dataset, cell, f"{dataset}-{cell}", "GCaMP6f", trials, sha256=f"{dataset}{cell}")
