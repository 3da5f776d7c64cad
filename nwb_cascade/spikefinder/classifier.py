"""The supervised view: an LSTM that tells windows with a spike in the middle from those without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.progress import Progress
from nwb_cascade.spikefinder.prediction import predicted

if TYPE_CHECKING:
    from nwb_cascade.spikefinder.layers import FeatureScale


def build_classifier(size: int, *, units: int = 64, scale: FeatureScale | None = None) -> Any:
    """Build the network: trace, first difference and square of (batch, size) → LSTM → one logit (batch, 1).

    Its output is a logit, above 0 where a spike is likelier than none; the loss takes it as such. (The original
    tutorial trained a linear output with a cross-entropy meant for probabilities.)
    """
    from nwb_cascade.architectures.backend import keras
    from nwb_cascade.spikefinder.layers import window_features

    window = keras.Input((size,), name="window")
    hidden = keras.layers.LSTM(units)(window_features(window, size, scale))
    return keras.Model(window, keras.layers.Dense(1, name="logit")(hidden), name="classifier")


def fit_classifier(
    model: Any,
    values: NDArray[np.float32],
    labels: NDArray[np.bool_],
    *,
    epochs: int,
    batch_size: int = 256,
    learning_rate: float = 3e-3,
    progress: Progress | None = None,
) -> list[float]:
    """Train on windows (n, size) and labels (n,); returns the loss after each epoch.

    Adam with a learning rate that falls to 0 along a cosine; the loss is the cross-entropy of the logit.
    """
    from nwb_cascade.architectures.backend import keras

    n_steps = epochs * -(-len(labels) // batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, n_steps)
    model.compile(keras.optimizers.Adam(schedule), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    history = model.fit(
        np.asarray(values),
        np.asarray(labels, np.float32)[:, None],
        batch_size=batch_size,
        epochs=epochs,
        verbose=0,
        callbacks=epoch_callbacks(epochs, progress),
    )
    return [float(loss) for loss in history.history["loss"]]


def classifier_logits(model: Any, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (n,) float32 of windows (n, size)."""
    return np.asarray(predicted(model, values)[:, 0], np.float32)


def epoch_callbacks(epochs: int, progress: Progress | None) -> list[Any]:
    """Callbacks that report finished epochs as ``progress(done, total)``."""
    if progress is None:
        return []
    from nwb_cascade.architectures.backend import keras

    return [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: progress(epoch + 1, epochs))]
