"""``--rois``: only accepted ROIs are inferred; the others keep their rows, empty and with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from click.testing import CliRunner

import nwb_cascade.annotation.annotate
import nwb_cascade.inference
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.archive.listing import local_source
from nwb_cascade.archive.manifest import Job
from nwb_cascade.archive.plan import Wish, look_at
from nwb_cascade.cli import main
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.stored_run import open_run
from nwb_cascade.options import FromRaw, InferenceOptions
from nwb_cascade.report.recording_report import write_report
from tests.support.fake_runs import fake_run
from tests.support.raw_recordings import raw_recording
from tests.support.recordings import add_dff, bare_nwbfile, simulated_dff, write_recording
from tests.support.suite2p_files import write_suite2p

VERDICT = [True, False, False, True]


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, simulated_dff(len(VERDICT)))
    table = nwbfile.processing["ophys"]["ImageSegmentation"].plane_segmentations["rois_RoiResponseSeries"]
    table.add_column("Accepted", "Whether it is a cell.", data=VERDICT)
    table.add_column("snr", "Signal to noise.", data=[3.0, 0.5, 0.25, 4.0])
    return write_recording(tmp_path / "recording.nwb", nwbfile)


def rates_in(path: str) -> np.ndarray:
    with open_nwb(Path(path)) as (nwbfile, _):
        return np.asarray(nwbfile.processing["ophys"]["InferredSpikeRates"].data[:].T)


def test_accepted_rois_get_the_rates_that_they_get_among_all(recording: Path, tmp_path: Path) -> None:
    whole = rates_in(annotate(recording, output=tmp_path / "all.nwb").output)
    result = annotate(recording, rois="accepted")
    found = rates_in(result.output)
    np.testing.assert_array_equal(found[VERDICT], whole[VERDICT])
    assert np.isnan(found[~np.array(VERDICT)]).all()
    assert (result.n_rois, result.n_inferred) == (4, 2)
    assert [(one.roi, one.code) for one in result.roi_warnings] == [(1, "not-asked"), (2, "not-asked")]
    assert (
        "2 of 4 ROIs (not-asked), such as ROI 1: not asked for (Accepted is 0), nothing inferred" in result.describe()
    )
    assert annotate(recording, rois="Accepted").skipped
    assert not annotate(recording, rois="all", overwrite=True).skipped


def test_nothing_is_computed_for_the_others(recording: Path) -> None:
    seen = []
    infer = nwb_cascade.inference.infer_stretches
    with mock.patch.object(
        nwb_cascade.inference,
        "infer_stretches",
        lambda parts, *rest, **more: seen.append(parts) or infer(parts, *rest, **more),
    ):
        annotate(recording, rois="accepted")
    assert [len(part) for parts in seen for part in parts] == [2]


def test_what_is_stored_and_shown_says_which_were_asked_for(recording: Path, tmp_path: Path) -> None:
    output = annotate(recording, rois="accepted", spikes="conserved").output
    with open_nwb(Path(output)) as (nwbfile, _), open_run(Path(output)) as run:
        series = nwbfile.processing["ophys"]["InferredSpikeRates"]
        assert json.loads(series.run_parameters)["rois"]["column"] == "Accepted"
        assert np.isnan(series.noise_level[:]).tolist() == [not one for one in VERDICT]
        assert {warning.roi: warning.code for warning in run.roi_warnings} == {1: "not-asked", 2: "not-asked"}
    page = tmp_path / "page.html"
    write_report(Path(output), page)
    assert "not asked for (Accepted is 0)" in page.read_text(encoding="utf-8")


def test_a_column_that_is_not_there_is_told_when_the_file_is_opened(recording: Path) -> None:
    message = r"column 'iscell' of zeros and ones in .*rois_RoiResponseSeries, found Accepted"
    with pytest.raises(InputError, match=message):
        annotate(recording, rois="iscell")
    told = CliRunner().invoke(main, ["infer", str(recording), "--rois", "iscell"])
    assert told.exit_code == 1
    assert "found Accepted. Name one with --rois COLUMN" in told.stderr
    skipped = look_at(local_source(recording), Wish(InferenceOptions(rois="iscell"), {}))
    assert "found Accepted" in skipped.reason
    job = look_at(local_source(recording), Wish(InferenceOptions(rois="accepted"), {}))
    assert isinstance(job, Job)
    assert job.parameters["rois"] == "accepted"


def test_of_raw_fluorescence_only_the_dff_of_accepted_rois_is_computed(tmp_path: Path) -> None:
    recording = raw_recording(tmp_path / "raw.nwb")
    import h5py

    with h5py.File(recording, "r+") as file:
        tables = []
        file.visititems(
            lambda _, item: tables.append(item) if item.attrs.get("neurodata_type") == "PlaneSegmentation" else None
        )
        (table,) = tables
        table["keep"] = np.array([1, 0, 1, 0])
        table["keep"].attrs.update({"neurodata_type": "VectorData", "namespace": "hdmf-common", "description": "cells"})
        table["keep"].attrs["object_id"] = "12345678-1234-4234-9234-123456789abc"
        table.attrs["colnames"] = [*table.attrs["colnames"], "keep"]
    result = annotate(recording, from_raw=FromRaw(), rois="keep")
    assert np.isfinite(rates_in(result.output)).any(axis=1).tolist() == [True, False, True, False]
    assert {one.code for one in result.roi_warnings if one.roi == 3} == {"not-asked"}  # not that it has no baseline


def test_of_a_folder_of_suite2p_all_can_be_asked_for(tmp_path: Path) -> None:
    folder = write_suite2p(tmp_path / "plane0")
    cells, everything = annotate(folder), annotate(folder, rois="all", output=tmp_path / "all.npy")
    assert (cells.n_inferred, everything.n_inferred) == (3, 4)
    np.testing.assert_array_equal(np.load(cells.output)[[0, 2, 3]], np.load(everything.output)[[0, 2, 3]])
    np.save(folder / "redcell.npy", np.array([[0, 0.1], [0, 0.1], [1, 0.9], [0, 0.2]]))
    red = annotate(folder, rois="redcell", output=tmp_path / "red.npy")
    assert np.isfinite(np.load(red.output)).any(axis=1).tolist() == [False, False, True, False]


def test_a_matrix_has_no_table_of_rois(tmp_path: Path) -> None:
    np.save(tmp_path / "dff.npy", simulated_dff())
    with pytest.raises(InputError, match=r"--rois does not apply to .*dff.npy, a matrix"):
        annotate(tmp_path / "dff.npy", imaging_rate=30.0, rois="accepted")
