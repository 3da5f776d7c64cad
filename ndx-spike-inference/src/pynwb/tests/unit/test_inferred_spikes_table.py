"""InferredSpikesTable holds one row per ROI with any number of spikes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hdmf.common import DynamicTableRegion, VectorData, VectorIndex
from ndx_spike_inference import InferredSpikesTable
from ndx_spike_inference.testing.mock import mock_InferredSpikeRateSeries, mock_InferredSpikesTable
from pynwb.testing.mock.ophys import mock_PlaneSegmentation


def test_rows_hold_roi_spike_times_and_misfit() -> None:
    rois = mock_PlaneSegmentation(n_rois=4)
    table = InferredSpikesTable(
        name="spikes", method="greedy fit", parameters='{"seed": 1}', target_tables={"roi": rois}
    )
    table.add_row(roi=3, spike_times=[0.5, 1.5], fit_error=0.1)
    table.add_row(roi=1, spike_times=[], fit_error=float("nan"))
    assert table.colnames == ("roi", "spike_times", "fit_error")
    assert table.roi.table is rois
    assert list(table.roi.data) == [3, 1]
    assert [list(times) for times in table["spike_times"][:]] == [[0.5, 1.5], []]
    np.testing.assert_array_equal(table["fit_error"][:], [0.1, np.nan])
    assert (table.method, table.parameters, table.rates) == ("greedy fit", '{"seed": 1}', None)
    assert table.description == "Spike times inferred from calcium imaging."


def test_takes_whole_columns() -> None:
    rois = mock_PlaneSegmentation(n_rois=2)
    times = VectorData(name="spike_times", description="Spike times.", data=np.array([0.5, 1.5, 2.5]))
    columns = [
        DynamicTableRegion(name="roi", description="ROI.", data=[0, 1], table=rois),
        VectorIndex(name="spike_times_index", target=times, data=[1, 3]),
        times,
        VectorData(name="fit_error", description="Misfit.", data=np.zeros(2, dtype=np.float32)),
    ]
    table = InferredSpikesTable(
        name="spikes", description="Whole columns.", method="m", parameters="{}", columns=columns
    )
    assert [list(row) for row in table["spike_times"][:]] == [[0.5], [1.5, 2.5]]
    assert len(table) == 2


def test_links_to_the_rates_and_shares_their_rois() -> None:
    rates = mock_InferredSpikeRateSeries()
    table = mock_InferredSpikesTable(rates=rates)
    assert table.rates is rates
    assert table.roi.table is rates.rois.table


def test_every_column_is_needed() -> None:
    table = mock_InferredSpikesTable()
    with pytest.raises(ValueError, match="column 'fit_error' missing"):
        table.add_row(roi=0, spike_times=[0.1])


def test_refuses_parameters_that_are_no_json_object() -> None:
    message = (
        "InferredSpikesTable 'spikes': expected parameters as the text of a JSON object, "
        "received another JSON value: 3."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        mock_InferredSpikesTable(name="spikes", parameters="3")
