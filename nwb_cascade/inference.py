"""Spike inference on arrays: run a model block by block, give expected spikes with what to know about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nwb_cascade.architectures.registry import architecture_of
from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.engine import BlockResult, infer_stretches, valid_bounds
from nwb_cascade.core.indicators import canonical_indicator
from nwb_cascade.core.kernels import single_spike_amplitude, smooth, smoothing_kernel
from nwb_cascade.core.merging import joined_rois, merged, nothing_inferred, stretch_noise_levels
from nwb_cascade.core.noise_changes import changed_clocks
from nwb_cascade.core.population import Population
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.rest_level import Told, tell, tell_block
from nwb_cascade.core.roi_warnings import RoiWarning
from nwb_cascade.core.screening import screen_trace
from nwb_cascade.core.spike_counts import DEFAULT_LEVEL, SpikeCounts, count_model_of, spike_counts
from nwb_cascade.core.thresholds import apply_threshold
from nwb_cascade.core.traces import DffTraces
from nwb_cascade.inference_run import PUBLISHED_BEFORE, InferenceRun, prepare_run
from nwb_cascade.models.bundle import Model
from nwb_cascade.options import InferenceOptions

BLOCK_BYTES = 24 * 2**20  # dF/F held at once; five networks' outputs and their statistics take about ten times this


@dataclass(frozen=True, eq=False)
class InferenceResult:
    """Expected spikes of a recording and how they came about.

    Parameters
    ----------
    expected_spikes : numpy.ndarray
        (n_rois, n_frames) float32, expected spike count per frame (times the imaging rate: spikes per second);
        may exceed 1. NaN where the model gives no value.
    ensemble_std : numpy.ndarray
        (n_rois, n_frames) float32, sample standard deviation over the networks of the ensemble, before thresholds.
    noise_levels : numpy.ndarray
        (n_rois,) float32, % Hz^-1/2.
    model_noise_levels : numpy.ndarray
        (n_rois,) float32, noise level of the networks that were used; NaN where nothing was inferred.
    valid_frames : numpy.ndarray
        (n_rois, 2) int64, first frame with a value and one past the last; (0, 0) if there is none.
    model : ModelConfig
        The model.
    model_sha256 : str
        Hash of its weights.
    reason : str
        Why this model, in words.
    parameters : mapping
        What else decided the numbers.
    warnings : tuple of RoiWarning
        What to know about single ROIs.
    count_model : CountModel or None
        Distribution of the spike counts; None if none was fitted for the model.
    """

    expected_spikes: NDArray[np.float32]
    ensemble_std: NDArray[np.float32]
    noise_levels: NDArray[np.float32]
    model_noise_levels: NDArray[np.float32]
    valid_frames: NDArray[np.int64]
    model: ModelConfig
    model_sha256: str
    reason: str
    parameters: Mapping[str, Any]
    warnings: tuple[RoiWarning, ...]
    count_model: CountModel | None = None

    def spike_counts(self, window_s: float | None = 1.0, level: float = DEFAULT_LEVEL) -> SpikeCounts:
        """Count spikes in windows that tile the recording, with intervals that hold the true count.

        Parameters
        ----------
        window_s : float or None
            Length of the windows, s, from one frame to the recording; None: the recording as a whole.
        level : float
            Share of windows whose count the interval is to hold.

        Returns
        -------
        SpikeCounts
            ``expected``, ``lower`` and ``upper`` of shape (n_rois, n_windows), NaN where there are no values; fitted on
            cells that the networks never saw, see docs/counts.md.

        Raises
        ------
        InputError
            If ``level`` is not between 0 and 1, a window is shorter than a frame or longer than the recording, or no
            intervals were fitted for the model.
        """
        # for the error
        model = self.count_model or count_model_of(self.model.extra, self.parameters["indicator"], self.model.name)
        clock = FrameClock.from_rate(self.parameters["imaging_rate_hz"], self.expected_spikes.shape[1])
        return spike_counts(self.expected_spikes, self.noise_levels, model, clock, window_s=window_s, level=level)


def infer(
    dff: ArrayLike,
    imaging_rate: float,
    *,
    model: str | PathLike[str] | Model = "auto",
    indicator: str | None = None,
    species: str | None = None,
    threshold: str = "nonnegative",
    legacy_alignment: bool = False,
    kernel: str | None = None,
    smoothing_s: float | None = None,
    noise_level: float | None = None,
    calibrate: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> InferenceResult:
    """Infer expected spikes from dF/F traces in memory.

    Parameters
    ----------
    dff : array_like
        (n_rois, n_frames), dF/F as a fraction (0.5 means 50 %); NaN marks missing frames.
    imaging_rate : float
        Rate of the recording, Hz.
    model : str, path or Model
        ``"auto"`` picks by rate and indicator; else the name of an installed model, the folder of a bundle or of
        a published Cascade model, or a loaded model.
    indicator : str, optional
        Calcium indicator, in any usual spelling.
    species : str, optional
        Latin name; a conditional model has codes of its own for zebrafish.
    threshold : {"nonnegative", "raw", "single-spike"}
        What is done with small and negative values, see ``nwb_cascade.core.thresholds``.
    legacy_alignment : bool
        Place values one frame early, as published by Cascade.
    kernel, smoothing_s : str, float, optional
        Smoothing of the result; only a ``conditional`` model can give another than its own.
    noise_level : float, optional
        What the networks are told of every ROI, % Hz^-1/2, if it was measured on a quiet baseline, say; by default
        what each trace shows, in each of its stretches.
    calibrate : path, optional
        File with the gain of the preparation, as ``nwb-cascade calibrate`` writes it: scales counts, not rates, and
        narrows their intervals.
    progress : callable, optional
        Called with the ROIs done and their total.

    Returns
    -------
    InferenceResult

    Raises
    ------
    InputError
        If the traces, the rate or an option cannot be used.
    NoModelError
        If ``model="auto"`` and none fits the rate within 5 %.
    ModelFileError
        If the model's files are damaged.
    """
    traces = DffTraces.from_array(dff, imaging_rate)
    options = InferenceOptions(
        model=model,
        indicator=indicator,
        species=species,
        threshold=threshold,
        legacy_alignment=legacy_alignment,
        kernel=kernel,
        smoothing_s=smoothing_s,
        noise_level=noise_level,
        calibrate=calibrate,
    )
    run = prepare_run(traces.imaging_rate, options)
    blocks = list(infer_blocks(traces, run, progress=progress))

    def joined(name: str, empty_shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
        arrays = [getattr(block, name) for block in blocks]
        return np.concatenate(arrays) if arrays else np.zeros(empty_shape, dtype)

    return InferenceResult(
        expected_spikes=joined("expected_spikes", (0, traces.n_frames), np.float32),
        ensemble_std=joined("ensemble_std", (0, traces.n_frames), np.float32),
        noise_levels=joined("noise_levels", (0,), np.float32),
        model_noise_levels=joined("model_noise_levels", (0,), np.float32),
        valid_frames=joined("valid_frames", (0, 2), np.int64),
        model=run.model.config,
        model_sha256=run.model.sha256,
        reason=run.reason,
        parameters=run.parameters,
        warnings=tuple(warning for block in blocks for warning in block.warnings),
        count_model=run.count_model,
    )


def infer_blocks(
    traces: DffTraces,
    run: InferenceRun,
    clock: FrameClock | None = None,
    *,
    progress: Progress | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[BlockResult]:
    """Infer ROI block by ROI block; memory depends on ``block_bytes``, not on the recording.

    With a clock whose frames are not even, each stretch is inferred on its own grid at its own rate, told its own noise
    level; so are the parts between which the noise of a ROI changes for good. Yields results whose expected spikes are
    aligned and thresholded as the run asks; what the ROIs show together is among the warnings of the last.
    """
    clock = clock or FrameClock.from_rate(run.imaging_rate, traces.n_frames)
    runs = {rate: run.at_rate(rate) for rate in clock.imaging_rates}
    population = Population(traces.n_frames, run.imaging_rate)
    for rois, dff in traces.blocks(block_bytes):
        asked = traces.asked(rois)
        part = dff if asked.size == len(dff) else dff[asked]
        groups = changed_clocks(part, clock) if asked.size else []
        found = [
            (asked[rows], _infer_alike(part[rows] if len(groups) > 1 else part, one, runs)) for one, rows in groups
        ]
        if traces.choice is not None and asked.size < len(dff):
            others = np.setdiff1d(np.arange(len(dff)), asked)
            found.append((others, nothing_inferred(others.size, traces.n_frames, traces.choice.note)))
        block = joined_rois(rois.start, found)
        warnings = (*block.warnings, *_screened(dff, block, run))
        inferred = np.isfinite(block.model_noise_levels)
        population.add(rois.start, dff if inferred.all() else np.where(inferred[:, None], dff, np.nan))
        if rois.stop == traces.n_rois:
            warnings = (*warnings, *population.warnings())
        yield replace(block, warnings=warnings)
        if progress is not None:
            progress(rois.stop, traces.n_rois)


def _infer_alike(dff: NDArray[np.float32], clock: FrameClock, runs: Mapping[float, InferenceRun]) -> BlockResult:
    """Infer ROIs whose noise changes at the same times, stretch by stretch, those of one rate together."""
    if clock.is_even:
        return _infer([dff], [tell_block(dff, clock.imaging_rate)], runs[clock.imaging_rate])[0]
    parts = list(clock.spread(dff))
    rates = [stretch.imaging_rate for stretch, _ in parts]
    told = tell([values for _, values in parts], rates, stretch_noise_levels(parts))
    found: dict[int, BlockResult] = {}
    for rate, run in runs.items():
        own = [number for number, (stretch, _) in enumerate(parts) if stretch.imaging_rate == rate]
        of_rate = _infer([parts[number][1] for number in own], [told[number] for number in own], run)
        found.update(zip(own, of_rate, strict=True))
    return merged(clock, [found[number] for number in range(len(parts))], dff)


def _infer(parts: Sequence[NDArray[np.float32]], told: Sequence[Told], run: InferenceRun) -> list[BlockResult]:
    """Infer stretches of ROIs, on regular grids of the run's rate, told this or the noise level that was asked for."""
    smoother = None
    if architecture_of(run.model.config).takes_any_kernel:
        smoother = partial(smooth, kernel=smoothing_kernel(run.kernel, run.smoothing_s, run.imaging_rate))
    found = infer_stretches(parts, [one.with_level(run.noise_level) for one in told], run.networks, smooth=smoother)
    return [_finished(replace(one, noise_levels=own.noise_level), run) for one, own in zip(found, told, strict=True)]


def _finished(block: BlockResult, run: InferenceRun) -> BlockResult:
    """Apply alignment and threshold to a block."""
    expected, deviation = block.expected_spikes, block.ensemble_std
    if run.alignment == "published":
        expected, deviation = (_as_published(values, run.model.config) for values in (expected, deviation))
    kernel = smoothing_kernel(run.kernel, run.smoothing_s, run.imaging_rate)
    dilation: int | None = int(run.smoothing_s * run.imaging_rate)
    if run.alignment == "published" and dilation == 0:
        dilation = None
    expected = apply_threshold(
        expected, run.threshold, spike_peak=single_spike_amplitude(kernel), dilation_frames=dilation
    )
    bounds = valid_bounds(np.isfinite(expected))
    return replace(block, expected_spikes=expected, ensemble_std=deviation, valid_frames=bounds)


def _screened(dff: NDArray[np.float32], block: BlockResult, run: InferenceRun) -> Iterator[RoiWarning]:
    """What is unusual about the traces that the model has seen."""
    config = run.model.config
    noise_range = (architecture_of(config).lowest_noise_level(config), max(config.noise_levels))
    indicator = canonical_indicator(run.indicator)
    for row in np.flatnonzero(np.isfinite(block.model_noise_levels)):
        findings = screen_trace(
            dff[row],
            run.imaging_rate,
            noise_level=float(block.noise_levels[row]),
            noise_range=noise_range,
            indicator=indicator,
            rest_level=float(block.rest_levels[row]),
            activity=float(block.activity[row]),
        )
        for code, message in findings:
            yield RoiWarning(block.rois.start + int(row), code, message)


def _as_published(values: NDArray[np.float32], config: ModelConfig) -> NDArray[np.float32]:
    """Values at the frame where Cascade writes them, NaN in as many frames at either end as it blanks."""
    early = config.before_frames - int(config.extra[PUBLISHED_BEFORE])
    share_before = float(config.extra["published_config"]["before_frac"])
    first, last = (int(share * config.window_size) for share in (share_before, 1 - share_before))
    published = np.full_like(values, np.nan)
    n_frames = values.shape[1]
    published[:, : max(n_frames - early, 0)] = values[:, early:]
    published[:, :first] = np.nan
    published[:, max(n_frames - last, 0) :] = np.nan
    return published
