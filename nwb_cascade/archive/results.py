"""The results of a manifest as rows of a table: one per job and series, whatever became of it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ground_truth_nwb.appearing import ANYBODY, appearing
from nwb_cascade.archive.ledger import Entry, Ledger
from nwb_cascade.archive.manifest import Job, Manifest


@dataclass(frozen=True)
class Row:
    """One series of a job and what became of it; empty where nothing is known.

    ``path`` is that of the result within the derived dandiset, ``noise`` and other facts are in the file itself.
    """

    job: str
    state: str
    path: str
    source: str
    dandiset: str
    version: str
    asset_id: str
    source_digest: str
    series: str
    model: str
    model_sha256: str
    indicator: str
    imaging_rate_hz: float | None
    n_rois: int | None
    n_frames: int | None
    n_inferred: int | None
    roi_warnings: int | None
    seconds: float | None
    bytes: int | None
    sha256: str
    run_key: str
    error: str
    cause: str


COLUMNS = tuple(Row.__dataclass_fields__)


def rows_of(manifest: Manifest, ledger: Ledger, paths: Mapping[str, str]) -> Iterator[Row]:
    """Yield a row per job and series; ``paths`` maps the names of jobs to places in the derived dandiset."""
    for job in manifest.jobs():
        entry = ledger.entry(job.id)
        for run in entry.record.get("runs") or job.recordings or ({},):
            yield _row(job, entry, run, paths.get(job.id, ""))


def write_csv(path: Path, rows: Sequence[Row], *, mode: int = ANYBODY) -> None:
    """Write rows as CSV with a line of names; the file is there in full or not at all."""
    with appearing(path, mode=mode) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def write_parquet(path: Path, rows: Sequence[Row], *, mode: int = ANYBODY) -> None:
    """Write rows as Parquet: numbers as int64 and float64, text as strings, what is unknown as null.

    Raises
    ------
    ImportError
        As `require_parquet`.
    """
    pa, parquet = _pyarrow()
    kinds = {"float": pa.float64(), "int": pa.int64(), "str": pa.string()}
    fields = [(name, kinds[str(field.type).partition(" ")[0]]) for name, field in Row.__dataclass_fields__.items()]
    values = [{name: None if value == "" else value for name, value in asdict(row).items()} for row in rows]
    with appearing(path, mode=mode) as partial:
        parquet.write_table(pa.Table.from_pylist(values, schema=pa.schema(fields)), partial)


def require_parquet() -> None:
    """Raise ImportError, naming the extra, unless pyarrow is installed."""
    _pyarrow()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            "A table in Parquet needs pyarrow: pip install 'nwb-cascade[archive]', or do with results.csv."
        ) from error
    return pyarrow, parquet


def _row(job: Job, entry: Entry, run: Mapping[str, Any], path: str) -> Row:
    """Join what was noted of a job and one of its runs, or what was planned."""
    record, asset = entry.record, job.source.get("asset", {})
    warnings = run.get("roi_warnings")
    return Row(
        job=job.id,
        state=entry.state,
        path=path,
        source=job.address,
        dandiset=asset.get("dandiset", ""),
        version=asset.get("version", ""),
        asset_id=asset.get("asset_id", ""),
        source_digest=asset.get("digest", ""),
        series=str(run.get("series") or ""),
        model=job.model,
        model_sha256=job.model_sha256,
        indicator=str(run.get("indicator") or ""),
        imaging_rate_hz=run.get("imaging_rate_hz"),
        n_rois=run.get("n_rois"),
        n_frames=run.get("n_frames"),
        n_inferred=run.get("n_inferred"),
        roi_warnings=None if warnings is None else sum(warnings.values()),
        seconds=record.get("seconds"),
        bytes=record.get("size"),
        sha256=record.get("sha256", ""),
        run_key=run.get("run_key", ""),
        error=record.get("kind", ""),
        cause=record.get("cause", ""),
    )
