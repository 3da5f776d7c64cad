"""Sizes of the conditional network, and the arrays that they imply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from nwb_cascade.architectures.architecture import Shapes
from nwb_cascade.core.bounds import Bounds, require
from nwb_cascade.errors import ModelFileError

CODES = "indicator_code/embeddings"
CONDITION = "condition1/kernel"  # (conditions, then the indicator code; width of the layer)
POOL = 2
MOST_CONTEXT = 10_000  # frames on either side
BOUNDS = {
    "widths": Bounds(int, 1, 4096, (1, 12)),
    "depths": Bounds(int, 1, 64, (1, 12)),
    "filter_size": Bounds(int, 1, 255),
    "first_filter_size": Bounds(int, 1, 255),
    "embedding": Bounds(int, 1, 4096),
    "condition": Bounds(int, 1, 4096),
    "conditions": Bounds(int, 2, 3),
    "indicators": Bounds(str, 1, 100, (0, 1000)),
}
N_CHANNELS = 3  # dF/F, dF/F in units of its noise, which frames are present


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
    conditions : int
        Numbers that the network is told: noise level and imaging rate, and (3) how active the whole trace is. With 3
        it reads dF/F from its rest level.

    Raises
    ------
    ModelFileError
        If a size is out of its bounds, there are more widths than depths or fewer, or a filter has no middle.
    """

    widths: tuple[int, ...] = (16, 32, 48, 64, 64)
    depths: tuple[int, ...] = (1, 2, 2, 2, 2)
    filter_size: int = 5
    first_filter_size: int = 7
    embedding: int = 12
    condition: int = 48
    indicators: tuple[str, ...] = ()
    conditions: int = 3

    def __post_init__(self) -> None:
        require(vars(self), BOUNDS, "a conditional network")
        if len(self.widths) != len(self.depths):
            raise ModelFileError(f"Expected one depth per width, received {self.widths} and {self.depths}.")
        if self.filter_size % 2 == 0 or self.first_filter_size % 2 == 0:
            raise ModelFileError("Expected odd filter sizes, which are centred on a frame.")
        if self.halo > MOST_CONTEXT:
            raise ModelFileError(
                f"Expected a conditional network with at most {MOST_CONTEXT} frames of context, received {self.halo}."
            )

    @classmethod
    def from_network(cls, network: Mapping[str, Any]) -> ConditionalSizes:
        """Read ``ModelConfig.network``; a ModelFileError if a size is missing or unknown."""
        try:
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in network.items()}
            return cls(**{"conditions": 2, **values})  # the first models did not say so
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

    @property
    def residuals(self) -> dict[str, int]:
        """Channels of every residual layer, by name, in the order in which they are computed."""
        down = {
            f"down{level}_{index}": width
            for level, (width, depth) in enumerate(zip(self.widths, self.depths, strict=True))
            for index in range(depth)
        }
        return down | {f"up{level}_0": self.widths[level] for level in reversed(range(len(self.widths) - 1))}

    @property
    def films(self) -> dict[str, int]:
        """Channels of every layer that turns conditions into the gains or the offsets of another, by name."""
        scaled = {"first": self.widths[0], **self.residuals}
        return {f"{name}_film_{part}": width for name, width in scaled.items() for part in ("gain", "offset")}

    def shapes(self) -> Shapes:
        """Shapes of one network's arrays, by ``"{layer}/{kernel|bias|embeddings}"``; kernels are (width, in, out)."""
        shapes: Shapes = {
            CODES: (len(self.indicators) + 1, self.embedding),
            **_layer("condition1", self.conditions + self.embedding, self.condition),
            **_layer("condition2", self.condition, self.condition),
            **_layer("first", self.first_filter_size, N_CHANNELS, self.widths[0]),
        }
        for name, width in self.films.items():
            shapes |= _layer(name, self.condition, width)
        for name, width in self.residuals.items():
            shapes[f"{name}_conv/kernel"] = (self.filter_size, width, width)
        for level in range(1, len(self.widths)):
            shapes |= _layer(f"down{level}", POOL, *self.widths[level - 1 : level + 1])
            shapes[f"up{level - 1}/kernel"] = (self.widths[level], self.widths[level - 1])
        return shapes | _layer("output", self.widths[0], 1)


def _layer(name: str, *kernel: int) -> Shapes:
    return {f"{name}/kernel": kernel, f"{name}/bias": kernel[-1:]}


class HasFilms(Protocol):
    """Sizes of a network whose layers are scaled and shifted by what it is told of recording and indicator."""

    @property
    def films(self) -> dict[str, int]: ...

    @property
    def halo(self) -> int: ...

    @property
    def indicators(self) -> tuple[str, ...]: ...

    @property
    def conditions(self) -> int: ...

    def indicator_code(self, indicator: str | None) -> int: ...

    def shapes(self) -> Shapes: ...

    def to_network(self) -> dict[str, Any]: ...
