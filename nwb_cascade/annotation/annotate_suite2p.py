"""Infer spike rates for the raw fluorescence in an output folder of suite2p."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from nwb_cascade.annotation.annotate_matrix import file_sha256
from nwb_cascade.annotation.result import AnnotationResult
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.traces import DffTraces
from nwb_cascade.dff import DffMethod, DffRows
from nwb_cascade.errors import InputError
from nwb_cascade.inference import prepare_run
from nwb_cascade.models.bundle import Model
from nwb_cascade.readers.suite2p import Suite2pPlane, read_folder
from nwb_cascade.writers.matrix import annotate_traces
from nwb_cascade.writers.targets import MATRIX_SUFFIXES

DEFAULT_OUTPUT = "expected_spikes.npy"
FILES = ("F.npy", "Fneu.npy", "iscell.npy")


def annotate_suite2p(
    folder: str | PathLike[str],
    *,
    method: DffMethod | None = None,
    needs_neuropil: bool = False,
    output: str | PathLike[str] | None = None,
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
    """Compute the dF/F of the cells of a suite2p plane, infer their spike rates and write these as a matrix.

    Rows are the ROIs that suite2p (or its user) took for cells; ``roi_ids`` tells which rows of ``F.npy`` they are.
    Imaging rate and frames with motion are those of suite2p. What is written is described at
    `nwb_cascade.annotation.annotate_matrix.annotate_matrix`. Memory does not grow with the recording.

    Parameters
    ----------
    folder : path
        Folder of a plane, or one that holds a single plane.
    method : DffMethod, optional
        By default the neuropil factor of the folder's settings, and the running percentile of `DffMethod`.
    needs_neuropil : bool
        Whether a folder without neuropil is refused; else nothing is subtracted, and a warning says so.
    output : path, optional
        ``.npy`` or ``.mat`` file, or a folder for ``<plane>_expected_spikes.npy``; by default
        ``expected_spikes.npy`` in the folder of the plane.
    model, indicator, threshold, legacy_alignment, kernel, smoothing_s
        As for `nwb_cascade.infer`.
    ensemble_std, overwrite, dry_run, scratch_dir, progress
        As for `nwb_cascade.annotate`.

    Raises
    ------
    FileNotFoundError, InputError
        If the folder is none of suite2p, damaged, has several planes or no cells, or an option cannot be used.
    NameTakenError, OSError, NoModelError, ModelFileError
        As for `nwb_cascade.annotate`.
    """
    plane = read_folder(Path(folder))
    target = _target(plane.folder, output)
    rows = np.flatnonzero(plane.is_cell)
    if not rows.size or not plane.fluorescence.shape[1]:
        raise InputError(
            f"Expected cells in {plane.folder}, received {plane.fluorescence.shape[0]} ROIs, {rows.size} of them "
            f"cells, {plane.fluorescence.shape[1]} frames."
        )
    method, notes = _method(plane, method, needs_neuropil=needs_neuropil)
    dff = DffRows(
        plane.fluorescence, plane.imaging_rate, method, neuropil=plane.neuropil, rows=rows, bad_frames=plane.bad_frames
    )
    source = {"path": str(plane.folder), "sha256": _sha256(plane.folder), "scale": "fraction", "format": "suite2p"}
    traces = DffTraces(dff, plane.imaging_rate, rows.astype(np.int64), source)
    run = prepare_run(
        plane.imaging_rate,
        model=model,
        indicator=indicator,
        threshold=threshold,
        legacy_alignment=legacy_alignment,
        kernel=kernel,
        smoothing_s=smoothing_s,
    )
    return annotate_traces(
        traces,
        run,
        target,
        key_source={"sha256": source["sha256"], "dff": method.to_json(), "imaging_rate": plane.imaging_rate},
        ensemble_std=ensemble_std,
        overwrite=overwrite,
        dry_run=dry_run,
        scratch_dir=scratch_dir,
        progress=progress,
        warnings=notes,
    )


def _method(
    plane: Suite2pPlane, method: DffMethod | None, *, needs_neuropil: bool
) -> tuple[DffMethod, tuple[str, ...]]:
    """The method as it is applied, and what to say about it."""
    chosen = method or DffMethod()
    if method is None and plane.neuropil_factor is not None:
        chosen = replace(chosen, neuropil_factor=plane.neuropil_factor)
    absent = plane.neuropil is None or not any(np.any(row) for row in plane.neuropil[:8])
    if chosen.neuropil == "none" or not absent:
        return chosen, ()
    if needs_neuropil:
        raise InputError(f"Expected neuropil traces (Fneu.npy) in {plane.folder}, found none; choose --neuropil none.")
    return replace(chosen, neuropil="none"), (f"{plane.folder} holds no neuropil traces: none was subtracted.",)


def _target(folder: Path, output: str | PathLike[str] | None) -> Path:
    """The file that the result will be."""
    if output is None:
        return folder / DEFAULT_OUTPUT
    text, target = os.fspath(output), Path(output)
    if target.is_dir() or text.endswith(("/", os.sep)):
        return target / f"{folder.name}_{DEFAULT_OUTPUT}"
    if target.suffix.lower() not in MATRIX_SUFFIXES:
        raise InputError(f"Expected an output ending in .npy or .mat for {folder}, received {target}.")
    if target.resolve().parent == folder.resolve() and target.name in (*FILES, "spks.npy", "stat.npy", "ops.npy"):
        raise InputError(f"Expected an output other than suite2p's own {target}.")
    return target


def _sha256(folder: Path) -> str:
    """Hash over the files that the traces come from."""
    parts = [file_sha256(folder / name) for name in FILES if (folder / name).is_file()]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()
