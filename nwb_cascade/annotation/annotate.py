"""Annotate an NWB file with inferred spike rates: read, infer, and replace the target only when all is well."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from pathlib import Path

from nwb_cascade.annotation.result import AnnotationResult
from nwb_cascade.annotation.stored_inference import StoredInference, infer_to_disk
from nwb_cascade.annotation.targets import require_writable, split_name, target_of
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import Report, clear_disk_errors, copy, require_space, reserve, size
from nwb_cascade.files.replace import beside, install, kept_from_writers, repair, stamp, workplace
from nwb_cascade.inference import InferenceRun, prepare_run
from nwb_cascade.models.bundle import Model
from nwb_cascade.nwb import provenance
from nwb_cascade.nwb.check import check_run
from nwb_cascade.nwb.existing import copy_holds_run, recording_holds_run
from nwb_cascade.nwb.recording import Recording, open_recording
from nwb_cascade.nwb.storage import require_links
from nwb_cascade.nwb.write import RunRecord, check_run_name, place_of, write_run

__all__ = ["AnnotationResult", "annotate"]

DEFAULT_RUN_NAME = "InferredSpikeRates"
SCHEMA_BYTES = 2**22  # cached schemas, links and chunk indices of one run, generously


def annotate(
    path: str | PathLike[str],
    *,
    output: str | PathLike[str] | None = None,
    in_place: bool = False,
    series: str | None = None,
    model: str | PathLike[str] | Model = "auto",
    indicator: str | None = None,
    imaging_rate: float | None = None,
    scale: str | None = None,
    threshold: str = "nonnegative",
    legacy_alignment: bool = False,
    kernel: str | None = None,
    smoothing_s: float | None = None,
    ensemble_std: bool = True,
    run_name: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    scratch_dir: str | PathLike[str] | None = None,
    progress: Report | None = None,
) -> AnnotationResult:
    """Infer spike rates for the dF/F of an NWB file and store them as a typed NWB object.

    The result is computed and checked in a hidden folder beside the target, which is then replaced in one step: a
    run that fails or is killed at any moment leaves the target as it was, and the next one cleans up. Memory does
    not grow with the recording.

    Parameters
    ----------
    path : path
        NWB file, HDF5 or Zarr.
    output : path, optional
        File or folder of the annotated copy; by default a file beside the recording, see
        `nwb_cascade.annotation.targets.default_output`.
    in_place : bool
        Replace the recording itself by its annotated copy.
    series : str, optional
        Name, path or object id of the dF/F series, where the file holds several.
    model, indicator, threshold, legacy_alignment, kernel, smoothing_s
        As for `nwb_cascade.infer`; the indicator is by default the one that the file states.
    imaging_rate : float, optional
        Hz, for a series that states none.
    scale : {"fraction", "percent"}, optional
        What the values are, where the file does not say.
    ensemble_std : bool
        Store the standard deviation over the ensemble as well.
    run_name : str, optional
        Name of the new object; by default ``InferredSpikeRates``, followed by the name of the series if the file
        holds other dF/F as well. Several runs coexist by name.
    overwrite : bool
        Replace a run of the same name, or an annotated copy of the same recording, that was made otherwise.
    dry_run : bool
        Tell what would be done, with which model and why; write nothing.
    scratch_dir : path, optional
        Folder for temporary matrices, by default that of the target. They have no names and vanish with the process.
    progress : callable, optional
        Called with (done, total) of three stages in turn: ROIs inferred, MiB copied, ROIs stored.

    Returns
    -------
    AnnotationResult
        With ``skipped`` set if the target holds this very run already.

    Raises
    ------
    OSError
        If a file cannot be read or written: absent, locked, read-only, no space left.
    InputError
        If the recording or an option cannot be used, or somebody else changed the target meanwhile.
    AmbiguousSeriesError
        If more than one series could be meant.
    NameTakenError
        If the name of the run is taken and ``overwrite`` is not set.
    NoModelError, ModelFileError
        As for `nwb_cascade.infer`.
    """
    source = Path(path)
    if run_name is not None:
        check_run_name(run_name)
    target = target_of(source, output, in_place)
    if not dry_run:
        repair(target)
    stamps = stamp(source), stamp(target)
    scratch = target.parent if scratch_dir is None else Path(scratch_dir)
    with ExitStack() as opened:
        recording = opened.enter_context(
            open_recording(source, series=series, imaging_rate=imaging_rate, scale=scale, scratch_dir=scratch)
        )
        run = prepare_run(
            recording.traces.imaging_rate,
            model=model,
            indicator=indicator or recording.series.indicator,
            species=recording.series.species,
            threshold=threshold,
            legacy_alignment=legacy_alignment,
            kernel=kernel,
            smoothing_s=smoothing_s,
        )
        require_links(source, target.parent)
        plan = _plan(recording, run, target, run_name, ensemble_std)
        holder = _holder(plan, recording, target, in_place=in_place, overwrite=overwrite)
        if holder is not None or dry_run:
            return replace(plan, skipped=holder is not None, dry_run=dry_run, output=str(holder or target))
        _require_writable(source, target, plan, scratch, ensemble_std=ensemble_std)
        with workplace(target) as work:
            started = time.perf_counter()
            inference = infer_to_disk(recording.traces, run, scratch, ensemble_std=ensemble_std, progress=progress)
            with inference as stored, clear_disk_errors(target), kept_from_writers(source):
                inferred = time.perf_counter()
                prepared = beside(work, split_name(target.name)[1])
                record = _record(plan, recording, run, stored)
                opened.close()  # files that it links to are opened for writing with the copy
                notes = _prepare(source, prepared, record, overwrite=overwrite, progress=progress)
                if stamp(source) != stamps[0]:
                    raise InputError(f"Another program changed {source} meanwhile; nothing was written. Run again.")
                install(prepared, target, expected=stamps[1])
    seconds = {"infer": inferred - started, "store": time.perf_counter() - inferred}
    notes = (*plan.warnings, *notes)
    return replace(plan, n_inferred=stored.n_inferred, warnings=notes, roi_warnings=stored.warnings, seconds=seconds)


def _holder(
    plan: AnnotationResult, recording: Recording, target: Path, *, in_place: bool, overwrite: bool
) -> Path | None:
    """File that holds this very run already; raises if what is in its place may not be replaced."""
    if recording_holds_run(recording, plan.run_name, plan.run_key, overwrite=overwrite):
        return recording.path
    if in_place or not target.exists():
        return None
    is_held = copy_holds_run(target, recording, plan.run_name, plan.run_key, overwrite=overwrite)
    return target if is_held else None


def _plan(
    recording: Recording, run: InferenceRun, target: Path, run_name: str | None, ensemble_std: bool
) -> AnnotationResult:
    """Describe what is going to be done."""
    traces = recording.traces
    if run_name is None:
        run_name = DEFAULT_RUN_NAME if recording.is_only_dff else f"{DEFAULT_RUN_NAME}_{recording.series.name}"
    place = place_of(recording.nwbfile, recording.series.object_id, run_name)
    key = provenance.run_key(
        source={
            "object_id": recording.series.object_id,
            "n_rois": traces.n_rois,
            "n_frames": traces.n_frames,
            "scale": traces.source["scale"],
            "sample_sha256": recording.sample_sha256,
        },
        weights_sha256=run.model.sha256,
        parameters={**run.parameters, "ensemble_std": ensemble_std},
    )
    return AnnotationResult(
        path=str(recording.path),
        output=str(target),
        run_name=run_name,
        object_path=place.object_path,
        series=recording.series.object_path,
        model=run.model.config.name,
        model_sha256=run.model.sha256,
        reason=run.reason,
        indicator=run.indicator,
        imaging_rate=traces.imaging_rate,
        n_rois=traces.n_rois,
        n_frames=traces.n_frames,
        run_key=key,
        warnings=tuple(recording.series.problems),
    )


def _require_writable(source: Path, target: Path, plan: AnnotationResult, scratch: Path, *, ensemble_std: bool) -> None:
    """Raise before long work if the target may not be written, or the disk has no room for copy and results."""
    require_writable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    matrices = 4 * plan.n_rois * plan.n_frames * (2 if ensemble_std else 1)
    needed = size(source) + _stored_bytes(plan.n_rois, matrices)
    if scratch == target.parent:
        needed += matrices + 4 * plan.n_rois * plan.n_frames
    require_space(target.parent, needed, f"the annotated copy of {source.name}")


def _stored_bytes(n_rois: int, matrix_bytes: int) -> int:
    """Most bytes that a run takes in a file: matrices that do not compress, texts per ROI, schemas."""
    return matrix_bytes + matrix_bytes // 64 + 1024 * n_rois + SCHEMA_BYTES


def _record(plan: AnnotationResult, recording: Recording, run: InferenceRun, stored: StoredInference) -> RunRecord:
    """Gather what is stored of the run."""
    source = {
        **recording.traces.source,
        "session_id": str(recording.nwbfile.session_id or ""),
        "sample_sha256": recording.sample_sha256,
    }
    smoothing = f"smoothed by a {run.kernel} kernel of {run.smoothing_s:g} s" if run.smoothing_s else "not smoothed"
    return RunRecord(
        name=plan.run_name,
        source_object_id=recording.series.object_id,
        config=run.model.config,
        weights_sha256=run.model.sha256,
        expected_spikes=stored.expected_spikes,
        ensemble_std=stored.ensemble_std,
        noise_levels=stored.noise_levels,
        model_noise_levels=stored.model_noise_levels,
        valid_frames=stored.valid_frames,
        roi_warnings=stored.roi_texts(),
        imaging_rate=plan.imaging_rate,
        alignment=run.alignment,
        threshold=run.threshold,
        run_key=plan.run_key,
        run_parameters=provenance.run_parameters(run.parameters, reason=run.reason),
        source_provenance=provenance.source_provenance(
            source, n_rois=plan.n_rois, n_frames=plan.n_frames, imaging_rate=plan.imaging_rate
        ),
        description=f"Expected spikes per frame inferred from {plan.series} by {plan.model}, {smoothing}.",
    )


def _prepare(
    source: Path, prepared: Path, record: RunRecord, *, overwrite: bool, progress: Report | None
) -> tuple[str, ...]:
    """Make a checked copy of the recording with the run in it; returns what to know about it."""
    copy(source, prepared, progress)
    if prepared.is_file():
        n_rois, n_frames = record.expected_spikes.shape
        n_matrices = 1 if record.ensemble_std is None else 2
        reserve(prepared, _stored_bytes(n_rois, 4 * n_rois * n_frames * n_matrices))
    object_path = write_run(prepared, record, overwrite=overwrite, progress=progress)
    violations = check_run(prepared, object_path, record)
    if not violations:
        return ()
    return (f"Elsewhere the file violates the NWB schema {len(violations)} times, first: {violations[0]}",)
