"""Recordings ready for training: every trial at several random rates, drawn evenly over datasets and cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.resampling import bin_spikes, frame_grid, resample_trace
from nwb_cascade.training.recordings import KnownRecording, KnownTrial

MIN_FRAMES = 24
MANY_CELLS = 20  # teach what transients of an indicator look like
LARGEST_JITTER = 0.45  # frames; beyond half a frame two of them would change places


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


def make_bank(
    recordings: Sequence[KnownRecording],
    indicator_code: Callable[[str], int],
    generator: np.random.Generator,
    *,
    rates: RateRange | None = None,
    versions: int = 8,
    emphasis: Mapping[str, float] | None = None,
    frame_jitter: float = 0.0,
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
    """
    rates, emphasis = rates or RateRange(), emphasis or {}
    names = tuple(sorted({r.dataset for r in recordings}))
    cells: dict[str, list[tuple[TrainingSegment, ...]]] = {name: [] for name in names}
    minutes = dict.fromkeys(names, 0.0)
    for recording in recordings:
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


def _segment_bounds(segments: Sequence[TrainingSegment]) -> NDArray[np.float64]:
    # Long and slow versions of one trial are drawn alike: by duration, not by frames.
    seconds = np.array([s.trace.size / s.imaging_rate for s in segments])
    return np.asarray(np.cumsum(seconds / seconds.sum()))
