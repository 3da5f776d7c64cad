"""Ground truth as NWB: exact round trips, deterministic bytes, what inspectors and DANDI say, broken writes."""

import hashlib
import os
from datetime import date
from itertools import pairwise

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nwbinspector import Importance, inspect_nwbfile, load_config
from pynwb import NWBHDF5IO

from ground_truth_nwb import write
from ground_truth_nwb.appearing import host_name
from ground_truth_nwb.cells import Remark, Trial
from ground_truth_nwb.nwb_read import read_nwb_cell, read_source_record
from ground_truth_nwb.session_clock import place_trials, regular_rate
from ground_truth_nwb.validate import validate_dandiset
from ground_truth_nwb.write import asset_path, differences, write_cell, write_dandiset_file
from tests.support.fresh_process import dead_process
from tests.support.ground_truth_files import make_cell, make_trial, write_units_nwb


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("dandiset")
    cell = make_cell(
        cell_type="pyramidal cell",
        session_date=date(2021, 3, 4),
        dropped=(Remark("frames-unpaired", "Trial 1 was shorter than its times.", 1, 4),),
        notes=(Remark("frames-dark", "The first 3 frames of trial 2 are dark.", 2, 3),),
        source_file="a.mat",
        source_sha256="0" * 64,
    )
    write_dandiset_file(root, name="Example", description="An example.")
    return root, cell, write_cell(cell, root)


def test_round_trip_is_exact(written):
    _, cell, path = written
    read = read_nwb_cell(path)
    assert differences(cell, read) == []
    for trial, again in zip(cell.trials, read.trials, strict=True):
        np.testing.assert_array_equal(trial.dff, again.dff)
        np.testing.assert_allclose(trial.time_s, again.time_s, rtol=0, atol=1e-9)
        np.testing.assert_allclose(trial.spike_times_s, again.spike_times_s, rtol=0, atol=1e-9)
    assert read.session_date == date(2021, 3, 4)
    assert read.dropped == cell.dropped
    assert read.notes == cell.notes


def test_file_lies_where_dandi_wants_it(written):
    root, _, path = written
    name = "sub-471993_ses-DS30-jGCaMP8f-471993-1_ophys+icephys.nwb"
    assert path.relative_to(root).as_posix() == f"sub-471993/{name}"


def test_dandi_and_nwbinspector_find_nothing_to_mend(written):
    root, _, path = written
    assert validate_dandiset(root) == ()
    messages = inspect_nwbfile(nwbfile_path=path, config=load_config("dandi"))
    assert [
        m.check_function_name for m in messages if m.importance.value > Importance.BEST_PRACTICE_SUGGESTION.value
    ] == []


def test_layout_is_that_of_ground_truth(written):
    _, cell, path = written
    with NWBHDF5IO(str(path), "r") as file:
        nwbfile = file.read()
        units = nwbfile.units
        assert units.resolution == cell.spike_resolution_s
        assert units["obs_intervals"][0].shape == (2, 2)
        assert units["roi"].table is nwbfile.processing["ophys"]["ImageSegmentation"]["PlaneSegmentation"]
        regular, jittered = nwbfile.processing["ophys"]["DfOverF"].roi_response_series.values()
        assert regular.rate == pytest.approx(20.0, rel=1e-12)
        assert regular.timestamps is None
        assert jittered.rate is None
        assert nwbfile.subject.sex == "U"
        assert nwbfile.session_start_time.date() == date(2021, 3, 4)
        assert np.isnan(nwbfile.imaging_planes["ImagingPlane"].excitation_lambda)
        invalid = nwbfile.invalid_times.to_dataframe()
        assert invalid.timeseries[0][0].count == 3
        assert invalid.timeseries[0][0].timeseries is jittered


def test_rate_is_stored_in_double_precision(written):
    """A single-precision rate, the schema's minimum, would be half a frame off after hours."""
    with h5py.File(written[2]) as file:
        assert file["processing/ophys/DfOverF/RoiResponseSeries000/starting_time"].attrs["rate"].dtype == np.float64


def test_all_times_are_on_one_clock_without_negative_times(written):
    with NWBHDF5IO(str(written[2]), "r") as file:
        nwbfile = file.read()
        trials = nwbfile.trials.to_dataframe()
        assert (trials.start_time >= 0).all()
        assert (trials.start_time.to_numpy()[1:] > trials.stop_time.to_numpy()[:-1]).all()
        assert np.all(np.diff(nwbfile.units["spike_times"][0]) >= 0)
        assert [reference[0].count for reference in trials.timeseries] == [40, 40]


def test_same_cell_gives_the_same_bytes(written, tmp_path):
    _, cell, path = written
    again = write_cell(cell, tmp_path)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest()


def test_record_of_origin_is_read_without_the_data(written, tmp_path):
    record = read_source_record(written[2])
    assert record["source_sha256"] == "0" * 64
    assert record["summary"]["n_spikes"] == 5
    (tmp_path / "x.nwb").write_bytes(b"no HDF5")
    assert read_source_record(tmp_path / "x.nwb") == {}


@pytest.mark.parametrize("spikes", [(), (0.5,)])
def test_single_trial_keeps_its_clock_and_may_be_silent(tmp_path, spikes):
    cell = make_cell(trials=(make_trial(spikes=spikes),), trial_numbers=(0,))
    path = write_cell(cell, tmp_path)
    with NWBHDF5IO(str(path), "r") as file:
        assert file.read().trials["clock_offset_s"][0] == 0
    assert read_nwb_cell(path).trials[0].spike_times_s.tolist() == list(spikes)


def test_unknown_data_set_and_animal_say_so(tmp_path):
    cell = make_cell(
        dataset="unknown", animal_id="unknown-1", animal_basis="unknown", indicator="unknown", species="Mus musculus"
    )
    with NWBHDF5IO(str(write_cell(cell, tmp_path)), "r") as file:
        nwbfile = file.read()
        assert nwbfile.imaging_planes["ImagingPlane"].location == "unknown"
        assert "does not tell" in nwbfile.subject.description
        assert nwbfile.related_publications is None


def test_leftovers_of_a_killed_run_are_replaced(written, tmp_path):
    _, cell, path = written
    target = tmp_path / path.parent.name / path.name
    target.parent.mkdir()
    target.with_name(f".{path.stem}.{host_name()}-{dead_process()}.partial.nwb").write_bytes(b"half a file")
    write_cell(cell, tmp_path)
    assert os.listdir(target.parent) == [target.name]


def test_names_with_forbidden_characters_are_mended():
    path = asset_path(make_cell(animal_id="a_b/c", cell_id="x.y z"))
    assert str(path) == "sub-a-b-c/sub-a-b-c_ses-DS30-x-y-z_ophys+icephys.nwb"


def test_failed_check_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    cell = make_cell()
    path = write_cell(cell, tmp_path)
    before = path.read_bytes()
    monkeypatch.setattr(write, "differences", lambda *_: ["spike times of trial 0 differ"])
    with pytest.raises(RuntimeError, match="was not written: spike times of trial 0 differ"):
        write_cell(cell, tmp_path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dff": np.zeros(40, np.float32)}, "dF/F values of trial 0 differ"),
        ({"spike_times_s": np.array([0.31, 0.32, 1.5001])}, "spike times of trial 0 differ"),
        ({"time_s": np.arange(40) / 20.01}, "frame times of trial 0 differ"),
        ({"first_valid_frame": 1}, "first valid frames of trial 0 differ"),
    ],
)
def test_differences_are_found(change, message):
    trial = make_trial()
    fields = {"time_s": trial.time_s, "dff": trial.dff, "spike_times_s": trial.spike_times_s}
    other = make_cell(trials=(Trial(**{**fields, **change}),), trial_numbers=(0,))
    assert differences(make_cell(trials=(trial,), trial_numbers=(0,)), other) == [message]


def test_differences_of_facts_are_found():
    assert differences(make_cell(), make_cell(animal_id="1")) == ["animal_id is '1' instead of '471993'"]


def test_dandiset_file_is_written_once(tmp_path):
    path = write_dandiset_file(tmp_path, name="Mine", description="What it is.")
    assert yaml.safe_load(path.read_text()) == {
        "identifier": "unregistered",
        "name": "Mine",
        "description": "What it is.",
    }
    write_dandiset_file(tmp_path, name="Other", description="")
    assert yaml.safe_load(path.read_text())["name"] == "Mine"


def test_file_of_others_is_refused(tmp_path):
    path = write_units_nwb(tmp_path / "a.nwb")
    with pytest.raises(ValueError, match=r"a\.nwb: expected a ground truth file written by this package"):
        read_nwb_cell(path)


def test_validation_names_what_stops_an_upload(written, tmp_path):
    _, _, path = written
    write_dandiset_file(tmp_path, name="Example", description="An example.")
    wrong = tmp_path / "sub-1" / "sub-2_ses-x_ophys.nwb"
    wrong.parent.mkdir()
    wrong.write_bytes(path.read_bytes()[:5000])
    findings = validate_dandiset(tmp_path)
    assert any(finding.blocks_upload for finding in findings)
    assert "GROUND_TRUTH.UNREADABLE" in {finding.rule for finding in findings}


def test_validation_refuses_a_folder_that_is_no_dandiset(tmp_path):
    with pytest.raises(LookupError, match=r"Expected dandiset\.yaml"):
        validate_dandiset(tmp_path)
    write_dandiset_file(tmp_path, name="a", description="b")
    with pytest.raises(LookupError, match="Expected NWB files"):
        validate_dandiset(tmp_path)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-60, 300)), min_size=1, max_size=6))
def test_trials_never_overlap_and_are_shifted_by_whole_seconds(starts_and_spikes):
    trials = [
        Trial(start + np.arange(5) / 10, np.zeros(5, np.float32), np.array([spike]))
        for start, spike in starts_and_spikes
    ]
    placements = place_trials(trials)
    assert placements[0].start_s >= 0
    for trial, place in zip(trials, placements, strict=True):
        assert place.offset_s == round(place.offset_s)
        assert place.start_s <= trial.time_s[0] + place.offset_s <= place.stop_s
        assert place.start_s <= trial.spike_times_s[0] + place.offset_s <= place.stop_s
    for one, other in pairwise(placements):
        assert other.start_s - one.stop_s >= 1


@settings(deadline=None)
@given(st.floats(0.5, 500.0), st.floats(-100, 100), st.integers(2, 20000))
def test_regular_clocks_are_recognised_and_rebuilt_within_a_microsecond(rate, start, n_frames):
    times = start + np.arange(n_frames) / rate
    found = regular_rate(times)
    assert found is not None
    assert np.abs(times[0] + np.arange(n_frames) / found - times).max() <= 1e-6


@settings(deadline=None)
@given(arrays(float, 50, elements=st.floats(-1e-3, 1e-3)))
def test_jitter_beyond_a_microsecond_is_irregular(jitter):
    times = np.arange(50) / 30 + jitter
    rebuilt = np.linspace(times[0], times[-1], 50)
    assert (regular_rate(times) is None) == bool(np.abs(rebuilt - times).max() > 1e-6)
