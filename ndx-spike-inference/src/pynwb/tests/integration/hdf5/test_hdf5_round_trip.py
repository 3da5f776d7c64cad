"""What is written to HDF5 is read back equal, also after appending, exporting and without this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hdmf.backends.hdf5 import H5DataIO
from hdmf.data_utils import DataChunkIterator
from hdmf.testing import TestCase
from ndx_spike_inference.testing.mock import (
    mock_InferredSpikeRateSeries,
    mock_InferredSpikesTable,
    mock_SpikeInferenceModel,
)
from ndx_spike_inference.testing.mock.spike_inference import N_FRAMES, N_ROIS
from pynwb import NWBHDF5IO, NWBFile, validate
from pynwb.testing.mock.ophys import mock_PlaneSegmentation, mock_RoiResponseSeries

assert_container_equal = TestCase().assertContainerEqual


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.nwb"


@pytest.fixture
def run(nwbfile: NWBFile) -> dict[str, Any]:
    """A file with dF/F and one run on it: its objects by name."""
    rois = mock_PlaneSegmentation(name="rois", description="ROIs.", n_rois=N_ROIS, nwbfile=nwbfile)
    dff = mock_RoiResponseSeries(
        name="dff", data=np.zeros((N_FRAMES, N_ROIS)), rate=30.0, plane_segmentation=rois, nwbfile=nwbfile
    )
    model = mock_SpikeInferenceModel(name="model", nwbfile=nwbfile)
    rates = mock_InferredSpikeRateSeries(
        name="rates", plane_segmentation=rois, model=model, source_series=dff, nwbfile=nwbfile
    )
    spikes = mock_InferredSpikesTable(name="spikes", rates=rates, nwbfile=nwbfile)
    return {"nwbfile": nwbfile, "rois": rois, "dff": dff, "model": model, "rates": rates, "spikes": spikes}


def write(nwbfile: NWBFile, path: Path) -> None:
    with NWBHDF5IO(path, "w") as io:
        io.write(nwbfile)


def valid(path: Path) -> bool:
    """Whether the file follows its specifications; prints what does not."""
    with NWBHDF5IO(path, "r") as io:
        errors = validate(io=io)
    print(*errors, sep="\n")  # noqa: T201 (shown by pytest when the test fails)
    return not errors


@pytest.mark.parametrize("name", ["model", "rates", "spikes"])
def test_object_is_read_as_it_was_written(run: dict[str, Any], path: Path, name: str) -> None:
    write(run["nwbfile"], path)
    with NWBHDF5IO(path, "r") as io:
        assert_container_equal(run[name], io.read().processing["ophys"][name])


def test_optional_fields_may_be_absent(nwbfile: NWBFile, path: Path) -> None:
    model = mock_SpikeInferenceModel(training_datasets=None, license=None, citation=None, nwbfile=nwbfile)
    series = mock_InferredSpikeRateSeries(
        name="rates", model=model, source_series=None, ensemble_std=None, roi_warnings=None, nwbfile=nwbfile
    )
    table = mock_InferredSpikesTable(name="spikes", rates=None, nwbfile=nwbfile)
    write(nwbfile, path)
    assert valid(path)
    with NWBHDF5IO(path, "r") as io:
        ophys = io.read().processing["ophys"]
        assert_container_equal(series, ophys["rates"])
        assert_container_equal(table, ophys["spikes"])
        assert ophys["rates"].ensemble_std is None
        assert ophys["spikes"].rates is None


def test_links_lead_to_the_objects_of_the_file(run: dict[str, Any], path: Path) -> None:
    write(run["nwbfile"], path)
    with NWBHDF5IO(path, "r") as io:
        ophys = io.read().processing["ophys"]
        assert ophys["rates"].model is ophys["model"]
        assert ophys["rates"].source_series is ophys["dff"]
        assert ophys["rates"].rois.table is ophys["rois"]
        assert ophys["spikes"].rates is ophys["rates"]
        assert ophys["spikes"].roi.table is ophys["rois"]


def test_units_and_number_types_stand_in_the_file(run: dict[str, Any], path: Path) -> None:
    write(run["nwbfile"], path)
    expected = {
        "model/model_rates_hz": ("float64", "Hz"),
        "model/noise_levels": ("float64", "% Hz^-1/2"),
        "rates/data": ("float32", "spikes/frame"),
        "rates/ensemble_std": ("float32", "spikes/frame"),
        "rates/noise_level": ("float32", "% Hz^-1/2"),
        "rates/model_noise_level": ("float32", "% Hz^-1/2"),
        "rates/valid_frames": ("int64", "frames"),
        "spikes/spike_times": ("float64", "seconds"),
    }
    with h5py.File(path) as file:
        ophys = file["processing/ophys"]
        found = {name: (str(ophys[name].dtype), ophys[name].attrs["unit"]) for name in expected}
    assert found == expected


def test_several_runs_stand_side_by_side(run: dict[str, Any], path: Path) -> None:
    other = mock_SpikeInferenceModel(name="other model", version="2.0", nwbfile=run["nwbfile"])
    for name, model in (("rates_same_model", run["model"]), ("rates_other_model", other)):
        mock_InferredSpikeRateSeries(
            name=name, plane_segmentation=run["rois"], model=model, run_key=name, nwbfile=run["nwbfile"]
        )
    write(run["nwbfile"], path)
    assert valid(path)
    with NWBHDF5IO(path, "r") as io:
        ophys = io.read().processing["ophys"]
        assert ophys["rates_same_model"].model is ophys["rates"].model
        assert ophys["rates_other_model"].model.version == "2.0"
        assert ophys["rates_other_model"].run_key == "rates_other_model"
        assert ophys["rates"].rois.table is ophys["rates_other_model"].rois.table


def test_run_is_appended_to_a_file_that_exists(run: dict[str, Any], path: Path) -> None:
    write(run["nwbfile"], path)
    with NWBHDF5IO(path, "a") as io:
        nwbfile = io.read()
        ophys = nwbfile.processing["ophys"]
        appended = mock_InferredSpikeRateSeries(
            name="second",
            plane_segmentation=ophys["rois"],
            model=ophys["model"],
            source_series=ophys["dff"],
            run_key="second",
            nwbfile=nwbfile,
        )
        io.write(nwbfile)
        values = appended.data
    assert valid(path)
    with NWBHDF5IO(path, "r") as io:
        ophys = io.read().processing["ophys"]
        np.testing.assert_array_equal(ophys["second"].data[:], values)
        assert ophys["second"].model is ophys["model"]
        assert_container_equal(run["rates"], ophys["rates"])


def test_name_of_a_run_is_taken_once(run: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="already exists in 'data_interfaces' and has the same name"):
        mock_InferredSpikeRateSeries(name="rates", plane_segmentation=run["rois"], nwbfile=run["nwbfile"])


def test_export_keeps_everything(run: dict[str, Any], path: Path, tmp_path: Path) -> None:
    write(run["nwbfile"], path)
    exported = tmp_path / "exported.nwb"
    with NWBHDF5IO(path, "r") as source, NWBHDF5IO(exported, "w") as target:
        target.export(src_io=source)
    assert valid(exported)
    with NWBHDF5IO(exported, "r") as io:
        ophys = io.read().processing["ophys"]
        for name in ("model", "rates", "spikes"):
            assert_container_equal(run[name], ophys[name], ignore_hdmf_attrs=True)
            assert ophys[name].object_id == run[name].object_id


def test_run_is_added_on_export(run: dict[str, Any], path: Path, tmp_path: Path) -> None:
    write(run["nwbfile"], path)
    exported = tmp_path / "exported.nwb"
    with NWBHDF5IO(path, "r") as source:
        nwbfile = source.read()
        ophys = nwbfile.processing["ophys"]
        mock_InferredSpikeRateSeries(
            name="second", plane_segmentation=ophys["rois"], model=ophys["model"], nwbfile=nwbfile
        )
        nwbfile.set_modified()
        with NWBHDF5IO(exported, "w") as target:
            target.export(src_io=source, nwbfile=nwbfile, write_args={"link_data": False})
    path.unlink()
    assert valid(exported)
    with NWBHDF5IO(exported, "r") as io:
        ophys = io.read().processing["ophys"]
        assert ophys["second"].model is ophys["model"] is ophys["rates"].model
        np.testing.assert_array_equal(ophys["rates"].data[:], run["rates"].data)


def test_data_is_written_chunk_by_chunk(nwbfile: NWBFile, path: Path) -> None:
    values = np.arange(N_FRAMES * N_ROIS, dtype=np.float32).reshape(N_FRAMES, N_ROIS)
    mock_InferredSpikeRateSeries(
        name="rates",
        data=H5DataIO(DataChunkIterator(iter(values), buffer_size=7), compression="gzip", chunks=(10, 1)),
        ensemble_std=DataChunkIterator(iter(values), buffer_size=7),
        nwbfile=nwbfile,
    )
    write(nwbfile, path)
    assert valid(path)
    with NWBHDF5IO(path, "r") as io:
        rates = io.read().processing["ophys"]["rates"]
        assert (rates.data.chunks, rates.data.compression) == ((10, 1), "gzip")
        np.testing.assert_array_equal(rates.data[:], values)
        np.testing.assert_array_equal(rates.ensemble_std[:], values)


def test_texts_of_any_length_and_script_survive(nwbfile: NWBFile, path: Path) -> None:
    configuration = json.dumps({"layers": list(range(30_000)), "note": "ΔF/F ≥ 50 %"}, ensure_ascii=False)
    provenance = json.dumps({"path": "traitées/série 1"}, ensure_ascii=False)
    model = mock_SpikeInferenceModel(name="modèle", configuration=configuration, nwbfile=nwbfile)
    mock_InferredSpikeRateSeries(
        name="rates", model=model, source_provenance=provenance, run_parameters=configuration, nwbfile=nwbfile
    )
    write(nwbfile, path)
    with NWBHDF5IO(path, "r") as io:
        rates = io.read().processing["ophys"]["rates"]
        assert len(configuration) > 2**16  # the limit of an attribute that is stored in place
        assert rates.model.configuration == configuration
        assert rates.run_parameters == configuration
        assert rates.source_provenance == provenance


def test_missing_field_is_reported_by_the_validator(run: dict[str, Any], path: Path) -> None:
    write(run["nwbfile"], path)
    with h5py.File(path, "a") as file:
        del file["processing/ophys/rates/valid_frames"]
        del file["processing/ophys/model"].attrs["weights_sha256"]
    with NWBHDF5IO(path, "r") as io:
        errors = {str(error) for error in validate(io=io)}
    assert any("valid_frames" in error for error in errors)
    assert any("weights_sha256" in error for error in errors)


def test_values_that_a_constructor_would_refuse_are_still_read(run: dict[str, Any], path: Path) -> None:
    write(run["nwbfile"], path)
    with h5py.File(path, "a") as file:
        rates, model = file["processing/ophys/rates"], file["processing/ophys/model"]
        rates.attrs["alignment"] = "sideways"
        rates["valid_frames"][0] = [90, 3]
        del rates["noise_level"]
        rates["noise_level"] = np.zeros(N_ROIS + 1, dtype=np.float32)
        model.attrs["weights_sha256"] = "unknown"
        model["configuration"][()] = "not JSON"
        file["processing/ophys/spikes"].attrs["parameters"] = "not JSON"
    with NWBHDF5IO(path, "r") as io:
        ophys = io.read().processing["ophys"]
        assert ophys["rates"].alignment == "sideways"
        assert ophys["rates"].noise_level.shape == (N_ROIS + 1,)
        assert ophys["model"].weights_sha256 == "unknown"
        assert ophys["model"].configuration == "not JSON"
        assert ophys["spikes"].parameters == "not JSON"


def test_file_is_read_without_this_package(run: dict[str, Any], path: Path) -> None:
    write(run["nwbfile"], path)
    script = (
        "import sys\n"
        "from pynwb import NWBHDF5IO\n"
        "with NWBHDF5IO(sys.argv[1], 'r') as io:\n"
        "    ophys = io.read().processing['ophys']\n"
        "    print(ophys['rates'].model.weights_sha256, ophys['rates'].valid_frames[0].tolist())\n"
        "    print(ophys['spikes']['spike_times'][2].tolist())\n"
        "    print('ndx_spike_inference' in sys.modules)\n"
    )
    reading = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert reading.returncode == 0, reading.stderr
    assert reading.stdout.splitlines() == [f"{run['model'].weights_sha256} [2, 18]", "[0.1, 0.2]", "False"]


def test_inspector_finds_nothing_in_the_types_and_nothing_critical_in_the_file(run: dict[str, Any], path: Path) -> None:
    nwbinspector = pytest.importorskip("nwbinspector", reason="nwbinspector is not installed")
    write(run["nwbfile"], path)
    config = nwbinspector.load_config("dandi")
    messages = list(nwbinspector.inspect_nwbfile(nwbfile_path=path, config=config))
    ours = ("SpikeInferenceModel", "InferredSpikeRateSeries", "InferredSpikesTable")
    assert [message for message in messages if message.object_type in ours] == []
    serious = ("CRITICAL", "ERROR", "PYNWB_VALIDATION")
    assert [message for message in messages if message.importance.name in serious] == []
