"""Dictionaries that NumPy pickled, read without running what their pickles ask for."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from nwb_cascade.errors import InputError


def read_pickled(path: str | Path) -> dict[str, Any]:
    """Read a dictionary that NumPy pickled into a .npy file, without executing anything in it.

    Unpickling can run any code. Here only NumPy arrays, scalars and dtypes are rebuilt, besides Python's own numbers,
    texts, lists and dictionaries; every other object (dates, paths, what a hostile file asks for) becomes an inert
    placeholder and its code is never imported.

    Raises
    ------
    InputError
        If the file is not such a file.
    """
    try:
        with open(path, "rb") as file:
            value = _unpickle(file)
    except (pickle.UnpicklingError, ValueError, TypeError, EOFError, AttributeError, IndexError, KeyError) as error:
        raise InputError(f"Expected {path} as a dictionary saved by NumPy; reading it fails: {error}.") from error
    if not isinstance(value, dict):
        raise InputError(f"Expected {path} as a dictionary saved by NumPy, it holds {type(value).__name__}.")
    return value


class _Inert:
    """Stands for an object whose class is not rebuilt: takes whatever a pickle gives it and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> _Inert:
        return self

    def __setstate__(self, _: Any) -> None:
        pass

    def __setitem__(self, _: Any, __: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        pass

    def extend(self, _: Any) -> None:
        pass


def _encode(text: str, _: str = "latin1") -> bytes:
    """What old pickles call to make bytes."""
    return text.encode("latin1")


_OTHERS: Mapping[tuple[str, str], Any] = {("_codecs", "encode"): _encode, ("collections", "OrderedDict"): dict}
# Found through NumPy's own pickling, as their modules were renamed in NumPy 2.
_REBUILDERS: Mapping[str, Any] = {
    "_reconstruct": np.zeros(1).__reduce__()[0],
    "_frombuffer": np.zeros(1).__reduce_ex__(5)[0],
    "scalar": np.float64(1.0).__reduce__()[0],
    "ndarray": np.ndarray,
    "dtype": np.dtype,
}


class _PlainUnpickler(pickle.Unpickler):
    """Rebuilds plain data and NumPy's types, nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "numpy" or re.fullmatch(r"numpy\._?core\.(multiarray|numeric)", module):
            return _REBUILDERS.get(name, _Inert)
        return _OTHERS.get((module, name), _Inert)


def _unpickle(file: IO[bytes]) -> Any:
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if shape != () or not dtype.hasobject:
        raise ValueError(f"it holds an array of shape {shape} and type {dtype}")
    return _PlainUnpickler(file, encoding="latin1").load().item()
