"""The ROIs in their field of view, small enough for a page: the ROI of each pixel, over the picture of the plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.nwb.masks import Mask, picture_of, read_masks
from nwb_cascade.nwb.stored_run import StoredRun

MOST_SIDE = 512  # pixels on the page
DARKEST, BRIGHTEST = 1.0, 99.7  # percentiles of the picture that are shown black and white


@dataclass(frozen=True, eq=False)
class FieldOfView:
    """The plane as a page shows it, x to the right and y down.

    Parameters
    ----------
    labels : numpy.ndarray
        (n_y, n_x) int64, ROI (its position in the run) of each pixel; -1: none.
    centres : numpy.ndarray
        (n_rois, 2) float64, x and y in pixels of the file; NaN for an ROI without a mask.
    picture : numpy.ndarray or None
        (n_y, n_x) uint8, black to white.
    picture_name : str
        Where the picture lies below the processing modules; empty without one.
    pixels : int
        Pixels of the file along one of the page's.
    """

    labels: NDArray[np.int64]
    centres: NDArray[np.float64]
    picture: NDArray[np.uint8] | None
    picture_name: str
    pixels: int


def field_of_view(run: StoredRun) -> FieldOfView | None:
    """Return where the ROIs of a run lie; None if the file has no masks of them."""
    region = run.series.rois
    found = read_masks(region.table, np.asarray(region.data[:], np.int64)[: run.shape[0]])
    if found is None:
        return None
    extent, masks = found
    picture = picture_of(run.nwbfile, region.table, extent)
    if picture is not None:
        extent = picture.values.shape[0], picture.values.shape[1]
    pixels = -(-max(extent) // MOST_SIDE)
    return FieldOfView(
        labels=_labels(masks, extent, pixels),
        centres=np.array([_centre(mask) for mask in masks]),
        picture=None if picture is None else _shades(picture.values, pixels),
        picture_name="" if picture is None else picture.name,
        pixels=pixels,
    )


def _labels(masks: Sequence[Mask], extent: tuple[int, int], pixels: int) -> NDArray[np.int64]:
    """The ROI of every pixel of the page: of several that overlap, the one with most of its largest weight."""
    shape = -(-extent[1] // pixels), -(-extent[0] // pixels)
    labels, most = np.full(shape, -1, np.int64).ravel(), np.zeros(shape).ravel()
    for roi, mask in enumerate(masks):
        share = mask.weight / mask.weight.max(initial=1e-300)
        ascending = np.argsort(share)  # of pixels of the file that are one on the page, the last one counts
        share, where = share[ascending], ((mask.y // pixels) * shape[1] + mask.x // pixels)[ascending]
        larger = share > most[where]
        labels[where[larger]] = roi
        most[where[larger]] = share[larger]
    return labels.reshape(shape)


def _centre(mask: Mask) -> tuple[float, float]:
    if not mask.x.size:
        return np.nan, np.nan
    return float(np.average(mask.x, weights=mask.weight)), float(np.average(mask.y, weights=mask.weight))


def _shades(picture: NDArray[np.float32], pixels: int) -> NDArray[np.uint8]:
    """Means over the pixels of one of the page's, from black to white."""
    padded = np.pad(picture.T, [(0, -size % pixels) for size in picture.T.shape], mode="edge")
    rows, columns = (size // pixels for size in padded.shape)
    means = np.nan_to_num(padded.reshape(rows, pixels, columns, pixels).mean(axis=(1, 3)))
    low, high = np.percentile(means, (DARKEST, BRIGHTEST))
    return np.asarray(np.rint(np.clip((means - low) / max(high - low, 1e-12), 0, 1) * 255), np.uint8)
