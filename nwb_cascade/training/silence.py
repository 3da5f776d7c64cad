"""Traces of cells that never spike: nothing but noise, or drift, slow waves and the neuropil of others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

SLOW_SHARE = 0.2
HEIGHT_DFF = (0.02, 0.2)  # standard deviation of what is slow
WAVE_HZ = (0.01, 0.3)
NEUROPIL_S = (0.3, 5.0)  # time constant


def draw_silence(
    n_frames: int, imaging_rate: float, generator: np.random.Generator
) -> tuple[NDArray[np.float32], bool]:
    """Return dF/F of a silent cell before photon noise, (n_frames,), and whether it moves slowly (0 otherwise)."""
    if generator.random() >= SLOW_SHARE:
        return np.zeros(n_frames, np.float32), False
    kind = generator.integers(3)
    if kind == 0:
        steps = generator.standard_normal(n_frames)
        slow = np.cumsum(steps)
    elif kind == 1:
        turns = _log_uniform(WAVE_HZ, generator) / imaging_rate
        slow = np.sin(2 * np.pi * (turns * np.arange(n_frames) + generator.random()))
    else:
        keep = np.exp(-1 / max(_log_uniform(NEUROPIL_S, generator) * imaging_rate, 1e-3))
        slow = lfilter([1.0], [1.0, -keep], generator.standard_normal(n_frames))
    spread = max(float(slow.std()), 1e-9)
    return np.asarray((slow - slow.mean()) / spread * _log_uniform(HEIGHT_DFF, generator), np.float32), True


def _log_uniform(ends: tuple[float, float], generator: np.random.Generator) -> float:
    return float(np.exp(generator.uniform(*np.log(ends))))
