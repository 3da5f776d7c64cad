"""Infer spike rates for a bare matrix of traces, ``.npy`` or ``.mat``, as many labs keep them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.annotation.result import AnnotationResult
from nwb_cascade.annotation.stored_inference import StoredInference, infer_to_disk
from nwb_cascade.annotation.targets import target_of
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.files.disk import Report, clear_disk_errors, require_space
from nwb_cascade.files.matrices import is_mat73, needs_mat73, open_matrix, read_text, write_mat5, write_mat73, write_npy
from nwb_cascade.files.replace import install, stamp, workplace
from nwb_cascade.inference import InferenceRun, prepare_run
from nwb_cascade.models.bundle import Model
from nwb_cascade.nwb.classify import Sample, judge_scale
from nwb_cascade.nwb.provenance import canonical_json, run_key, software_versions
from nwb_cascade.traces import DffTraces, TraceArray

RATES = "expected_spikes"
RECORD = "nwb_cascade_record"
FACTORS = {"fraction": 1.0, "percent": 0.01}
SMALL_BYTES = 2**20  # everything but the matrices
SAMPLE_ROIS, SAMPLE_FRAMES = 32, 1000


class ScaledRows:
    """A matrix of numbers, read as float32 rows that are multiplied with a factor."""

    def __init__(self, matrix: TraceArray, factor: float) -> None:
        self._matrix, self._factor = matrix, factor
        self.shape = tuple(matrix.shape)

    def __getitem__(self, rois: slice) -> NDArray[np.float32]:
        return (np.asarray(self._matrix[rois], np.float64) * self._factor).astype(np.float32)


def annotate_matrix(
    path: str | PathLike[str],
    imaging_rate: float,
    *,
    output: str | PathLike[str] | None = None,
    variable: str | None = None,
    scale: str | None = None,
    model: str | PathLike[str] | Model = "auto",
    indicator: str | None = None,
    threshold: str = "nonnegative",
    legacy_alignment: bool = False,
    kernel: str | None = None,
    smoothing_s: float | None = None,
    ensemble_std: bool = True,
    overwrite: bool = False,
    dry_run: bool = False,
    scratch_dir: str | PathLike[str] | None = None,
    progress: Report | None = None,
) -> AnnotationResult:
    """Infer spike rates for a matrix of dF/F in a file and write them as a matrix.

    A ``.mat`` output holds ``expected_spikes``, ``ensemble_std``, ``noise_levels``, ``model_noise_levels``,
    ``valid_frames`` (first and one past the last, counted from 0), ``imaging_rate`` and the text
    ``nwb_cascade_record`` (JSON); it is a MATLAB 7.3 file if the input is one or a matrix is too large for version 5.
    A ``.npy`` output X.npy holds the expected spikes; X_std.npy and X.json beside it hold the rest.

    Parameters
    ----------
    path : path
        ``.npy`` or ``.mat`` (MATLAB 5 or 7.3) with a matrix (n_rois, n_frames).
    imaging_rate : float
        Hz.
    output : path, optional
        File or folder of the result; by default a file beside the input with ``_spikes`` behind its name.
    variable : str, optional
        Name of the matrix in a ``.mat`` file; by default the usual names for dF/F are tried.
    scale : {"fraction", "percent"}, optional
        What the values are; asked for where they do not look like fractions.
    model, indicator, threshold, legacy_alignment, kernel, smoothing_s
        As for `nwb_cascade.infer`.
    ensemble_std, overwrite, dry_run, scratch_dir, progress
        As for `nwb_cascade.annotate`.

    Returns
    -------
    AnnotationResult

    Raises
    ------
    InputError
        If the file, the matrix or an option cannot be used.
    NameTakenError
        If the output exists, was made otherwise, and ``overwrite`` is not set.
    OSError, NoModelError, ModelFileError
        As for `nwb_cascade.annotate`.
    """
    source = Path(path)
    target = target_of(source, output, in_place=False)
    if not source.is_file():
        raise FileNotFoundError(f"Expected a matrix at {source}, but there is no such file.")
    expected = stamp(target)
    with open_matrix(source, variable) as matrix:
        traces, warnings = _traces(source, matrix, imaging_rate, scale)
        run = prepare_run(
            traces.imaging_rate,
            model=model,
            indicator=indicator,
            threshold=threshold,
            legacy_alignment=legacy_alignment,
            kernel=kernel,
            smoothing_s=smoothing_s,
        )
        plan = _plan(traces, run, target, variable, ensemble_std=ensemble_std, warnings=warnings)
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
                as_mat73 = is_mat73(source) or needs_mat73(stored.expected_spikes)
                for prepared, place in _prepare(work, target, plan, run, traces, stored, as_mat73=as_mat73):
                    install(prepared, place, expected=expected if place == target else stamp(place))
    return replace(
        plan,
        n_inferred=stored.n_inferred,
        roi_warnings=stored.warnings,
        seconds={"infer": inferred - started, "store": time.perf_counter() - inferred},
    )


def _traces(
    source: Path, matrix: TraceArray, imaging_rate: float, scale: str | None
) -> tuple[DffTraces, tuple[str, ...]]:
    """Wrap a matrix as dF/F in fractions; with what to know about it."""
    facts = {"path": str(source), "sha256": _sha256(source), "scale": "fraction"}
    n_rois = int(matrix.shape[0]) if len(matrix.shape) == 2 else 0
    traces = DffTraces(ScaledRows(matrix, 1.0), float(imaging_rate), np.arange(n_rois), facts)
    factor = _factor(source, matrix, imaging_rate, scale)
    if factor != 1:
        traces = replace(traces, dff=ScaledRows(matrix, factor), source={**facts, "scale": "percent"})
    n_frames = traces.n_frames
    if n_rois <= n_frames:
        return traces, ()
    return traces, (
        f"The matrix has more ROIs ({n_rois}) than frames ({n_frames}); transpose it if its rows are time points.",
    )


def _factor(source: Path, matrix: TraceArray, imaging_rate: float, scale: str | None) -> float:
    """What the values are multiplied with to become fractions; a doubt about it is an error."""
    if scale is not None:
        if scale not in FACTORS:
            raise InputError(f"Expected scale 'fraction' or 'percent', received {scale!r}.")
        return FACTORS[scale]
    rows = np.asarray(matrix[:SAMPLE_ROIS], np.float32)
    start = max(0, (rows.shape[1] - SAMPLE_FRAMES) // 2)
    judged = judge_scale(Sample.of(rows[:, start : start + SAMPLE_FRAMES], imaging_rate), unit="")
    if judged.scale != "fraction":
        raise InputError(
            f"Expected dF/F as a fraction (0.5 means 50 %) in {source}, but the values look like {judged.scale}: "
            f"{judged.why}. Say what they are with scale='percent' or 'fraction' (--scale); raw fluorescence must "
            "become dF/F first."
        )
    return 1.0


def _plan(
    traces: DffTraces,
    run: InferenceRun,
    target: Path,
    variable: str | None,
    *,
    ensemble_std: bool,
    warnings: tuple[str, ...],
) -> AnnotationResult:
    """Describe what is going to be done."""
    key = run_key(
        source={"sha256": traces.source["sha256"], "variable": variable, "scale": traces.source["scale"]},
        weights_sha256=run.model.sha256,
        parameters={**run.parameters, "ensemble_std": ensemble_std},
    )
    return AnnotationResult(
        path=traces.source["path"],
        output=str(target),
        run_name=RATES,
        object_path=RATES,
        series=variable or "",
        model=run.model.config.name,
        model_sha256=run.model.sha256,
        reason=run.reason,
        indicator=run.indicator,
        imaging_rate=traces.imaging_rate,
        n_rois=traces.n_rois,
        n_frames=traces.n_frames,
        run_key=key,
        warnings=warnings,
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
        "parameters": dict(run.parameters),
        "model": json.loads(run.model.config.to_json()),
        "model_choice": run.reason,
        "roi_warnings": list(stored.roi_texts()),
        "software": software_versions(),
    }


def _json_list(values: NDArray[Any]) -> list[Any]:
    """Values for JSON, NaN as null."""
    if values.dtype.kind != "f":
        return list(values.tolist())
    return [float(value) if np.isfinite(value) else None for value in values]


def _sha256(path: Path) -> str:
    """Hash of a file, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()
