"""One network out of a Keras or PyTorch file."""

import json
import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest

from nwb_cascade.errors import ModelFileError
from nwb_cascade.models.published_weights import read_keras_weights, read_torch_weights
from tests.support.cascade_files import CascadeSpec, random_network, write_keras, write_torch

SPEC = CascadeSpec()


@pytest.fixture
def arrays():
    return random_network(SPEC, np.random.default_rng(3))


@pytest.fixture
def keras_file(tmp_path, arrays):
    write_keras(tmp_path / "n.h5", arrays, SPEC)
    return tmp_path / "n.h5"


def assert_same(received, expected):
    assert received.keys() == expected.keys()
    for key, array in expected.items():
        np.testing.assert_array_equal(received[key], array)
        assert received[key].dtype == np.float32


def change_architecture(path, change):
    with h5py.File(path, "r+") as file:
        architecture = json.loads(file.attrs["model_config"])
        change(architecture["config"]["layers"])
        file.attrs["model_config"] = json.dumps(architecture)


def test_keras_layers_are_taken_in_the_order_of_the_architecture(keras_file, arrays):
    assert_same(read_keras_weights(keras_file), arrays)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own, with NumPy 2
def test_a_file_that_the_installed_keras_writes_is_read(tmp_path, arrays):
    keras = pytest.importorskip("keras")
    layers = keras.layers
    relu = {"activation": "relu"}
    network = keras.Sequential(
        [
            keras.Input((SPEC.window, 1)),
            layers.Conv1D(SPEC.filter_numbers[0], SPEC.filter_sizes[0], **relu),
            layers.Conv1D(SPEC.filter_numbers[1], SPEC.filter_sizes[1], **relu),
            layers.MaxPooling1D(2),
            layers.Conv1D(SPEC.filter_numbers[2], SPEC.filter_sizes[2], **relu),
            layers.MaxPooling1D(2),
            layers.Dense(SPEC.dense, **relu),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    network.set_weights(list(arrays.values()))
    network.save(tmp_path / "today.h5")
    assert_same(read_keras_weights(tmp_path / "today.h5"), arrays)


def test_optimiser_state_is_not_touched(keras_file, arrays):
    with h5py.File(keras_file, "r+") as file:
        del file["optimizer_weights"]
        file.attrs["training_config"] = "not even JSON"
    assert_same(read_keras_weights(keras_file), arrays)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda layers: layers.pop(3), r"Expected the layers Conv1D \(relu\) > .*received Conv1D \(relu\) > "),
        (lambda layers: layers[1]["config"].update(activation="tanh"), r"received Conv1D \(tanh\)"),
        (lambda layers: layers[2]["config"].update(padding="same"), "padding .*of the layer conv1d_10, received"),
        (lambda layers: layers[3]["config"].update(pool_size=[3]), "pool_size .*of the layer max_pooling1d_9"),
        (lambda layers: layers[1]["config"].update(dilation_rate=[2]), "dilation_rate .*of the layer conv1d_9"),
    ],
)
def test_another_keras_architecture_is_refused(keras_file, change, message):
    change_architecture(keras_file, change)
    with pytest.raises(ModelFileError, match=message):
        read_keras_weights(keras_file)


def test_keras_weights_without_architecture_are_refused(keras_file):
    with h5py.File(keras_file, "r+") as file:
        del file.attrs["model_config"]
    with pytest.raises(ModelFileError, match=r"attribute model_config in .*may hold weights only"):
        read_keras_weights(keras_file)


@pytest.mark.parametrize("keep", [0, 100, 4000])
def test_a_truncated_keras_file_is_named(keras_file, keep):
    keras_file.write_bytes(keras_file.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match=r"Keras model in HDF5, .*n\.h5 cannot be read"):
        read_keras_weights(keras_file)


def test_keras_file_without_a_layers_weights_is_named(keras_file):
    with h5py.File(keras_file, "r+") as file:
        del file["model_weights/conv1d_10"]
    with pytest.raises(ModelFileError, match=r"n\.h5 cannot be read.*conv1d_10"):
        read_keras_weights(keras_file)


KERNEL = "model_weights/conv1d_10/conv1d_10/kernel:0"


@pytest.mark.parametrize(
    ("put", "message"),
    [
        (lambda file: file.create_dataset(KERNEL, (10**12,), "f4"), "at most 16777216 weights in .*, received 10000"),
        (lambda file: file.create_dataset(KERNEL, (4,), "f4", external=[("secret", 0, 16)]), "secret"),
        (lambda file: file.__setitem__(KERNEL, h5py.ExternalLink("pipe", "/x")), "pipe"),
        (lambda file: file.__setitem__(KERNEL, h5py.SoftLink(f"/{KERNEL}")), "cannot be read"),
    ],
)
def test_keras_weights_that_lie_elsewhere_or_are_declared_only_are_refused(keras_file, put, message):
    with h5py.File(keras_file, "r+") as file:
        del file[KERNEL]
        put(file)
    (keras_file.parent / "secret").write_bytes(b"0123456789abcdef")
    os.mkfifo(keras_file.parent / "pipe")
    with pytest.raises(ModelFileError, match=message):
        read_keras_weights(keras_file)


def test_torch_arrays_that_are_declared_only_are_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"conv1.weight": torch.zeros(1).expand(10**12)}, tmp_path / "n.pth")
    with pytest.raises(ModelFileError, match=r"at most 16777216 weights in conv1.weight, received 1000000000000"):
        read_torch_weights(tmp_path / "n.pth")
    torch.save({"conv1.weight": torch.zeros(3, dtype=torch.bfloat16)}, tmp_path / "n.pth")
    with pytest.raises(ModelFileError, match=r"conv1.weight as an array of numbers"):
        read_torch_weights(tmp_path / "n.pth")


def test_a_compressed_torch_file_is_refused(tmp_path):
    pytest.importorskip("torch")
    with zipfile.ZipFile(tmp_path / "n.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("n/data/0", bytes(2**20))
    with pytest.raises(ModelFileError, match=r"n\.pth is compressed"):
        read_torch_weights(tmp_path / "n.pth")


def test_a_broken_architecture_text_is_named(keras_file):
    with h5py.File(keras_file, "r+") as file:
        file.attrs["model_config"] = "{"
    with pytest.raises(ModelFileError, match=r"n\.h5 cannot be read"):
        read_keras_weights(keras_file)


def test_torch_arrays_are_turned_to_the_keras_orientation(tmp_path, arrays):
    pytest.importorskip("torch")
    write_torch(tmp_path / "n.pth", arrays, SPEC)
    assert_same(read_torch_weights(tmp_path / "n.pth"), arrays)


def test_the_layer_names_of_later_torch_models_are_read(tmp_path, arrays):
    torch = pytest.importorskip("torch")
    write_torch(tmp_path / "n.pth", arrays, SPEC)
    renamed = {"dense1": "dense_time", "dense2": "output"}
    state = torch.load(tmp_path / "n.pth", weights_only=True)
    state = {f"{renamed.get(key.split('.')[0], key.split('.')[0])}.{key.split('.')[1]}": v for key, v in state.items()}
    torch.save(state, tmp_path / "later.pth")
    assert_same(read_torch_weights(tmp_path / "later.pth"), arrays)


def test_code_in_a_torch_file_is_never_executed(tmp_path):
    pytest.importorskip("torch")
    target = tmp_path / "executed"

    class Attack:
        def __reduce__(self):
            return (open, (str(target), "w"))

    path = tmp_path / "n.pth"
    path.write_bytes(pickle.dumps({"conv1.weight": Attack()}, protocol=2))
    with pytest.raises(ModelFileError, match=r"n\.pth cannot be read safely"):
        read_torch_weights(path)
    assert not target.exists()


@pytest.mark.parametrize("keep", [0, 100, -100])
def test_a_truncated_torch_file_is_named(tmp_path, arrays, keep):
    pytest.importorskip("torch")
    path = tmp_path / "n.pth"
    write_torch(path, arrays, SPEC)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match=r"n\.pth cannot be read safely"):
        read_torch_weights(path)


@pytest.mark.parametrize(
    "content, message",
    [
        ({"encoder.weight": 1}, "received the entry 'encoder.weight'"),
        ({"conv1.weight": "text"}, "received the entry 'conv1.weight'"),
        ([1, 2], "state dict in .*received list"),
    ],
)
def test_another_torch_content_is_refused(tmp_path, content, message):
    torch = pytest.importorskip("torch")
    torch.save(content, tmp_path / "n.pth")
    with pytest.raises(ModelFileError, match=message):
        read_torch_weights(tmp_path / "n.pth")


def test_without_torch_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(ImportError, match=r"n\.pth is a PyTorch file.*pip install 'nwb-cascade\[torch\]'"):
        read_torch_weights(tmp_path / "n.pth")
