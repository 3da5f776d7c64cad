"""What is written to Zarr is read back equal."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from hdmf.testing import TestCase
from ndx_spike_inference.testing.mock import (
    mock_InferredSpikeRateSeries,
    mock_InferredSpikesTable,
    mock_SpikeInferenceModel,
)
from pynwb import NWBHDF5IO, NWBFile, validate

hdmf_zarr = pytest.importorskip("hdmf_zarr", reason="hdmf-zarr is not installed")

assert_container_equal = TestCase().assertContainerEqual


def test_objects_are_read_as_they_were_written(nwbfile: NWBFile, tmp_path: Path) -> None:
    model = mock_SpikeInferenceModel(name="model", nwbfile=nwbfile)
    rates = mock_InferredSpikeRateSeries(name="rates", model=model, nwbfile=nwbfile)
    spikes = mock_InferredSpikesTable(name="spikes", rates=rates, nwbfile=nwbfile)
    with hdmf_zarr.NWBZarrIO(str(tmp_path / "session.nwb.zarr"), "w") as io:
        io.write(nwbfile)
    with hdmf_zarr.NWBZarrIO(str(tmp_path / "session.nwb.zarr"), "r") as io:
        ophys = io.read().processing["ophys"]
        assert_container_equal(model, ophys["model"])
        assert_container_equal(rates, ophys["rates"])
        assert_container_equal(spikes, ophys["spikes"])
        assert ophys["rates"].model is ophys["model"]


@pytest.mark.skipif(
    int(version("hdmf").split(".")[0]) < 6,
    reason="the validator of hdmf < 6 knows neither Zarr's texts nor that JSON has one kind of number",
)
def test_file_is_valid(nwbfile: NWBFile, tmp_path: Path) -> None:
    mock_InferredSpikesTable(rates=mock_InferredSpikeRateSeries(nwbfile=nwbfile), nwbfile=nwbfile)
    with hdmf_zarr.NWBZarrIO(str(tmp_path / "session.nwb.zarr"), "w") as io:
        io.write(nwbfile)
    with hdmf_zarr.NWBZarrIO(str(tmp_path / "session.nwb.zarr"), "r") as io:
        assert validate(io=io) == []


def test_run_is_appended(nwbfile: NWBFile, tmp_path: Path) -> None:
    path = str(tmp_path / "session.nwb.zarr")
    first = mock_InferredSpikeRateSeries(name="first", nwbfile=nwbfile)
    with hdmf_zarr.NWBZarrIO(path, "w") as io:
        io.write(nwbfile)
    with hdmf_zarr.NWBZarrIO(path, "a") as io:
        read = io.read()
        old = read.processing["ophys"]["first"]
        mock_InferredSpikeRateSeries(name="second", plane_segmentation=old.rois.table, model=old.model, nwbfile=read)
        io.write(read)
    with hdmf_zarr.NWBZarrIO(path, "r") as io:
        ophys = io.read().processing["ophys"]
        assert ophys["second"].model is ophys["first"].model
        np.testing.assert_array_equal(ophys["second"].data[:], first.data)


def test_hdf5_file_is_exported_to_zarr(nwbfile: NWBFile, tmp_path: Path) -> None:
    rates = mock_InferredSpikeRateSeries(name="rates", nwbfile=nwbfile)
    with NWBHDF5IO(tmp_path / "session.nwb", "w") as io:
        io.write(nwbfile)
    with (
        NWBHDF5IO(tmp_path / "session.nwb", "r") as source,
        hdmf_zarr.NWBZarrIO(str(tmp_path / "session.nwb.zarr"), "w") as target,
    ):
        target.export(src_io=source, write_args={"link_data": False})
    with hdmf_zarr.NWBZarrIO(str(tmp_path / "session.nwb.zarr"), "r") as io:
        assert_container_equal(rates, io.read().processing["ophys"]["rates"], ignore_hdmf_attrs=True)
