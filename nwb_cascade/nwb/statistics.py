"""One pass over stored traces: NaN, noise levels, and traces that are no recordings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.preparation import are_scattered
from nwb_cascade.core.wording import counted
from nwb_cascade.nwb.blocks import StoredTraces, TraceBlocks
from nwb_cascade.nwb.candidate import NoiseQuantiles

NOISE_KINDS = ("dff", "denoised", "unknown")  # kinds whose noise level means something
PADDED_KINDS = ("dff", "raw_fluorescence", "neuropil", "unknown")  # kinds that are never exactly zero by nature
READ_ITEMS = 2**21  # values read at a time: 8 MiB as float32
Z_SCORE_TOLERANCE = 0.01
Z_SCORE_SHARE = 0.9
LOWEST_NOISE = 0.3  # % Hz^-1/2; denoised traces have less, recordings about 0.5 and more
HIGHEST_NOISE = 50.0


@dataclass(frozen=True)
class Statistics:
    """What one pass over the traces found; fields as in `candidate.Candidate`."""

    nan_fraction: float | None = None
    noise_levels: NoiseQuantiles | None = None
    problems: tuple[str, ...] = ()


def trace_statistics(
    stored: StoredTraces, *, kind: str, imaging_rate: float | None, scratch_dir: str | Path | None = None
) -> Statistics:
    """Read all traces once, in bounded memory.

    Parameters
    ----------
    stored : StoredTraces
        The dataset, with at least one ROI and one frame; dF/F in percent has ``factor=0.01``.
    kind : str
        Of `candidate.KINDS`; decides what is worth looking for.
    imaging_rate : float or None
        Hz; without it there are no noise levels.
    scratch_dir : path, optional
        Folder for a scratch file, see `blocks.TraceBlocks`.
    """
    tally = _Tally(stored.shape[0])
    noise = np.full(stored.shape[0], np.nan, dtype=np.float32)
    if imaging_rate is not None and kind in NOISE_KINDS:
        _by_roi(stored, tally, noise, imaging_rate, scratch_dir)
    else:
        for rois, frames in stored.tiles(slice(0, stored.shape[0]), READ_ITEMS):
            tally.add(rois, frames, stored.read(rois, frames))
    noise[~tally.varied] = np.nan
    gaps = tally.gaps.problems() if kind in PADDED_KINDS else ()
    levels = noise_quantiles(noise)
    problems = (
        *tally.problems(stored.shape[1], padding=kind in PADDED_KINDS, z_scores=kind in NOISE_KINDS),
        *gaps,
        *_noise_problems(levels, kind),
    )
    return Statistics(float(tally.n_nan.sum() / np.prod(stored.shape)), levels, problems)


def _by_roi(
    stored: StoredTraces, tally: _Tally, noise: NDArray[np.float32], imaging_rate: float, scratch_dir: str | Path | None
) -> None:
    """Fill the tally and the noise levels from whole traces."""
    n_rois, n_frames = stored.shape
    rows = max(1, READ_ITEMS // n_frames)
    blocks = TraceBlocks(stored, block_bytes=16 * READ_ITEMS, scratch_dir=scratch_dir)
    try:
        for start in range(0, n_rois, rows):
            rois = slice(start, min(start + rows, n_rois))
            values = blocks[rois]
            tally.add(rois, slice(0, n_frames), values)
            noise[rois] = noise_level(values, imaging_rate)
    finally:
        blocks.close()


def noise_quantiles(noise: NDArray[np.float32]) -> NoiseQuantiles | None:
    """Summarise noise levels (n_rois,), NaN where a trace has none; None if no trace has one."""
    known = noise[np.isfinite(noise)]
    if not known.size:
        return None
    quantiles = np.quantile(known.astype(np.float64), (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1))
    low, q05, q25, median, q75, q95, high = (float(q) for q in quantiles)
    return NoiseQuantiles(low, q05, q25, median, q75, q95, high, undefined=int(noise.size - known.size))


def _noise_problems(levels: NoiseQuantiles | None, kind: str) -> tuple[str, ...]:
    """Say where noise levels are not those of recordings."""
    if levels is None or kind == "denoised":
        return ()
    if levels.median < LOWEST_NOISE:
        return (
            f"The median noise level is {levels.median:.2g} % Hz^-1/2, below that of recordings: "
            "the traces may have been denoised or smoothed.",
        )
    if levels.median > HIGHEST_NOISE:
        return (
            f"The median noise level is {levels.median:.3g} % Hz^-1/2, above that of usable recordings: "
            "the traces may be in percent, or no dF/F.",
        )
    return ()


class _Gaps:
    """Steps between frames with a value, per ROI, gathered rectangle by rectangle."""

    def __init__(self, n_rois: int) -> None:
        self.last = np.full(n_rois, -1, dtype=np.int32)  # frame with a value
        self.n_steps = np.zeros(n_rois, dtype=np.int64)
        self.n_gaps = np.zeros(n_rois, dtype=np.int64)
        self.shortest = np.full(n_rois, np.iinfo(np.int32).max, dtype=np.int32)
        self.longest = np.zeros(n_rois, dtype=np.int32)

    def add(self, rois: slice, frames: slice, finite: NDArray[np.bool_]) -> None:
        """Add which values (n, m) of some ROIs and frames there are; later frames come later."""
        frame = np.arange(frames.start, frames.stop, dtype=np.int32)
        if finite.all() and (self.last[rois] == frames.start - 1).all():  # most recordings lack nothing
            if n_steps := len(frame) - (frames.start == 0):
                self.n_steps[rois] += n_steps
                self.shortest[rois], self.longest[rois] = 1, np.maximum(self.longest[rois], 1)
            self.last[rois] = frames.stop - 1
            return
        latest = np.maximum.accumulate(np.column_stack((self.last[rois], np.where(finite, frame, -1))), axis=1)
        steps = np.where(finite & (latest[:, :-1] >= 0), frame - latest[:, :-1], 0)
        self.n_steps[rois] += (steps > 0).sum(axis=1)
        self.n_gaps[rois] += (steps > 1).sum(axis=1)
        self.shortest[rois] = np.minimum(self.shortest[rois], np.min(steps, axis=1, where=steps > 0, initial=2**31 - 1))
        self.longest[rois] = np.maximum(self.longest[rois], steps.max(axis=1))
        self.last[rois] = latest[:, -1]

    def problems(self) -> tuple[str, ...]:
        """Say which traces have their values in short pieces, see `nwb_cascade.core.preparation`."""
        scattered = are_scattered(self.n_steps, self.n_gaps)
        regular = scattered & (self.shortest == self.longest)
        pieces, n_rois, found = scattered & ~regular, counted(len(scattered), "ROI"), []
        if regular.any():
            low, high = int(self.shortest[regular].min()), int(self.shortest[regular].max())
            every = str(low) if low == high else f"{low} to {high}"
            found.append(
                f"{np.count_nonzero(regular)} of {n_rois} have values in one frame of {every} only: store these frames "
                f"alone, at the imaging rate divided by {every}."
            )
        if pieces.any():
            length = np.median(self.n_steps[pieces] / self.n_gaps[pieces])
            found.append(
                f"{np.count_nonzero(pieces)} of {n_rois} have values in pieces of {length:.2g} frames on average: "
                "rates are uncertain by a third."
            )
        return tuple(found)


class _Tally:
    """Sums and extremes per ROI, gathered rectangle by rectangle."""

    def __init__(self, n_rois: int) -> None:
        self.n_nan = np.zeros(n_rois, dtype=np.int64)
        self.n_infinite = np.zeros(n_rois, dtype=np.int64)
        self.n_frames = np.zeros(n_rois, dtype=np.int64)
        self.low = np.full(n_rois, np.inf)
        self.high = np.full(n_rois, -np.inf)
        self.total = np.zeros(n_rois)
        self.squares = np.zeros(n_rois)
        self.last_signal = np.full(n_rois, -1, dtype=np.int64)
        self.gaps = _Gaps(n_rois)

    def add(self, rois: slice, frames: slice, values: NDArray[np.float32]) -> None:
        """Add values (n, m) of some ROIs and frames; later frames come later."""
        finite = np.isfinite(values)
        self.gaps.add(rois, frames, finite)
        self.n_nan[rois] += np.isnan(values).sum(axis=1)
        self.n_infinite[rois] += np.isinf(values).sum(axis=1)
        self.n_frames[rois] += finite.sum(axis=1)
        self.low[rois] = np.minimum(self.low[rois], np.min(values, axis=1, where=finite, initial=np.inf))
        self.high[rois] = np.maximum(self.high[rois], np.max(values, axis=1, where=finite, initial=-np.inf))
        self.total[rois] += np.sum(values, axis=1, where=finite, dtype=np.float64)
        self.squares[rois] += np.sum(np.square(values, dtype=np.float64), axis=1, where=finite)
        signal = values != 0
        last = frames.stop - 1 - np.argmax(signal[:, ::-1], axis=1)
        self.last_signal[rois] = np.where(signal.any(axis=1), last, self.last_signal[rois])

    @property
    def varied(self) -> NDArray[np.bool_]:
        """(n_rois,) whether a trace has values that differ."""
        return np.asarray(self.high > self.low)

    def problems(self, n_frames: int, *, padding: bool, z_scores: bool) -> tuple[str, ...]:
        """Say which traces are no recordings, one sentence each."""
        n_rois = len(self.n_nan)
        empty = self.n_nan == n_frames
        zero = (self.low == 0) & (self.high == 0)
        flat = (self.n_frames > 1) & ~zero & ~self.varied
        found = [
            f"{np.count_nonzero(mask)} of {counted(n_rois, 'ROI')} {words}."
            for mask, words in (
                (empty, "are NaN throughout"),
                (self.n_infinite > 0, "have infinite values"),
                (zero, "are zero throughout"),
                (flat, "never change"),
            )
            if mask.any()
        ]
        padded = self.varied & (self.last_signal < n_frames - 1)
        if padding and padded.any():
            longest = n_frames - 1 - int(self.last_signal[padded].min())
            found.append(
                f"{np.count_nonzero(padded)} of {counted(n_rois, 'ROI')} end in exact zeros (up to "
                f"{counted(longest, 'frame')}): padding, such as suite2p adds to short planes."
            )
        if z_scores and self._are_z_scores():
            found.append("The traces have mean 0 and standard deviation 1: they may be z-scores, not dF/F.")
        return tuple(found)

    def _are_z_scores(self) -> bool:
        """Whether nearly all traces have mean 0 and standard deviation 1."""
        if not self.varied.any():
            return False
        mean = self.total[self.varied] / self.n_frames[self.varied]
        deviation = np.sqrt(np.maximum(0, self.squares[self.varied] / self.n_frames[self.varied] - mean**2))
        alike = (np.abs(mean) < Z_SCORE_TOLERANCE) & (np.abs(deviation - 1) < Z_SCORE_TOLERANCE)
        return bool(np.mean(alike) >= Z_SCORE_SHARE)
