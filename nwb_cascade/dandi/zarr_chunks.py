"""An array of a remote Zarr that fetches its next block ahead of the reading."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.dandi.chunks import Selection, as_slices, next_selection
from nwb_cascade.dandi.zarr_objects import ZarrObjects


class PrefetchedArray:
    """An array of a remote Zarr, read like the array itself.

    The chunks of a part are fetched several at a time; while the caller works on it, those of the part that comes
    next are on their way, which is guessed as for `nwb_cascade.dandi.chunks.PrefetchedDataset`.

    Parameters
    ----------
    array : zarr.Array
        The array.
    objects : ZarrObjects
        The store that it belongs to.
    """

    def __init__(self, array: Any, objects: ZarrObjects) -> None:
        self._array = array
        self._objects = objects
        self._last: Selection | None = None
        self._is_told = False
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = array.dtype
        self.chunks: tuple[int, ...] = tuple(array.chunks)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        values: NDArray[Any] = self._array[key]
        selection = None if self._is_told else as_slices(key, self.shape)
        if selection is not None:
            following = next_selection(self._last, selection, self.shape)
            self._last = selection
            self._objects.prefetch(() if following is None else self._keys(following))
        return values

    def prefetch(self, selection: Selection) -> None:
        """Begin to fetch a part that is going to be read (one slice of step 1 per axis); nothing is guessed then."""
        self._is_told = True
        self._objects.prefetch(self._keys(selection))

    @cached_property
    def _separator(self) -> str:
        """What stands between the numbers of a chunk in its key, as the array's stored description says."""
        described = json.loads(self._array.store[f"{self._array.path}/.zarray"])
        return str(described.get("dimension_separator", "."))

    def _keys(self, selection: Selection) -> Iterator[str]:
        """Keys of the chunks that hold a selection."""
        separator = self._separator
        numbers = [
            range(part.start // length, -(-part.stop // length))
            for part, length in zip(selection, self.chunks, strict=True)
        ]
        for place in itertools.product(*numbers):
            yield f"{self._array.path}/{separator.join(map(str, place))}"
