"""Compile a function for whichever backend Keras runs on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of arrays, once per shape; torch runs it as it is, without gradients."""
    import keras

    name = keras.backend.backend()
    if name == "tensorflow":
        import tensorflow as tf

        jitted: Callable[..., Any] = tf.function(function, jit_compile=True, autograph=False)
        return jitted
    if name == "jax":
        import jax  # type: ignore[import-not-found,unused-ignore]

        return jax.jit(function)  # type: ignore[no-any-return,unused-ignore]
    import torch

    return torch.no_grad()(function)  # type: ignore[no-any-return,unused-ignore]
