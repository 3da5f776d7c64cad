"""``infer --spikes`` and ``--report``: rates, discrete spikes and a page in one step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.annotation.spikes import annotate_spikes
from nwb_cascade.cli import main
from nwb_cascade.errors import NameTakenError
from nwb_cascade.files.matrices import write_mat5, write_mat73
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.places import spikes_tables
from nwb_cascade.readers.matrix import open_matrix
from nwb_cascade.readers.stored_runs import open_run
from tests.support.annotating import hidden_files
from tests.support.fake_runs import fake_run
from tests.support.recordings import dff_recording, simulated_dff

TABLE = "/processing/ophys/InferredSpikes"


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return dff_recording(tmp_path / "mouse 7.nwb")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["infer", *map(str, arguments)])


def table_of(path: str) -> tuple[list[Any], dict[str, Any]]:
    """Spike times per ROI and parameters of the table in a file."""
    with open_nwb(Path(path)) as (nwbfile, _):
        table = nwbfile.processing["ophys"]["InferredSpikes"]
        assert table.rates is nwbfile.processing["ophys"]["InferredSpikeRates"]
        return [np.asarray(table["spike_times"][roi]) for roi in range(len(table))], json.loads(table.parameters)


@pytest.mark.parametrize("where", [{}, {"in_place": True}, {"sidecar": True}])
def test_one_step_gives_what_two_give(tmp_path: Path, recording: Path, where: dict[str, Any]) -> None:
    other = dff_recording(tmp_path / "other.nwb")
    two = annotate_spikes(annotate(other).output, in_place=True)
    one = annotate(recording, spikes="conserved", **where)
    assert one.spikes is not None
    assert (one.spikes.n_spikes, one.spikes.object_path) == (two.n_spikes, TABLE)
    assert one.spikes.fit_error == two.fit_error
    times, parameters = table_of(one.output)
    for ours, theirs in zip(times, table_of(two.output)[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert parameters["rates_run_key"] == one.run_key
    assert hidden_files(tmp_path) == []
    again = annotate(recording, spikes="conserved", **where)
    assert again.skipped
    assert again.spikes is not None
    assert again.spikes.skipped
    assert again.output == one.output


@pytest.mark.parametrize("where", [{}, {"in_place": True}, {"sidecar": True}])
def test_spikes_are_added_to_a_run_that_is_there(recording: Path, where: dict[str, Any]) -> None:
    before = annotate(recording, **where)
    after = annotate(recording, spikes="supported", **where)
    assert after.skipped
    assert after.output == before.output
    assert after.spikes is not None
    assert not after.spikes.skipped
    assert table_of(after.output)[1]["spike_total"] == "supported"
    with pytest.raises(NameTakenError, match="--overwrite"):
        annotate(recording, spikes="conserved", **where)


def test_the_run_is_in_the_recording_and_its_copy_is_asked_for(recording: Path) -> None:
    annotate(recording, in_place=True)
    result = annotate(recording, spikes="conserved")
    assert result.output == str(recording.with_name("mouse 7_spikes.nwb"))
    assert table_of(result.output)[0]
    with open_nwb(recording) as (nwbfile, _):
        assert spikes_tables(nwbfile) == ()


def test_a_run_that_is_replaced_takes_its_spikes_along(recording: Path) -> None:
    annotate(recording, in_place=True, spikes="conserved")
    result = annotate(recording, in_place=True, threshold="raw", overwrite=True)
    assert any(TABLE in note for note in result.warnings)
    with open_nwb(recording) as (nwbfile, _):
        assert spikes_tables(nwbfile) == ()
    annotate(recording, in_place=True, overwrite=True, spikes="conserved")
    with open_nwb(recording) as (nwbfile, _):
        assert spikes_tables(nwbfile) == (TABLE,)


def test_rates_of_published_alignment_give_the_same_times(tmp_path: Path, recording: Path) -> None:
    other = dff_recording(tmp_path / "other.nwb")
    early = annotate(recording, legacy_alignment=True, spikes="conserved")
    two = annotate_spikes(annotate(other, legacy_alignment=True).output, in_place=True)
    assert table_of(early.output)[1]["frames_early"] == table_of(two.output)[1]["frames_early"] == 1
    np.testing.assert_array_equal(table_of(early.output)[0][0], table_of(two.output)[0][0])


def test_the_command_tells_of_spikes_and_of_the_page(recording: Path) -> None:
    pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")
    result = run(recording, "--supported-spikes", "--report")
    assert result.exit_code == 0, result.output
    assert "InferredSpikes, " in result.stdout
    page = recording.with_name("mouse 7_spikes_report.html")
    assert f"report: {page}" in result.stdout
    assert "InferredSpikes: nwb_cascade.discrete" in page.read_text(encoding="utf-8")


def test_a_dry_run_writes_neither_spikes_nor_page(recording: Path, tmp_path: Path) -> None:
    result = run(recording, "--spikes", "--report", "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)[0]["spikes"] is None
    assert [path.name for path in tmp_path.iterdir()] == [recording.name]


def test_matrices_get_spikes_as_ragged_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", simulated_dff())
    result = run(tmp_path / "m.npy", "--imaging-rate", 30, "--spikes", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)[0]["spikes"]
    assert told["output"] == str(tmp_path / "m_spikes_discrete.npz")
    found = np.load(tmp_path / "m_spikes_discrete.npz")
    times = np.split(found["t"], found["spike_times_index"][:-1].astype(int))
    recording = dff_recording(tmp_path / "same.nwb")  # whose first frame is at 1.25 s
    for ours, theirs in zip(times, table_of(annotate(recording, spikes="conserved").output)[0], strict=True):
        np.testing.assert_allclose(ours + 1.25, theirs, atol=1e-9)
    assert found["spike_fit_error"].shape == (4,)
    record = json.loads((tmp_path / "m_spikes.json").read_text())["spikes"]
    assert (record["spike_total"], record["rates_run_key"]) == ("conserved", json.loads(result.stdout)[0]["run_key"])


def test_matrices_of_matlab_hold_spikes_beside_the_rates(tmp_path: Path) -> None:
    for name, write in (("v5.mat", write_mat5), ("v73.mat", write_mat73)):
        write(tmp_path / name, {"dff": simulated_dff()})
        result = annotate(tmp_path / name, imaging_rate=30.0, spikes="conserved")
        assert result.spikes is not None
        with open_matrix(Path(result.output), "spike_times") as times:
            assert times[:].shape == (result.spikes.n_spikes, 1)
        with open_matrix(Path(result.output), "spike_times_index") as stops:
            assert int(stops[:][-1, 0]) == result.spikes.n_spikes


def test_spikes_of_a_matrix_are_added_skipped_and_replaced_on_request(tmp_path: Path) -> None:
    path = tmp_path / "m.npy"
    np.save(path, simulated_dff())
    annotate(path, imaging_rate=30.0)
    added = annotate(path, imaging_rate=30.0, spikes="conserved")
    assert not added.skipped
    again = annotate(path, imaging_rate=30.0, spikes="conserved")
    assert again.skipped
    assert again.spikes is not None
    assert again.spikes.skipped
    assert annotate(path, imaging_rate=30.0).skipped
    with pytest.raises(NameTakenError, match=r"holds discrete spikes that were found with other options.*--overwrite"):
        annotate(path, imaging_rate=30.0, spikes="supported")
    annotate(path, imaging_rate=30.0, threshold="raw", ensemble_std=False, overwrite=True)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["m.npy", "m_spikes.json", "m_spikes.npy"]


def test_runs_of_a_matrix_coexist_by_name(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", simulated_dff())
    first = annotate(tmp_path / "m.npy", imaging_rate=30.0)
    words = ("--imaging-rate", 30, "--run-name", "Raw rates", "--threshold", "raw")
    assert run(tmp_path / "m.npy", *words).exit_code == 0
    second = annotate(tmp_path / "m.npy", imaging_rate=30.0, run_name="Raw rates", threshold="raw")
    assert second.skipped
    assert [Path(one.output).name for one in (first, second)] == ["m_spikes.npy", "m_spikes_Raw-rates.npy"]
    assert second.run_name == "Raw rates"
    assert json.loads((tmp_path / "m_spikes_Raw-rates.json").read_text())["run_name"] == "Raw rates"


def test_a_recording_in_nwb_gives_a_matrix_of_the_same_rates(recording: Path, tmp_path: Path) -> None:
    nwb = annotate(recording)
    matrix = annotate(recording, output=tmp_path / "rates.npy", spikes="conserved")
    assert matrix.run_key == nwb.run_key
    with open_nwb(Path(nwb.output)) as (nwbfile, _):
        rates = nwbfile.processing["ophys"]["InferredSpikeRates"].data[:].T
    np.testing.assert_array_equal(np.load(matrix.output), rates)
    record = json.loads((tmp_path / "rates.json").read_text())
    assert record["source"]["object_path"] == "/processing/ophys/DfOverF/RoiResponseSeries"
    assert annotate(recording, output=tmp_path / "rates.npy").skipped
    assert hidden_files(tmp_path) == []


@pytest.mark.parametrize("name", ["m.npy", "v5.mat", "v73.mat"])
def test_a_page_is_made_of_a_matrix(tmp_path: Path, name: str) -> None:
    pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")
    dff = simulated_dff()
    dff[1] = np.nan
    if name == "m.npy":
        np.save(tmp_path / name, dff)
    else:
        (write_mat5 if name == "v5.mat" else write_mat73)(tmp_path / name, {"dff": dff})
    result = run(tmp_path / name, "--imaging-rate", 30, "--report", "--spikes")
    assert result.exit_code == 0, result.output
    page = (tmp_path / f"{Path(name).stem}_spikes_report.html").read_text(encoding="utf-8")
    for text in (name, "4 ROIs", "fake_30Hz", "spike_times: nwb_cascade.discrete", "made up for tests"):
        assert text in page
    with open_run(Path(json_of(tmp_path / name, "--imaging-rate", 30)["output"])) as stored:
        assert stored.dff is None
        np.testing.assert_array_equal(np.isnan(stored.rates[1]), True)
        assert [warning.roi for warning in stored.roi_warnings] == [1]
        assert stored.spikes is not None
        assert np.isfinite(stored.spikes.fit_errors()[0])
        assert stored.spikes.times(0).size > 0


def test_a_page_about_a_matrix_that_holds_no_rates_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")
    np.save(tmp_path / "m.npy", simulated_dff())
    result = CliRunner().invoke(main, ["report", str(tmp_path / "m.npy"), "-o", str(tmp_path / "m.html")])
    assert result.exit_code == 1
    assert "Expected inferred spike rates and what made them in" in result.stderr


def json_of(*arguments: object) -> dict[str, Any]:
    """What the command says of one file as JSON."""
    values: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)[0]
    return values
