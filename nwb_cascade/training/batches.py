"""Training batches: random crops of recordings resampled to random rates, with random noise and perturbations.

Every batch depends on (seed, step) alone, so that a training that was killed continues exactly where it stopped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_level, noise_std
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.resampling import bin_spikes, frame_grid, resample_trace
from nwb_cascade.core.rest_level import fluorescence, from_rest, tell_apart
from nwb_cascade.training.recordings import KnownRecording, KnownTrial
from nwb_cascade.training.silence import draw_silence

LOWEST_NOISE = 0.3
MIN_FRAMES = 24
MANY_CELLS = 20  # teach what transients of an indicator look like
CONTEXT_FRAMES = 8192  # of a trial, around a crop, by which its rest level and activity are known
QUIET_S = 2.0  # without a spike on either side, a frame is quiet ...
QUIET_WEIGHT = 2.0  # ... and what is seen there counts more: most frames of most cells are, and users sum over them
LARGEST_JITTER = 0.45  # frames; beyond half a frame two of them would change places


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


@dataclass(frozen=True)
class RateRange:
    """Which imaging rates are drawn, Hz: log-uniform in ``usual``, a share of the draws in all of ``full``.

    A recording is not brought to more than ``max(upsampling * own rate, always_up_to)``.
    """

    full: tuple[float, float] = (1.0, 122.0)
    usual: tuple[float, float] = (5.0, 60.0)
    full_share: float = 0.25
    upsampling: float = 1.2
    always_up_to: float = 35.0

    def draw(self, own_rate: float, generator: np.random.Generator) -> float:
        """Draw a target rate for a recording of this rate, Hz."""
        low, high = self.full if generator.random() < self.full_share else self.usual
        high = max(min(high, max(self.upsampling * own_rate, self.always_up_to)), low)
        return float(np.exp(generator.uniform(np.log(low), np.log(high))))


@dataclass(frozen=True, eq=False)
class TrainingSegment:
    """One trial at one rate: trace (n,) float32 with NaN, counts (n,) float32, and what the network is told."""

    trace: NDArray[np.float32]
    counts: NDArray[np.float32]
    imaging_rate: float
    noise_level: float
    indicator: int
    counts_per_frame: float


@dataclass(frozen=True, eq=False)
class SegmentBank:
    """Resampled trials, grouped so that datasets and, within them, cells are drawn evenly.

    ``cells`` holds for each of ``datasets`` its cells, each a tuple of segments; ``shares`` is the probability of
    each dataset; ``bounds`` the cumulated probabilities of each cell's segments; ``well_known`` the codes of many
    cells.
    """

    datasets: tuple[str, ...]
    shares: NDArray[np.float64]
    cells: tuple[tuple[tuple[TrainingSegment, ...], ...], ...]
    bounds: tuple[tuple[NDArray[np.float64], ...], ...]
    well_known: frozenset[int]

    @classmethod
    def assemble(cls, datasets: Mapping[str, tuple[Sequence[tuple[TrainingSegment, ...]], float]]) -> SegmentBank:
        """Make a bank from each dataset's cells and its share; empty datasets are left out.

        Raises
        ------
        ValueError
            If nothing is left.
        """
        kept = {name: (tuple(cells), share) for name, (cells, share) in datasets.items() if cells}
        if not kept:
            raise ValueError(
                f"Expected recordings of {MIN_FRAMES} frames or more, quiet enough to train on; received none."
            )
        shares = np.array([share for _, share in kept.values()])
        cells = tuple(cells for cells, _ in kept.values())
        bounds = tuple(tuple(_segment_bounds(cell) for cell in one) for one in cells)
        met = Counter(code for one in cells for cell in one for code in {segment.indicator for segment in cell})
        well_known = frozenset(code for code, n_cells in met.items() if n_cells >= MANY_CELLS)
        return cls(tuple(kept), shares / shares.sum(), cells, bounds, well_known)

    @property
    def n_frames(self) -> int:
        """Frames in all segments together."""
        return sum(s.trace.size for cells in self.cells for cell in cells for s in cell)


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Inputs and targets of one step; arrays (batch, n) float32 unless said otherwise.

    ``trace`` is dF/F, ``from_rest`` the same relative to its rest level; both are 0 and ``present`` 0 where nothing
    was measured; ``noise_level`` (and that of ``from_rest``), ``imaging_rate`` and ``activity`` (batch,); ``indicator``
    (batch,) int32; ``counts`` spikes per frame; ``weight`` of every frame's error.
    """

    trace: NDArray[np.float32]
    from_rest: NDArray[np.float32]
    present: NDArray[np.float32]
    noise_level: NDArray[np.float32]
    noise_level_from_rest: NDArray[np.float32]
    imaging_rate: NDArray[np.float32]
    activity: NDArray[np.float32]
    indicator: NDArray[np.int32]
    counts: NDArray[np.float32]
    weight: NDArray[np.float32]


def make_bank(
    recordings: Sequence[KnownRecording],
    indicator_code: Callable[[str], int],
    generator: np.random.Generator,
    *,
    rates: RateRange | None = None,
    versions: int = 8,
    emphasis: Mapping[str, float] | None = None,
    frame_jitter: float = 0.0,
    progress: Progress | None = None,
) -> SegmentBank:
    """Resample every trial to several random rates.

    Parameters
    ----------
    recordings : sequence of KnownRecording
        The cells to train on.
    indicator_code : callable
        Indicator name to the network's code.
    generator : numpy.random.Generator
        Source of rates, phases and exposures.
    rates : RateRange, optional
        Which rates to draw.
    versions : int
        Versions of each trial.
    emphasis : mapping of str to float, optional
        Factor on a dataset's share; shares go with the square root of the imaged time otherwise.
    frame_jitter : float
        Standard deviation of the time of each frame about the regular grid, in frames.
    progress : callable, optional
        Called as ``progress(done, total)`` after each cell.
    """
    rates, emphasis = rates or RateRange(), emphasis or {}
    names = tuple(sorted({r.dataset for r in recordings}))
    cells: dict[str, list[tuple[TrainingSegment, ...]]] = {name: [] for name in names}
    minutes = dict.fromkeys(names, 0.0)
    for done, recording in enumerate(recordings, start=1):
        codes = [indicator_code(name) for name in recording.indicator_codes]
        drawn = (
            resample_trial(
                trial,
                rates.draw(trial.imaging_rate, generator),
                recording.spike_rate,
                codes[int(generator.integers(len(codes)))],
                generator,
                frame_jitter=frame_jitter,
            )
            for trial in recording.trials
            for _ in range(versions)
        )
        segments = tuple(s for s in drawn if s is not None)
        if segments:
            cells[recording.dataset].append(segments)
            minutes[recording.dataset] += sum(t.duration_s for t in recording.trials) / 60
        if progress is not None:
            progress(done, len(recordings))
    return SegmentBank.assemble(
        {name: (cells[name], np.sqrt(minutes[name]) * emphasis.get(name, 1.0)) for name in names}
    )


def resample_trial(
    trial: KnownTrial,
    imaging_rate: float,
    spike_rate: float,
    indicator: int,
    generator: np.random.Generator,
    *,
    frame_jitter: float = 0.0,
) -> TrainingSegment | None:
    """Bring a trial to a rate, at a random phase and exposure; None if too few frames are left.

    With jitter (in frames) fluorescence is taken a little off the grid, on which the spikes are counted all the same.
    """
    start = trial.times[0] + generator.random() / imaging_rate
    if (trial.times[-1] - start) * imaging_rate < MIN_FRAMES:
        return None
    frame_times = frame_grid(start, float(trial.times[-1]), imaging_rate)
    exposure = float(generator.choice([1.0, generator.uniform(0.3, 1.2)]))
    taken = frame_times
    if frame_jitter > 0:
        off = frame_jitter * generator.standard_normal(frame_times.size)
        taken = frame_times + np.clip(off, -LARGEST_JITTER, LARGEST_JITTER) / imaging_rate
    trace = resample_trace(trial.dff, trial.times, taken, imaging_rate, exposure=exposure)
    counts = bin_spikes(trial.spike_times, frame_times, imaging_rate).astype(np.float32)
    level = float(noise_level(trace[None], imaging_rate)[0])
    if not np.isfinite(level):
        return None
    return TrainingSegment(trace, counts, imaging_rate, max(level, 1e-3), indicator, spike_rate / imaging_rate)


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
        if (
            is_slow and indicator[row] not in bank.well_known
        ):  # its code would learn that all its transients are silence
            indicator[row] = 0
    around, level = _with_noise(around, own_level, rate, vary, generator)
    first, step, activity = _told(around, rate)
    trace = np.stack([_cut(row, offset, n_frames, np.nan) for row, offset in zip(around, offsets, strict=True)])
    trace += _slow_changes(trace, vary, generator)
    _cut_gaps(trace, vary.gap_share, generator)
    present = np.isfinite(trace)
    rest = (first + step * offsets)[:, None] + step[:, None] * np.arange(n_frames)
    indicator[generator.random(batch_size) < unknown_share] = 0
    level *= np.exp(vary.noise_spread * generator.standard_normal(batch_size))
    return TrainingBatch(
        trace=np.where(present, trace, 0).astype(np.float32),
        from_rest=np.where(present, from_rest(trace, rest), 0).astype(np.float32),
        present=present.astype(np.float32),
        noise_level=level.astype(np.float32),
        noise_level_from_rest=(level / fluorescence(rest.mean(axis=1))).astype(np.float32),
        imaging_rate=rate,
        activity=activity,
        indicator=indicator,
        counts=(counts * present).astype(np.float32),
        weight=weight[:, None] * np.where(_quiet(counts, rate), QUIET_WEIGHT, 1.0).astype(np.float32),
    )


def cell_weight(counts_per_frame: float, exponent: float = 0.75) -> float:
    """Weight of a cell's squared error: busy cells vary more, so they count less (1 at one spike per frame).

    With exponent 1 every cell would count alike (squared error of counts grows with their mean); a little less
    keeps near-silent cells from ruling.
    """
    return float((counts_per_frame + 0.003) ** -exponent)


def _segment_bounds(segments: Sequence[TrainingSegment]) -> NDArray[np.float64]:
    # Long and slow versions of one trial are drawn alike: by duration, not by frames.
    seconds = np.array([s.trace.size / s.imaging_rate for s in segments])
    return np.asarray(np.cumsum(seconds / seconds.sum()))


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


def _told(
    around: NDArray[np.float32], rate: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float32]]:
    """Rest level at the first frame, its change per frame, and activity, as inference finds them; (batch,) each."""
    rows = [row[: 1 + np.flatnonzero(np.isfinite(row))[-1]] for row in around]
    levels = [float(noise_level(row[None], float(hz))[0]) for row, hz in zip(rows, rate, strict=True)]
    return tell_apart(rows, rate.tolist(), levels)


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
