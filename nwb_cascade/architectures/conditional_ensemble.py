"""The conditional networks of a bundle as one compiled function for the engine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.backend import compiled
from nwb_cascade.architectures.conditional import CODES, ConditionalSizes, build_network, conditions, near_codes
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet
from nwb_cascade.core.indicators import NEAR, match_indicator
from nwb_cascade.errors import ModelFileError

Weights = Mapping[str, NDArray[np.float32]]
_COMPILED: dict[str, ConditionalNetworks] = {}


class ConditionalEnsemble:
    """The networks at one imaging rate and for one indicator; see ``nwb_cascade.core.engine.Ensemble``.

    ``before`` and ``after`` are the frames of context on either side. Rows must begin at a multiple of ``stride``
    frames from the trace's start less ``before``, and be a multiple of it long, for blocks to reassemble exactly.
    """

    fills_edges = True

    def __init__(self, networks: ConditionalNetworks, imaging_rate: float, indicator: str | None) -> None:
        self.before = self.after = self.halo = networks.sizes.halo
        self.stride = networks.sizes.stride
        self._networks = networks
        self._imaging_rate = imaging_rate
        self._indicator = networks.sizes.indicator_code(indicator)

    def __call__(
        self, traces: NDArray[np.float32], present: NDArray[np.bool_], noise_level: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Evaluate rows (rows, before + n + after); returns (members, rows, n) expected spikes, not smoothed."""
        values = self._networks(traces, present, noise_level, self._imaging_rate, self._indicator)
        return values[:, :, self.before : traces.shape[1] - self.after]


class ConditionalNetworks:
    """All members of an ensemble with their weights, compiled together."""

    def __init__(self, sizes: ConditionalSizes, members: Sequence[Weights], noise_range: tuple[float, float]) -> None:
        from keras import ops

        self.sizes = sizes = replace(sizes, indicators=(*sizes.indicators, *(NEAR + name for name in sizes.indicators)))
        self._noise_range = noise_range
        networks = [_with_weights(sizes, _with_near_codes(weights), member) for member, weights in enumerate(members)]

        def evaluate(trace: Any, present: Any, condition: Any, indicator: Any) -> Any:
            inputs = {"trace": trace, "present": present, "condition": condition, "indicator": indicator}
            return ops.stack([network(inputs, training=False) for network in networks])

        self._evaluate = compiled(evaluate)

    def __call__(
        self,
        traces: NDArray[np.float32],
        present: NDArray[np.bool_],
        noise_level: NDArray[np.float32],
        imaging_rate: float,
        indicator: int,
    ) -> NDArray[np.float32]:
        """Evaluate rows (rows, frames) of any length; returns (members, rows, frames)."""
        from keras import ops

        n_frames = traces.shape[1]
        padding = ((0, 0), (0, -n_frames % self.sizes.stride))
        # Outside the trained range the network would extrapolate; the nearest trained level is the safe reading.
        level = np.clip(np.nan_to_num(noise_level, nan=self._noise_range[0]), *self._noise_range)
        values = self._evaluate(
            ops.convert_to_tensor(np.pad(np.where(present, traces, 0).astype(np.float32), padding)),
            ops.convert_to_tensor(np.pad(present.astype(np.float32), padding)),
            ops.convert_to_tensor(conditions(level, imaging_rate)),
            ops.convert_to_tensor(np.full(len(traces), indicator, np.int32)),
        )
        return np.asarray(ops.convert_to_numpy(values), np.float32)[:, :, :n_frames]


def build_conditional(
    config: ModelConfig, weights: Weights, *, imaging_rate: float, indicator: str | None
) -> ConditionalEnsemble:
    """Make the ensemble of a bundle for one recording.

    Networks of the same weights are built and compiled once per process.

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

    Raises
    ------
    ModelFileError
        If an array is missing or of another shape than the configuration implies.
    """
    low, high = config.model_rates_hz
    networks = _compiled_networks(config, weights)
    codes = networks.sizes.indicators
    code = indicator if indicator in codes else match_indicator(indicator, codes).code
    return ConditionalEnsemble(networks, float(np.clip(imaging_rate, low, high)), code)


def conditional_networks(
    config: ModelConfig, weights: Weights, *, imaging_rate: float, indicator: str | None
) -> NetworkSet:
    """Arrange a bundle's weights as the engine takes them: one ensemble for any noise level, made when it is needed."""

    @cache
    def ensemble() -> ConditionalEnsemble:
        return build_conditional(config, weights, imaging_rate=imaging_rate, indicator=indicator)

    return NetworkSet(levels=(), ensemble_size=config.ensemble_size, ensemble=lambda level: ensemble())


def _compiled_networks(config: ModelConfig, weights: Weights) -> ConditionalNetworks:
    digest = hashlib.sha256(config.to_json().encode())
    for key in sorted(weights):
        digest.update(key.encode() + weights[key].tobytes())
    key = digest.hexdigest()
    if key not in _COMPILED:
        sizes = ConditionalSizes.from_network(config.network)
        members = [_member(weights, member) for member in range(config.ensemble_size)]
        _COMPILED[key] = ConditionalNetworks(sizes, members, (min(config.noise_levels), max(config.noise_levels)))
    return _COMPILED[key]


def _member(weights: Weights, member: int) -> dict[str, NDArray[np.float32]]:
    prefix = f"{member}/"
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}


def _with_near_codes(weights: Weights) -> dict[str, NDArray[np.float32]]:
    """Weights with a code for what is near each indicator, behind the codes of the indicators."""
    table = weights.get(CODES)
    return dict(weights) if table is None else {**weights, CODES: np.concatenate([table, near_codes(table)[1:]])}


def _with_weights(sizes: ConditionalSizes, weights: Weights, member: int) -> Any:
    """A network with these weights; a ModelFileError says which array does not fit."""
    network = build_network(sizes)
    for variable in network.weights:
        if variable.path not in weights:
            raise ModelFileError(f"Expected the array {member}/{variable.path} of the model, it is missing.")
        value = weights[variable.path]
        if tuple(variable.shape) != value.shape:
            raise ModelFileError(
                f"Expected {member}/{variable.path} of shape {tuple(variable.shape)} as the sizes in the configuration "
                f"imply, received {value.shape}."
            )
        variable.assign(value)
    return network
