"""Writers of small models in the formats in which Cascade publishes them."""

import json
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]
Networks = dict[tuple[float, int], Arrays]

CONFIG_TEMPLATE = """\
## Main parameter of this model:

model_name: {name}     # Name of the model
sampling_rate: {rate}                             # Sampling rate in Hz

# Dataset of ground truth data (in folder 'Ground_truth')
training_datasets:
{datasets}
placeholder_1: 0       # protect formatting


# Noise levels for training
noise_levels:
{levels}
placeholder_2: 0       # protect formatting

    # Standard deviation of Gaussian smoothing in time (sec)
smoothing: {smoothing}
causal_kernel: {causal}

windowsize: {window}                   # Windowsize in timepoints
before_frac: {before_frac}                 # Fraction of timepoints before prediction point (0-1)

filter_sizes:
{filter_sizes}
filter_numbers:
{filter_numbers}

dense_expansion: {dense}              # For dense layer
loss_function: mean_squared_error
optimizer: Adagrad
nr_of_epochs: 20
ensemble_size: {members}
batch_size: 1024
training_finished: Running       # Yes / No / Running
verbose: 1
"""


@dataclass(frozen=True)
class CascadeSpec:
    """One published model; the defaults are small enough for tests and valid as they are."""

    name: str = "Global_EXC_30Hz_smoothing50ms"
    rate: float = 30.0
    smoothing: float = 0.05
    causal: int = 0
    levels: tuple[float, ...] = (2, 3)
    members: int = 2
    window: int = 16
    before_frac: float = 0.5
    filter_sizes: tuple[int, int, int] = (5, 3, 2)
    filter_numbers: tuple[int, int, int] = (3, 4, 5)
    dense: int = 2
    datasets: tuple[str, ...] = ("DS09-GCaMP6f-m-V1", "DS14-GCaMP6s-m-V1")

    def but(self, **changes: object) -> "CascadeSpec":
        """Copy with changes."""
        return replace(self, **changes)  # type: ignore[arg-type]


def random_network(spec: CascadeSpec, rng: np.random.Generator) -> Arrays:
    """Draw one network in Keras orientation; the last layer's size is counted by walking through the layers."""
    length = spec.window
    channels = 1
    arrays: Arrays = {}
    for index, (size, filters) in enumerate(zip(spec.filter_sizes, spec.filter_numbers, strict=True), start=1):
        arrays[f"conv{index}/kernel"] = rng.normal(size=(size, channels, filters)).astype(np.float32)
        arrays[f"conv{index}/bias"] = rng.normal(size=filters).astype(np.float32)
        channels = filters
        length -= size - 1
        if index > 1:
            length //= 2
    arrays["dense/kernel"] = rng.normal(size=(channels, spec.dense)).astype(np.float32)
    arrays["dense/bias"] = rng.normal(size=spec.dense).astype(np.float32)
    arrays["output/kernel"] = rng.normal(size=(length * spec.dense, 1)).astype(np.float32)
    arrays["output/bias"] = rng.normal(size=1).astype(np.float32)
    return arrays


def write_cascade_folder(folder: Path, spec: CascadeSpec, *, kind: str = "h5", seed: int = 0) -> Networks:
    """Write ``config.yaml`` and one file per network; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    write_config(folder / "config.yaml", spec)
    write = {"h5": write_keras, "pth": write_torch}[kind]
    networks: Networks = {}
    for level in spec.levels:
        for member in range(spec.members):
            networks[level, member] = arrays = random_network(spec, rng)
            write(folder / f"Model_NoiseLevel_{level:g}_Ensemble_{member}.{kind}", arrays, spec)
    return networks


def write_config(path: Path, spec: CascadeSpec) -> None:
    """Write the YAML file with its comments and placeholders."""

    def items(values: tuple[object, ...]) -> str:
        return "\n".join(f"- {value}" for value in values)

    text = CONFIG_TEMPLATE.format(
        **vars(spec)
        | {key: items(getattr(spec, key)) for key in ("datasets", "levels", "filter_sizes", "filter_numbers")}
    )
    path.write_text(text, encoding="utf-8")


def write_keras(path: Path, arrays: Arrays, spec: CascadeSpec) -> None:
    """Write an HDF5 file as Keras 2.1.6 does, optimiser state included; layer numbers run on over the models."""
    chain = keras_chain(spec)
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = "2.1.6"
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": {"layers": chain}})
        group = file.create_group("model_weights")
        names = [layer["config"]["name"] for layer in chain]
        group.attrs["layer_names"] = np.array([name.encode() for name in names])
        own = iter(("conv1", "conv2", "conv3", "dense", "output"))
        for layer, name in zip(chain, names, strict=True):
            has_weights = layer["class_name"] in ("Conv1D", "Dense")
            weight_names = [f"{name}/kernel:0", f"{name}/bias:0"] if has_weights else []
            subgroup = group.create_group(name)
            subgroup.attrs["weight_names"] = np.array([text.encode() for text in weight_names])
            if has_weights:
                key = next(own)
                subgroup[weight_names[0]] = arrays[f"{key}/kernel"]
                subgroup[weight_names[1]] = arrays[f"{key}/bias"]
        file.create_dataset("optimizer_weights/training/Adagrad/Variable:0", data=np.zeros(3, np.float32))


def keras_chain(spec: CascadeSpec) -> list[dict[str, Any]]:
    """List the layers as the file's own architecture does; names sort in another order than the layers stand."""
    convolution = {"activation": "relu", "padding": "valid", "strides": [1], "dilation_rate": [1], "use_bias": True}
    pooling = {"pool_size": [2], "strides": [2], "padding": "valid"}
    layers: list[tuple[str, str, dict[str, Any]]] = [
        ("InputLayer", "input_9", {"batch_input_shape": [None, spec.window, 1]}),
        ("Conv1D", "conv1d_9", convolution),
        ("Conv1D", "conv1d_10", convolution),
        ("MaxPooling1D", "max_pooling1d_9", pooling),
        ("Conv1D", "conv1d_11", convolution),
        ("MaxPooling1D", "max_pooling1d_10", pooling),
        ("Dense", "dense_9", {"units": spec.dense, "activation": "relu", "use_bias": True}),
        ("Flatten", "flatten_9", {}),
        ("Dense", "dense_10", {"units": 1, "activation": "linear", "use_bias": True}),
    ]
    return [{"class_name": kind, "config": {"name": name, **config}} for kind, name, config in layers]


def write_torch(path: Path, arrays: Arrays, spec: CascadeSpec) -> None:
    """Write a PyTorch state dict with the key names of the published files."""
    import torch

    names = {"conv1": "conv1", "conv2": "conv2", "conv3": "conv3", "dense": "dense1", "output": "dense2"}
    state = {}
    for key, array in arrays.items():
        layer, kind = key.split("/")
        name = f"{names[layer]}.{'weight' if kind == 'kernel' else 'bias'}"
        state[name] = torch.from_numpy(np.ascontiguousarray(array.T))
    torch.save(state, path)


def zip_folder(folder: Path, archive: Path, *, prefix: str = "") -> Path:
    """Pack the files of a folder; prefix names a folder inside the archive, with its slash."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(folder.iterdir()):
            packed.write(path, prefix + path.name)
    return archive
