"""Check that a file holds runs and spikes exactly as computed, and is valid NWB, before it replaces anything."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hdmf.backends.io import HDMFIO
from hdmf.validate import ValidatorMap
from pynwb import CORE_NAMESPACE

from nwb_cascade.core.traces import TraceArray
from nwb_cascade.nwb.damage import reason_of
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.places import run_at
from nwb_cascade.nwb.storage import CHUNK_BYTES
from nwb_cascade.nwb.write import RunRecord
from nwb_cascade.nwb.write_spikes import SpikesRecord, flat_times

COMPARED_BYTES = 64 * CHUNK_BYTES
SPECIFICATIONS = ".specloc"  # attribute that tells where a file keeps its namespaces


def check_runs(path: Path, records: Mapping[str, RunRecord]) -> tuple[str, ...]:
    """Read stored runs back, compare them with what was computed, and validate the file.

    Parameters
    ----------
    path : pathlib.Path
        NWB file that runs were added to.
    records : mapping of str to RunRecord
        By the paths of the runs, what should be there.

    Returns
    -------
    tuple of str
        Violations of the NWB schema elsewhere in the file, which its earlier authors left.

    Raises
    ------
    OSError
        If a stored run differs from the computed one, or is not valid NWB.
    """
    own: list[Any] = []
    with open_nwb(path) as (nwbfile, io):
        for object_path, record in records.items():
            _, _, module, name = object_path.split("/", 3)
            series = nwbfile.processing[module][name]
            _compare(series.data, record.expected_spikes, f"{path.name}: {object_path}/data")
            if record.ensemble_std is not None:
                _compare(series.ensemble_std, record.ensemble_std, f"{path.name}: {object_path}/ensemble_std")
            if series.run_key != record.run_key:
                raise OSError(f"{path.name}: the run key at {object_path} is not the one that was written.")
            own += [series, series.model]
        return _violations_of_others(io, path, own)


def check_spikes(path: Path, table_path: str, record: SpikesRecord) -> tuple[str, ...]:
    """Read stored spikes back, compare them with what was computed, and validate the file.

    Returns and raises as `check_runs`.
    """
    with open_nwb(path) as (nwbfile, io):
        _, _, module, name = table_path.split("/", 3)
        table = nwbfile.processing[module][name]
        rates = run_at(nwbfile, record.rates_path)
        flat, stops = flat_times(record.spike_times)
        fields: dict[str, tuple[Any, Any]] = {
            "spike_times": (table["spike_times"].target.data[:], flat),
            "spike_times_index": (table["spike_times"].data[:], stops),
            "fit_error": (table["fit_error"].data[:], record.fit_error),
            "roi": (table["roi"].data[:], np.asarray(rates.rois.data[:])),
        }
        for field, (stored, computed) in fields.items():
            if not np.array_equal(np.asarray(stored), computed, equal_nan=field == "fit_error"):
                raise OSError(f"{path.name}: the values of {table_path}/{field} are not as computed.")
        if table.parameters != record.parameters or table.rates is not rates:
            raise OSError(f"{path.name}: the parameters of {table_path} are not as written.")
        return _violations_of_others(io, path, [table])


def _violations_of_others(io: HDMFIO, path: Path, own: Iterable[Any]) -> tuple[str, ...]:
    """Violations of the NWB schema by what others wrote; raises OSError for one by our own objects.

    hdmf's validator raises on some of what others wrote, such as pixel masks without names of their columns
    (https://github.com/NeurodataWithoutBorders/pynwb/issues/1313), hence the broad ``except``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if ours := [error for one in own for error in _violations_of(io, one)]:
            raise OSError(f"{path.name}: expected valid NWB, {len(ours)} violations, first {ours[0]}.")
        try:
            return tuple(str(error) for name in _namespaces(io) for error in _violations(io, name, io.read_builder()))
        except Exception as error:
            return (f"hdmf's validator stops ({reason_of(error)})",)


def _violations_of(io: HDMFIO, container: Any) -> list[str]:
    """Violations of the schemas in a file by one of its objects."""
    return list(map(str, _violations(io, container.namespace, io.manager.get_builder(container))))


def _violations(io: HDMFIO, namespace: str, builder: Any) -> Iterable[Any]:
    """Violations of one of the namespaces that were loaded when a file was opened."""
    return ValidatorMap(io.manager.namespace_catalog.get_namespace(name=namespace)).validate(builder)  # type: ignore[no-any-return]


def _namespaces(io: HDMFIO) -> list[str]:
    """The namespaces cached in a file that no other one there includes.

    `pynwb.validate` asks for the same, but loads them all anew for it: 0.4 s of the 0.5 s that a small file takes.
    """
    file = io._file  # as pynwb has it: h5py's and zarr's alike
    cached = set(file[file.attrs[SPECIFICATIONS]]) if SPECIFICATIONS in file.attrs else set()
    included = {
        part["namespace"]
        for name in cached
        for part in io.manager.namespace_catalog.get_namespace(name=name)["schema"]
        if "namespace" in part
    }
    # hdmf-experimental as in pynwb: https://github.com/NeurodataWithoutBorders/pynwb/issues/1357
    return sorted(cached - included - {"hdmf-experimental"}) or [CORE_NAMESPACE]


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
