"""Collect: the results of a manifest as a dandiset of their own, with tables and an overview."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ground_truth_nwb.appearing import appearing
from nwb_cascade.archive.derived import DANDISET_FILE, write_dandiset_file
from nwb_cascade.archive.ledger import Entry, Ledger
from nwb_cascade.archive.manifest import Manifest, mode_of
from nwb_cascade.archive.overview import write_overview
from nwb_cascade.archive.results import require_parquet, rows_of, write_csv, write_parquet
from nwb_cascade.archive.status import status_of
from nwb_cascade.core.progress import Progress
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import write_text
from nwb_cascade.files.hashing import file_sha256
from nwb_cascade.files.private import make_file, mode_like
from nwb_cascade.writers.sidecar_names import names_apart

LIST = ".nwb-cascade-collected.json"
TABLE, PARQUET, OVERVIEW = "results.csv", "results.parquet", "overview.html"
OWN_NAMES = (DANDISET_FILE, TABLE, PARQUET, OVERVIEW)


@dataclass(frozen=True)
class Collection:
    """What was collected.

    Parameters
    ----------
    folder : pathlib.Path
        The derived dandiset.
    n_files : int
        Results in it.
    n_missing : int
        Jobs that are not done.
    """

    folder: Path
    n_files: int
    n_missing: int


def collect(
    manifest: Manifest,
    ledger: Ledger,
    folder: Path,
    *,
    copy: bool = False,
    parquet: bool = False,
    progress: Progress | None = None,
) -> Collection:
    """Arrange all finished results as a dandiset; do it again to add what was finished since.

    Parameters
    ----------
    manifest, ledger : Manifest, Ledger
        The jobs, and what became of them.
    folder : pathlib.Path
        The derived dandiset: new, empty or of an earlier call.
    copy : bool
        Copy the files; by default they are hard links where the file system has them.
    parquet : bool
        Write the table as Parquet, too; one of an earlier call is removed if it is not renewed.
    progress : callable, optional
        Called with the files in place and their total.

    Raises
    ------
    FileExistsError
        If the folder holds other files.
    ImportError
        If Parquet is wanted and pyarrow is not installed.
    InputError
        If the output folder is none, or a result is not the file that was written.
    """
    if parquet:
        require_parquet()
    ledger.require()
    earlier = _prepare(folder)
    entries, paths = _places(manifest, ledger)
    mode = mode_of(manifest)
    for entry in entries.values():
        mode &= mode_like(entry.output)
    _note(folder, earlier | set(paths.values()), mode)
    for done, (job_id, place) in enumerate(paths.items(), 1):
        _install(entries[job_id], folder / place, copy=copy)
        if progress is not None:
            progress(done, len(paths))
    for stale in earlier - set(paths.values()):
        (folder / stale).unlink(missing_ok=True)
    _note(folder, set(paths.values()), mode)
    rows = list(rows_of(manifest, ledger, paths))
    write_csv(folder / TABLE, rows, mode=mode)
    if parquet:
        write_parquet(folder / PARQUET, rows, mode=mode)
    else:
        (folder / PARQUET).unlink(missing_ok=True)
    write_overview(folder / OVERVIEW, manifest.header, status_of(manifest, ledger), rows, mode=mode)
    write_dandiset_file(folder, manifest.header, (job for job in manifest.jobs() if job.id in paths), mode=mode)
    return Collection(folder, len(paths), manifest.count() - len(paths))


def _prepare(folder: Path) -> set[str]:
    """Make the folder; returns the results that an earlier call put there, raises if there is anything else."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        listed = set(json.loads((folder / LIST).read_text(encoding="utf-8")))
    except FileNotFoundError:
        listed = None
    own = set() if listed is None else listed | set(OWN_NAMES)
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")):
        if (name := path.relative_to(folder).as_posix()) not in own:
            raise FileExistsError(
                f"Expected a new folder or one of an earlier 'collect' as derived dandiset, received {folder}, which "
                f"holds {name}: name another folder."
            )
    return listed or set()


def _places(manifest: Manifest, ledger: Ledger) -> tuple[dict[str, Entry], dict[str, str]]:
    """Finished jobs, and where in the dandiset their results go, by the names of the jobs."""
    entries: dict[str, Entry] = {}
    paths: dict[str, str] = {}
    taken: set[str] = set()
    for job in manifest.jobs():
        entry = ledger.entry(job.id)
        if entry.state == "done":
            name = next(name for name in names_apart(entry.output.name, job.address, job.id) if name not in taken)
            taken.add(name)
            entries[job.id], paths[job.id] = entry, f"{name.partition('_')[0]}/{name}"
    return entries, paths


def _install(entry: Entry, target: Path, *, copy: bool) -> None:
    """Link or copy one result, after making sure that it is what was noted."""
    output = entry.output
    if target.exists() and _is_installed(output, target, copy=copy):
        return
    if entry.record.get("sha256") and file_sha256(output) != entry.record["sha256"]:
        raise InputError(
            f"{output} is not the file that the job wrote: remove it and run the manifest again, then collect."
        )
    target.parent.mkdir(exist_ok=True)
    with appearing(target, mode=mode_like(output)) as draft:
        if copy or not _linked(output, draft):
            shutil.copy2(output, draft)


def _is_installed(output: Path, target: Path, *, copy: bool) -> bool:
    """Whether an earlier call put a result in its place; a copy has its size and time."""
    if target.samefile(output):
        return not copy
    found, wanted = target.stat(), output.stat()
    return (found.st_size, found.st_mtime_ns) == (wanted.st_size, wanted.st_mtime_ns)


def _linked(output: Path, draft: Path) -> bool:
    draft.unlink()
    try:
        os.link(output, draft)
    except OSError:  # another file system, or one without hard links
        make_file(draft, mode_like(output))
        return False
    return True


def _note(folder: Path, names: set[str], mode: int) -> None:
    """Keep a list of what is ours, before it is there."""
    write_text(folder / LIST, json.dumps(sorted(names)), mode=mode)
