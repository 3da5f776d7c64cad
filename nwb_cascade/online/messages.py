"""What goes over the wire: parts of a ZeroMQ message, of plain float32 numbers and a JSON header.

In: one part, float32 (little endian), a value per ROI. Or two or three: a JSON object (it may be empty) with ``frame``
(number since the start), ``time_s``, ``add_rois`` (so many from this frame on) or ``end`` (true: no more will come),
then the values, then those of the neuropil. A frame of no values is missing.

Out: ``spikes``, a JSON object with ``frame`` (the one that is told of), ``of_frame`` (the last that came in) and
``missing`` (why values are NaN, with their number), then expected spikes as float32, a row per look-ahead.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.errors import InputError

TOPIC = b"spikes"
VALUE = np.dtype("<f4")
MOST_ADDED = 100_000
MOST_HEADER = 65_536


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame as it came in; ``values`` is None if it is missing, ``number`` and ``time_s`` if they were not told."""

    values: NDArray[np.float32] | None
    neuropil: NDArray[np.float32] | None = None
    number: int | None = None
    time_s: float | None = None
    add_rois: int = 0
    end: bool = False


def read_frame(parts: Sequence[bytes]) -> Frame:
    """Read a message.

    Raises
    ------
    InputError
        If it is not one of those above; the sentence says what was expected.
    """
    if not 1 <= len(parts) <= 3:
        raise InputError(f"Expected a message of 1 to 3 parts (header, values, neuropil), received {len(parts)}.")
    if len(parts) == 1:
        return Frame(_values(parts[0]))
    told = _header(parts[0])
    added = told.get("add_rois", 0)
    if not isinstance(added, int) or not 0 <= added <= MOST_ADDED:
        raise InputError(f"Expected add_rois as a whole number up to {MOST_ADDED}, received {added!r:.40}.")
    return Frame(
        values=_values(parts[1]),
        neuropil=_values(parts[2]) if len(parts) > 2 else None,
        number=_number(told, "frame", int),
        time_s=_number(told, "time_s", float),
        add_rois=added,
        end=told.get("end") is True,
    )


def result_message(frame: int, of_frame: int, rates: NDArray[np.float32], missing: dict[str, int]) -> list[bytes]:
    """Write expected spikes (n_rois,) or (n_look_aheads, n_rois) as a message."""
    header = {"frame": frame, "of_frame": of_frame, "shape": list(rates.shape), "missing": missing}
    return [TOPIC, json.dumps(header).encode(), rates.astype(VALUE).tobytes()]


def read_result(parts: Sequence[bytes]) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Read what ``result_message`` wrote: its header, and the expected spikes."""
    header = json.loads(parts[1])
    return header, np.frombuffer(parts[2], VALUE).astype(np.float32).reshape(header["shape"])


def _header(part: bytes) -> dict[str, Any]:
    try:
        told = json.loads(part[:MOST_HEADER])
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise InputError(f"Expected a JSON object as the first of several parts, received {part[:40]!r}.")
    return told


def _values(part: bytes) -> NDArray[np.float32] | None:
    if len(part) % VALUE.itemsize:
        raise InputError(f"Expected float32 values, 4 bytes per ROI, received {len(part)} bytes.")
    return np.frombuffer(part, VALUE).astype(np.float32) if part else None


def _number(told: dict[str, Any], key: str, kind: type) -> Any:
    value = told.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise InputError(f"Expected {key} as a finite number, received {value!r:.40}.")
    return kind(value)
