"""The operations that networks are written in, on the other backends of Keras: JAX and PyTorch.

``keras.ops``, and what it lacks; ``nwb_cascade.architectures.on_tensorflow`` defines the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import ops
from keras.ops import (  # noqa: F401  # all of these are what this module is for
    arcsinh,
    cast,
    concatenate,
    conv,
    convert_to_numpy,
    convert_to_tensor,
    exp,
    expand_dims,
    matmul,
    max_pool,
    pad,
    relu,
    reshape,
    shape,
    softplus,
    split,
    squeeze,
    stack,
    take,
)


def devices() -> list[str]:
    """Names of the devices that there are."""
    if keras.backend.backend() == "jax":
        return [str(name) for name in keras.distribution.list_devices()]
    import torch

    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or ["cpu"]


def biased(x: Any, bias: Any) -> Any:
    """A bias added to every channel."""
    return x + bias


def doubled(x: Any) -> Any:
    """Every frame of (n, frames, channels) twice: (n, 2 frames, channels)."""
    return ops.reshape(ops.concatenate([x, x], axis=-1), (ops.shape(x)[0], -1, x.shape[-1]))


def compiled(function: Callable[..., Any], arguments: Any) -> Callable[..., Any]:
    """Compile a function of tensors, or of nested lists and dictionaries of them; torch runs it without gradients."""
    if keras.backend.backend() == "jax":
        import jax  # type: ignore[import-not-found,unused-ignore]

        return jax.jit(function)  # type: ignore[no-any-return,unused-ignore]
    import torch

    return torch.no_grad()(function)  # type: ignore[no-any-return,unused-ignore]


def each_member(function: Callable[[Mapping[str, Any]], Any], members: Mapping[str, Any]) -> Any:
    """Evaluate a network with the weights of every member of an ensemble, stacked along the first axis."""
    if keras.backend.backend() == "jax":
        import jax  # type: ignore[import-not-found,unused-ignore]

        return jax.lax.map(function, members)
    n_members = next(iter(members.values())).shape[0]
    return ops.stack([function({key: all_[one] for key, all_ in members.items()}) for one in range(n_members)])
