"""Convert folders of ground truth to one dandiset: resumable, parallel, one bad file never stops the others."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

from ground_truth_nwb.cell_summary import CellSummary
from ground_truth_nwb.cells import Remark
from ground_truth_nwb.nwb_build import CONVERTER_VERSION
from ground_truth_nwb.nwb_read import read_source_record
from ground_truth_nwb.progress import Progress
from ground_truth_nwb.source_files import SourceFile, find_sources
from ground_truth_nwb.write import write_cell, write_dandiset_file

DANDISET_NAME = "Ground truth for spike inference"
DANDISET_DESCRIPTION = (
    "Calcium imaging and spikes of the same cells, converted from published data sets. Each file names its source, "
    "the publication to cite and the terms, what was dropped and what is unusual."
)
# Path and record of a file that was written before.
Written: TypeAlias = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Conversion:
    """What became of one cell, or of a source that could not be converted.

    Parameters
    ----------
    source : str
        Path of the source file.
    status : str
        ``"written"``, ``"kept"`` (the same source was converted before) or ``"failed"``.
    path : str or None
        The NWB file.
    dataset, cell_id, animal_id : str or None
        Names of the cell; None for a failed source.
    summary : CellSummary or None
        Its figures.
    dropped, notes : tuple of Remark
        What was left out, and what is unusual.
    error, details : str or None
        What went wrong, in one line and as a traceback.
    """

    source: str
    status: str
    path: str | None = None
    dataset: str | None = None
    cell_id: str | None = None
    summary: CellSummary | None = None
    dropped: tuple[Remark, ...] = field(default=())
    notes: tuple[Remark, ...] = field(default=())
    error: str | None = None
    details: str | None = None


def convert(
    source_root: Path, target: Path, *, workers: int = 1, progress: Progress | None = None
) -> tuple[Conversion, ...]:
    """Convert all ground truth below a folder to NWB files in a dandiset folder.

    A source is kept as it is when all its cells are there already, from a file with the same SHA-256 and the
    same version of this converter; so an interrupted run goes on where it stopped. Any other failure than a
    missing source folder or a target that cannot be written becomes a Conversion.

    Parameters
    ----------
    source_root : pathlib.Path
        Folder with MATLAB files, Spikefinder pairs or NWB files, or one such file.
    target : pathlib.Path
        Folder of the dandiset, created if it is missing.
    workers : int
        Number of processes; 1 converts in this one. More are spawned, so a script that asks for them needs the usual
        ``if __name__ == "__main__"``.
    progress : callable, optional
        Called as ``progress(done, total)`` after each source.

    Returns
    -------
    tuple of Conversion
        In the order of the sources.

    Raises
    ------
    LookupError
        If there is no ground truth below the folder.
    OSError
        If the target cannot be written.
    """
    sources = find_sources(source_root, leaving_out=target)
    write_dandiset_file(target, name=DANDISET_NAME, description=DANDISET_DESCRIPTION)
    present = _records_by_source(target)
    outcomes: dict[int, tuple[Conversion, ...]] = {}

    def tell() -> None:
        if progress is not None:
            progress(len(outcomes), len(sources))

    if workers <= 1:
        for position, source in enumerate(sources):
            outcomes[position] = convert_source(source, target, present.get(source.path.name, []))
            tell()
    else:
        # Spawned, not forked: HDF5 and numpy may hold locks and threads in this process.
        with ProcessPoolExecutor(max_workers=workers, mp_context=get_context("spawn")) as pool:
            jobs: dict[Future[tuple[Conversion, ...]], int] = {
                pool.submit(convert_source, source, target, present.get(source.path.name, [])): position
                for position, source in enumerate(sources)
            }
            for job in as_completed(jobs):
                outcomes[jobs[job]] = _result(job, sources[jobs[job]])
                tell()
    return tuple(outcome for position in range(len(sources)) for outcome in outcomes[position])


def read_outcomes(target: Path) -> tuple[Conversion, ...]:
    """Return what a dandiset folder of this package holds, from the records in its files.

    Raises
    ------
    LookupError
        If it holds no ground truth file of this package.
    """
    records = [(path, read_source_record(path)) for path in sorted(target.glob("sub-*/sub-*.nwb"))]
    outcomes = tuple(
        _outcome(str(record["source_file"]), "kept", str(path), record) for path, record in records if record
    )
    if not outcomes:
        raise LookupError(f"Expected ground truth files (sub-*/sub-*.nwb) of this package in {target}, found none.")
    return outcomes


def convert_source(source: SourceFile, target: Path, earlier: Sequence[Written]) -> tuple[Conversion, ...]:
    """Convert one source, or keep what is there; ``earlier`` lists files made from a source of this name."""
    try:
        digest = source.sha256()
        there = [(path, record) for path, record in earlier if record["source_sha256"] == digest]
        if there and len(there) == there[0][1]["cells_in_source"]:
            return tuple(_outcome(str(source.path), "kept", path, record) for path, record in there)
        written = []
        for cell in source.read():
            path = write_cell(cell, target)
            written.append(_outcome(str(source.path), "written", str(path), read_source_record(path)))
        return tuple(written)
    except Exception as error:  # one file's failure must not stop the others; it is recorded with its traceback
        return (_failure(source, error),)


def _records_by_source(target: Path) -> dict[str, list[Written]]:
    """List what this version of the converter has written into the target before, by the source's file name."""
    present: dict[str, list[Written]] = {}
    for path in sorted(target.glob("sub-*/sub-*.nwb")):
        record = read_source_record(path)
        if record.get("converter_version") == CONVERTER_VERSION and record.get("source_sha256"):
            present.setdefault(record["source_file"], []).append((str(path), record))
    return present


def _outcome(source: str, status: str, path: str, record: dict[str, Any]) -> Conversion:
    """Describe a converted cell with the record in its file."""
    return Conversion(
        source=source,
        status=status,
        path=path,
        dataset=record["dataset"],
        cell_id=record["cell_id"],
        summary=CellSummary.from_record(record["summary"]),
        dropped=tuple(Remark(**remark) for remark in record["dropped"]),
        notes=tuple(Remark(**remark) for remark in record["notes"]),
    )


def _failure(source: SourceFile, error: BaseException) -> Conversion:
    """Describe a source that could not be converted."""
    details = "".join(traceback.format_exception(error))
    return Conversion(str(source.path), "failed", error=f"{type(error).__name__}: {error}", details=details)


def _result(job: Future[tuple[Conversion, ...]], source: SourceFile) -> tuple[Conversion, ...]:
    """Return a worker's outcomes; a worker that died is a failure of its source."""
    error = job.exception()
    return job.result() if error is None else (_failure(source, error),)
