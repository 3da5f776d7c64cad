"""Ground truth as training reads it: converted NWB files and MATLAB files give the same recordings."""

from __future__ import annotations

import numpy as np
import pytest

from ground_truth_nwb.write import write_cell
from nwb_cascade.training.recordings import (
    KnownRecording,
    dataset_hashes,
    load_recordings,
    recording_from_cell,
    taught_codes,
)
from tests.support.ground_truth_files import cascade_fields, make_cell, write_cascade_mat


def test_a_converted_nwb_file_gives_the_recording_that_its_source_gives(tmp_path):
    cell = make_cell()
    write_cell(cell, tmp_path)
    (read,) = load_recordings(tmp_path)
    direct = recording_from_cell(cell)
    assert (read.dataset, read.cell, read.animal, read.indicator) == ("DS30", cell.cell_id, "471993", "jGCaMP8f")
    assert read.species == direct.species == "Mus musculus"
    for one, other in zip(read.trials, direct.trials, strict=True):
        assert np.array_equal(one.dff, other.dff)
        assert one.times == pytest.approx(other.times, abs=2e-6)
        assert one.spike_times == pytest.approx(other.spike_times, abs=2e-6)


def test_frames_behind_a_closed_shutter_are_left_out():
    recording = recording_from_cell(make_cell())
    assert [trial.times.size for trial in recording.trials] == [40, 37]


def test_only_the_datasets_asked_for_are_read(tmp_path):
    for folder in ("DS10-a", "DS11-b"):
        write_cascade_mat(tmp_path, [cascade_fields()], folder=folder, name="CAttached_Allen_X_101084_mini.mat")
    assert [recording.dataset for recording in load_recordings(tmp_path, ["DS11"])] == ["DS11"]
    with pytest.raises(LookupError, match="DS12"):
        load_recordings(tmp_path, ["DS11", "DS12"])


def test_zebrafish_and_interneurons_are_met_under_names_of_their_own():
    fish = recording_from_cell(make_cell(dataset="DS08", indicator="GCaMP6f"))
    assert fish.indicator_codes == ("GCaMP6f (zebrafish)",)
    neuron = recording_from_cell(make_cell(dataset="DS33"))
    assert neuron.indicator_codes == ("jGCaMP8f", "jGCaMP8f (interneuron)")


def test_a_plain_name_is_taught_by_two_animals_that_are_no_interneurons():
    def cell(animal, cell_type="excitatory", indicator="jGCaMP7f"):
        return KnownRecording("DS33", "a", animal, indicator, (), cell_type=cell_type)

    interneurons = [cell(animal, "PV interneuron") for animal in "abc"]
    assert taught_codes([*interneurons, cell("a")]) == ("jGCaMP7f (interneuron)",)
    assert taught_codes([cell("a"), cell("b"), cell("c", indicator="GCaMP6f")]) == ("jGCaMP7f",)
    assert taught_codes([cell("a"), cell("a")]) == ("jGCaMP7f",)  # a lab's first animal teaches its own model


def test_a_datasets_hash_changes_with_any_of_its_files():
    one, other = (recording_from_cell(make_cell(source_sha256=text)) for text in ("a", "b"))
    assert dataset_hashes([one]) != dataset_hashes([other])
    assert set(dataset_hashes([one, other])) == {"DS30"}
