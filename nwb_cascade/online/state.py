"""A running inference on disk: its record and arrays in one file of numpy, replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.errors import InputError
from nwb_cascade.files.replace import install, stamp, workplace

STATE_FORMAT = 1


def write_state(target: Path, record: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a state: its record, JSON-able, and arrays by name."""
    before, text = stamp(target), json.dumps({"format": STATE_FORMAT, **record})
    with workplace(target) as work:
        prepared = work / target.name
        with prepared.open("wb") as file:
            np.savez(file, record=np.array(text), **arrays)  # type: ignore[arg-type]
        install(prepared, target, expected=before)


def read_state(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Read what ``write_state`` wrote.

    Raises
    ------
    InputError
        If the file is no such state.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        record = json.loads(str(arrays.pop("record")))
    except (ValueError, KeyError, EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise InputError(
            f"Expected a state that OnlineInference.save wrote, received {path}, which fails: {error}."
        ) from error
    if record.get("format") != STATE_FORMAT:
        raise InputError(f"Expected a state of format {STATE_FORMAT} in {path}, received {record.get('format')!r}.")
    return record, arrays
