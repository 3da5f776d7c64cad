"""One network for any imaging rate, noise level and indicator: a U-Net that is told all three.

The network predicts the expected number of spikes of every frame before any smoothing. Since the expectation of
smoothed spikes is the smoothed expectation, one network serves every kernel (``nwb_cascade.core.kernels``).

Frames without a measurement (outside the trace, or NaN) enter as 0 and every layer's output is set to 0 there, so
that nothing is lost at the ends of a trace. Written with ``keras.ops`` and Keras layers: any Keras backend runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_std
from nwb_cascade.errors import ModelFileError

UNKNOWN = "unknown"
CODES = "indicator_code/embeddings"
POOL = 2
# Scales that bring the conditions to the order of 1; part of the format, since trained weights assume them.
NOISE_CENTRE, RATE_CENTRE = 4.0, 25.0
COMPRESSION_NOISE, COMPRESSION_DFF = 4.0, 4.0


@dataclass(frozen=True)
class ConditionalSizes:
    """Sizes of the conditional network; ``asdict`` of it is ``ModelConfig.network``.

    Parameters
    ----------
    widths : tuple of int
        Channels at full time resolution, at half of it, at a quarter and so on.
    depths : tuple of int
        Residual layers on the way down, at each resolution.
    filter_size : int
        Frames (of that resolution) spanned by the residual layers, odd.
    first_filter_size : int
        The same for the first layer.
    embedding : int
        Width of the indicator code.
    condition : int
        Width of the layer that turns the conditions into gains and offsets.
    indicators : tuple of str
        Indicators with a code of their own; ``unknown`` has code 0.
    """

    widths: tuple[int, ...] = (16, 32, 48, 64, 64)
    depths: tuple[int, ...] = (1, 2, 2, 2, 2)
    filter_size: int = 5
    first_filter_size: int = 7
    embedding: int = 12
    condition: int = 48
    indicators: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.widths) != len(self.depths) or not self.widths:
            raise ModelFileError(f"Expected one depth per width, received {self.widths} and {self.depths}.")
        if self.filter_size % 2 == 0 or self.first_filter_size % 2 == 0:
            raise ModelFileError("Expected odd filter sizes, which are centred on a frame.")

    @classmethod
    def from_network(cls, network: Mapping[str, Any]) -> ConditionalSizes:
        """Read ``ModelConfig.network``; a ModelFileError if a size is missing or unknown."""
        try:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in network.items()}
            return cls(**values)
        except TypeError as error:
            raise ModelFileError(f"Expected the sizes of a conditional network, {error}.") from error

    def to_network(self) -> dict[str, Any]:
        """The sizes as ``ModelConfig.network``, JSON-able."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @property
    def stride(self) -> int:
        """Frames of one step at the coarsest resolution: blocks begin at multiples of it."""
        return int(POOL ** (len(self.widths) - 1))

    @property
    def halo(self) -> int:
        """Frames of context on either side that an output frame depends on, rounded up to a multiple of the stride."""
        reach, half = self.first_filter_size // 2, self.filter_size // 2
        for level, depth in enumerate(self.depths):
            step = POOL**level
            layers = depth + (1 if level < len(self.depths) - 1 else 0)
            # A change of resolution mixes the frames of one step, hence the second term.
            reach += layers * half * step + (step - POOL ** max(level - 1, 0))
        return -(-2 * reach // (2 * self.stride)) * self.stride + self.stride

    def indicator_code(self, indicator: str | None) -> int:
        """Position of an indicator's code; 0 (unknown) for None and for one without a code."""
        return self.indicators.index(indicator) + 1 if indicator in self.indicators else 0


def build_network(sizes: ConditionalSizes, model: Callable[..., Any] | None = None) -> Any:
    """Make one untrained network, an instance of ``model`` (a subclass of ``keras.Model``, which is the default).

    Returns
    -------
    keras.Model
        Maps ``trace`` (batch, n) dF/F with 0 for absent frames, ``present`` (batch, n) 0 or 1, ``condition``
        (batch, 2) log noise level and log rate as made by ``conditions``, ``indicator`` (batch,) int codes to the
        expected spikes per frame (batch, n), not smoothed. n is a multiple of ``sizes.stride``.
    """
    import keras
    from keras import layers, ops

    trace = keras.Input((None,), name="trace")
    present = keras.Input((None,), name="present")
    condition = keras.Input((2,), name="condition")
    indicator = keras.Input((), dtype="int32", name="indicator")

    code = layers.Embedding(len(sizes.indicators) + 1, sizes.embedding, name="indicator_code")(indicator)
    context = ops.concatenate([condition, code], axis=-1)
    context = layers.Dense(sizes.condition, activation="relu", name="condition1")(context)
    context = layers.Dense(sizes.condition, activation="relu", name="condition2")(context)

    masks = [ops.expand_dims(present, -1)]
    for _ in sizes.widths[1:]:
        masks.append(layers.MaxPooling1D(POOL)(masks[-1]))
    x = _input_channels(trace, present, condition)
    x = layers.Conv1D(sizes.widths[0], sizes.first_filter_size, padding="same", name="first")(x)
    x = _film(x, context, "first_film") * masks[0]
    skips = []
    for level, (width, depth) in enumerate(zip(sizes.widths, sizes.depths, strict=True)):
        if level:
            x = layers.Conv1D(width, POOL, strides=POOL, name=f"down{level}")(x) * masks[level]
        for index in range(depth):
            x = _residual(x, context, masks[level], sizes.filter_size, f"down{level}_{index}")
        skips.append(x)
    for level in reversed(range(len(sizes.widths) - 1)):
        raised = layers.Dense(sizes.widths[level], use_bias=False, name=f"up{level}")(x)
        x = (layers.UpSampling1D(POOL)(raised) + skips[level]) * masks[level]
        x = _residual(x, context, masks[level], sizes.filter_size, f"up{level}_0")
    start = keras.initializers.Constant(-3.0)
    out = layers.Dense(1, activation="softplus", bias_initializer=start, name="output")(x) * masks[0]
    inputs = {"trace": trace, "present": present, "condition": condition, "indicator": indicator}
    return (model or keras.Model)(inputs, ops.squeeze(out, -1))


def conditions(noise_level: NDArray[Any], imaging_rate: NDArray[Any] | float) -> NDArray[np.float32]:
    """Turn noise levels (batch,) in % Hz^-1/2 and rates in Hz into the network's condition (batch, 2)."""
    noise_level = np.asarray(noise_level, np.float32)
    rate = np.broadcast_to(np.asarray(imaging_rate, np.float32), noise_level.shape)
    return np.stack([np.log(noise_level / NOISE_CENTRE), np.log(rate / RATE_CENTRE)], axis=-1).astype(np.float32)


def _input_channels(trace: Any, present: Any, condition: Any) -> Any:
    """dF/F, dF/F in units of its noise, and which frames are present.

    Both are linear around 0 and compressed beyond, since either may reach hundreds in a trace with a wrong F0.
    """
    from keras import ops

    log_spread = condition[:, :1] + 0.5 * condition[:, 1:]
    spread = ops.exp(log_spread) * float(noise_std(NOISE_CENTRE, RATE_CENTRE))
    dff = COMPRESSION_DFF * ops.arcsinh(trace / COMPRESSION_DFF)
    in_noise = ops.arcsinh(trace / spread / COMPRESSION_NOISE)
    return ops.stack([dff * present, in_noise * present, present], axis=-1)


def _film(x: Any, context: Any, name: str) -> Any:
    """Scale and shift every channel as the conditions say."""
    from keras import layers, ops

    width = x.shape[-1]
    gain = layers.Dense(width, kernel_initializer="zeros", bias_initializer="ones", name=f"{name}_gain")(context)
    offset = layers.Dense(width, kernel_initializer="zeros", name=f"{name}_offset")(context)
    return x * ops.expand_dims(gain, 1) + ops.expand_dims(offset, 1)


def _residual(x: Any, context: Any, mask: Any, filter_size: int, name: str) -> Any:
    """Add one convolution, conditioned, rectified and kept to the present frames."""
    import keras
    from keras import layers, ops

    # Small first steps: each layer begins near the identity, so depth needs no normalisation layer.
    scale = keras.initializers.VarianceScaling(0.3)
    h = layers.Conv1D(
        x.shape[-1],
        filter_size,
        padding="same",
        use_bias=False,
        kernel_initializer=scale,
        name=f"{name}_conv",
    )(x)
    return x + ops.relu(_film(h, context, f"{name}_film")) * mask


def near_codes(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Codes for what is only near each indicator of a table (n_codes, width): halfway to ``unknown``, its first row.

    A relative's own code gives correlations nearly as good, but the amplitude of the relative.
    """
    return np.asarray((table + table[:1]) / 2, np.float32)
