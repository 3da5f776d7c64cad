"""Cascade's network on single windows in plain numpy: slow, obvious, independent of the dense evaluation."""

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from nwb_cascade.models.bundle import Model

Array = NDArray[np.float64]


def evaluate_windows(windows: Array, weights: Mapping[str, NDArray[np.float32]]) -> Array:
    """Evaluate one network (keys ``conv1/kernel`` ...) on windows (n, window_size); returns (n,)."""
    w = {key: array.astype(np.float64) for key, array in weights.items()}
    x = windows[:, :, None]
    x = relu(convolve(x, w["conv1/kernel"], w["conv1/bias"]))
    x = pool(relu(convolve(x, w["conv2/kernel"], w["conv2/bias"])))
    x = pool(relu(convolve(x, w["conv3/kernel"], w["conv3/bias"])))
    x = relu(x @ w["dense/kernel"] + w["dense/bias"])
    flat = x.reshape(len(x), -1)
    rates: Array = (flat @ w["output/kernel"] + w["output/bias"])[:, 0]
    return rates


def evaluate_ensemble(trace: Array, model: Model, level: float) -> Array:
    """Evaluate all windows of a trace (n_frames,) with one noise level's ensemble; returns (n_windows,)."""
    windows = sliding_window_view(trace, model.config.window_size)
    members = [network(model, level, member) for member in range(model.config.ensemble_size)]
    mean: Array = np.mean([evaluate_windows(windows, weights) for weights in members], axis=0)
    return mean


def network(model: Model, level: float, member: int) -> dict[str, NDArray[np.float32]]:
    """Pick the arrays of one network of a model."""
    prefix = f"{level:g}/{member}/"
    return {key.removeprefix(prefix): array for key, array in model.weights.items() if key.startswith(prefix)}


def convolve(x: Array, kernel: Array, bias: Array) -> Array:
    """Correlate (n, time, in) with (width, in, out), "valid"."""
    patches = sliding_window_view(x, kernel.shape[0], axis=1)
    correlated: Array = np.einsum("ntiw,wio->nto", patches, kernel, optimize=True) + bias
    return correlated


def pool(x: Array) -> Array:
    """Maximum of neighbouring pairs in time; an unpaired last step is dropped."""
    even = x[:, : x.shape[1] // 2 * 2]
    pooled: Array = even.reshape(len(x), -1, 2, x.shape[2]).max(axis=2)
    return pooled


def relu(x: Array) -> Array:
    """Positive part."""
    positive: Array = np.maximum(x, 0)
    return positive
