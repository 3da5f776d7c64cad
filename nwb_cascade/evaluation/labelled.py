"""Calibration of a preparation: from cells with known spikes, a known mean rate, or the dF/F of one spike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ground_truth_nwb.indicators import INDICATORS, Kinetics
from ground_truth_nwb.simulate import fluorescence, simulate_spikes
from nwb_cascade.architectures.registry import architecture_of, build_networks
from nwb_cascade.core.calibration import Calibration, gain_from_cells, gain_from_mean_rate, gain_from_response
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.engine import infer_block
from nwb_cascade.core.indicators import canonical_indicator
from nwb_cascade.core.noise import noise_std
from nwb_cascade.core.spike_counts import count_model_of, whole_sums
from nwb_cascade.errors import InputError
from nwb_cascade.evaluation.assessment import Case, Condition, make_case
from nwb_cascade.evaluation.count_fit import known_sums
from nwb_cascade.evaluation.estimators import model_estimator, networks_of
from nwb_cascade.models.bundle import Model
from nwb_cascade.training.recordings import KnownRecording

USUAL_RATE = 30.0  # Hz, to which cells are brought that were recorded faster than a model takes
RESPONSE_CELLS, RESPONSE_S, RESPONSE_NOISE = 16, 120.0, 2.0  # of the simulation that a known response is compared in
LEAST_RESPONSE = 0.005


def calibration_from_cells(
    model: Model, recordings: Sequence[KnownRecording], *, indicator: str | None = None, species: str | None = None
) -> Calibration:
    """Gain of a preparation from cells of it with known spikes.

    Parameters
    ----------
    model : Model
        The model whose counts are to be corrected.
    recordings : sequence of KnownRecording
        Labelled cells of the preparation, none of which the networks were trained on.
    indicator, species : str, optional
        As they will be told of the recordings; by default what the labelled cells state.

    Raises
    ------
    InputError
        If the cells are of another indicator, none of them has spikes, or the gain is not from 0.05 to 20.
    """
    stated = sorted({one.indicator for one in recordings})
    wanted = canonical_indicator(indicator) if indicator else None
    if not recordings or len(stated) > 1 or (wanted and wanted not in map(canonical_indicator, stated)):
        raise InputError(
            f"Expected labelled cells of {indicator or 'one indicator'}, received {', '.join(stated) or 'no cell'}. "
            "Name the folder of the same preparation, or its indicator (--indicator)."
        )
    species = species or recordings[0].species or None
    told = architecture_of(model.config).told(indicator or stated[0], model.config, species)
    counts_model = count_model_of(model.config.extra, told.indicator, model.config.name)
    estimator = model_estimator(
        model.config, networks_of(model.config, model.weights), indicator_of=lambda _: told.indicator
    )
    rows = []
    for recording in recordings:
        case = make_case(recording, _own_condition(model, recording))
        if isinstance(case, Case):
            (estimates,) = estimator([case])
            rows.append((recording.cell, case.noise_level, *known_sums(case, estimates)))
    if not rows:
        raise InputError(f"Expected labelled cells with trials of 64 frames, received none in {len(recordings)}.")
    noise, counts, expected, seconds = np.array([row[1:] for row in rows]).T
    gain, sd = gain_from_cells(counts, expected, noise, seconds, counts_model)
    evidence = {
        "cells": [row[0] for row in rows if row[2] > 0],
        "spikes": counts[counts > 0].tolist(),
        "expected": [round(float(one), 3) for one in expected[counts > 0]],
        "cells_without_spikes": int((counts == 0).sum()),
    }
    return Calibration(gain, sd, "labelled cells", model.config.name, model.sha256, told.indicator, evidence)


def calibration_from_mean_rate(
    model: Model, results: Sequence[Path], rate_hz: float, rate_share: float, run_name: str | None = None
) -> Calibration:
    """Gain of a preparation whose mean rate is known, from runs of the model on recordings of it.

    Parameters
    ----------
    model : Model
        The model.
    results : sequence of pathlib.Path
        Files with inferred rates.
    rate_hz, rate_share : float
        Known mean rate, spikes/s, and its uncertainty (one standard deviation) as a share of it.
    run_name : str, optional
        Name of the run, where files hold several.

    Raises
    ------
    InputError
        If a run is of another model or indicator, was calibrated already, or the gain is not from 0.05 to 20.
    """
    from nwb_cascade.readers.stored_runs import open_run

    stated: list[float] = []
    told: set[str | None] = set()
    counts_model: CountModel | None = None
    for path in results:
        with open_run(path, run_name) as run:
            if str(run.series.model.weights_sha256) != model.sha256 or "calibration" in run.parameters:
                raise InputError(
                    f"Expected rates of {model.config.name} without a calibration in {path}, found "
                    f"{run.series.model.name}{' with one' if 'calibration' in run.parameters else ''}: infer them anew."
                )
            told.add(run.parameters.get("indicator"))
            counts_model = count_model_of(model.config.extra, run.parameters.get("indicator"), model.config.name)
            for roi in range(run.shape[0]):
                sums, seconds = whole_sums(run.rates[roi][None], run.clock)
                if seconds[0] > 0:
                    stated.append(float(counts_model.means(sums, run.noise_levels[roi], seconds)[0] / seconds[0]))
    if len(told) != 1 or counts_model is None:
        raise InputError(f"Expected recordings that were told one indicator, received {sorted(map(str, told))}.")
    gain, sd = gain_from_mean_rate(rate_hz, rate_share, stated, counts_model)
    evidence = {"mean_rate_hz": rate_hz, "uncertainty": rate_share, "rois": len(stated), "files": len(results)}
    return Calibration(gain, sd, "mean rate", model.config.name, model.sha256, told.pop(), evidence)


def calibration_from_response(
    model: Model, indicator: str, spike_dff: float, response_share: float, *, species: str | None = None
) -> Calibration:
    """Gain of a preparation whose dF/F of one spike is known: how many spikes the networks find in such responses.

    Parameters
    ----------
    model : Model
        The model.
    indicator : str
        Calcium indicator, one with known kinetics.
    spike_dff, response_share : float
        Peak dF/F after one spike, a fraction, and its uncertainty (one standard deviation) as a share of it.
    species : str, optional
        As it will be told of the recordings.

    Raises
    ------
    InputError
        If the indicator's kinetics are not known, or no spike could be seen or told from saturation.
    """
    name = canonical_indicator(indicator)
    usual = INDICATORS[name].kinetics if name else None
    if usual is None:
        known = ", ".join(one.name for one in INDICATORS.values() if one.kinetics)
        raise InputError(f"Expected an indicator with known kinetics, received {indicator}. Known: {known}.")
    if not LEAST_RESPONSE <= spike_dff <= usual.max_dff / 2:
        raise InputError(
            f"Expected the dF/F of one spike from {LEAST_RESPONSE:g} to {usual.max_dff / 2:g} for {name}, as a "
            f"fraction, received {spike_dff:g}."
        )
    told = architecture_of(model.config).told(indicator, model.config, species)
    counts_model = count_model_of(model.config.extra, told.indicator, model.config.name)
    expected, found = (
        _found(model, told.indicator, replace(usual, amplitude=one)) for one in (usual.amplitude, spike_dff)
    )
    gain, sd = gain_from_response(expected, found, response_share, counts_model)
    evidence = {
        "spike_dff": spike_dff,
        "uncertainty": response_share,
        "usual_spike_dff": usual.amplitude,
        "spikes_found": round(found, 3),
        "spikes_found_of_usual": round(expected, 3),
    }
    return Calibration(gain, sd, "unit response", model.config.name, model.sha256, told.indicator, evidence)


def _found(model: Model, indicator: str | None, kinetics: Kinetics) -> float:
    """Spikes that the networks find in simulated trains of cells with these kinetics."""
    rng = np.random.default_rng(0)
    times = np.arange(0, RESPONSE_S, 1 / USUAL_RATE)
    trains = [simulate_spikes(rng, duration_s=RESPONSE_S, firing_rate_hz=0.5) for _ in range(RESPONSE_CELLS)]
    clean = np.stack([fluorescence(times, spikes, kinetics) for spikes in trains])
    noise = noise_std(RESPONSE_NOISE, USUAL_RATE) * rng.standard_normal(clean.shape)
    networks = build_networks(model.config, model.weights, imaging_rate=USUAL_RATE, indicator=indicator)
    return float(
        np.maximum(infer_block((clean + noise).astype(np.float32), USUAL_RATE, networks).expected_spikes, 0).sum()
    )


def _own_condition(model: Model, recording: KnownRecording) -> Condition:
    """The recording as it is, unless it is faster than the model takes."""
    rate = recording.trials[0].imaging_rate
    low, high = model.config.model_rates_hz
    smoothing = model.config.kernel, model.config.smoothing_s
    return Condition(rate if low <= rate <= high else min(USUAL_RATE, high), None, *smoothing)
