"""Annotated copies that lie beside their recordings: they hold the same traces, and get no job of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nwb_cascade.archive.manifest import Job, Skipped
from nwb_cascade.nwb.classify import OUR_SERIES

Session = tuple[str, ...]


def without_copies(records: Sequence[Job | Skipped]) -> list[Job | Skipped]:
    """Skip files on disk that hold runs of ours, if another one holds the same recording with fewer of them."""
    held = {one.address: _held(one) for one in records if isinstance(one, Job) and one.source["kind"] == "file"}
    originals: dict[Session, tuple[int, str]] = {}
    for address, (session, n_runs) in held.items():
        originals[session] = min(originals.get(session, (n_runs, address)), (n_runs, address))
    found: list[Job | Skipped] = []
    for record in records:
        session, n_runs = held.get(record.address, ((), 0))
        original = originals[session][1] if n_runs else record.address
        is_copy = original != record.address
        why = f"It is an annotated copy of {original}, which has the job."
        found.append(Skipped(record.address, why) if is_copy else record)
    return found


def _held(job: Job) -> tuple[Session, int]:
    """What tells the recording in a file from others, and how many runs of ours the file holds."""
    path = Path(job.address)
    if path.is_dir():
        import zarr

        return _of_root(zarr.open_group(str(path), mode="r"))
    from ground_truth_nwb.hdf5_files import hdf5_file

    with hdf5_file(path) as file:
        return _of_root(file)


def _of_root(root: Any) -> tuple[Session, int]:
    modules = [root["processing"].get(name) for name in root.get("processing", ())]
    members = [module.get(name) for module in modules if hasattr(module, "keys") for name in module]
    n_runs = sum(one is not None and one.attrs.get("neurodata_type") == OUR_SERIES for one in members)
    stated = (root.attrs.get("object_id", ""), root["identifier"][()], root["session_start_time"][()])
    return tuple(map(str, stated)), n_runs
