"""A recording with everything that a sidecar has to copy, and some that it cannot."""

from __future__ import annotations

import warnings
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from hdmf.common import EnumData, VectorData
from numpy.typing import NDArray
from pynwb import NWBFile
from pynwb.device import Device, DeviceModel
from pynwb.file import Subject
from pynwb.ophys import DfOverF, ImageSegmentation, ImagingPlane, OpticalChannel, PlaneSegmentation, RoiResponseSeries

from tests.support.recordings import simulated_dff, write_recording

N_ROIS = 5
ROWS = (4, 0, 2)  # of the table, those that have traces
SESSION: dict[str, Any] = {
    "session_description": "Mouse looks at gratings.",
    "session_start_time": datetime(2024, 5, 1, 12, tzinfo=timezone.utc),
    "timestamps_reference_time": datetime(2024, 5, 1, 11, tzinfo=timezone.utc),
    "session_id": "day 3_b",
    "experimenter": ("Lovelace, Ada", "Babbage, Charles"),
    "experiment_description": "Two-photon imaging.",
    "institution": "Institute of Tests",
    "lab": "Lab ü",
    "related_publications": ("https://doi.org/10.1038/s41593-021-00895-5",),
    "keywords": ["calcium imaging", "mouse"],
    "notes": "Nothing odd.",
    "pharmacology": "None.",
    "protocol": "P-1",
    "surgery": "Window.",
    "virus": "AAV",
}
SUBJECT: dict[str, Any] = {
    "subject_id": "mouse_7",
    "species": "Mus musculus",
    "sex": "F",
    "age": "P90D",
    "age__reference": "birth",
    "description": "Wild type.",
    "genotype": "wt/wt",
    "strain": "C57BL/6J",
    "weight": "0.025 kg",
    "date_of_birth": datetime(2024, 2, 1, tzinfo=timezone.utc),
}


def rich_recording(path: Path, **timing: Any) -> Path:
    """Write a recording with a full header, masks of all kinds and odd columns; HDF5 or Zarr by its name."""
    nwbfile = NWBFile(identifier="rich", **SESSION)
    nwbfile.subject = Subject(**SUBJECT)
    table = segmentation(imaging_plane(nwbfile), masks())
    module = nwbfile.create_processing_module("imaging", "Two-photon imaging.")
    module.add(ImageSegmentation(name="Segmentation", plane_segmentations=[table]))
    dff = simulated_dff(len(ROWS))
    region = table.create_roi_table_region("Those with traces.", region=list(ROWS))
    timing = timing or {"rate": 30.0, "starting_time": 1.25}
    series = RoiResponseSeries(name="dff", data=dff.T, rois=region, unit="n.a.", **timing)
    container = DfOverF()
    module.add(container)
    container.add_roi_response_series(series)
    return write_recording(path, nwbfile)


def masks() -> NDArray[np.float32]:
    """Image masks (N_ROIS, 6, 5) float32."""
    return np.random.default_rng(0).random((N_ROIS, 6, 5), dtype=np.float32)


def imaging_plane(nwbfile: NWBFile) -> ImagingPlane:
    """Add a plane with two channels on a microscope of a known model."""
    model = DeviceModel(name="B-Scope", manufacturer="Thorlabs", model_number="B2", description="Resonant.")
    nwbfile.add_device_model(model)
    device = Device(name="microscope", description="Two-photon.", serial_number="17", model=model)
    nwbfile.add_device(device)
    plane = ImagingPlane(
        name="plane",
        optical_channel=[
            OpticalChannel(name="green", description="Emission.", emission_lambda=510.0),
            OpticalChannel(name="red", description="Emission.", emission_lambda=610.0),
        ],
        description="Layer 2/3.",
        device=device,
        excitation_lambda=920.0,
        indicator="GCaMP6f",
        location="Primary visual area",
        imaging_rate=30.0,
        reference_frame="Bregma",
        origin_coords=[0.1, 0.2, 0.3],
        origin_coords_unit="millimeters",
        grid_spacing=[1.1, 1.2],
        grid_spacing_unit="micrometers",
    )
    nwbfile.add_imaging_plane(plane)
    return plane


def segmentation(plane: ImagingPlane, image_masks: NDArray[np.float32]) -> PlaneSegmentation:
    """A table with plain, ragged, compound and text columns, words by number, and rows of another table."""
    table = PlaneSegmentation(name="rois", description="Somata.", imaging_plane=plane)
    for roi in range(N_ROIS):
        pixels = [(roi + n, roi, 0.5 * n) for n in range(roi + 1)]
        table.add_roi(id=100 + roi, pixel_mask=pixels, image_mask=image_masks[roi])
    table.add_column("accepted", "Looks like a soma.", data=[True, False, True, True, False])
    table.add_column("comment", "What a person said.", data=["", "ü", "big", "small", ""])
    table.add_column("centre", "x, y.", data=np.arange(10.0).reshape(5, 2))
    table.add_column("neighbours", "Ids.", data=[[1], [], [3, 4], [2], []], index=True)
    words = VectorData(name="kind_elements", description="Words.", data=["soma", "dendrite"])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "EnumData is experimental")
        numbers = np.array([0, 1, 0, 0, 1], np.uint8)
        table.add_column("kind", "What it is.", data=numbers, col_cls=EnumData, elements=words)
    return table
