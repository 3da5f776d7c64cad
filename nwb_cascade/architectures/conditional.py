"""One network for any imaging rate, noise level and indicator: a U-Net that is told all three.

It is also told how active the whole trace is, of which it sees a few seconds at a time.

The network predicts the expected number of spikes of every frame before any smoothing. Since the expectation of
smoothed spikes is the smoothed expectation, one network serves every kernel (``nwb_cascade.core.kernels``).

Frames without a measurement (outside the trace, or NaN) enter as 0 and every layer's output is set to 0 there, so
that nothing is lost at the ends of a trace. The network is a function of weights and inputs, written in operations that
every backend of Keras has; inference and training share it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Architecture, Portable, Shapes, Weights
from nwb_cascade.architectures.conditional_sizes import CODES, POOL, ConditionalSizes
from nwb_cascade.architectures.told import (
    ACTIVITY_TOLD,
    CONDITIONS_TOLD,
    Tensors,
    compiled_members,
    context,
    dense,
    films,
    input_channels,
    joined,
    kept,
    portable_arrays,
    portable_inputs,
    portable_members,
    scaled,
    stacked_members,
    told,
    told_arrays,
    with_near_codes,
)
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet


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


class ConditionalEnsemble:
    """All networks of a model at one imaging rate and for one indicator; see ``nwb_cascade.core.engine.Ensemble``.

    ``before`` and ``after`` are the frames of context on either side. Rows must begin at a multiple of ``stride``
    frames from the trace's start less ``before``, and be a multiple of it long, for blocks to reassemble exactly.

    Parameters
    ----------
    config : ModelConfig
        Of architecture ``conditional``; ``network`` holds ``ConditionalSizes``.
    weights : mapping of str to numpy.ndarray
        ``"{member}/{layer}/{variable}"`` to float32.
    imaging_rate : float
        Of the recording, Hz. Rates outside ``config.model_rates_hz`` are taken as its nearest end.
    indicator : str or None
        A code as ``nwb_cascade.core.indicators.match_indicator`` gives it, or a text that it is given. None: unknown.
    """

    fills_edges = True

    def __init__(self, config: ModelConfig, weights: Weights, imaging_rate: float, indicator: str | None) -> None:
        from nwb_cascade.architectures.backend import network_ops as ops

        sizes = _sizes(config)
        self.before = self.after = sizes.halo
        self.stride = sizes.stride
        self._told = partial(told_arrays, config, sizes, imaging_rate=imaging_rate, indicator=indicator)
        members = joined(sizes, stacked_members(config, sizes, weights))
        self._weights = {key: ops.convert_to_tensor(array) for key, array in members.items()}
        self._evaluate = compiled_members(
            network, sizes, tuple((key, tuple(array.shape)) for key, array in self._weights.items())
        )

    def __call__(
        self,
        traces: NDArray[np.float32],
        present: NDArray[np.bool_],
        noise_level: NDArray[np.float32],
        activity: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Evaluate rows (rows, before + n + after); returns (members, rows, n) expected spikes, not smoothed."""
        from nwb_cascade.architectures.backend import network_ops as ops

        n_frames = traces.shape[1]
        padding = ((0, 0), (0, -n_frames % self.stride))
        inputs = {
            "trace": np.pad(np.where(present, traces, 0).astype(np.float32), padding),
            "present": np.pad(present.astype(np.float32), padding),
            **self._told(noise_level, activity),
        }
        tensors = {name: ops.convert_to_tensor(array) for name, array in inputs.items()}
        values = np.asarray(ops.convert_to_numpy(self._evaluate(self._weights, tensors)), np.float32)
        return values[:, :, self.before : n_frames - self.after]


def conditional_networks(
    config: ModelConfig, weights: Weights, *, imaging_rate: float, indicator: str | None
) -> NetworkSet:
    """Arrange a bundle's weights as the engine takes them: one ensemble for any noise level, made when it is needed."""

    @cache
    def ensemble() -> ConditionalEnsemble:
        return ConditionalEnsemble(config, weights, imaging_rate, indicator)

    from_rest = ConditionalSizes.from_network(config.network).conditions > 2
    return NetworkSet((), config.ensemble_size, lambda level: ensemble(), from_rest)


def conditional_portable(config: ModelConfig, weights: Weights) -> Portable:
    """Arrange a bundle's weights for other runtimes, which give conditions and the position of a code."""
    sizes = _sizes(config)
    return Portable(
        portable_members(config, sizes, weights),
        lambda member, inputs: network(sizes, member, inputs),
        portable_inputs(sizes, CONDITIONS_TOLD + ACTIVITY_TOLD * (sizes.conditions > 2)),
        portable_arrays(config, sizes),
        is_told_missing=True,
        stride=sizes.stride,
    )


def conditional_shapes(config: ModelConfig) -> Shapes:
    """Shapes of a model's arrays, by ``"{member}/{layer}/{variable}"``."""
    one = ConditionalSizes.from_network(config.network).shapes()
    return {f"{member}/{key}": shape for member in range(config.ensemble_size) for key, shape in one.items()}


CONDITIONAL = Architecture(
    name="conditional",
    shapes=conditional_shapes,
    build=conditional_networks,
    told=told,
    is_told_rate=True,
    takes_any_kernel=True,
    network_per_level=False,
    portable=conditional_portable,
)


def _sizes(config: ModelConfig) -> ConditionalSizes:
    """Sizes of a model's network with a code more for what is near to each indicator."""
    sizes = ConditionalSizes.from_network(config.network)
    return replace(sizes, indicators=with_near_codes(sizes.indicators))


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
