"""A run of inference as it is handed to the writer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pynwb.ophys import RoiResponseSeries

from nwb_cascade.core.roi_warnings import RoiWarning
from nwb_cascade.nwb.check import check_runs
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.objects import objects_of
from nwb_cascade.nwb.write import RunRecord, write_runs
from tests.support.fake_runs import FAKE_CONFIG, FAKE_SHA256


def series_path_of(path: Path, name: str = "RoiResponseSeries") -> str:
    """Path in a recording of the series of this name."""
    with open_nwb(path) as (nwbfile, _):
        series = objects_of(nwbfile, RoiResponseSeries)
        return next(where for where, one in series.items() if one.name == name)


def run_record(path: Path, n_rois: int = 4, n_frames: int = 300, **changes: Any) -> RunRecord:
    """A run on the series ``RoiResponseSeries`` of a recording, with seeded values and NaN edges."""
    spikes = np.random.default_rng(7).random((n_rois, n_frames), dtype=np.float32)
    spikes[:, :4] = np.nan
    record = RunRecord(
        name="Rates",
        source_path=changes.pop("source_path", None) or series_path_of(path),
        config=FAKE_CONFIG,
        weights_sha256=FAKE_SHA256,
        expected_spikes=spikes,
        ensemble_std=spikes / 2,
        noise_levels=np.arange(n_rois, dtype=np.float32),
        model_noise_levels=np.full(n_rois, 2, np.float32),
        valid_frames=np.tile(np.array([[4, n_frames]], np.int64), (n_rois, 1)),
        roi_warnings=(RoiWarning(1, "constant", "all of it is ü"), RoiWarning(1, "too-short", "a; b: c")),
        imaging_rate=30.0,
        alignment="trained",
        threshold="nonnegative",
        run_key="1" * 64,
        run_parameters='{"threshold": "nonnegative"}',
        source_provenance='{"file_name": "x.nwb"}',
        description="Expected spikes per frame.",
    )
    return replace(record, **changes)


def write_run(path: Path, record: RunRecord, **options: Any) -> str:
    """Add one run to a file; returns its path in it."""
    return write_runs(path, [record], **options)[0]


def check_run(path: Path, object_path: str, record: RunRecord) -> tuple[str, ...]:
    """Check one run in a file."""
    return check_runs(path, {object_path: record})
