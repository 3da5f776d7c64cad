"""The table at the end of a conversion: per data set and per cell, as data, text and CSV."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from ground_truth_nwb.cell_summary import CellSummary
from ground_truth_nwb.cells import Remark
from ground_truth_nwb.convert import Outcome


@dataclass(frozen=True)
class DatasetRow:
    """Figures of one data set.

    Parameters
    ----------
    dataset : str
        Identifier, or ``"(failed)"`` for sources that could not be converted.
    cells, trials, spikes, spikes_imaged : int
        Counts; ``spikes_imaged`` are those within the imaged time.
    minutes : float
        Imaged time.
    imaging_rate_hz, noise_level : float
        Medians over cells, Hz and % Hz^-1/2.
    dropped, unusual : str
        What was left out and what was kept although it is unusual, as ``code x count`` by kind.
    failed : int
        Number of sources that could not be converted.
    """

    dataset: str
    cells: int
    trials: int
    minutes: float
    spikes: int
    spikes_imaged: int
    imaging_rate_hz: float
    noise_level: float
    dropped: str
    unusual: str
    failed: int


def dataset_rows(outcomes: Iterable[Outcome]) -> tuple[DatasetRow, ...]:
    """Sum outcomes up by data set, in the order of names; failed sources come last."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.dataset or "(failed)", []).append(outcome)
    return tuple(_row(name, groups[name]) for name in sorted(groups, key=lambda name: (name == "(failed)", name)))


def format_table(rows: Sequence[DatasetRow]) -> str:
    """Lay the rows out as text with aligned columns and a line of totals."""
    header = ("data set", "cells", "trials", "minutes", "spikes", "Hz", "noise", "dropped", "unusual")
    body = [
        (
            row.dataset,
            str(row.cells or row.failed),
            str(row.trials),
            f"{row.minutes:.1f}",
            str(row.spikes),
            f"{row.imaging_rate_hz:.1f}",
            f"{row.noise_level:.2f}",
            row.dropped or "-",
            row.unusual or "-",
        )
        for row in rows
    ]
    sums = {name: sum(getattr(row, name) for row in rows) for name in ("cells", "trials", "minutes", "spikes")}
    total = (str(sums["cells"]), str(sums["trials"]), f"{sums['minutes']:.1f}", str(sums["spikes"]))
    body.append(("all", *total, "", "", "", ""))
    widths = [max(len(line[column]) for line in (header, *body)) for column in range(len(header))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (header, *body))
    return "\n".join(line.rstrip() for line in lines)


def write_csv(outcomes: Iterable[Outcome], path: Path) -> None:
    """Write one line per cell or failed source; the file is replaced in one step."""
    columns = ("source", "status", "path", "dataset", "cell_id")
    figures = tuple(one.name for one in fields(CellSummary))
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*columns, *figures, "dropped", "unusual", "error"))
        for outcome in outcomes:
            values = asdict(outcome.summary) if outcome.summary else {}
            writer.writerow(
                (
                    *(getattr(outcome, column) or "" for column in columns),
                    *(values.get(figure, "") for figure in figures),
                    " ".join(remark.text for remark in outcome.dropped),
                    " ".join(remark.text for remark in outcome.notes),
                    outcome.error or "",
                )
            )
    os.replace(partial, path)


def _row(name: str, outcomes: list[Outcome]) -> DatasetRow:
    """Sum the outcomes of one data set up."""
    summaries = [outcome.summary for outcome in outcomes if outcome.summary is not None]
    return DatasetRow(
        dataset=name,
        cells=len(summaries),
        trials=sum(one.n_trials for one in summaries),
        minutes=sum(one.minutes for one in summaries),
        spikes=sum(one.n_spikes for one in summaries),
        spikes_imaged=sum(one.n_spikes_imaged for one in summaries),
        imaging_rate_hz=_median([one.imaging_rate_hz for one in summaries]),
        noise_level=_median([one.noise_level for one in summaries]),
        dropped=_by_code(remark for outcome in outcomes for remark in outcome.dropped),
        unusual=_by_code(remark for outcome in outcomes for remark in outcome.notes),
        failed=sum(outcome.status == "failed" for outcome in outcomes),
    )


def _by_code(remarks: Iterable[Remark]) -> str:
    """Count remarks by their code."""
    counts: dict[str, int] = {}
    for remark in remarks:
        counts[remark.code] = counts.get(remark.code, 0) + remark.count
    return ", ".join(f"{code} x {count}" for code, count in sorted(counts.items()))


def _median(values: list[float]) -> float:
    """Median of the finite values, NaN without any."""
    finite = [value for value in values if np.isfinite(value)]
    return float(np.median(finite)) if finite else float("nan")
