"""The explorer of ground truth: every cell with dF/F, recorded spikes and, with a model, inferred rates and scores."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nwb_cascade.core.noise import noise_level, noise_std
from nwb_cascade.core.progress import Progress
from nwb_cascade.core.scores import Scores
from nwb_cascade.core.wording import counted, natural_key
from nwb_cascade.errors import InputError
from nwb_cascade.report.cell_frames import CellFrames, CellInference, InferCell, cell_frames, cell_scores
from nwb_cascade.report.detail import PackedRoi, RoiTraces, pack_rois
from nwb_cascade.report.page import (
    Column,
    Page,
    Rows,
    known_numbers,
    render,
    require_library,
    room_for_traces,
    target_page,
    write_page,
)

if TYPE_CHECKING:
    from ground_truth_nwb.cells import Cell

NO_SCORES = Scores(np.nan, np.nan, np.nan, np.nan)


@dataclass(frozen=True, eq=False)
class ExploredCell:
    """What the table says of one cell; its traces are in the file ``traces``."""

    name: str
    dataset: str
    indicator: str
    animal: str
    species: str
    n_trials: int
    n_frames: int
    n_spikes: int
    imaging_rate: float
    noise_level: float
    scores: Scores
    model: str
    remarks: str
    traces: Path

    @property
    def minutes(self) -> float:
        """Time from the first to the last frame, gaps between trials included."""
        return self.n_frames / self.imaging_rate / 60


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
        packed = pack_rois(
            lambda index: _load(cells[index]), [cell.n_frames for cell in cells], room_for_traces(len(cells))
        )
    inferred = any(cell.model for cell in cells)
    rows = _rows(cells, packed, inferred=inferred)
    return write_page(render(_page(Path(folder), cells, packed, left_out, inferred=inferred), rows), target)


def _explore(
    folder: Path, scratch: Path, infer: InferCell | None, imaging_rate: float | None, progress: Progress | None
) -> tuple[list[ExploredCell], list[tuple[str, str]]]:
    """Read all cells, with their traces in scratch files; also the files that could not be read, and why."""
    from ground_truth_nwb.nwb_read import read_nwb_cell

    paths = sorted(folder.rglob("*.nwb"), key=lambda path: natural_key(str(path))) if folder.is_dir() else []
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
    return cells, left_out


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


def _load(cell: ExploredCell) -> RoiTraces:
    with np.load(cell.traces) as stored:
        return RoiTraces(
            rates=stored["rates"],
            dff=stored["dff"],
            deviation=stored["deviation"],
            spike_frames=stored["spike_frames"],
            noise_std=noise_std(cell.noise_level, cell.imaging_rate),
        )


def _rows(cells: Sequence[ExploredCell], packed: Sequence[PackedRoi], *, inferred: bool) -> Rows:
    """The cells as rows of the page."""
    columns = [
        Column("id", "Cell", [cell.name for cell in cells], is_number=False),
        Column("dataset", "Data set", [cell.dataset for cell in cells], is_number=False),
        Column("indicator", "Indicator", [cell.indicator for cell in cells], is_number=False),
        Column("animal", "Animal", [cell.animal for cell in cells], is_number=False),
        Column("noise", "Noise level ν", known_numbers([cell.noise_level for cell in cells]), 2),
        Column("imaging_rate", "Rate (Hz)", known_numbers([cell.imaging_rate for cell in cells]), 1),
        Column("trials", "Trials", [cell.n_trials for cell in cells], 0),
        Column("minutes", "Minutes", known_numbers([cell.minutes for cell in cells]), 1),
        Column("spikes", "Spikes", [cell.n_spikes for cell in cells], 0),
        Column("firing", "Spikes/s", known_numbers([cell.n_spikes / cell.minutes / 60 for cell in cells]), 2),
    ]
    if inferred:
        columns += [
            Column("correlation", "Correlation", known_numbers([cell.scores.correlation for cell in cells]), 2),
            Column("error", "Error", known_numbers([cell.scores.error for cell in cells]), 2),
            Column("bias", "Bias", known_numbers([cell.scores.bias for cell in cells]), 2),
            Column("lag", "Lag (ms)", known_numbers([1000 * cell.scores.lag_s for cell in cells]), 0),
        ]
    if any(cell.remarks for cell in cells):
        columns.append(Column("warnings", "Remarks", [cell.remarks for cell in cells], is_number=False))
    return Rows(
        name="Cell",
        ids=[cell.name for cell in cells],
        imaging_rates=[cell.imaging_rate for cell in cells],
        starts_s=[0.0] * len(cells),
        activity=[float(cell.n_spikes) for cell in cells],
        packed=packed,
        one_clock=False,
        columns=columns,
        first=0,
    )


def _page(
    folder: Path,
    cells: Sequence[ExploredCell],
    packed: Sequence[PackedRoi],
    left_out: Sequence[tuple[str, str]],
    *,
    inferred: bool,
) -> Page:
    """Everything of the page but its traces."""
    models = ", ".join(sorted({cell.model for cell in cells if cell.model}))
    full = sum(one.frames_per_step == 1 for one in packed)
    n_cells = counted(len(cells), "cell")
    held = "every frame of every cell" if full == len(packed) else f"every frame of {full} of {n_cells}"
    return Page(
        title=f"Ground truth: {folder.resolve().name}",
        lead=f"{n_cells} with recorded spikes" + (f"; rates inferred by {models}." if models else "."),
        about=_dataset_section(cells, inferred=inferred),
        overview=_left_out_section(left_out),
        browser_title="Every cell",
        browser_text=(
            f"Trials stand end to end, a second apart. This page holds {held}"
            + ("; of the others the smallest and largest value of every few frames." if full < len(packed) else ".")
            + (
                " Correlation, error and bias compare inferred rates with the recorded spikes, smoothed alike; a model "
                "scores too well on cells that it was trained on."
                if inferred
                else ""
            )
        ),
        facts={
            "has": {"dff": True, "rate": inferred, "deviation": inferred, "spikes": True},
            "names": {
                "rate": "expected spikes per frame",
                "rate_axis": "expected spikes<br>per frame",
                "spikes": "recorded spikes",
            },
        },
    )


def _dataset_section(cells: Sequence[ExploredCell], *, inferred: bool) -> str:
    """A table with a line per data set."""
    heads = ["Data set", "Indicators", "Cells", "Animals", "Minutes", "Spikes", "Median ν"]
    heads += ["Median correlation"] if inferred else []
    lines = []
    for dataset in sorted({cell.dataset for cell in cells}, key=natural_key):
        mine = [cell for cell in cells if cell.dataset == dataset]
        values = [
            dataset,
            ", ".join(sorted({cell.indicator for cell in mine}, key=natural_key)),
            str(len(mine)),
            str(len({cell.animal for cell in mine})),
            f"{sum(cell.minutes for cell in mine):.1f}",
            str(sum(cell.n_spikes for cell in mine)),
            _median([cell.noise_level for cell in mine]),
        ]
        values += [_median([cell.scores.correlation for cell in mine])] if inferred else []
        lines.append("".join(f"<td>{escape(value)}</td>" for value in values))
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return (
        '<section id="datasets"><h2>Data sets</h2><div class="scroll"><table class="warnings">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _left_out_section(left_out: Sequence[tuple[str, str]]) -> str:
    if not left_out:
        return ""
    lines = "".join(f"<tr><td>{escape(name)}</td><td>{escape(why)}</td></tr>" for name, why in left_out)
    table = f'<table class="warnings"><tbody>{lines}</tbody></table>'
    return f'<section id="left-out"><h2>Files left out</h2>{table}</section>'


def _median(values: Sequence[float]) -> str:
    known = [value for value in values if np.isfinite(value)]
    return f"{np.median(known):.2f}" if known else "–"
