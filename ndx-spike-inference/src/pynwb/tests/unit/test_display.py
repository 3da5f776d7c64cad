"""What print and a notebook show of our objects fits on a screen."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ndx_spike_inference.testing.mock import (
    mock_InferredSpikeRateSeries,
    mock_InferredSpikesTable,
    mock_SpikeInferenceModel,
)
from pynwb import NWBHDF5IO
from pynwb.testing.mock.file import mock_NWBFile

CONFIGURATION = json.dumps({"members": [f"cell-{number}" for number in range(5000)]}, indent=1)


@pytest.fixture
def objects(tmp_path: Any) -> Any:
    """A model with a long configuration, a run and spikes, as they are read from a file."""
    nwbfile = mock_NWBFile()
    model = mock_SpikeInferenceModel(name="model", configuration=CONFIGURATION, nwbfile=nwbfile)
    rates = mock_InferredSpikeRateSeries(name="rates", model=model, nwbfile=nwbfile)
    mock_InferredSpikesTable(name="spikes", rates=rates, nwbfile=nwbfile)
    with NWBHDF5IO(tmp_path / "run.nwb", "w") as io:
        io.write(nwbfile)
    with NWBHDF5IO(tmp_path / "run.nwb", "r") as io:
        ophys = io.read().processing["ophys"]
        yield [ophys[name] for name in ("rates", "model", "spikes")]


def test_a_series_is_shown_with_its_links_by_name(objects: Any) -> None:
    lines = str(objects[0]).splitlines()
    assert lines[0] == "rates (InferredSpikeRateSeries)"
    assert "  model: SpikeInferenceModel 'model'" in lines
    assert "  data: float32 of shape (20, 3)" in lines
    assert "  rate: 30.0" in lines
    assert "  roi_warnings: text of shape (3,)" in lines


def test_a_model_is_shown_with_the_beginning_of_its_configuration(objects: Any) -> None:
    (line,) = [line for line in str(objects[1]).splitlines() if line.startswith("  configuration: ")]
    assert line.startswith('  configuration: { "members": [ "cell-0", "cell-1", ')
    assert line.endswith(f"… ({len(CONFIGURATION)} characters)")


def test_no_object_takes_more_than_a_screen(objects: Any) -> None:
    for one in objects:
        text = str(one)
        assert len(text.splitlines()) < 30
        assert max(len(line) for line in text.splitlines()) < 220
        assert "cell-4999" not in one._repr_html_()
        assert f"({len(CONFIGURATION)} characters)" in one._repr_html_()


def test_an_object_is_shown_before_it_is_stored() -> None:
    text = str(mock_SpikeInferenceModel(name="model"))
    assert "  noise_levels: [2.0, 3.0]" in text.splitlines()
    assert "  training_datasets: mock dataset A, mock dataset B" in text.splitlines()
