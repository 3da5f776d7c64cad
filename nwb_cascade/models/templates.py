"""Which arrays the networks of a model consist of, and their shapes: what its files are checked against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.config import ModelConfig
from nwb_cascade.errors import ModelFileError

Shapes = dict[str, tuple[int, ...]]
N_CONVOLUTIONS = 3
POOL = 2


def n_time_steps(window_size: int, filter_sizes: Sequence[int]) -> int:
    """Count the time steps that are left of a window before Cascade's dense layer.

    Three "valid" convolutions; pooling by two, incomplete pairs dropped, after the second and the third
    (Rupprecht et al. 2021, Methods).

    Parameters
    ----------
    window_size : int
        Frames of the window.
    filter_sizes : sequence of int
        Frames spanned by the filters of the three convolutions.

    Returns
    -------
    int
        Time steps; zero or less where the window is too short for the filters.

    Examples
    --------
    >>> n_time_steps(64, [31, 19, 5])
    2
    """
    first, second, third = filter_sizes
    steps = (window_size - first + 1 - second + 1) // POOL
    return (steps - third + 1) // POOL


def network_shapes(window_size: int, network: Mapping[str, object]) -> Shapes:
    """Give the shapes of one Cascade network, in Keras orientation.

    Parameters
    ----------
    window_size : int
        Frames of the window.
    network : mapping
        ``filter_sizes`` and ``filter_numbers`` (three each) and ``dense_width``.

    Returns
    -------
    dict of str to tuple of int
        ``conv1`` ... ``conv3`` kernels (width, in, out), ``dense`` (in, out), ``output``
        (time steps * dense width, 1) with time as the slower index, and the biases (out,).

    Raises
    ------
    ModelFileError
        If a size is missing or not a positive integer, or the filters do not fit into the window.
    """
    sizes = _positive_integers(network, "filter_sizes", N_CONVOLUTIONS)
    numbers = _positive_integers(network, "filter_numbers", N_CONVOLUTIONS)
    (dense_width,) = _positive_integers({"dense_width": [network.get("dense_width")]}, "dense_width", 1)
    steps = n_time_steps(window_size, sizes)
    if steps < 1:
        raise ModelFileError(
            f"Expected a window that is longer than its filters, received window_size {window_size} "
            f"and filter_sizes {sizes}."
        )
    shapes: Shapes = {}
    for index, (size, inputs, outputs) in enumerate(zip(sizes, [1, *numbers], numbers, strict=False), start=1):
        shapes[f"conv{index}/kernel"] = (size, inputs, outputs)
        shapes[f"conv{index}/bias"] = (outputs,)
    shapes["dense/kernel"] = (numbers[-1], dense_width)
    shapes["dense/bias"] = (dense_width,)
    shapes["output/kernel"] = (steps * dense_width, 1)
    shapes["output/bias"] = (1,)
    return shapes


def weight_shapes(config: ModelConfig) -> Shapes | None:
    """Give the shape of every array of a model; None for an architecture without a template here."""
    template = TEMPLATES.get(config.architecture)
    return None if template is None else template(config)


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
    shapes = weight_shapes(config)
    if shapes is not None:
        _check_keys(set(shapes), set(weights), where)
        for key, shape in shapes.items():
            if weights[key].shape != shape:
                raise ModelFileError(
                    f"Expected {key} of shape {shape} as the configuration implies, "
                    f"received {weights[key].shape} in {where}."
                )
    if not weights:
        raise ModelFileError(f"Expected the arrays of a model, received none in {where}.")
    for key, array in weights.items():
        if array.dtype != np.float32:
            raise ModelFileError(f"Expected {key} as float32, received {array.dtype} in {where}.")
        if not np.isfinite(array).all():
            raise ModelFileError(f"Expected finite weights, received NaN or infinity in {key} of {where}.")


def _cascade(config: ModelConfig) -> Shapes:
    one = network_shapes(config.window_size, config.network)
    return {
        f"{level:g}/{member}/{layer}": shape
        for level in config.noise_levels
        for member in range(config.ensemble_size)
        for layer, shape in one.items()
    }


TEMPLATES: dict[str, Callable[[ModelConfig], Shapes]] = {"cascade": _cascade}


def _check_keys(expected: set[str], received: set[str], where: str) -> None:
    if missing := sorted(expected - received):
        networks = sorted({key.rsplit("/", 2)[0] for key in missing})
        raise ModelFileError(
            f"Expected {len(expected)} arrays as the configuration implies; {where} lacks {len(missing)}, "
            f"of the networks (noise level/member) {', '.join(networks)}."
        )
    if surplus := sorted(received - expected):
        raise ModelFileError(
            f"Expected {len(expected)} arrays as the configuration implies, "
            f"received {len(surplus)} more in {where}: {', '.join(surplus[:3])} ..."
        )


def _positive_integers(network: Mapping[str, object], key: str, count: int) -> list[int]:
    values = network.get(key)
    if (
        not isinstance(values, (list, tuple))
        or len(values) != count
        or not all(isinstance(value, int) and value > 0 for value in values)
    ):
        raise ModelFileError(f"Expected {key} of the network as {count} positive integer(s), received {values!r}.")
    return list(values)
