"""Test recordings at a stated imaging rate and noise level, and the scores of anything that estimates their spikes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.kernels import smooth, smoothing_kernel
from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.resampling import add_noise, bin_spikes, frame_grid, resample_trace
from nwb_cascade.core.scores import Scores, score
from nwb_cascade.training.recordings import KnownRecording

MIN_FRAMES = 64
Estimator = Callable[[Sequence["Case"]], Sequence[Sequence[NDArray[np.float32]]]]


@dataclass(frozen=True)
class Condition:
    """What a model is tested at: imaging rate (Hz), noise level (% Hz^-1/2; None: as recorded) and smoothing.

    ``exposure`` is the part of a frame during which a cell is seen: all of it for a camera, little for a scanned point.
    """

    imaging_rate: float
    noise_level: float | None
    kernel: str = "gaussian"
    smoothing_s: float = 0.025
    exposure: float = 1.0


@dataclass(frozen=True, eq=False)
class Case:
    """One cell under one condition.

    ``traces`` and ``truths`` have one array (n_frames,) per trial: dF/F with the noise added, and the spikes per
    frame, smoothed. ``own_noise_level`` is that of the resampled recording before noise was added.
    """

    recording: KnownRecording
    condition: Condition
    own_noise_level: float
    noise_level: float
    traces: tuple[NDArray[np.float32], ...]
    truths: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class Result:
    """Scores of one cell by one estimator; ``skipped`` says why there are none."""

    dataset: str
    cell: str
    animal: str
    indicator: str
    estimator: str
    noise_level: float
    scores: Scores | None
    skipped: str = ""


def make_case(recording: KnownRecording, condition: Condition, *, seed: int = 0) -> Case | str:
    """Bring a cell to a condition; a text that says why where that is not possible.

    Noise is drawn from the seed and the cell's name, so that every estimator meets the same traces, whichever other
    cells are tested. Trials shorter than 64 frames are left out; cells noisier than asked for are skipped.
    """
    rate = condition.imaging_rate
    kernel = smoothing_kernel(condition.kernel, condition.smoothing_s, rate)
    clean, truths = [], []
    for trial in recording.trials:
        frame_times = frame_grid(float(trial.times[0]), float(trial.times[-1]), rate)
        if frame_times.size >= MIN_FRAMES:
            clean.append(resample_trace(trial.dff, trial.times, frame_times, rate, exposure=condition.exposure))
            truths.append(smooth(bin_spikes(trial.spike_times, frame_times, rate), kernel=kernel))
    if not clean:
        return f"no trial of {MIN_FRAMES} frames at {rate:g} Hz"
    # One trace with a missing frame between trials: the noise level is a property of the cell.
    joined = np.concatenate([part for trace in clean for part in (trace, [np.nan])]).astype(np.float32)
    own = float(noise_level(joined[None], rate)[0])
    wanted = own if condition.noise_level is None else condition.noise_level
    if not own <= wanted:
        return f"noise level {own:.2f} is above {wanted:g}"
    if condition.noise_level is not None:
        name = f"{seed}/{recording.dataset}/{recording.cell}".encode()
        words = np.frombuffer(hashlib.sha256(name).digest(), np.uint32)
        joined = add_noise(joined, rate, wanted, np.random.default_rng(words.tolist()))
    bounds = np.cumsum([trace.size + 1 for trace in clean])[:-1]
    traces = tuple(part[:-1] for part in np.split(joined, bounds))
    return Case(recording, condition, own, wanted, traces, tuple(truths))


def assess(case: Case, estimates: Sequence[NDArray[np.float32]], estimator: str) -> Result:
    """Score the smoothed estimates (one per trial) of a case, all trials together.

    Trials are joined with half a second of missing frames between them, so that no lag pairs frames of two trials.
    """
    gap = np.full(int(np.ceil(0.5 * case.condition.imaging_rate)) + 1, np.nan)
    joined = [np.concatenate([part for one in trials for part in (one, gap)]) for trials in (estimates, case.truths)]
    scores = score(joined[0], joined[1], case.condition.imaging_rate)
    who = case.recording
    return Result(who.dataset, who.cell, who.animal, who.indicator, estimator, case.noise_level, scores)


def evaluate(
    recordings: Sequence[KnownRecording], condition: Condition, estimators: Mapping[str, Estimator], *, seed: int = 0
) -> list[Result]:
    """Score every estimator on every recording under a condition; skipped recordings are listed with the reason.

    An estimator maps cases to one sequence of smoothed estimates per case, one array (n_frames,) per trial, NaN
    where it gives none.
    """
    made = [make_case(recording, condition, seed=seed) for recording in recordings]
    cases = [case for case in made if isinstance(case, Case)]
    results = []
    for name, estimator in estimators.items():
        results += [assess(case, found, name) for case, found in zip(cases, estimator(cases), strict=True)]
        for who, reason in zip(recordings, made, strict=True):
            if isinstance(reason, str):
                origin = (who.dataset, who.cell, who.animal, who.indicator)
                results.append(Result(*origin, name, float("nan"), None, reason))
    return results


def medians(results: Iterable[Result]) -> dict[tuple[str, str], dict[str, float]]:
    """Median scores over cells by (dataset, estimator); keys correlation, error, bias, lag_s, silence_hz
    and n."""
    groups: dict[tuple[str, str], list[Scores]] = {}
    for result in results:
        if result.scores is not None:
            groups.setdefault((result.dataset, result.estimator), []).append(result.scores)
    return {key: _median_scores(scores) for key, scores in groups.items()}


def _median_scores(scores: Sequence[Scores]) -> dict[str, float]:
    summary: dict[str, float] = {"n": float(len(scores))}
    for name in (field.name for field in fields(Scores)):
        values = np.array([getattr(one, name) for one in scores])
        finite = values[np.isfinite(values)]
        summary[name] = float(np.median(finite)) if finite.size else float("nan")
    return summary
