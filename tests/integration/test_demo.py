"""The demo does the whole job on the bundled model and recovers what it simulated."""

import pytest
from click.testing import CliRunner

import nwb_cascade
from nwb_cascade.cli import main
from nwb_cascade.demo import N_ROIS, run_demo


def test_the_demo_recovers_the_simulated_spikes(tmp_path):
    demo = run_demo(tmp_path / "demo")
    assert demo.correlation > 0.8
    assert 0.5 < demo.n_expected_spikes / demo.n_true_spikes < 2
    assert demo.annotation.n_inferred == N_ROIS
    kinds = {candidate.kind for candidate in nwb_cascade.inspect(demo.annotation.output)}
    assert kinds == {"dff", "inferred"}


def test_the_command_says_what_it_did(tmp_path):
    run = CliRunner().invoke(main, ["demo", "--output", str(tmp_path / "d e")], catch_exceptions=False)
    assert run.exit_code == 0
    assert "conditional-1-120Hz serves every imaging rate" in run.output
    assert (tmp_path / "d e" / "recording_spikes.nwb").exists()


def test_the_page_of_the_demo_shows_discrete_spikes_as_well(tmp_path):
    pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")
    arguments = ["demo", "--output", str(tmp_path / "demo"), "--report"]
    first = CliRunner().invoke(main, arguments, catch_exceptions=False)
    again = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert first.output.splitlines()[-2] == f"Wrote {tmp_path / 'demo' / 'report.html'}: open it in a browser."
    assert "Discrete spikes:" in first.output
    assert again.exit_code == 0
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "InferredSpikes: nwb_cascade.discrete" in page
    assert "conditional-1-120Hz, version" in page
