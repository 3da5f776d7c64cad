"""Cascade's MATLAB files: both versions, the oddities of the published files, clear refusals."""

import hashlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from ground_truth_nwb.cascade_mat import list_cells, read_cell
from ground_truth_nwb.dff_from_raw import dff_from_fluorescence
from tests.support.ground_truth_files import cascade_fields, write_cascade_mat, write_cascade_mat_v73
from tests.support.shared import shared_path

WRITERS = pytest.mark.parametrize("write", [write_cascade_mat, write_cascade_mat_v73])
EMPTY = np.empty((0, 0), np.uint8)


@WRITERS
def test_values_arrive_exactly(tmp_path, write):
    fields = cascade_fields()
    path = write(tmp_path, [fields])
    cell = read_cell(path)
    trial = cell.trials[0]
    np.testing.assert_array_equal(trial.time_s, fields["fluo_time"].ravel())
    np.testing.assert_array_equal(trial.dff, fields["fluo_mean"].ravel())
    np.testing.assert_allclose(trial.spike_times_s, [0.31, 0.32055, 1.5], rtol=0, atol=1e-12)
    assert (cell.dataset, cell.animal_id, cell.indicator) == ("DS30", "471993", "jGCaMP8f")
    assert cell.source_file == path.name
    assert cell.source_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert cell.dropped == cell.notes == ()


@WRITERS
def test_trials_keep_their_order_and_the_cell_type_is_read(tmp_path, write):
    trials = [{**cascade_fields(n_frames=40 + number), "cell_type": "pyramidal cell"} for number in range(3)]
    cell = read_cell(write(tmp_path, trials))
    assert [trial.n_frames for trial in cell.trials] == [40, 41, 42]
    assert cell.cell_type == "pyramidal cell"


@WRITERS
def test_empty_trials_are_dropped_and_the_others_keep_their_numbers(tmp_path, write):
    empty = {"ephys_filtered": EMPTY, "ephys_time": EMPTY, "ephys_raw": EMPTY}
    cell = read_cell(write(tmp_path, [cascade_fields(), empty, cascade_fields()]))
    assert cell.trial_numbers == (0, 2)
    assert [(remark.code, remark.trial) for remark in cell.dropped] == [("trial-without-imaging", 1)]
    assert "no fluo_time and no fluo_mean" in cell.dropped[0].text


@WRITERS
def test_trial_without_frame_times_is_dropped_although_it_has_fluorescence(tmp_path, write):
    without = {name: value for name, value in cascade_fields().items() if name != "fluo_time"}
    cell = read_cell(write(tmp_path, [without, cascade_fields()]))
    assert cell.trial_numbers == (1,)
    assert "no fluo_time (it holds " in cell.dropped[0].text


@WRITERS
def test_silent_trial_is_not_a_trial_without_spikes_field(tmp_path, write):
    silent = {**cascade_fields(), "events_AP": EMPTY}
    unknown = {name: value for name, value in cascade_fields().items() if name != "events_AP"}
    cell = read_cell(write(tmp_path, [silent, unknown]))
    assert cell.trials[0].spike_times_s.size == 0
    assert cell.trial_numbers == (0,)
    assert [remark.code for remark in cell.dropped] == ["trial-without-spikes-field"]


@WRITERS
def test_bulk_fields_of_untouched_originals_do_not_disturb(tmp_path, write):
    bulk = {
        "ephys_raw": np.zeros((1, 5000)),
        "AVG_movie": np.zeros((64, 64)),
        "template": EMPTY,
        "fluo_raw": np.ones((1, 60)),
    }
    plain, full = (
        read_cell(write(tmp_path, [cascade_fields()])),
        read_cell(write(tmp_path, [{**bulk, **cascade_fields()}])),
    )
    np.testing.assert_array_equal(plain.trials[0].dff, full.trials[0].dff)


def test_integer_spike_times_become_seconds(tmp_path):
    fields = {**cascade_fields(), "events_AP": np.array([3100, 60000], np.uint16)}
    assert read_cell(write_cascade_mat(tmp_path, [fields])).trials[0].spike_times_s.tolist() == [0.31, 6.0]


def test_double_precision_values_are_rounded_to_single_once(tmp_path):
    dff = np.random.default_rng(0).normal(size=(1, 60))
    trial = read_cell(write_cascade_mat(tmp_path, [{**cascade_fields(), "fluo_mean": dff}])).trials[0]
    np.testing.assert_array_equal(trial.dff, dff.ravel().astype(np.float32))


def test_file_without_a_usable_trial_is_refused_with_the_reasons(tmp_path):
    path = write_cascade_mat(tmp_path, [{"ephys_raw": EMPTY}])
    with pytest.raises(ValueError, match=r"mini\.mat: expected at least one usable trial, found none \(Trial 0 has no"):
        read_cell(path)


def test_file_without_the_variable_is_refused(tmp_path):
    savemat(tmp_path / "a.mat", {"other": 1})
    with pytest.raises(ValueError, match=r"a\.mat: expected the variable CAttached"):
        read_cell(tmp_path / "a.mat")


@pytest.mark.parametrize("content", [b"", b"not MATLAB", b"MATLAB 5.0 MAT-file" + b"\0" * 200])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.mat: expected (a MATLAB file|the variable CAttached)"):
        read_cell(tmp_path / "a.mat")


def test_truncated_file_is_refused(tmp_path):
    path = write_cascade_mat(tmp_path, [cascade_fields()])
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(ValueError, match="expected a MATLAB file"):
        read_cell(path)


def test_cells_are_listed_in_order_and_an_empty_folder_is_refused(tmp_path):
    for name in ("b.mat", "a.mat"):
        write_cascade_mat(tmp_path, [cascade_fields()], name=name)
    assert [path.name for path in list_cells(tmp_path)] == ["a.mat", "b.mat"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(LookupError, match=r"Expected \.mat files below"):
        list_cells(tmp_path / "empty")


def test_every_shared_file_is_read_exactly():
    """All spikes, and dF/F and times of all frames that have both, against a plain reading of the files."""
    for path in list_cells(shared_path("ground_truth")):
        cell = read_cell(path)
        structs = loadmat(path)["CAttached"].ravel()
        assert len(cell.trials) + sum(remark.code.startswith("trial-") for remark in cell.dropped) == structs.size
        for number, trial in zip(cell.trial_numbers, cell.trials, strict=True):
            source = structs[number][0, 0]
            times, dff = source["fluo_time"].ravel(), source["fluo_mean"].ravel().astype(np.float32)
            common = min(times.size, dff.size)
            kept = np.isfinite(times[:common])
            kept[1:][times[1:common] <= times[: common - 1]] = False
            np.testing.assert_array_equal(trial.time_s, times[:common][kept])
            np.testing.assert_array_equal(trial.dff, dff[:common][kept])
            spikes = np.sort(source["events_AP"].ravel().astype(float))
            np.testing.assert_allclose(trial.spike_times_s, spikes[np.isfinite(spikes)] / 1e4, rtol=0, atol=1e-9)


def test_oddities_of_the_shared_files_are_found():
    root = shared_path("ground_truth")
    expected = {
        "DS03-Cal520-m-S1/CAttached_S1_Cal520_cell5_mini.mat": {"trial-without-imaging": 3},
        "DS04-OGB1-zf-pDp/CAttached_OGB_pDp_190115_Fish2_cellA_mini.mat": {"frames-unpaired": 432},
        "DS07-GCaMP6f-zf-dD/CAttached_GC_dorsal_190522_Fish1_cell1_mini.mat": {"frames-without-time": 1201},
        "DS19-R-CaMP-m-S1/CAttached_S1_cell2_mini.mat": {"frames-without-time": 50},
        "DS24-GCaMP6f-m-PV-V1/CAttachedPVVitro06_Cell06_Puff01_mini.mat": {"frames-repeated": 1},
    }
    for name, codes in expected.items():
        counts = {}
        for remark in read_cell(root / name).dropped:
            counts[remark.code] = counts.get(remark.code, 0) + remark.count
        assert counts == codes, name


def test_dff_from_raw_traces_is_that_of_the_shared_originals():
    path = shared_path("ground_truth/DS30-GCaMP8f-m-V1/CAttached_jGCaMP8f_471993_1_mini.mat")
    for struct in loadmat(path)["CAttached"].ravel():
        source = struct[0, 0]
        computed = dff_from_fluorescence(source["fluo_raw"].ravel(), source["neuropil"].ravel())
        np.testing.assert_allclose(computed, source["fluo_mean"].ravel(), rtol=0, atol=1e-6)
