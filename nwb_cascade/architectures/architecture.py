"""What the rest of the package needs to know of an architecture: one object per architecture answers all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet

Shapes = dict[str, tuple[int, ...]]
Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Told:
    """What the networks are told of a recording's indicator (None: nothing, or that it is unknown), and a sentence."""

    indicator: str | None
    sentence: str = ""


class Build(Protocol):
    """Makes the networks of a model callable for one recording; builds none before it is asked for."""

    def __call__(
        self, config: ModelConfig, weights: Weights, *, imaging_rate: float, indicator: str | None
    ) -> NetworkSet: ...


@dataclass(frozen=True)
class Architecture:
    """One kind of network.

    Parameters
    ----------
    name : str
        ``ModelConfig.architecture`` of its models.
    shapes : callable
        Configuration to the shape of every array of a model; a ModelFileError where the sizes cannot be.
    build : callable
        Configuration, weights and what is known of a recording to networks.
    told : callable
        What a recording states of its indicator, the configuration and the recording's species to ``Told``.
    is_told_rate : bool
        Whether the networks are told the imaging rate, and so serve a range of them; else they are trained for one.
    takes_any_kernel : bool
        Whether the networks give spikes that are not smoothed yet, so that the result can carry any smoothing.
    network_per_level : bool
        Whether each noise level of the configuration has networks of its own.
    """

    name: str
    shapes: Callable[[ModelConfig], Shapes]
    build: Build
    told: Callable[[str | None, ModelConfig, str | None], Told]
    is_told_rate: bool
    takes_any_kernel: bool
    network_per_level: bool

    def lowest_noise_level(self, config: ModelConfig) -> float:
        """Noise level from which on a model serves, % Hz^-1/2: networks per level serve all that is less noisy."""
        return 0.0 if self.network_per_level else min(config.noise_levels)
