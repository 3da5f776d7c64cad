"""Files of every released version are read and valid; ``generate_data_*.py`` beside them wrote them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ndx_spike_inference
import numpy as np
import pytest
from pynwb import NWBHDF5IO, validate

FOLDER = Path(__file__).parent


@contextmanager
def reading(name: str) -> Iterator[NWBHDF5IO]:
    """The file, opened without the warnings that a newer schema than the file's own is used."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Ignoring (the following )?cached namespace", category=UserWarning)
        with NWBHDF5IO(FOLDER / name, "r") as io:
            yield io


def ophys_of(io: NWBHDF5IO) -> Any:
    """The processing module with our objects."""
    return io.read().processing["ophys"]


def test_every_file_has_its_generator() -> None:
    versions = {path.name.split("_")[0] for path in FOLDER.glob("*.nwb")}
    assert versions == {path.stem.split("_")[-1] for path in FOLDER.glob("generate_data_*.py")}
    assert versions


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.nwb")))
def test_file_is_valid(name: str) -> None:
    with reading(name) as io:
        assert validate(io=io) == []


def test_model_of_0_1_0() -> None:
    with reading("0.1.0_two_runs.nwb") as io:
        model = ophys_of(io)["model"]
        assert isinstance(model, ndx_spike_inference.SpikeInferenceModel)
        assert (model.version, model.family, model.kernel) == ("1.0", "cascade", "gaussian")
        assert (model.architecture, model.smoothing_s) == ("3 convolutions and 1 dense layer", 0.025)
        assert model.ensemble_size == 5
        assert model.weights_sha256 == "7032befe5059e23188485a9cce733a9783a61660b057cfcedf530e9996649b45"
        assert (model.software_name, model.software_version) == ("mock-software", "0.1.0")
        assert model.description == "A mock model for recordings at 30 Hz."
        assert (model.license, model.citation) == ("BSD-3-Clause", "Nobody et al. (2026)")
        np.testing.assert_array_equal(model.model_rates_hz[:], [30, 30])
        np.testing.assert_array_equal(model.noise_levels[:], [2, 3])
        assert list(model.training_datasets[:]) == ["mock dataset A", "mock dataset B"]
        assert model.configuration == '{"window_size": 64, "filter_sizes": [31, 19, 5]}'


def test_full_run_of_0_1_0() -> None:
    with reading("0.1.0_two_runs.nwb") as io:
        ophys = ophys_of(io)
        run = ophys["full_run"]
        assert isinstance(run, ndx_spike_inference.InferredSpikeRateSeries)
        assert run.model is ophys["model"]
        assert run.source_series is ophys["dff"]
        assert run.rois.table is ophys["rois"]
        assert (run.rate, run.unit, run.alignment, run.threshold) == (30, "spikes/frame", "trained", "nonnegative")
        assert run.run_key == "d54c9dcbc8787d4706dcac658a055c92ea497f0ac4a049bd70c5c0772127f2bb"
        assert run.run_parameters == '{"threshold": "nonnegative"}'
        assert run.source_provenance == '{"path": "processing/ophys/DfOverF/RoiResponseSeries"}'
        np.testing.assert_array_equal(run.valid_frames[:], [[2, 18]] * 3)
        np.testing.assert_array_equal(np.isfinite(run.data[:]).sum(axis=0), [16, 16, 16])
        np.testing.assert_allclose(run.ensemble_std[:], run.data[:] * 0.1, rtol=1e-6)
        np.testing.assert_array_equal(run.noise_level[:], [1.5, 2.5, 3.5])
        np.testing.assert_array_equal(run.model_noise_level[:], [2, 2, 2])
        assert list(run.roi_warnings[:]) == [
            "",
            "",
            "noise-outside-training: noise level 3.5 is above the highest of the model, 3",
        ]


def test_sparse_run_of_0_1_0() -> None:
    with reading("0.1.0_two_runs.nwb") as io:
        run = ophys_of(io)["sparse_run"]
        assert (run.source_series, run.ensemble_std, run.roi_warnings) == (None, None, None)
        assert (run.alignment, run.threshold) == ("published", "raw")


def test_table_of_0_1_0() -> None:
    with reading("0.1.0_two_runs.nwb") as io:
        ophys = ophys_of(io)
        table = ophys["spikes"]
        assert isinstance(table, ndx_spike_inference.InferredSpikesTable)
        assert table.rates is ophys["full_run"]
        assert table.roi.table is ophys["rois"]
        assert (table.method, table.parameters) == ("mock", '{"seed": 0}')
        assert [list(times) for times in table["spike_times"][:]] == [[], [0.1], [0.1, 0.2]]
        np.testing.assert_array_equal(table["fit_error"][:], [0, 0.25, 0.5])
