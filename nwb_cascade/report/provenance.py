"""What was run on what, as rows of a table."""

from __future__ import annotations

from typing import Any

import numpy as np

from nwb_cascade.core.wording import counted, ranged
from nwb_cascade.discrete import POOR_FIT
from nwb_cascade.nwb.stored_run import Spikes, StoredRun

Row = tuple[str, str]
ALIGNMENTS = {
    "trained": "values stand at the frame that the network was trained for",
    "published": "one frame early, as published by Cascade",
}
THRESHOLDS = {
    "raw": "as the networks gave them, negative values included",
    "nonnegative": "negative values set to 0",
    "single-spike": "set to 0 where they stay below what one spike gives",
}


def provenance_tables(run: StoredRun) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    """Return titled tables of (what, value) about the recording, the run and the model; nothing empty."""
    tables = (("Recording", _recording(run)), ("Run", _run(run)), ("Model", _model(run.series.model)))
    return tuple((title, tuple((what, value) for what, value in rows if value)) for title, rows in tables)


def indicator_of(run: StoredRun) -> str | None:
    """Indicator that the run was told, else what the imaging plane of its ROIs states."""
    told = run.parameters.get("indicator")
    if told:
        return str(told)
    plane = getattr(run.series.rois.table, "imaging_plane", None)
    return None if plane is None or not plane.indicator else str(plane.indicator)


def _recording(run: StoredRun) -> list[Row]:
    nwbfile, source = run.nwbfile, run.provenance
    subject = nwbfile.subject
    plane = getattr(run.series.rois.table, "imaging_plane", None)
    return [
        ("File", run.path.name),
        ("Session", str(nwbfile.session_id or nwbfile.identifier or "")),
        ("Subject", "" if subject is None else _joined(subject.subject_id, subject.species, subject.age)),
        ("Indicator", "" if plane is None else str(plane.indicator or "")),
        ("Region", "" if plane is None else str(plane.location or "")),
        ("dF/F series", str(source.get("object_path", ""))),
        ("dF/F read as", str(source.get("scale", ""))),
        ("Made from file", str(source.get("file_name", ""))),
        ("Address", str(source.get("address", ""))),
        ("Asset", _joined(source.get("asset_id"), source.get("digest"))),
        ("Traces", _traces(run)),
    ]


def _run(run: StoredRun) -> list[Row]:
    series, parameters = run.series, run.parameters
    software = parameters.get("software")
    smoothing = _joined(parameters.get("kernel"), f"{parameters.get('smoothing_s', series.model.smoothing_s):g} s")
    return [
        ("Name", f"{series.name} ({run.object_path})"),
        ("What it holds", str(series.description or "")),
        ("Why this model", str(parameters.get("model_choice", ""))),
        ("Indicator told", str(parameters.get("indicator") or "")),
        ("Smoothing", smoothing),
        ("Alignment", f"{series.alignment}: {ALIGNMENTS.get(series.alignment, '')}"),
        ("Small values", f"{series.threshold}: {THRESHOLDS.get(series.threshold, '')}"),
        ("Spike counts", _counts(run)),
        ("Discrete spikes", "" if run.spikes is None else f"{run.spikes.table.name}: {run.spikes.table.method}"),
        ("Fit of the spikes", "" if run.spikes is None else _fit(run.spikes)),
        ("Software", ", ".join(f"{k} {v}" for k, v in software.items()) if isinstance(software, dict) else ""),
        ("Run key", str(series.run_key)),
    ]


def _counts(run: StoredRun) -> str:
    """What the intervals of the spike counts state."""
    counts = run.counts
    if counts is None:
        return ""
    known = {
        "met": "met: other animals with this indicator, species and kind of cell were in the training",
        "unmet": "unmet: no such preparation was in the training, or the indicator was not told",
    }[counts.model.kind]
    gain = "" if counts.model.gain == 1 else f", scaled by a gain of {counts.model.gain:.3g}"
    return f"intervals hold the true count with {100 * counts.level:g} % ({known}){gain}"


def _model(model: Any) -> list[Row]:
    datasets = () if model.training_datasets is None else [str(name) for name in model.training_datasets[:]]
    return [
        ("Name", f"{model.name}, version {model.version}"),
        ("Architecture", _architecture(model)),
        ("Description", str(model.description or "")),
        ("Trained for", f"{ranged(*model.model_rates_hz[:])} Hz"),
        ("Trained on", ", ".join(datasets)),
        ("Weights (SHA-256)", str(model.weights_sha256)),
        ("Licence", str(model.license or "")),
        ("Cite", str(model.citation or "")),
    ]


def _joined(*parts: Any) -> str:
    return ", ".join(str(part) for part in parts if part)


def _traces(run: StoredRun) -> str:
    n_rois, n_frames = run.shape
    seconds = float((1 / run.clock.frame_rates).sum())
    length = f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.1f} s"
    shape = f"{counted(n_rois, 'ROI')} × {counted(n_frames, 'frame')}"
    return f"{shape} at {run.clock.describe()} ({length})"


def _architecture(model: Any) -> str:
    if model.ensemble_size == 1:
        return f"{model.architecture}, one network"
    return f"{model.architecture}, {model.ensemble_size} networks are averaged"


def _fit(spikes: Spikes) -> str:
    """How well the spikes explain the rates, and of how many ROIs they do not."""
    errors = spikes.fit_errors()
    known = errors[np.isfinite(errors)]
    if not known.size:
        return "unknown"
    median = f"median fit error {np.median(known):.2f}"
    if not (n_poor := int((known > POOR_FIT).sum())):
        return median
    poor = f"{n_poor} of {counted(errors.size, 'ROI')} above {POOR_FIT:g}"
    return f"{median}; {poor}: do not read those trains spike by spike"
