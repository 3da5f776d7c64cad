"""Estimates of networks that run along with a recording, made as they would be then: frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.evaluation.assessment import Case, Estimator
from nwb_cascade.models.bundle import Model
from nwb_cascade.online.inference import OnlineInference, OnlineOptions


def online_estimator(model: Model, look_ahead_s: float, *, tell_noise: bool = False) -> Estimator:
    """Estimate with a model of architecture ``online``, told the indicator; smoothing takes none of the future either.

    Parameters
    ----------
    model : Model
        All its networks are averaged.
    look_ahead_s : float
        s; estimates of the last frames, after whose look-ahead nothing comes, are left out (NaN).
    tell_noise : bool
        Tell it the case's noise level; else the noise level runs along, as in an experiment.
    """

    def estimate(cases: Sequence[Case]) -> list[list[NDArray[np.float32]]]:
        found: list[list[NDArray[np.float32]]] = [[] for _ in cases]
        groups: dict[str, list[int]] = {}
        for index, case in enumerate(cases):
            groups.setdefault(case.recording.told, []).append(index)
        for indicator, members in groups.items():
            trials = [(index, trace) for index in members for trace in cases[index].traces]
            condition = cases[members[0]].condition
            options = OnlineOptions(
                kernel=condition.kernel, smoothing_s=condition.smoothing_s, n_networks=model.config.ensemble_size
            )
            online = OnlineInference(
                len(trials),
                condition.imaging_rate,
                indicator=indicator,
                look_ahead_s=look_ahead_s,
                noise_level=[cases[index].noise_level for index, _ in trials] if tell_noise else None,
                model=model,
                options=options,
            )
            for (index, _), values in zip(trials, _run(online, [trace for _, trace in trials]), strict=True):
                found[index].append(values)
        return found

    return estimate


def _run(online: OnlineInference, traces: Sequence[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Estimates of traces of any lengths, side by side, each at the frame that it is of."""
    longest, (delay,) = max(trace.size for trace in traces), online.look_ahead_frames
    together = np.full((longest, len(traces)), np.nan, np.float32)
    for row, trace in enumerate(traces):
        together[: trace.size, row] = trace
    rates = np.array([online.push(frame).copy() for frame in together])
    estimates = []
    for row, trace in enumerate(traces):
        values = np.full(trace.size, np.nan, np.float32)
        values[: max(trace.size - delay, 0)] = rates[delay : trace.size, row]
        estimates.append(values)
    return estimates
