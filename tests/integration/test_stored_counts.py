"""Spike counts with their intervals: stored with a run, told, read back, and the same for every form of a result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nwb_cascade
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.cli import main
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.readers.stored_runs import open_run
from tests.support.golden_recordings import RATE, golden_dff
from tests.support.recordings import dff_recording


@pytest.mark.parametrize("name", ["copy.nwb", "copy.nwb.zarr", "rates.npy", "rates.mat"])
def test_counts_of_a_stored_run_are_those_of_the_arrays(tmp_path: Path, name: str) -> None:
    dff = golden_dff()
    source = dff_recording(tmp_path / f"mouse{'.nwb.zarr' if name.endswith('zarr') else '.nwb'}", dff, rate=RATE)
    result = annotate(source, output=tmp_path / name, indicator="jGCaMP8m")
    in_memory = nwb_cascade.infer(dff, RATE, indicator="jGCaMP8m")
    whole = in_memory.spike_counts(None)
    assert result.counts is not None
    assert (result.counts.kind, result.counts.level) == ("met", 0.8)
    assert result.counts.expected == pytest.approx(float(np.median(whole.expected)), rel=2e-3)
    assert f"{result.counts.lower:g} to {result.counts.upper:g} with 80 % (met)" in result.describe()
    with open_run(tmp_path / name) as run:
        assert run.counts is not None
        assert run.counts.expected == pytest.approx(whole.expected[:, 0], rel=2e-3)
        assert run.counts.lower == pytest.approx(whole.lower[:, 0], abs=1)
        again, wanted = (one.spike_counts(2.0, 0.5) for one in (run, in_memory))
        assert again.expected == pytest.approx(wanted.expected, rel=2e-3, abs=1e-4)
        assert np.abs(again.upper - wanted.upper).max() <= 1
        assert again.kind == "met"


def test_nwb_files_hold_typed_values_that_are_small(tmp_path: Path) -> None:
    annotate(dff_recording(tmp_path / "mouse.nwb", golden_dff(), rate=RATE), output=tmp_path / "out.nwb", sidecar=True)
    with open_nwb(tmp_path / "out.nwb") as (nwbfile, _):
        series = nwbfile.processing["ophys"]["InferredSpikeRates"]
        assert (series.spike_count_class, series.spike_count_level, series.spike_count_gain) == ("unmet", 0.8, 1.0)
        assert series.spike_count.shape == (3,)
        assert series.spike_count_interval.shape == (3, 2)
        assert len(series.spike_count_parameters) < 500
        assert json.loads(series.spike_count_parameters)["kind"] == "unmet"


def test_a_run_without_fitted_intervals_is_stored_without_them(tmp_path: Path) -> None:
    source = dff_recording(tmp_path / "mouse.nwb", golden_dff(), rate=RATE)
    result = annotate(source, output=tmp_path / "out.nwb", model="cascade-30Hz-25ms")
    assert result.counts is None
    assert "counts:" not in result.describe()
    with open_run(tmp_path / "out.nwb") as run:
        assert run.counts is None
        with pytest.raises(InputError, match=r"Expected the distribution of spike counts in .*, found none"):
            run.spike_counts()


def test_the_report_shows_the_bounds_of_every_roi(tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")
    from nwb_cascade.report import write_report
    from tests.integration.test_report import facts_of

    annotate(dff_recording(tmp_path / "mouse.nwb", golden_dff(), rate=RATE), output=tmp_path / "out.nwb")
    page = write_report(tmp_path / "out.nwb", tmp_path / "page.html")
    columns = {column["label"]: column["values"] for column in facts_of(page)["columns"]}
    with open_run(tmp_path / "out.nwb") as run:
        assert run.counts is not None
        assert columns["At least (80 %)"] == run.counts.lower.tolist()
        assert columns["At most (80 %)"] == run.counts.upper.tolist()
    assert "unmet: no such preparation was in the training, or the indicator was not told" in page.read_text(
        encoding="utf-8"
    )


def test_samples_of_a_run_are_written_once_and_are_the_same_for_a_seed(tmp_path: Path) -> None:
    annotate(dff_recording(tmp_path / "mouse.nwb", golden_dff(), rate=RATE), output=tmp_path / "out.nwb")

    def drawn(*words: str) -> Result:
        return CliRunner().invoke(main, ["spikes", str(tmp_path / "out.nwb"), "--samples", "50", *words])

    assert drawn().output == f"Wrote {tmp_path / 'out_samples.npz'}: 50 sampled trains of every ROI.\n"
    assert "exists: choose another output" in drawn().output
    assert (
        drawn("-o", str(tmp_path / "b.npz")).exit_code == drawn("-o", str(tmp_path / "c.npz"), "--seed", "1").exit_code
    )
    first, again, other = (np.load(tmp_path / name) for name in ("out_samples.npz", "b.npz", "c.npz"))
    assert np.array_equal(first["spike_times"], again["spike_times"])
    assert not np.array_equal(first["spike_times"], other["spike_times"])
    with open_run(tmp_path / "out.nwb") as run:
        assert run.counts is not None
        counts = [np.bincount(first["sample"][first["roi_id"] == roi], minlength=50) for roi in first["roi_ids"]]
        inside = (run.counts.lower[:, None] <= counts) & (counts <= run.counts.upper[:, None])
    assert 0.5 < inside.mean() < 0.97
    assert "Expected --samples with -o" in drawn("--in-place").output
