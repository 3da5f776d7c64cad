"""What was run on what, as rows of a table, and what there is to know about single ROIs, by kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nwb_cascade.nwb.stored_run import StoredRun

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


@dataclass(frozen=True)
class WarningKind:
    """Warnings that differ in numbers only: one of them in full, and the positions of the ROIs concerned."""

    example: str
    rois: tuple[int, ...]


def provenance_tables(run: StoredRun) -> tuple[tuple[str, tuple[Row, ...]], ...]:
    """Return titled tables of (what, value) about the recording, the run and the model; nothing empty."""
    tables = (("Recording", _recording(run)), ("Run", _run(run)), ("Model", _model(run.series.model)))
    return tuple((title, tuple((what, value) for what, value in rows if value)) for title, rows in tables)


def warning_kinds(roi_warnings: Sequence[str]) -> tuple[WarningKind, ...]:
    """Group warnings (one text per ROI, parts separated by "; ") that differ in numbers only; most frequent first.

    Examples
    --------
    >>> kinds = warning_kinds(["", "3 frames are NaN", "7 frames are NaN; constant"])
    >>> [(kind.example, kind.rois) for kind in kinds]
    [('3 frames are NaN', (1, 2)), ('constant', (2,))]
    """
    kinds: dict[str, tuple[str, list[int]]] = {}
    for roi, text in enumerate(roi_warnings):
        for part in filter(None, text.split("; ")):
            kinds.setdefault(re.sub(r"\d+(\.\d+)?", "#", part), (part, []))[1].append(roi)
    found = [WarningKind(example, tuple(dict.fromkeys(rois))) for example, rois in kinds.values()]
    return tuple(sorted(found, key=lambda kind: -len(kind.rois)))


def indicator_of(run: StoredRun) -> str | None:
    """Indicator that the run was told, else what the imaging plane of its ROIs states."""
    told = run.parameters.get("indicator")
    if told:
        return str(told)
    plane = getattr(run.series.rois.table, "imaging_plane", None)
    return None if plane is None or not plane.indicator else str(plane.indicator)


def _recording(run: StoredRun) -> list[Row]:
    nwbfile, source = run.nwbfile, run.provenance
    n_rois, n_frames = run.shape
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
        ("Traces", f"{n_rois} ROIs × {n_frames} frames at {run.imaging_rate:.6g} Hz ({_length(run)})"),
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
        ("Discrete spikes", "" if run.spikes is None else f"{run.spikes.table.name}: {run.spikes.table.method}"),
        ("Software", ", ".join(f"{k} {v}" for k, v in software.items()) if isinstance(software, dict) else ""),
        ("Run key", str(series.run_key)),
    ]


def _model(model: Any) -> list[Row]:
    low, high = (float(rate) for rate in model.model_rates_hz[:])
    datasets = () if model.training_datasets is None else [str(name) for name in model.training_datasets[:]]
    return [
        ("Name", f"{model.name}, version {model.version}"),
        ("Architecture", f"{model.architecture}, {model.ensemble_size} networks are averaged"),
        ("Description", str(model.description or "")),
        ("Trained for", f"{low:g} Hz" if low == high else f"{low:g} to {high:g} Hz"),
        ("Trained on", ", ".join(datasets)),
        ("Weights (SHA-256)", str(model.weights_sha256)),
        ("Licence", str(model.license or "")),
        ("Cite", str(model.citation or "")),
    ]


def _joined(*parts: Any) -> str:
    return ", ".join(str(part) for part in parts if part)


def _length(run: StoredRun) -> str:
    seconds = run.shape[1] / run.imaging_rate
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.1f} s"
