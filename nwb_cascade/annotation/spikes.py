"""Add discrete spikes to a file that holds inferred rates: read, fit, and replace the target when all is well."""

from __future__ import annotations

import time
from dataclasses import replace
from os import PathLike
from pathlib import Path

from nwb_cascade.core.progress import Progress
from nwb_cascade.core.spike_total import SPIKE_TOTALS, SpikeTotal
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.files.disk import clear_disk_errors, require_space, size
from nwb_cascade.files.replace import workplace
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.places import require_free_for_spikes, run_paths, spikes_place, spikes_tables
from nwb_cascade.nwb.storage import require_links
from nwb_cascade.nwb.stored_run import StoredRun, open_run
from nwb_cascade.results.found_spikes import find_spikes, options_of, spikes_name, spikes_result
from nwb_cascade.results.result import SpikesResult
from nwb_cascade.writers.nwb_records import spikes_bytes, spikes_record, store_spikes
from nwb_cascade.writers.replacement import Replacement
from nwb_cascade.writers.targets import require_writable, target_of


def annotate_spikes(
    path: str | PathLike[str],
    *,
    output: str | PathLike[str] | None = None,
    in_place: bool = False,
    run_name: str | None = None,
    spike_total: SpikeTotal = "conserved",
    overwrite: bool = False,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> SpikesResult:
    """Find the discrete spikes of a stored run and store them as an ``InferredSpikesTable`` beside its rates.

    As for `nwb_cascade.annotate`, the target is replaced in one step by a checked copy. Kernel, smoothing and
    imaging rate are those that the run recorded. Spike times are on the clock of the recording.

    Parameters
    ----------
    path : path
        NWB file with inferred rates, HDF5 or Zarr.
    output : path, optional
        File or folder of the copy; by default a file beside ``path`` with ``_discrete`` behind its name.
    in_place : bool
        Replace the file itself by its copy with spikes.
    run_name : str, optional
        Name or path of the run; may be left out where the file holds one.
    spike_total : {"conserved", "supported"}
        See `nwb_cascade.discrete.discrete_spikes`.
    overwrite : bool
        Replace spikes of this run that were found otherwise, or an output that is a copy of the same recording.
    n_threads : int, optional
        By default one per processor; the result does not depend on it.
    progress : callable, optional
        Called with (done, total) of two stages in turn: ROIs, MiB copied.

    Returns
    -------
    SpikesResult
        With ``skipped`` set if the target holds these very spikes already.

    Raises
    ------
    InputError
        If the file holds no rates, no such run, no ROIs, or the run does not say what its rates carry.
    AmbiguousSeriesError
        If it holds several runs and none is named.
    NameTakenError
        If other spikes are there and ``overwrite`` is not set.
    OSError
        If a file cannot be read or written.
    """
    source = Path(path)
    target = target_of(source, output, in_place, label="discrete")
    if spike_total not in SPIKE_TOTALS:
        raise InputError(f"Expected spike_total 'conserved' or 'supported', received {spike_total!r}.")
    replacement = Replacement(source, target)
    started = time.perf_counter()
    with open_run(source, run_name, scratch_dir=target.parent if target.parent.is_dir() else None) as run:
        options, key = options_of(run, spike_total), str(run.series.run_key)
        run_name, name = str(run.series.name), spikes_name(run.series.name)
        place = spikes_place(run.nwbfile, run.object_path, name)
        plan = spikes_result(str(source), str(target), run.object_path, place.object_path, options, n_rois=run.shape[0])
        holder = _holder(run, target, name, options.key(key), in_place=in_place, overwrite=overwrite)
        if holder is not None:
            return replace(plan, output=str(holder), skipped=True)
        require_links(run.nwbfile, source, target.parent)
        require_writable(target)
        found = find_spikes(run.rates, options, run.clock, n_threads=n_threads, progress=progress)
    record = spikes_record(found, run_name=run_name, rates_path=plan.run, run_key=key)
    target.parent.mkdir(parents=True, exist_ok=True)
    n_bytes = size(source) + spikes_bytes(record.n_spikes, plan.n_rois)
    require_space(target.parent, n_bytes, f"the copy of {source.name} with spikes")
    fitted = time.perf_counter()
    with workplace(target) as work, clear_disk_errors(target), replacement.kept_from_writers():
        notes = store_spikes(replacement.copied(work, progress), record, overwrite=overwrite)
        replacement.install()
    seconds = {"fit": fitted - started, "store": time.perf_counter() - fitted}
    return replace(plan, **found.summary(), warnings=notes, seconds=seconds)


def _holder(run: StoredRun, target: Path, name: str, key: str, *, in_place: bool, overwrite: bool) -> Path | None:
    """File that holds these very spikes already; raises if what is in their place may not be replaced."""
    place = spikes_place(run.nwbfile, run.object_path, name)
    if place.key == key:
        return run.path
    require_free_for_spikes(place, overwrite=overwrite)
    if in_place or not target.exists():
        return None
    with open_nwb(target) as (held, _):
        if held.identifier != run.nwbfile.identifier:
            raise InputError(f"The output {target} exists and is another recording. Choose another (-o).")
        if run.object_path in run_paths(held) and spikes_place(held, run.object_path, name).key == key:
            return target
        lost = run_paths(held) - run_paths(run.nwbfile)
        lost |= set(spikes_tables(held)) - {*spikes_tables(run.nwbfile), place.object_path}
    if lost or not overwrite:
        why = f"holds {', '.join(sorted(lost))}, which would be lost" if lost else "does not hold these spikes"
        remedy = "" if lost else ", or replace it (--overwrite)"
        raise NameTakenError(f"The output {target} exists and {why}. Choose another (-o){remedy}.")
    return None
