"""``nwb-cascade calibrate`` and ``infer --calibrate``: from labelled cells or a known rate to narrower counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import ground_truth_nwb
from nwb_cascade.cli import main
from nwb_cascade.readers.stored_runs import open_run
from tests.support.golden_recordings import RATE, golden_dff
from tests.support.recordings import dff_recording

SIMULATED = Path(ground_truth_nwb.__file__).parent / "simulated"


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibration from the simulated GCaMP6f cell."""
    path = tmp_path_factory.mktemp("lab") / "lab.json"
    result = run("calibrate", SIMULATED / "sub-sim-GCaMP6f", "-o", path)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"Wrote {path}: gain ")
    return path


def test_labelled_cells_narrow_the_intervals_and_stand_in_the_provenance(labelled: Path, tmp_path: Path) -> None:
    made = json.loads(labelled.read_text())
    assert (made["source"], made["indicator"], made["model"]) == ("labelled cells", "GCaMP6f", "conditional-1-120Hz")
    assert made["evidence"]["spikes"][0] > 10
    source = dff_recording(tmp_path / "mouse.nwb", golden_dff(), rate=RATE)
    assert run("infer", source, "-o", tmp_path / "plain.nwb").exit_code == 0
    told = run("infer", source, "-o", tmp_path / "scaled.nwb", "--calibrate", labelled)
    assert f"(unmet, gain {made['gain']:.3g})" in told.output
    with open_run(tmp_path / "plain.nwb") as plain, open_run(tmp_path / "scaled.nwb") as scaled:
        assert scaled.parameters["calibration"]["gain"] == made["gain"]
        assert scaled.series.spike_count_gain == pytest.approx(made["gain"])
        assert plain.counts is not None
        assert scaled.counts is not None
        assert scaled.counts.model.gain_sd < plain.counts.model.gain_sd
        shares = [np.mean((one.upper + 1) / (one.lower + 1)) for one in (plain.counts, scaled.counts)]
        assert shares[1] < shares[0]
        assert str(scaled.series.run_key) != str(plain.series.run_key)
        assert np.array_equal(plain.rates[0], scaled.rates[0], equal_nan=True)


def test_a_known_mean_rate_is_what_calibrated_counts_come_near(tmp_path: Path) -> None:
    source = dff_recording(tmp_path / "mouse.nwb", golden_dff(), rate=RATE)
    run("infer", source, "-o", tmp_path / "plain.nwb")
    with open_run(tmp_path / "plain.nwb") as plain:
        counts = plain.counts
        assert counts is not None
        wanted = 1.5 * float(counts.model.means(counts.expected, plain.noise_levels, 400 / RATE).mean()) / (400 / RATE)
    lab = tmp_path / "lab.json"
    done = run("calibrate", tmp_path / "plain.nwb", "--mean-rate", wanted, "--uncertainty", 0.01, "-o", lab)
    assert done.exit_code == 0, done.output
    assert 1.0 < json.loads(lab.read_text())["gain"] < 1.5
    again = run("infer", source, "-o", tmp_path / "scaled.nwb", "--calibrate", lab)
    assert again.exit_code == 0, again.output
    twice = run("calibrate", tmp_path / "scaled.nwb", "--mean-rate", 1.0, "-o", tmp_path / "other.json")
    assert "without a calibration in" in twice.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--indicator", "jGCaMP8m"], "Expected labelled cells of jGCaMP8m, received GCaMP6f."),
        (["--model", "cascade-30Hz-25ms"], "Expected a model whose intervals were fitted"),
    ],
)
def test_cells_of_another_indicator_and_models_without_intervals_are_told(
    words: list[str], said: str, tmp_path: Path
) -> None:
    result = run("calibrate", SIMULATED / "sub-sim-GCaMP6f", "-o", tmp_path / "lab.json", *words)
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())
    assert not (tmp_path / "lab.json").exists()


def test_a_folder_of_several_indicators_is_told(tmp_path: Path) -> None:
    result = run("calibrate", SIMULATED, "-o", tmp_path / "lab.json")
    assert "Expected labelled cells of one indicator, received GCaMP6f, GCaMP6s, OGB-1, jGCaMP8m." in result.output


def test_a_mean_rate_that_no_gain_explains_is_told(tmp_path: Path) -> None:
    source = dff_recording(tmp_path / "mouse.nwb", golden_dff(), rate=RATE)
    run("infer", source, "-o", tmp_path / "plain.nwb")
    result = run(
        "calibrate", tmp_path / "plain.nwb", "--mean-rate", 900, "--uncertainty", 0, "-o", tmp_path / "lab.json"
    )
    assert "Expected a gain from 0.05 to 20, received" in result.output


def test_a_calibration_for_something_else_is_refused(labelled: Path, tmp_path: Path) -> None:
    source = dff_recording(tmp_path / "mouse.nwb", golden_dff(), rate=RATE)
    result = run("infer", source, "--indicator", "jGCaMP8m", "--calibrate", labelled)
    assert result.exit_code == 1
    assert (
        "to be for conditional-1-120Hz and jGCaMP8m, it was made for conditional-1-120Hz and GCaMP6f" in result.output
    )


def test_the_df_f_of_one_spike_scales_counts_the_other_way(tmp_path: Path) -> None:
    gains = []
    for number, dff in enumerate((0.03, 0.06, 0.12)):  # 0.06 is what GCaMP6f has on average
        path = tmp_path / f"{number}.json"
        done = run("calibrate", "--indicator", "GCaMP6f", "--spike-dff", dff, "-o", path)
        assert done.exit_code == 0, done.output
        gains.append(json.loads(path.read_text())["gain"])
    assert gains[1] == 1
    assert gains[0] > 1.2 * gains[1]
    assert gains[2] < 0.8 * gains[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--spike-dff", "0.1"], "or --spike-dff with --indicator alone"),
        ([], "Expected labelled cells as SOURCE"),
        (["--spike-dff", "60", "--indicator", "GCaMP6f"], "dF/F of one spike from 0.005 to 4 for GCaMP6f"),
        (
            ["--spike-dff", "0.1", "--indicator", "GCaMP3"],
            "Expected an indicator with known kinetics, received GCaMP3.",
        ),
    ],
)
def test_a_response_that_cannot_be_is_told(words: list[str], said: str, tmp_path: Path) -> None:
    done = run("calibrate", *words, "-o", tmp_path / "lab.json")
    assert done.exit_code != 0
    assert said in " ".join(done.output.split())
