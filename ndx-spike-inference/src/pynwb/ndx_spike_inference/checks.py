"""Checks of constructor arguments: each raises one ValueError with the owner, what was expected and received.

Nothing here reads data from a file: a shape that is not known without reading passes, and values are looked
at only where they are in memory already.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any, NoReturn

import numpy as np
from hdmf.data_utils import DataIO
from hdmf.utils import get_data_shape

SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")

Shape = tuple[int | None, ...]


def known_shape(data: Any) -> Shape | None:
    """Shape of ``data`` as far as it is known without reading it; None stands for what is not known."""
    if isinstance(data, DataIO) and data.data is not None:
        data = data.data
    shape = get_data_shape(data, strict_no_data_load=True)
    return None if shape is None else tuple(shape)


def in_memory(data: Any) -> np.ndarray | None:
    """``data`` as an array if its values are in memory, else None."""
    if isinstance(data, DataIO):
        data = data.data
    return np.asarray(data) if isinstance(data, (np.ndarray, list, tuple)) else None


def check_shape(owner: str, field: str, data: Any, dims: str, expected: Shape, *, advice: str = "") -> None:
    """Raise unless the known dimensions of ``data`` equal the known ones of ``expected``."""
    shape = known_shape(data)
    if shape is None or (
        len(shape) == len(expected)
        and all(wanted is None or size is None or wanted == size for wanted, size in zip(expected, shape, strict=True))
    ):
        return
    wanted_text = str(expected).replace("None", "any")
    shape_text = str(shape).replace("None", "unknown")
    message = f"{owner}: expected {field} of shape {dims} = {wanted_text}, received {shape_text}."
    raise ValueError(f"{message} {advice}".rstrip())


def check_choice(owner: str, field: str, value: str, choices: Collection[str]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        allowed = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{owner}: expected {field} to be one of {allowed}, received {value!r}.")


def check_json_object(owner: str, field: str, text: str) -> None:
    """Raise unless ``text`` is a JSON object by the standard, which knows neither NaN nor Infinity."""
    expected = f"{owner}: expected {field} as the text of a JSON object"
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ValueError(f"{expected}, received text that is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise ValueError(f"{expected}, received another JSON value: {text[:40]}.")


def check_sha256(owner: str, field: str, text: str) -> None:
    """Raise unless ``text`` is a SHA-256 in hexadecimal."""
    if SHA256_PATTERN.fullmatch(text) is None:
        raise ValueError(
            f"{owner}: expected {field} as 64 lower-case hexadecimal digits, received {len(text)} characters: {text!r}."
        )


def check_valid_frames(owner: str, valid_frames: Any, n_frames: int | None) -> None:
    """Raise unless 0 <= first <= stop <= n_frames holds for every row of ``valid_frames``, if in memory."""
    bounds = in_memory(valid_frames)
    if bounds is None or bounds.size == 0:
        return
    if bounds.dtype.kind not in "iu":
        raise ValueError(f"{owner}: expected valid_frames as integers, received {bounds.dtype}.")
    first, stop = bounds[:, 0], bounds[:, 1]
    bad = (first < 0) | (stop < first)
    limit = "n_frames"
    if n_frames is not None:
        bad |= stop > n_frames
        limit = f"n_frames = {n_frames}"
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{owner}: expected 0 <= first <= stop <= {limit} in every row of valid_frames, "
            f"received [{first[row]}, {stop[row]}] in row {row}."
        )


def _refuse_constant(constant: str) -> NoReturn:
    """Make ``json.loads`` fail on NaN and the infinities, which it would accept."""
    raise ValueError(f"{constant} is not a JSON value")
