"""Speed of dense inference, as ratios within one process.

Compares, with the same weights: the windowed network as Keras evaluates it (one window of 64 frames per output frame,
batches of 1,024, as published) with the dense evaluation of this package, and the dense evaluation's arithmetic rate
with a float32 matrix product; and the bundled conditional ensemble with the same windowed evaluation. They take turns,
so that a busy machine slows all of them alike; medians are given.

    python -m scripts.benchmark_inference [--rounds 5] [--output docs/benchmarks/inference.json]

Weights of the published form are random: speed does not depend on them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from nwb_cascade.architectures.cascade import cascade_networks
from nwb_cascade.architectures.registry import build_networks
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import infer_block
from nwb_cascade.models.library import load_model
from scripts.measuring import measured, options_of, show_json

LENGTHS = (2_000, 20_000, 200_000)
WINDOWED_FRAMES = 20_000
DENSE_FRAMES = 800_000
MATRIX = 4096
MULTIPLY_ADDS = 31 * 30 + 19 * 30 * 40 + 5 * 40 * 50 + 50 * 10 + 20  # of the dense form, per frame and network


def published_sizes() -> ModelConfig:
    """The sizes of the published 30 Hz models."""
    return ModelConfig(
        name="benchmark",
        version="1",
        architecture="cascade",
        model_rates_hz=(30.0, 30.0),
        kernel="gaussian",
        smoothing_s=0.025,
        noise_levels=(2.0,),
        ensemble_size=5,
        window_size=64,
        before_frames=32,
        network={"filter_sizes": [31, 19, 5], "filter_numbers": [30, 40, 50], "dense_width": 10},
    )


def windowed_network() -> keras.Model:
    """The published network by its definition."""
    return keras.Sequential(
        [
            keras.Input((64, 1)),
            keras.layers.Conv1D(30, 31, activation="relu"),
            keras.layers.Conv1D(40, 19, activation="relu"),
            keras.layers.MaxPooling1D(2),
            keras.layers.Conv1D(50, 5, activation="relu"),
            keras.layers.MaxPooling1D(2),
            keras.layers.Dense(10, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(1),
        ]
    )


def bundle_weights(networks: list[keras.Model]) -> dict[str, np.ndarray]:
    """The Keras networks' weights by the names of a bundle."""
    layers = ("conv1", "conv2", "conv3", "dense", "output")
    weights = {}
    for member, network in enumerate(networks):
        for layer, (kernel, bias) in zip(
            layers, np.reshape(np.array(network.get_weights(), object), (5, 2)), strict=True
        ):
            weights[f"2/{member}/{layer}/kernel"], weights[f"2/{member}/{layer}/bias"] = kernel, bias
    return weights


def benchmark(rounds: int) -> dict[str, object]:
    """Measure all in turns."""
    config = published_sizes()
    conditional = load_model("conditional-1-120Hz")
    ensemble = build_networks(conditional.config, conditional.weights, imaging_rate=30.0, indicator="GCaMP6f")
    keras_networks = [windowed_network() for _ in range(config.ensemble_size)]
    networks = cascade_networks(config, bundle_weights(keras_networks))
    rng = np.random.default_rng(0)
    trace = rng.normal(0, 0.1, WINDOWED_FRAMES + 63).astype(np.float32)
    array = rng.normal(size=(MATRIX, MATRIX)).astype(np.float32)
    matrix = tf.constant(array)
    recordings = {n: rng.normal(0, 0.1, (DENSE_FRAMES // n, n)).astype(np.float32) for n in LENGTHS}

    def windowed() -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(trace, 64)[:, :, None]
        members = [network.predict(windows, batch_size=1024, verbose=0) for network in keras_networks]
        return np.asarray(np.mean(members, axis=0))

    def dense(n_frames: int) -> np.ndarray:
        return infer_block(recordings[n_frames], 30.0, networks).expected_spikes

    products: dict[str, Callable[[], object]] = {
        "TensorFlow": lambda: tf.matmul(matrix, matrix).numpy(),
        "NumPy": lambda: array @ array,
    }
    works: dict[str, tuple[Callable[[], object], float]] = {"windowed Keras": (windowed, WINDOWED_FRAMES)}
    works["conditional ensemble"] = (
        lambda: infer_block(recordings[20_000], 30.0, ensemble).expected_spikes,
        DENSE_FRAMES,
    )
    works |= {f"dense, {n} frames": (partial(dense, n), DENSE_FRAMES) for n in LENGTHS}
    rates: dict[str, list[float]] = {name: [] for name in works}
    product_rates: dict[str, list[float]] = {name: [] for name in products}
    for work, _ in works.values():
        work()
    for _ in range(rounds):
        for name, (work, frames) in works.items():
            rates[name].append(frames / measured(work).wall_s)
            for library, product in products.items():
                product_rates[library].append(2 * MATRIX**3 / measured(product).wall_s)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    product_medians = {library: statistics.median(values) for library, values in product_rates.items()}
    flops = 2 * MULTIPLY_ADDS * config.ensemble_size
    return {
        "frames_per_s": medians,
        "matrix_product_gflops": {library: rate / 1e9 for library, rate in product_medians.items()},
        "ratio_to_windowed": {name: rate / medians["windowed Keras"] for name, rate in medians.items()},
        "dense_gflops": {name: rate * flops / 1e9 for name, rate in medians.items() if name.startswith("dense")},
        "ratio_to_matrix_product": {
            library: {name: rate * flops / product for name, rate in medians.items() if name.startswith("dense")}
            for library, product in product_medians.items()
        },
    }


def main() -> None:
    """Run the benchmark and print its figures."""
    parser = options_of(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    show_json(benchmark(options.rounds), options.output)


if __name__ == "__main__":
    main()
