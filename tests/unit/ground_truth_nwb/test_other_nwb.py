"""NWB files of other layouts: loose-seal files with ``ap_time`` tables, files with ``/units``."""

from datetime import datetime, timezone

import numpy as np
import pytest

from ground_truth_nwb.dff_from_raw import dff_from_fluorescence
from ground_truth_nwb.other_nwb import read_nwb_cells
from tests.support.ground_truth_files import write_loose_seal_nwb, write_units_nwb


def read_one(path):
    (cell,) = read_nwb_cells(path)
    return cell


def test_loose_seal_file_becomes_one_trial_per_movie(tmp_path):
    rng = np.random.default_rng(0)
    traces, around = rng.uniform(90, 120, (100, 2)), rng.uniform(20, 30, (100, 2))
    cell = read_one(write_loose_seal_nwb(tmp_path / "000168" / "a.nwb", fluorescence=traces, neuropil=around))
    expected = dff_from_fluorescence(traces[:, 0], around[:, 0]).astype(np.float32)
    for trial, start in zip(cell.trials, (10.0, 40.0), strict=True):
        np.testing.assert_array_equal(trial.dff, expected)
        np.testing.assert_allclose(trial.time_s, start + np.arange(100) / 50)
    assert [trial.spike_times_s.tolist() for trial in cell.trials] == [[10.5, 11.0], [41.25]]
    assert (cell.dataset, cell.animal_id, cell.indicator) == ("DANDI000168", "471993", "jGCaMP8f")
    assert (cell.cell_type, cell.species, cell.subject_age) == ("pyramidal cell", "Mus musculus", "P90D")
    assert {remark.code for remark in cell.notes} == {"dff-computed"}


def test_spikes_on_the_clock_of_their_sweep_come_out_on_that_of_the_session(tmp_path):
    cell = read_one(write_loose_seal_nwb(tmp_path / "a.nwb", sweep_clock=True))
    np.testing.assert_allclose(np.concatenate([t.spike_times_s for t in cell.trials]), [10.5, 11.0, 41.25])


def test_spikes_on_no_clock_are_refused(tmp_path):
    path = write_loose_seal_nwb(tmp_path / "a.nwb", spikes=((10.5, 900.0), (41.0,)))
    with pytest.raises(ValueError, match="expected ap_time on the clock of the session or of its sweep"):
        read_nwb_cells(path)


def test_the_roi_marked_as_recorded_is_taken(tmp_path):
    traces = np.stack([np.full(100, 100.0), np.linspace(100, 200, 100)], axis=1)
    around = np.zeros((100, 2))
    path = write_loose_seal_nwb(tmp_path / "a.nwb", recorded=(False, True), fluorescence=traces, neuropil=around)
    assert read_one(path).trials[0].dff[-1] > 0.5


@pytest.mark.parametrize("recorded", [(True, True), (False, False)])
def test_unclear_roi_is_refused(tmp_path, recorded):
    path = write_loose_seal_nwb(tmp_path / "a.nwb", recorded=recorded)
    with pytest.raises(ValueError, match="it is not clear which of them the spikes belong to"):
        read_nwb_cells(path)


def test_overlapping_movies_are_refused(tmp_path):
    path = write_loose_seal_nwb(tmp_path / "a.nwb", starts=(10.0, 11.0), spikes=((10.5,), (11.5,)))
    with pytest.raises(ValueError, match=r"ophys of movie 0/RoiResponseSeries and .* overlap in time"):
        read_nwb_cells(path)


def test_trial_without_a_positive_baseline_is_dropped_with_the_reason(tmp_path):
    path = write_loose_seal_nwb(tmp_path / "a.nwb", fluorescence=np.full((100, 2), 30.0))
    with pytest.raises(ValueError, match=r"Trial 0 was left out: Expected a positive baseline .* received -10"):
        read_nwb_cells(path)


@pytest.mark.parametrize("transposed", [False, True])
def test_units_file_becomes_one_trial(tmp_path, transposed):
    cell = read_one(write_units_nwb(tmp_path / "000048" / "a.nwb", transposed=transposed))
    trial = cell.trials[0]
    np.testing.assert_allclose(trial.dff, dff_from_fluorescence(np.linspace(100.0, 200.0, 50)), rtol=1e-6)
    np.testing.assert_allclose(trial.time_s, np.arange(50) / 40 + 0.003)
    assert trial.spike_times_s.tolist() == [0.25, 0.5]
    assert (cell.name, cell.animal_basis, cell.indicator) == ("DANDI000048-102086", "unknown", "GCaMP6s")


def test_placeholder_for_the_day_is_no_day(tmp_path):
    assert read_one(write_units_nwb(tmp_path / "a.nwb")).session_date is None
    start = datetime(2019, 2, 3, tzinfo=timezone.utc)
    assert read_one(write_units_nwb(tmp_path / "b.nwb", session_start=start)).session_date == start.date()


def test_dff_in_the_file_is_taken_as_it_is(tmp_path):
    cell = read_one(write_units_nwb(tmp_path / "a.nwb", as_dff=True))
    np.testing.assert_array_equal(cell.trials[0].dff, np.linspace(100.0, 200.0, 50, dtype=np.float32))
    assert "dff-computed" not in {remark.code for remark in cell.notes}


def test_several_units_or_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="expected one unit, /units has 2"):
        read_nwb_cells(write_units_nwb(tmp_path / "a.nwb", n_units=2))
    with pytest.raises(ValueError, match="expected spikes in /units or as ap_time"):
        read_nwb_cells(write_units_nwb(tmp_path / "b.nwb", n_units=0))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "a.nwb").write_bytes(b"text")
    with pytest.raises(ValueError, match=r"a\.nwb: expected an NWB file"):
        read_nwb_cells(tmp_path / "a.nwb")
