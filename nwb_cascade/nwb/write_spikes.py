"""Add discrete spikes to an NWB file that holds the rates they explain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTableRegion, VectorData, VectorIndex
from numpy.typing import NDArray
from pynwb import NWBFile

from nwb_cascade.nwb.files import is_zarr
from nwb_cascade.nwb.places import require_free_for_spikes, run_at, spikes_place
from nwb_cascade.nwb.storage import GZIP_LEVEL, appending
from nwb_cascade.provenance import SOFTWARE, software_version

CHUNK_SPIKES = 2**16


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


def write_spikes(path: Path, record: SpikesRecord, *, overwrite: bool = False) -> str:
    """Add a table of discrete spikes to an NWB file, HDF5 or Zarr, in place, beside the rates of its run.

    Meant for a copy that nobody else has open, as `nwb_cascade.nwb.write.write_runs`.

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
            add_spikes(nwbfile, record, path)
            io.write(nwbfile)
            return place.object_path
    with appending(path, remove=[place.object_path], generator=program) as (nwbfile, io):
        add_spikes(nwbfile, record, path)
        io.write(nwbfile)
    return place.object_path


def add_spikes(nwbfile: NWBFile, record: SpikesRecord, path: Path) -> None:
    """Add the table to an open file."""
    import ndx_spike_inference as ndx

    rates = run_at(nwbfile, record.rates_path)
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


def flat_times(spike_times: tuple[NDArray[np.float64], ...]) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    """Return the spike times of all ROIs in a row, and where in it each ROI ends."""
    flat = np.concatenate([np.empty(0), *spike_times])
    return flat, np.cumsum([times.size for times in spike_times], dtype=np.uint64)


def _stored(flat: NDArray[np.float64], path: Path) -> Any:
    """Spike times for compressed storage; Zarr compresses by itself, and nothing is left as it is."""
    if is_zarr(path) or not flat.size:
        return flat
    return H5DataIO(
        flat, compression="gzip", compression_opts=GZIP_LEVEL, shuffle=True, chunks=(min(flat.size, CHUNK_SPIKES),)
    )
