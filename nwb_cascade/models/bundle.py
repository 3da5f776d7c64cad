"""The bundle: one folder per model with weights, configuration and their hashes.

``config.json`` holds a :class:`~nwb_cascade.core.config.ModelConfig`, ``weights.safetensors`` the arrays (a format that
cannot execute code) as float32 or, to be smaller, as float16, ``SHA256SUMS`` the hash of both (as by ``sha256sum``).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.registry import architecture_of
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.errors import ModelFileError
from nwb_cascade.files.replace import install, stamp, workplace
from nwb_cascade.models.weights import check_weights, implied_bytes

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"
HASH_FILE = "SHA256SUMS"
MOST_TEXT_BYTES = 2**22
BUNDLE_FILES = (CONFIG_FILE, WEIGHTS_FILE, HASH_FILE)
Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Model:
    """A model in memory: configuration and weights.

    Parameters
    ----------
    config : ModelConfig
        Everything but the weights.
    weights : mapping of str to numpy.ndarray
        Read-only float32 arrays. Architecture ``cascade``: ``"{level:g}/{member}/{layer}/{kernel|bias}"`` as
        :func:`nwb_cascade.architectures.cascade.network_shapes` describes them.
    sha256 : str
        Hash of the bundle's weights file, hexadecimal.
    path : pathlib.Path or None
        Folder of the bundle; None for a model that was never saved.
    """

    config: ModelConfig
    weights: Weights
    sha256: str
    path: Path | None


def make_model(config: ModelConfig, weights: Weights) -> Model:
    """Check weights against their configuration and join them to a model that is not on disk.

    Raises
    ------
    ModelFileError
        If the arrays are not those that the configuration implies.
    """
    check_weights(config, weights, f"model {config.name!r}")
    content = _serialise(weights, np.float32)
    return Model(config, _deserialise(content, Path(WEIGHTS_FILE)), _sha256(content), None)


def save_bundle(
    directory: str | os.PathLike[str],
    config: ModelConfig,
    weights: Weights,
    *,
    overwrite: bool = False,
    half: bool = False,
) -> Model:
    """Write a model as a bundle; the folder appears complete or not at all.

    Parameters
    ----------
    directory : path
        Folder of the bundle itself, usually named as the model. Its parents are made.
    config : ModelConfig
        Configuration of the model.
    weights : mapping of str to numpy.ndarray
        Its float32 arrays.
    overwrite : bool
        Replace a bundle that is already there.
    half : bool
        Store the weights rounded to float16, in half the bytes; they are float32 again when they are read.

    Returns
    -------
    Model
        The model as it is read back, with the path and the hash of its bundle.

    Raises
    ------
    ModelFileError
        If the arrays are not those that the configuration implies.
    FileExistsError
        If the folder exists and ``overwrite`` is not set, or it holds other files than a bundle's.
    """
    target = Path(directory)
    if half:
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused as that
            weights = {key: array.astype(np.float16).astype(np.float32) for key, array in weights.items()}
    check_weights(config, weights, f"model {config.name!r}")
    if target.exists():
        if not overwrite:
            raise FileExistsError(f"{target} exists already; pass overwrite=True to replace it.")
        check_only_bundle(target)
    content = _serialise(weights, np.float16 if half else np.float32)
    files = {CONFIG_FILE: config.to_json().encode(), WEIGHTS_FILE: content}
    files[HASH_FILE] = "".join(f"{_sha256(data)}  {name}\n" for name, data in files.items()).encode()
    target.parent.mkdir(parents=True, exist_ok=True)
    before = stamp(target)
    with workplace(target) as work:
        prepared = work / target.name
        prepared.mkdir()
        for name, data in files.items():
            (prepared / name).write_bytes(data)
        install(prepared, target, expected=before)
    return Model(config, _deserialise(content, target / WEIGHTS_FILE), _sha256(content), target)


def load_config(directory: str | os.PathLike[str]) -> ModelConfig:
    """Read the configuration of a bundle and leave its weights alone.

    Raises
    ------
    ModelFileError
        If the configuration is missing or damaged.
    """
    folder = Path(directory)
    data = _read(folder / CONFIG_FILE, MOST_TEXT_BYTES)
    try:
        config = ModelConfig.from_json(data.decode())
        architecture_of(config).shapes(config)  # which checks the sizes of the networks
        return config
    except ValueError as error:
        raise ModelFileError(f"{folder / CONFIG_FILE}: {error}") from error


def load_bundle(directory: str | os.PathLike[str], *, verify: bool = True) -> Model:
    """Read a bundle and check it.

    Parameters
    ----------
    directory : path
        Folder of the bundle.
    verify : bool
        Compare both files with the recorded hashes. The arrays are checked against the configuration anyway.

    Returns
    -------
    Model
        With read-only arrays.

    Raises
    ------
    ModelFileError
        If a file is missing, truncated, changed since it was written, or its arrays are not those that the
        configuration implies.
    """
    folder = Path(directory)
    config = load_config(folder)
    path = folder / WEIGHTS_FILE
    content = _read(path, implied_bytes(config))
    if verify:
        recorded = _recorded_hashes(folder)
        _check_hash(folder / CONFIG_FILE, _read(folder / CONFIG_FILE, MOST_TEXT_BYTES), recorded)
        _check_hash(path, content, recorded)
    weights = _deserialise(content, path)
    check_weights(config, weights, str(path))
    return Model(config, weights, _sha256(content), folder)


def check_only_bundle(folder: Path) -> None:
    """Make sure that a folder which is about to be replaced or deleted holds nothing but a bundle's files.

    Raises
    ------
    FileExistsError
        If it holds anything else.
    """
    if foreign := sorted(path.name for path in folder.iterdir() if path.name not in BUNDLE_FILES):
        raise FileExistsError(
            f"{folder} holds more than a model ({', '.join(foreign[:3])}); it was left as it is. Move that away first."
        )


def _recorded_hashes(folder: Path) -> dict[str, str]:
    path = folder / HASH_FILE
    lines = [line.split(maxsplit=1) for line in _read(path, MOST_TEXT_BYTES).decode(errors="replace").splitlines()]
    hashes = {line[1]: line[0].lower() for line in lines if len(line) == 2}
    if lacking := {CONFIG_FILE, WEIGHTS_FILE} - set(hashes):
        raise ModelFileError(f"Expected the hash of {' and '.join(sorted(lacking))} in {path}, which lacks it.")
    return hashes


def _check_hash(path: Path, content: bytes, recorded: Mapping[str, str]) -> None:
    received = _sha256(content)
    if received == recorded[path.name]:
        return
    if path.name == WEIGHTS_FILE:
        _deserialise(content, path)  # a truncated file says so itself
    raise ModelFileError(
        f"Expected SHA-256 {recorded[path.name]} of {path}, received {received}: the file was changed or "
        "damaged; import or fetch the model again."
    )


def _serialise(weights: Weights, dtype: type[np.floating]) -> bytes:
    from safetensors.numpy import save

    return bytes(save({key: np.ascontiguousarray(weights[key], dtype) for key in sorted(weights)}))


def _deserialise(content: bytes, path: Path) -> dict[str, NDArray[np.float32]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        weights: dict[str, NDArray[np.float32]] = load(content)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        detail = f"{len(content)} bytes, {error}"
        raise ModelFileError(f"{path} is truncated or damaged ({detail}); import the model again.") from error
    for key, array in weights.items():
        weights[key] = array.astype(np.float32) if array.dtype == np.float16 else array
        weights[key].flags.writeable = False
    return weights


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(path: Path, most_bytes: int) -> bytes:
    """Content of a regular file; bounds first, as a file may be declared larger than the memory."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ModelFileError(
                f"Expected a file as {path}, received {'a folder' if path.is_dir() else 'a pipe or device'}: import or "
                "copy the model again."
            )
        if size > most_bytes:
            raise ModelFileError(f"Expected a file of at most {most_bytes} bytes as {path}, received {size} bytes.")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelFileError(f"Expected a model bundle, which has {path.name}; there is no {path}.") from error
