"""Compile a function for whichever backend Keras runs on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of arrays; torch runs it as it is, without gradients.

    Measured on TensorFlow: its graph is as fast here as XLA, which would compile for half a minute per shape.
    """
    import keras

    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        graph: Callable[..., Any] = tf.function(function, autograph=False, reduce_retracing=True)
        return graph
    if name == "jax":
        import jax  # type: ignore[import-not-found,unused-ignore]

        return jax.jit(function)  # type: ignore[no-any-return,unused-ignore]
    import torch

    return torch.no_grad()(function)  # type: ignore[no-any-return,unused-ignore]
