"""``nwb-cascade train`` and ``evaluate`` from files to bundle to table."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from nwb_cascade.cli import main
from nwb_cascade.models.bundle import load_bundle
from tests.support.ground_truth_files import write_cascade_mat
from tests.support.simulated_recordings import simulated_trial

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

FOLDERS = {0: "DS10-GCaMP6f-m-V1-neuropil-corrected", 1: "DS11-GCaMP6f-m-V1-neuropil-corrected"}


@pytest.fixture(scope="module")
def ground_truth(tmp_path_factory):
    root = tmp_path_factory.mktemp("ground_truth")
    for number, folder in FOLDERS.items():
        trial = simulated_trial(number, seconds=20.0)
        fields = {
            "events_AP": trial.spike_times[:, None] * 1e4,
            "fluo_time": trial.times[None],
            "fluo_mean": trial.dff[None],
        }
        write_cascade_mat(root, [fields], folder=folder, name=f"CAttached_Allen_X_10{number}000_mini.mat")
    return root


@pytest.fixture(scope="module")
def bundle(ground_truth, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    plan = {
        "ground-truth": str(ground_truth),
        "output": str(folder / "mine"),
        "architecture": "conditional",
        "networks": 2,
        "steps": 3,
        "seed": 5,
        "datasets": ["DS10", "DS11"],
        "licence": "CC0-1.0",
        "versions": 1,
        "settings": {"batch_size": 2, "n_frames": 64, "warmup_steps": 1, "decay_steps": 1, "checkpoint_steps": 1},
    }
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan))
    arguments = ["train", str(folder / "plan.yaml"), "--steps", "2"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder / "mine"


def test_training_writes_a_bundle_that_records_how_it_was_made(bundle):
    config = load_bundle(bundle).config
    assert config.name == "mine"
    assert config.ensemble_size == 2
    assert config.training_datasets == ("DS10", "DS11")
    assert [member["seed"] for member in config.extra["members"]] == [5, 6]
    assert config.extra["settings"]["n_steps"] == 2


def test_a_bundle_cites_the_datasets_it_was_trained_on_and_has_the_licence_it_was_given(bundle):
    config = load_bundle(bundle).config
    assert config.citation == "DS10, DS11: doi:10.7554/eLife.51675, doi:10.1038/s41593-021-00895-5."
    assert config.licence == "CC0-1.0"


def test_training_goes_on_from_another_model(bundle, ground_truth, tmp_path):
    plan = {"network": {"widths": [4, 4], "depths": [1, 1]}, "scale_shares": [1.0, 0.0, 0.0], "ensemble_size": 2}
    plan |= {"versions": 1, "settings": {"batch_size": 2, "n_frames": 64, "learning_rate": 0.0, "weight_decay": 0.0}}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    arguments = ["train", str(tmp_path / "plan.yaml"), "--ground-truth", str(ground_truth), "--steps", "1"]
    alone = CliRunner().invoke(main, [*arguments, "--output", str(tmp_path / "alone")], catch_exceptions=False)
    assert alone.exit_code == 0, alone.output
    assert load_bundle(tmp_path / "alone").config.network["widths"] == [4, 4]
    started = ["--output", str(tmp_path / "on"), "--start", str(bundle)]
    result = CliRunner().invoke(main, [*arguments, *started], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    after, before = load_bundle(tmp_path / "on"), load_bundle(bundle)
    assert after.config.extra["started_from"]["name"] == "mine"
    for key, value in before.weights.items():
        np.testing.assert_array_equal(after.weights[key], value)


def test_an_existing_bundle_is_not_overwritten_unasked(bundle, ground_truth):
    result = CliRunner().invoke(main, ["train", "--ground-truth", str(ground_truth), "--output", str(bundle)])
    assert result.exit_code != 0
    assert "--overwrite" in result.output


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("learning_speed: 3\n", "learning_speed"),
        ("- 3\n", "keys and values, received list"),
        ("networks: 3\nensemble_size: 3\n", "ensemble_size in two spellings"),
        ("networks: many\n", "'many' is not a valid integer"),
        ("ground-truth: nowhere\n", "'nowhere' does not exist"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(tmp_path, ground_truth, text, complaint):
    (tmp_path / "plan.yaml").write_text(text)
    arguments = ["train", str(tmp_path / "plan.yaml"), "--output", str(tmp_path / "x")]
    if "ground-truth" not in text:
        arguments += ["--ground-truth", str(ground_truth)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code != 0
    assert complaint in result.output


def test_every_option_of_a_training_may_stand_in_its_plan(tmp_path):
    options = [option for option in main.get_command(None, "train").params if option.param_type_name == "option"]
    assert {"ground_truth", "output", "ensemble_size"} <= {option.name for option in options}
    for option in options:
        key = max(option.opts, key=len).removeprefix("--")
        (tmp_path / "plan.yaml").write_text(yaml.safe_dump({key: "1"}))
        result = CliRunner().invoke(main, ["train", str(tmp_path / "plan.yaml")])
        assert "received unknown" not in result.output, key
        assert result.exit_code == 2, key


def test_evaluation_writes_one_row_per_cell_and_the_medians(bundle, ground_truth, tmp_path):
    arguments = ["evaluate", str(bundle), "--ground-truth", str(ground_truth), "--noise", "4", "--noise", "0.1"]
    files = ["--csv", str(tmp_path / "cells.csv"), "--json", str(tmp_path / "medians.json")]
    files += ["--figure", str(tmp_path / "cells.png"), "--coverage", str(tmp_path / "coverage.csv")]
    result = CliRunner().invoke(main, [*arguments, *files], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "left out, noise level" in result.output
    rows = list(csv.DictReader((tmp_path / "cells.csv").read_text().splitlines()))
    scored = [row for row in rows if not row["skipped"]]
    assert {(row["dataset"], row["noise_level"]) for row in scored} == {("DS10", "4.0"), ("DS11", "4.0")}
    assert all(np.isfinite(float(row["correlation"])) for row in scored)
    medians = json.loads((tmp_path / "medians.json").read_text())
    assert {entry["dataset"] for entry in medians} == {"DS10", "DS11"}
    assert (tmp_path / "cells.png").read_bytes().startswith(b"\x89PNG")
    coverage = list(csv.DictReader((tmp_path / "coverage.csv").read_text().splitlines()))
    assert [row["dataset"] for row in coverage] == ["DS10", "DS11", "all"]
    assert all(0 <= float(row["within_2_sd"]) <= 1 for row in coverage)


def test_held_out_evaluation_of_networks_that_saw_everything_gives_no_scores(bundle, ground_truth):
    arguments = ["evaluate", str(bundle), "--ground-truth", str(ground_truth), "--noise", "4", "--by-animal"]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "nan" in result.output
