"""Storage that counts what is read from it: an HDF5 file's bytes, a Zarr store's chunks."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from typing import Any

import h5py
import numpy as np


class CountedFile(BytesIO):
    """A file in memory that counts the reads starting at each position."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.reads: Counter[int] = Counter()
        self.bytes_read: Counter[int] = Counter()

    def readinto(self, buffer: Any) -> int:
        position = self.tell()
        count = super().readinto(buffer)
        self.reads[position] += 1
        self.bytes_read[position] += count
        return count


def counted_dataset(values: np.ndarray, **storage: Any) -> tuple[CountedFile, h5py.Dataset]:
    """A dataset ``values`` in a counted file, opened without a chunk cache; ``storage`` goes to create_dataset."""
    content = BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("values", data=values, **storage)
    counted = CountedFile(content.getvalue())
    dataset = h5py.File(counted, "r", rdcc_nbytes=0)["values"]
    counted.reads.clear()
    counted.bytes_read.clear()
    return counted, dataset


def chunk_reads(counted: CountedFile, dataset: h5py.Dataset) -> list[int]:
    """How often each chunk of the dataset was read."""
    infos = [dataset.id.get_chunk_info(i) for i in range(dataset.id.get_num_chunks())]
    return [counted.reads[info.byte_offset] for info in infos]


class CountedStore(dict):  # type: ignore[type-arg]
    """A Zarr store that counts the reads of every key."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()

    def __getitem__(self, key: str) -> bytes:
        value: bytes = super().__getitem__(key)
        self.reads[key] += 1
        return value
