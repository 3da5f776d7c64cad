"""Spikefinder's CSV pairs."""

import numpy as np
import pytest

from ground_truth_nwb.spikefinder_csv import is_calcium_file, read_spikefinder
from tests.support.ground_truth_files import write_spikefinder_pair


def tables(n_rows=60, n_columns=2):
    calcium = np.random.default_rng(0).normal(0, 0.2, (n_rows, n_columns)).round(4)
    counts = np.zeros((n_rows, n_columns))
    counts[10, 0], counts[20, 0], counts[n_rows - 1, 1] = 1, 3, 1
    return calcium, counts


def test_each_column_is_a_cell_with_times_at_the_frames(tmp_path):
    calcium, counts = tables()
    first, second = read_spikefinder(write_spikefinder_pair(tmp_path, calcium, counts))
    np.testing.assert_array_equal(first.trials[0].dff, calcium[:, 0].astype(np.float32))
    np.testing.assert_allclose(first.trials[0].time_s, np.arange(60) / 100)
    assert first.trials[0].spike_times_s.tolist() == [0.1, 0.2, 0.2, 0.2]
    assert second.trials[0].spike_times_s.tolist() == [0.59]
    assert (first.name, second.name) == ("SPIKEFINDER-1-train-0", "SPIKEFINDER-1-train-1")
    assert first.cells_in_source == 2
    assert first.spike_resolution_s == 0.01
    assert first.indicator == "OGB-1"


def test_shorter_recordings_end_where_their_values_end(tmp_path):
    calcium, counts = tables()
    calcium[40:, 0] = counts[40:, 0] = np.nan
    first, second = read_spikefinder(write_spikefinder_pair(tmp_path, calcium, counts))
    assert first.trials[0].n_frames == 40
    assert [(remark.code, remark.count) for remark in first.dropped] == [("frames-after-end", 20)]
    assert second.trials[0].n_frames == 60
    assert second.dropped == ()


def test_gap_inside_a_recording_stays_a_gap(tmp_path):
    calcium, counts = tables()
    calcium[5:8, 1] = np.nan
    trial = read_spikefinder(write_spikefinder_pair(tmp_path, calcium, counts))[1].trials[0]
    assert trial.n_frames == 60
    assert np.isnan(trial.dff[5:8]).all()


@pytest.mark.parametrize("name", ["1.train.calcium.csv", "10.calcium.train.csv", "3.test.calcium.preprocessed.csv"])
def test_names_of_pairs(tmp_path, name):
    path = write_spikefinder_pair(tmp_path, *tables(), name=name)
    assert is_calcium_file(path)
    assert not is_calcium_file(path.with_name(name.replace("calcium", "spikes")))
    assert len(read_spikefinder(path)) == 2


def test_numbers_of_columns_must_agree(tmp_path):
    path = write_spikefinder_pair(tmp_path, tables()[0], tables(n_columns=3)[1])
    with pytest.raises(
        ValueError, match=r"as many rows and columns as in 1\.train\.spikes\.csv, received \(60, 2\) and"
    ):
        read_spikefinder(path)


def test_numbers_of_rows_must_agree(tmp_path):
    path = write_spikefinder_pair(tmp_path, tables()[0], tables(n_rows=50)[1])
    with pytest.raises(ValueError, match=r"received \(60, 2\) and \(50, 2\)"):
        read_spikefinder(path)


@pytest.mark.parametrize("bad", [0.5, -1.0])
def test_spikes_are_counted_in_whole_numbers(tmp_path, bad):
    calcium, counts = tables()
    counts[3, 1] = bad
    with pytest.raises(ValueError, match="expected whole numbers of spikes, 1-train-1 has others"):
        read_spikefinder(write_spikefinder_pair(tmp_path, calcium, counts))


def test_missing_partner_empty_column_and_text_are_refused(tmp_path):
    calcium, counts = tables()
    path = write_spikefinder_pair(tmp_path, calcium, counts)
    path.with_name("1.train.spikes.csv").unlink()
    with pytest.raises(ValueError, match=r"in 1\.train\.spikes\.csv, it is missing"):
        read_spikefinder(path)
    calcium[:, 1] = np.nan
    with pytest.raises(ValueError, match="dF/F in every column, column 1 has none"):
        read_spikefinder(write_spikefinder_pair(tmp_path, calcium, counts))
    path.write_text("0,1\na,b\n")
    with pytest.raises(ValueError, match="expected a CSV table of numbers"):
        read_spikefinder(path)
    path.write_text("")
    with pytest.raises(ValueError, match="expected a CSV table of numbers"):
        read_spikefinder(path)
    with pytest.raises(ValueError, match="expected a name like"):
        read_spikefinder(tmp_path / "other.csv")
