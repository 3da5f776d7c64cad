"""Results of CaImAn, EXTRACT, Inscopix, Minian and the Allen Brain Observatory (NWB 1) are recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.io import loadmat, savemat

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.cli import main
from nwb_cascade.core.noise import noise_level
from nwb_cascade.errors import InputError
from nwb_cascade.readers.inspecting import inspect
from nwb_cascade.readers.registry import reader_of
from tests.support import program_files as made
from tests.support.fake_runs import STORED, fake_run
from tests.support.recordings import dff_recording, simulated_dff
from tests.support.suite2p_files import write_suite2p

DFF = simulated_dff(4, 300)


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


def expected_rates(dff: Any, without: tuple[int, ...] = ()) -> Any:
    rates = np.maximum(0.75 * dff, 0)
    rates[:, :4] = np.nan
    rates[:, -3:] = np.nan
    rates[list(without)] = np.nan
    return rates


def record_of(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(output).with_suffix(".json").read_text())
    return found


def test_caiman_gives_its_accepted_components_at_its_rate(tmp_path: Path) -> None:
    path = made.write_caiman(tmp_path / "results.hdf5", DFF, **{"estimates/idx_components": np.array([0, 3])})
    result = annotate(path)
    assert (result.output, result.imaging_rate) == (str(tmp_path / "results_spikes.npy"), 30.0)
    np.testing.assert_allclose(np.load(result.output), expected_rates(DFF, (1, 2)), rtol=STORED)
    assert record_of(result.output)["source"]["format"] == "CaImAn"
    assert annotate(path).skipped
    everything = annotate(path, rois="all", output=tmp_path / "all.npy")
    np.testing.assert_allclose(np.load(everything.output), expected_rates(DFF), rtol=STORED)


def test_caiman_without_a_verdict_gives_all_and_a_given_rate_counts(tmp_path: Path) -> None:
    path = made.write_caiman(tmp_path / "results.h5", DFF)
    result = annotate(path, imaging_rate=15.0)
    assert np.isfinite(np.load(result.output)).any(axis=1).all()
    assert result.imaging_rate == 15.0
    assert "Frames follow at the given 15 Hz; the file says 30." in result.warnings


def test_caiman_without_dff_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"detrend_df_f\(\) and save the file anew. Its C is denoised:"):
        annotate(made.write_caiman(tmp_path / "results.hdf5", None))


def test_cnmf_e_is_one_photon(tmp_path: Path) -> None:
    traces = {"estimates/C": 80 * DFF, "estimates/YrA": np.ones_like(DFF)}
    path = made.write_caiman(tmp_path / "r.hdf5", None, **traces, **{"params/init/method_init": "corr_pnr"})
    with pytest.raises(InputError, match=r"one-photon microscope \(CaImAn ran CNMF-E.*--one-photon"):
        annotate(path)
    result = annotate(path, one_photon=True)
    assert result.series == "estimates/C + estimates/YrA"
    with_dff = made.write_caiman(tmp_path / "d.hdf5", DFF, **{"params/init/center_psf": True})
    with pytest.raises(InputError, match=r"one-photon microscope \(CaImAn ran CNMF-E.*--one-photon"):
        annotate(with_dff)


def test_inspect_shows_recordings_of_every_format(tmp_path: Path) -> None:
    verdict = {"estimates/idx_components": np.array([0, 3])}
    (caiman,) = inspect(made.write_caiman(tmp_path / "results.hdf5", DFF, **verdict))
    assert (caiman.object_path, caiman.kind, caiman.scale, caiman.imaging_rate) == (
        "estimates/F_dff",
        "dff",
        "fraction",
        30.0,
    )
    assert caiman.noise_levels is not None
    np.testing.assert_allclose(caiman.noise_levels.maximum, noise_level(DFF[[0, 3]], 30.0).max(), rtol=1e-5)
    assert caiman.problems == ("accepted is 0 for 2 of 4 ROIs.",)
    (allen,) = inspect(made.write_allen_nwb1(tmp_path / "allen.nwb", DFF), statistics=False)
    assert (allen.indicator, allen.n_frames, allen.noise_levels) == ("GCaMP6f", 300, None)
    write_suite2p(tmp_path / "s2p" / "plane0")
    write_suite2p(tmp_path / "s2p" / "plane1")
    planes = inspect(tmp_path / "s2p")
    assert [(one.object_path, one.kind, one.imaging_rate) for one in planes] == [
        ("plane0", "raw_fluorescence", 30.0),
        ("plane1", "raw_fluorescence", 30.0),
    ]
    assert [one.object_path for one in inspect(tmp_path / "s2p", series="plane1")] == ["plane1"]


def test_inspect_says_what_infer_will_ask_for(tmp_path: Path) -> None:
    np.save(tmp_path / "dff.npy", DFF)
    (matrix,) = inspect(tmp_path / "dff.npy")
    assert (matrix.imaging_rate, matrix.imaging_rates, matrix.noise_levels) == (None, (), None)
    assert matrix.problems == (f"{tmp_path / 'dff.npy'} states no imaging rate: give it with --imaging-rate HZ.",)
    path = made.write_inscopix(tmp_path / "traces.csv", DFF, ["accepted", "undecided", "rejected", "accepted"])
    (inscopix,) = inspect(path)
    assert "--one-photon" in inscopix.problems[0]
    assert inscopix.problems[1] == "accepted is 0 for 2 of 4 ROIs."
    with pytest.raises(InputError, match="detrend_df_f"):
        inspect(made.write_caiman(tmp_path / "results.hdf5", None))
    done = CliRunner().invoke(main, ["inspect", str(path), str(tmp_path / "dff.npy"), "--json"])
    assert done.exit_code == 0
    assert [one["series"][0]["kind"] for one in json.loads(done.stdout)] == ["dff", "dff"]


@pytest.mark.parametrize("name", ["v5.mat", "v73.mat"])
@pytest.mark.parametrize("struct", ["output", "extractAnalysisOutput"])
def test_extract_is_read_from_either_version_of_matlab(tmp_path: Path, name: str, struct: str) -> None:
    path = made.write_extract(tmp_path / name, DFF, struct=struct)
    result = annotate(path, imaging_rate=30.0)
    assert result.output == str(tmp_path / f"{path.stem}_spikes.mat")
    if name == "v5.mat":
        np.testing.assert_allclose(loadmat(result.output)["spike_prob"], expected_rates(DFF), rtol=STORED)
    assert annotate(path, imaging_rate=30.0).skipped
    with pytest.raises(InputError, match="states no imaging rate"):
        annotate(path)


def test_extract_on_a_movie_that_is_no_dff_or_was_thinned_is_told(tmp_path: Path) -> None:
    path = made.write_extract(tmp_path / "o73.mat", DFF, preprocess=0.0, downsample_time_by=4.0)
    notes = " ".join(annotate(path, imaging_rate=30.0).warnings)
    assert "config.preprocess is 0" in notes
    assert "thinned the movie in time 4-fold" in notes
    savemat(tmp_path / "other.mat", {"output": {"a": 1.0}, "dff": DFF})
    assert reader_of(tmp_path / "other.mat").kind == "a matrix"


def test_inscopix_gives_cells_that_were_accepted_and_is_one_photon(tmp_path: Path) -> None:
    statuses = ["accepted", "undecided", "rejected", "accepted"]
    path = made.write_inscopix(tmp_path / "traces.csv", 5 * DFF, statuses, start_s=2.0)
    with pytest.raises(InputError, match=r"one-photon microscope \(Inscopix's software exported it\)"):
        annotate(path)
    result = annotate(path, one_photon=True)
    rates = np.load(result.output)
    assert list(np.isfinite(rates).any(axis=1)) == [True, False, False, True]
    assert record_of(result.output)["start_s"] == pytest.approx(2.0)
    undecided = made.write_inscopix(tmp_path / "b.csv", DFF, ["undecided", "undecided", "rejected", "undecided"])
    rates = np.load(annotate(undecided, one_photon=True).output)
    assert list(np.isfinite(rates).any(axis=1)) == [True, True, False, True]
    (tmp_path / "c.csv").write_text("a,b\n1,2\n")
    assert reader_of(tmp_path / "c.csv").kind == "an NWB file"
    lines = path.read_text().splitlines()
    (tmp_path / "d.csv").write_text("\n".join([*lines[:5], "1.0, x, 1, 2, 3"]))
    with pytest.raises(InputError, match=r"times and traces as numbers in .*d\.csv"):
        annotate(tmp_path / "d.csv", one_photon=True)


def test_minian_gives_its_units_with_their_noise_where_it_was_saved(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    folder = made.write_minian(tmp_path / "minian", 30 * DFF, first_frame=5)
    with pytest.raises(InputError, match=r"states no imaging rate: give it with --imaging-rate"):
        annotate(folder, one_photon=True)
    with pytest.raises(InputError, match=r"minian:C comes from a one-photon microscope"):
        annotate(folder, imaging_rate=30.0)
    result = annotate(folder, imaging_rate=30.0, one_photon=True)
    assert result.output == str(folder / "expected_spikes.npy")
    assert any("C is denoised" in note for note in result.warnings)
    assert record_of(result.output)["roi_ids"] == [10, 11, 12, 13]
    made.write_minian(folder, 30 * DFF, name="YrA", first_frame=5)
    times = "\n".join(f"{frame},{1000 * frame / 30:.3f},0" for frame in range(400))
    (folder / "timeStamps.csv").write_text(f"Frame Number,Time Stamp (ms),Buffer Index\n{times}\n")
    result = annotate(folder, one_photon=True, output=tmp_path / "rates.npy")
    assert (result.series, round(result.imaging_rate, 2)) == ("YrA", 30.0)
    assert record_of(result.output)["start_s"] == pytest.approx(5 / 30, abs=1e-3)
    assert not any("C is denoised" in note for note in result.warnings)
    (folder / "YrA.zarr" / "zarr.json").touch()
    if zarr.__version__.startswith("2."):
        with pytest.raises(InputError, match=r"YrA\.zarr is a Zarr store of format 3.*numpy\.save\('traces\.npy'.*YrA"):
            annotate(folder, one_photon=True)


def test_allen_nwb_1_is_read_with_its_times_and_cells(tmp_path: Path) -> None:
    result = annotate(made.write_allen_nwb1(tmp_path / "510221121.nwb", DFF))
    np.testing.assert_allclose(np.load(result.output), expected_rates(DFF), rtol=STORED)
    record = record_of(result.output)
    assert result.indicator == "GCaMP6f"
    assert record["roi_ids"] == [517472000, 517472001, 517472002, 517472003]
    assert record["start_s"] == pytest.approx(8.7)
    assert reader_of(dff_recording(tmp_path / "two.nwb")).is_nwb


def test_options_that_do_not_apply_are_told(tmp_path: Path) -> None:
    path = made.write_caiman(tmp_path / "results.hdf5", DFF)
    with pytest.raises(InputError, match=r"--series does not apply to .*, a results file of CaImAn"):
        annotate(path, series="C")
    with pytest.raises(InputError, match="--in-place does not apply"):
        annotate(path, in_place=True)
