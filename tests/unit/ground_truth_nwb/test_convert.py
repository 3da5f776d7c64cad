"""Conversion of whole folders: resumable, parallel, one bad file never stops the others, the table at the end."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from ground_truth_nwb import convert as convert_module
from ground_truth_nwb.convert import convert, read_outcomes
from ground_truth_nwb.nwb_read import read_nwb_cell
from ground_truth_nwb.table import dataset_rows, totals, write_csv
from ground_truth_nwb.write import write_cell
from tests.support.fresh_process import run_fresh
from tests.support.ground_truth_files import (
    cascade_fields,
    write_cascade_mat,
    write_spikefinder_pair,
    write_units_nwb,
)


def write_sources(root):
    """Two cells of one animal, a pair of tables with two cells, an NWB file and a broken file."""
    for number in (1, 2):
        write_cascade_mat(root, [cascade_fields(), {}], name=f"CAttached_jGCaMP8f_471993_{number}_mini.mat")
    (root / "DS30-GCaMP8f-m-V1" / "broken_mini.mat").write_bytes(b"broken")
    counts = np.zeros((30, 2))
    counts[4] = 1
    write_spikefinder_pair(root / "spikefinder", np.random.default_rng(0).normal(0, 0.1, (30, 2)), counts)
    write_units_nwb(root / "000048" / "sub-1.nwb")
    return root


@pytest.fixture(scope="module")
def first_run(tmp_path_factory):
    """Sources, the folder that they were converted to, outcomes and calls of progress."""
    root = tmp_path_factory.mktemp("convert")
    calls = []
    outcomes = convert(write_sources(root / "sources"), root / "out", progress=lambda *call: calls.append(call))
    return root, outcomes, calls


@pytest.fixture
def copy_of_first_run(first_run, tmp_path):
    shutil.copytree(first_run[0], tmp_path, dirs_exist_ok=True)
    return tmp_path / "sources", tmp_path / "out"


def test_everything_below_a_folder_is_converted_and_the_broken_file_is_recorded(first_run):
    root, outcomes, calls = first_run
    assert sorted(outcome.status for outcome in outcomes) == ["failed"] + ["written"] * 5
    (failed,) = (outcome for outcome in outcomes if outcome.status == "failed")
    assert failed.source.endswith("broken_mini.mat")
    assert "ValueError: " in failed.error
    assert "expected a MATLAB file" in failed.error
    assert "Traceback" in failed.details
    assert calls == [(done, 5) for done in range(1, 6)]
    names = sorted(path.relative_to(root / "out").as_posix() for path in (root / "out").rglob("*.*") if path.is_file())
    assert names == [
        "dandiset.yaml",
        "sub-471993/sub-471993_ses-DS30-jGCaMP8f-471993-1_ophys+icephys.nwb",
        "sub-471993/sub-471993_ses-DS30-jGCaMP8f-471993-2_ophys+icephys.nwb",
        "sub-DANDI000048-102086/sub-DANDI000048-102086_ses-DANDI000048-102086_ophys+icephys.nwb",
        "sub-SPIKEFINDER-1-train-0/sub-SPIKEFINDER-1-train-0_ses-SPIKEFINDER-1-train-0_ophys+icephys.nwb",
        "sub-SPIKEFINDER-1-train-1/sub-SPIKEFINDER-1-train-1_ses-SPIKEFINDER-1-train-1_ophys+icephys.nwb",
    ]
    cell = read_nwb_cell(root / "out" / names[1])
    np.testing.assert_array_equal(cell.trials[0].dff, cascade_fields()["fluo_mean"].ravel())


def test_second_run_keeps_what_is_there_and_writes_the_rest(first_run, copy_of_first_run, tmp_path, monkeypatch):
    sources, target = copy_of_first_run
    written = []

    def noted_write(cell, root):
        written.append(cell.name)
        return write_cell(cell, root)

    monkeypatch.setattr(convert_module, "write_cell", noted_write)
    (target / "sub-SPIKEFINDER-1-train-1").rename(tmp_path / "lost")
    changed = write_cascade_mat(sources, [cascade_fields(n_frames=45)], name="CAttached_jGCaMP8f_471993_2_mini.mat")
    second = convert(sources, target)
    assert written == ["DS30-jGCaMP8f-471993-2", "SPIKEFINDER-1-train-0", "SPIKEFINDER-1-train-1"]
    assert [outcome.cell_id for outcome in first_run[1]] == [outcome.cell_id for outcome in second]
    by_source = {outcome.source: outcome for outcome in second}
    assert by_source[str(changed)].status == "written"
    kept = [outcome for outcome in second if outcome.status == "kept"]
    assert {outcome.cell_id for outcome in kept} == {"jGCaMP8f-471993-1", "102086"}
    assert all(outcome.summary is not None for outcome in kept)


def test_files_of_another_converter_version_are_written_anew(copy_of_first_run, monkeypatch):
    sources, target = copy_of_first_run
    monkeypatch.setattr(convert_module, "CONVERTER_VERSION", "another")
    assert [outcome.status for outcome in convert(sources / "000048", target)] == ["written"]


def test_processes_give_the_same_files_in_the_same_order(first_run, tmp_path):
    root, alone, _ = first_run
    together = convert(root / "sources", tmp_path / "together", workers=2)
    one, other = ([(outcome.source, outcome.status, outcome.cell_id) for outcome in run] for run in (alone, together))
    assert one == other
    run_fresh(
        "from pathlib import Path; from ground_truth_nwb.convert import convert; "
        f"convert(Path({str(root / 'sources')!r}), Path({str(tmp_path / 'alone')!r}))"
    )
    paths = list((tmp_path / "alone").rglob("*.nwb"))
    assert len(paths) == sum(outcome.status == "written" for outcome in alone)
    for path in paths:
        assert path.read_bytes() == (tmp_path / "together" / path.relative_to(tmp_path / "alone")).read_bytes()


def test_target_below_the_sources_is_not_a_source(tmp_path):
    write_cascade_mat(tmp_path, [cascade_fields()])
    assert [outcome.status for outcome in convert(tmp_path, tmp_path / "nwb")] == ["written"]
    assert [outcome.status for outcome in convert(tmp_path, tmp_path / "nwb")] == ["kept"]


def test_converted_files_can_be_gathered_into_another_dandiset(first_run, tmp_path):
    root, outcomes, _ = first_run
    (name,) = (Path(outcome.path).name for outcome in outcomes if outcome.cell_id == "jGCaMP8f-471993-1")
    (outcome,) = convert(root / "out" / "sub-471993" / name, tmp_path)
    assert (outcome.dataset, outcome.cell_id) == ("DS30", "jGCaMP8f-471993-1")
    assert Path(outcome.path).read_bytes() == (root / "out" / "sub-471993" / name).read_bytes()


def test_folder_without_ground_truth_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(
        LookupError, match=r"Expected ground truth below .*\(\.mat, \.nwb or \*\.calcium\*\.csv files\)"
    ):
        convert(tmp_path, tmp_path / "out")


def test_table_sums_up_by_data_set_and_counts_what_was_dropped(first_run):
    _, outcomes, _ = first_run
    rows = {row.dataset: row for row in dataset_rows(outcomes)}
    assert list(rows) == ["DANDI000048", "DS30", "SPIKEFINDER", "(failed)"]
    ds30 = rows["DS30"]
    assert (ds30.cells, ds30.trials, ds30.spikes) == (2, 2, 6)
    assert ds30.minutes == pytest.approx(2 * 59 / 20 / 60)
    assert ds30.dropped == "trial-without-imaging x 2"
    assert rows["(failed)"].failed == 1
    everything = totals(tuple(rows.values()))
    assert (everything.cells, everything.failed) == (5, 1)
    assert everything.spikes == sum(row.spikes for row in rows.values())


def test_csv_has_a_line_per_cell_and_per_failure(first_run, tmp_path):
    _, outcomes, _ = first_run
    write_csv(outcomes, tmp_path / "table.csv")
    with open(tmp_path / "table.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6
    failed = next(line for line in lines if line["status"] == "failed")
    assert "expected a MATLAB file" in failed["error"]
    assert failed["n_spikes"] == ""
    ds30 = next(line for line in lines if line["dataset"] == "DS30")
    assert (ds30["n_trials"], ds30["n_spikes"]) == ("1", "3")
    assert "Trial 1 has no fluo_time" in ds30["dropped"]


def test_converted_folder_tells_what_it_holds(first_run, tmp_path):
    root, outcomes, _ = first_run
    again = read_outcomes(root / "out")
    one, other = ({cell.cell_id: cell.summary.to_record() for cell in run if cell.summary} for run in (again, outcomes))
    assert one == other
    (tmp_path / "empty").mkdir()
    with pytest.raises(LookupError, match="Expected ground truth files"):
        read_outcomes(tmp_path / "empty")
