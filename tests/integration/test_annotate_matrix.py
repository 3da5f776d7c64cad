"""Matrices in, matrices out: with what made them, recognised when they are there already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat

import nwb_cascade.annotation.annotate
import nwb_cascade.writers.matrix
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.files.matrices import write_mat73
from nwb_cascade.files.replace import install
from nwb_cascade.readers.matrix import is_mat73, open_matrix, read_text
from tests.support.annotating import hidden_files
from tests.support.fake_runs import STORED, fake_run
from tests.support.recordings import simulated_dff


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


def matrix_file(path: Path, dff: Any = None) -> Path:
    """Write traces as dF_traces in the format that the name asks for."""
    traces = simulated_dff() if dff is None else dff
    if path.name.endswith("73.mat"):
        write_mat73(path, {"dF_traces": traces})
    elif path.suffix == ".mat":
        savemat(path, {"dF_traces": traces})
    else:
        np.save(path, traces)
    return path


def expected_rates(dff: Any) -> Any:
    rates = np.maximum(0.75 * dff, 0)
    rates[:, :4] = np.nan
    rates[:, -3:] = np.nan
    return rates


def test_npy_gives_npy_with_a_record(tmp_path: Path) -> None:
    result = annotate(matrix_file(tmp_path / "mouse 7 ü.npy"), imaging_rate=30.0)
    output = tmp_path / "mouse 7 ü_spikes.npy"
    assert result.output == str(output)
    np.testing.assert_allclose(np.load(output), expected_rates(simulated_dff()), rtol=STORED)
    assert np.load(tmp_path / "mouse 7 ü_spikes_std.npy").shape == (4, 300)
    record = json.loads((tmp_path / "mouse 7 ü_spikes.json").read_text())
    assert record["valid_frames"] == [[4, 297]] * 4
    assert len(record["noise_levels"]) == 4
    assert record["file_name"] == "mouse 7 ü.npy"
    assert record["run_key"] == result.run_key
    assert record["model"]["name"] == "fake_30Hz"
    assert hidden_files(tmp_path) == []


@pytest.mark.parametrize("name", ["v5.mat", "v73.mat"])
def test_mat_gives_mat_of_the_same_version(tmp_path: Path, name: str) -> None:
    output = Path(annotate(matrix_file(tmp_path / name), imaging_rate=30.0).output)
    assert is_mat73(output) == name.startswith("v73")
    with open_matrix(output, "spike_prob") as rates:
        np.testing.assert_allclose(rates[0:4], expected_rates(simulated_dff()), rtol=STORED)
    with open_matrix(output, "valid_frames") as frames:
        np.testing.assert_array_equal(frames[0:1], [[4, 297]])
    record = json.loads(read_text(output, "nwb_cascade_record") or "")
    assert record["parameters"]["threshold"] == "nonnegative"


def test_npy_may_become_mat(tmp_path: Path) -> None:
    annotate(matrix_file(tmp_path / "a.npy"), imaging_rate=30.0, output=tmp_path / "b.mat", ensemble_std=False)
    found = loadmat(tmp_path / "b.mat")
    np.testing.assert_allclose(found["spike_prob"], expected_rates(simulated_dff()), rtol=STORED)
    np.testing.assert_allclose(found["spike_rates"], 30 * found["spike_prob"], rtol=1e-6)
    assert found["imaging_rate"] == 30.0
    assert "ensemble_std" not in found


@pytest.mark.parametrize("name", ["a.npy", "v5.mat", "v73.mat"])
def test_the_same_run_is_skipped_and_another_one_refused(tmp_path: Path, name: str) -> None:
    path = matrix_file(tmp_path / name)
    output = Path(annotate(path, imaging_rate=30.0).output)
    before = output.read_bytes()
    assert annotate(path, imaging_rate=30.0).skipped
    with pytest.raises(NameTakenError, match=r"exists and was made from other inputs.*--overwrite"):
        annotate(path, imaging_rate=30.0, threshold="raw")
    assert output.read_bytes() == before
    assert not annotate(path, imaging_rate=30.0, threshold="raw", overwrite=True).skipped
    matrix_file(path, simulated_dff(seed=5))
    with pytest.raises(NameTakenError, match="made from other inputs"):
        annotate(path, imaging_rate=30.0, threshold="raw")


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    assert annotate(matrix_file(tmp_path / "a.npy"), imaging_rate=30.0, dry_run=True).dry_run
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_percent_is_asked_for_and_applied(tmp_path: Path) -> None:
    path = matrix_file(tmp_path / "a.npy", 100 * simulated_dff())
    with pytest.raises(InputError, match=r"in .*a\.npy, but the values look like percent: .*--scale"):
        annotate(path, imaging_rate=30.0)
    output = annotate(path, imaging_rate=30.0, scale="percent").output
    np.testing.assert_allclose(np.load(output), expected_rates(simulated_dff()), rtol=STORED)
    with pytest.raises(InputError, match="scale out of fraction, percent, received 'permille'"):
        annotate(path, imaging_rate=30.0, scale="permille")


def test_raw_fluorescence_is_refused(tmp_path: Path) -> None:
    path = matrix_file(tmp_path / "a.npy", 1000 + 100 * simulated_dff())
    with pytest.raises(InputError, match=r"look like counts: .*raw fluorescence must become dF/F first"):
        annotate(path, imaging_rate=30.0)


def test_more_rois_than_frames_is_worth_a_word(tmp_path: Path) -> None:
    result = annotate(matrix_file(tmp_path / "a.npy", simulated_dff(60, 40)), imaging_rate=30.0)
    assert "more ROIs (60) than frames (40); transpose it" in result.warnings[0]


@pytest.mark.parametrize("shape", [(300,), (2, 3, 4)])
def test_a_matrix_has_two_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = matrix_file(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(InputError, match=r"Expected dff of shape \(n_rois, n_frames\)"):
        annotate(path, imaging_rate=30.0)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_a_rate_that_is_none_is_refused(tmp_path: Path, rate: float) -> None:
    with pytest.raises(InputError, match="Expected a positive imaging rate in Hz"):
        annotate(matrix_file(tmp_path / "a.npy"), imaging_rate=rate)


def test_nan_everywhere_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    path = matrix_file(tmp_path / "a.npy", np.full((2, 300), np.nan))
    with pytest.raises(InputError, match=r"at least one trace with values .*a\.npy"):
        annotate(path, imaging_rate=30.0)
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"Expected a matrix at .*a\.npy, but there is no such file"):
        annotate(tmp_path / "a.npy", imaging_rate=30.0)


def test_a_disk_that_is_too_small_is_found_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = matrix_file(tmp_path / "a.npy")

    def full(folder: Path, n_bytes: int, what: str) -> None:
        raise OSError(f"No space left for {what}")

    monkeypatch.setattr(nwb_cascade.annotation.annotate, "require_space", full)
    with pytest.raises(OSError, match=r"No space left for the result of a\.npy"):
        annotate(path, imaging_rate=30.0)


def test_what_is_none_of_ours_is_never_replaced(tmp_path: Path) -> None:
    path = matrix_file(tmp_path / "a.npy")
    (tmp_path / "b.json").write_text('{"mine": 1}')
    matrix_file(tmp_path / "c.mat")
    matrix_file(tmp_path / "d.npy")
    for output, told in (("b.npy", "b.json"), ("c.mat", "c.mat"), ("d.npy", "d.npy")):
        with pytest.raises(NameTakenError, match=rf"{told} exists and is none of ours"):
            annotate(path, imaging_rate=30.0, output=tmp_path / output, overwrite=True)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.npy", "b.json", "c.mat", "d.npy"]


@pytest.mark.parametrize("n_installed", [0, 1, 2])
def test_a_result_that_was_replaced_in_part_is_not_taken_for_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_installed: int
) -> None:
    """As if the process had been killed between the files of a result."""
    path, left = matrix_file(tmp_path / "a.npy"), [n_installed]

    def dying(*arguments: Any, **options: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        install(*arguments, **options)

    annotate(path, imaging_rate=30.0)
    with monkeypatch.context() as patch:
        patch.setattr(nwb_cascade.writers.matrix, "install", dying)
        with pytest.raises(KeyboardInterrupt):
            annotate(path, imaging_rate=30.0, threshold="raw", overwrite=True)
    for threshold in ("nonnegative", "raw"):
        with pytest.raises(NameTakenError, match="made from other inputs"):
            annotate(path, imaging_rate=30.0, threshold=threshold)
    assert not annotate(path, imaging_rate=30.0, threshold="raw", overwrite=True).skipped
    assert np.nanmin(np.load(tmp_path / "a_spikes.npy")) < 0
