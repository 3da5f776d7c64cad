"""InferredSpikeRateSeries keeps what it is given and refuses arrays that contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import pytest
from hdmf.backends.hdf5 import H5DataIO
from hdmf.data_utils import DataChunkIterator
from ndx_spike_inference import ALIGNMENTS, THRESHOLDS, InferredSpikeRateSeries
from ndx_spike_inference.testing.mock import mock_InferredSpikeRateSeries, mock_SpikeInferenceModel
from ndx_spike_inference.testing.mock.spike_inference import N_FRAMES, N_ROIS
from pynwb.testing.mock.ophys import mock_PlaneSegmentation, mock_RoiResponseSeries

OWNER = "InferredSpikeRateSeries 'run': "


def frames() -> Iterator[np.ndarray]:
    """Data as a recording delivers it: frame by frame, of unknown number."""
    for _ in range(N_FRAMES):
        yield np.zeros(N_ROIS, dtype=np.float32)


def test_keeps_every_argument() -> None:
    rois = mock_PlaneSegmentation(n_rois=2)
    model = mock_SpikeInferenceModel()
    dff = mock_RoiResponseSeries(data=np.zeros((4, 2)), plane_segmentation=rois)
    arrays: dict[str, Any] = {
        "data": np.zeros((4, 2), dtype=np.float32),
        "noise_level": np.array([1.0, np.nan], dtype=np.float32),
        "model_noise_level": np.array([2.0, np.nan], dtype=np.float32),
        "valid_frames": np.array([[1, 3], [0, 0]]),
        "ensemble_std": np.ones((4, 2), dtype=np.float32),
        "roi_warnings": ["", "all NaN"],
    }
    words = {
        "alignment": "published",
        "threshold": "single-spike",
        "run_key": "key",
        "run_parameters": "{}",
        "source_provenance": '{"path": "dff"}',
        "description": "A run.",
    }
    region = rois.create_roi_table_region(description="both", region=[0, 1])
    series = InferredSpikeRateSeries(
        name="run", rois=region, model=model, source_series=dff, rate=30.0, starting_time=5.0, **arrays, **words
    )
    assert series.rois is region
    assert series.model is model
    assert series.source_series is dff
    assert (series.rate, series.starting_time, series.unit) == (30.0, 5.0, "spikes/frame")
    assert {field: getattr(series, field) for field in words} == words
    assert all(getattr(series, field) is value for field, value in arrays.items())


def test_optional_fields_default_to_none() -> None:
    series = mock_InferredSpikeRateSeries(source_series=None, ensemble_std=None, roi_warnings=None)
    assert (series.source_series, series.ensemble_std, series.roi_warnings) == (None, None, None)


def test_takes_timestamps_instead_of_a_rate() -> None:
    timestamps = np.arange(N_FRAMES) / 30
    series = mock_InferredSpikeRateSeries(rate=None, starting_time=None, timestamps=timestamps)
    assert series.timestamps is timestamps


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_takes_every_word_of_its_vocabularies(alignment: str, threshold: str) -> None:
    series = mock_InferredSpikeRateSeries(alignment=alignment, threshold=threshold)
    assert (series.alignment, series.threshold) == (alignment, threshold)


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        (
            {"data": np.zeros((N_ROIS, N_FRAMES))},
            "expected data of shape (n_frames, n_rois) = (any, 3), received (3, 20). "
            "The first dimension is time, and there is a column for every row of rois.",
        ),
        (
            {"data": np.zeros(N_FRAMES)},
            "expected data of shape (n_frames, n_rois) = (any, 3), received (20,). "
            "The first dimension is time, and there is a column for every row of rois.",
        ),
        (
            {"data": DataChunkIterator(np.zeros((N_FRAMES, 2)))},
            "expected data of shape (n_frames, n_rois) = (any, 3), received (20, 2). "
            "The first dimension is time, and there is a column for every row of rois.",
        ),
        (
            {"noise_level": np.zeros(4)},
            "expected noise_level of shape (n_rois,) = (3,), received (4,).",
        ),
        (
            {"model_noise_level": [2.0, 2.0]},
            "expected model_noise_level of shape (n_rois,) = (3,), received (2,).",
        ),
        (
            {"roi_warnings": ["one"]},
            "expected roi_warnings of shape (n_rois,) = (3,), received (1,).",
        ),
        (
            {"ensemble_std": np.zeros((N_FRAMES - 1, N_ROIS))},
            "expected ensemble_std of shape (n_frames, n_rois) = (20, 3), received (19, 3).",
        ),
        (
            {"ensemble_std": H5DataIO(np.zeros((N_FRAMES, 4)), compression="gzip")},
            "expected ensemble_std of shape (n_frames, n_rois) = (20, 3), received (20, 4).",
        ),
        (
            {"valid_frames": np.zeros((2, N_ROIS), dtype=int)},
            "expected valid_frames of shape (n_rois, 2) = (3, 2), received (2, 3).",
        ),
        (
            {"valid_frames": np.array([[0, 20], [0, 21], [-1, 20]])},
            "expected 0 <= first <= stop <= n_frames = 20 in every row of valid_frames, received [0, 21] in row 1.",
        ),
        (
            {"valid_frames": [[0, 20], [0, 20], [12, 11]]},
            "expected 0 <= first <= stop <= n_frames = 20 in every row of valid_frames, received [12, 11] in row 2.",
        ),
        (
            {"valid_frames": H5DataIO(np.array([[-1, 2], [0, 0], [0, 0]]))},
            "expected 0 <= first <= stop <= n_frames = 20 in every row of valid_frames, received [-1, 2] in row 0.",
        ),
        (
            {"data": DataChunkIterator(frames()), "valid_frames": np.array([[0, 9], [9, 8], [0, 0]])},
            "expected 0 <= first <= stop <= n_frames in every row of valid_frames, received [9, 8] in row 1.",
        ),
        (
            {"valid_frames": np.array([[0.0, 20.0]] * N_ROIS)},
            "expected valid_frames as integers, received float64.",
        ),
        (
            {"alignment": "centred"},
            "expected alignment to be one of 'trained', 'published', received 'centred'.",
        ),
        (
            {"threshold": "1"},
            "expected threshold to be one of 'raw', 'nonnegative', 'single-spike', received '1'.",
        ),
        (
            {"source_provenance": "dff of sub-1.nwb"},
            "expected source_provenance as the text of a JSON object, received text that is not JSON: "
            "Expecting value: line 1 column 1 (char 0).",
        ),
        (
            {"run_parameters": "null"},
            "expected run_parameters as the text of a JSON object, received another JSON value: null.",
        ),
    ],
)
def test_refuses_with_what_was_expected_and_received(replaced: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(OWNER + message)}$"):
        mock_InferredSpikeRateSeries(name="run", **replaced)


def test_text_is_no_model() -> None:
    with pytest.raises(TypeError, match="incorrect type for 'model'"):
        mock_InferredSpikeRateSeries(model="a model")


@pytest.mark.parametrize(
    "data",
    [
        DataChunkIterator(frames(), buffer_size=4),
        H5DataIO(DataChunkIterator(frames(), buffer_size=4), compression="gzip"),
        H5DataIO(shape=(N_FRAMES, N_ROIS), dtype=np.dtype("float32")),
        H5DataIO(np.zeros((N_FRAMES, N_ROIS)), chunks=(5, 1)),
    ],
    ids=["iterator", "wrapped iterator", "wrapped shape", "wrapped array"],
)
def test_takes_data_that_is_written_later(data: Any) -> None:
    series = mock_InferredSpikeRateSeries(data=data, ensemble_std=data)
    assert series.data is data
    assert series.ensemble_std is data


def test_data_may_be_another_series() -> None:
    first = mock_InferredSpikeRateSeries()
    assert mock_InferredSpikeRateSeries(data=first).data is first.data


def test_no_check_reads_data_from_disk(tmp_path, monkeypatch) -> None:
    with h5py.File(tmp_path / "arrays.h5", "w") as file:
        arrays = {
            "data": file.create_dataset("data", shape=(N_FRAMES, N_ROIS), dtype="f4"),
            "ensemble_std": file.create_dataset("ensemble_std", shape=(N_FRAMES, N_ROIS), dtype="f4"),
            "noise_level": file.create_dataset("noise_level", shape=(N_ROIS,), dtype="f4"),
            "valid_frames": file.create_dataset("valid_frames", data=np.full((N_ROIS, 2), -1)),
        }
        monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda *_: pytest.fail("the dataset was read"))
        monkeypatch.setattr(h5py.Dataset, "__array__", lambda *_, **__: pytest.fail("the dataset was read"))
        monkeypatch.setattr(h5py.Dataset, "__iter__", lambda *_: pytest.fail("the dataset was read"))
        series = mock_InferredSpikeRateSeries(**arrays)
        assert series.valid_frames is arrays["valid_frames"]


def test_shapes_on_disk_are_checked(tmp_path) -> None:
    with h5py.File(tmp_path / "arrays.h5", "w") as file:
        levels = file.create_dataset("levels", shape=(N_ROIS + 1,), dtype="f4")
        with pytest.raises(ValueError, match=re.escape("expected noise_level of shape (n_rois,) = (3,)")):
            mock_InferredSpikeRateSeries(noise_level=levels)


def test_spike_counts_are_complete_or_absent() -> None:
    assert mock_InferredSpikeRateSeries(name="run").spike_count_class == "unmet"
    with pytest.raises(ValueError, match=re.escape(f"{OWNER}expected all fields of spike counts or none, received no")):
        mock_InferredSpikeRateSeries(name="run", spike_count_level=None)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"spike_count_interval": np.zeros((3, 3))}, "expected spike_count_interval of shape"),
        ({"spike_count": np.zeros(2)}, "expected spike_count of shape"),
        ({"spike_count_class": "known"}, "expected spike_count_class to be one of 'met', 'unmet', received 'known'"),
        ({"spike_count_level": 1.0}, "expected spike_count_level above 0 and below 1, received 1.0"),
        ({"spike_count_parameters": "x"}, "spike_count_parameters"),
    ],
)
def test_spike_counts_out_of_range_are_refused(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=re.escape(expected)):
        mock_InferredSpikeRateSeries(name="run", **change)
