"""Series of traces that are no RoiResponseSeries: of ndx-microscopy, plain TimeSeries, fibers, one-photon movies."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pynwb import TimeSeries
from pynwb.ophys import OnePhotonSeries

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.errors import AmbiguousSeriesError, InputError
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.readers.nwb import inspect
from nwb_cascade.readers.stored_runs import open_run
from tests.support.fake_runs import STORED, fake_run
from tests.support.recordings import add_dff, bare_nwbfile, dff_recording, simulated_dff, write_recording

ROOT = Path(__file__).parents[2]
LEVEL, PEAK = 6.0, 3.0


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


def expected_rates(dff: Any) -> Any:
    rates = np.maximum(0.75 * dff, 0)
    rates[:, :4] = np.nan
    rates[:, -3:] = np.nan
    return rates


def written_by(extension: str, kind: str, path: Path) -> Path:
    """A file that an extension wrote, in a process of its own; this one knows it by the schema in the file alone."""
    if importlib.util.find_spec(extension) is None:
        pytest.skip(f"{extension} is not installed")
    words = [sys.executable, "-W", "ignore", "-m", "tests.support.extension_files", kind, str(path)]
    subprocess.run(words, cwd=ROOT, check=True)
    return path


def plain_recording(path: Path, dff: Any = None, **timing: Any) -> Path:
    """dF/F as a TimeSeries that names no ROIs, beside one of something else."""
    nwbfile, traces = bare_nwbfile(), simulated_dff() if dff is None else dff
    module = nwbfile.create_processing_module("ophys", "Processed.")
    module.add(TimeSeries(name="dff_traces", data=traces.T, unit="dF/F", **(timing or {"rate": 30.0})))
    module.add(TimeSeries(name="running_speed", data=np.arange(traces.shape[1]) / 10, unit="cm/s", rate=30.0))
    return write_recording(path, nwbfile)


def test_traces_of_ndx_microscopy_are_read_and_annotated(tmp_path: Path) -> None:
    path = written_by("ndx_microscopy", "microscopy", tmp_path / "m.nwb")
    dff, neuropil = inspect(path)
    assert (dff.kind, neuropil.kind) == ("dff", "neuropil")
    assert (dff.indicator, dff.plane) == ("GCaMP6f", "PlanarImagingSpace")
    assert dff.neurodata_type == "MicroscopyResponseSeries"
    result = annotate(path)
    assert result.indicator == "GCaMP6f"
    for output, table in ((result.output, "DfOverF_rois"), (annotate(path, sidecar=True).output, "PlanarSegmentation")):
        with open_run(Path(output)) as run:
            np.testing.assert_allclose(run.rates[0:4], expected_rates(simulated_dff()), rtol=STORED)
            assert run.series.rois.table.name == table
            if table == "PlanarSegmentation":  # a sidecar, which needs no namespace but ours
                assert "PlanarImagingSpace PlanarImagingSpace: " in run.series.rois.table.description
                assert "pixel_size_in_um [" in run.series.rois.table.description
    with open_run(Path(result.output)) as run:
        assert run.dff is not None
        np.testing.assert_allclose(run.dff[0:4], simulated_dff(), rtol=1e-6)
    assert annotate(path).skipped


def test_signals_of_fibers_are_refused(tmp_path: Path) -> None:
    path = written_by("ndx_fiber_photometry", "fiber", tmp_path / "f.nwb")
    for series in (None, "dff_signal"):
        with pytest.raises(
            InputError, match="bulk signal of a fiber, of many cells at once: no spikes of single cells"
        ):
            annotate(path, series=series)


def test_a_plain_time_series_is_not_guessed_but_taken_by_name(tmp_path: Path) -> None:
    path = plain_recording(tmp_path / "p.nwb")
    with pytest.raises(AmbiguousSeriesError, match=r"/processing/ophys/dff_traces \(unknown, 4 ROIs.*--series NAME"):
        annotate(path)
    result = annotate(path, series="dff_traces")
    assert result.series == "/processing/ophys/dff_traces"
    for output in (result.output, annotate(path, series="dff_traces", sidecar=True).output):
        with open_run(Path(output)) as run:
            np.testing.assert_allclose(run.rates[0:4], expected_rates(simulated_dff()), rtol=STORED)
            assert run.series.rois.table.name == "dff_traces_rois"
            assert list(run.roi_ids) == [0, 1, 2, 3]
    with open_run(Path(result.output)) as run:
        assert run.dff is not None
    assert annotate(path, series="ophys/dff_traces").skipped
    again = annotate(
        result.output, series="dff_traces", in_place=True, run_name="raw", threshold="raw", spikes="conserved"
    )
    with open_nwb(Path(again.output)) as (nwbfile, _):
        assert [name for name in nwbfile.processing["ophys"].data_interfaces if "rois" in name] == ["dff_traces_rois"]


def test_a_plain_time_series_beside_traces_of_rois_needs_its_name(tmp_path: Path) -> None:
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, simulated_dff())
    nwbfile.processing["ophys"].add(TimeSeries(name="other", data=simulated_dff(2, seed=3).T, unit="dF/F", rate=30.0))
    path = write_recording(tmp_path / "p.nwb", nwbfile)
    assert [one.name for one in inspect(path)] == ["RoiResponseSeries"]
    assert annotate(path, dry_run=True).n_rois == 4
    assert annotate(path, series="other").n_rois == 2
    assert inspect(path, series="other")[0].kind == "unknown"


def test_an_unclear_time_axis_is_not_guessed(tmp_path: Path) -> None:
    path = plain_recording(tmp_path / "p.nwb", simulated_dff().T)
    with pytest.raises(InputError, match=r"Cannot tell which axis of /processing/ophys/dff_traces is time"):
        annotate(path, series="dff_traces")
    path = plain_recording(tmp_path / "q.nwb", timestamps=np.arange(300) / 30.0)
    assert annotate(path, series="dff_traces").n_rois == 4


def one_photon_recording(path: Path, traces: Any, *, by_movie: bool) -> Path:
    """Traces in arbitrary units, from a plane whose movie is a OnePhotonSeries, or whose device is a miniscope."""
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, traces)
    plane = next(iter(nwbfile.imaging_planes.values()))
    if by_movie:
        movie = np.zeros((3, 4, 4), np.uint8)
        nwbfile.add_acquisition(OnePhotonSeries(name="movie", data=movie, unit="n.a.", rate=30.0, imaging_plane=plane))
    else:
        plane.device.fields["description"] = "UCLA Miniscope v4"
    return write_recording(path, nwbfile)


@pytest.mark.parametrize("by_movie", [True, False])
def test_one_photon_traces_are_refused_unless_asked_for(tmp_path: Path, by_movie: bool) -> None:
    traces = 40 * simulated_dff() + 7
    path = one_photon_recording(tmp_path / "o.nwb", traces, by_movie=by_movie)
    with pytest.raises(InputError, match=r"comes from a one-photon microscope .*no dF/F.*--one-photon"):
        annotate(path)
    assert "refused without --one-photon" in inspect(path)[0].problems[0]
    result = annotate(path, one_photon=True)
    assert any(note.startswith("Uncalibrated:") for note in result.warnings)
    with open_run(Path(result.output)) as run:
        assert run.ensemble_std is None
        assert run.parameters["uncalibrated"].startswith("Uncalibrated: of one-photon traces")
        assert "Uncalibrated" in run.series.description
        rates = run.rates[0:4]
        assert run.noise_levels.max() <= LEVEL * 1.001
    rest = np.median(traces, axis=1, keepdims=True)
    shape = expected_rates(traces - rest)
    for row, of_shape in zip(rates, shape, strict=True):  # every ROI on a scale of its own
        known = of_shape > 0
        assert np.ptp(row[known] / of_shape[known]) < 1e-2 * np.max(row[known] / of_shape[known])
    assert annotate(path, one_photon=True).skipped


def test_two_photon_recordings_are_calibrated(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "t.nwb")
    assert inspect(path)[0].one_photon == ""
    plain = annotate(path, dry_run=True)
    assert annotate(path, one_photon=True, dry_run=True).run_key != plain.run_key


def test_a_matrix_may_be_called_one_photon(tmp_path: Path) -> None:
    np.save(tmp_path / "c.npy", 500 + 90 * simulated_dff())
    result = annotate(tmp_path / "c.npy", imaging_rate=30.0, one_photon=True)
    assert not (tmp_path / "c_spikes_std.npy").exists()
    assert any(note.startswith("Uncalibrated:") for note in result.warnings)
