"""Networks that are told of a recording, arranged for the engine and for other runtimes: one architecture each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Architecture, Portable, Shapes, Weights
from nwb_cascade.architectures.backend import Argument
from nwb_cascade.architectures.told import NOISE_CENTRE, RATE_CENTRE, Tensors, all_codes, joined, told, told_arrays
from nwb_cascade.architectures.told_sizes import CODES, Sizes, ToldSizes
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet
from nwb_cascade.core.indicators import NEAR
from nwb_cascade.core.reading import Reading

CONDITIONS_TOLD = (
    f"Natural logarithms of the noise level in % Hz^-1/2 over {NOISE_CENTRE:g} and of the imaging rate in Hz over "
    f"{RATE_CENTRE:g}, both clipped to what the model was trained for."
)
Network = Callable[[Sizes, Tensors, Tensors], Any]


class ToldEnsemble:
    """All networks of a model at one imaging rate and for one indicator; see ``nwb_cascade.core.engine.Ensemble``.

    Rows must begin at a multiple of ``sizes.stride`` frames from the trace's start less ``before``, and be a multiple
    of it long, for blocks to reassemble exactly.

    Parameters
    ----------
    network : callable
        Sizes, weights of one network and inputs to expected spikes (batch, n - ``sizes.lag``), not smoothed.
    sizes : ToldSizes
        Of the networks, as ``with_near_codes`` gives them.
    config : ModelConfig
        Of the model.
    weights : mapping of str to numpy.ndarray
        ``"{member}/{layer}/{variable}"`` to float32.
    imaging_rate : float
        Of the recording, Hz. Rates outside ``config.model_rates_hz`` are taken as its nearest end.
    indicator : str or None
        A code as ``nwb_cascade.core.indicators.match_indicator`` gives it, or a text that it is given. None: unknown.
    """

    fills_edges = True

    def __init__(
        self,
        network: Network[Any],
        sizes: ToldSizes,
        config: ModelConfig,
        weights: Weights,
        imaging_rate: float,
        indicator: str | None,
    ) -> None:
        from nwb_cascade.architectures.backend import network_ops as ops

        self.before, self.after, self._stride = sizes.before, sizes.after, sizes.stride
        self._told = partial(told_arrays, config, sizes, imaging_rate=imaging_rate, indicator=indicator)
        members = joined(sizes, stacked_members(config, sizes, weights))
        self._weights = {key: ops.convert_to_tensor(array) for key, array in members.items()}
        self._evaluate = _compiled(
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
        padding = ((0, 0), (0, -n_frames % self._stride))
        inputs = {
            "trace": np.pad(np.where(present, traces, 0).astype(np.float32), padding),
            "present": np.pad(present.astype(np.float32), padding),
            **self._told(noise_level, activity),
        }
        tensors = {name: ops.convert_to_tensor(array) for name, array in inputs.items()}
        values = np.asarray(ops.convert_to_numpy(self._evaluate(self._weights, tensors)), np.float32)
        return values[:, :, self.before : n_frames - self.after]


def told_architecture(
    name: str,
    sizes: type[Sizes],
    network: Network[Sizes],
    *,
    reading: Callable[[Sizes, float], Reading],
    trace_told: Callable[[Sizes], str],
    serves_recordings: bool = True,
) -> Architecture:
    """Architecture of networks that are told noise level, imaging rate and indicator.

    Parameters
    ----------
    name : str
        ``ModelConfig.architecture`` of its models.
    sizes : type
        What ``ModelConfig.network`` is read as.
    network : callable
        As for ``ToldEnsemble``.
    reading : callable
        Sizes and imaging rate, Hz, to how the networks read traces.
    trace_told : callable
        Sizes to what users of other runtimes have to know of the trace; begins with a space.
    serves_recordings : bool
        Whether models are chosen for recordings that are complete, if nobody names one.
    """

    def own(config: ModelConfig) -> Sizes:
        return with_near_codes(sizes.from_network(config.network))

    def shapes(config: ModelConfig) -> Shapes:
        one = sizes.from_network(config.network).shapes()
        return {f"{member}/{key}": shape for member in range(config.ensemble_size) for key, shape in one.items()}

    def build(config: ModelConfig, weights: Weights, *, imaging_rate: float, indicator: str | None) -> NetworkSet:
        @cache
        def ensemble() -> ToldEnsemble:
            return ToldEnsemble(network, own(config), config, weights, imaging_rate, indicator)

        read = reading(sizes.from_network(config.network), imaging_rate)
        return NetworkSet((), config.ensemble_size, lambda level: ensemble(), read)

    def portable(config: ModelConfig, weights: Weights) -> Portable:
        mine = own(config)
        return _portable(network, mine, config, weights, CONDITIONS_TOLD + trace_told(mine))

    return Architecture(
        name=name,
        shapes=shapes,
        build=build,
        told=told,
        is_told_rate=True,
        takes_any_kernel=True,
        network_per_level=False,
        portable=portable,
        serves_recordings=serves_recordings,
    )


def with_near_codes(sizes: Sizes) -> Sizes:
    """Sizes with a code more for what is near to each indicator, as ``stacked_members`` has them."""
    return replace(sizes, indicators=(*sizes.indicators, *(NEAR + code for code in sizes.indicators)))  # type: ignore[type-var]


def stacked_members(config: ModelConfig, sizes: ToldSizes, weights: Weights) -> dict[str, NDArray[np.float32]]:
    """Arrays of all networks of a model, by ``"{layer}/{variable}"``, members along the first axis."""

    def member_array(member: int, key: str) -> NDArray[np.float32]:
        array = weights[f"{member}/{key}"]
        return all_codes(array) if key == CODES else array

    return {key: np.stack([member_array(one, key) for one in range(config.ensemble_size)]) for key in sizes.shapes()}


def _portable(
    network: Network[Any], sizes: ToldSizes, config: ModelConfig, weights: Weights, conditions_told: str
) -> Portable:
    """A model for other runtimes, which give conditions and the position of a code."""
    stacked = stacked_members(config, sizes, weights)
    members = ({key: array[member] for key, array in stacked.items()} for member in range(config.ensemble_size))
    codes = ", ".join(f"{sizes.indicator_code(name)} {name}" for name in sizes.indicators)

    def arrays(
        levels: NDArray[np.float32], activity: NDArray[np.float32], rate: float, indicator: str | None
    ) -> dict[str, NDArray[Any]]:
        found = told_arrays(config, sizes, levels, activity, imaging_rate=rate, indicator=indicator)
        return {name: array.astype(np.int64 if name == "indicator" else np.float32) for name, array in found.items()}

    return Portable(
        tuple(joined(sizes, member) for member in members),
        lambda member, inputs: network(sizes, member, inputs),
        {
            "condition": (Argument((None, sizes.conditions)), conditions_told),
            "indicator": (Argument((None,), "int64"), f"Position of the indicator's code: 0 unknown, {codes}."),
        },
        arrays,
        is_told_missing=True,
        stride=sizes.stride,
        padding=sizes.lag,
    )


@cache
def _compiled(network: Network[Any], sizes: ToldSizes, shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> Any:
    """One compiled function for all models whose stacked weights have these shapes: weights are arguments."""
    from nwb_cascade.architectures.backend import network_ops as ops

    def evaluate(members: Tensors, inputs: Tensors) -> Any:
        return ops.each_member(lambda weights: network(sizes, weights, inputs), members)

    members = {key: Argument(shape) for key, shape in shapes}
    rows = {"trace": Argument((None, None)), "present": Argument((None, None))}
    given = {"condition": Argument((None, sizes.conditions)), "indicator": Argument((None,), "int32")}
    return ops.compiled(evaluate, (members, rows | given))
