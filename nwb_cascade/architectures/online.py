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
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nwb_cascade.architectures.online_sizes import OnlineSizes
from nwb_cascade.architectures.told import Tensors, context, dense, films, input_channels, kept, scaled
from nwb_cascade.architectures.told_networks import told_architecture
from nwb_cascade.architectures.told_sizes import CODES
from nwb_cascade.core.preparation import Prepared
from nwb_cascade.core.reading import Reading
from nwb_cascade.core.rest_level import Told
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


def whole_network(sizes: OnlineSizes, weights: Tensors, inputs: Tensors) -> Any:
    """Expected spikes per frame (batch, n - ``sizes.whole_delay``) of a whole trace; parameters as for ``network``."""
    output = sizes.delays.index(sizes.whole_delay)
    return network(sizes, weights, inputs)[..., output][:, sizes.whole_delay :]


@dataclass(frozen=True)
class AboveRunningRest(Reading):
    """dF/F less its running rest level, at an imaging rate in Hz."""

    imaging_rate: float

    def traces(self, prepared: Sequence[Prepared], told: Sequence[tuple[Told, int]]) -> list[Prepared]:
        """Traces less their running rest levels."""
        longest = max((one.trace.size for one in prepared), default=0)
        traces, present = np.zeros((len(prepared), longest), np.float32), np.zeros((len(prepared), longest), bool)
        for row, one in enumerate(prepared):
            traces[row, : one.trace.size], present[row, : one.trace.size] = one.trace, one.present
        above = above_rest(traces, present, self.imaging_rate)
        return [replace(one, trace=row[: one.trace.size]) for one, row in zip(prepared, above, strict=True)]


ONLINE = told_architecture(
    "online",
    OnlineSizes,
    whole_network,
    reading=lambda sizes, imaging_rate: AboveRunningRest(imaging_rate),
    trace_told=lambda sizes: (
        " The trace is dF/F above rest, as nwb_cascade.core.running.above_rest gives it; "
        f"frame k of the output takes frames up to k + {sizes.whole_delay} into account."
    ),
    serves_recordings=False,
)


def _causal(x: Any, weights: Tensors, name: str, dilation: int = 1) -> Any:
    """Convolution of frames (batch, n, channels) with the current and earlier ones; 0 stands before the first."""
    from nwb_cascade.architectures.backend import network_ops as ops

    kernel = weights[f"{name}/kernel"]
    padded = ops.pad(ops.cast(x, kernel.dtype), [[0, 0], [(kernel.shape[0] - 1) * dilation, 0], [0, 0]])
    return ops.conv(padded, kernel, dilation_rate=dilation)
