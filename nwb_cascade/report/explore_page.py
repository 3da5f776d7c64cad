"""The page of the explorer: cells as rows, a line per data set, and what was left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.scores import Scores
from nwb_cascade.core.wording import counted, natural_key
from nwb_cascade.report.arrays import Packer
from nwb_cascade.report.detail import PackedRoi
from nwb_cascade.report.distributions import Histogram, histogram_of
from nwb_cascade.report.headline import KeyNumber, key_count, lasting
from nwb_cascade.report.orders import by_correlation, by_rate
from nwb_cascade.report.page import Column, Page, Rows, known_numbers
from nwb_cascade.report.raster import IN_FILE, RasterMaker, in_orders, raster_facts, raster_text

DATASET_COLUMNS = (  # heading and kind, see pages/templates/tables.html
    ("Data set", "words"),
    ("Indicators", "words"),
    ("Cells", "number"),
    ("Animals", "number"),
    ("Minutes", "number"),
    ("Spikes", "number"),
    ("Median ν", "number"),
    ("Median correlation", "number"),
)


ORDERS = {
    IN_FILE: "data set and name",
    "rate": "firing rate, the busiest first",
    "correlation": "correlation with each other, similar ones side by side",
    "score": "correlation with the recorded spikes, the best first",
}


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

    @property
    def firing_hz(self) -> float:
        """Recorded spikes per second."""
        return self.n_spikes / self.minutes / 60


def rows_of(cells: Sequence[ExploredCell], packed: Sequence[PackedRoi], *, inferred: bool) -> Rows:
    """Return the cells as rows of the page."""
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
        Column("firing", "Spikes/s", known_numbers([cell.firing_hz for cell in cells]), 2),
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


def page_of(
    folder: Path,
    cells: Sequence[ExploredCell],
    packed: Sequence[PackedRoi],
    left_out: Sequence[tuple[str, str]],
    maker: RasterMaker,
    *,
    inferred: bool,
) -> Page:
    """Return everything of the page but its traces."""
    packer, orders = Packer(), _orders(cells, maker, inferred=inferred)
    rasters = in_orders(maker, orders)
    what = "Inferred rates" if inferred else "Recorded spikes"
    models = ", ".join(sorted({cell.model for cell in cells if cell.model}))
    histograms = _histograms(cells)
    return Page(
        template="explorer.html",
        title=f"Ground truth: {folder.resolve().name}",
        lead=f"{counted(len(cells), 'cell')} with recorded spikes{f'; rates inferred by {models}' if models else ''}.",
        headline=_headline(cells, left_out, inferred=inferred),
        browser_title="Every cell",
        browser_text=_browser_text(packed, inferred=inferred),
        values={
            "dataset_columns": DATASET_COLUMNS if inferred else DATASET_COLUMNS[:-1],
            "datasets": _datasets(cells, inferred=inferred),
            "left_out": left_out,
            "raster_text": raster_text(rasters[IN_FILE], f"{what} from the begin of each cell", "cell", None),
            "raster_orders": {key: name for key, name in ORDERS.items() if key == IN_FILE or key in orders},
            "histograms": [one.element for one in histograms],
        },
        facts={
            "histograms": [one.facts() for one in histograms],
            "raster": raster_facts(rasters, orders, packer),
            "has": {"dff": True, "rate": inferred, "deviation": inferred, "spikes": True},
            "names": {
                "rate": "expected spikes per frame",
                "rate_axis": "expected spikes<br>per frame",
                "spikes": "recorded spikes",
            },
        },
        packer=packer,
    )


def _orders(cells: Sequence[ExploredCell], maker: RasterMaker, *, inferred: bool) -> dict[str, NDArray[np.int64]]:
    """Return the orders of the heat map, (n_cells,) each, other than that of the table."""
    found = {
        "rate": by_rate(np.array([cell.firing_hz for cell in cells])),
        "correlation": by_correlation(maker.rates_hz),
    }
    if inferred:
        found["score"] = by_rate(np.array([cell.scores.correlation for cell in cells]))
    return {key: order for key, order in found.items() if order is not None and order.size > 1}


def _headline(
    cells: Sequence[ExploredCell], left_out: Sequence[tuple[str, str]], *, inferred: bool
) -> tuple[KeyNumber, ...]:
    """How many cells and recorded spikes there are, how well rates follow them, and what is not shown."""
    minutes = sum(cell.minutes for cell in cells)
    numbers = [
        key_count(len(cells), "cell", f"for {lasting(60 * minutes)}"),
        key_count(sum(cell.n_spikes for cell in cells), "recorded spike"),
    ]
    if inferred:
        correlations = [cell.scores.correlation for cell in cells]
        numbers.append(
            KeyNumber(_median(correlations), "correlation of the median cell", "of rates with recorded spikes")
        )
    n_remarks = sum(bool(cell.remarks) for cell in cells)
    numbers.append(key_count(n_remarks, "cell with remarks", plural="cells with remarks"))
    if left_out:
        numbers.append(key_count(len(left_out), "file left out", plural="files left out"))
    return tuple(numbers)


def _histograms(cells: Sequence[ExploredCell]) -> list[Histogram]:
    """How firing rates, noise levels and, with a model, correlations are distributed over the cells."""
    firing = np.array([cell.firing_hz for cell in cells])
    found = (
        histogram_of(firing, "rate-chart", "firing rate (spikes/s)", "cells", is_log=True, column="firing"),
        histogram_of(
            np.array([cell.noise_level for cell in cells]),
            "noise-chart",
            "noise level ν",
            "cells",
            is_log=True,
            column="noise",
        ),
        histogram_of(
            np.array([cell.scores.correlation for cell in cells]),
            "correlation-chart",
            "correlation",
            "cells",
            column="correlation",
        ),
    )
    return [one for one in found if one is not None]


def _browser_text(packed: Sequence[PackedRoi], *, inferred: bool) -> str:
    """What the page holds of the traces, and what its scores say."""
    full = sum(one.frames_per_step == 1 for one in packed)
    held = "This page holds every frame of every cell."
    if full < len(packed):
        held = (
            f"This page holds every frame of {full} of {counted(len(packed), 'cell')}; of the others the smallest and "
            "largest value of every few frames."
        )
    scores = (
        "Correlation, error and bias compare inferred rates with the recorded spikes, smoothed alike; a model scores "
        "too well on cells that it was trained on."
    )
    return " ".join(("Trials stand end to end, a second apart.", held, *((scores,) if inferred else ())))


def _datasets(cells: Sequence[ExploredCell], *, inferred: bool) -> list[list[str]]:
    """A line per data set."""
    lines = []
    for dataset in sorted({cell.dataset for cell in cells}, key=natural_key):
        mine = [cell for cell in cells if cell.dataset == dataset]
        line = [
            dataset,
            ", ".join(sorted({cell.indicator for cell in mine}, key=natural_key)),
            str(len(mine)),
            str(len({cell.animal for cell in mine})),
            f"{sum(cell.minutes for cell in mine):.1f}",
            str(sum(cell.n_spikes for cell in mine)),
            _median([cell.noise_level for cell in mine]),
        ]
        lines.append([*line, _median([cell.scores.correlation for cell in mine])] if inferred else line)
    return lines


def _median(values: Sequence[float]) -> str:
    known = [value for value in values if np.isfinite(value)]
    return f"{np.median(known):.2f}" if known else "–"
