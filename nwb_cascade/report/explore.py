"""The explorer of ground truth: every cell with dF/F, recorded spikes and, with a model, inferred rates and scores."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.noise import noise_level, noise_std
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.scores import Scores
from nwb_cascade.core.wording import natural_key
from nwb_cascade.errors import InputError
from nwb_cascade.pages import target_page, write_page
from nwb_cascade.report.cell_frames import CellFrames, CellInference, InferCell, cell_frames, cell_scores
from nwb_cascade.report.detail import RoiTraces, pack_rois
from nwb_cascade.report.explore_page import ExploredCell, page_of, rows_of
from nwb_cascade.report.page import render_browser, require_library, room_for_traces
from nwb_cascade.report.raster import CellRasterMaker

if TYPE_CHECKING:
    from ground_truth_nwb.cells import Cell

NO_SCORES = Scores(*[np.nan] * 5)


def write_explorer(
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    infer: InferCell | None = None,
    imaging_rate: float | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write one HTML page about all cells of a folder of ground truth.

    The page opens without a network and stays below 15 MB, as that of `nwb_cascade.report.write_report` does.

    Parameters
    ----------
    folder : path
        NWB files written by ``nwb-cascade ground-truth convert`` or ``simulate``, at any depth.
    output : path
        The page to write, ``.html``; a file that is there is replaced.
    infer : callable, optional
        Infers expected spikes of one cell, see `nwb_cascade.report.cell_frames.InferCell`; without it the page shows
        the recorded data only. A cell that it refuses (ValueError, LookupError) is shown without, with the reason.
    imaging_rate : float, optional
        Hz; cells recorded faster are averaged down to it. Left out: every cell at its own rate.
    progress : callable, optional
        Called with the files done and their total.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    InputError
        If the folder holds no ground truth, or the output is no HTML file.
    ImportError
        If plotly is not installed.
    """
    target = target_page(output)
    require_library()
    if imaging_rate is not None and not 0 < imaging_rate < float("inf"):
        raise InputError(f"Expected a positive imaging rate in Hz, received {imaging_rate!r}.")
    with tempfile.TemporaryDirectory(prefix="nwb-cascade-explore-") as scratch:
        cells, left_out = _explore(Path(folder), Path(scratch), infer, imaging_rate, progress)
        maker = CellRasterMaker([cell.imaging_rate for cell in cells], [cell.n_frames for cell in cells])
        inferred = any(cell.model for cell in cells)
        packed = pack_rois(
            lambda index: _load(cells[index]),
            [cell.n_frames for cell in cells],
            room_for_traces(len(cells), maker.n_bytes),
            observe=lambda index, one: maker.add(index, one.rates if inferred else _recorded(one)),
        )
    page = page_of(Path(folder), cells, packed, left_out, maker, inferred=inferred)
    return write_page(render_browser(page, rows_of(cells, packed, inferred=inferred)), target, like=Path(folder))


def _explore(
    folder: Path, scratch: Path, infer: InferCell | None, imaging_rate: float | None, progress: Progress | None
) -> tuple[list[ExploredCell], list[tuple[str, str]]]:
    """Read all cells, with their traces in scratch files; also the files that could not be read, and why."""
    from ground_truth_nwb.nwb_read import read_nwb_cell

    paths = sorted(folder.rglob("*.nwb")) if folder.is_dir() else []
    cells: list[ExploredCell] = []
    left_out: list[tuple[str, str]] = []
    for number, path in enumerate(paths):
        try:
            cell = read_nwb_cell(path)
        except (ValueError, OSError) as error:
            left_out.append((str(path.relative_to(folder)), str(error)))
        else:
            cells.append(_explored(cell, scratch / f"{number}.npz", infer, imaging_rate))
        if progress is not None:
            progress(number + 1, len(paths))
    if not cells:
        why = f" The first of {len(left_out)} files: {left_out[0][1]}" if left_out else ""
        raise InputError(
            f"Expected ground truth as NWB in {folder}, found none.{why} Convert some: nwb-cascade ground-truth "
            "convert SOURCE TARGET."
        )
    return sorted(cells, key=lambda cell: (natural_key(cell.dataset), natural_key(cell.name))), left_out


def _explored(cell: Cell, traces: Path, infer: InferCell | None, imaging_rate: float | None) -> ExploredCell:
    """Prepare, infer and score one cell."""
    frames = cell_frames(cell, imaging_rate)
    remarks = [remark.text for remark in cell.remarks()]
    inference: CellInference | None = None
    if infer is not None:
        try:
            inference = infer(frames.dff, frames.imaging_rate, cell.indicator, cell.species)
        except (ValueError, LookupError) as error:
            remarks.insert(0, f"No inferred rate: {error}")
    _save(traces, frames, inference)
    return ExploredCell(
        name=cell.name,
        dataset=cell.dataset,
        indicator=cell.indicator,
        animal=cell.animal_id,
        species=cell.species or "",
        n_trials=len(cell.trials),
        n_frames=frames.dff.size,
        n_spikes=frames.spike_frames.size,
        imaging_rate=frames.imaging_rate,
        noise_level=float(noise_level(frames.dff[None], frames.imaging_rate)[0]),
        scores=NO_SCORES if inference is None else cell_scores(frames, inference),
        model="" if inference is None else inference.model,
        remarks="; ".join(dict.fromkeys(remarks)),
        traces=traces,
    )


def _save(path: Path, frames: CellFrames, inference: CellInference | None) -> None:
    absent = np.full(frames.dff.size, np.nan, np.float32)
    np.savez(
        path,
        dff=frames.dff,
        spike_frames=frames.spike_frames,
        rates=absent if inference is None else inference.expected_spikes,
        deviation=absent if inference is None else inference.ensemble_std,
    )


def _recorded(one: RoiTraces) -> NDArray[np.float64]:
    """Recorded spikes per frame (n_frames,), NaN where nothing was measured."""
    frames = np.full(one.rates.size, np.nan) if one.dff is None else one.dff
    nearest = np.clip(np.floor(one.spike_frames + 0.5).astype(np.int64), 0, frames.size - 1)
    return np.where(np.isfinite(frames), np.bincount(nearest, minlength=frames.size), np.nan)


def _load(cell: ExploredCell) -> RoiTraces:
    with np.load(cell.traces) as stored:
        return RoiTraces(
            rates=stored["rates"],
            dff=stored["dff"],
            deviation=stored["deviation"],
            spike_frames=stored["spike_frames"],
            noise_std=noise_std(cell.noise_level, cell.imaging_rate),
        )
