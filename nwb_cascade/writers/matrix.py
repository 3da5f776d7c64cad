"""Rates of bare traces as files: inferred to disk, then written as ``.npy`` or ``.mat`` in one step."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.annotation.result import AnnotationResult
from nwb_cascade.annotation.stored_inference import StoredInference, infer_to_disk
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.traces import DffTraces
from nwb_cascade.dff import DffRows
from nwb_cascade.errors import NameTakenError
from nwb_cascade.files.disk import clear_disk_errors, require_space
from nwb_cascade.files.matrices import needs_mat73, read_text, write_mat5, write_mat73, write_npy
from nwb_cascade.files.replace import install, stamp, workplace
from nwb_cascade.inference import InferenceRun
from nwb_cascade.provenance import canonical_json, run_key, software_versions

RATES = "expected_spikes"
RECORD = "nwb_cascade_record"
SMALL_BYTES = 2**20  # everything but the matrices


def annotate_traces(
    traces: DffTraces,
    run: InferenceRun,
    target: Path,
    *,
    key_source: Mapping[str, Any],
    series: str = "",
    as_mat73: bool = False,
    ensemble_std: bool = True,
    overwrite: bool = False,
    dry_run: bool = False,
    scratch_dir: str | PathLike[str] | None = None,
    progress: Progress | None = None,
    warnings: tuple[str, ...] = (),
) -> AnnotationResult:
    """Infer the rates of traces and write them, see `nwb_cascade.annotation.annotate_matrix.annotate_matrix`.

    Parameters
    ----------
    traces : DffTraces
        ``source["path"]`` names the file or folder that they come from.
    run : InferenceRun
        The model, made ready for them.
    target : pathlib.Path
        ``.npy`` or ``.mat``.
    key_source : mapping
        What identifies the traces.
    series : str
        Their name, if they have one.
    as_mat73 : bool
        Write a MATLAB 7.3 file whatever the size.
    ensemble_std, overwrite, dry_run, scratch_dir, progress
        As for `nwb_cascade.annotate`.
    warnings : tuple of str
        What to know about the traces.

    Raises
    ------
    NameTakenError
        If the output exists, was made otherwise, and ``overwrite`` is not set.
    InputError, OSError
        As for `nwb_cascade.annotate`.
    """
    expected, source = stamp(target), Path(traces.source["path"])
    plan = _plan(
        traces, run, target, key_source=key_source, series=series, ensemble_std=ensemble_std, warnings=warnings
    )
    is_done = _holds(target, plan.run_key)
    if target.exists() and not (is_done or overwrite):
        raise NameTakenError(
            f"The output {target} exists and was made from other inputs. Choose another (-o) or replace it "
            "(--overwrite)."
        )
    if is_done or dry_run:
        return replace(plan, skipped=is_done, dry_run=dry_run)
    target.parent.mkdir(parents=True, exist_ok=True)
    matrices = 4 * plan.n_rois * plan.n_frames * (2 if ensemble_std else 1)
    require_space(target.parent, 2 * matrices + SMALL_BYTES, f"the result of {source.name}")
    with workplace(target) as work:
        folder = target.parent if scratch_dir is None else Path(scratch_dir)
        started = time.perf_counter()
        inference = infer_to_disk(traces, run, folder, ensemble_std=ensemble_std, progress=progress)
        with inference as stored, clear_disk_errors(target):
            inferred = time.perf_counter()
            as_mat73 = as_mat73 or needs_mat73(stored.expected_spikes)
            for prepared, place in _prepare(work, target, plan, run, traces, stored, as_mat73=as_mat73):
                install(prepared, place, expected=expected if place == target else stamp(place))
    return replace(
        plan,
        n_inferred=stored.n_inferred,
        roi_warnings=stored.warnings,
        seconds={"infer": inferred - started, "store": time.perf_counter() - inferred},
    )


def _dff(traces: DffTraces) -> dict[str, Any]:
    """How dF/F was computed, if it was."""
    return {"dff": asdict(traces.dff.method)} if isinstance(traces.dff, DffRows) else {}


def _plan(
    traces: DffTraces,
    run: InferenceRun,
    target: Path,
    *,
    key_source: Mapping[str, Any],
    series: str,
    ensemble_std: bool,
    warnings: tuple[str, ...],
) -> AnnotationResult:
    """Describe what is going to be done."""
    key = run_key(
        source=key_source,
        weights_sha256=run.model.sha256,
        parameters={**run.parameters, "ensemble_std": ensemble_std},
    )
    return AnnotationResult(
        path=traces.source["path"],
        output=str(target),
        run_name=RATES,
        object_path=RATES,
        series=series,
        model=run.model.config.name,
        model_sha256=run.model.sha256,
        reason=run.reason,
        indicator=run.indicator,
        imaging_rate=traces.imaging_rate,
        n_rois=traces.n_rois,
        n_frames=traces.n_frames,
        run_key=key,
        warnings=warnings,
        dff=traces.dff.method.describe() if isinstance(traces.dff, DffRows) else "",
    )


def _holds(target: Path, key: str) -> bool:
    """Whether an existing output is the result of this very run."""
    if not target.exists():
        return False
    if target.suffix.lower() == ".npy":
        record = target.with_suffix(".json")
        text = record.read_text(encoding="utf-8") if record.exists() else None
    else:
        text = read_text(target, RECORD)
    try:
        values = json.loads(text or "null")
    except json.JSONDecodeError:
        return False
    return isinstance(values, dict) and values.get("run_key") == key


def _prepare(
    work: Path,
    target: Path,
    plan: AnnotationResult,
    run: InferenceRun,
    traces: DffTraces,
    stored: StoredInference,
    *,
    as_mat73: bool,
) -> list[tuple[Path, Path]]:
    """Write the output's files into a folder; returns them with their places, the main one last."""
    small: dict[str, Any] = {
        "noise_levels": stored.noise_levels,
        "model_noise_levels": stored.model_noise_levels,
        "valid_frames": stored.valid_frames,
        "roi_ids": traces.roi_ids,
    }
    record = _record(plan, run, traces, stored)
    main, deviation = work / "prepared", stored.ensemble_std
    if target.suffix.lower() == ".mat":
        matrices = {RATES: stored.expected_spikes} | ({} if deviation is None else {"ensemble_std": deviation})
        write = write_mat73 if as_mat73 else write_mat5
        write(main, {**matrices, **small, "imaging_rate": plan.imaging_rate, RECORD: canonical_json(record)})
        return [(main, target)]
    write_npy(main, stored.expected_spikes)
    lists = {name: _json_list(values) for name, values in small.items()}
    (work / "record").write_text(canonical_json({**record, **lists}), encoding="utf-8")
    files = [(work / "record", target.with_suffix(".json")), (main, target)]
    if deviation is not None:
        write_npy(work / "std", deviation)
        files.insert(0, (work / "std", target.with_name(f"{target.stem}_std.npy")))
    return files


def _record(plan: AnnotationResult, run: InferenceRun, traces: DffTraces, stored: StoredInference) -> Mapping[str, Any]:
    """What made the result."""
    return {
        "run_key": plan.run_key,
        "file_name": Path(plan.path).name,
        "source": {name: value for name, value in traces.source.items() if name != "path"},
        "parameters": {**run.parameters, **_dff(traces)},
        "imaging_rate": plan.imaging_rate,
        "model": json.loads(run.model.config.to_json()),
        "model_choice": run.reason,
        "roi_warnings": [asdict(warning) for warning in stored.warnings],
        "software": software_versions(),
    }


def _json_list(values: NDArray[Any]) -> list[Any]:
    """Values for JSON, NaN as null."""
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [float(value) if np.isfinite(value) else None for value in values]
