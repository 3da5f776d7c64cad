"""The command ``nwb-cascade inspect``: what it prints, and its exit status."""

import json

import numpy as np
import pytest
import rich.console
from click.testing import CliRunner

from nwb_cascade.cli import main
from tests.support.nwb_files import neuroconv
from tests.support.nwb_oddities import one_series
from tests.support.recordings import bare_nwbfile, simulated_dff, write_recording

DFF = "/processing/ophys/Fluorescence/DfOverF"


def run(*arguments):
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def recording(tmp_path):
    return neuroconv(tmp_path / "Maus 1 ü.nwb")


def rows_of(text):
    header, *lines = (line.split("\t") for line in text.splitlines())
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_pipes_get_one_line_of_cells_per_series(recording):
    result = run(recording)
    assert result.exit_code == 0
    rows = {row["Series"]: row for row in rows_of(result.stdout)}
    assert len(rows) == 6
    dff = rows[DFF]
    assert (dff["File"], dff["Kind"], dff["ROIs"], dff["Frames"]) == (str(recording), "dff", "5", "300")
    assert (dff["Hz"], dff["Scale"], dff["NaN %"], dff["Indicator"]) == ("30", "fraction", "0", "unknown")
    assert dff["Evidence"] == "it is named 'DfOverF'"
    assert dff["Noise"] == "1.8"
    assert rows["/processing/ophys/Fluorescence/Baseline"]["Problems"] == "5 of 5 ROIs never change."


def test_terminals_get_a_table_and_the_evidence_below(recording, monkeypatch):
    monkeypatch.setattr(rich.console.Console, "is_terminal", True)
    monkeypatch.setenv("COLUMNS", "80")
    output = run(recording).stdout
    assert "│ 4 │ dff              │ 5    │ 300    │ 30 │ fraction │ 1.8   │ 0     │" in output
    assert f" 4 {DFF}\n     it is named 'DfOverF'; ImagingPlane, unknown\n     noise levels 1." in output
    assert "\n     5 of 5 ROIs never change.\n" in output


def test_json_says_all_that_is_known(recording):
    (entry,) = json.loads(run(recording, "--json").stdout)
    assert entry["path"] == str(recording)
    dff = next(series for series in entry["series"] if series["object_path"] == DFF)
    assert dff["noise_levels"]["undefined"] == 0
    assert dff["problems"] == []
    assert dff["transposed"] is False


def test_without_statistics_there_are_no_noise_levels(recording):
    (entry,) = json.loads(run(recording, "--json", "--no-statistics").stdout)
    assert {series["noise_levels"] for series in entry["series"]} == {None}
    assert rows_of(run(recording, "--no-statistics").stdout)[0]["NaN %"] == "-"


def test_one_series_can_be_asked_for(recording):
    assert [row["Series"] for row in rows_of(run(recording, "--series", "DfOverF").stdout)] == [DFF]
    result = run(recording, "--series", "nothing")
    assert result.exit_code == 1
    assert "Expected a series 'nothing', found" in result.stderr


def test_a_file_that_fails_does_not_stop_the_others(recording, tmp_path):
    (tmp_path / "empty.nwb").touch()
    result = run(tmp_path / "empty.nwb", recording, tmp_path / "missing.nwb", "--json")
    assert result.exit_code == 1
    empty, good, missing = json.loads(result.stdout)
    assert "which is empty" in empty["error"]
    assert len(good["series"]) == 6
    assert "but there is none" in missing["error"]
    assert result.stderr.count("Error: ") == 2


def test_a_file_without_series_is_no_failure(tmp_path):
    path = write_recording(tmp_path / "a.nwb", bare_nwbfile())
    result = run(path)
    assert result.exit_code == 0
    assert f"{path}: no series of ROI traces (RoiResponseSeries)." in result.stderr
    assert json.loads(run(path, "--json").stdout) == [{"path": str(path), "series": []}]


def test_a_series_without_rate_shows_a_dash(tmp_path):
    path = one_series(tmp_path / "a.nwb", simulated_dff(2, 300).T, timestamps=np.arange(300) * 1000 / 30)
    assert rows_of(run(path).stdout)[0]["Hz"] == "-"


def test_every_rate_of_a_series_is_shown_with_its_stretches(tmp_path):
    stamps = np.concatenate([np.arange(150) / 15, 60 + np.arange(150) / 60])
    row = rows_of(run(one_series(tmp_path / "a.nwb", simulated_dff(2, 300).T, timestamps=stamps)).stdout)[0]
    assert row["Hz"] == "15, 60"
    assert "The frames are 2 stretches of 150 and 150 frames at 15 and 60 Hz" in row["Problems"]


def test_wrong_usage_is_status_2():
    assert run().exit_code == 2
    assert run("--nonsense", "a.nwb").exit_code == 2


def test_debug_shows_the_traceback(tmp_path):
    result = CliRunner().invoke(main, ["--debug", "inspect", str(tmp_path / "missing.nwb")])
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
