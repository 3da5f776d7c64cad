"""The report of one recording: what was run, how good the data are, and every trace."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_std
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.roi_warnings import RoiWarning, warning_kinds
from nwb_cascade.core.wording import counted, rounded
from nwb_cascade.discrete import POOR_FIT
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.stored_run import StoredRun, open_run
from nwb_cascade.report.coverage import noise_coverage
from nwb_cascade.report.detail import PackedRoi, RoiTraces, pack_rois
from nwb_cascade.report.examples import Examples, spike_examples, typical_noise_levels
from nwb_cascade.report.page import (
    Column,
    Packer,
    Page,
    Rows,
    known_numbers,
    render,
    require_library,
    room_for_traces,
    target_page,
    write_page,
)
from nwb_cascade.report.provenance import indicator_of
from nwb_cascade.report.raster import Raster, RasterMaker
from nwb_cascade.report.recording_sections import (
    about_section,
    browser_text,
    example_facts,
    example_section,
    noise_section,
    raster_section,
    warning_section,
)


@dataclass(frozen=True, eq=False)
class Seen:
    """What the first pass over the traces finds per ROI: frames with a value, sum of the rates, discrete spikes."""

    n_values: NDArray[np.int64]
    activity: NDArray[np.float64]
    n_spikes: NDArray[np.int64]

    @classmethod
    def nothing(cls, n_rois: int) -> Seen:
        """Return zeros."""
        return cls(np.zeros(n_rois, np.int64), np.zeros(n_rois), np.zeros(n_rois, np.int64))

    def add(self, roi: int, one: RoiTraces) -> None:
        """Note what one ROI holds."""
        self.n_values[roi] = np.isfinite(one.rates).sum()
        self.activity[roi] = np.nansum(one.rates, dtype=np.float64)
        self.n_spikes[roi] = one.spike_frames.size


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
        preferred = _positions(run, detail)
        examples = _examples(run, ground_truth)
        n_rois, n_frames = run.shape
        raster, seen = RasterMaker(n_rois, n_frames, run.imaging_rate), Seen.nothing(n_rois)

        def observe(roi: int, one: RoiTraces) -> None:
            raster.add(roi, one.rates)
            seen.add(roi, one)

        packed = pack_rois(
            _reader(run),
            [n_frames] * n_rois,
            room_for_traces(n_rois),
            preferred=preferred,
            observe=observe,
            progress=progress,
        )
        warnings = (*run.roi_warnings, *_poor_fits(run))
        rows = _rows(run, packed, seen, warnings)
        page = _page(run, rows, raster.make(), examples, warnings)
        html = render(page, rows)
    return write_page(html, target)


def _reader(run: StoredRun) -> Callable[[int], RoiTraces]:
    """How to read one ROI of a run."""
    frame_std = noise_std(run.noise_levels, run.imaging_rate)

    def read(roi: int) -> RoiTraces:
        times = np.empty(0) if run.spikes is None else run.spikes.times(roi)
        return RoiTraces(
            rates=run.rates[roi],
            dff=None if run.dff is None else run.dff[roi],
            deviation=None if run.ensemble_std is None else run.ensemble_std[roi],
            spike_frames=(times - run.start_s) * run.imaging_rate,
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


def _rows(run: StoredRun, packed: list[PackedRoi], seen: Seen, warnings: Sequence[RoiWarning]) -> Rows:
    """The ROIs as rows of the page."""
    n_rois, _ = run.shape
    said = _sentences(warnings, n_rois)
    return Rows(
        name="ROI",
        ids=run.roi_ids.tolist(),
        imaging_rates=[run.imaging_rate] * n_rois,
        starts_s=[run.start_s] * n_rois,
        activity=seen.activity.tolist(),
        packed=packed,
        one_clock=True,
        columns=_columns(run, packed, seen, said),
        first=max(range(n_rois), key=lambda roi: (not said[roi], seen.activity[roi])),
    )


def _columns(run: StoredRun, packed: list[PackedRoi], seen: Seen, said: Sequence[str]) -> list[Column]:
    """What the table says of each ROI; of one without values nothing that a silent cell would have as well."""
    has_values = seen.n_values > 0
    expected = np.where(has_values, seen.activity, np.nan)
    mean_rates = run.imaging_rate * expected / np.maximum(seen.n_values, 1)
    columns = [
        Column("id", "ROI", run.roi_ids.tolist()),
        Column("noise", "Noise level ν", known_numbers(run.noise_levels), 2),
        Column("model_noise", "Model's ν", known_numbers(run.model_noise_levels), 2),
        Column("expected", "Expected spikes", known_numbers(expected), 1),
        Column("rate", "Mean rate (Hz)", known_numbers(mean_rates), 3),
    ]
    if run.spikes is not None:
        counts = np.where(has_values, seen.n_spikes, np.nan)
        columns.append(Column("spikes", "Discrete spikes", known_numbers(counts), 0))
        columns.append(Column("fit_error", "Fit error", known_numbers(run.spikes.fit_errors()), 2))
    columns.append(Column("held", "Held here", [_held(one) for one in packed], is_number=False))
    if any(said):
        columns.append(Column("warnings", "Warnings", list(said), is_number=False))
    return columns


def _poor_fits(run: StoredRun) -> Iterator[RoiWarning]:
    """A warning of every ROI whose discrete spikes should not be read one by one."""
    errors = np.empty(0) if run.spikes is None else run.spikes.fit_errors()
    for roi in np.flatnonzero(errors > POOR_FIT):
        message = f"fit error {errors[roi]:.2f} of the discrete spikes: do not read this train spike by spike"
        yield RoiWarning(int(roi), "poor-fit", message)


def _sentences(warnings: Sequence[RoiWarning], n_rois: int) -> list[str]:
    """All that is said of each ROI."""
    said: list[list[str]] = [[] for _ in range(n_rois)]
    for warning in warnings:
        said[warning.roi].append(warning.message)
    return ["; ".join(messages) for messages in said]


def _held(one: PackedRoi) -> str:
    return "every frame" if one.frames_per_step == 1 else f"{one.frames_per_step} frames per step"


def _page(
    run: StoredRun, rows: Rows, raster: Raster, examples: Examples | None, warnings: Sequence[RoiWarning]
) -> Page:
    """Everything of the page but its traces."""
    packer = Packer()
    model = run.series.model
    coverage = noise_coverage(
        run.noise_levels,
        [float(level) for level in model.noise_levels[:]],
        quieter_is_covered=model.architecture == "cascade",
    )
    kinds = warning_kinds(warnings)
    n_rois, _ = run.shape
    facts = {
        "has": {
            "dff": run.dff is not None,
            "rate": True,
            "deviation": run.ensemble_std is not None,
            "spikes": run.spikes is not None,
        },
        "names": {
            "rate": "expected spikes per frame",
            "rate_axis": "expected spikes<br>per frame",
            "spikes": "discrete spikes",
        },
        "noise": {
            "edges": coverage.edges.tolist(),
            "covered": coverage.covered.tolist(),
            "uncovered": coverage.uncovered.tolist(),
            "levels": list(coverage.model_levels),
        },
        "raster": {
            "n_rows": raster.shades.shape[0],
            "n_columns": raster.shades.shape[1],
            "top_hz": raster.top_hz,
            "rois_per_row": raster.rois_per_row,
            "frames_per_column": raster.frames_per_column,
            "at": packer.add(zlib.compress(raster.shades.tobytes(), 9)),
        },
        "examples": None if examples is None else example_facts(examples),
    }
    sections = [
        noise_section(coverage, n_rois),
        warning_section(kinds, n_rois),
        raster_section(raster, run),
        "" if examples is None else example_section(examples),
    ]
    return Page(
        title=f"Inferred spikes of {run.path.name}",
        lead=f"{counted(n_rois, 'ROI')} at {rounded(run.imaging_rate, 5)} Hz, {model.name}, run {run.series.name}.",
        about=about_section(run),
        overview="\n".join(sections),
        browser_title="Every ROI",
        browser_text=browser_text(run, rows.packed),
        facts=facts,
        packer=packer,
    )
