"""Add discrete spikes to an NWB file that holds the rates they explain, and check what was stored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ndx_spike_inference as ndx
import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTableRegion, VectorData, VectorIndex
from numpy.typing import NDArray
from pynwb import NWBFile

from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.nwb.check import validation_errors
from nwb_cascade.nwb.discover import object_path
from nwb_cascade.nwb.files import is_zarr, open_nwb
from nwb_cascade.nwb.storage import GZIP_LEVEL, appending
from nwb_cascade.nwb.stored_run import json_object
from nwb_cascade.provenance import SOFTWARE, software_version

CHUNK_SPIKES = 2**16
KEY = "spikes_key"


@dataclass(frozen=True, eq=False)
class SpikesRecord:
    """Discrete spikes of a run as they are stored.

    Parameters
    ----------
    name : str
        Name of the table.
    rates_path : str
        Object path of the run in the file.
    spike_times : tuple of numpy.ndarray
        One float64 array per ROI of the run, ascending, s on the file's clock.
    fit_error : numpy.ndarray
        (n_rois,) float32, see `nwb_cascade.discrete.DiscreteSpikes`.
    method : str
        How the spikes were found, in words.
    parameters : str
        JSON object, whose ``spikes_key`` is equal for equal rates and options.
    """

    name: str
    rates_path: str
    spike_times: tuple[NDArray[np.float64], ...]
    fit_error: NDArray[np.float32]
    method: str
    parameters: str

    @property
    def n_spikes(self) -> int:
        """Spikes of all ROIs."""
        return sum(times.size for times in self.spike_times)


@dataclass(frozen=True)
class SpikesPlace:
    """Where a table of spikes goes; ``taken_by`` names the type of what is there, ``spikes_key`` its key."""

    object_path: str
    taken_by: str | None = None
    spikes_key: str | None = None


def spikes_place(nwbfile: NWBFile, rates_path: str, name: str) -> SpikesPlace:
    """Tell where the spikes of a run would go: beside its rates.

    Raises
    ------
    InputError
        If the run is not in the file, or lies in no processing module.
    """
    module = _rates(nwbfile, rates_path).get_ancestor("ProcessingModule")
    if module is None:
        raise InputError(f"Expected the run {rates_path} in a processing module, where its spikes would go as well.")
    path = f"{object_path(module)}/{name}"
    existing = module.data_interfaces.get(name)
    if existing is None:
        return SpikesPlace(path)
    is_spikes = isinstance(existing, ndx.InferredSpikesTable)
    key = str(json_object(existing.parameters).get(KEY, "")) if is_spikes else None
    return SpikesPlace(path, type(existing).__name__, key)


def require_free_for_spikes(place: SpikesPlace, *, overwrite: bool) -> None:
    """Raise NameTakenError unless a place is free, or holds spikes that may be replaced."""
    if place.taken_by is None or (overwrite and place.spikes_key is not None):
        return
    if place.spikes_key is None:
        raise NameTakenError(f"The name {place.object_path} is taken by a {place.taken_by}, which is not replaced.")
    raise NameTakenError(
        f"{place.object_path} holds discrete spikes that were found with other rates or options. Replace them with "
        "--overwrite."
    )


def write_spikes(path: Path, record: SpikesRecord, *, overwrite: bool = False) -> str:
    """Add a table of discrete spikes to an NWB file, HDF5 or Zarr, in place, beside the rates of its run.

    Meant for a copy that nobody else has open, as `nwb_cascade.nwb.write.write_run`.

    Returns
    -------
    str
        Object path of the table.

    Raises
    ------
    NameTakenError
        If the name is taken and may not be replaced.
    InputError
        If the run is not in the file.
    """
    program = (SOFTWARE, software_version())
    with appending(path, generator=program) as (nwbfile, io):
        place = spikes_place(nwbfile, record.rates_path, record.name)
        require_free_for_spikes(place, overwrite=overwrite)
        if place.taken_by is None:
            _add(nwbfile, record, path)
            io.write(nwbfile)
            return place.object_path
    with appending(path, remove=[place.object_path], generator=program) as (nwbfile, io):
        _add(nwbfile, record, path)
        io.write(nwbfile)
    return place.object_path


def check_spikes(path: Path, table_path: str, record: SpikesRecord) -> tuple[str, ...]:
    """Read stored spikes back, compare them with what was computed, and validate the file.

    Returns
    -------
    tuple of str
        Violations of the NWB schema elsewhere in the file, which its earlier authors left.

    Raises
    ------
    OSError
        If the stored spikes differ from the computed ones, or are not valid NWB.
    """
    with open_nwb(path) as (nwbfile, io):
        _, _, module, name = table_path.split("/", 3)
        table = nwbfile.processing[module][name]
        rates = _rates(nwbfile, record.rates_path)
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
        errors = list(validation_errors(io))
    own = [error for error in errors if table_path.strip("/") in error]
    if own:
        raise OSError(f"{path.name}: expected valid NWB, {len(own)} violations, first {own[0]}.")
    return tuple(errors)


def flat_times(spike_times: tuple[NDArray[np.float64], ...]) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """Return the spike times of all ROIs in a row, and where in it each ROI ends."""
    flat = np.concatenate([np.empty(0), *spike_times])
    return flat, np.cumsum([times.size for times in spike_times], dtype=np.uint64)


def _rates(nwbfile: NWBFile, rates_path: str) -> Any:
    """The run at a path."""
    runs = (one for one in nwbfile.objects.values() if isinstance(one, ndx.InferredSpikeRateSeries))
    for run in runs:
        if object_path(run) == rates_path:
            return run
    raise InputError(f"Expected inferred spike rates at {rates_path}, the file holds none there.")


def _add(nwbfile: NWBFile, record: SpikesRecord, path: Path) -> None:
    """Add the table to an open file."""
    rates = _rates(nwbfile, record.rates_path)
    flat, stops = flat_times(record.spike_times)
    spec = {column["name"]: column["description"] for column in ndx.InferredSpikesTable.__columns__}
    times = VectorData(name="spike_times", description=spec["spike_times"], data=_stored(flat, path))
    columns = [
        DynamicTableRegion(
            name="roi", description=spec["roi"], data=np.asarray(rates.rois.data[:]), table=rates.rois.table
        ),
        VectorIndex(name="spike_times_index", data=stops, target=times),
        times,
        VectorData(name="fit_error", description=spec["fit_error"], data=record.fit_error),
    ]
    table = ndx.InferredSpikesTable(
        name=record.name,
        description=f"Spike times that explain {rates.name}.",
        method=record.method,
        parameters=record.parameters,
        rates=rates,
        columns=columns,
        colnames=["roi", "spike_times", "fit_error"],
    )
    rates.get_ancestor("ProcessingModule").add(table)


def _stored(flat: NDArray[np.float64], path: Path) -> Any:
    """Spike times for compressed storage; Zarr compresses by itself, and nothing is left as it is."""
    if is_zarr(path) or not flat.size:
        return flat
    return H5DataIO(
        flat, compression="gzip", compression_opts=GZIP_LEVEL, shuffle=True, chunks=(min(flat.size, CHUNK_SPIKES),)
    )
