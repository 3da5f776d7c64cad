"""Training batches: random crops of recordings resampled to random rates, with random noise and perturbations.

Every batch depends on (seed, step) alone, so that a training that was killed continues exactly where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_level, noise_std
from nwb_cascade.core.rest_level import fluorescence, from_rest, tell_apart
from nwb_cascade.training.bank import SegmentBank, TrainingSegment
from nwb_cascade.training.silence import draw_silence

LOWEST_NOISE = 0.3
WEIGHT_EXPONENT = 0.75  # with 1 every cell would count alike; a little less keeps near-silent cells from ruling
CONTEXT_FRAMES = 8192  # of a trial, around a crop, by which its rest level and activity are known
QUIET_S = 2.0  # without a spike on either side, a frame is quiet ...
QUIET_WEIGHT = 2.0  # ... and what is seen there counts more: most frames of most cells are, and users sum over them


@dataclass(frozen=True)
class Augmentation:
    """How recordings are varied. Probabilities are per crop, spreads are of normal distributions.

    ``noise_levels`` are the ends of the usual range of target noise levels (log-uniform, % Hz^-1/2); one crop in
    ``1 / high_noise_share`` draws from there up to ``highest_noise``. ``gain_spread`` multiplies dF/F by
    exp(normal), ``baseline_spread`` adds a constant in units of the trace's own spread, ``drift_share`` adds a slow
    wave, ``gap_share`` takes out a stretch of frames, ``noise_spread`` misstates the noise level.
    """

    noise_levels: tuple[float, float] = (0.7, 12.0)
    highest_noise: float = 30.0
    high_noise_share: float = 0.08
    gain_spread: float = 0.08
    baseline_spread: float = 0.1
    drift_share: float = 0.25
    gap_share: float = 0.1
    noise_spread: float = 0.05


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Inputs and targets of one step; arrays (batch, n) float32 unless said otherwise.

    ``trace`` is dF/F, 0 and ``present`` 0 where nothing was measured; ``noise_level`` and ``imaging_rate`` (batch,);
    ``indicator`` (batch,) int32; ``counts`` spikes per frame; ``weight`` of every frame's error; ``around`` what was
    recorded around the crops, NaN where nothing was, and ``offsets`` (batch,) the frame of it where each begins.
    """

    trace: NDArray[np.float32]
    present: NDArray[np.float32]
    noise_level: NDArray[np.float32]
    imaging_rate: NDArray[np.float32]
    indicator: NDArray[np.int32]
    counts: NDArray[np.float32]
    weight: NDArray[np.float32]
    around: NDArray[np.float32]
    offsets: NDArray[np.intp]

    @property
    def from_rest(self) -> NDArray[np.float32]:
        """``trace`` relative to its rest level, 0 where nothing was measured."""
        return np.where(self.present > 0, from_rest(self.trace, self._rest, self._told[3]), 0).astype(np.float32)

    @property
    def noise_level_from_rest(self) -> NDArray[np.float32]:
        """Noise level of ``from_rest``, (batch,)."""
        scale = self._told[3]
        by = np.where(np.isfinite(scale), scale, fluorescence(self._rest.mean(axis=1)))
        return (self.noise_level / by).astype(np.float32)

    @property
    def activity(self) -> NDArray[np.float32]:
        """How active the whole trace is, (batch,)."""
        return self._told[2]

    @property
    def _rest(self) -> NDArray[np.float64]:
        first, step = self._told[:2]
        return (first + step * self.offsets)[:, None] + step[:, None] * np.arange(self.trace.shape[1])

    @cached_property
    def _told(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32], NDArray[np.float64]]:
        """Rest level at the first frame, its change per frame, activity and scale, as inference finds them."""
        rows = [row[: 1 + np.flatnonzero(np.isfinite(row))[-1]] for row in self.around]
        rates = self.imaging_rate.tolist()
        levels = [float(noise_level(row[None], rate)[0]) for row, rate in zip(rows, rates, strict=True)]
        return tell_apart(rows, rates, levels)


def draw_batch(
    bank: SegmentBank,
    generator: np.random.Generator,
    *,
    batch_size: int,
    n_frames: int,
    augmentation: Augmentation | None,
    unknown_share: float = 0.25,
    silent_share: float = 0.0,
) -> TrainingBatch:
    """Draw crops: datasets by their shares, cells evenly, trials by their length; then noise and perturbations.

    With ``augmentation`` None only noise is added. ``unknown_share`` of the crops are given the code 0, so that the
    network also learns to do without the indicator; ``silent_share`` of them become cells without spikes.
    """
    segments, places = zip(*(_draw_crop(bank, generator, n_frames) for _ in range(batch_size)), strict=True)
    vary = augmentation or Augmentation(gain_spread=0, baseline_spread=0, drift_share=0, gap_share=0, noise_spread=0)
    rate = np.array([s.imaging_rate for s in segments], np.float32)
    indicator = np.array([s.indicator for s in segments], np.int32)
    around, offsets = _with_context(segments, places, n_frames)
    counts = np.stack([_cut(s.counts, place, n_frames, 0.0) for s, place in zip(segments, places, strict=True)])
    gain = np.exp(vary.gain_spread * generator.standard_normal(batch_size))
    around *= gain[:, None].astype(np.float32)
    own_level = gain * [s.noise_level for s in segments]
    weight = np.array([cell_weight(s.counts_per_frame) for s in segments], np.float32)
    for row in np.flatnonzero(generator.random(batch_size) < silent_share):
        background, is_slow = draw_silence(around.shape[1], float(rate[row]), generator)
        around[row] = np.where(np.isfinite(around[row]), background, np.nan)
        counts[row], own_level[row], weight[row] = 0.0, 0.0, cell_weight(0.0)
        if is_slow and indicator[row] not in bank.well_known:
            indicator[row] = 0  # its code would learn that all its transients are silence
    around, level = _with_noise(around, own_level, rate, vary, generator)
    trace = np.stack([_cut(row, offset, n_frames, np.nan) for row, offset in zip(around, offsets, strict=True)])
    trace += _slow_changes(trace, vary, generator)
    _cut_gaps(trace, vary.gap_share, generator)
    present = np.isfinite(trace)
    indicator[generator.random(batch_size) < unknown_share] = 0
    level *= np.exp(vary.noise_spread * generator.standard_normal(batch_size))
    return TrainingBatch(
        trace=np.where(present, trace, 0).astype(np.float32),
        present=present.astype(np.float32),
        noise_level=level.astype(np.float32),
        imaging_rate=rate,
        indicator=indicator,
        counts=(counts * present).astype(np.float32),
        weight=weight[:, None] * np.where(_quiet(counts, rate), QUIET_WEIGHT, 1.0).astype(np.float32),
        around=around,
        offsets=offsets,
    )


def cell_weight(counts_per_frame: float) -> float:
    """Weight of a cell's squared error: busy cells vary more, so they count less (1 at one spike per frame)."""
    return float((counts_per_frame + 0.003) ** -WEIGHT_EXPONENT)


def _draw_crop(bank: SegmentBank, generator: np.random.Generator, n_frames: int) -> tuple[TrainingSegment, int]:
    """A segment and the frame of it at which a crop begins; negative, or near the end, if the crop goes beyond it."""
    dataset = int(np.searchsorted(np.cumsum(bank.shares)[:-1], generator.random()))
    cell = int(generator.integers(len(bank.cells[dataset])))
    segments, bounds = bank.cells[dataset][cell], bank.bounds[dataset][cell]
    segment = segments[int(np.searchsorted(bounds[:-1], generator.random()))]
    length = segment.trace.size
    margin = min(n_frames // 4, max(length // 2, 1))
    first, last = (-margin, length - n_frames + margin) if length > n_frames else (length - n_frames, 0)
    return segment, int(generator.integers(first, last + 1))


def _cut(values: NDArray[np.float32], start: int, n_frames: int, beyond: float) -> NDArray[np.float32]:
    """(n_frames,) values from a frame on; a filler where there are none."""
    cut = np.full(n_frames, beyond, np.float32)
    low, high = max(start, 0), min(start + n_frames, values.size)
    cut[low - start : high - start] = values[low:high]
    return cut


def _with_context(
    segments: Sequence[TrainingSegment], places: Sequence[int], n_frames: int
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """What is recorded around each crop, (batch, n) with NaN at the ends, and the frame of it where the crop begins."""
    starts = [
        int(np.clip(place + (n_frames - CONTEXT_FRAMES) // 2, 0, max(s.trace.size - CONTEXT_FRAMES, 0)))
        for s, place in zip(segments, places, strict=True)
    ]
    parts = [s.trace[start : start + CONTEXT_FRAMES] for s, start in zip(segments, starts, strict=True)]
    around = np.full((len(parts), max(part.size for part in parts)), np.nan, np.float32)
    for row, part in zip(around, parts, strict=True):
        row[: part.size] = part
    return around, np.subtract(places, starts)


def _quiet(counts: NDArray[np.float32], rate: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which frames are farther from any spike than ``QUIET_S``; (batch, n)."""
    quiet = np.empty(counts.shape, bool)
    for row, spikes, reach in zip(quiet, counts, np.maximum((QUIET_S * rate).astype(int), 1), strict=True):
        sums = np.cumsum(np.concatenate([np.zeros(reach + 1), spikes, np.zeros(reach)]))
        row[:] = sums[2 * reach + 1 :] - sums[: -2 * reach - 1] < 0.5
    return quiet


def _with_noise(
    trace: NDArray[np.float32],
    own_level: NDArray[np.float64],
    rate: NDArray[np.float32],
    vary: Augmentation,
    generator: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Add photon noise up to a random target level; returns the traces and their noise levels (batch,).

    Levels are added in quadrature, which is close enough here because the network is told the level with an error
    anyway; recordings noisier than the target are left as they are.
    """
    n = len(trace)
    low, high = vary.noise_levels
    top = np.where(generator.random(n) < vary.high_noise_share, vary.highest_noise, high)
    bottom = np.maximum(own_level, low)
    target = np.exp(generator.uniform(np.log(bottom), np.log(np.maximum(top, bottom))))
    spread = noise_std(np.sqrt(np.maximum(target**2 - own_level**2, 0)), rate)
    shape = np.sqrt(np.abs(trace + 1.0))
    mean, _ = _mean_and_spread(trace)
    middle = np.sqrt(np.abs(1.0 + mean))
    noise = generator.standard_normal(trace.shape, dtype=np.float32)
    noisy = trace + noise * shape / np.maximum(middle, 0.3) * spread[:, None].astype(np.float32)
    return noisy.astype(np.float32), np.maximum(np.maximum(target, own_level), LOWEST_NOISE)


def _slow_changes(
    trace: NDArray[np.float32], vary: Augmentation, generator: np.random.Generator
) -> NDArray[np.float32]:
    """A constant and, for some, a slow wave, both in units of the trace's own spread; (batch, n)."""
    n, length = int(trace.shape[0]), int(trace.shape[1])
    _, spread = _mean_and_spread(trace)
    offset = vary.baseline_spread * generator.standard_normal((n, 1))
    waves = generator.uniform(0.2, 1.5, (n, 1)) * np.linspace(0, 2 * np.pi, length)
    height = np.where(generator.random((n, 1)) < vary.drift_share, generator.uniform(0, 0.5, (n, 1)), 0.0)
    wave = height * np.sin(waves + generator.uniform(0, 2 * np.pi, (n, 1)))
    return np.asarray((offset + wave) * spread, dtype=np.float32)


def _mean_and_spread(trace: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each row's finite frames, (batch, 1); 0 for a row without any."""
    there = np.isfinite(trace)
    count = np.maximum(there.sum(axis=1, keepdims=True), 1)
    mean = np.where(there, trace, 0.0).sum(axis=1, keepdims=True) / count
    square = np.where(there, trace - mean, 0.0) ** 2
    return mean, np.sqrt(square.sum(axis=1, keepdims=True) / count)


def _cut_gaps(trace: NDArray[np.float32], share: float, generator: np.random.Generator) -> None:
    """Set a stretch of up to an eighth of the frames to NaN, in place, in a share of the traces."""
    for row in np.flatnonzero(generator.random(len(trace)) < share):
        length = int(generator.integers(1, max(trace.shape[1] // 8, 2)))
        start = int(generator.integers(trace.shape[1] - length + 1))
        trace[row, start : start + length] = np.nan
