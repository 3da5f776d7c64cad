"""Sizes of the conditional network, and the arrays that they imply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nwb_cascade.architectures.architecture import Shapes
from nwb_cascade.architectures.told_sizes import N_CHANNELS, ToldSizes, layer
from nwb_cascade.core.bounds import Bounds, require
from nwb_cascade.errors import ModelFileError

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


@dataclass(frozen=True)
class ConditionalSizes(ToldSizes):
    """Sizes of the conditional network.

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

    kind: ClassVar[str] = "a conditional network"
    widths: tuple[int, ...] = (16, 32, 48, 64, 64)
    depths: tuple[int, ...] = (1, 2, 2, 2, 2)
    filter_size: int = 5
    first_filter_size: int = 7
    embedding: int = 12
    condition: int = 48
    indicators: tuple[str, ...] = ()
    conditions: int = 3

    def __post_init__(self) -> None:
        require(vars(self), BOUNDS, self.kind)
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
        return super().from_network({"conditions": 2, **network})  # the first models did not say so

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

    @property
    def before(self) -> int:
        """Frames of context before one, the halo."""
        return self.halo

    @property
    def after(self) -> int:
        """Frames of context after one, the halo."""
        return self.halo

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
    def scaled(self) -> dict[str, int]:
        """Channels of every layer that is scaled and shifted, by name."""
        return {"first": self.widths[0], **self.residuals}

    def shapes(self) -> Shapes:
        """Shapes of one network's arrays, by ``"{layer}/{kernel|bias|embeddings}"``; kernels are (width, in, out)."""
        shapes = self.told_shapes(layer("first", self.first_filter_size, N_CHANNELS, self.widths[0]))
        for name, width in self.residuals.items():
            shapes[f"{name}_conv/kernel"] = (self.filter_size, width, width)
        for level in range(1, len(self.widths)):
            shapes |= layer(f"down{level}", POOL, *self.widths[level - 1 : level + 1])
            shapes[f"up{level - 1}/kernel"] = (self.widths[level], self.widths[level - 1])
        return shapes | layer("output", self.widths[0], 1)
