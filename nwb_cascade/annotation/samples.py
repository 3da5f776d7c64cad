"""Spike trains sampled from a stored run: drawn, and written as a file of numpy when all is well."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nwb_cascade.core.spike_samples import sample_trains
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.files.private import make_file, mode_like
from nwb_cascade.files.replace import beside, install, stamp, workplace
from nwb_cascade.nwb.stored_run import StoredRun
from nwb_cascade.readers.stored_runs import open_run
from nwb_cascade.writers.targets import require_writable, split_name


def write_spike_samples(
    path: str | PathLike[str],
    n_samples: int,
    *,
    output: str | PathLike[str] | None = None,
    seed: int = 0,
    run_name: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Draw spike trains from the rates and intervals of a stored run, see `nwb_cascade.core.spike_samples`.

    The file (``.npz``) holds ``spike_times`` (n_spikes,) in s, ``roi_id`` and ``sample`` (n_spikes,) of each, the
    ``roi_ids`` (n_rois,), ``n_samples`` and ``seed``. Equal seeds give equal trains.

    Parameters
    ----------
    path : path
        File with inferred rates.
    n_samples : int
        Trains per ROI.
    output : path, optional
        By default a file beside ``path`` with ``_samples.npz`` behind its name.
    seed : int
        Of the draws.
    run_name : str, optional
        Name or path of the run, where the file holds several.
    overwrite : bool
        Replace an output that is there.

    Raises
    ------
    InputError
        If the run was stored without a distribution of counts, or a number is out of range.
    NameTakenError
        If the output exists and ``overwrite`` is not set.
    """
    source = Path(path)
    target = Path(output) if output is not None else source.with_name(f"{split_name(source.name)[0]}_samples.npz")
    if target.suffix != ".npz":
        raise InputError(f"Expected an output ending in .npz for samples, received {target}.")
    if target.exists() and not overwrite:
        raise NameTakenError(f"{target} exists: choose another output (-o), or replace it (--overwrite).")
    if seed < 0:
        raise InputError(f"Expected a seed of 0 or more, received {seed}.")
    before = stamp(target)
    require_writable(target)
    with open_run(source, run_name) as run:
        found = _drawn(run, n_samples, seed)
    with workplace(target) as work:
        prepared = make_file(beside(work, ".npz"), mode_like(source))
        with open(prepared, "wb") as file:
            np.savez_compressed(file, n_samples=n_samples, seed=seed, **found)  # type: ignore[arg-type]
        install(prepared, target, expected=before)
    return target


def _drawn(run: StoredRun, n_samples: int, seed: int) -> dict[str, NDArray[Any]]:
    """Trains of all ROIs, one spike after the other."""
    counts = run.counts
    if counts is None:
        raise InputError(f"Expected the distribution of spike counts in {run.path}, found none: infer it anew.")
    times: list[NDArray[np.float64]] = [np.empty(0)]
    whose = [np.empty((2, 0), np.int64)]
    for row, roi in enumerate(run.roi_ids):
        generator = np.random.default_rng([seed, row])
        level = float(run.noise_levels[row])
        trains = sample_trains(run.rates[row], level, counts.model, run.clock, n_samples, generator)
        times += trains
        whose += [np.stack(np.broadcast_arrays(roi, np.full(one.size, at))) for at, one in enumerate(trains)]
    roi_id, sample = np.concatenate(whose, axis=1)
    return {"spike_times": np.concatenate(times), "roi_id": roi_id, "sample": sample, "roi_ids": run.roi_ids}
