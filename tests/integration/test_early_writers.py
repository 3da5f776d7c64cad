"""Recordings of early versions of pynwb: found again, annotated, and not blamed for what nobody can mend."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.annotation.spikes import annotate_spikes
from nwb_cascade.nwb.discover import inspect
from nwb_cascade.nwb.files import open_nwb
from tests.support.fake_runs import fake_run
from tests.support.nwb_early import as_pynwb_1_0, as_pynwb_1_3
from tests.support.recordings import dff_recording

SERIES = "/processing/ophys/DfOverF/RoiResponseSeries"


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


@pytest.mark.parametrize("made_early", [as_pynwb_1_0, as_pynwb_1_3])
def test_a_recording_of_an_early_writer_is_annotated_in_every_form(tmp_path: Path, made_early: object) -> None:
    recording = made_early(dff_recording(tmp_path / "mouse.nwb"))  # type: ignore[operator]
    for where in ({}, {"sidecar": True}, {"in_place": True}):
        result = annotate(recording, **where)  # type: ignore[arg-type]
        assert not result.skipped
        assert annotate(recording, **where).skipped  # type: ignore[arg-type]
        with open_nwb(result.output) as (nwbfile, _):
            run = nwbfile.processing["ophys"]["InferredSpikeRates"]
            assert np.isfinite(run.data[4:-3]).all()
            assert [len(mask) for mask in run.rois.table["pixel_mask"][:]] == [2, 2, 2, 2]
    assert not annotate(recording, in_place=True, run_name="B", threshold="raw").skipped
    assert not annotate(recording, in_place=True, run_name="B", overwrite=True).skipped
    assert annotate_spikes(recording, in_place=True, run_name="B").n_spikes > 0


def test_without_stored_ids_a_series_is_known_by_its_path(tmp_path: Path) -> None:
    recording = as_pynwb_1_0(dff_recording(tmp_path / "mouse.nwb"))
    (series,) = inspect(recording)
    assert (series.object_id, series.identity) == ("", SERIES)
    (named,) = inspect(recording, series="RoiResponseSeries")
    assert named == series


def test_masks_that_cannot_be_validated_are_told_and_hinder_nothing(tmp_path: Path) -> None:
    result = annotate(as_pynwb_1_3(dff_recording(tmp_path / "mouse.nwb")))
    assert any("hdmf's validator stops" in note for note in result.warnings)


def test_two_objects_of_one_id_are_two_objects(tmp_path: Path) -> None:
    recording = dff_recording(tmp_path / "mouse.nwb")
    with h5py.File(recording, "r+") as file:
        file.copy(file[SERIES], file[SERIES].parent, name="copied", expand_refs=False)
        table = file["processing/ophys/ImageSegmentation/rois_RoiResponseSeries"]
        file["/processing/ophys/DfOverF/copied/rois"].attrs["table"] = table.ref
    found = [one.object_path for one in inspect(recording)]
    assert found == [SERIES, "/processing/ophys/DfOverF/copied"]
    result = annotate(recording, series="copied")
    with open_nwb(result.output) as (nwbfile, _):
        assert nwbfile.processing["ophys"][result.run_name].source_series.name == "copied"
