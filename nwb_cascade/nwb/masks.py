"""Where ROIs lie in their field of view: their masks, and the picture of the plane where the file has one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hdmf.common import DynamicTable, VectorIndex
from numpy.typing import NDArray
from pynwb import NWBFile
from pynwb.base import Image

from nwb_cascade.nwb.objects import objects_of

BLOCK_BYTES = 64 * 2**20
MOST_PIXELS = 2**25  # of a field of view: 5792 × 5792
MOST_LISTED = 2**26  # pixels of all masks together
LEAST_SHARE = 0.1  # of a mask's largest weight: less is no part of an ROI's picture
PICTURES = (r"mean|average|avg", r"max|proj", r"corr")  # what they are called, the best one first


@dataclass(frozen=True, eq=False)
class Mask:
    """The pixels of one ROI: (n,) places along both axes of the plane, and weights above 0."""

    x: NDArray[np.int64]
    y: NDArray[np.int64]
    weight: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Picture:
    """The plane as a picture: (n_x, n_y) values, indexed as the masks are, and what the file calls it."""

    values: NDArray[np.float32]
    name: str


def read_masks(table: DynamicTable, rows: NDArray[np.int64]) -> tuple[tuple[int, int], list[Mask]] | None:
    """Return the extent (n_x, n_y) of the plane and the masks of some rows of a table of ROIs.

    x is the first axis of image masks and the first number of pixel masks, as NWB defines them. Volumes are seen along
    their last axis. An ROI whose mask is empty has no pixels.

    Returns
    -------
    ((int, int), list of Mask) or None
        None if the table has no masks, or a plane of more than 2^25 pixels.
    """
    for name, read in (("image_mask", _of_images), ("pixel_mask", _of_pixels), ("voxel_mask", _of_pixels)):
        if name in table.colnames:
            found = read(table[name], rows)
            if found is None or found[0][0] * found[0][1] <= MOST_PIXELS:
                return found
    return None


def picture_of(nwbfile: NWBFile, table: DynamicTable, extent: tuple[int, int]) -> Picture | None:
    """Return the mean image of the plane of a table of ROIs, else a projection or a correlation image.

    None if no picture of the plane's size is named so, or if several are and none is named like the plane.
    """
    images = {
        path: one
        for path, one in objects_of(nwbfile, Image).items()
        if one.get_ancestor("ProcessingModule") is not None and len(np.shape(one.data)) == 2
    }
    for pattern in PICTURES:
        fitting = {
            path: one
            for path, one in images.items()
            if re.search(pattern, one.name, re.IGNORECASE) and _oriented(np.shape(one.data), extent) is not None
        }
        if len(fitting) > 1:
            names = [_number(one.name) for one in (table, getattr(table, "imaging_plane", None)) if one is not None]
            fitting = {path: one for path, one in fitting.items() if _number(path) in names}
        if len(fitting) == 1:
            ((path, one),) = fitting.items()
            values = np.asarray(one.data[:], np.float32)
            return Picture(
                values.T if _oriented(values.shape, extent) else values, path.removeprefix("/processing").lstrip("/")
            )
    return None


def _oriented(shape: tuple[int, ...], extent: tuple[int, int]) -> bool | None:
    """Whether a picture has to be transposed to hold all masks; None if it cannot hold them."""
    for transposed, (n_x, n_y) in ((False, shape), (True, shape[::-1])):
        if n_x >= extent[0] and n_y >= extent[1] and n_x * n_y <= MOST_PIXELS:
            return transposed
    return None


def _number(name: str) -> str:
    """The last number in a name, which tells planes apart."""
    return str((re.findall(r"\d+", name) or [""])[-1])


def _of_images(column: Any, rows: NDArray[np.int64]) -> tuple[tuple[int, int], list[Mask]] | None:
    """Masks that are pictures (n_rois, n_x, n_y[, n_z]), read some ROIs at a time."""
    shape = np.shape(column.data)
    if len(shape) not in (3, 4) or 0 in shape or np.prod(shape[1:], dtype=float) > MOST_PIXELS:
        return None
    step = max(1, BLOCK_BYTES // (8 * int(np.prod(shape[1:]))))
    found: dict[int, Mask] = {}
    for first in range(0, shape[0], step):
        wanted = rows[(rows >= first) & (rows < first + step)]
        if wanted.size:
            block = np.asarray(column.data[first : first + step])
            found |= {int(row): _of_image(block[row - first]) for row in wanted}
    return (int(shape[1]), int(shape[2])), [found[int(row)] for row in rows]


def _of_image(values: NDArray[Any]) -> Mask:
    weights = np.nan_to_num(np.asarray(values, np.float64))
    flat = weights.max(axis=2) if weights.ndim == 3 else weights
    x, y = np.nonzero(flat > LEAST_SHARE * max(0.0, float(flat.max(initial=0.0))))
    return Mask(x, y, flat[x, y])


def _of_pixels(column: Any, rows: NDArray[np.int64]) -> tuple[tuple[int, int], list[Mask]] | None:
    """Masks that are lists of pixels (x, y[, z], weight); the plane ends where the last of them lies."""
    if not isinstance(column, VectorIndex):
        return None
    data = getattr(column.target.data, "dataset", column.target.data)
    if len(data) > MOST_LISTED:
        return None
    stored = np.asarray(data[:])
    if stored.dtype.names is None:  # a list of tuples in memory
        stored = np.array([tuple(one) for one in stored], [("x", "u4"), ("y", "u4"), ("weight", "f4")])
    ends = np.concatenate([[0], np.asarray(column.data[:], np.int64)])
    masks = list(_lists(stored, ends, rows))
    reach = [(int(one.x.max()) + 1, int(one.y.max()) + 1) for one in masks if one.x.size]
    return None if not reach else ((max(x for x, _ in reach), max(y for _, y in reach)), masks)


def _lists(stored: NDArray[Any], ends: NDArray[np.int64], rows: NDArray[np.int64]) -> Iterator[Mask]:
    """Yield the mask of each row; weights that are all 0 or unknown count alike."""
    for row in rows:
        own = stored[ends[row] : ends[row + 1]]
        weight = np.nan_to_num(own["weight"].astype(np.float64))
        weight = weight if (weight > 0).any() else np.ones(len(own))
        kept = weight > LEAST_SHARE * weight.max(initial=0.0)
        yield Mask(own["x"].astype(np.int64)[kept], own["y"].astype(np.int64)[kept], weight[kept])
