"""How late the fluorescence of a data set follows its spikes, measured on the neurons that train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nwb_cascade.core.resampling import bin_spikes, moved
from nwb_cascade.spikefinder.calibrated import ExpectedSpikes
from nwb_cascade.spikefinder.neurons import BIN_HZ, Neuron
from nwb_cascade.training.recordings import KnownRecording

MOST_SHIFT_BINS = 30


def measured_lags(neurons: Sequence[Neuron], training: Sequence[int]) -> dict[str, float]:
    """Median over the training neurons of each data set of the lag of fluorescence behind spikes, s.

    See `ground_truth_nwb.alignment.response_lag_s`. Data sets without a training neuron whose lag can be told get 0.
    """
    lags: dict[str, list[float]] = {neuron.dataset: [] for neuron in neurons}
    for index in training:
        lags[neurons[index].dataset].append(_lag_s(neurons[index].recording))
    finite = {dataset: [lag for lag in found if np.isfinite(lag)] for dataset, found in lags.items()}
    return {dataset: float(np.median(found)) if found else 0.0 for dataset, found in finite.items()}


def with_later_spikes(neurons: Sequence[Neuron], lags_s: Mapping[str, float]) -> list[Neuron]:
    """The same neurons with the spikes of each data set moved later by its lag, s; traces stay as they are."""
    return [_moved(neuron, lags_s.get(neuron.dataset, 0.0)) for neuron in neurons]


def best_shifts(neurons: Sequence[Neuron], training: Sequence[int], expected: ExpectedSpikes) -> dict[str, int]:
    """Bins by which expected spikes of each data set should move later to agree best with the spikes.

    The shift of at most 0.3 s either way at which the sum over the training neurons of the correlations of expected
    and counted spikes is largest, both summed over the five bins that a label looks at.
    """
    shifts = range(-MOST_SHIFT_BINS, MOST_SHIFT_BINS + 1)
    totals = {neuron.dataset: np.zeros(len(shifts)) for neuron in neurons}
    for index in training:
        counts, found = (
            np.concatenate([np.convolve(part, np.ones(5), "same") for part in parts])
            for parts in ([s.counts for s in neurons[index].segments], expected.per_bin[index])
        )
        if counts.std() > 0 and found.std() > 0:
            totals[neurons[index].dataset] += [np.corrcoef(counts, np.roll(found, shift))[0, 1] for shift in shifts]
    return {dataset: shifts[int(np.argmax(total))] if total.any() else 0 for dataset, total in totals.items()}


def with_later_expectation(
    neurons: Sequence[Neuron], expected: ExpectedSpikes, shifts: Mapping[str, int]
) -> ExpectedSpikes:
    """Expected spikes moved later by each data set's shift in bins; what moves out is lost, 0 moves in."""
    later = tuple(
        tuple(moved(values, shifts.get(neuron.dataset, 0), 0.0) for values in segments)
        for neuron, segments in zip(neurons, expected.per_bin, strict=True)
    )
    return replace(expected, per_bin=later)


def _lag_s(recording: KnownRecording) -> float:
    from ground_truth_nwb.alignment import response_lag_s
    from ground_truth_nwb.cells import Cell, Trial

    trials = tuple(Trial(one.times, one.dff, np.sort(one.spike_times)) for one in recording.trials)
    return response_lag_s(Cell(recording.dataset, recording.cell, recording.animal, recording.indicator, trials))


def _moved(neuron: Neuron, lag_s: float) -> Neuron:
    segments = []
    for segment, trial in zip(neuron.segments, neuron.recording.trials, strict=True):
        centres = segment.start_s + np.arange(segment.trace.size) / BIN_HZ
        segments.append(replace(segment, counts=bin_spikes(trial.spike_times + lag_s, centres, BIN_HZ)))
    return replace(neuron, segments=tuple(segments))
