"""The arrays of a model compared with what its configuration implies."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.registry import architecture_of
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.errors import ModelFileError

ROOM_PER_ARRAY, ROOM = 512, 2**20  # for names and shapes, bytes


def check_weights(config: ModelConfig, weights: Mapping[str, NDArray[np.float32]], where: str) -> None:
    """Compare the arrays of a model with what its configuration implies.

    Parameters
    ----------
    config : ModelConfig
        Configuration of the model.
    weights : mapping of str to numpy.ndarray
        Its arrays by key.
    where : str
        File or folder, for the message.

    Raises
    ------
    ModelFileError
        If an array is missing, surplus, of another shape or type than expected, or not finite.
    """
    shapes = architecture_of(config).shapes(config)
    _check_keys(set(shapes), set(weights), where)
    for key, shape in shapes.items():
        array = weights[key]
        if array.shape != shape:
            raise ModelFileError(
                f"Expected {key} of shape {shape} as the configuration implies, received {array.shape} in {where}."
            )
        if array.dtype != np.float32:
            raise ModelFileError(f"Expected {key} as float32, received {array.dtype} in {where}.")
        if not np.isfinite(array).all():
            raise ModelFileError(f"Expected finite weights, received NaN or infinity in {key} of {where}.")


def implied_bytes(config: ModelConfig) -> int:
    """Return how large a file with the arrays that a configuration implies can be, with room for wrong ones."""
    shapes = architecture_of(config).shapes(config)
    return sum(4 * math.prod(shape) for shape in shapes.values()) + ROOM_PER_ARRAY * len(shapes) + ROOM


def _check_keys(expected: set[str], received: set[str], where: str) -> None:
    if missing := sorted(expected - received):
        networks = sorted({key.rsplit("/", 2)[0] for key in missing})
        raise ModelFileError(
            f"Expected {len(expected)} arrays as the configuration implies; {where} lacks {len(missing)} of the "
            f"networks {', '.join(networks)}: {_first(missing)}."
        )
    if surplus := sorted(received - expected):
        raise ModelFileError(
            f"Expected {len(expected)} arrays as the configuration implies, "
            f"received {len(surplus)} more in {where}: {_first(surplus)}."
        )


def _first(keys: list[str]) -> str:
    """The first few of a list."""
    return ", ".join(keys[:3]) + (" ..." if len(keys) > 3 else "")
