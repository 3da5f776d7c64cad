"""One network for any imaging rate, noise level and indicator: a U-Net that is told all three.

It is also told how active the whole trace is, of which it sees a few seconds at a time.

The network predicts the expected number of spikes of every frame before any smoothing. Since the expectation of
smoothed spikes is the smoothed expectation, one network serves every kernel (``nwb_cascade.core.kernels``).

Frames without a measurement (outside the trace, or NaN) enter as 0 and every layer's output is set to 0 there, so
that nothing is lost at the ends of a trace. The network is a function of weights and inputs, written in operations that
every backend of Keras has; inference and training share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Architecture, Portable, Shapes, Told, Weights
from nwb_cascade.architectures.backend import Argument
from nwb_cascade.architectures.conditional_sizes import CODES, POOL, ConditionalSizes, HasFilms
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet
from nwb_cascade.core.indicators import NEAR, match_indicator
from nwb_cascade.core.noise import noise_std

# Scales that bring the conditions to the order of 1; part of the format, since trained weights assume them.
NOISE_CENTRE, RATE_CENTRE = 4.0, 25.0
COMPRESSION_NOISE, COMPRESSION_DFF = 4.0, 4.0
CONDITIONS_TOLD = (
    f"Natural logarithms of the noise level in % Hz^-1/2 over {NOISE_CENTRE:g} and of the imaging rate in Hz over "
    f"{RATE_CENTRE:g}, both clipped to what the model was trained for."
)
ACTIVITY_TOLD = (
    " Then how active the whole trace is; the trace is dF/F from its rest level, and the noise level that of this "
    "trace (both as nwb_cascade.core.rest_level has them)."
)
FILMS = "films"
Tensors = Mapping[str, Any]


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
    code = ops.take(weights[CODES], inputs["indicator"], axis=0)
    context = ops.concatenate([ops.cast(condition, dtype), code], axis=-1)
    context = ops.relu(_dense(context, weights, "condition1"))
    context = ops.relu(_dense(context, weights, "condition2"))
    films = _films(sizes, context, weights)
    masks = [ops.expand_dims(present, -1)]
    for _ in sizes.widths[1:]:
        masks.append(ops.max_pool(ops.cast(masks[-1], dtype), POOL, POOL))
    x = _convolve(_input_channels(trace, present, condition), weights, "first", "same")
    x = _kept(_scaled(x, films, "first"), masks[0])
    skips = []
    for level, depth in enumerate(sizes.depths):
        if level:
            x = _kept(_convolve(x, weights, f"down{level}", "valid", stride=POOL), masks[level])
        for index in range(depth):
            x = _residual(x, films, masks[level], weights, f"down{level}_{index}")
        skips.append(x)
    for level in reversed(range(len(sizes.widths) - 1)):
        raised = ops.doubled(_dense(x, weights, f"up{level}"))
        x = _kept(ops.cast(raised, skips[level].dtype) + skips[level], masks[level])
        x = _residual(x, films, masks[level], weights, f"up{level}_0")
    return ops.squeeze(_kept(ops.softplus(_dense(x, weights, "output")), masks[0]), -1)


def joined(sizes: HasFilms, weights: Tensors) -> dict[str, Any]:
    """Weights with all layers of gains and offsets side by side in one: they read the same, few products are faster.

    Works for one network and for several, stacked along the first axis.
    """
    from nwb_cascade.architectures.backend import network_ops as ops

    kept = {key: value for key, value in weights.items() if key.partition("/")[0] not in sizes.films}
    films = {
        f"{FILMS}/{part}": ops.concatenate([weights[f"{name}/{part}"] for name in sizes.films], axis=-1)
        for part in ("kernel", "bias")
    }
    return kept | films


def conditions(
    noise_level: NDArray[Any], imaging_rate: NDArray[Any] | float, activity: NDArray[Any] | None = None
) -> NDArray[np.float32]:
    """Turn noise levels (batch,) in % Hz^-1/2, rates in Hz and activity, if told, into conditions (batch, 2 or 3)."""
    noise_level = np.asarray(noise_level, np.float32)
    rate = np.broadcast_to(np.asarray(imaging_rate, np.float32), noise_level.shape)
    told = [np.log(noise_level / NOISE_CENTRE), np.log(rate / RATE_CENTRE)]
    return np.stack(told if activity is None else [*told, activity], axis=-1).astype(np.float32)


def near_codes(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Codes for what is only near each indicator of a table (n_codes, width): halfway to ``unknown``, its first row.

    A relative's own code gives correlations nearly as good, but the amplitude of the relative.
    """
    return np.asarray((table + table[:1]) / 2, np.float32)


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

        sizes = _with_near_codes(config)
        self.before = self.after = sizes.halo
        self.stride = sizes.stride
        self._told = partial(_told_arrays, config, sizes, imaging_rate=imaging_rate, indicator=indicator)
        stacked = {key: _stacked(weights, key, config.ensemble_size) for key in sizes.shapes()}
        self._weights = {key: ops.convert_to_tensor(array) for key, array in joined(sizes, stacked).items()}
        self._evaluate = _compiled(sizes, tuple((key, tuple(array.shape)) for key, array in self._weights.items()))

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
    sizes = _with_near_codes(config)
    stacked = {key: _stacked(weights, key, config.ensemble_size) for key in sizes.shapes()}
    members = tuple(
        joined(sizes, {key: array[member] for key, array in stacked.items()}) for member in range(config.ensemble_size)
    )
    codes = ", ".join(f"{sizes.indicator_code(name)} {name}" for name in sizes.indicators)
    return Portable(
        members,
        lambda member, inputs: network(sizes, member, inputs),
        {
            "condition": (Argument((None, sizes.conditions)), CONDITIONS_TOLD + ACTIVITY_TOLD * (sizes.conditions > 2)),
            "indicator": (Argument((None,), "int64"), f"Position of the indicator's code: 0 unknown, {codes}."),
        },
        lambda levels, activity, rate, indicator: {
            name: array.astype(np.int64 if name == "indicator" else np.float32)
            for name, array in _told_arrays(
                config, sizes, levels, activity, imaging_rate=rate, indicator=indicator
            ).items()
        },
        is_told_missing=True,
        stride=sizes.stride,
    )


def conditional_shapes(config: ModelConfig) -> Shapes:
    """Shapes of a model's arrays, by ``"{member}/{layer}/{variable}"``."""
    one = ConditionalSizes.from_network(config.network).shapes()
    return {f"{member}/{key}": shape for member in range(config.ensemble_size) for key, shape in one.items()}


def _told(indicator: str | None, config: ModelConfig, species: str | None) -> Told:
    match = match_indicator(indicator, config.indicators, species)
    return Told(match.code, match.message)


CONDITIONAL = Architecture(
    name="conditional",
    shapes=conditional_shapes,
    build=conditional_networks,
    told=_told,
    is_told_rate=True,
    takes_any_kernel=True,
    network_per_level=False,
    portable=conditional_portable,
)


@cache
def _compiled(sizes: ConditionalSizes, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> Any:
    """One compiled function for all models whose stacked weights have these shapes: weights are arguments."""

    from nwb_cascade.architectures.backend import network_ops as ops

    def evaluate(members: Tensors, inputs: Tensors) -> Any:
        return ops.each_member(lambda weights: network(sizes, weights, inputs), members)

    members = {key: Argument(shape) for key, shape in shapes}
    rows = {"trace": Argument((None, None)), "present": Argument((None, None))}
    told = {"condition": Argument((None, sizes.conditions)), "indicator": Argument((None,), "int32")}
    return ops.compiled(evaluate, (members, rows | told))


def _told_arrays(
    config: ModelConfig,
    sizes: HasFilms,
    noise_level: NDArray[np.float32],
    activity: NDArray[np.float32],
    *,
    imaging_rate: float,
    indicator: str | None,
) -> dict[str, NDArray[Any]]:
    """Conditions and indicator of rows with these noise levels and activity (batch,), as the network is told them."""
    lowest, highest = min(config.noise_levels), max(config.noise_levels)
    # Outside the trained range the network would extrapolate; the nearest trained level and rate are the safe reading.
    level = np.clip(np.nan_to_num(noise_level, nan=lowest), lowest, highest)
    codes = sizes.indicators
    code = sizes.indicator_code(indicator if indicator in codes else match_indicator(indicator, codes).code)
    return {
        "condition": conditions(
            level, float(np.clip(imaging_rate, *config.model_rates_hz)), activity if sizes.conditions > 2 else None
        ),
        "indicator": np.full(len(level), code, np.int32),
    }


def _with_near_codes(config: ModelConfig) -> ConditionalSizes:
    """Sizes of a model's network with a code more for what is near to each indicator."""
    sizes = ConditionalSizes.from_network(config.network)
    return replace(sizes, indicators=(*sizes.indicators, *(NEAR + name for name in sizes.indicators)))


def _stacked(weights: Weights, key: str, n_members: int) -> NDArray[np.float32]:
    """An array of all members; behind the codes of the indicators those for what is only near them."""
    members: Sequence[NDArray[np.float32]] = [weights[f"{member}/{key}"] for member in range(n_members)]
    if key == CODES:
        members = [np.concatenate([table, near_codes(table)[1:]]) for table in members]
    return np.stack(members)


def _input_channels(trace: Any, present: Any, condition: Any) -> Any:
    """dF/F, dF/F in units of its noise, and which frames are present.

    Both are linear around 0 and compressed beyond, since either may reach hundreds in a trace with a wrong F0.
    """
    from nwb_cascade.architectures.backend import network_ops as ops

    log_spread = condition[:, :1] + 0.5 * condition[:, 1:2]
    spread = ops.exp(log_spread) * float(noise_std(NOISE_CENTRE, RATE_CENTRE))
    dff = COMPRESSION_DFF * ops.arcsinh(trace / COMPRESSION_DFF)
    in_noise = ops.arcsinh(trace / spread / COMPRESSION_NOISE)
    return ops.stack([dff * present, in_noise * present, present], axis=-1)


def _convolve(x: Any, weights: Tensors, name: str, padding: str, *, stride: int = 1) -> Any:
    """Convolution, with a bias if there is one."""
    from nwb_cascade.architectures.backend import network_ops as ops

    kernel = weights[f"{name}/kernel"]
    x = ops.conv(ops.cast(x, kernel.dtype), kernel, strides=stride, padding=padding)
    return ops.biased(x, weights[f"{name}/bias"]) if f"{name}/bias" in weights else x


def _dense(x: Any, weights: Tensors, name: str) -> Any:
    """Product with a matrix along the last axis, with a bias if there is one."""
    from nwb_cascade.architectures.backend import network_ops as ops

    kernel = weights[f"{name}/kernel"]
    x = ops.matmul(ops.cast(x, kernel.dtype), kernel)
    return ops.biased(x, weights[f"{name}/bias"]) if f"{name}/bias" in weights else x


def _films(sizes: HasFilms, context: Any, weights: Tensors) -> Tensors:
    """What the conditions make of every layer's channels, (batch, 1, channels) each."""
    from nwb_cascade.architectures.backend import network_ops as ops

    ends = list(accumulate(sizes.films.values()))
    parts = ops.split(ops.expand_dims(_dense(context, weights, FILMS), 1), ends[:-1], axis=-1)
    return dict(zip(sizes.films, parts, strict=True))


def _scaled(x: Any, films: Tensors, name: str) -> Any:
    """Scale and shift every channel as the conditions say."""
    return x * films[f"{name}_film_gain"] + films[f"{name}_film_offset"]


def _residual(x: Any, films: Tensors, mask: Any, weights: Tensors, name: str) -> Any:
    """Add one convolution, conditioned, rectified and kept to the present frames."""
    from nwb_cascade.architectures.backend import network_ops as ops

    return x + _kept(ops.relu(_scaled(_convolve(x, weights, f"{name}_conv", "same"), films, name)), mask)


def _kept(x: Any, mask: Any) -> Any:
    """Channels in the frames that are present, 0 in others; in float32 at full resolution, whatever layers use."""
    from nwb_cascade.architectures.backend import network_ops as ops

    return ops.cast(x, mask.dtype) * mask
