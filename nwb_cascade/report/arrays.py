"""Arrays as a page holds them: typed arrays, deflated and written as base64, that browsers read as they are.

Types are spelt as in plotly.js ("i1", "u2", "f4", ...), bytes are those of little-endian machines.
"""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = -32768  # stands for NaN among int16
FEW_BYTES_MISSING = -128  # among int8


@dataclass(frozen=True)
class PackedArray:
    """An array in a few bytes: its type and its deflated values."""

    dtype: str
    packed: bytes

    def values(self) -> NDArray[Any]:
        """Return the values, flat."""
        return np.frombuffer(zlib.decompress(self.packed), f"<{self.dtype}")


def pack_array(values: NDArray[Any]) -> PackedArray:
    """Pack an array as it is.

    Examples
    --------
    >>> pack_array(np.array([1, 2], np.uint8)).values()
    array([1, 2], dtype=uint8)
    """
    dtype = f"{values.dtype.kind}{values.dtype.itemsize}"
    return PackedArray(dtype, zlib.compress(values.astype(f"<{dtype}", copy=False).tobytes(), 9))


def pack_numbers(values: NDArray[Any]) -> PackedArray:
    """Pack whole numbers in the smallest type that holds them, those from 0 on as unsigned.

    Examples
    --------
    >>> pack_numbers(np.array([0, 300])).dtype, pack_numbers(np.array([-1, 3])).dtype
    ('u2', 'i1')
    """
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    return pack_array(values.astype(np.min_scalar_type(high if low >= 0 else min(low, -high - 1))))


def pack_steps(values: NDArray[np.int16]) -> PackedArray:
    """Pack int16 values in one byte each where they fit; ``MISSING`` then is -128.

    Examples
    --------
    >>> pack_steps(np.array([3, -1, MISSING], np.int16)).values()
    array([   3,   -1, -128], dtype=int8)
    """
    there = values != MISSING
    if (np.abs(values[there].astype(np.int32)) < -FEW_BYTES_MISSING).all():
        return pack_array(np.where(there, values, FEW_BYTES_MISSING).astype(np.int8))
    return pack_array(values)


def unpack_steps(one: PackedArray) -> NDArray[np.int16]:
    """Return what `pack_steps` packed."""
    values = one.values().astype(np.int16)
    return np.where(values == FEW_BYTES_MISSING, np.int16(MISSING), values) if one.dtype == "i1" else values


class Packer:
    """Collects the arrays of a page as one base64 text, each from a whole character on."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._length = 0

    def add(self, one: PackedArray) -> tuple[str, int, int]:
        """Append an array; returns its type, and where its characters begin and end."""
        text = base64.b64encode(one.packed).decode("ascii")
        self._texts.append(text)
        self._length += len(text)
        return one.dtype, self._length - len(text), self._length

    def text(self) -> str:
        """All arrays, one after the other."""
        return "".join(self._texts)
