"""The unsupervised view: a variational autoencoder that never sees a spike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.backend import keras
from nwb_cascade.core.progress import Progress
from nwb_cascade.spikefinder.classifier import epoch_callbacks
from nwb_cascade.spikefinder.layers import PACKAGE, FeatureScale, GaussianLatent, bins_per_step, window_features
from nwb_cascade.spikefinder.prediction import predicted

TOY_UNITS = 20
TOY_KL_WEIGHT = 1e-2


@keras.saving.register_keras_serializable(package=PACKAGE)
class VariationalAutoencoder(keras.Model):  # type: ignore[misc]
    """An encoder to a Gaussian latent and a decoder back, trained on their input alone.

    The loss is the mean squared error of the reconstruction plus ``kl_weight`` times the divergence of the latent
    from the unit Gaussian. The latent layer adds the latter by ``add_loss``, ``compute_loss`` the former, so that
    ``fit(values, epochs=...)`` needs no target and training is Keras's own on every backend.

    Parameters
    ----------
    encoder : keras.Model
        (batch, size) to the mean and the log variance of the latent, both (batch, n_latent).
    decoder : keras.Model
        (batch, n_latent) to (batch, size).
    kl_weight : float
        Weight of the divergence, which is summed over latent dimensions; the error is a mean over bins.
    seed : int
        Of the latent's samples.
    """

    def __init__(self, encoder: Any, decoder: Any, kl_weight: float = 1e-3, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.kl_weight = kl_weight
        self.seed = seed
        self.latent = GaussianLatent(kl_weight, seed, name="latent")

    @property
    def n_latent(self) -> int:
        """Dimensions of the latent."""
        return int(self.decoder.input_shape[-1])

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Encode, sample (in training) and decode."""
        mean, log_variance = self.encoder(inputs, training=training)
        return self.decoder(self.latent(mean, log_variance, training=training), training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Mean squared error against the input plus what layers added."""
        return keras.ops.mean(keras.ops.square(keras.ops.convert_to_tensor(x) - y_pred)) + sum(self.losses)

    def encode(
        self, values: NDArray[np.float32], *, generator: np.random.Generator | None = None
    ) -> NDArray[np.float32]:
        """Means of the latent, (n, n_latent) float32, of windows (n, size); with a generator: samples of it."""
        mean, log_variance = predicted(self.encoder, values)
        if generator is not None:
            mean = mean + np.exp(0.5 * log_variance) * generator.standard_normal(mean.shape)
        return np.asarray(mean, np.float32)

    def decode(self, latents: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Windows (n, size) float32 of points (n, n_latent) of the latent space.

        Raises
        ------
        ValueError
            If the points have another number of dimensions.
        """
        if latents.ndim != 2 or latents.shape[1] != self.n_latent:
            raise ValueError(f"Expected latents of shape (n, {self.n_latent}), received {latents.shape}.")
        return np.asarray(predicted(self.decoder, latents), np.float32)

    def sample(self, n: int, generator: np.random.Generator) -> NDArray[np.float32]:
        """Windows (n, size) decoded from points drawn from the unit Gaussian."""
        return self.decode(generator.standard_normal((n, self.n_latent)))

    def reconstruct(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Windows as they come back from the means of their latents, same shape."""
        return self.decode(self.encode(values))

    def get_config(self) -> dict[str, Any]:
        """What the model was made from."""
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "kl_weight": self.kl_weight,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VariationalAutoencoder:
        """Build the model of a configuration."""
        parts = {
            name: keras.saving.deserialize_keras_object(config.pop(name), custom_objects=custom_objects)
            for name in ("encoder", "decoder")
        }
        return cls(**parts, **config)


def build_autoencoder(
    size: int,
    *,
    n_latent: int = 32,
    units: int = 64,
    kl_weight: float = 1e-3,
    scale: FeatureScale | None = None,
    seed: int = 0,
) -> VariationalAutoencoder:
    """Build the autoencoder of windows (n, size): an LSTM over trace, difference and square; an LSTM back.

    Parameters
    ----------
    size : int
        Bins per window.
    n_latent, units : int
        Dimensions of the latent, and of either LSTM.
    kl_weight : float
        Weight of the divergence.
    scale : FeatureScale, optional
        How the features are scaled; left out: not at all.
    seed : int
        Of the latent's samples.
    """
    window = keras.Input((size,), name="window")
    hidden = keras.layers.LSTM(units)(window_features(window, size, scale))
    mean = keras.layers.Dense(n_latent, name="mean")(hidden)
    log_variance = keras.layers.Dense(n_latent, name="log_variance")(hidden)
    encoder = keras.Model(window, [mean, log_variance], name="encoder")

    n_bins = bins_per_step(size)
    latent = keras.Input((n_latent,), name="point")
    hidden = keras.layers.RepeatVector(size // n_bins)(latent)
    hidden = keras.layers.LSTM(units, return_sequences=True)(hidden)
    decoded = keras.layers.Reshape((size,))(keras.layers.Dense(n_bins)(hidden))
    return VariationalAutoencoder(encoder, keras.Model(latent, decoded, name="decoder"), kl_weight, seed)


def build_toy_autoencoder(n_classes: int = 10, *, seed: int = 0) -> VariationalAutoencoder:
    """Build an autoencoder of one-hot vectors (n, n_classes) with a latent of two dimensions, which can be drawn."""
    values = keras.Input((n_classes,))
    hidden = keras.layers.Dense(TOY_UNITS, activation="tanh")(values)
    encoder = keras.Model(values, [keras.layers.Dense(2)(hidden), keras.layers.Dense(2)(hidden)], name="encoder")
    point = keras.Input((2,))
    hidden = point
    for _ in range(2):
        hidden = keras.layers.Dense(TOY_UNITS, activation="tanh")(hidden)
    decoder = keras.Model(point, keras.layers.Dense(n_classes)(hidden), name="decoder")
    return VariationalAutoencoder(encoder, decoder, TOY_KL_WEIGHT, seed)


def fit_autoencoder(
    model: VariationalAutoencoder,
    values: NDArray[np.float32],
    *,
    epochs: int,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    progress: Progress | None = None,
) -> list[float]:
    """Train on windows (n, size) by Adam with a learning rate that falls to 0 along a cosine; losses per epoch."""
    n_steps = epochs * -(-len(values) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, n_steps)
    model.compile(keras.optimizers.Adam(schedule), jit_compile=False)
    history = model.fit(
        np.asarray(values, np.float32),
        epochs=epochs,
        batch_size=batch_size,
        verbose=0,
        callbacks=epoch_callbacks(epochs, progress),
    )
    return [float(loss) for loss in history.history["loss"]]
