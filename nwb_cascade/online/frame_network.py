"""The online network on one frame after another, in NumPy: rings keep what layers saw, nothing is recomputed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Weights
from nwb_cascade.architectures.online_sizes import OnlineSizes
from nwb_cascade.architectures.told import COMPRESSION_DFF, COMPRESSION_NOISE, conditions
from nwb_cascade.architectures.told_sizes import N_CHANNELS
from nwb_cascade.core.noise import noise_std

STEP_OF_NOISE = 1.02  # noise levels that run along are told in such steps, so that few ROIs change at a frame
Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Films:
    """What a network makes of noise levels, at one rate and for one indicator.

    ``layers`` (2, n_layers, n, channels) and ``hidden`` (2, n, hidden): gains and offsets; ``spread`` (n,) is the
    standard deviation of the noise per frame, dF/F.
    """

    layers: Array
    hidden: Array
    spread: Array


@dataclass(frozen=True, eq=False)
class FrameWeights:
    """Weights of one network as frames need them, made ready for one imaging rate and indicator.

    ``kernels`` has one matrix (frames seen * in, out) per layer, the first layer's first.
    """

    sizes: OnlineSizes
    kernels: tuple[Array, ...]
    hidden: Array
    output: Array
    output_bias: Array
    context: tuple[Array, ...]
    code: Array
    imaging_rate: float

    @classmethod
    def make(cls, sizes: OnlineSizes, weights: Weights, *, code: Array, imaging_rate: float) -> FrameWeights:
        """Arrange the arrays of one network, by ``"{layer}/{variable}"``."""
        names = ("first", *(f"{name}_conv" for name in sizes.layers))
        kernels = (weights[f"{name}/kernel"] for name in names)
        films = [np.concatenate([weights[f"{name}/{part}"] for name in sizes.films], -1) for part in ("kernel", "bias")]
        two = (weights[f"{layer}/{part}"] for layer in ("condition1", "condition2") for part in ("kernel", "bias"))
        return cls(
            sizes,
            tuple(np.ascontiguousarray(kernel.reshape(-1, kernel.shape[-1])) for kernel in kernels),
            weights["hidden/kernel"],
            weights["output/kernel"],
            weights["output/bias"],
            (*two, *films),
            code,
            imaging_rate,
        )

    def films(self, noise_level: Array) -> Films:
        """Gains and offsets for noise levels (n,), % Hz^-1/2."""
        first, first_bias, second, second_bias, last, last_bias = self.context
        condition = conditions(noise_level, self.imaging_rate)
        told = np.concatenate([condition, np.broadcast_to(self.code, (len(condition), self.code.size))], axis=-1)
        told = np.maximum(told @ first + first_bias, 0)
        told = np.maximum(told @ second + second_bias, 0)
        parts = np.split(told @ last + last_bias, list(accumulate(self.sizes.films.values()))[:-1], axis=-1)
        spread = np.asarray(noise_std(noise_level, self.imaging_rate), np.float32)
        return Films(
            np.ascontiguousarray([parts[0:-2:2], parts[1:-2:2]], np.float32),
            np.stack(parts[-2:]).astype(np.float32),
            spread,
        )


class NoiseSteps:
    """Gains and offsets of every step of the noise level, so that what a ROI is told can change at any frame.

    Parameters
    ----------
    weights : FrameWeights
        Of the network.
    lowest, highest : float
        Noise levels, % Hz^-1/2.
    """

    def __init__(self, weights: FrameWeights, lowest: float, highest: float) -> None:
        n_steps = int(np.ceil(np.log(highest / lowest) / np.log(STEP_OF_NOISE))) + 1
        self.levels = np.minimum(lowest * STEP_OF_NOISE ** np.arange(n_steps), highest).astype(np.float32)
        self.films = weights.films(self.levels)

    def position(self, log_level: Array, out: Array) -> None:
        """Write where among the steps natural logarithms (n,) of noise levels lie; from 0 to the last step."""
        np.subtract(log_level, np.log(self.levels[0]), out=out)
        out *= np.float32(1 / np.log(STEP_OF_NOISE))
        np.maximum(out, 0, out=out)
        np.minimum(out, len(self.levels) - 1, out=out)


class FrameNetwork:
    """One network for a block of ROIs, with the rings of its layers.

    Parameters
    ----------
    weights : FrameWeights
        Of the network.
    n_rois : int
        ROIs of the block.

    Attributes
    ----------
    rings : list of numpy.ndarray
        One (frames, n_rois, channels) per layer: what it was given last; 0 before the first frame.
    films : Films
        What each ROI's layers are scaled and shifted by; to be set before the first frame.
    """

    def __init__(self, weights: FrameWeights, n_rois: int) -> None:
        self._weights, sizes = weights, weights.sizes
        self._spans = ((sizes.first_filter_size, 1), *((sizes.filter_size, dilation) for dilation in sizes.dilations))
        widths = (N_CHANNELS, *(sizes.channels for _ in sizes.dilations))
        self.rings = [
            np.zeros(((span - 1) * dilation + 1, n_rois, width), np.float32)
            for (span, dilation), width in zip(self._spans, widths, strict=True)
        ]
        self.films = weights.films(np.ones(n_rois, np.float32))
        self.outputs = np.zeros((n_rois, len(sizes.delays)), np.float32)
        self._seen = [np.zeros((n_rois, kernel.shape[0]), np.float32) for kernel in weights.kernels]
        self._made, self._last = np.zeros((2, n_rois, sizes.channels), np.float32)
        self._hidden = np.zeros((n_rois, sizes.hidden), np.float32)
        self._scratch = np.zeros(n_rois, np.float32)

    def step(self, frame: int, trace: Array, present: Array, alive: Array | None) -> Array:
        """Take one frame in; returns expected spikes (n_rois, n_delays) of the frames so many delays ago.

        Parameters
        ----------
        frame : int
            Number of the frame, each one more than the last.
        trace, present : numpy.ndarray
            (n_rois,) dF/F above rest, 0 where absent, and 1 or 0.
        alive : numpy.ndarray or None
            (n_rois, 1), 1 where a frame was present at most the longest delay ago, else 0; None: all 1.

        Returns
        -------
        numpy.ndarray
            Of this object; the next step writes into it.
        """
        self._enter(self.rings[0][frame % len(self.rings[0])], trace, present)
        gains, offsets = self.films.layers
        for layer, kernel in enumerate(self._weights.kernels):
            ring = self.rings[layer]
            made = self._made
            np.matmul(self._gathered(layer, frame), kernel, out=made)
            made *= gains[layer]
            made += offsets[layer]
            np.maximum(made, 0, out=made)
            if alive is not None:
                made *= alive
            following = self._last
            if layer + 1 < len(self.rings):
                following = self.rings[layer + 1][frame % len(self.rings[layer + 1])]
            if layer:
                np.add(ring[frame % len(ring)], made, out=following)
            else:
                np.copyto(following, made)
        return self._outputs()

    def _enter(self, channels: Array, trace: Array, present: Array) -> None:
        """Write the channels that the network reads, as ``nwb_cascade.architectures.conditional`` makes them."""
        np.multiply(trace, np.float32(1 / COMPRESSION_DFF), out=self._scratch)
        np.arcsinh(self._scratch, out=self._scratch)
        np.multiply(self._scratch, np.float32(COMPRESSION_DFF), out=channels[:, 0])
        np.divide(trace, self.films.spread, out=self._scratch)
        self._scratch *= np.float32(1 / COMPRESSION_NOISE)
        np.arcsinh(self._scratch, out=channels[:, 1])
        channels[:, 2] = present

    def _gathered(self, layer: int, frame: int) -> Array:
        """What a layer sees at a frame, earliest first, side by side (n_rois, frames seen * channels)."""
        ring, seen = self.rings[layer], self._seen[layer]
        span, dilation = self._spans[layer]
        width = ring.shape[-1]
        for k in range(span):
            seen[:, k * width : (k + 1) * width] = ring[(frame - (span - 1 - k) * dilation) % len(ring)]
        return seen

    def _outputs(self) -> Array:
        hidden, outputs, weights = self._hidden, self.outputs, self._weights
        np.matmul(self._last, weights.hidden, out=hidden)
        hidden *= self.films.hidden[0]
        hidden += self.films.hidden[1]
        np.maximum(hidden, 0, out=hidden)
        np.matmul(hidden, weights.output, out=outputs)
        outputs += weights.output_bias
        np.minimum(outputs, 80, out=outputs)  # from 20 on the softplus below is its argument anyway
        np.exp(outputs, out=outputs)
        return np.log1p(outputs, out=outputs)
