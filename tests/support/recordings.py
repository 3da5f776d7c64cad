"""Small NWB recordings with dF/F for the tests of writing and annotating, HDF5 or Zarr."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from numpy.typing import NDArray
from pynwb import NWBHDF5IO, NWBFile
from pynwb.file import Subject
from pynwb.ophys import DfOverF, ImageSegmentation, OpticalChannel, PlaneSegmentation, RoiResponseSeries

PLANES = {"green": ("GCaMP6f", 3), "red": ("jRGECO1a", 2)}
PAUSED = np.concatenate([np.arange(300), np.arange(300) + 900]) / 30  # s, with a pause of 20 s


def simulated_dff(n_rois: int = 4, n_frames: int = 300, *, noise: float = 0.1, seed: int = 0) -> NDArray[np.float32]:
    """White noise with decaying transients: (n_rois, n_frames) float32, a fraction."""
    rng = np.random.default_rng(seed)
    spikes = rng.random((n_rois, n_frames)) < 0.02
    kernel = np.exp(-np.arange(60) / 15.0)
    transients = np.array([np.convolve(row, kernel)[:n_frames] for row in spikes.astype(float)])
    return (transients + noise * rng.standard_normal((n_rois, n_frames))).astype(np.float32)


def bare_nwbfile(**fields: Any) -> NWBFile:
    """A session with a subject and what validators ask for; ``fields`` go to NWBFile."""
    start = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
    values = {
        "session_description": "Mouse looks at gratings.",
        "identifier": "recording-1",
        "session_start_time": start,
        "session_id": "a",
        "experimenter": ["Lovelace, Ada"],
        "institution": "Institute of Tests",
        "experiment_description": "Two-photon imaging.",
        "keywords": ["calcium imaging"],
    }
    nwbfile = NWBFile(**{**values, **fields})
    nwbfile.subject = Subject(subject_id="1", species="Mus musculus", sex="F", age="P90D", description="Wild type.")
    return nwbfile


def add_plane(nwbfile: NWBFile, n_rois: int, *, indicator: str = "GCaMP6f", name: str = "plane") -> PlaneSegmentation:
    """An imaging plane with a table of ROIs in the processing module ``ophys``, made if it is not there."""
    if "ophys" not in nwbfile.processing:
        nwbfile.create_processing_module("ophys", "Fluorescence of ROIs.")
        nwbfile.processing["ophys"].add(ImageSegmentation())
    device = nwbfile.devices.get("microscope") or nwbfile.create_device("microscope", description="Two-photon.")
    plane = nwbfile.create_imaging_plane(
        name=f"imaging_{name}",
        optical_channel=OpticalChannel(name="green", description="Emission.", emission_lambda=510.0),
        description="Layer 2/3.",
        device=device,
        excitation_lambda=920.0,
        indicator=indicator,
        location="V1",
        imaging_rate=30.0,
    )
    table = nwbfile.processing["ophys"]["ImageSegmentation"].create_plane_segmentation(
        name=f"rois_{name}", description="Somata.", imaging_plane=plane
    )
    for roi in range(n_rois):
        table.add_roi(pixel_mask=[(roi, roi, 1.0), (roi + 1, roi, 1.0)])
    return table


def add_dff(
    nwbfile: NWBFile,
    dff: NDArray[np.floating],
    *,
    name: str = "RoiResponseSeries",
    chunks: tuple[int, int] | None = None,
    **timing: Any,
) -> None:
    """Store traces (n_rois, n_frames) as dF/F in the module ``ophys``; ``timing`` defaults to a rate of 30 Hz.

    ``chunks`` are (frames, ROIs), for HDF5.
    """
    table = add_plane(nwbfile, len(dff), name=name)
    series = RoiResponseSeries(
        name=name,
        description="dF/F as a fraction.",
        data=np.ascontiguousarray(dff.T) if chunks is None else H5DataIO(dff.T, chunks=chunks),
        rois=table.create_roi_table_region("All ROIs.", region=list(range(len(dff)))),
        unit="n.a.",
        **(timing or {"rate": 30.0, "starting_time": 1.25}),
    )
    module = nwbfile.processing["ophys"]
    if "DfOverF" not in module.data_interfaces:
        module.add(DfOverF())
    module["DfOverF"].add_roi_response_series(series)


def write_recording(path: Path, nwbfile: NWBFile) -> Path:
    """Write as Zarr if the name says so, else as HDF5."""
    if path.suffix == ".zarr":
        from hdmf_zarr import NWBZarrIO

        with NWBZarrIO(str(path), mode="w") as io:
            io.write(nwbfile)
    else:
        with NWBHDF5IO(str(path), mode="w") as io:
            io.write(nwbfile)
    return path


def dff_recording(path: Path, dff: NDArray[np.floating] | None = None, **timing: Any) -> Path:
    """Write a recording whose only series of ROI traces is dF/F, named ``RoiResponseSeries``."""
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, simulated_dff() if dff is None else dff, **timing)
    return write_recording(path, nwbfile)


def two_planes(path: Path, *, names: tuple[str, ...] = ("green", "red"), containers: bool = False) -> Path:
    """A file with two planes of their own indicators, with a pause in both."""
    nwbfile = bare_nwbfile()
    holders: list[DfOverF] = []
    for number, (name, (indicator, n_rois)) in enumerate(zip(names, PLANES.values(), strict=True)):
        table = add_plane(nwbfile, n_rois, indicator=indicator, name=f"plane{number}")
        region = table.create_roi_table_region(region=list(range(n_rois)), description="ROIs")
        dff = simulated_dff(n_rois, PAUSED.size, seed=number)
        series = RoiResponseSeries(name=name, data=dff.T, unit="n.a.", rois=region, timestamps=PAUSED)
        if containers or not holders:
            holders.append(DfOverF(name=f"DfOverF_{number}" if containers else "DfOverF"))
            nwbfile.processing["ophys"].add(holders[-1])
        holders[-1].add_roi_response_series(series)
    return write_recording(path, nwbfile)
