"""Sizes of the online network, and the arrays that they imply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nwb_cascade.architectures.architecture import Shapes
from nwb_cascade.architectures.told_sizes import N_CHANNELS, ToldSizes, layer
from nwb_cascade.core.bounds import Bounds, require
from nwb_cascade.errors import ModelFileError

MOST_REACH = 10_000  # frames
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
class OnlineSizes(ToldSizes):
    """Sizes of the online network.

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

    kind: ClassVar[str] = "an online network"
    channels: int = 32
    dilations: tuple[int, ...] = (1, 2, 4, 8, 1, 2, 4, 8, 16, 32, 64, 128)
    filter_size: int = 3
    first_filter_size: int = 5
    hidden: int = 48
    delays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16)
    embedding: int = 12
    condition: int = 48
    indicators: tuple[str, ...] = ()
    whole_delay: int = 8

    def __post_init__(self) -> None:
        require(vars(self), BOUNDS, self.kind)
        if list(self.delays) != sorted(set(self.delays)) or self.delays[0] != 0:
            raise ModelFileError(f"Expected delays of an online network that ascend from 0, received {self.delays}.")
        if self.whole_delay not in self.delays:
            raise ModelFileError(f"Expected whole_delay out of {self.delays}, received {self.whole_delay}.")
        if self.context > MOST_REACH:
            raise ModelFileError(
                f"Expected an online network with at most {MOST_REACH} frames of context, received {self.context}."
            )

    @property
    def reach(self) -> int:
        """Frames before the current one that its outputs depend on."""
        return self.first_filter_size - 1 + (self.filter_size - 1) * sum(self.dilations)

    @property
    def context(self) -> int:
        """Frames before the current one that have to be at hand: the reach, and what tells whether a trace is on."""
        return self.reach + self.delays[-1]

    @property
    def before(self) -> int:
        """Frames before one that an output for a frame of a whole trace depends on."""
        return self.context

    @property
    def after(self) -> int:
        """Frames after one that an output for a frame of a whole trace depends on."""
        return self.whole_delay

    @property
    def lag(self) -> int:
        """Frames that the networks give fewer than they see, at the end."""
        return self.whole_delay

    @property
    def conditions(self) -> int:
        """Numbers that the network is told: noise level and imaging rate."""
        return 2

    def delay(self, look_ahead_s: float, imaging_rate: float) -> int:
        """Which of the delays is nearest to a look-ahead at a rate, frames."""
        return min(self.delays, key=lambda delay: (abs(delay - look_ahead_s * imaging_rate), delay))

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the residual layers, in their order."""
        return tuple(f"layer{index}" for index in range(len(self.dilations)))

    @property
    def scaled(self) -> dict[str, int]:
        """Channels of every layer that is scaled and shifted, by name."""
        return {"first": self.channels, **dict.fromkeys(self.layers, self.channels), "hidden": self.hidden}

    def shapes(self) -> Shapes:
        """Shapes of one network's arrays, by ``"{layer}/{kernel|bias|embeddings}"``; kernels are (frames, in, out)."""
        shapes = self.told_shapes({"first/kernel": (self.first_filter_size, N_CHANNELS, self.channels)})
        for name in self.layers:
            shapes[f"{name}_conv/kernel"] = (self.filter_size, self.channels, self.channels)
        shapes["hidden/kernel"] = (self.channels, self.hidden)
        return shapes | layer("output", self.hidden, len(self.delays))
