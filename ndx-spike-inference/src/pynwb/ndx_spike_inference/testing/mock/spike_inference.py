"""Mocks: any argument can be replaced, and with ``nwbfile`` the object is added to the file."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from hdmf.common import DynamicTableRegion
from pynwb import NWBFile, ProcessingModule
from pynwb.ophys import PlaneSegmentation
from pynwb.testing.mock.ophys import mock_PlaneSegmentation
from pynwb.testing.mock.utils import name_generator

from ... import InferredSpikeRateSeries, InferredSpikesTable, SpikeInferenceModel

N_FRAMES, N_ROIS, EDGE_FRAMES = 20, 3, 2


def mock_SpikeInferenceModel(*, nwbfile: NWBFile | None = None, **replaced: Any) -> SpikeInferenceModel:  # noqa: N802
    """A model of two noise levels for 30 Hz.

    Parameters
    ----------
    nwbfile : NWBFile, optional
        If given, the model is added to its processing module ``ophys``.
    **replaced
        Arguments of ``SpikeInferenceModel`` that differ from the mock's.
    """
    arguments: dict[str, Any] = {
        "name": name_generator("SpikeInferenceModel"),
        "version": "1.0",
        "family": "cascade",
        "architecture": "3 convolutions and 1 dense layer",
        "kernel": "gaussian",
        "smoothing_s": 0.025,
        "ensemble_size": 5,
        "weights_sha256": hashlib.sha256(b"mock weights").hexdigest(),
        "software_name": "mock-software",
        "software_version": "0.1.0",
        "description": "A mock model for recordings at 30 Hz.",
        "license": "BSD-3-Clause",
        "citation": "Nobody et al. (2026)",
        "model_rates_hz": np.array([30.0, 30.0]),
        "noise_levels": np.array([2.0, 3.0]),
        "training_datasets": ["mock dataset A", "mock dataset B"],
        "configuration": json.dumps({"window_size": 64, "filter_sizes": [31, 19, 5]}),
    }
    return _added(SpikeInferenceModel(**(arguments | replaced)), nwbfile)


def mock_InferredSpikeRateSeries(  # noqa: N802
    *,
    nwbfile: NWBFile | None = None,
    plane_segmentation: PlaneSegmentation | None = None,
    **replaced: Any,
) -> InferredSpikeRateSeries:
    """A run on three ROIs of 20 frames at 30 Hz, two frames without a value at either end.

    Parameters
    ----------
    nwbfile : NWBFile, optional
        If given, the series is added to its processing module ``ophys``, and so are the table of ROIs and the
        model where they are mocked too.
    plane_segmentation : PlaneSegmentation, optional
        Table of ROIs, a column of the series for each row; mocked if neither it nor ``rois`` is given.
    **replaced
        Arguments of ``InferredSpikeRateSeries`` that differ from the mock's.
    """
    rois = replaced.get("rois")
    if rois is None:
        rois = mock_rois(plane_segmentation, nwbfile)
    n_rois = len(rois.data)
    rng = np.random.default_rng(0)
    data = rng.random((N_FRAMES, n_rois), dtype=np.float32)
    data[:EDGE_FRAMES] = data[N_FRAMES - EDGE_FRAMES :] = np.nan
    arguments: dict[str, Any] = {
        "name": name_generator("InferredSpikeRateSeries"),
        "data": data,
        "rois": rois,
        "model": replaced.get("model") or mock_SpikeInferenceModel(nwbfile=nwbfile),
        "noise_level": np.linspace(1.5, 3.5, n_rois, dtype=np.float32),
        "model_noise_level": np.full(n_rois, 2.0, dtype=np.float32),
        "valid_frames": np.tile(np.array([EDGE_FRAMES, N_FRAMES - EDGE_FRAMES], dtype=np.int64), (n_rois, 1)),
        "ensemble_std": data * np.float32(0.1),
        "roi_warnings": [""] * (n_rois - 1)
        + ["noise-outside-training: noise level 3.5 is above the highest of the model, 3"],
        "alignment": "trained",
        "threshold": "nonnegative",
        "spike_count": np.linspace(2.0, 30.0, n_rois, dtype=np.float32),
        "spike_count_interval": np.tile(np.array([[1.0, 40.0]], np.float32), (n_rois, 1)),
        "spike_count_level": 0.8,
        "spike_count_class": "unmet",
        "spike_count_gain": 1.0,
        "spike_count_parameters": json.dumps({"cell_sd": 0.5}),
        "run_key": hashlib.sha256(b"mock run").hexdigest(),
        "run_parameters": json.dumps({"threshold": "nonnegative"}),
        "source_provenance": json.dumps({"path": "processing/ophys/DfOverF/RoiResponseSeries"}),
        "rate": 30.0,
        "starting_time": 0.0,
        "description": "Expected spikes per frame of a mock run.",
    }
    return _added(InferredSpikeRateSeries(**(arguments | replaced)), nwbfile)


def mock_InferredSpikesTable(  # noqa: N802
    *,
    nwbfile: NWBFile | None = None,
    plane_segmentation: PlaneSegmentation | None = None,
    **replaced: Any,
) -> InferredSpikesTable:
    """A table of 0, 1, 2, … spikes for the ROIs of a table of ROIs, in this order.

    Parameters
    ----------
    nwbfile : NWBFile, optional
        If given, the table is added to its processing module ``ophys``, and so is the table of ROIs where it
        is mocked too.
    plane_segmentation : PlaneSegmentation, optional
        Table of ROIs; that of ``rates`` if these are given, else mocked.
    **replaced
        Arguments of ``InferredSpikesTable`` that differ from the mock's.
    """
    if plane_segmentation is None and replaced.get("rates") is not None:
        plane_segmentation = replaced["rates"].rois.table
    if plane_segmentation is None:
        plane_segmentation = mock_PlaneSegmentation(n_rois=N_ROIS, nwbfile=nwbfile)
    arguments: dict[str, Any] = {
        "name": name_generator("InferredSpikesTable"),
        "description": "Spike times of a mock run.",
        "method": "mock",
        "parameters": json.dumps({"seed": 0}),
        "target_tables": {"roi": plane_segmentation},
    }
    table = InferredSpikesTable(**(arguments | replaced))
    if "columns" not in replaced:
        for roi in range(len(plane_segmentation)):
            table.add_row(roi=roi, spike_times=[0.1 * (spike + 1) for spike in range(roi)], fit_error=0.25 * roi)
    return _added(table, nwbfile)


def mock_rois(plane_segmentation: PlaneSegmentation | None, nwbfile: NWBFile | None) -> DynamicTableRegion:
    """A region of all rows of a table of ROIs, which is mocked if not given."""
    if plane_segmentation is None:
        plane_segmentation = mock_PlaneSegmentation(n_rois=N_ROIS, nwbfile=nwbfile)
    rows = list(range(len(plane_segmentation)))
    return DynamicTableRegion(name="rois", data=rows, description="All ROIs.", table=plane_segmentation)


def _added(item: Any, nwbfile: NWBFile | None) -> Any:
    """The item itself, after it was added to the processing module ``ophys`` if there is a file."""
    if nwbfile is not None:
        _ophys(nwbfile).add(item)
    return item


def _ophys(nwbfile: NWBFile) -> ProcessingModule:
    """The processing module ``ophys``, created if absent."""
    if "ophys" not in nwbfile.processing:
        nwbfile.create_processing_module("ophys", "Results from optical physiology.")
    return nwbfile.processing["ophys"]
