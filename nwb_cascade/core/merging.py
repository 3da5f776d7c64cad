"""Results of the stretches of a recording put together: values at its own frames, one noise level and note per ROI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.clock import FrameClock, Part
from nwb_cascade.core.engine import BlockResult, valid_bounds
from nwb_cascade.core.noise import ENOUGH_FRAMES, noise_level
from nwb_cascade.core.noise_changes import LEAST_RATIO
from nwb_cascade.core.preparation import MISSING_FRAMES, missing_frames
from nwb_cascade.core.roi_warnings import RoiWarning
from nwb_cascade.core.stretches import Stretch
from nwb_cascade.core.wording import counted

NOISE_CHANGES = "noise-changes"


def stretch_noise_levels(parts: Sequence[Part]) -> list[NDArray[np.float32]]:
    """Return the noise level of every ROI in each stretch (n,), % Hz^-1/2.

    Stretches too short to tell share what all stretches of their rate tell together.
    """
    own = [noise_level(dff, stretch.imaging_rate) for stretch, dff in parts]
    shared: dict[float, NDArray[np.float32]] = {}
    for rate in {stretch.imaging_rate for stretch, _ in parts}:
        of_rate = [number for number, (stretch, _) in enumerate(parts) if stretch.imaging_rate == rate]
        shared[rate] = weighted([parts[number][0] for number in of_rate], [own[number] for number in of_rate])
    return [
        level if stretch.n_frames >= ENOUGH_FRAMES else shared[stretch.imaging_rate]
        for (stretch, _), level in zip(parts, own, strict=True)
    ]


def weighted(stretches: Sequence[Stretch], values: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the mean (n,) over stretches, each counting by its frames; NaN counts nothing."""
    frames = np.array([stretch.n_frames for stretch in stretches], np.float64)[:, None]
    stacked = np.array(values, np.float64)
    weights = np.where(np.isfinite(stacked), frames, 0.0)
    total = weights.sum(axis=0)
    mean = np.divide(np.nansum(stacked * weights, axis=0), total, out=np.full(total.shape, np.nan), where=total > 0)
    return np.asarray(mean, np.float32)


def merged(clock: FrameClock, blocks: Sequence[BlockResult], dff: NDArray[Any]) -> BlockResult:
    """Put the results of all stretches of a block of ROIs together.

    Parameters
    ----------
    clock : FrameClock
        Whose stretches they are.
    blocks : sequence of BlockResult
        One for each, on its grid.
    dff : numpy.ndarray
        (n, n_frames), the traces as they were read.
    """
    stretches = clock.stretches
    expected = clock.gather(zip(stretches, (block.expected_spikes for block in blocks), strict=True))
    given = np.isfinite(expected)
    return replace(
        blocks[0],
        expected_spikes=expected,
        ensemble_std=clock.gather(zip(stretches, (block.ensemble_std for block in blocks), strict=True)),
        noise_levels=weighted(stretches, [block.noise_levels for block in blocks]),
        model_noise_levels=weighted(stretches, [block.model_noise_levels for block in blocks]),
        rest_levels=weighted(stretches, [block.rest_levels for block in blocks]),
        valid_frames=valid_bounds(given),
        warnings=(
            *_warnings(stretches, blocks, np.where(given.any(axis=1), np.isnan(dff).sum(axis=1), 0)),
            *_noise_warnings(stretches, blocks),
        ),
    )


def joined_rois(first_roi: int, groups: Sequence[tuple[Sequence[int] | NDArray[np.intp], BlockResult]]) -> BlockResult:
    """Put the results of groups of ROIs together, which were inferred apart, each as if it began with ROI 0.

    Parameters
    ----------
    first_roi : int
        Position of the block in the recording.
    groups : sequence of (int, BlockResult)
        The rows of the block that a group is.
    """
    if len(groups) == 1:
        rows, block = groups[0]
        return _moved(block, np.arange(first_roi, first_roi + len(rows)), slice(first_roi, first_roi + len(rows)))
    order = np.argsort(np.concatenate([rows for rows, _ in groups]))
    parts = [_moved(block, first_roi + np.asarray(rows), slice(0)) for rows, block in groups]
    arrays = {
        name: np.concatenate([getattr(one, name) for one in parts])[order]
        for name in (one.name for one in fields(BlockResult))
        if name not in ("rois", "warnings")
    }
    warnings = tuple(warning for one in parts for warning in one.warnings)
    return BlockResult(slice(first_roi, first_roi + len(order)), **arrays, warnings=warnings)


def nothing_inferred(n_rois: int, n_frames: int, note: tuple[str, str]) -> BlockResult:
    """Return the result of ROIs from which nothing was inferred, with a note (code, sentence) on each of them why."""
    values, unknown = np.full((n_rois, n_frames), np.nan, np.float32), np.full(n_rois, np.nan, np.float32)
    warnings = tuple(RoiWarning(roi, *note) for roi in range(n_rois))
    bounds = np.zeros((n_rois, 2), np.int64)
    return BlockResult(slice(0, n_rois), values, values, unknown, unknown, unknown, unknown, bounds, warnings)


def _moved(block: BlockResult, rois: NDArray[np.intp], place: slice) -> BlockResult:
    """Return a block whose ROIs are others of the recording."""
    warnings = tuple(replace(warning, roi=int(rois[warning.roi])) for warning in block.warnings)
    return replace(block, rois=place, warnings=warnings)


def _noise_warnings(stretches: Sequence[Stretch], blocks: Sequence[BlockResult]) -> Iterator[RoiWarning]:
    """Yield a note on every ROI whose noise level differs much between stretches that are long enough to tell."""
    long = [(one, block) for one, block in zip(stretches, blocks, strict=True) if one.n_frames >= ENOUGH_FRAMES]
    if len(long) < 2:
        return
    levels = np.stack([block.noise_levels for _, block in long])
    quiet, loud = (np.where(np.isfinite(levels), levels, filler) for filler in (np.inf, -np.inf))
    for row in np.flatnonzero(loud.max(axis=0) > LEAST_RATIO * quiet.min(axis=0)):
        ends = sorted({int(quiet[:, row].argmin()), int(loud[:, row].argmax())})
        said = ", ".join(
            f"{levels[at, row]:.2g} in frames {long[at][0].first} to {long[at][0].stop - 1}" for at in ends
        )
        yield RoiWarning(
            blocks[0].rois.start + int(row),
            NOISE_CHANGES,
            f"the noise level changes: {said}; the networks were told what holds in each stretch",
        )


def _warnings(
    stretches: Sequence[Stretch], blocks: Sequence[BlockResult], n_missing: NDArray[np.intp]
) -> tuple[RoiWarning, ...]:
    """Return what was noted in stretches, each kind once for a ROI, and how many of its values (n,) are NaN.

    What the networks noted of missing frames counts those of the clock as well, of which the recording tells once.
    """
    found: dict[tuple[int, str], list[tuple[Stretch, RoiWarning]]] = {}
    for stretch, block in zip(stretches, blocks, strict=True):
        for one in block.warnings:
            if one.code != MISSING_FRAMES:
                found.setdefault((one.roi, one.code), []).append((stretch, one))
    first = blocks[0].rois.start
    missing = [RoiWarning(first + row, *missing_frames(count)) for row, count in enumerate(n_missing.tolist()) if count]
    return (*missing, *(_in_words(where, len(stretches)) for where in found.values()))


def _in_words(where: Sequence[tuple[Stretch, RoiWarning]], n_stretches: int) -> RoiWarning:
    """Return a warning that says in which frames it holds, unless that is everywhere."""
    stretch, warning = where[0]
    if n_stretches == 1:
        return warning
    more = f" and {counted(len(where) - 1, 'more stretch', 'more stretches')}" if len(where) > 1 else ""
    return replace(warning, message=f"frames {stretch.first} to {stretch.stop - 1}{more}: {warning.message}")
