"""What made a result: which source, which model, which parameters, which software; as JSON that sorts the same way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

SOFTWARE = "nwb-cascade"
OUTPUT_VERSION = 1  # raised when the same inputs give other numbers, so that old runs are not taken for new ones
DEPENDENCIES = ("ndx-spike-inference", "pynwb", "hdmf", "numpy", "tensorflow")


def canonical_json(values: Mapping[str, Any]) -> str:
    """Serialise to JSON that depends on the values only: sorted keys, no NaN.

    Examples
    --------
    >>> canonical_json({"b": 1, "a": None})
    '{"a": null, "b": 1}'
    """
    return json.dumps(values, sort_keys=True, allow_nan=False, ensure_ascii=False)


def json_object(text: str | None) -> Mapping[str, Any]:
    """Parse the text of a JSON object; an empty mapping for any other text, as another program may have written."""
    try:
        values = json.loads(text or "{}")
    except json.JSONDecodeError:
        return {}
    return values if isinstance(values, dict) else {}


def run_key(*, source: Mapping[str, Any], weights_sha256: str, parameters: Mapping[str, Any]) -> str:
    """Return the name of a run: equal for equal source, model and parameters, whatever machine it runs on.

    Parameters
    ----------
    source : mapping
        What identifies the traces: object id, shape, rate.
    weights_sha256 : str
        Hash of the model's weights.
    parameters : mapping
        All that changes the numbers.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits.
    """
    inputs = {
        "output_version": OUTPUT_VERSION,
        "source": dict(source),
        "weights_sha256": weights_sha256,
        "parameters": dict(parameters),
    }
    return hashlib.sha256(canonical_json(inputs).encode()).hexdigest()


def source_provenance(source: Mapping[str, str], *, n_rois: int, n_frames: int, imaging_rate: float) -> str:
    """Describe the source of the traces in words that outlive every link.

    Parameters
    ----------
    source : mapping of str to str
        `DffTraces.source`: ``path`` (kept without its folders, which name machines and people), ``object_path``,
        ``object_id``, and what else the reader knows (dandiset, asset, digest, scale).
    n_rois, n_frames : int
        Shape of the traces.
    imaging_rate : float
        Hz.

    Returns
    -------
    str
        A JSON object.
    """
    known = {key: value for key, value in source.items() if key != "path"}
    if "path" in source:
        known["file_name"] = file_name(source["path"])
    return canonical_json({**known, "n_rois": n_rois, "n_frames": n_frames, "imaging_rate_hz": imaging_rate})


def file_name(path: str) -> str:
    """Return the last part of a path or address, of any system."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def run_parameters(parameters: Mapping[str, Any], *, reason: str) -> str:
    """Describe a run: its parameters, why this model, and the versions of the software (a JSON object)."""
    return canonical_json({**parameters, "model_choice": reason, "software": software_versions()})


def software_version() -> str:
    """Version of this package, ``0+unknown`` in a checkout that is not installed."""
    return installed_version(SOFTWARE) or "0+unknown"


def software_versions() -> dict[str, str]:
    """Versions of this package and of those that shape its results."""
    found = {name: installed_version(name) for name in DEPENDENCIES}
    return {SOFTWARE: software_version()} | {name: number for name, number in found.items() if number}


def installed_version(package: str) -> str | None:
    """Return the version of an installed package; None if it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
