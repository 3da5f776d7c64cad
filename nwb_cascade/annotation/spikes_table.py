"""Discrete spikes of stored rates as a table for other programs; the file with the rates stays as it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.progress import Progress
from nwb_cascade.core.spike_total import SPIKE_TOTALS, SpikeTotal
from nwb_cascade.errors import InputError
from nwb_cascade.files.disk import clear_disk_errors
from nwb_cascade.files.kinds import SPIKES_TABLE, require_kind
from nwb_cascade.files.private import make_file, mode_like
from nwb_cascade.files.replace import beside, install, stamp, workplace
from nwb_cascade.nwb.places import SPIKES_KEY
from nwb_cascade.nwb.stored_run import StoredRun
from nwb_cascade.readers.stored_runs import open_run
from nwb_cascade.results.found_spikes import FoundSpikes, SpikesOptions, find_spikes, options_of, spikes_result
from nwb_cascade.results.result import SpikesResult
from nwb_cascade.writers.spikes_csv import write_spikes_csv


def export_spikes(
    path: str | PathLike[str],
    output: str | PathLike[str],
    *,
    run_name: str | None = None,
    spike_total: SpikeTotal = "conserved",
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> SpikesResult:
    """Write the discrete spikes of a stored run as comma-separated values: ROI id, time in s, fit error of the ROI.

    Spikes that the file holds, found with the same options, are taken as they are; else they are found.

    Parameters
    ----------
    path : path
        File with inferred rates: NWB (HDF5 or Zarr), or a matrix with its record.
    output : path
        The table; one that is there is replaced in one step.
    run_name, spike_total, n_threads, progress
        As for `nwb_cascade.annotate_spikes`.

    Raises
    ------
    InputError
        If the file holds no rates, no such run, the run does not say what its rates carry, or the output exists and is
        no table of spikes.
    AmbiguousSeriesError
        If it holds several runs and none is named.
    OSError
        If a file cannot be read or written.
    """
    target = Path(output)
    if spike_total not in SPIKE_TOTALS:
        raise InputError(f"Expected spike_total 'conserved' or 'supported', received {spike_total!r}.")
    require_kind(target, SPIKES_TABLE)
    before = stamp(target)
    with open_run(Path(path), run_name) as run:
        options = options_of(run, spike_total)
        found = _stored(run, options) or find_spikes(
            run.rates, options, run.clock, n_threads=n_threads, progress=progress
        )
        ids, place = run.roi_ids, run.object_path
    target.parent.mkdir(parents=True, exist_ok=True)
    with workplace(target) as work, clear_disk_errors(target):
        prepared = make_file(beside(work, ".csv"), mode_like(Path(path)))
        write_spikes_csv(prepared, ids, found.times, found.fit_error)
        install(prepared, target, expected=before)
    return replace(spikes_result(str(path), str(target), place, target.name, options, found), object_path="spikes")


def _stored(run: StoredRun, options: SpikesOptions) -> FoundSpikes | None:
    """Return the spikes that a file holds, if they were found in these rates with these options."""
    if run.spikes is None:
        return None
    parameters = json.loads(str(run.spikes.table.parameters))
    if parameters.get(SPIKES_KEY) != options.key(str(run.series.run_key)):
        return None
    n_rois, _ = run.shape
    times: Sequence[NDArray[np.float64]] = [run.spikes.times(roi) for roi in range(n_rois)]
    expected = sum(float(np.nansum(np.maximum(run.rates[roi : roi + 1], 0), dtype=np.float64)) for roi in range(n_rois))
    return FoundSpikes(options, tuple(times), run.spikes.fit_errors().astype(np.float32), expected)
