"""Write the files of version 0.1.0 that every later version must be able to read.

Usage: ``python generate_data_0.1.0.py [FOLDER]``, by default into the folder of this script, once per release: the
files never change afterwards. It runs with the lowest versions of pynwb and hdmf that the release supports, because
an older pynwb cannot validate against the newer core schema that a newer one stores in the file.
"""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ndx_spike_inference.testing.mock import (
    mock_InferredSpikeRateSeries,
    mock_InferredSpikesTable,
    mock_SpikeInferenceModel,
)
from pynwb import NWBHDF5IO
from pynwb.testing.mock.file import mock_NWBFile
from pynwb.testing.mock.ophys import mock_PlaneSegmentation, mock_RoiResponseSeries

VERSION = "0.1.0"
PACKAGES = {"ndx-spike-inference": VERSION, "pynwb": "3.1.0", "hdmf": "4.1.0"}


def write_two_runs(path: Path) -> None:
    """Write one model, two runs with it, of which one has no optional field, and a table of spikes."""
    nwbfile = mock_NWBFile(
        identifier="ndx-spike-inference-0.1.0",
        session_description="Two runs on the same traces.",
        session_start_time=datetime(2026, 1, 1, tzinfo=timezone.utc),
    )
    rois = mock_PlaneSegmentation(name="rois", n_rois=3, mask_type="pixel_mask", nwbfile=nwbfile)
    dff = mock_RoiResponseSeries(
        name="dff", data=np.zeros((20, 3)), plane_segmentation=rois, rate=30.0, nwbfile=nwbfile
    )
    model = mock_SpikeInferenceModel(name="model", nwbfile=nwbfile)
    full = mock_InferredSpikeRateSeries(
        name="full_run", plane_segmentation=rois, model=model, source_series=dff, nwbfile=nwbfile
    )
    mock_InferredSpikeRateSeries(
        name="sparse_run",
        plane_segmentation=rois,
        model=model,
        ensemble_std=None,
        roi_warnings=None,
        alignment="published",
        threshold="raw",
        nwbfile=nwbfile,
    )
    mock_InferredSpikesTable(name="spikes", rates=full, nwbfile=nwbfile)
    with NWBHDF5IO(path, "w") as io:
        io.write(nwbfile)


if __name__ == "__main__":
    if (installed := {name: version(name) for name in PACKAGES}) != PACKAGES:
        raise SystemExit(f"Expected {PACKAGES} to be installed, found {installed}.")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    write_two_runs(folder / f"{VERSION}_two_runs.nwb")
