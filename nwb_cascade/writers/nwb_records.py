"""Runs and spikes as they are stored in NWB files, and the room that they take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nwb_cascade import provenance
from nwb_cascade.core.precision import DEVIATION_BITS, RATE_BITS
from nwb_cascade.core.wording import counted
from nwb_cascade.files.disk import reserve
from nwb_cascade.nwb.check import check_spikes
from nwb_cascade.nwb.storage import SCHEMA_BYTES
from nwb_cascade.nwb.write import RunRecord
from nwb_cascade.nwb.write_spikes import SpikesRecord, write_spikes
from nwb_cascade.results.found_spikes import FoundSpikes, spikes_name
from nwb_cascade.results.inferred import Inferred


def run_record(one: Inferred) -> RunRecord:
    """Gather what is stored of a run."""
    result, run, stored, source = one.result, one.run, one.stored, one.recording.traces.source
    made = f"dF/F computed from {result.series} ({result.dff})" if result.dff else result.series
    smoothing = f"smoothed by a {run.kernel} kernel of {run.smoothing_s:g} s" if run.smoothing_s else "not smoothed"
    return RunRecord(
        name=result.run_name,
        source_path=source["object_path"],
        config=run.model.config,
        weights_sha256=run.model.sha256,
        expected_spikes=stored.expected_spikes,
        ensemble_std=stored.ensemble_std,
        noise_levels=stored.noise_levels,
        model_noise_levels=stored.model_noise_levels,
        valid_frames=stored.valid_frames,
        roi_warnings=stored.warnings,
        counts=stored.counts,
        imaging_rate=result.imaging_rate,
        alignment=run.alignment,
        threshold=run.threshold,
        run_key=result.run_key,
        run_parameters=provenance.run_parameters(one.parameters, reason=run.reason),
        source_provenance=provenance.source_provenance(
            source, n_rois=result.n_rois, n_frames=result.n_frames, imaging_rate=result.imaging_rate
        ),
        description=f"Expected spikes per frame inferred from {made} by {result.model}, {smoothing}; stored to "
        f"{RATE_BITS + 1} significant bits, their deviation to {DEVIATION_BITS + 1}."
        + (f" {one.recording.uncalibrated}" if one.recording.uncalibrated else ""),
    )


def spikes_record(found: FoundSpikes, *, run_name: str, rates_path: str, run_key: str) -> SpikesRecord:
    """Gather what is stored of the discrete spikes of a run."""
    options = found.options
    return SpikesRecord(
        spikes_name(run_name), rates_path, found.times, found.fit_error, options.method, options.parameters(run_key)
    )


def store_spikes(prepared: Path, record: SpikesRecord, *, overwrite: bool = False) -> tuple[str, ...]:
    """Add spikes to a file that nobody else has open yet, and check them; returns what to know about the file."""
    if prepared.is_file():
        reserve(prepared, spikes_bytes(record.n_spikes, len(record.spike_times)))
    return foreign(check_spikes(prepared, write_spikes(prepared, record, overwrite=overwrite), record))


def stored_bytes(n_rois: int, matrix_bytes: int) -> int:
    """Return the most bytes that a run takes in a file: matrices that do not compress, texts per ROI, schemas."""
    return matrix_bytes + matrix_bytes // 64 + 1024 * n_rois + SCHEMA_BYTES


def record_bytes(record: RunRecord) -> int:
    """Return the most bytes that a run takes in a file."""
    n_rois, n_frames = record.expected_spikes.shape
    n_matrices = 1 if record.ensemble_std is None else 2
    return stored_bytes(n_rois, 4 * n_rois * n_frames * n_matrices) + 8 * n_frames  # timestamps


def spikes_bytes(n_spikes: int, n_rois: int) -> int:
    """Return the most bytes that a table of spikes takes in a file."""
    return SCHEMA_BYTES + 16 * n_spikes + 64 * n_rois


def foreign(violations: Sequence[str]) -> tuple[str, ...]:
    """Say what is wrong with parts of a file that others wrote."""
    if not violations:
        return ()
    return (f"Elsewhere the file violates the NWB schema {counted(len(violations), 'time')}, first: {violations[0]}",)
