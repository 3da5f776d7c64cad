"""The table at the end of a conversion: per data set as data, per cell as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from ground_truth_nwb.appearing import appearing
from ground_truth_nwb.cell_summary import CellSummary
from ground_truth_nwb.cells import Remark
from ground_truth_nwb.convert import Conversion


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
    imaging_rate_hz, noise_level, response_lag_s : float
        Medians over cells, Hz, % Hz^-1/2 and s.
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
    response_lag_s: float
    dropped: str
    unusual: str
    failed: int


def dataset_rows(outcomes: Iterable[Conversion]) -> tuple[DatasetRow, ...]:
    """Sum outcomes up by data set, in the order of names; failed sources come last."""
    groups: dict[str, list[Conversion]] = {}
    for outcome in outcomes:
        groups.setdefault(outcome.dataset or "(failed)", []).append(outcome)
    return tuple(_row(name, groups[name]) for name in sorted(groups, key=lambda name: (name == "(failed)", name)))


def totals(rows: Sequence[DatasetRow]) -> DatasetRow:
    """Add the rows up; the medians are over data sets."""
    return DatasetRow(
        dataset="all",
        cells=sum(row.cells for row in rows),
        trials=sum(row.trials for row in rows),
        minutes=sum(row.minutes for row in rows),
        spikes=sum(row.spikes for row in rows),
        spikes_imaged=sum(row.spikes_imaged for row in rows),
        imaging_rate_hz=median([row.imaging_rate_hz for row in rows]),
        noise_level=median([row.noise_level for row in rows]),
        response_lag_s=median([row.response_lag_s for row in rows]),
        dropped="",
        unusual="",
        failed=sum(row.failed for row in rows),
    )


def write_csv(outcomes: Iterable[Conversion], path: Path) -> None:
    """Write one line per cell or failed source; the file is replaced in one step."""
    columns = ("source", "status", "path", "dataset", "cell_id")
    figures = tuple(one.name for one in fields(CellSummary))
    with appearing(path) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*columns, *figures, "dropped", "unusual", "error"))
        for outcome in outcomes:
            values = outcome.summary.to_record() if outcome.summary else {}
            writer.writerow(
                (
                    *(getattr(outcome, column) or "" for column in columns),
                    *("" if values.get(figure) is None else values[figure] for figure in figures),
                    " ".join(remark.text for remark in outcome.dropped),
                    " ".join(remark.text for remark in outcome.notes),
                    outcome.error or "",
                )
            )


def _row(name: str, outcomes: list[Conversion]) -> DatasetRow:
    """Sum the outcomes of one data set up."""
    summaries = [outcome.summary for outcome in outcomes if outcome.summary is not None]
    return DatasetRow(
        dataset=name,
        cells=len(summaries),
        trials=sum(one.n_trials for one in summaries),
        minutes=sum(one.minutes for one in summaries),
        spikes=sum(one.n_spikes for one in summaries),
        spikes_imaged=sum(one.n_spikes_imaged for one in summaries),
        imaging_rate_hz=median([one.imaging_rate_hz for one in summaries]),
        noise_level=median([one.noise_level for one in summaries]),
        response_lag_s=median([one.response_lag_s for one in summaries]),
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


def median(values: Sequence[float]) -> float:
    """Median of the finite values, NaN without any."""
    finite = [value for value in values if np.isfinite(value)]
    return float(np.median(finite)) if finite else float("nan")
