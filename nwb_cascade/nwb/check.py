"""Check that a file holds a run exactly as it was computed, and that it is valid NWB, before it replaces anything."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pynwb
from hdmf.backends.io import HDMFIO

from nwb_cascade.core.traces import TraceArray
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.storage import CHUNK_BYTES
from nwb_cascade.nwb.write import RunRecord

COMPARED_BYTES = 64 * CHUNK_BYTES


def check_run(path: Path, object_path: str, record: RunRecord) -> tuple[str, ...]:
    """Read a stored run back, compare it with what was computed, and validate the file.

    Parameters
    ----------
    path : pathlib.Path
        NWB file that `write_run` has added to.
    object_path : str
        Where it stored the run.
    record : RunRecord
        What should be there.

    Returns
    -------
    tuple of str
        Violations of the NWB schema elsewhere in the file, which its earlier authors left.

    Raises
    ------
    OSError
        If the stored run differs from the computed one, or is not valid NWB.
    """
    with open_nwb(path) as (nwbfile, io):
        _, _, module, name = object_path.split("/", 3)
        series = nwbfile.processing[module][name]
        _compare(series.data, record.expected_spikes, f"{path.name}: {object_path}/data")
        if record.ensemble_std is not None:
            _compare(series.ensemble_std, record.ensemble_std, f"{path.name}: {object_path}/ensemble_std")
        if series.run_key != record.run_key:
            raise OSError(f"{path.name}: the run key at {object_path} is not the one that was written.")
        own: list[str] = []
        others: list[str] = []
        for error in validation_errors(io):
            model_name = series.model.name
            is_own = any(f"processing/{module}/{n}" in error for n in (name, model_name))
            (own if is_own else others).append(error)
    if own:
        raise OSError(f"{path.name}: expected valid NWB, {len(own)} violations, first {own[0]}.")
    return tuple(others)


def validation_errors(io: HDMFIO) -> Iterator[str]:
    """Validate an open NWB file against the schemas that it carries; yields one text per violation."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        errors = pynwb.validate(io=io)
    return (str(error) for error in errors)


def _compare(stored: Any, computed: TraceArray, where: str) -> None:
    """Raise unless a stored array (n_frames, n_rois) equals a computed one (n_rois, n_frames), block by block."""
    n_rois, n_frames = computed.shape
    if tuple(stored.shape) != (n_frames, n_rois):
        raise OSError(f"{where}: expected shape {(n_frames, n_rois)}, found {tuple(stored.shape)}.")
    step = max(1, COMPARED_BYTES // (4 * max(1, n_frames)))
    for start in range(0, n_rois, step):
        rois = slice(start, min(start + step, n_rois))
        if not np.array_equal(stored[:, rois].T, computed[rois], equal_nan=True):
            raise OSError(f"{where}: the values of ROIs {rois.start} to {rois.stop - 1} are not as computed.")
