"""The architectures by name: a new one is a module of its own and a line here."""

from __future__ import annotations

from nwb_cascade.architectures.architecture import Architecture, Weights
from nwb_cascade.architectures.cascade import CASCADE
from nwb_cascade.architectures.conditional import CONDITIONAL
from nwb_cascade.architectures.online import ONLINE
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet
from nwb_cascade.errors import ModelFileError

ARCHITECTURES: dict[str, Architecture] = {one.name: one for one in (CASCADE, CONDITIONAL, ONLINE)}


def architecture_of(config: ModelConfig) -> Architecture:
    """Look up the architecture of a model.

    Raises
    ------
    ModelFileError
        If there is none of that name.
    """
    if config.architecture not in ARCHITECTURES:
        raise ModelFileError(
            f"Expected an architecture out of {', '.join(ARCHITECTURES)} of the model {config.name!r}, received "
            f"{config.architecture!r}; it may need a newer version of nwb-cascade."
        )
    return ARCHITECTURES[config.architecture]


def build_networks(config: ModelConfig, weights: Weights, *, imaging_rate: float, indicator: str | None) -> NetworkSet:
    """Make the networks of a model callable for one recording; nothing is built before the first is asked for.

    Parameters
    ----------
    config : ModelConfig
        Description of the model.
    weights : mapping of str to numpy.ndarray
        Its weights, as the bundle keeps them.
    imaging_rate : float
        Rate of the recording, Hz.
    indicator : str or None
        What the networks are told, as ``Architecture.told`` gives it.
    """
    return architecture_of(config).build(config, weights, imaging_rate=imaging_rate, indicator=indicator)
