"""Put the discrete spikes of a file into NWB core's ``/events`` as well, for tools that know no extension."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from nwb_cascade.core.progress import Progress
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.files.disk import clear_disk_errors, require_space, size
from nwb_cascade.files.replace import workplace
from nwb_cascade.nwb.objects import object_path
from nwb_cascade.nwb.storage import require_links
from nwb_cascade.nwb.stored_run import open_run
from nwb_cascade.nwb.write_events import holds_events, write_events
from nwb_cascade.writers.nwb_records import spikes_bytes
from nwb_cascade.writers.replacement import Replacement
from nwb_cascade.writers.targets import require_writable, target_of


def annotate_events(
    path: str | PathLike[str],
    *,
    output: str | PathLike[str] | None = None,
    in_place: bool = False,
    run_name: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Store the discrete spikes of a run as derived events: an ``EventsTable`` with a row per spike and its ROI.

    Parameters
    ----------
    path : path
        NWB file with discrete spikes, HDF5 or Zarr.
    output, in_place, run_name, progress
        As for `nwb_cascade.annotate_spikes`; the copy has by default ``_events`` behind its name.
    overwrite : bool
        Replace events of this run that were made from other spikes, or an output that exists.

    Returns
    -------
    pathlib.Path
        The file that holds the events; that is ``path`` itself if it does already.

    Raises
    ------
    InputError
        If the file holds no discrete spikes of the run, or pynwb knows no events.
    NameTakenError
        If the name is taken in ``/events``, or the output exists, and ``overwrite`` is not set.
    OSError
        If a file cannot be read or written.
    """
    source = Path(path)
    target = target_of(source, output, in_place, label="events")
    replacement = Replacement(source, target)
    with open_run(source, run_name) as run:
        if run.spikes is None:
            raise InputError(f"Expected discrete spikes of {run.object_path} in {source}, found none: find them first.")
        if holds_events(run.nwbfile, run.spikes.table):
            return source
        table, n_spikes = object_path(run.spikes.table), len(run.spikes.table["spike_times"].target.data)
        require_links(run.nwbfile, source, target.parent)
    if target != source and target.exists() and not overwrite:
        raise NameTakenError(f"The output {target} exists. Choose another (-o), or replace it (--overwrite).")
    require_writable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    require_space(target.parent, size(source) + 2 * spikes_bytes(n_spikes, 0), f"the copy of {source.name} with events")
    with workplace(target) as work, clear_disk_errors(target), replacement.kept_from_writers():
        write_events(replacement.copied(work, progress), table, overwrite=overwrite)
        replacement.install()
    return target
