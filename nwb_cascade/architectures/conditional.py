"""One network for any imaging rate, noise level and indicator: a U-Net that is told all three.

It is also told how active the whole trace is, of which it sees a few seconds at a time.

The network predicts the expected number of spikes of every frame before any smoothing. Since the expectation of
smoothed spikes is the smoothed expectation, one network serves every kernel (``nwb_cascade.core.kernels``).

Frames without a measurement (outside the trace, or NaN) enter as 0 and every layer's output is set to 0 there, so
that nothing is lost at the ends of a trace. The network is a function of weights and inputs, written in operations that
every backend of Keras has; inference and training share it.
"""

from __future__ import annotations

from typing import Any

from nwb_cascade.architectures.conditional_sizes import POOL, ConditionalSizes
from nwb_cascade.architectures.told import Tensors, context, dense, films, input_channels, kept, scaled
from nwb_cascade.architectures.told_networks import told_architecture
from nwb_cascade.architectures.told_sizes import CODES
from nwb_cascade.core.reading import AS_IT_IS, FromRest

FIRST_CONDITIONS = 2  # of the first models; more than these go with dF/F from its rest level
TRACE_TOLD = (
    " Then how active the whole trace is; the trace is dF/F from its rest level, and the noise level that of this "
    "trace (both as nwb_cascade.core.rest_level has them)."
)


def network(sizes: ConditionalSizes, weights: Tensors, inputs: Tensors) -> Any:
    """Expected spikes per frame (batch, n), not smoothed.

    Parameters
    ----------
    sizes : ConditionalSizes
        Of the network.
    weights : mapping of str to tensor
        As ``sizes.shapes()`` lists them, gains and offsets as by ``joined``. Layers compute in their type.
    inputs : mapping of str to tensor
        ``trace`` (batch, n) dF/F with 0 for absent frames, ``present`` (batch, n) 0 or 1, ``condition`` (batch,
        ``sizes.conditions``) as made by ``conditions``, ``indicator`` (batch,) int codes. n is a multiple of
        ``sizes.stride``.
    """
    from nwb_cascade.architectures.backend import network_ops as ops

    dtype = weights[CODES].dtype
    trace, present, condition = inputs["trace"], inputs["present"], inputs["condition"]
    scales = films(sizes, context(weights, inputs), weights)
    masks = [ops.expand_dims(present, -1)]
    for _ in sizes.widths[1:]:
        masks.append(ops.max_pool(ops.cast(masks[-1], dtype), POOL, POOL))
    x = _convolve(input_channels(trace, present, condition), weights, "first", "same")
    x = kept(scaled(x, scales, "first"), masks[0])
    skips = []
    for level, depth in enumerate(sizes.depths):
        if level:
            x = kept(_convolve(x, weights, f"down{level}", "valid", stride=POOL), masks[level])
        for index in range(depth):
            x = _residual(x, scales, masks[level], weights, f"down{level}_{index}")
        skips.append(x)
    for level in reversed(range(len(sizes.widths) - 1)):
        raised = ops.doubled(dense(x, weights, f"up{level}"))
        x = kept(ops.cast(raised, skips[level].dtype) + skips[level], masks[level])
        x = _residual(x, scales, masks[level], weights, f"up{level}_0")
    return ops.squeeze(kept(ops.softplus(dense(x, weights, "output")), masks[0]), -1)


CONDITIONAL = told_architecture(
    "conditional",
    ConditionalSizes,
    network,
    reading=lambda sizes, imaging_rate: FromRest() if sizes.conditions > FIRST_CONDITIONS else AS_IT_IS,
    trace_told=lambda sizes: TRACE_TOLD if sizes.conditions > FIRST_CONDITIONS else "",
)


def _convolve(x: Any, weights: Tensors, name: str, padding: str, *, stride: int = 1) -> Any:
    """Convolution, with a bias if there is one."""
    from nwb_cascade.architectures.backend import network_ops as ops

    kernel = weights[f"{name}/kernel"]
    x = ops.conv(ops.cast(x, kernel.dtype), kernel, strides=stride, padding=padding)
    return ops.biased(x, weights[f"{name}/bias"]) if f"{name}/bias" in weights else x


def _residual(x: Any, films: Tensors, mask: Any, weights: Tensors, name: str) -> Any:
    """Add one convolution, conditioned, rectified and kept to the present frames."""
    from nwb_cascade.architectures.backend import network_ops as ops

    return x + kept(ops.relu(scaled(_convolve(x, weights, f"{name}_conv", "same"), films, name)), mask)
