"""What cannot be stored is told when a recording is opened, by every command, and not after the inference."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.annotation.spikes import annotate_spikes
from nwb_cascade.archive.listing import local_source
from nwb_cascade.archive.manifest import Skipped
from nwb_cascade.archive.plan import Wish, look_at
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.nwb.discover import inspect
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.options import InferenceOptions
from tests.support.fake_runs import FAKE_CONFIG, fake_run
from tests.support.nwb_oddities import one_series
from tests.support.recordings import dff_recording, simulated_dff

ROIS = "processing/ophys/DfOverF/RoiResponseSeries/rois"


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


def with_region(path: Path, rows: list[float]) -> Path:
    """Write other rows into the region of a recording of 4 ROIs."""
    one_series(path, simulated_dff(4, 300).T)
    with h5py.File(path, "r+") as file:
        attributes = dict(file[ROIS].attrs)
        del file[ROIS]
        file.create_dataset(ROIS, data=np.array(rows)).attrs.update(attributes)
    return path


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([1, 2, 3, 4], r"names rows 1 to 4 of a table whose 4 rows are 0 to 3: it may count from 1, as MATLAB does"),
        ([0, 1, 2, 9], r"names rows 0 to 9 of a table whose 4 rows are 0 to 3"),
        ([0, 1, 2], r"names 3 ROIs, its data have 4"),
        ([0.0, 1.0, 2.0, 3.0], r"holds values of type float64"),
    ],
)
def test_a_region_that_is_not_that_of_the_traces_is_one_sentence(
    tmp_path: Path, rows: list[float], problem: str
) -> None:
    path = with_region(tmp_path / "mouse.nwb", rows)
    (series,) = inspect(path)
    assert re.search(problem, series.problems[0])
    planned = look_at(local_source(path), Wish(InferenceOptions(), {}))
    assert isinstance(planned, Skipped)
    assert re.search(problem, planned.reason)
    for how in ({"dry_run": True}, {}, {"sidecar": True}):
        with pytest.raises(
            InputError, match=rf"Expected a ROI for every trace of .*, but its ROI region {problem}.* Cor"
        ):
            annotate(path, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["group", "dataset"])
def test_a_foreign_object_of_the_name_of_a_run_is_told_before_the_inference(tmp_path: Path, kind: str) -> None:
    path = dff_recording(tmp_path / "mouse.nwb")
    with h5py.File(path, "r+") as file:
        module = file["processing/ophys"]
        for name in ("InferredSpikeRates", "InferredSpikes_B", FAKE_CONFIG.name):
            module.create_group(name) if kind == "group" else module.create_dataset(name, data=1.0)
    for dry_run in (True, False):
        with pytest.raises(
            NameTakenError, match=r"InferredSpikeRates is taken by something of no NWB type.*--run-name"
        ):
            annotate(path, dry_run=dry_run)
    result = annotate(path, run_name="B", in_place=True)
    with open_nwb(path) as (nwbfile, _):
        assert nwbfile.processing["ophys"]["B"].model.name != FAKE_CONFIG.name
    with pytest.raises(
        NameTakenError, match=r"InferredSpikes_B is taken by something of no NWB type, which is not replaced"
    ):
        annotate_spikes(path, in_place=True)
    assert result.n_inferred == 4


def test_something_in_place_of_the_processing_module_is_told(tmp_path: Path) -> None:
    path = one_series(tmp_path / "mouse.nwb", simulated_dff(4, 300).T, place="acquisition")
    with h5py.File(path, "r+") as file:
        file.move("processing/ophys", "processing/masks")
        file.create_group("processing/ophys")
    with pytest.raises(NameTakenError, match=r"a processing module at /processing/ophys, the file has something of no"):
        annotate(path, series="RoiResponseSeries", dry_run=True)


@pytest.mark.parametrize("name", ["mouse", "mouse.nwb2", "mouse.hdf"])
def test_recordings_and_results_of_any_name_are_written(tmp_path: Path, name: str) -> None:
    path = dff_recording(tmp_path / "a.nwb").rename(tmp_path / name)
    result = annotate(path)
    assert Path(result.output).exists()
    annotate_spikes(result.output, output=tmp_path / "out")
    annotate(path, in_place=True)
    for one in (result.output, tmp_path / "out", path):
        with open_nwb(one) as (nwbfile, _):
            assert "InferredSpikeRates" in nwbfile.processing["ophys"].data_interfaces
