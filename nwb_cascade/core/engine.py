"""Blocks of traces through an ensemble of networks: tiling, averaging, edges.

The engine knows networks only as callables, so it is tested without TensorFlow. It holds one block of ROIs in
memory, however long the recording is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.preparation import Prepared, prepare_trace
from nwb_cascade.core.reading import AS_IT_IS, Reading
from nwb_cascade.core.rest_level import Told, tell_block
from nwb_cascade.core.roi_warnings import RoiWarning

TILE_FRAMES = (256, 512, 1024, 2048, 4096)  # output frames of a row: few shapes, so that compiled code is reused
BATCH_FRAMES = 65_536  # output frames of a call: enough work for all cores, small enough for their caches

Smooth = Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]


class Ensemble(Protocol):
    """Networks that are evaluated together on rows of frames.

    ``before`` and ``after`` are the frames of context that an output frame needs. ``fills_edges`` tells whether
    absent frames (outside the trace, or missing in it) may take the place of context; where they may not, an
    output frame without its full context gets no value.
    """

    @property
    def before(self) -> int: ...

    @property
    def after(self) -> int: ...

    @property
    def fills_edges(self) -> bool: ...

    def __call__(
        self,
        traces: NDArray[np.float32],
        present: NDArray[np.bool_],
        noise_level: NDArray[np.float32],
        activity: NDArray[np.float32],
    ) -> NDArray[np.float32]:
        """Map (rows, before + n + after) frames to (members, rows, n) expected spikes per frame.

        Of each row's whole trace it is told the noise level (rows,), % Hz^-1/2, and how active it is (rows,), see
        ``nwb_cascade.core.rest_level``.
        """
        ...


@dataclass(frozen=True)
class NetworkSet:
    """A model's networks: one ensemble per noise level, or a single one (``levels`` empty) that takes any.

    ``reading`` is what they make of whole traces, before those are cut into rows.
    """

    levels: tuple[float, ...]
    ensemble_size: int
    ensemble: Callable[[float], Ensemble]
    reading: Reading = AS_IT_IS


@dataclass(frozen=True, eq=False)
class BlockResult:
    """Inference on one block of ROIs; arrays have one row per ROI of ``rois``.

    ``rest_levels`` and ``activity`` (n,) are mean rest level, dF/F, and activity, see ``nwb_cascade.core.rest_level``,
    whether or not the networks heed them.
    """

    rois: slice
    expected_spikes: NDArray[np.float32]
    ensemble_std: NDArray[np.float32]
    noise_levels: NDArray[np.float32]
    model_noise_levels: NDArray[np.float32]
    rest_levels: NDArray[np.float32]
    activity: NDArray[np.float32]
    valid_frames: NDArray[np.int64]
    warnings: tuple[RoiWarning, ...]


@dataclass(frozen=True)
class _Tile:
    """A row of a batch: the trace it is cut from and the output frames [first, stop) that it serves."""

    trace: int
    first: int
    stop: int


def infer_block(
    dff: NDArray[np.float32],
    imaging_rate: float,
    networks: NetworkSet,
    *,
    first_roi: int = 0,
    smooth: Smooth | None = None,
) -> BlockResult:
    """Infer expected spikes for a block of ROIs.

    Parameters
    ----------
    dff : numpy.ndarray
        (n, n_frames) float32, dF/F as a fraction; NaN where a frame is missing.
    imaging_rate : float
        Rate of the recording, Hz.
    networks : NetworkSet
        The model's networks.
    first_roi : int
        Position of the block in the recording; warnings name ROIs by their index there.
    smooth : callable, optional
        Applied to the networks' outputs (ensemble_size, n_frames) of each ROI, NaN where a frame is missing.

    Returns
    -------
    BlockResult
        ``expected_spikes`` (n, n_frames) is the mean over networks, before any threshold; ``ensemble_std`` their
        sample standard deviation (0 for a single network). Both are NaN where the model gives no value.
    """
    return infer_stretches([dff], [tell_block(dff, imaging_rate)], networks, first_roi=first_roi, smooth=smooth)[0]


def infer_stretches(
    parts: Sequence[NDArray[np.float32]],
    told: Sequence[Told],
    networks: NetworkSet,
    *,
    first_roi: int = 0,
    smooth: Smooth | None = None,
) -> list[BlockResult]:
    """Infer stretches (n, n_frames) of the same ROIs, of any lengths but of one rate; short ones share calls.

    ``told`` is what the networks are told of each stretch; the rest as `infer_block`.
    """
    levels = [networks.reading.noise_levels(one, part.shape[1]) for one, part in zip(told, parts, strict=True)]
    used = [nearest_levels(one, networks.levels) for one in levels]
    outputs = [np.full((networks.ensemble_size, *part.shape), np.nan, np.float32) for part in parts]
    warnings: list[list[RoiWarning]] = [[] for _ in parts]
    rows = [(part, roi) for part, one in enumerate(parts) for roi in range(len(one))]
    told_levels, activity = np.concatenate(levels), np.concatenate([one.activity for one in told])
    for level, members in _groups(np.concatenate(used), networks.levels):
        ensemble = networks.ensemble(level)
        window_size = ensemble.before + 1 + ensemble.after
        traces = [(parts[part][roi], part, roi) for part, roi in (rows[member] for member in members)]
        prepared = [prepare_trace(one, window_size, fills_edges=ensemble.fills_edges) for one, _, _ in traces]
        prepared = networks.reading.traces(prepared, [(told[part], roi) for _, part, roi in traces])
        for tile, values in _evaluate(prepared, told_levels[members], activity[members], ensemble):
            _, part, roi = traces[tile.trace]
            outputs[part][:, roi, tile.first : tile.stop] = values
        for (_, part, roi), one in zip(traces, prepared, strict=True):
            warnings[part] += [RoiWarning(first_roi + roi, code, message) for code, message in one.notes]
            outputs[part][:, roi, ~one.present] = np.nan
            if smooth is not None and one.parts:
                outputs[part][:, roi] = smooth(outputs[part][:, roi])
            if not one.parts:
                used[part][roi] = np.nan
    block = slice(first_roi, first_roi + len(parts[0]))
    return [
        BlockResult(
            block,
            *found,
            one.noise_level,
            used_level,
            one.mean_rest(found[0].shape[1]).astype(np.float32),
            one.activity,
            valid_bounds(np.isfinite(found[0])),
            tuple(noted),
        )
        for found, one, used_level, noted in zip(map(_statistics, outputs), told, used, warnings, strict=True)
    ]


def nearest_levels(levels: NDArray[np.float32], model_levels: Sequence[float]) -> NDArray[np.float32]:
    """Noise level of the network that serves each ROI: the nearest of the model's, or the ROI's own if it takes any."""
    if not model_levels:
        return levels.copy()
    available = np.asarray(model_levels, np.float32)
    finite = np.where(np.isfinite(levels), levels, available[0])
    nearest: NDArray[np.float32] = available[np.argmin(np.abs(finite[:, None] - available), axis=1)]
    return nearest


def valid_bounds(given: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First frame with a value and one past the last, per row of (n, n_frames); (0, 0) where there is none."""
    bounds = np.zeros((len(given), 2), np.int64)
    for row, frames in zip(bounds, given, strict=True):
        if frames.any():
            row[:] = frames.argmax(), len(frames) - frames[::-1].argmax()
    return bounds


def _groups(used: NDArray[np.float32], model_levels: Sequence[float]) -> Iterator[tuple[float, NDArray[np.intp]]]:
    """ROIs that share an ensemble, with its noise level."""
    if not model_levels:
        yield np.nan, np.arange(len(used))
        return
    for level in np.unique(used):
        yield float(level), np.flatnonzero(used == level)


def _evaluate(
    prepared: Sequence[Prepared], levels: NDArray[np.float32], activity: NDArray[np.float32], ensemble: Ensemble
) -> Iterator[tuple[_Tile, NDArray[np.float32]]]:
    """Run traces through an ensemble in rows of one shape; yields a tile and its (members, frames) values."""
    spans = [
        (trace, low, high) if ensemble.fills_edges else (trace, low + ensemble.before, high - ensemble.after)
        for trace, one in enumerate(prepared)
        for low, high in one.parts
    ]
    context = ensemble.before + ensemble.after
    length = _tile_length([stop - first for _, first, stop in spans], context)
    tiles = [
        _Tile(trace, first, min(first + length, stop))
        for trace, start, stop in spans
        for first in range(start, stop, length)
    ]
    rows_per_batch = BATCH_FRAMES // length
    for begin in range(0, len(tiles), rows_per_batch):
        batch = tiles[begin : begin + rows_per_batch]
        traces = np.zeros((rows_per_batch, length + context), np.float32)
        present = np.zeros(traces.shape, bool)
        noise, active = np.ones(rows_per_batch, np.float32), np.zeros(rows_per_batch, np.float32)
        for row, tile in enumerate(batch):
            _cut(prepared[tile.trace], tile.first - ensemble.before, traces[row], present[row])
            noise[row], active[row] = levels[tile.trace], activity[tile.trace]
        values = ensemble(traces, present, noise, active)
        for row, tile in enumerate(batch):
            yield tile, values[:, row, : tile.stop - tile.first]


def _tile_length(n_outputs: Sequence[int], context: int) -> int:
    """The row length of ``TILE_FRAMES`` that computes the fewest frames for these numbers of output frames."""
    wanted = np.asarray(n_outputs)
    costs = [np.sum(-(-wanted // length)) * (length + context) for length in TILE_FRAMES]
    return TILE_FRAMES[int(np.argmin(costs))]


def _cut(one: Prepared, start: int, trace: NDArray[np.float32], present: NDArray[np.bool_]) -> None:
    """Fill a row with the frames from ``start`` on; frames outside the trace stay absent."""
    low, high = max(start, 0), min(start + len(trace), len(one.trace))
    trace[low - start : high - start] = one.trace[low:high]
    present[low - start : high - start] = one.present[low:high]


def _statistics(outputs: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and sample standard deviation over networks, ROI by ROI so that no copy of the block is made."""
    n_members, n_rois, _ = outputs.shape
    mean = np.empty(outputs.shape[1:], np.float32)
    deviation = np.empty_like(mean)
    for roi in range(n_rois):
        members = outputs[:, roi]
        mean[roi] = members.mean(axis=0)
        deviation[roi] = members.std(axis=0, ddof=1) if n_members > 1 else members[0] * 0
    return mean, deviation
