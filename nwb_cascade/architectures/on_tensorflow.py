"""The operations that networks are written in, on TensorFlow.

Names and meanings are those of ``keras.ops``, but for the last four. Import this module by
``nwb_cascade.architectures.backend``, which starts TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

cast, exp, expand_dims, pad, reshape, shape, squeeze, stack = (
    tf.cast,
    tf.exp,
    tf.expand_dims,
    tf.pad,
    tf.reshape,
    tf.shape,
    tf.squeeze,
    tf.stack,
)
arcsinh, concatenate, convert_to_tensor = tf.asinh, tf.concat, tf.convert_to_tensor
relu, softplus = tf.nn.relu, tf.nn.softplus


def devices() -> list[str]:
    """Names of the devices that there are."""
    return [each.name.removeprefix("/physical_device:") for each in tf.config.list_physical_devices()]


def take(x: Any, indices: Any, axis: int) -> Any:
    """Rows of a table."""
    return tf.gather(x, indices, axis=axis)


def matmul(x: Any, kernel: Any) -> Any:
    """Product with a matrix along the last axis; a product of two matrices is faster than one of batches."""
    if len(x.shape) == 2:
        return tf.matmul(x, kernel)
    rows = tf.matmul(tf.reshape(x, (-1, x.shape[-1])), kernel)
    return tf.reshape(rows, (tf.shape(x)[0], -1, kernel.shape[1]))


def split(x: Any, ends: list[int], axis: int) -> Any:
    """Parts of a tensor between these positions."""
    bounds = [0, *ends, x.shape[axis]]
    return tf.split(x, np.diff(bounds).tolist(), axis=axis)


def conv(x: Any, kernel: Any, strides: int = 1, padding: str = "valid", dilation_rate: int = 1) -> Any:
    """Convolution of (n, frames, channels) with (width, in, out)."""
    return tf.nn.conv1d(x, kernel, strides, padding.upper(), dilations=dilation_rate)


def max_pool(x: Any, pool_size: int, strides: int, padding: str = "valid") -> Any:
    """Largest of neighbouring frames of (n, frames, channels)."""
    return tf.nn.max_pool1d(x, pool_size, strides, padding.upper())


def convert_to_numpy(x: Any) -> NDArray[Any]:
    """A tensor as an array."""
    return np.asarray(x)


def biased(x: Any, bias: Any) -> Any:
    """A bias added to every channel; TensorFlow fuses it with the convolution before and the rectifier behind it."""
    return tf.nn.bias_add(x, bias)


def doubled(x: Any) -> Any:
    """Every frame of (n, frames, channels) twice: (n, 2 frames, channels)."""
    return tf.reshape(tf.concat([x, x], axis=-1), (tf.shape(x)[0], -1, x.shape[-1]))


def compiled(function: Callable[..., Any], arguments: Any) -> Callable[..., Any]:
    """Compile a function of tensors, or of nested lists and dictionaries of them, once for arrays of any length.

    ``arguments`` has a ``backend.Argument`` in the place of every tensor. Measured: this graph is as fast here as XLA,
    which would compile for half a minute per shape.
    """
    signature = tf.nest.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), arguments)
    graph: Callable[..., Any] = tf.function(function, input_signature=signature, autograph=False)
    return graph


def each_member(function: Callable[[Mapping[str, Any]], Any], members: Mapping[str, Any]) -> Any:
    """Evaluate a network with the weights of every member of an ensemble, stacked along the first axis.

    The network is compiled once, not once per member, and the members run beside each other.
    """
    n_members = next(iter(members.values())).shape[0]
    return tf.map_fn(function, members, fn_output_signature=tf.float32, parallel_iterations=n_members)
