"""Keras layers of the classifier and the autoencoder; they run on every backend of Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.backend import keras

MOST_STEPS = 20
BINS_PER_STEP = range(2, 11)
PACKAGE = "nwb_cascade.spikefinder"


@keras.saving.register_keras_serializable(package=PACKAGE)
class Delta(keras.layers.Layer):  # type: ignore[misc]
    """First difference along time of (batch, time, channels); the first step is 0, so that the shape is kept."""

    def call(self, inputs: Any) -> Any:
        """Subtract from each step the one before."""
        differences = inputs[:, 1:] - inputs[:, :-1]
        return keras.ops.pad(differences, [[0, 0], [1, 0], [0, 0]])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return input_shape


@keras.saving.register_keras_serializable(package=PACKAGE)
class Quadratic(keras.layers.Layer):  # type: ignore[misc]
    """Square of every value."""

    def call(self, inputs: Any) -> Any:
        """Square the inputs."""
        return keras.ops.square(inputs)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the input."""
        return input_shape


@keras.saving.register_keras_serializable(package=PACKAGE)
class GaussianLatent(keras.layers.Layer):  # type: ignore[misc]
    """Sample of a Gaussian from its mean and log variance, both (batch, n_latent); adds the weighted KL divergence.

    The divergence from the unit Gaussian, summed over dimensions and averaged over the batch (Kingma and Welling
    2014, appendix B), is added to the loss of the model. A sample is drawn in training only: otherwise the output is
    the mean.
    """

    def __init__(self, kl_weight: float = 1.0, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kl_weight = kl_weight
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, mean: Any, log_variance: Any, training: bool = False) -> Any:
        """Return the sample, or the mean."""
        self.add_loss(self.kl_weight * keras.ops.mean(gaussian_divergence(mean, log_variance)))
        if not training:
            return mean
        noise = keras.random.normal(keras.ops.shape(mean), seed=self.generator)
        return mean + keras.ops.exp(0.5 * log_variance) * noise

    def compute_output_shape(self, mean: tuple[int | None, ...], log_variance: Any = None) -> tuple[int | None, ...]:
        """The shape of the mean."""
        return mean

    def get_config(self) -> dict[str, Any]:
        """What the layer was made from."""
        return {**super().get_config(), "kl_weight": self.kl_weight, "seed": self.seed}


def gaussian_divergence(mean: Any, log_variance: Any) -> Any:
    """KL divergence of Gaussians (batch, n) from the unit Gaussian, summed over dimensions: (batch,)."""
    return 0.5 * keras.ops.sum(keras.ops.square(mean) + keras.ops.exp(log_variance) - log_variance - 1.0, axis=-1)


def bins_per_step(size: int) -> int:
    """Bins that a recurrent layer takes in one step, so that long windows do not take long: at most 20 steps.

    No bin is left out or averaged: a step sees all its bins. 1 where no number from 2 to 10 divides the size so.

    Examples
    --------
    >>> [bins_per_step(size) for size in (20, 64, 200)]
    [2, 4, 10]
    """
    return next((n for n in BINS_PER_STEP if size % n == 0 and size // n <= MOST_STEPS), 1)


@dataclass(frozen=True)
class FeatureScale:
    """Mean and variance of trace, difference and square over the training windows.

    A difference is a twentieth of the trace it comes from, a square fifty times as large at the peaks: as they are,
    the recurrent layer learns from the trace alone for a long time.
    """

    mean: tuple[float, ...]
    variance: tuple[float, ...]


def feature_scale(values: NDArray[np.float32]) -> FeatureScale:
    """Measure trace, difference and square of windows (n, size)."""
    trace = np.asarray(values, np.float64)
    features = (trace, np.diff(trace, axis=1), trace**2)
    return FeatureScale(
        mean=tuple(float(one.mean()) for one in features), variance=tuple(float(one.var()) or 1.0 for one in features)
    )


def window_features(window: Any, size: int, scale: FeatureScale | None = None) -> Any:
    """Turn (batch, size) into steps of the trace, its difference and its square: (batch, steps, 3 × bins per step)."""
    trace = keras.layers.Reshape((size, 1))(window)
    features = keras.layers.Concatenate()([trace, Delta()(trace), Quadratic()(trace)])
    if scale is not None:
        features = keras.layers.Normalization(mean=scale.mean, variance=scale.variance)(features)
    n = bins_per_step(size)
    return keras.layers.Reshape((size // n, 3 * n))(features)
