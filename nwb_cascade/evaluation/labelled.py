"""Calibration of a preparation: from cells with known spikes, a known mean rate, or the dF/F of one spike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nwb_cascade.architectures.registry import architecture_of
from nwb_cascade.core.calibration import Calibration, gain_from_cells, gain_from_mean_rate
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.indicators import canonical_indicator
from nwb_cascade.core.spike_counts import count_model_of, whole_sums
from nwb_cascade.errors import InputError
from nwb_cascade.evaluation.assessment import Case, Condition, make_case
from nwb_cascade.evaluation.count_fit import known_sums
from nwb_cascade.evaluation.evaluation_run import told_estimator
from nwb_cascade.models.bundle import Model
from nwb_cascade.training.recordings import KnownRecording

USUAL_RATE = 30.0  # Hz, to which cells are brought that were recorded faster than a model takes


def calibration_from_cells(
    model: Model,
    recordings: Sequence[KnownRecording],
    *,
    indicator: str | None = None,
    species: str | None = None,
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
    told = architecture_of(model.config).told(stated[0], model.config, species or recordings[0].species or None)
    counts_model = count_model_of(model.config.extra, told.indicator, model.config.name)
    estimator = told_estimator(model.config, model.weights, told.indicator)
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


def _own_condition(model: Model, recording: KnownRecording) -> Condition:
    """The recording as it is, unless it is faster than the model takes."""
    rate = recording.trials[0].imaging_rate
    low, high = model.config.model_rates_hz
    smoothing = model.config.kernel, model.config.smoothing_s
    return Condition(rate if low <= rate <= high else min(USUAL_RATE, high), None, *smoothing)
