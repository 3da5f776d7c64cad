"""The report of one recording: what was run, how good the data are, and every trace."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_std
from nwb_cascade.core.progress import Progress
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.stored_run import StoredRun
from nwb_cascade.pages import target_page, write_page
from nwb_cascade.readers.stored_runs import open_run
from nwb_cascade.report.detail import PackedRoi, RoiTraces, pack_rois
from nwb_cascade.report.examples import Examples, spike_examples, typical_noise_levels
from nwb_cascade.report.page import render_browser, require_library, room_for_traces
from nwb_cascade.report.population import Observed, population_of
from nwb_cascade.report.provenance import indicator_of
from nwb_cascade.report.recording_page import page_of
from nwb_cascade.report.recording_rows import poor_fits, rows_of


def write_report(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    run_name: str | None = None,
    ground_truth: str | os.PathLike[str] | None = None,
    detail: Sequence[int] = (),
    progress: Progress | None = None,
) -> Path:
    """Write one HTML page about a run of spike inference in an NWB file.

    The page opens without a network: provenance, noise levels against those of the model, warnings, population
    raster, ground truth at the quality of the recording, and all ROIs with dF/F, expected spikes and discrete spikes.
    It stays below 15 MB: where not every frame of every ROI fits, all ROIs are stored as the smallest and largest
    value of every few frames, and those with most expected spikes, after those in ``detail``, in full.

    Memory holds some blocks of traces and what the page holds, however long the recording is.

    Parameters
    ----------
    path : path
        NWB file with inferred rates, HDF5 or Zarr.
    output : path
        The page to write, ``.html``; a file that is there is replaced.
    run_name : str, optional
        Name or path of the run; may be left out where the file holds one.
    ground_truth : path, optional
        Folder of ground truth as NWB for the examples; without it they are simulated, and labelled so.
    detail : sequence of int
        Ids of ROIs to store in full before all others.
    progress : callable, optional
        Called with the ROIs done and their total.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    InputError
        If the file holds no inferred rates, no such run or no ROI, if the output is no HTML file, or an id in
        ``detail`` is unknown.
    AmbiguousSeriesError
        If the file holds several runs and none is named.
    OSError
        If a file cannot be read or written.
    ImportError
        If plotly is not installed.
    """
    target = target_page(output)
    require_library()
    with open_run(Path(path), run_name) as run:
        examples = _examples(run, ground_truth)
        packed, observed = _read(run, _positions(run, detail), progress)
        warnings = (*run.roi_warnings, *poor_fits(run))
        rows, population = rows_of(run, packed, observed.seen, warnings), population_of(run, observed, warnings)
        html = render_browser(page_of(run, packed, population, examples, warnings), rows)
    return write_page(html, target, like=Path(path))


def _read(run: StoredRun, preferred: Sequence[int], progress: Progress | None) -> tuple[list[PackedRoi], Observed]:
    """All traces, packed for the page, and what was observed of them in passing."""
    (n_rois, n_frames), observed = run.shape, Observed.nothing(run)
    packed = pack_rois(
        _reader(run),
        [n_frames] * n_rois,
        room_for_traces(n_rois, observed.n_bytes),
        preferred=preferred,
        observe=observed.add,
        progress=progress,
    )
    return packed, observed


def _reader(run: StoredRun) -> Callable[[int], RoiTraces]:
    """How to read one ROI of a run."""
    frame_std, knots = noise_std(run.noise_levels, run.imaging_rate), run.clock.knots()

    def frames_at(times: NDArray[np.float64]) -> NDArray[np.float64]:
        return (times - run.start_s) * run.imaging_rate if knots is None else np.interp(times, knots[1], knots[0])

    def read(roi: int) -> RoiTraces:
        times = np.empty(0) if run.spikes is None else run.spikes.times(roi)
        return RoiTraces(
            rates=run.rates[roi],
            dff=None if run.dff is None else run.dff[roi],
            deviation=None if run.ensemble_std is None else run.ensemble_std[roi],
            spike_frames=frames_at(times),
            noise_std=float(frame_std[roi]),
        )

    return read


def _positions(run: StoredRun, ids: Sequence[int]) -> list[int]:
    """Positions of the ROIs with these ids."""
    position_of = {int(roi_id): position for position, roi_id in enumerate(run.roi_ids)}
    if unknown := [roi for roi in ids if roi not in position_of]:
        raise InputError(
            f"Expected ids of ROIs in {run.path}:{run.object_path}, which has {len(position_of)} from "
            f"{min(position_of)} to {max(position_of)}; received {unknown}."
        )
    return [position_of[roi] for roi in ids]


def _examples(run: StoredRun, ground_truth: str | os.PathLike[str] | None) -> Examples | None:
    """Ground truth at the quality of this recording; None where no noise level is known."""
    levels = typical_noise_levels(run.noise_levels)
    if not levels:
        return None
    folder = None if ground_truth is None else Path(ground_truth)
    return spike_examples(levels, run.imaging_rate, indicator_of(run), folder=folder)
