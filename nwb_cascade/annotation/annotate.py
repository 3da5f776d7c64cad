"""Annotate an NWB file with inferred spike rates: read, infer, and replace the target only when all is well."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from nwb_cascade import provenance
from nwb_cascade.annotation.found_spikes import Count, SpikesOptions, find_spikes, spikes_name
from nwb_cascade.annotation.result import AnnotationResult, SpikesResult
from nwb_cascade.annotation.spikes import annotate_spikes, spikes_result, store_spikes
from nwb_cascade.annotation.stored_inference import StoredInference, infer_to_disk
from nwb_cascade.core.progress import Progress
from nwb_cascade.dff import DffRows
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import clear_disk_errors, require_space
from nwb_cascade.files.replace import beside, workplace
from nwb_cascade.inference import BLOCK_BYTES, InferenceRun, prepare_run
from nwb_cascade.models.bundle import Model
from nwb_cascade.nwb.blocks import AHEAD_BYTES
from nwb_cascade.nwb.raw import FromRaw
from nwb_cascade.nwb.timing import FrameClock
from nwb_cascade.nwb.write import RunRecord, check_run_name, place_of, spikes_tables
from nwb_cascade.nwb.write_spikes import SpikesRecord
from nwb_cascade.readers import registry as sources
from nwb_cascade.readers.nwb import Recording, open_recording
from nwb_cascade.readers.registry import Source
from nwb_cascade.writers.nwb import DEFAULT_RUN_NAME, CopyOutput, Output, SidecarOutput, stored_bytes
from nwb_cascade.writers.targets import require_writable, split_name

if TYPE_CHECKING:
    from nwb_cascade.dandi.stream import StreamSettings

__all__ = ["AnnotationResult", "annotate"]


def annotate(
    source: Source,
    *,
    output: str | PathLike[str] | None = None,
    in_place: bool = False,
    sidecar: bool = False,
    streaming: StreamSettings | None = None,
    series: str | None = None,
    model: str | PathLike[str] | Model = "auto",
    indicator: str | None = None,
    imaging_rate: float | None = None,
    scale: str | None = None,
    from_raw: FromRaw | None = None,
    threshold: str = "nonnegative",
    legacy_alignment: bool = False,
    kernel: str | None = None,
    smoothing_s: float | None = None,
    ensemble_std: bool = True,
    spikes: Count | None = None,
    run_name: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    scratch_dir: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> AnnotationResult:
    """Infer spike rates for the dF/F of an NWB file and store them as a typed NWB object.

    The result is computed and checked in a hidden folder beside the target, which is then replaced in one step: a
    run that fails or is killed at any moment leaves the target as it was, and the next one cleans up. Memory does
    not grow with the recording.

    Parameters
    ----------
    source : path, str or Asset
        NWB file, HDF5 or Zarr: a path, the address of one file on the web (see `nwb_cascade.dandi.urls.parse_address`)
        or an asset of an archive.
    output : path, optional
        File or folder of the result; by default a file beside the recording, see
        `nwb_cascade.writers.targets.default_output`, for a remote one a file in the current folder.
    in_place : bool
        Replace the recording itself by its annotated copy.
    sidecar : bool
        Write a small file of its own instead of a copy: session, subject, ROIs and results, see
        `nwb_cascade.nwb.sidecar`. Its name is by default that of `nwb_cascade.writers.sidecar_names.sidecar_name`.
        The result of a remote recording is always a sidecar.
    streaming : StreamSettings, optional
        How a remote recording is read.
    series : str, optional
        Name, path or object id of the dF/F series, where the file holds several.
    model, indicator, threshold, legacy_alignment, kernel, smoothing_s
        As for `nwb_cascade.infer`; the indicator is by default the one that the file states.
    imaging_rate : float, optional
        Hz, for a series that states none.
    scale : {"fraction", "percent"}, optional
        What the values are, where the file does not say.
    from_raw : FromRaw, optional
        Compute dF/F from the raw fluorescence of the file in this way, see `nwb_cascade.dff`; ``series`` names that
        then. Without it raw fluorescence is refused.
    ensemble_std : bool
        Store the standard deviation over the ensemble as well.
    spikes : {"conserve", "supported"}, optional
        Find discrete spikes in the rates and store them as well, see `nwb_cascade.annotation.spikes`; how to count
        them as for `nwb_cascade.discrete.discrete_spikes`.
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
        With ``skipped`` set if the target holds this very run already; spikes that it lacks are added.

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
    LookupError, PermissionError, RemoteError
        If a remote recording is not found, may not be read, has changed or does not come.
    """
    if run_name is not None:
        check_run_name(run_name)
    form = _form(source, output, in_place=in_place, sidecar=sidecar, repairs=not dry_run)
    scratch = form.folder if scratch_dir is None else Path(scratch_dir)
    with ExitStack() as opened:
        file, origin = opened.enter_context(sources.opened(source, streaming))
        recording = opened.enter_context(
            open_recording(
                file,
                series=series,
                imaging_rate=imaging_rate,
                scale=scale,
                from_raw=from_raw,
                scratch_dir=scratch,
            )
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
        run_name = run_name or _default_run_name(recording)
        target = form.target(recording, run_name)
        plan = _plan(recording, run, target, run_name, ensemble_std)
        holder = form.holder(recording, plan, overwrite=overwrite)
        if holder is not None or dry_run:
            held = replace(plan, skipped=holder is not None, dry_run=dry_run, output=holder or str(target))
            opened.close()
            if spikes is None or holder is None or dry_run:
                return held
            return _with_spikes(held, target, spikes, overwrite=overwrite, progress=progress)
        clock = FrameClock.of(recording.nwbfile.objects[recording.series.object_id], plan.imaging_rate)
        lost = _lost_spikes(form, recording, plan)
        _require_writable(form, target, plan, scratch, ensemble_std=ensemble_std)
        with workplace(target) as work:
            started = time.perf_counter()
            inference = infer_to_disk(
                recording.traces,
                run,
                scratch,
                ensemble_std=ensemble_std,
                progress=progress,
                block_bytes=AHEAD_BYTES if sources.is_remote(source) else BLOCK_BYTES,
            )
            with inference as stored, clear_disk_errors(target), form.kept_from_writers():
                inferred = time.perf_counter()
                prepared = beside(work, split_name(target.name)[1])
                record = _record(plan, recording, run, stored, origin)
                found = None if spikes is None else _find_spikes(plan, run, stored, clock, spikes, progress)
                if not form.keeps_recording_open:
                    opened.close()
                notes = form.prepare(prepared, recording, record, overwrite=overwrite, progress=progress)
                if found is not None:
                    store_spikes(prepared, found[0])
                form.install(prepared, target)
    seconds = {"infer": inferred - started, "store": time.perf_counter() - inferred}
    return replace(
        plan,
        n_inferred=stored.n_inferred,
        warnings=(*plan.warnings, *lost, *notes),
        roi_warnings=stored.warnings,
        seconds=seconds,
        spikes=None if found is None else found[1],
    )


def _find_spikes(
    plan: AnnotationResult,
    run: InferenceRun,
    stored: StoredInference,
    clock: FrameClock,
    count: Count,
    progress: Progress | None,
) -> tuple[SpikesRecord, SpikesResult]:
    """Discrete spikes of the run, as they are stored and as they are told of."""
    early = 1 if run.alignment == "published" else 0
    options = SpikesOptions(run.kernel, run.smoothing_s, plan.imaging_rate, count, early)
    found = find_spikes(stored.expected_spikes, options, clock, progress=progress)
    name = spikes_name(plan.run_name)
    record = SpikesRecord(
        name, plan.object_path, found.times, found.fit_error, options.method, options.parameters(plan.run_key)
    )
    table = f"{plan.object_path.rpartition('/')[0]}/{name}"
    return record, spikes_result(plan.path, plan.output, plan.object_path, table, options, found)


def _with_spikes(
    held: AnnotationResult, target: Path, count: Count, *, overwrite: bool, progress: Progress | None
) -> AnnotationResult:
    """Add discrete spikes to a run that was there already: in its file if that is the target, else in a copy there."""
    is_target = Path(held.output).resolve() == target.resolve()
    spikes = annotate_spikes(
        held.output,
        output=None if is_target else target,
        in_place=is_target,
        run_name=held.object_path,
        count=count,
        overwrite=overwrite,
        progress=progress,
    )
    return replace(held, output=spikes.output, spikes=spikes)


def _lost_spikes(form: Output, recording: Recording, plan: AnnotationResult) -> tuple[str, ...]:
    """Say which discrete spikes go with the run that is replaced."""
    tables = () if isinstance(form, SidecarOutput) else spikes_tables(recording.nwbfile, plan.object_path)
    return tuple(f"{table} was found in the rates that were replaced, and is replaced or gone." for table in tables)


def _form(
    source: Source, output: str | PathLike[str] | None, *, in_place: bool, sidecar: bool, repairs: bool
) -> Output:
    """What the result will be: a copy, the recording itself, or a sidecar."""
    remote = sources.is_remote(source)
    if in_place and (remote or sidecar):
        what = f"{sources.name_of(source)} is remote and its result" if remote else "a sidecar"
        raise InputError(f"Expected an output instead of in_place (--in-place): {what} is a file of its own.")
    if remote or sidecar:
        return SidecarOutput(None if remote else Path(sources.name_of(source)), output)
    return CopyOutput(Path(sources.name_of(source)), output, in_place=in_place, repairs=repairs)


def _default_run_name(recording: Recording) -> str:
    return DEFAULT_RUN_NAME if recording.is_only_dff else f"{DEFAULT_RUN_NAME}_{recording.series.name}"


def _plan(recording: Recording, run: InferenceRun, target: Path, run_name: str, ensemble_std: bool) -> AnnotationResult:
    """Describe what is going to be done."""
    traces = recording.traces
    place = place_of(recording.nwbfile, recording.series.object_id, run_name)
    key = provenance.run_key(
        source={
            "object_id": recording.series.object_id,
            "n_rois": traces.n_rois,
            "n_frames": traces.n_frames,
            "scale": traces.source["scale"],
            "sample_sha256": recording.sample_sha256,
            **({} if recording.raw is None else {"dff": dict(recording.raw)}),
        },
        weights_sha256=run.model.sha256,
        parameters={**run.parameters, "ensemble_std": ensemble_std},
    )
    return AnnotationResult(
        path=recording.name,
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
        warnings=(*recording.series.problems, *recording.notes),
        dff=_dff_in_words(recording),
    )


def _dff_in_words(recording: Recording) -> str:
    """How dF/F was computed; empty if the file holds it."""
    dff = recording.traces.dff
    return dff.method.describe() if isinstance(dff, DffRows) else ""


def _require_writable(form: Output, target: Path, plan: AnnotationResult, scratch: Path, *, ensemble_std: bool) -> None:
    """Raise before long work if the target may not be written, or the disk has no room for file and results."""
    require_writable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    matrices = 4 * plan.n_rois * plan.n_frames * (2 if ensemble_std else 1)
    needed = form.needed_bytes() + stored_bytes(plan.n_rois, matrices)
    if scratch == form.folder:
        needed += matrices + 4 * plan.n_rois * plan.n_frames
    require_space(target.parent, needed, f"the annotated copy of {Path(plan.path).name}")


def _record(
    plan: AnnotationResult,
    recording: Recording,
    run: InferenceRun,
    stored: StoredInference,
    origin: Mapping[str, str],
) -> RunRecord:
    """Gather what is stored of the run."""
    source = {
        **recording.traces.source,
        **origin,
        "session_id": str(recording.nwbfile.session_id or ""),
        "sample_sha256": recording.sample_sha256,
    }
    made = f"dF/F computed from {plan.series} ({plan.dff})" if plan.dff else plan.series
    parameters = {**run.parameters, **({} if recording.raw is None else {"dff": dict(recording.raw)})}
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
        roi_warnings=stored.warnings,
        imaging_rate=plan.imaging_rate,
        alignment=run.alignment,
        threshold=run.threshold,
        run_key=plan.run_key,
        run_parameters=provenance.run_parameters(parameters, reason=run.reason),
        source_provenance=provenance.source_provenance(
            source, n_rois=plan.n_rois, n_frames=plan.n_frames, imaging_rate=plan.imaging_rate
        ),
        description=f"Expected spikes per frame inferred from {made} by {plan.model}, {smoothing}.",
    )
