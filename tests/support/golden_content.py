"""What a file holds and a command says, as plain values that another machine and another version repeat."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.io import loadmat

from tests.support.golden_recordings import SERIES_ID

TOLERANCE = 1e-4  # absolute, and relative for what exceeds 1: TensorFlow's last bits differ between processors
WHOLE = 40  # values; of larger arrays of real numbers the golden file holds every STEP-th and the sum
STEP = 31  # frames and ROIs in turn, as it has no divisor in common with their number
LONG = 1000  # characters
VERSION = version("nwb-cascade")
VOLATILE = {"traceback", "content_id", "created", "object_id", ".specloc", "nwb_version", "process", "time", "size"}
WORDS = (
    (re.compile(rf"(?!{SERIES_ID[:8]})[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}"), "<id>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:<port>"),
    (re.compile(r'("(?:nwb-cascade|ndx-spike-inference|pynwb|hdmf|numpy|tensorflow)": )"[^"]*"'), r'\1"<version>"'),
    (re.compile(r'("(?:digest|sha256)": )"[^"]*"'), r'\1"<digest>"'),
    (re.compile(r"(?<!\.)\b[0-9a-f]{16}\b"), "<job>"),
    (re.compile(r"\b20(?!24)\d\d-\d\d-\d\dT[\d:.+]+"), "<now>"),
)


def plain(value: Any, here: Path) -> Any:
    """Return values for JSON, with a word in the place of what differs from run to run.

    Dictionaries, lists, texts, numbers and arrays; ``here`` is the folder of the run.
    """
    if isinstance(value, Mapping):
        return {key: _value(key, item, here) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _array(value, here)
    if isinstance(value, (list, tuple)):
        return [plain(item, here) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item(), here)
    if isinstance(value, (str, bytes)):
        return _text(value if isinstance(value, str) else value.decode(), here)
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def stored(path: Path, here: Path) -> Any:
    """Return what a file or a Zarr store holds, by the path of each part."""
    if path.suffix == ".json":
        return plain(json.loads(_worded(path.read_text(), here)), here)
    if path.suffix == ".jsonl":
        return [plain(_record(line), here) for line in path.read_text().splitlines()]
    if path.suffix == ".npy":
        return plain(np.load(path, allow_pickle=True), here)
    if path.suffix == ".zarr":
        import zarr

        return dict(_zarr_items(zarr.open(str(path), mode="r"), here))
    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            return dict(_hdf5_items(file, "/", here))
    if path.suffix == ".mat":
        return {name: plain(value, here) for name, value in loadmat(path).items() if not name.startswith("__")}
    return {"text": path.read_text()}


def differences(expected: Any, actual: Any, where: str = "") -> Iterator[str]:
    """Say where two values differ, real numbers by more than the tolerance."""
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for key in {**expected, **actual}:
            yield from differences(expected.get(key, "nothing"), actual.get(key, "nothing"), f"{where} > {key}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for number, pair in enumerate(zip(expected, actual, strict=True)):
            yield from differences(*pair, f"{where} > {number}")
    elif isinstance(expected, float) and isinstance(actual, float):
        if abs(expected - actual) > TOLERANCE * max(1, abs(expected)):
            yield f"{where}: expected {expected}, received {actual}"
    elif expected != actual:
        yield f"{where}: expected {expected!r}, received {actual!r}"


def _value(key: str, value: Any, here: Path) -> Any:
    """A value of a dictionary, or what stands for it."""
    if key in VOLATILE:
        return f"<{key}>"
    if key == "seconds":
        return sorted(value) if isinstance(value, Mapping) else "<seconds>"
    if key == "extra":  # of a model's configuration: the long record of its training
        return f"<sha256 {_sha256(value)}>"
    return plain(value, here)


def _worded(text: str, here: Path) -> str:
    """A text with words in the place of what is random."""
    text = text.replace(f"{here}/", "").replace(str(here), "<here>")
    for pattern, word in WORDS:
        text = pattern.sub(word, text)
    return "<version>" if text == VERSION else text


def _text(text: str, here: Path) -> Any:
    """A text as it is; a long one, which is JSON, as what it says; one of several lines as a list of them."""
    text = _worded(text, here)
    if len(text) > LONG and text.startswith("{"):
        return plain(json.loads(text), here)
    return text.splitlines() if "\n" in text else text


def _array(values: np.ndarray[Any, Any], here: Path) -> dict[str, Any]:
    flat = values.ravel()
    dtype = "text" if values.dtype.kind == "U" else str(values.dtype)
    facts: dict[str, Any] = {"dtype": dtype, "shape": list(values.shape)}
    if values.dtype.kind != "f" or values.size <= WHOLE:
        return {**facts, "values": plain(flat.tolist(), here)}
    finite = flat[np.isfinite(flat)]
    facts |= {"n_finite": finite.size, "sum": plain(finite.sum(dtype=float), here)}
    return {**facts, "samples": plain(flat[::STEP].tolist(), here)}


def _record(line: str) -> Any:
    """A line of a manifest; whether they are right stands for hashes of what differs from run to run."""
    values = json.loads(line)
    check = values.pop("check")
    rightly = {"check": check == _sha256(values)[:12]}
    if values["record"] == "job":
        parts = {name: values[name] for name in ("content_id", "model_sha256", "parameters")}
        rightly["id"] = values["id"] == _sha256({"output_version": 1, **parts})[:16]
    return {**values, **rightly}


def _sha256(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _hdf5_items(group: h5py.Group, name: str, here: Path) -> Iterator[tuple[str, Any]]:
    yield name, {"attributes": _attributes(group, here)}
    for key in sorted(set(group) - {"specifications"}):
        path, link = f"{name.rstrip('/')}/{key}", group.get(key, getlink=True)
        if isinstance(link, h5py.SoftLink):
            yield path, {"link": link.path}
        elif isinstance(group[key], h5py.Group):
            yield from _hdf5_items(group[key], path, here)
        else:
            item = group[key]
            packed = [item.chunks, item.compression, item.compression_opts, item.shuffle]
            facts = {"values": _resolved(item, item[()])} | ({"packed": packed} if item.compression else {})
            yield path, {"attributes": _attributes(item, here), **plain(facts, here)}


def _attributes(item: Any, here: Path) -> Any:
    return plain({key: _resolved(item, value) for key, value in sorted(item.attrs.items())}, here)


def _resolved(item: Any, value: Any) -> Any:
    """A value of HDF5 with names in the place of references."""
    if isinstance(value, h5py.Reference):
        return item.file[value].name
    if isinstance(value, np.ndarray) and value.dtype.kind in "OV":
        return [_resolved(item, one) for one in value.tolist()]
    if item.attrs.get("MATLAB_class") == b"char" and isinstance(value, np.ndarray):
        return value.astype("<u2").tobytes().decode("utf-16-le")
    return value


def _zarr_items(group: Any, here: Path, name: str = "/") -> Iterator[tuple[str, Any]]:
    yield name, {"attributes": plain(group.attrs.asdict(), here)}
    for key in sorted(set(group) - {"specifications"}):
        path, item = f"{name.rstrip('/')}/{key}", group[key]
        if hasattr(item, "shape"):
            facts = {"values": item[()], "packed": [list(item.chunks), str(item.compressor)]}
            yield path, {"attributes": plain(item.attrs.asdict(), here), **plain(facts, here)}
        else:
            yield from _zarr_items(item, here, path)
