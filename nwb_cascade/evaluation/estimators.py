"""What is compared in an evaluation: models of this package, published ones, and plain deconvolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.architecture import Weights
from nwb_cascade.architectures.registry import architecture_of, build_networks
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import NetworkSet, infer_block
from nwb_cascade.core.kernels import smooth, smoothing_kernel
from nwb_cascade.core.resampling import moved
from nwb_cascade.evaluation.assessment import Case, Condition, Estimator

Networks = Callable[[float, str | None], NetworkSet]
Quantity = Literal["expected_spikes", "ensemble_std"]
GROUP_TRIALS = 48


def networks_of(config: ModelConfig, weights: Weights) -> Networks:
    """All networks of a model, for an imaging rate and an indicator."""
    return lambda rate, indicator: build_networks(config, weights, imaging_rate=rate, indicator=indicator)


def model_estimator(
    config: ModelConfig,
    networks: Networks,
    *,
    indicator_of: Callable[[Case], str | None] | None = None,
    quantity: Quantity = "expected_spikes",
) -> Estimator:
    """Estimate with a model.

    Parameters
    ----------
    config : ModelConfig
        Of the model. Output that is not smoothed yet is smoothed as the case asks; other carries its own smoothing.
    networks : callable
        Gives the networks for an imaging rate and an indicator, see ``networks_of``.
    indicator_of : callable, optional
        What the model is told of a case; left out: nothing.
    quantity : {"expected_spikes", "ensemble_std"}
        What is given back: the mean over the networks, not below 0, or their standard deviation.
    """

    def estimate(cases: Sequence[Case]) -> list[list[NDArray[np.float32]]]:
        found: list[list[NDArray[np.float32]]] = [[] for _ in cases]
        for indicator, members in _by_indicator(cases, indicator_of):
            condition = cases[members[0]].condition
            smoothing = _smoothing(config, condition)
            trials = [(index, trace) for index in members for trace in cases[index].traces]
            of_these = networks(condition.imaging_rate, indicator)
            estimates = _infer([trace for _, trace in trials], condition, of_these, smoothing, quantity)
            for (index, _), values in zip(trials, estimates, strict=True):
                found[index].append(values)
        return found

    return estimate


def remembering(estimator: Estimator) -> Estimator:
    """The same estimator, which answers the cases it was asked last without computing again."""
    last: list[tuple[Sequence[Case], Sequence[Sequence[NDArray[np.float32]]]]] = []

    def estimate(cases: Sequence[Case]) -> Sequence[Sequence[NDArray[np.float32]]]:
        if not last or last[0][0] is not cases:
            last[:] = [(cases, estimator(cases))]
        return last[0][1]

    return estimate


def shifted(estimator: Estimator, frames: int) -> Estimator:
    """An estimator whose values stand later by a number of frames (earlier if negative)."""

    def estimate(cases: Sequence[Case]) -> list[list[NDArray[np.float32]]]:
        return [[moved(values, frames, np.nan) for values in trials] for trials in estimator(cases)]

    return estimate


def deconvolution_estimator(order: int = 2) -> Estimator:
    """Non-negative deconvolution with parameters estimated from each trace: OASIS (Friedrich et al. 2017).

    Its output has no unit of spikes: only its correlation and lag mean something.

    Raises
    ------
    ImportError
        If the package ``oasis-deconv`` is not installed.
    """
    try:
        from oasis.functions import deconvolve, estimate_parameters
    except ImportError as error:
        raise ImportError("Expected the package oasis-deconv for the baseline; install it from PyPI.") from error

    def estimate(cases: Sequence[Case]) -> list[list[NDArray[np.float32]]]:
        return [[_deconvolved(trace, case.condition) for trace in case.traces] for case in cases]

    def _deconvolved(trace: NDArray[np.float32], condition: Condition) -> NDArray[np.float32]:
        present = np.isfinite(trace)
        filled = np.interp(np.arange(trace.size), np.flatnonzero(present), trace[present])
        decay, noise = estimate_parameters(filled, p=order)
        spikes = deconvolve(filled, g=tuple(decay), sn=noise, penalty=1)[1]
        kernel = smoothing_kernel(condition.kernel, condition.smoothing_s, condition.imaging_rate)
        return smooth(np.maximum(np.nan_to_num(spikes), 0.0), present, kernel=kernel)

    return estimate


def _smoothing(config: ModelConfig, condition: Condition) -> NDArray[np.float64] | None:
    if not architecture_of(config).takes_any_kernel:
        return None
    return smoothing_kernel(condition.kernel, condition.smoothing_s, condition.imaging_rate)


def _by_indicator(
    cases: Sequence[Case], indicator_of: Callable[[Case], str | None] | None
) -> Iterator[tuple[str | None, list[int]]]:
    """Indices of the cases that the model is told the same of."""
    groups: dict[str | None, list[int]] = {}
    for index, case in enumerate(cases):
        groups.setdefault(indicator_of(case) if indicator_of else None, []).append(index)
    yield from groups.items()


def _infer(
    traces: Sequence[NDArray[np.float32]],
    condition: Condition,
    networks: NetworkSet,
    kernel: NDArray[np.float64] | None,
    quantity: Quantity,
) -> list[NDArray[np.float32]]:
    """A quantity of each trace, negative values set to 0; traces of like length share a block."""
    smoother = None if kernel is None else partial(_smooth_to_the_last_frame, kernel=kernel)
    found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(traces)
    order = np.argsort([trace.size for trace in traces], kind="stable")
    for start in range(0, len(order), GROUP_TRIALS):
        group = order[start : start + GROUP_TRIALS]
        block = np.full((len(group), max(traces[i].size for i in group)), np.nan, np.float32)
        for row, index in enumerate(group):
            block[row, : traces[index].size] = traces[index]
        values = getattr(infer_block(block, condition.imaging_rate, networks, smooth=smoother), quantity)
        for row, index in enumerate(group):
            found[index] = np.maximum(values[row, : traces[index].size], 0.0)
    return found


def _smooth_to_the_last_frame(values: NDArray[np.float32], *, kernel: NDArray[np.float64]) -> NDArray[np.float32]:
    """Smooth (members, n_frames) of a trace that shares a block with longer ones, as if it stood alone."""
    finite = np.flatnonzero(np.isfinite(values[0]))
    stop = int(finite[-1]) + 1 if finite.size else 0
    smoothed = values.copy()
    smoothed[:, :stop] = smooth(values[:, :stop], kernel=kernel)
    return smoothed
