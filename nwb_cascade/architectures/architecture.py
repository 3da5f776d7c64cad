"""What the rest of the package needs to know of an architecture: one object per architecture answers all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.backend import Argument
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
class Portable:
    """A model for other runtimes: a function of a trace and a few named arrays, evaluated for every member.

    Parameters
    ----------
    members : tuple of mapping
        Arrays of each network.
    evaluate : callable
        Weights of a member and inputs, both by name, to (batch, n_out), in ``network_ops``. Among the inputs are
        ``trace`` (batch, n) without NaN and, if the networks are told it, ``present`` (batch, n), 0 or 1.
    inputs : mapping of str to (Argument, str)
        What is given beside the trace, with a sentence on its meaning.
    arrays : callable
        Noise levels and activity (batch,), imaging rate and indicator, as networks are told them, to these inputs.
    is_told_missing : bool
        Whether the networks are told which frames are missing.
    stride, padding, window_size : int
        A row has to be a multiple of ``stride`` long, and to have ``padding`` frames behind what counts; it gives
        ``window_size - 1`` values fewer than it had frames before.
    before : int
        Frame of the trace that the first value stands for.
    """

    members: tuple[Weights, ...]
    evaluate: Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
    inputs: Mapping[str, tuple[Argument, str]]
    arrays: Callable[[NDArray[np.float32], NDArray[np.float32], float, str | None], dict[str, NDArray[Any]]]
    is_told_missing: bool
    stride: int = 1
    padding: int = 0
    window_size: int = 1
    before: int = 0


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
    portable : callable
        Configuration and weights to what other runtimes are given.
    serves_recordings : bool
        Whether models are chosen for recordings that are complete, if nobody names one.
    """

    name: str
    shapes: Callable[[ModelConfig], Shapes]
    build: Build
    told: Callable[[str | None, ModelConfig, str | None], Told]
    is_told_rate: bool
    takes_any_kernel: bool
    network_per_level: bool
    portable: Callable[[ModelConfig, Weights], Portable]
    serves_recordings: bool = True

    def lowest_noise_level(self, config: ModelConfig) -> float:
        """Noise level from which on a model serves, % Hz^-1/2: networks per level serve all that is less noisy."""
        return 0.0 if self.network_per_level else min(config.noise_levels)
