"""What the sizes of networks have in common that are told noise level, imaging rate and indicator."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, TypeVar

from nwb_cascade.architectures.architecture import Shapes
from nwb_cascade.errors import ModelFileError

CODES = "indicator_code/embeddings"
CONDITION = "condition1/kernel"  # (conditions, then the indicator code; width of the layer)
N_CHANNELS = 3  # dF/F, dF/F in units of its noise, which frames are present
Sizes = TypeVar("Sizes", bound="ToldSizes")


class ToldSizes(ABC):
    """Sizes of a network whose layers are scaled and shifted by what it is told; subclasses are frozen dataclasses.

    ``asdict`` of one is ``ModelConfig.network``. Besides what is declared here, all have ``indicators``, those with a
    code of their own (``unknown`` has code 0), and ``embedding`` and ``condition``, widths of the indicator code and of
    the layer that turns the conditions into gains and offsets.
    """

    kind: ClassVar[str]  # in messages, with its article
    indicators: tuple[str, ...]
    embedding: int
    condition: int

    @property
    @abstractmethod
    def before(self) -> int:
        """Frames before one that an output for it depends on."""

    @property
    @abstractmethod
    def after(self) -> int:
        """Frames after one that an output for it depends on."""

    @property
    def stride(self) -> int:
        """Frames that rows begin and end at multiples of."""
        return 1

    @property
    def lag(self) -> int:
        """Frames that the networks give fewer than they see, at the end."""
        return 0

    @property
    @abstractmethod
    def conditions(self) -> int:
        """Numbers that the network is told."""

    @property
    @abstractmethod
    def scaled(self) -> dict[str, int]:
        """Channels of every layer that is scaled and shifted, by name, in the order in which they are computed."""

    @abstractmethod
    def shapes(self) -> Shapes:
        """Shapes of one network's arrays, by ``"{layer}/{kernel|bias|embeddings}"``; kernels are (width, in, out)."""

    @classmethod
    def from_network(cls: type[Sizes], network: Mapping[str, Any]) -> Sizes:
        """Read ``ModelConfig.network``; a ModelFileError if a size is missing or unknown."""
        try:
            return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in network.items()})
        except TypeError as error:
            raise ModelFileError(f"Expected the sizes of {cls.kind}, {error}.") from error

    def to_network(self) -> dict[str, Any]:
        """The sizes as ``ModelConfig.network``, JSON-able."""
        values = asdict(self)  # type: ignore[call-overload]
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def indicator_code(self, indicator: str | None) -> int:
        """Position of an indicator's code; 0 (unknown) for None and for one without a code."""
        return self.indicators.index(indicator) + 1 if indicator in self.indicators else 0

    @property
    def films(self) -> dict[str, int]:
        """Channels of every layer that turns conditions into the gains or the offsets of another, by name."""
        return {f"{name}_film_{part}": width for name, width in self.scaled.items() for part in ("gain", "offset")}

    def told_shapes(self, first: Shapes) -> Shapes:
        """Shapes of the first layer and of what makes gains and offsets, in the order that checkpoints have."""
        shapes: Shapes = {CODES: (len(self.indicators) + 1, self.embedding)}
        shapes |= layer("condition1", self.conditions + self.embedding, self.condition)
        shapes |= layer("condition2", self.condition, self.condition) | first
        for name, width in self.films.items():
            shapes |= layer(name, self.condition, width)
        return shapes


def layer(name: str, *kernel: int) -> Shapes:
    """Shapes of a layer's kernel and bias."""
    return {f"{name}/kernel": kernel, f"{name}/bias": kernel[-1:]}
