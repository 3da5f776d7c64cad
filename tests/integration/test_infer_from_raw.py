"""``infer --from-raw``: dF/F from the raw fluorescence of a file or of a suite2p folder, recorded and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from pynwb import NWBHDF5IO

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.cli import main
from nwb_cascade.core.stretches import Stretch
from nwb_cascade.dff import DffMethod, compute_dff
from nwb_cascade.errors import AmbiguousSeriesError, InputError, NameTakenError
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.stored_run import open_run
from nwb_cascade.options import FromRaw
from tests.support import nwb_files
from tests.support.fake_runs import STORED, fake_run
from tests.support.raw_recordings import N_FRAMES, N_ROIS, RATE, raw_recording, traces
from tests.support.recordings import dff_recording


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


def rates_of(dff: Any) -> Any:
    """What the fake ensemble gives for dF/F."""
    rates = np.maximum(0.75 * dff, 0)
    rates[:, :4] = rates[:, -3:] = np.nan
    return rates


def stored(path: str) -> tuple[Any, dict[str, Any], str]:
    with open_nwb(Path(path)) as (nwbfile, _):
        series = nwbfile.processing["ophys"]["InferredSpikeRates"]
        return series.data[:].T, json.loads(series.run_parameters), series.description


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["infer", *map(str, arguments)])


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return raw_recording(tmp_path / "raw.nwb")


def test_dff_is_computed_with_the_neuropil_of_the_file_and_recorded(recording: Path) -> None:
    result = annotate(recording, from_raw=FromRaw())
    cells, around = traces()
    wanted = compute_dff(cells, RATE, DffMethod(), neuropil=around)
    assert wanted.outcomes == ("ok", "ok", "ok", "excluded")
    rates, parameters, description = stored(result.output)
    np.testing.assert_allclose(rates, rates_of(wanted.dff), rtol=STORED, atol=1e-5)
    assert parameters["dff"]["neuropil_series"] == "/processing/ophys/Neuropil/plane0"
    assert parameters["dff"]["method"]["neuropil_factor"] == 0.7
    assert "dF/F computed from /processing/ophys/Fluorescence/plane0 (F - 0.7 neuropil" in description
    assert "computed from raw fluorescence, F - 0.7 neuropil, running rest level over 180 s" in result.describe()


def test_a_baseline_that_cannot_divide_is_a_warning_of_its_roi(recording: Path) -> None:
    result = annotate(recording, from_raw=FromRaw())
    warned = {warning.roi: warning for warning in result.roi_warnings if warning.code == "dff-excluded"}
    assert list(warned) == [N_ROIS - 1]
    assert "dF/F is undefined" in warned[N_ROIS - 1].message
    with open_run(Path(result.output)) as stored_run:
        assert stored_run.roi_warnings == result.roi_warnings
        np.testing.assert_array_equal(np.isnan(stored_run.dff[N_ROIS - 1]), True)
        assert np.isfinite(stored_run.dff[0]).all()
    restored = annotate(recording, from_raw=FromRaw(DffMethod(guard="restore-neuropil")), overwrite=True)
    assert {warning.code for warning in restored.roi_warnings if warning.roi == N_ROIS - 1} >= {"dff-restored"}


def test_the_method_is_part_of_what_makes_a_run_the_same(recording: Path) -> None:
    assert not annotate(recording, from_raw=FromRaw()).skipped
    assert annotate(recording, from_raw=FromRaw()).skipped
    with pytest.raises(NameTakenError, match="without this run"):
        annotate(recording, from_raw=FromRaw(DffMethod(baseline="percentile", percentile=20)))


def test_without_neuropil_nothing_is_subtracted_and_that_is_said(tmp_path: Path) -> None:
    recording = raw_recording(tmp_path / "raw.nwb", neuropil=False)
    result = annotate(recording, from_raw=FromRaw())
    assert any("holds no neuropil traces" in note and "none was subtracted" in note for note in result.warnings)
    wanted = compute_dff(traces()[0], RATE, DffMethod(neuropil="none")).dff
    np.testing.assert_allclose(stored(result.output)[0], rates_of(wanted), rtol=STORED, atol=1e-5)
    with pytest.raises(InputError, match=r"Expected neuropil traces .*found none in the file.*--neuropil none"):
        annotate(recording, from_raw=FromRaw(neuropil=0.7), overwrite=True)


def test_fluorescence_that_is_corrected_already_is_not_corrected_again(tmp_path: Path) -> None:
    recording = raw_recording(tmp_path / "raw.nwb", description="Fluorescence, neuropil-corrected.")
    result = annotate(recording, from_raw=FromRaw(), dry_run=True)
    assert any("corrected already" in note for note in result.warnings)


def test_raw_fluorescence_is_refused_without_the_option_and_dff_with_it(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"only raw fluorescence.*--from-raw"):
        annotate(recording)
    with pytest.raises(InputError, match=r"Expected raw fluorescence in the file, found .*dff"):
        annotate(dff_recording(tmp_path / "dff.nwb"), from_raw=FromRaw())
    with pytest.raises(InputError, match=r"holds dF/F already \(leave out --from-raw\)"):
        annotate(tmp_path / "dff.nwb", from_raw=FromRaw(), series="RoiResponseSeries")
    with pytest.raises(InputError, match="Expected no scale"):
        annotate(recording, from_raw=FromRaw(), scale="percent")
    with pytest.raises(InputError, match=r"Expected a series 'nowhere', found"):
        annotate(recording, from_raw=FromRaw(neuropil_series="nowhere"), dry_run=True)


def test_planes_of_suite2p_in_nwb_find_their_own_neuropil(tmp_path: Path) -> None:
    recording = nwb_files.suite2p(tmp_path / "planes.nwb")
    with pytest.raises(AmbiguousSeriesError, match="Expected one series of raw fluorescence, found 2"):
        annotate(recording, from_raw=FromRaw())
    how = FromRaw(DffMethod(guard="restore-neuropil"))
    result = annotate(recording, from_raw=how, series="/processing/ophys/Fluorescence/plane1")
    assert stored_neuropil(result.output, result.run_name) == "/processing/ophys/Neuropil/plane1"
    assert result.run_name == "InferredSpikeRates_plane1"


def stored_neuropil(path: str, name: str) -> str:
    with open_nwb(Path(path)) as (nwbfile, _):
        return json.loads(nwbfile.processing["ophys"][name].run_parameters)["dff"]["neuropil_series"]


def test_the_command_computes_as_asked_and_says_so(recording: Path) -> None:
    result = run(
        recording, "--from-raw", "--neuropil", "fit", "--percentile", 20, "--window", 10, "--guard", "noise-floor"
    )
    assert result.exit_code == 0, result.output
    assert "F - a fitted share of the neuropil, running percentile 20 over 10 s, guard noise-floor" in result.stdout
    method = stored(str(recording.with_name("raw_spikes.nwb")))[1]["dff"]["method"]
    assert (method["neuropil"], method["percentile"], method["window_s"]) == ("robust", 20.0, 10.0)
    again = ("--dff-preset", "suite2p", "--run-name", "Maximin", "--in-place")
    result = run(recording, "--from-raw", *again, "--dry-run")
    assert "running minimum and maximum over 60 s" in result.stdout


def test_options_that_apply_to_nothing_are_usage_errors(recording: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ((recording, "--window", 10), "--window needs --from-raw"),
        ((recording, "--from-raw", "--neuropil", "much"), "--neuropil as a number, 'fit' or 'none'"),
    ):
        result = run(*arguments)
        assert (result.exit_code, message in result.stderr) == (2, True), result.output
    np.save(tmp_path / "m.npy", np.zeros((2, 100), np.float32))
    result = run(tmp_path / "m.npy", "--imaging-rate", 30, "--from-raw")
    assert "--from-raw does not apply" in result.stderr


def test_a_baseline_ends_where_the_recording_pauses(tmp_path: Path) -> None:
    frames = np.arange(N_FRAMES)
    brighter, times = np.where(frames < 400, 1.0, 3.0), frames / RATE + 60.0 * (frames >= 400)
    result = annotate(raw_recording(tmp_path / "raw.nwb", gain=brighter, timestamps=times), from_raw=FromRaw())
    cells, around = traces()
    stretches = (Stretch(0, 400, RATE), Stretch(400, N_FRAMES, RATE))
    wanted = compute_dff(cells * brighter, RATE, DffMethod(), neuropil=around * brighter, stretches=stretches).dff
    assert abs(np.median(wanted[0, 400:])) < 0.3  # not that of the darker light before
    with open_run(Path(result.output)) as run:
        np.testing.assert_allclose(run.dff[:], wanted, atol=1e-5)
        np.testing.assert_allclose(run.rates[0, 410:890], rates_of(wanted)[0, 410:890], rtol=STORED, atol=1e-5)
    assert any("2 stretches are shorter than 30 s" in note for note in result.warnings)


def test_frames_that_are_masked_are_no_baseline(tmp_path: Path) -> None:
    path = raw_recording(tmp_path / "raw.nwb")
    with NWBHDF5IO(str(path), "a") as io:
        nwbfile = io.read()
        series = nwbfile.processing["ophys"]["Fluorescence"]["plane0"]
        series.data[300:450] = 0  # blanked
        nwbfile.add_invalid_time_interval(start_time=10.0, stop_time=14.99)
        io.write(nwbfile)
    with open_run(Path(annotate(path, from_raw=FromRaw(), output=tmp_path / "masked.nwb").output)) as run:
        cells, around = traces()
        blanked = (np.arange(N_FRAMES) >= 300) & (np.arange(N_FRAMES) < 450)
        wanted = compute_dff(cells, RATE, DffMethod(), neuropil=around, bad_frames=blanked).dff
        assert np.isnan(run.rates[0, 300:450]).all()
        np.testing.assert_allclose(run.rates[0, 460:890], rates_of(wanted)[0, 460:890], rtol=STORED, atol=1e-5)


def plane_folder(folder: Path, *, neuropil: bool = True, cells: bool = True) -> Path:
    """A plane of suite2p in which the second ROI is no cell and frame 100 moved."""
    folder.mkdir(parents=True)
    fluorescence, around = traces()
    np.save(folder / "F.npy", fluorescence)
    if neuropil:
        np.save(folder / "Fneu.npy", around)
    verdict = np.array([1.0, 0.0, 1.0, 1.0]) if cells else np.zeros(N_ROIS)
    np.save(folder / "iscell.npy", np.column_stack([verdict, verdict]))
    bad = np.zeros(N_FRAMES, bool)
    bad[100] = True
    ops: Any = {"fs": RATE, "neucoeff": 0.5, "badframes": bad}
    np.save(folder / "ops.npy", ops)
    return folder


def test_a_folder_of_suite2p_gives_the_rates_of_its_cells(tmp_path: Path) -> None:
    folder = plane_folder(tmp_path / "suite2p" / "plane0")
    result = annotate(tmp_path)
    assert Path(result.output) == folder / "expected_spikes.npy"
    fluorescence, around = traces()
    bad = np.arange(N_FRAMES) == 100
    wanted = compute_dff(fluorescence, RATE, DffMethod(neuropil_factor=0.5), neuropil=around, bad_frames=bad)
    rates = np.load(result.output)
    assert rates.shape == (4, N_FRAMES)
    assert np.isnan(rates[1]).all()
    np.testing.assert_allclose(rates[0, 5:90], np.maximum(0.75 * wanted.dff[0, 5:90], 0), rtol=STORED, atol=1e-5)
    assert np.isnan(rates[:, 100]).all()
    record = json.loads((folder / "expected_spikes.json").read_text())
    assert record["roi_ids"] == [0, 1, 2, 3]
    assert record["parameters"]["rois"]["column"] == "iscell"
    assert record["imaging_rate"] == RATE
    assert (record["parameters"]["dff"]["neuropil_factor"], record["source"]["format"]) == (0.5, "suite2p")
    assert annotate(folder).skipped
    with pytest.raises(NameTakenError, match="made from other inputs"):
        annotate(folder, from_raw=FromRaw(DffMethod()))


def test_the_command_takes_folders_of_suite2p(tmp_path: Path) -> None:
    folder = plane_folder(tmp_path / "suite2p" / "plane0", neuropil=False)
    result = run(folder, "-o", tmp_path / "out.mat")
    assert result.exit_code == 0, result.output
    assert "computed from raw fluorescence, F without neuropil" in result.stdout
    assert "holds no neuropil traces: none was subtracted" in result.stdout
    assert (tmp_path / "out.mat").exists()
    refused = run(folder, "--neuropil", "0.7")
    assert (refused.exit_code, "Expected neuropil traces (Fneu.npy)" in refused.stderr) == (1, True)
    for option in (("--in-place",), ("--imaging-rate", 30), ("--scale", "percent")):
        result = run(folder, *option)
        assert (result.exit_code, f"{option[0]} does not apply to {folder}" in result.stderr) == (2, True), (
            result.output
        )


def test_folders_of_suite2p_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    folder = plane_folder(tmp_path / "plane0", cells=False)
    with pytest.raises(InputError, match=r"the column iscell of .*plane0 accepts none of 4"):
        annotate(folder)
    with pytest.raises(InputError, match=r"ending in .npy, .npz or .mat"):
        annotate(plane_folder(tmp_path / "plane1"), output=tmp_path / "x.csv")
    with pytest.raises(InputError, match="suite2p's own"):
        annotate(tmp_path / "plane1", output=tmp_path / "plane1" / "spks.npy")
