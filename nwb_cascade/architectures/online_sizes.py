"""Sizes of the online network, and the arrays that they imply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nwb_cascade.architectures.architecture import Shapes
from nwb_cascade.architectures.conditional_sizes import CODES, N_CHANNELS
from nwb_cascade.core.bounds import Bounds, require
from nwb_cascade.errors import ModelFileError

MOST_REACH = 10_000  # frames
N_CONDITIONS = 2  # noise level and imaging rate
BOUNDS = {
    "channels": Bounds(int, 1, 1024),
    "dilations": Bounds(int, 1, 4096, (1, 64)),
    "filter_size": Bounds(int, 1, 64),
    "first_filter_size": Bounds(int, 1, 64),
    "hidden": Bounds(int, 1, 4096),
    "delays": Bounds(int, 0, 1000, (1, 64)),
    "embedding": Bounds(int, 1, 4096),
    "condition": Bounds(int, 1, 4096),
    "indicators": Bounds(str, 1, 100, (0, 1000)),
    "whole_delay": Bounds(int, 0, 1000),
}


@dataclass(frozen=True)
class OnlineSizes:
    """Sizes of the online network; ``asdict`` of it is ``ModelConfig.network``.

    Parameters
    ----------
    channels : int
        Of every layer.
    dilations : tuple of int
        Of each residual layer, frames between what its filter sees.
    filter_size, first_filter_size : int
        Frames that the residual layers and the first layer see: the current one and earlier ones.
    hidden : int
        Width of the layer before the outputs.
    delays : tuple of int
        Output k tells of the frame that came ``delays[k]`` frames ago; ascending, from 0.
    embedding, condition : int
        Widths of the indicator code and of the layer that turns the conditions into gains and offsets.
    indicators : tuple of str
        Indicators with a code of their own; ``unknown`` has code 0.
    whole_delay : int
        Which of the delays tells of the frames of a whole trace, when that is there.

    Raises
    ------
    ModelFileError
        If a size is out of its bounds, delays do not ascend from 0, ``whole_delay`` is none of them, or more than
        10,000 frames are seen.
    """

    channels: int = 32
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 8, 16, 32, 64)
    filter_size: int = 3
    first_filter_size: int = 5
    hidden: int = 48
    delays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16)
    embedding: int = 12
    condition: int = 48
    indicators: tuple[str, ...] = ()
    whole_delay: int = 8

    def __post_init__(self) -> None:
        require(vars(self), BOUNDS, "an online network")
        if list(self.delays) != sorted(set(self.delays)) or self.delays[0] != 0:
            raise ModelFileError(f"Expected delays of an online network that ascend from 0, received {self.delays}.")
        if self.whole_delay not in self.delays:
            raise ModelFileError(f"Expected whole_delay out of {self.delays}, received {self.whole_delay}.")
        if self.context > MOST_REACH:
            raise ModelFileError(
                f"Expected an online network with at most {MOST_REACH} frames of context, received {self.context}."
            )

    @classmethod
    def from_network(cls, network: Mapping[str, Any]) -> OnlineSizes:
        """Read ``ModelConfig.network``; a ModelFileError if a size is missing or unknown."""
        try:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in network.items()}
            return cls(**values)
        except TypeError as error:
            raise ModelFileError(f"Expected the sizes of an online network, {error}.") from error

    def to_network(self) -> dict[str, Any]:
        """The sizes as ``ModelConfig.network``, JSON-able."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @property
    def reach(self) -> int:
        """Frames before the current one that its outputs depend on."""
        return self.first_filter_size - 1 + (self.filter_size - 1) * sum(self.dilations)

    @property
    def context(self) -> int:
        """Frames before the current one that have to be at hand: the reach, and what tells whether a trace is on."""
        return self.reach + self.delays[-1]

    @property
    def conditions(self) -> int:
        """Numbers that the network is told."""
        return N_CONDITIONS

    @property
    def halo(self) -> int:
        """Frames of context, under the name that other sizes have for it."""
        return self.context

    def delay(self, look_ahead_s: float, imaging_rate: float) -> int:
        """Which of the delays is nearest to a look-ahead at a rate, frames."""
        return min(self.delays, key=lambda delay: (abs(delay - look_ahead_s * imaging_rate), delay))

    def indicator_code(self, indicator: str | None) -> int:
        """Position of an indicator's code; 0 (unknown) for None and for one without a code."""
        return self.indicators.index(indicator) + 1 if indicator in self.indicators else 0

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the residual layers, in their order."""
        return tuple(f"layer{index}" for index in range(len(self.dilations)))

    @property
    def films(self) -> dict[str, int]:
        """Channels of every layer that turns conditions into the gains or the offsets of another, by name."""
        scaled = {"first": self.channels, **dict.fromkeys(self.layers, self.channels), "hidden": self.hidden}
        return {f"{name}_film_{part}": width for name, width in scaled.items() for part in ("gain", "offset")}

    def shapes(self) -> Shapes:
        """Shapes of one network's arrays, by ``"{layer}/{kernel|bias|embeddings}"``; kernels are (frames, in, out)."""
        shapes: Shapes = {
            CODES: (len(self.indicators) + 1, self.embedding),
            **_layer("condition1", N_CONDITIONS + self.embedding, self.condition),
            **_layer("condition2", self.condition, self.condition),
            "first/kernel": (self.first_filter_size, N_CHANNELS, self.channels),
        }
        for name, width in self.films.items():
            shapes |= _layer(name, self.condition, width)
        for name in self.layers:
            shapes[f"{name}_conv/kernel"] = (self.filter_size, self.channels, self.channels)
        shapes["hidden/kernel"] = (self.channels, self.hidden)
        return shapes | _layer("output", self.hidden, len(self.delays))


def _layer(name: str, *kernel: int) -> Shapes:
    return {f"{name}/kernel": kernel, f"{name}/bias": kernel[-1:]}
