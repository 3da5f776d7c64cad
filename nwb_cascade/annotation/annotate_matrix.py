"""Infer spike rates for a bare matrix of traces, ``.npy`` or ``.mat``, as many labs keep them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.annotation.result import AnnotationResult
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.traces import DffTraces, TraceArray
from nwb_cascade.errors import InputError
from nwb_cascade.files.matrices import is_mat73, open_matrix
from nwb_cascade.inference import prepare_run
from nwb_cascade.models.bundle import Model
from nwb_cascade.nwb.classify import Sample, judge_scale
from nwb_cascade.writers.matrix import annotate_traces
from nwb_cascade.writers.targets import target_of

FACTORS = {"fraction": 1.0, "percent": 0.01}
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
    progress: Progress | None = None,
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
        facts = {name: traces.source[name] for name in ("sha256", "scale")}
        return annotate_traces(
            traces,
            run,
            target,
            key_source={**facts, "variable": variable},
            series=variable or "",
            as_mat73=is_mat73(source),
            ensemble_std=ensemble_std,
            overwrite=overwrite,
            dry_run=dry_run,
            scratch_dir=scratch_dir,
            progress=progress,
            warnings=warnings,
        )


def _traces(
    source: Path, matrix: TraceArray, imaging_rate: float, scale: str | None
) -> tuple[DffTraces, tuple[str, ...]]:
    """Wrap a matrix as dF/F in fractions; with what to know about it."""
    facts = {"path": str(source), "sha256": file_sha256(source), "scale": "fraction"}
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


def file_sha256(path: Path) -> str:
    """Return the hash of a file, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()
