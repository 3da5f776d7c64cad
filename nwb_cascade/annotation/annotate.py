"""Annotate a recording of any format: read, infer, and replace the target only when all is well."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nwb_cascade import provenance
from nwb_cascade.annotation.spikes import annotate_spikes
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.spike_total import SpikeTotal
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import clear_disk_errors, require_plain, require_space
from nwb_cascade.files.replace import workplace
from nwb_cascade.inference import BLOCK_BYTES
from nwb_cascade.inference_run import InferenceRun, prepare_run, require_rates
from nwb_cascade.models.bundle import Model
from nwb_cascade.nwb.blocks import AHEAD_BYTES
from nwb_cascade.nwb.choose import ALL, means_several
from nwb_cascade.options import FromRaw, InferenceOptions, OutputOptions, taken
from nwb_cascade.readers.one_photon import uncalibrated
from nwb_cascade.readers.recording import Recording
from nwb_cascade.readers.registry import reader_of
from nwb_cascade.readers.sources import Source, is_remote, name_of
from nwb_cascade.results.found_spikes import FoundSpikes, SpikesOptions, find_spikes, spikes_result
from nwb_cascade.results.inferred import Inferred
from nwb_cascade.results.result import AnnotationResult, CountsResult, SpikesResult
from nwb_cascade.results.stored_inference import StoredInference, infer_to_disk
from nwb_cascade.writers.registry import writer_of
from nwb_cascade.writers.targets import require_writable
from nwb_cascade.writers.writer import Place, Writer

if TYPE_CHECKING:
    from nwb_cascade.dandi.stream import StreamSettings

__all__ = ["AnnotationResult", "annotate", "annotate_all", "annotate_source"]


def annotate(
    source: Source,
    *,
    output: str | PathLike[str] | None = None,
    in_place: bool = False,
    sidecar: bool = False,
    streaming: StreamSettings | None = None,
    series: str | None = None,
    variable: str | None = None,
    model: str | PathLike[str] | Model = "auto",
    indicator: str | None = None,
    species: str | None = None,
    imaging_rate: float | None = None,
    scale: str | None = None,
    from_raw: FromRaw | None = None,
    mask_intervals: str | None = None,
    rois: str | None = None,
    one_photon: bool = False,
    threshold: str = "nonnegative",
    legacy_alignment: bool = False,
    kernel: str | None = None,
    smoothing_s: float | None = None,
    noise_level: float | None = None,
    calibrate: str | PathLike[str] | None = None,
    ensemble_std: bool = True,
    spikes: SpikeTotal | None = None,
    run_name: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    scratch_dir: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> AnnotationResult:
    """Infer spike rates for the dF/F of a recording and store them with all that made them.

    The result is computed and checked in a hidden folder beside the target, which is then replaced in one step: a
    run that fails or is killed at any moment leaves the target as it was, and the next one cleans up. Memory does
    not grow with the recording.

    Parameters
    ----------
    source : path, str or Asset
        NWB file, HDF5 or Zarr: a path, the address of one file on the web (see `nwb_cascade.dandi.urls.parse_address`)
        or an asset of an archive; a matrix (n_rois, n_frames) in a ``.npy`` or ``.mat`` file (MATLAB 5 or 7.3); an
        output folder of suite2p; results of CaImAn, EXTRACT, Minian or Inscopix. See `nwb_cascade.readers`.
    output : path, optional
        File or folder of the result; by default a file beside the recording, see
        `nwb_cascade.writers.targets.default_output`, for a remote one a file in the current folder. ``.npy`` and
        ``.mat`` give matrices, see `nwb_cascade.writers.matrix`; they are what matrices and suite2p folders give.
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
    variable : str, optional
        Name of the matrix in a ``.mat`` file; by default the usual names for dF/F are tried.
    model, indicator, species, threshold, legacy_alignment, kernel, smoothing_s, noise_level, calibrate
        As for `nwb_cascade.infer`; indicator and species are by default those that the file states.
    imaging_rate : float, optional
        Hz, for a series or matrix that states none.
    scale : {"fraction", "percent"}, optional
        What the values are, where the file does not say.
    from_raw : FromRaw, optional
        Compute dF/F from the raw fluorescence of the file in this way, see `nwb_cascade.dff`; ``series`` names that
        then. Without it raw fluorescence is refused, but that of suite2p.
    mask_intervals : str, optional
        Name or path of a table of intervals in the NWB file whose frames count as missing, such as frames blanked
        during stimulation; those in its ``invalid_times`` always do.
    rois : {"accepted", "all"} or str, optional
        Infer from some ROIs only: those with 1 in a column of the ROI table, or in whichever of the usual ones there is
        (``iscell``, ``Accepted``, ``valid_roi``). The others keep their rows, whose values are NaN. By default all, in
        folders of suite2p the accepted ones.
    one_photon : bool
        The traces come from a one-photon microscope and have no baseline, so that there is no dF/F: infer all the same,
        uncalibrated, see `nwb_cascade.dff.one_photon`. No deviation is stored. Without it such traces are refused.
    ensemble_std : bool
        Store the standard deviation over the ensemble as well.
    spikes : {"conserved", "supported"}, optional
        Find discrete spikes in the rates and store them as well, see `nwb_cascade.annotation.spikes`; how to count
        them as for `nwb_cascade.discrete.discrete_spikes`.
    run_name : str, optional
        Name of the new object; by default ``InferredSpikeRates``, followed by the name of the series if the file
        holds other dF/F as well. Several runs coexist by name. A matrix has it in its file name.
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
    call = locals()
    if means_several(series):
        raise InputError(
            f"Expected one series, received {series!r}: annotate gives one result, annotate_all any number."
        )
    options, where = taken(InferenceOptions, call), taken(OutputOptions, call)
    (result,) = annotate_source(source, options, where, streaming=streaming, progress=progress)
    return result


def annotate_all(
    source: Source, *, streaming: StreamSettings | None = None, progress: Progress | None = None, **asked: Any
) -> tuple[AnnotationResult, ...]:
    """Annotate several series of a recording in one pass: one copy, one write, each told its indicator and rate.

    Parameters, but ``series``, and errors as for `annotate`; a result for each series.

    Parameters
    ----------
    source, streaming, progress
        As for `annotate`.
    **asked
        Other parameters of `annotate`. ``series`` is by default ``"all"``, every dF/F series (every plane of a suite2p
        folder), or a name, or a pattern such as ``"plane*"``. One that cannot be used is left out, and a note of the
        first result says why.
    """
    known = {one.name for kind in (InferenceOptions, OutputOptions) for one in fields(kind)}
    if unknown := sorted(set(asked) - known):
        raise TypeError(f"Expected options of annotate, received {', '.join(unknown)}.")
    options, where = taken(InferenceOptions, {"series": ALL, **asked}), taken(OutputOptions, asked)
    return annotate_source(source, options, where, streaming=streaming, progress=progress)


def annotate_source(
    source: Source,
    options: InferenceOptions,
    where: OutputOptions,
    *,
    streaming: StreamSettings | None = None,
    planned: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> tuple[AnnotationResult, ...]:
    """Annotate the recordings of a source that the options mean, as `annotate` does; a result for each.

    ``planned`` are files that dry runs gave to other recordings, and the names of these.
    """
    if not is_remote(source):
        require_plain(Path(name_of(source)))
    reader = reader_of(source)
    reader.check(source, options)
    if options.one_photon:
        options = replace(options, ensemble_std=False)
    writer = writer_of(source, reader, where)(source, reader, where)
    scratch = writer.folder if where.scratch_dir is None else Path(where.scratch_dir)
    with ExitStack() as opened:
        found = opened.enter_context(reader.open(source, options, scratch_dir=scratch, streaming=streaming))
        recordings = tuple(uncalibrated(one) for one in found) if options.one_photon else found
        places = writer.places(recordings, options, planned or {})
        plans = [_plan(one, options, writer, place) for one, place in zip(recordings, places, strict=True)]
        if writer.rebuilds and not all(plan.result.skipped for plan in plans):
            plans = [plan.anew() if plan.result.output == str(plan.target) else plan for plan in plans]
        new = [] if where.dry_run else [plan for plan in plans if not plan.result.skipped]
        done: dict[tuple[str, str], AnnotationResult] = {}
        if new:
            _require_room(new, writer, scratch)
            block_bytes = AHEAD_BYTES if is_remote(source) else BLOCK_BYTES
            done = _carry_out(new, writer, opened, scratch, block_bytes=block_bytes, progress=progress)
    return tuple(done.get(plan.key) or _unchanged(plan, writer, where, progress) for plan in plans)


@dataclass(frozen=True, eq=False)
class _Plan:
    """What is going to be done for one recording, or was done already."""

    recording: Recording
    run: InferenceRun
    target: Path
    result: AnnotationResult
    ensemble_std: bool
    spikes: SpikesOptions | None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the others."""
        return self.result.output, self.result.object_path

    def anew(self) -> _Plan:
        """Return the plan of a run that its target holds, to be made again with the others there."""
        return replace(self, result=replace(self.result, skipped=False))

    @property
    def matrix_bytes(self) -> int:
        """Size of the rates, and of their deviation if that is kept."""
        return 4 * self.result.n_rois * self.result.n_frames * (2 if self.ensemble_std else 1)


def _plan(recording: Recording, options: InferenceOptions, writer: Writer, place: Place) -> _Plan:
    """Prepare the run of a recording, and look whether it is stored already."""
    traces = recording.traces
    run = prepare_run(traces.imaging_rate, options.told(recording.indicator, recording.species))
    require_rates(run, recording.clock)
    key = provenance.run_key(
        source=recording.content,
        weights_sha256=run.model.sha256,
        parameters={**run.parameters, "ensemble_std": options.ensemble_std},
    )
    result = AnnotationResult(
        path=recording.name,
        output=str(place.target),
        run_name=place.run_name,
        object_path=place.object_path,
        series=recording.series,
        model=run.model.config.name,
        model_sha256=run.model.sha256,
        reason=run.reason,
        indicator=run.indicator,
        imaging_rate=traces.imaging_rate,
        n_rois=traces.n_rois,
        n_frames=traces.n_frames,
        run_key=key,
        warnings=(*recording.notes, *run.notes),
        dff="" if recording.dff is None else recording.dff.describe(),
    )
    spikes = None if options.spikes is None else SpikesOptions.of(run, options.spikes)
    holder = writer.holder(recording, result, spikes)
    result = replace(result, skipped=holder is not None, output=holder or result.output)
    return _Plan(recording, run, place.target, result, options.ensemble_std, spikes)


def _require_room(plans: Sequence[_Plan], writer: Writer, scratch: Path) -> None:
    """Raise before long work if the target may not be written, or the disk has no room for file and results."""
    target, name = plans[0].target, Path(plans[0].recording.name).name
    require_writable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    matrices, n_rois = sum(plan.matrix_bytes for plan in plans), sum(plan.result.n_rois for plan in plans)
    needed = writer.needed_bytes(n_rois, matrices)
    if scratch == writer.folder:
        needed += matrices + max(4 * plan.result.n_rois * plan.result.n_frames for plan in plans)
    require_space(target.parent, needed, f"{writer.makes} of {name}")


def _carry_out(
    plans: Sequence[_Plan],
    writer: Writer,
    opened: ExitStack,
    scratch: Path,
    *,
    block_bytes: int,
    progress: Progress | None,
) -> dict[tuple[str, str], AnnotationResult]:
    """Infer, then write all at once; returns what was done by the keys of the plans."""
    target = plans[0].target
    with workplace(target) as work, ExitStack() as matrices:
        started = time.perf_counter()
        stored = [
            matrices.enter_context(
                infer_to_disk(
                    plan.recording,
                    plan.run,
                    scratch,
                    ensemble_std=plan.ensemble_std,
                    progress=progress,
                    block_bytes=block_bytes,
                )
            )
            for plan in plans
        ]
        with clear_disk_errors(target), writer.kept_from_writers():
            inferred = time.perf_counter()
            runs = [_inferred(plan, one, progress) for plan, one in zip(plans, stored, strict=True)]
            if not writer.keeps_recording_open:
                opened.close()
            notes = writer.prepare(work, runs, progress)
            writer.install()
    seconds = {"infer": inferred - started, "store": time.perf_counter() - inferred}
    return {
        plan.key: replace(
            run.result,
            n_inferred=run.stored.n_inferred,
            warnings=(*run.result.warnings, *(notes if plan is plans[0] else ())),
            roi_warnings=run.stored.warnings,
            counts=CountsResult.of(run.stored.counts),
            seconds=seconds,
            spikes=None if run.spikes is None else _told_spikes(run.result, writer, run.spikes.options, run.spikes),
        )
        for plan, run in zip(plans, runs, strict=True)
    }


def _inferred(plan: _Plan, stored: StoredInference, progress: Progress | None) -> Inferred:
    """Put together what is stored of a run, with its discrete spikes if they are wanted."""
    found = None
    if plan.spikes is not None:
        found = find_spikes(stored.expected_spikes, plan.spikes, plan.recording.clock, progress=progress)
    return Inferred(plan.result, plan.recording, plan.run, stored, found)


def _told_spikes(
    result: AnnotationResult, writer: Writer, options: SpikesOptions, found: FoundSpikes | None
) -> SpikesResult:
    """Tell of the spikes of a run: of those that were found, or that it holds them already."""
    output, table = writer.spikes_place(result)
    told = spikes_result(result.path, output, result.object_path, table, options, found, n_rois=result.n_rois)
    return replace(told, skipped=found is None)


def _unchanged(plan: _Plan, writer: Writer, where: OutputOptions, progress: Progress | None) -> AnnotationResult:
    """Tell of a run that is only planned, or stored already; spikes that it lacks are added in the target."""
    result = replace(plan.result, dry_run=where.dry_run)
    if where.dry_run or plan.spikes is None:
        return result
    if not writer.adds_spikes:
        return replace(result, spikes=_told_spikes(result, writer, plan.spikes, None))
    is_target = Path(result.output).resolve() == plan.target.resolve()
    spikes = annotate_spikes(
        result.output,
        output=None if is_target else plan.target,
        in_place=is_target,
        run_name=result.object_path,
        spike_total=plan.spikes.spike_total,
        overwrite=where.overwrite,
        progress=progress,
    )
    return replace(result, output=spikes.output, spikes=spikes)
