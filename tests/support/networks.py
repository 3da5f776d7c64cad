"""Stand-ins for networks: callables with the shape of an ensemble and an answer that a test can compute itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.registry import architecture_of
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet
from nwb_cascade.core.reading import AS_IT_IS, Reading


class MovingSum:
    """An ensemble whose member m gives (m + 1) times the sum of the window, so that every frame of context counts."""

    def __init__(self, before: int = 2, after: int = 1, *, fills_edges: bool = False, members: int = 2) -> None:
        self.before, self.after, self.fills_edges, self.members = before, after, fills_edges, members
        self.row_shapes: set[tuple[int, ...]] = set()

    def __call__(
        self,
        traces: NDArray[np.float32],
        present: NDArray[np.bool_],
        noise_level: NDArray[np.float32],
        activity: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        self.row_shapes.add(traces.shape)
        windows = np.lib.stride_tricks.sliding_window_view(traces * present, self.before + 1 + self.after, axis=1)
        return np.stack([(m + 1) * windows.sum(axis=2) for m in range(self.members)]).astype(np.float32)

    def network_set(self, levels: tuple[float, ...] = (), reading: Reading = AS_IT_IS) -> NetworkSet:
        """This ensemble for every noise level."""
        return NetworkSet(levels, self.members, lambda _level: self, reading)


def cascade_config(**changes: object) -> ModelConfig:
    """A small configuration of the published architecture."""
    values: dict[str, object] = {
        "name": "tiny",
        "version": "1",
        "architecture": "cascade",
        "model_rates_hz": (30.0, 30.0),
        "kernel": "gaussian",
        "smoothing_s": 0.05,
        "noise_levels": (2.0, 4.0),
        "ensemble_size": 2,
        "window_size": 24,
        "before_frames": 12,
        "network": {"filter_sizes": [7, 5, 3], "filter_numbers": [4, 6, 5], "dense_width": 3},
    }
    return ModelConfig(**(values | changes))  # type: ignore[arg-type]


def zero_weights(config: ModelConfig) -> dict[str, NDArray[np.float32]]:
    """Every array that the configuration asks for, empty."""
    return {key: np.zeros(shape, np.float32) for key, shape in architecture_of(config).shapes(config).items()}


def cascade_weights(config: ModelConfig, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Random weights of the sizes that the configuration asks for."""
    rng = np.random.default_rng(seed)
    first, second, third = config.network["filter_sizes"]
    n_first, n_second, n_third = config.network["filter_numbers"]
    width = config.network["dense_width"]
    steps = ((config.window_size - first - second + 2) // 2 - third + 1) // 2
    shapes = {
        "conv1": (first, 1, n_first),
        "conv2": (second, n_first, n_second),
        "conv3": (third, n_second, n_third),
        "dense": (n_third, width),
        "output": (steps * width, 1),
    }
    weights = {}
    for level in config.noise_levels:
        for member in range(config.ensemble_size):
            for layer, shape in shapes.items():
                scale = 1 / np.sqrt(np.prod(shape[:-1]))
                prefix = f"{level:g}/{member}/{layer}"
                weights[f"{prefix}/kernel"] = rng.normal(0, scale, shape).astype(np.float32)
                weights[f"{prefix}/bias"] = rng.normal(0, 0.1, shape[-1]).astype(np.float32)
    return weights


def windowed_cascade(
    config: ModelConfig, weights: dict[str, NDArray[np.float32]], level: float, member: int, trace: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The network by its definition: every window through every layer; (n_frames - window_size + 1,)."""
    w = {key.split("/", 2)[2]: value for key, value in weights.items() if key.startswith(f"{level:g}/{member}/")}
    hidden = np.lib.stride_tricks.sliding_window_view(trace.astype(np.float64), config.window_size)[:, :, None]
    for layer in ("conv1", "conv2", "conv3"):
        kernel = w[f"{layer}/kernel"]
        views = np.lib.stride_tricks.sliding_window_view(hidden, kernel.shape[0], axis=1)
        hidden = np.maximum(np.einsum("ntik,kio->nto", views, kernel) + w[f"{layer}/bias"], 0)
        if layer != "conv1":
            even = hidden[:, : hidden.shape[1] // 2 * 2]
            hidden = even.reshape(len(even), -1, 2, even.shape[2]).max(axis=2)
    hidden = np.maximum(hidden @ w["dense/kernel"] + w["dense/bias"], 0)
    return (hidden.reshape(len(hidden), -1) @ w["output/kernel"] + w["output/bias"])[:, 0]
