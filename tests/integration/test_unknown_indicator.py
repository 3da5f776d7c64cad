"""A recording whose indicator nobody states is told of in the command, its JSON and the report, with the names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.cli import main
from nwb_cascade.report.recording_report import write_report
from tests.support.fake_runs import FAKE_CONFIG, fake_run
from tests.support.recordings import add_dff, bare_nwbfile, simulated_dff, write_recording
from tests.support.suite2p_files import write_suite2p

UNSTATED = "No indicator is stated, so the networks are told of none"
UNKNOWN = "'ASAP3' is no indicator known here, so the networks are told of none"


def recording(path: Path, indicator: str) -> Path:
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, simulated_dff())
    nwbfile.imaging_planes["imaging_RoiResponseSeries"].fields["indicator"] = indicator
    return write_recording(path, nwbfile)


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    np.save(tmp_path / "dff.npy", simulated_dff())
    return tmp_path / "dff.npy"


def test_matrices_and_folders_of_suite2p_state_none(matrix: Path, tmp_path: Path) -> None:
    folder = write_suite2p(tmp_path / "plane0")
    for source, options in ((matrix, {"imaging_rate": 30.0}), (folder, {})):
        (note,) = annotate(source, dry_run=True, **options).warnings
        assert note.startswith(UNSTATED)
        assert "--indicator (Cal-520, GCaMP3, " in note
        assert annotate(source, dry_run=True, indicator="GCaMP-6f", **options).warnings == ()


def test_the_command_and_its_json_say_so(matrix: Path, tmp_path: Path) -> None:
    command = ["infer", str(matrix), "--imaging-rate", "30", "--dry-run"]
    assert f"note: {UNSTATED}" in CliRunner().invoke(main, command).stdout
    (told,) = json.loads(CliRunner().invoke(main, [*command, "--json"]).stdout)
    assert told["warnings"][0].startswith(UNSTATED)
    stated = recording(tmp_path / "voltage.nwb", "ASAP3")
    assert f"note: {UNKNOWN}" in CliRunner().invoke(main, ["infer", str(stated), "--dry-run"]).stdout


def test_models_that_are_told_of_no_indicator_need_none(matrix: Path) -> None:
    assert annotate(matrix, imaging_rate=30.0, model="cascade-30Hz-25ms", dry_run=True).warnings == ()


@pytest.mark.parametrize(("indicator", "is_told"), [("ASAP3", True), ("GCaMP6f", False)])
def test_the_report_says_so(indicator: str, is_told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(rate, options):
        made = fake_run(rate, options)
        model = replace(made.model, config=replace(FAKE_CONFIG, architecture="conditional"))
        return replace(made, model=model, indicator=None if is_told else indicator)

    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", run)
    result = annotate(recording(tmp_path / "recording.nwb", indicator))
    write_report(Path(result.output), tmp_path / "page.html")
    assert ("no indicator known here" in (tmp_path / "page.html").read_text(encoding="utf-8")) is is_told
