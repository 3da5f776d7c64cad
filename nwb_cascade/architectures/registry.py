"""From a model's weights to networks that the engine can call."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.cascade import cascade_networks
from nwb_cascade.architectures.conditional_ensemble import conditional_networks
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet


def build_networks(
    config: ModelConfig,
    weights: Mapping[str, NDArray[np.float32]],
    *,
    imaging_rate: float,
    indicator: str | None,
) -> NetworkSet:
    """Make the networks of a model callable for one recording; nothing is built before the first is asked for.

    Parameters
    ----------
    config : ModelConfig
        Description of the model.
    weights : mapping of str to numpy.ndarray
        Its weights, as the bundle keeps them.
    imaging_rate : float
        Rate of the recording, Hz; only a ``conditional`` model is told.
    indicator : str or None
        Canonical name of the recording's indicator, None if unknown; likewise.
    """
    if config.architecture == "conditional":
        return conditional_networks(config, weights, imaging_rate=imaging_rate, indicator=indicator)
    return cascade_networks(config, weights)
