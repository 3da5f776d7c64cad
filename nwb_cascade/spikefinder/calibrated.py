"""The same windows scored by the package's own spike inference: expected spikes in the middle bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.architectures.registry import build_networks
from nwb_cascade.core.config import ModelConfig
from nwb_cascade.core.engine import infer_block
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.resampling import frame_grid, resample_trace
from nwb_cascade.models.bundle import Model
from nwb_cascade.spikefinder.neurons import BIN_HZ, Neuron
from nwb_cascade.spikefinder.windows import MIDDLE_BINS, Windows, first_middle_bin
from nwb_cascade.training.conditional_bundle import members_without, take_members
from nwb_cascade.training.recordings import KnownTrial


@dataclass(frozen=True, eq=False)
class ExpectedSpikes:
    """Expected spikes of every neuron in the bins of its segments; ``held_out`` per neuron: by networks that never
    saw its dataset (or, failing that, its animal)."""

    model: str
    per_bin: tuple[tuple[NDArray[np.float64], ...], ...]
    held_out: tuple[bool, ...]


def infer_neurons(neurons: Sequence[Neuron], model: Model, *, progress: Progress | None = None) -> ExpectedSpikes:
    """Infer every neuron on its full traces, at the rate it was recorded at, with networks that did not train on it.

    A neuron that all networks were trained with, or a model without a record of that, is scored by all of them and
    not called held out.
    """
    per_bin, held_out = [], []
    parts: dict[tuple[int, ...], tuple[ModelConfig, Mapping[str, NDArray[np.float32]]]] = {}
    for done, neuron in enumerate(neurons, start=1):
        members, is_held_out = _judges(model.config, neuron)
        if members not in parts:
            whole = (model.config, model.weights)
            parts[members] = take_members(*whole, members) if members else whole
        per_bin.append(_infer(neuron, *parts[members]))
        held_out.append(is_held_out)
        if progress is not None:
            progress(done, len(neurons))
    return ExpectedSpikes(model.config.name, tuple(per_bin), tuple(held_out))


def window_scores(expected: ExpectedSpikes, windows: Windows) -> NDArray[np.float64]:
    """Expected spikes in the middle five bins of each window, (n,)."""
    first = windows.starts + first_middle_bin(windows.size)
    sums = [
        expected.per_bin[neuron][segment][start : start + MIDDLE_BINS].sum()
        for neuron, segment, start in zip(windows.neurons, windows.segments, first, strict=True)
    ]
    return np.asarray(sums, np.float64)


def spikes_per_bin(
    expected: NDArray[np.floating], frame_times: NDArray[np.float64], imaging_rate: float, n_bins: int, start_s: float
) -> NDArray[np.float64]:
    """Divide expected spikes per frame among bins of 10 ms, each frame's evenly over its time; the sum is kept.

    Frames without a value count as 0, and so does what lies beyond the bins.
    """
    values = np.maximum(np.nan_to_num(np.asarray(expected, np.float64)), 0.0)
    edges = np.append(frame_times - 0.5 / imaging_rate, frame_times[-1] + 0.5 / imaging_rate)
    cumulative = np.concatenate([[0.0], np.cumsum(values)])
    bin_edges = start_s + (np.arange(n_bins + 1) - 0.5) / BIN_HZ
    return np.diff(np.interp(bin_edges, edges, cumulative))


def _judges(config: ModelConfig, neuron: Neuron) -> tuple[tuple[int, ...], bool]:
    """Networks that may judge a neuron; none for a model that keeps no record, or saw it with all of them."""
    if not config.extra.get("members"):
        return (), False
    members = members_without(config, dataset=neuron.dataset)
    members = members or members_without(config, animal=neuron.recording.animal)
    return members, bool(members)


def _infer(
    neuron: Neuron, config: ModelConfig, weights: Mapping[str, NDArray[np.float32]]
) -> tuple[NDArray[np.float64], ...]:
    """Expected spikes in the bins of each segment of a neuron."""
    low, high = config.model_rates_hz
    rates = [trial.imaging_rate for trial in neuron.recording.trials]
    rate = float(np.clip(round(float(np.median(rates)), 2), low, high))
    networks = build_networks(config, weights, imaging_rate=rate, indicator=neuron.recording.told)

    def one(trial: KnownTrial, n_bins: int, start_s: float) -> NDArray[np.float64]:
        frame_times = frame_grid(float(trial.times[0]), float(trial.times[-1]), rate)
        trace = resample_trace(trial.dff, trial.times, frame_times, rate)
        expected = infer_block(trace[None], rate, networks).expected_spikes[0]
        return spikes_per_bin(expected, frame_times, rate, n_bins, start_s)

    return tuple(
        one(trial, segment.trace.size, segment.start_s)
        for trial, segment in zip(neuron.recording.trials, neuron.segments, strict=True)
    )
