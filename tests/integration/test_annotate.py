"""Annotating a recording: what is written, where, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO

import nwb_cascade.annotation.annotate
from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.errors import AmbiguousSeriesError, InputError, NameTakenError
from nwb_cascade.nwb.files import open_nwb
from tests.support.annotating import contents, hidden_files, run_python
from tests.support.fake_runs import STORED, fake_run
from tests.support.recordings import add_dff, bare_nwbfile, dff_recording, simulated_dff, write_recording


@pytest.fixture(autouse=True)
def _without_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nwb_cascade.annotation.annotate, "prepare_run", fake_run)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return dff_recording(tmp_path / "mouse 7 ü.nwb")


def stored_rates(path: Path, name: str = "InferredSpikeRates") -> Any:
    """Values of a run, (n_frames, n_rois)."""
    with open_nwb(path) as (nwbfile, _):
        return nwbfile.processing["ophys"][name].data[:]


def expected_rates(dff: Any) -> Any:
    """What the fake ensemble gives, (n_rois, n_frames)."""
    rates = np.maximum(0.75 * dff, 0)
    rates[:, :4] = np.nan
    rates[:, -3:] = np.nan
    return rates


@pytest.mark.parametrize("suffix", [".nwb", ".nwb.zarr"])
def test_a_copy_beside_the_recording_holds_the_rates(tmp_path: Path, suffix: str) -> None:
    recording = dff_recording(tmp_path / f"sub-1_ophys{suffix}")
    result = annotate(recording)
    assert result.output == str(tmp_path / f"sub-1_desc-spikes_ophys{suffix}")
    np.testing.assert_allclose(stored_rates(Path(result.output)).T, expected_rates(simulated_dff()), rtol=STORED)
    assert (result.n_rois, result.n_frames, result.n_inferred, result.imaging_rate) == (4, 300, 4, 30.0)
    assert (result.object_path, result.series) == (
        "/processing/ophys/InferredSpikeRates",
        "/processing/ophys/DfOverF/RoiResponseSeries",
    )
    assert hidden_files(tmp_path) == []
    with open_nwb(recording) as (nwbfile, _):
        assert "InferredSpikeRates" not in nwbfile.processing["ophys"].data_interfaces


def test_the_recording_itself_is_not_touched_by_a_copy(recording: Path) -> None:
    before = recording.read_bytes(), recording.stat().st_mtime_ns
    annotate(recording)
    assert (recording.read_bytes(), recording.stat().st_mtime_ns) == before


@pytest.mark.parametrize("in_place", [True, False])
def test_earlier_content_stays_identical(recording: Path, in_place: bool) -> None:
    before = contents(recording)
    result = annotate(recording, in_place=in_place)
    after = contents(Path(result.output))
    assert before.items() <= after.items()
    added = {path.split("@")[0] for path in after.keys() - before.keys()}
    assert all(
        path.startswith(("processing/ophys/InferredSpikeRates", "processing/ophys/fake_30Hz", "general/was_generated"))
        for path in added
    )


def test_in_place_keeps_permissions_and_links(recording: Path) -> None:
    recording.chmod(0o640)
    link = recording.with_name("link.nwb")
    link.symlink_to(recording)
    result = annotate(link, in_place=True)
    assert link.is_symlink()
    assert result.output == str(recording)
    assert recording.stat().st_mode & 0o777 == 0o640
    assert stored_rates(recording).shape == (300, 4)


def test_provenance_tells_source_model_and_parameters(recording: Path) -> None:
    result = annotate(recording, threshold="raw", legacy_alignment=True, indicator="GCaMP6s")
    with open_nwb(Path(result.output)) as (nwbfile, _):
        series = nwbfile.processing["ophys"]["InferredSpikeRates"]
        source = json.loads(series.source_provenance)
        parameters = json.loads(series.run_parameters)
        source_id = series.source_series.object_id
    assert source["object_id"] == source_id
    assert (source["file_name"], source["file_identifier"], source["session_id"]) == (
        recording.name,
        "recording-1",
        "a",
    )
    assert (source["n_rois"], source["n_frames"], source["imaging_rate_hz"]) == (4, 300, 30.0)
    assert (parameters["threshold"], parameters["alignment"], parameters["indicator"]) == (
        "raw",
        "published",
        "GCaMP6s",
    )
    assert parameters["model_choice"] == result.reason
    assert "nwb-cascade" in parameters["software"]


def test_the_indicator_of_the_file_is_used(recording: Path) -> None:
    assert annotate(recording, dry_run=True).indicator == "GCaMP6f"


def test_results_are_plain_values_for_json(recording: Path) -> None:
    dff = simulated_dff()
    dff[1] = np.nan
    noisy = dff_recording(recording.with_name("b.nwb"), dff)
    values = json.loads(json.dumps(annotate(noisy).to_dict()))
    assert values["n_inferred"] == 3
    assert [warning["roi"] for warning in values["roi_warnings"]] == [1]
    assert set(values["seconds"]) == {"infer", "store"}


def test_warnings_stand_beside_the_values(recording: Path) -> None:
    dff = simulated_dff()
    dff[1] = np.nan
    result = annotate(dff_recording(recording.with_name("b.nwb"), dff))
    with open_nwb(Path(result.output)) as (nwbfile, _):
        series = nwbfile.processing["ophys"]["InferredSpikeRates"]
        texts = list(series.roi_warnings[:])
        assert np.isnan(series.data[:, 1]).all()
        assert np.isnan(series.model_noise_level[1])
        assert list(series.valid_frames[1]) == [0, 0]
    assert texts == ["", "all-missing: no finite frame, nothing inferred", "", ""]
    assert "ROIs" in result.describe()


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(recording: Path) -> None:
    before = recording.read_bytes()
    result = annotate(recording, dry_run=True, in_place=True)
    assert result.dry_run
    assert result.reason == "fake_30Hz was made up for tests."
    assert result.describe().startswith(f"Would write {recording}: InferredSpikeRates for 4 ROIs")
    assert recording.read_bytes() == before
    assert [p.name for p in recording.parent.iterdir()] == [recording.name]


@pytest.mark.parametrize("in_place", [True, False])
def test_the_same_run_is_recognised_and_skipped(recording: Path, in_place: bool) -> None:
    first = annotate(recording, in_place=in_place)
    before = Path(first.output).read_bytes()
    second = annotate(recording, in_place=in_place)
    assert (first.skipped, second.skipped) == (False, True)
    assert second.describe().startswith(f"Already in {first.output}")
    assert Path(first.output).read_bytes() == before


def test_an_annotated_copy_is_not_annotated_again(recording: Path) -> None:
    copy = Path(annotate(recording).output)
    again = annotate(copy)
    assert again.skipped
    assert again.output == str(copy)


@pytest.mark.parametrize(
    "change",
    [{"threshold": "raw"}, {"model": "other"}, {"legacy_alignment": True}, {"ensemble_std": False}, {"indicator": "x"}],
)
def test_another_run_of_the_same_name_is_refused(recording: Path, change: dict[str, Any]) -> None:
    annotate(recording, in_place=True)
    before = recording.read_bytes()
    with pytest.raises(NameTakenError, match=r"The name /processing/ophys/InferredSpikeRates is taken by a run"):
        annotate(recording, in_place=True, **change)
    assert recording.read_bytes() == before


def test_dff_that_was_computed_anew_is_not_taken_for_the_old_one(recording: Path) -> None:
    annotate(recording, in_place=True)
    with h5py.File(recording, "r+") as file:
        file["processing/ophys/DfOverF/RoiResponseSeries/data"][:] *= 2
    with pytest.raises(NameTakenError, match="taken by a run made from other inputs"):
        annotate(recording, in_place=True)
    assert not annotate(recording, in_place=True, overwrite=True).skipped
    np.testing.assert_allclose(stored_rates(recording).T, expected_rates(2 * simulated_dff()), rtol=STORED)


def linked_recording(folder: Path) -> Path:
    """A recording whose dF/F values lie in a second file, named relatively."""
    path = dff_recording(folder / "a.nwb")
    with h5py.File(path, "r+") as file, h5py.File(folder / "values.h5", "w") as values:
        series = file["processing/ophys/DfOverF/RoiResponseSeries"]
        file.copy(series["data"], values, "data")
        del series["data"]
        series["data"] = h5py.ExternalLink("values.h5", "/data")
    return path


def test_values_in_another_file_are_found_from_the_copy(tmp_path: Path) -> None:
    path = linked_recording(tmp_path)
    output = Path(annotate(path).output)
    np.testing.assert_allclose(stored_rates(output).T, expected_rates(simulated_dff()), rtol=STORED)
    annotate(path, in_place=True)
    with h5py.File(path) as file:
        link = file["processing/ophys/DfOverF/RoiResponseSeries"].get("data", getlink=True)
        assert (link.filename, link.path) == ("values.h5", "/data")


def test_a_copy_elsewhere_that_would_lose_parts_is_refused(tmp_path: Path) -> None:
    path = linked_recording(tmp_path)
    match = r"parts of .*a\.nwb lie in values\.h5, which a copy in .* not find"
    with pytest.raises(InputError, match=match):
        annotate(path, output=tmp_path / "elsewhere" / "a.nwb")
    assert not (tmp_path / "elsewhere").exists()


def test_overwriting_replaces_one_run_and_keeps_the_others(recording: Path) -> None:
    annotate(recording, in_place=True)
    annotate(recording, in_place=True, run_name="Raw rates", threshold="raw")
    kept = stored_rates(recording, "Raw rates")
    annotate(recording, in_place=True, threshold="raw", overwrite=True)
    np.testing.assert_array_equal(stored_rates(recording), kept)
    np.testing.assert_array_equal(stored_rates(recording, "Raw rates"), kept)


def test_an_output_made_otherwise_is_replaced_only_on_request(recording: Path) -> None:
    output = Path(annotate(recording).output)
    with pytest.raises(NameTakenError, match=r"exists without this run\. Choose another output .*--overwrite"):
        annotate(recording, threshold="raw")
    annotate(recording, threshold="raw", overwrite=True)
    assert np.nanmin(stored_rates(output)) < 0


def test_overwriting_an_output_never_loses_other_runs_in_it(recording: Path) -> None:
    output = Path(annotate(recording).output)
    with pytest.raises(NameTakenError, match=r"exists and holds /processing/ophys/InferredSpikeRates, which .* lose"):
        annotate(recording, run_name="Other", overwrite=True)
    assert stored_rates(output).shape == (300, 4)


def test_an_output_that_is_something_else_is_never_replaced(recording: Path, tmp_path: Path) -> None:
    nwbfile = bare_nwbfile(identifier="another")
    add_dff(nwbfile, simulated_dff())
    other = write_recording(tmp_path / "other.nwb", nwbfile)
    text = tmp_path / "notes.nwb"
    text.write_text("not NWB")
    with pytest.raises(InputError, match=r"other\.nwb exists and is not replaced: it is another recording"):
        annotate(recording, output=other, overwrite=True)
    with pytest.raises(InputError, match=r"notes\.nwb exists and is not replaced: Expected an NWB file"):
        annotate(recording, output=text, overwrite=True)
    assert text.read_text() == "not NWB"


def test_several_series_get_runs_of_their_own(tmp_path: Path) -> None:
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, simulated_dff(3), name="plane0")
    add_dff(nwbfile, simulated_dff(2, seed=1), name="plane1", rate=15.0)
    path = write_recording(tmp_path / "a.nwb", nwbfile)
    with pytest.raises(AmbiguousSeriesError, match=r"found 2: .*plane0.*plane1.*--series"):
        annotate(path)
    annotate(path, in_place=True, series="plane0")
    annotate(path, in_place=True, series="plane1")
    with open_nwb(path) as (opened, _):
        module = opened.processing["ophys"]
        assert module["InferredSpikeRates_plane0"].data.shape == (300, 3)
        assert module["InferredSpikeRates_plane1"].data.shape == (300, 2)
        assert module["InferredSpikeRates_plane1"].rate == 15.0


def test_rates_share_irregular_looking_but_regular_timestamps(tmp_path: Path) -> None:
    times = 100 + np.arange(300) / 30.0 + np.random.default_rng(0).uniform(-1e-3, 1e-3, 300)
    path = dff_recording(tmp_path / "a.nwb", timestamps=times)
    result = annotate(path, in_place=True)
    assert result.imaging_rate == pytest.approx(30.0, rel=1e-3)
    with open_nwb(path) as (nwbfile, _):
        np.testing.assert_array_equal(nwbfile.processing["ophys"]["InferredSpikeRates"].timestamps[:], times)


def test_percent_becomes_fraction_when_told_so(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb", 100 * simulated_dff())
    with pytest.raises(InputError, match=r"may be in percent.*--scale"):
        annotate(path)
    result = annotate(path, scale="percent")
    np.testing.assert_allclose(stored_rates(Path(result.output)).T, expected_rates(simulated_dff()), rtol=STORED)


def test_nan_everywhere_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb", np.full((3, 300), np.nan, np.float32))
    match = r"at least one trace with values .*RoiResponseSeries.*3 of 3 ROIs: no finite frame"
    with pytest.raises(InputError, match=match):
        annotate(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.nwb"]


def test_traces_shorter_than_the_window_are_an_error(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb", simulated_dff(2, 7))
    with pytest.raises(InputError, match=r"2 ROIs, 7 frames\); nothing was written"):
        annotate(path)


def test_the_result_opens_with_pynwb_and_the_extension_alone(recording: Path) -> None:
    output = annotate(recording).output
    process = run_python(
        f"""
        import sys
        sys.modules["nwb_cascade"] = None
        import ndx_spike_inference
        from pynwb import read_nwb
        rates = read_nwb({output!r}).processing["ophys"]["InferredSpikeRates"]
        print(type(rates).__name__, rates.data.shape, rates.unit, rates.model.name, rates.model.weights_sha256[:4])
        """
    )
    assert process.stdout.split("\n")[0] == "InferredSpikeRateSeries (300, 4) spikes/frame fake_30Hz abab", (
        process.stderr
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of nwbinspector's own dependencies
def test_validators_find_nothing_critical(recording: Path) -> None:
    nwbinspector = pytest.importorskip("nwbinspector")
    import pynwb

    output = annotate(recording).output
    with NWBHDF5IO(output, "r") as io:
        assert pynwb.validate(io=io) == []
    config = nwbinspector.load_config("dandi")
    critical = nwbinspector.Importance.CRITICAL
    messages = list(nwbinspector.inspect_nwbfile(output, config=config, importance_threshold=critical))
    assert messages == []
