"""Weights of one published network, from a Keras HDF5 file or a PyTorch state dict, in Keras orientation."""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.bounds import shown
from nwb_cascade.errors import ModelFileError

Arrays = dict[str, NDArray[np.float32]]
MOST_VALUES = 2**24  # of one array; those of the published networks have some thousands
LAYERS = ("conv1", "conv2", "conv3", "dense", "output")
KERAS_CHAIN = (
    ("Conv1D", "relu"),
    ("Conv1D", "relu"),
    ("MaxPooling1D", None),
    ("Conv1D", "relu"),
    ("MaxPooling1D", None),
    ("Dense", "relu"),
    ("Flatten", None),
    ("Dense", "linear"),
)
KERAS_PLAIN = {"strides": (1,), "padding": ("valid",), "dilation_rate": (1,), "use_bias": (True,)}
KERAS_POOLING = {"pool_size": (2,), "strides": (2,), "padding": ("valid",)}
TORCH_LAYERS = {
    "conv1": "conv1",
    "conv2": "conv2",
    "conv3": "conv3",
    "dense1": "dense",
    "dense_time": "dense",
    "dense2": "output",
    "output": "output",
}


def read_keras_weights(path: Path) -> Arrays:
    """Read one network from a Keras HDF5 file, with h5py alone; optimiser state is left where it is.

    Layers are taken in the order of the file's own architecture, which is checked to be Cascade's.

    Parameters
    ----------
    path : pathlib.Path
        The ``.h5`` file, written by Keras 2 or 3.

    Returns
    -------
    dict of str to numpy.ndarray
        float32 arrays by ``{layer}/{kernel|bias}``.

    Raises
    ------
    ModelFileError
        If the file is not HDF5, is truncated, or holds another architecture.
    """
    from ground_truth_nwb.hdf5_files import open_hdf5

    try:
        with open_hdf5(path) as file:
            names = _keras_layer_order(file, path)
            return {
                f"{layer}/{kind}": array
                for layer, name in zip(LAYERS, names, strict=True)
                for kind, array in _keras_layer(file["model_weights"][name], path).items()
            }
    except ModelFileError:
        raise
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"Expected a Keras model in HDF5, {path} cannot be read: {error}.") from error


def read_torch_weights(path: Path) -> Arrays:
    """Read one network from a PyTorch state dict, without executing anything that the file contains.

    A convolution is (out, in, width) there and (width, in, out) here. The published network flattens
    (step, channel) with the step as the slower index, as Keras does, so the output layer is only transposed.

    Parameters
    ----------
    path : pathlib.Path
        The ``.pth`` file.

    Returns
    -------
    dict of str to numpy.ndarray
        float32 arrays by ``{layer}/{kernel|bias}``.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    ModelFileError
        If the file is truncated, is not a plain state dict, or holds another architecture.
    """
    state = _load_state(path)
    arrays: Arrays = {}
    for key, tensor in state.items():
        layer, _, kind = str(key).rpartition(".")
        if layer not in TORCH_LAYERS or kind not in ("weight", "bias") or not hasattr(tensor, "detach"):
            expected = "the layers conv1, conv2, conv3, dense1 and dense2"
            raise ModelFileError(f"Expected {expected} in {path}, received the entry {shown(key)}.")
        _require_small(key, tensor.shape, path)
        try:
            values = np.asarray(tensor.detach().numpy(), dtype=np.float32)
        except (TypeError, RuntimeError) as error:
            raise ModelFileError(f"Expected {key} as an array of numbers in {path}: {error}.") from error
        name = "kernel" if kind == "weight" else "bias"
        arrays[f"{TORCH_LAYERS[layer]}/{name}"] = np.ascontiguousarray(values.T)
    return arrays


READERS: dict[str, Callable[[Path], Arrays]] = {"h5": read_keras_weights, "pth": read_torch_weights}


def _load_state(path: Path) -> Mapping[str, Any]:
    try:
        import torch
    except ImportError as error:
        raise ImportError(
            f"{path.name} is a PyTorch file and PyTorch is not installed; install it with "
            "pip install 'nwb-cascade[torch]', or import the model's .h5 files."
        ) from error
    import pickle

    _require_unpacked(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ModelFileError(f"Expected a PyTorch state dict, {path} cannot be read safely: {reason}") from error
    if not isinstance(state, Mapping):
        raise ModelFileError(f"Expected a PyTorch state dict in {path}, received {type(state).__name__}.")
    return state


def _require_unpacked(path: Path) -> None:
    """PyTorch compresses nothing; an archive that does could unpack to more than the memory."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > path.stat().st_size:
                raise ModelFileError(f"Expected a PyTorch file as PyTorch writes it, {path} is compressed.")


def _keras_layer_order(file: Any, path: Path) -> list[str]:
    """Name the five layers with weights in the network's order, from the architecture stored in the file."""
    text = file.attrs.get("model_config")
    if text is None:
        raise ModelFileError(f"Expected the attribute model_config in {path}: it may hold weights only, not a model.")
    layers = json.loads(text)["config"]["layers"]
    chain = [layer for layer in layers if layer["class_name"] != "InputLayer"]
    received = tuple((layer["class_name"], layer["config"].get("activation")) for layer in chain)
    if received != KERAS_CHAIN:
        raise ModelFileError(
            f"Expected the layers {_spell(KERAS_CHAIN)} of Cascade, received {_spell(received)} in {path}."
        )
    for layer in chain:
        _check_keras_layer(layer, path)
    return [layer["config"]["name"] for layer in chain if layer["class_name"] in ("Conv1D", "Dense")]


def _check_keras_layer(layer: Mapping[str, Any], path: Path) -> None:
    plain = KERAS_POOLING if layer["class_name"] == "MaxPooling1D" else KERAS_PLAIN
    for key, expected in plain.items():
        value = layer["config"].get(key, expected)
        received = tuple(value) if isinstance(value, (list, tuple)) else (value,)
        if received != expected:
            name = layer["config"]["name"]
            raise ModelFileError(f"Expected {key} {expected} of the layer {name}, received {received} in {path}.")


def _keras_layer(group: Any, path: Path) -> Arrays:
    arrays: Arrays = {}
    for raw in group.attrs["weight_names"]:
        name = raw.decode() if isinstance(raw, bytes) else str(raw)
        match = re.search(r"(kernel|bias)(:0)?$", name)
        if match is None:
            raise ModelFileError(f"Expected a kernel and a bias, received {name} in {path}.")
        _require_small(name, group[name].shape, path)
        arrays[match[1]] = np.asarray(group[name][()], dtype=np.float32)
    return arrays


def _require_small(name: object, shape: Sequence[int], path: Path) -> None:
    """Bounds first: a file of a few bytes can declare more than the memory."""
    if math.prod(shape) > MOST_VALUES:
        raise ModelFileError(
            f"Expected at most {MOST_VALUES} weights in {name}, received {math.prod(shape)} in {path}."
        )


def _spell(chain: tuple[tuple[str, str | None], ...]) -> str:
    return " > ".join(kind if activation is None else f"{kind} ({activation})" for kind, activation in chain)
