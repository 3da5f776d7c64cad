"""One network for spikes while a recording runs: causal, and told imaging rate, noise level and indicator.

Dilated convolutions look at the current frame and earlier ones; each frame gives one output per delay: the expected
number of spikes of the frame that came so many frames ago, before any smoothing. The more delay, the more is known of
what followed. Here a whole trace is evaluated, for training and for comparison; ``nwb_cascade.online`` evaluates the
same network frame by frame.

What enters is dF/F less its running rest level (``nwb_cascade.core.running``), so that a constant added to dF/F changes
nothing. Frames without a measurement enter as 0 and are told as absent. As soon as a trace has had none for longer than
the longest delay, all layers are 0, as they are before its first frame: what a row of frames gives depends on a known
number of frames before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Architecture, Portable, Shapes, Weights
from nwb_cascade.architectures.conditional_sizes import CODES
from nwb_cascade.architectures.online_sizes import OnlineSizes
from nwb_cascade.architectures.told import (
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
from nwb_cascade.core.preparation import Prepared
from nwb_cascade.core.running import above_rest


def network(sizes: OnlineSizes, weights: Tensors, inputs: Tensors) -> Any:
    """Expected spikes per frame and delay (batch, n, n_delays), not smoothed.

    Parameters
    ----------
    sizes : OnlineSizes
        Of the network.
    weights : mapping of str to tensor
        As ``sizes.shapes()`` lists them, gains and offsets as by ``joined``. Layers compute in their type.
    inputs : mapping of str to tensor
        ``trace`` (batch, n) dF/F above rest with 0 for absent frames, ``present`` (batch, n) 0 or 1, ``condition``
        (batch, 2) as made by ``conditions``, ``indicator`` (batch,) int codes.
    """
    from nwb_cascade.architectures.backend import network_ops as ops

    scales = films(sizes, context(weights, inputs), weights)
    # Frames with a present one at most the longest delay before them.
    padded = ops.pad(ops.expand_dims(inputs["present"], -1), [[0, 0], [sizes.delays[-1], 0], [0, 0]])
    alive = ops.max_pool(ops.cast(padded, weights[CODES].dtype), sizes.delays[-1] + 1, 1)
    channels = input_channels(inputs["trace"], inputs["present"], inputs["condition"])
    x = kept(ops.relu(scaled(_causal(channels, weights, "first"), scales, "first")), alive)
    for name, dilation in zip(sizes.layers, sizes.dilations, strict=True):
        x = x + kept(ops.relu(scaled(_causal(x, weights, f"{name}_conv", dilation), scales, name)), alive)
    x = ops.relu(scaled(dense(x, weights, "hidden"), scales, "hidden"))
    return ops.softplus(ops.cast(dense(x, weights, "output"), "float32"))


class OnlineEnsemble:
    """All networks of a model at one imaging rate and for one indicator, on whole traces; see ``core.engine.Ensemble``.

    Parameters
    ----------
    config : ModelConfig
        Of architecture ``online``; ``network`` holds ``OnlineSizes``.
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

        self._sizes = told_sizes(config)
        self.before, self.after = self._sizes.context, self._sizes.whole_delay
        self._told = partial(told_arrays, config, self._sizes, imaging_rate=imaging_rate, indicator=indicator)
        members = joined(self._sizes, stacked_members(config, self._sizes, weights))
        self._weights = {key: ops.convert_to_tensor(array) for key, array in members.items()}
        shapes = tuple((key, tuple(array.shape)) for key, array in self._weights.items())
        self._evaluate = compiled_members(network, self._sizes, shapes)

    def __call__(
        self,
        traces: NDArray[np.float32],
        present: NDArray[np.bool_],
        noise_level: NDArray[np.float32],
        activity: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Evaluate rows (rows, before + n + after) above rest; returns (members, rows, n) expected spikes."""
        values = self.all_delays(traces, present, noise_level)[..., self._sizes.delays.index(self.after)]
        return values[:, :, self.before + self.after :]

    def all_delays(
        self, traces: NDArray[np.float32], present: NDArray[np.bool_], noise_level: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Evaluate rows (rows, n) above rest; returns (members, rows, n, n_delays), by the frame that was seen last."""
        from nwb_cascade.architectures.backend import network_ops as ops

        inputs = {
            "trace": np.where(present, traces, 0).astype(np.float32),
            "present": present.astype(np.float32),
            **self._told(noise_level, noise_level),
        }
        tensors = {name: ops.convert_to_tensor(array) for name, array in inputs.items()}
        return np.asarray(ops.convert_to_numpy(self._evaluate(self._weights, tensors)), np.float32)


def told_sizes(config: ModelConfig) -> OnlineSizes:
    """Sizes of a model's networks with the codes that ``stacked`` weights have: also for what is near an indicator."""
    sizes = OnlineSizes.from_network(config.network)
    return replace(sizes, indicators=with_near_codes(sizes.indicators))


def online_networks(config: ModelConfig, weights: Weights, *, imaging_rate: float, indicator: str | None) -> NetworkSet:
    """Arrange a bundle's weights as the engine takes them: one ensemble for any noise level, made when it is needed."""

    @cache
    def ensemble() -> OnlineEnsemble:
        return OnlineEnsemble(config, weights, imaging_rate, indicator)

    def prepare(prepared: Sequence[Prepared]) -> list[Prepared]:
        return rested(prepared, imaging_rate)

    return NetworkSet((), config.ensemble_size, lambda level: ensemble(), prepare=prepare)


def rested(prepared: Sequence[Prepared], imaging_rate: float) -> list[Prepared]:
    """Traces less their running rest levels."""
    longest = max((one.trace.size for one in prepared), default=0)
    traces, present = np.zeros((len(prepared), longest), np.float32), np.zeros((len(prepared), longest), bool)
    for row, one in enumerate(prepared):
        traces[row, : one.trace.size], present[row, : one.trace.size] = one.trace, one.present
    above = above_rest(traces, present, imaging_rate)
    return [replace(one, trace=row[: one.trace.size]) for one, row in zip(prepared, above, strict=True)]


def online_portable(config: ModelConfig, weights: Weights) -> Portable:
    """Arrange a bundle's weights for other runtimes, which take the running rest level from dF/F themselves."""
    sizes = told_sizes(config)
    delay = sizes.whole_delay
    described = (
        f"{CONDITIONS_TOLD} The trace is dF/F above rest, as nwb_cascade.core.running.above_rest gives it; "
        f"frame k of the output takes frames up to k + {delay} into account."
    )
    return Portable(
        portable_members(config, sizes, weights),
        lambda member, inputs: network(sizes, member, inputs)[..., sizes.delays.index(delay)][:, delay:],
        portable_inputs(sizes, described),
        portable_arrays(config, sizes),
        is_told_missing=True,
        padding=delay,
    )


def online_shapes(config: ModelConfig) -> Shapes:
    """Shapes of a model's arrays, by ``"{member}/{layer}/{variable}"``."""
    one = OnlineSizes.from_network(config.network).shapes()
    return {f"{member}/{key}": shape for member in range(config.ensemble_size) for key, shape in one.items()}


ONLINE = Architecture(
    name="online",
    shapes=online_shapes,
    build=online_networks,
    told=told,
    is_told_rate=True,
    takes_any_kernel=True,
    network_per_level=False,
    portable=online_portable,
    serves_recordings=False,
)


def _causal(x: Any, weights: Tensors, name: str, dilation: int = 1) -> Any:
    """Convolution of frames (batch, n, channels) with the current and earlier ones; 0 stands before the first."""
    from nwb_cascade.architectures.backend import network_ops as ops

    kernel = weights[f"{name}/kernel"]
    padded = ops.pad(ops.cast(x, kernel.dtype), [[0, 0], [(kernel.shape[0] - 1) * dilation, 0], [0, 0]])
    return ops.conv(padded, kernel, dilation_rate=dilation)
