"""What networks share that are told noise level, imaging rate and indicator: conditions, codes, layers they scale."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Told
from nwb_cascade.architectures.told_sizes import CODES, ToldSizes
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.indicators import match_indicator
from nwb_cascade.core.noise import noise_std

# Scales that bring the conditions to the order of 1; part of the format, since trained weights assume them.
NOISE_CENTRE, RATE_CENTRE = 4.0, 25.0
COMPRESSION_NOISE, COMPRESSION_DFF = 4.0, 4.0
FILMS = "films"
Tensors = Mapping[str, Any]
Array = TypeVar("Array")


def told(indicator: str | None, config: ModelConfig, species: str | None) -> Told:
    """What networks are told of a recording's indicator."""
    match = match_indicator(indicator, config.indicators, species)
    return Told(match.code, match.message)


def joined(sizes: ToldSizes, weights: Tensors) -> dict[str, Any]:
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


def of_number(arrays: Mapping[str, Array], number: int) -> dict[str, Array]:
    """Those of numbered arrays, ``"{number}/{name}"``, that have this number, by name."""
    prefix = f"{number}/"
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


def near_codes(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """Codes for what is only near each indicator of a table (n_codes, width): halfway to ``unknown``, its first row.

    A relative's own code gives correlations nearly as good, but the amplitude of the relative.
    """
    return np.asarray((table + table[:1]) / 2, np.float32)


def all_codes(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """A table of codes and, behind it, those for what is only near each indicator."""
    return np.concatenate([table, near_codes(table)[1:]])


def told_arrays(
    config: ModelConfig,
    sizes: ToldSizes,
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
    return {
        "condition": conditions(
            level, float(np.clip(imaging_rate, *config.model_rates_hz)), activity if sizes.conditions > 2 else None
        ),
        "indicator": np.full(len(level), told_code(sizes, indicator), np.int32),
    }


def input_channels(trace: Any, present: Any, condition: Any) -> Any:
    """dF/F, dF/F in units of its noise, and which frames are present.

    Both are linear around 0 and compressed beyond, since either may reach hundreds in a trace with a wrong F0.
    """
    from nwb_cascade.architectures.backend import network_ops as ops

    log_spread = condition[:, :1] + 0.5 * condition[:, 1:2]
    spread = ops.exp(log_spread) * float(noise_std(NOISE_CENTRE, RATE_CENTRE))
    dff = COMPRESSION_DFF * ops.arcsinh(trace / COMPRESSION_DFF)
    in_noise = ops.arcsinh(trace / spread / COMPRESSION_NOISE)
    return ops.stack([dff * present, in_noise * present, present], axis=-1)


def dense(x: Any, weights: Tensors, name: str) -> Any:
    """Product with a matrix along the last axis, with a bias if there is one."""
    from nwb_cascade.architectures.backend import network_ops as ops

    kernel = weights[f"{name}/kernel"]
    x = ops.matmul(ops.cast(x, kernel.dtype), kernel)
    return ops.biased(x, weights[f"{name}/bias"]) if f"{name}/bias" in weights else x


def films(sizes: ToldSizes, context: Any, weights: Tensors) -> Tensors:
    """What the conditions make of every layer's channels, (batch, 1, channels) each."""
    from nwb_cascade.architectures.backend import network_ops as ops

    ends = list(accumulate(sizes.films.values()))
    parts = ops.split(ops.expand_dims(dense(context, weights, FILMS), 1), ends[:-1], axis=-1)
    return dict(zip(sizes.films, parts, strict=True))


def scaled(x: Any, films: Tensors, name: str) -> Any:
    """Scale and shift every channel as the conditions say."""
    return x * films[f"{name}_film_gain"] + films[f"{name}_film_offset"]


def kept(x: Any, mask: Any) -> Any:
    """Channels in the frames that are present, 0 in others; in float32 at full resolution, whatever layers use."""
    from nwb_cascade.architectures.backend import network_ops as ops

    return ops.cast(x, mask.dtype) * mask


def context(weights: Tensors, inputs: Tensors) -> Any:
    """What the conditions and the indicator's code amount to, (batch, width)."""
    from nwb_cascade.architectures.backend import network_ops as ops

    code = ops.take(weights[CODES], inputs["indicator"], axis=0)
    found = ops.concatenate([ops.cast(inputs["condition"], code.dtype), code], axis=-1)
    return ops.relu(dense(ops.relu(dense(found, weights, "condition1")), weights, "condition2"))


def told_code(sizes: ToldSizes, indicator: str | None) -> int:
    """Position of what a network is told of an indicator, in any spelling."""
    codes = sizes.indicators
    return sizes.indicator_code(indicator if indicator in codes else match_indicator(indicator, codes).code)
