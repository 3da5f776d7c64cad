"""Runs are stored completely, beside everything else, in HDF5 and in Zarr."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import ndx_spike_inference as ndx
import numpy as np
import pynwb
import pytest
from hdmf.spec import NamespaceCatalog

from nwb_cascade.errors import InputError, NameTakenError
from nwb_cascade.nwb import check, storage
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.places import place_of
from nwb_cascade.nwb.storage import TimeFirst, appending, chunk_shape
from tests.support.fake_runs import FAKE_CONFIG
from tests.support.recordings import add_dff, bare_nwbfile, dff_recording, simulated_dff, write_recording
from tests.support.run_records import check_run, run_record, series_path_of, write_run

Recording = Callable[..., Path]


@pytest.fixture(params=["recording.nwb", "recording.nwb.zarr"])
def recording(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return dff_recording(tmp_path / str(request.param))


def test_values_units_and_provenance_come_back(recording: Path) -> None:
    record = run_record(recording)
    reports: list[tuple[int, int]] = []
    object_path = write_run(recording, record, progress=lambda done, total: reports.append((done, total)))
    assert object_path == "/processing/ophys/Rates"
    assert check_run(recording, object_path, record) == ()
    assert reports == [(4, 4), (4, 4)]
    with open_nwb(recording) as (nwbfile, _):
        series, source = (
            nwbfile.processing["ophys"]["Rates"],
            nwbfile.processing["ophys"]["DfOverF"]["RoiResponseSeries"],
        )
        np.testing.assert_array_equal(series.data[:], record.expected_spikes.T)
        np.testing.assert_array_equal(series.ensemble_std[:], record.ensemble_std.T)
        assert series.data.dtype == np.float32
        assert series.unit == "spikes/frame"
        assert (series.rate, series.starting_time) == (source.rate, source.starting_time) == (30.0, 1.25)
        assert series.source_series is source
        assert list(series.rois.data[:]) == [0, 1, 2, 3]
        assert series.rois.table is source.rois.table
        np.testing.assert_array_equal(series.noise_level[:], record.noise_levels)
        np.testing.assert_array_equal(series.model_noise_level[:], record.model_noise_levels)
        np.testing.assert_array_equal(series.valid_frames[:], record.valid_frames)
        assert list(series.roi_warnings[:]) == ["", "constant: all of it is ü\ntoo-short: a; b: c", "", ""]
        assert (series.alignment, series.threshold, series.run_key) == ("trained", "nonnegative", "1" * 64)
        model = series.model
        assert (model.name, model.weights_sha256, model.configuration) == (
            "fake_30Hz",
            record.weights_sha256,
            record.config.to_json(),
        )
        assert list(model.training_datasets[:]) == ["DS09", "DS10"]
        assert nwbfile.was_generated_by[:][0][0] == "nwb-cascade"


def test_what_was_in_the_file_stays(recording: Path) -> None:
    with open_nwb(recording) as (nwbfile, _):
        before = {key: type(value).__name__ for key, value in nwbfile.objects.items()}
    write_run(recording, run_record(recording))
    with open_nwb(recording) as (nwbfile, _):
        after = {key: type(value).__name__ for key, value in nwbfile.objects.items()}
        np.testing.assert_array_equal(
            nwbfile.processing["ophys"]["DfOverF"]["RoiResponseSeries"].data[:].T, simulated_dff()
        )
    assert before.items() <= after.items()
    added = sorted(after[key] for key in after.keys() - before.keys())
    assert added == ["InferredSpikeRateSeries", "SpikeInferenceModel"]


def test_timestamps_are_shared_with_the_source(tmp_path: Path) -> None:
    times = 3.0 + np.arange(300) / 30.0
    path = dff_recording(tmp_path / "a.nwb", timestamps=times)
    write_run(path, run_record(path))
    with open_nwb(path) as (nwbfile, _):
        series = nwbfile.processing["ophys"]["Rates"]
        np.testing.assert_array_equal(series.timestamps[:], times)
        assert series.rate is None
    with h5py.File(path) as file:
        link = file["processing/ophys/Rates"].get("timestamps", getlink=True)
        assert link.path == "/processing/ophys/DfOverF/RoiResponseSeries/timestamps"


def test_a_rate_of_zero_is_replaced_by_the_one_that_was_used(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb")
    with h5py.File(path, "r+") as file:
        start = file["processing/ophys/DfOverF/RoiResponseSeries/starting_time"]
        start.attrs["rate"] = np.float32(0)
    write_run(path, run_record(path, imaging_rate=20.0))
    with open_nwb(path) as (nwbfile, _):
        series = nwbfile.processing["ophys"]["Rates"]
        assert (series.rate, series.starting_time) == (20.0, 1.25)


def test_a_deviation_and_warnings_that_nobody_has_are_left_out(recording: Path) -> None:
    record = run_record(recording, ensemble_std=None, roi_warnings=())
    check_run(recording, write_run(recording, record), record)
    with open_nwb(recording) as (nwbfile, _):
        series = nwbfile.processing["ophys"]["Rates"]
        assert series.ensemble_std is None
        assert series.roi_warnings is None


def test_runs_of_one_model_share_it(recording: Path) -> None:
    write_run(recording, run_record(recording))
    write_run(recording, run_record(recording, name="Other rates"))
    with open_nwb(recording) as (nwbfile, _):
        module = nwbfile.processing["ophys"]
        assert module["Rates"].model is module["Other rates"].model


def test_another_model_of_the_same_name_gets_a_name_of_its_own(recording: Path) -> None:
    write_run(recording, run_record(recording))
    write_run(recording, run_record(recording, name="Other rates", weights_sha256="cd" * 32))
    with open_nwb(recording) as (nwbfile, _):
        module = nwbfile.processing["ophys"]
        assert module["Rates"].model.name == "fake_30Hz"
        assert module["Other rates"].model.name == "fake_30Hz_cdcdcdcd"


def test_a_run_may_be_named_after_its_model(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb")
    write_run(path, run_record(path, name="fake_30Hz"))
    write_run(path, run_record(path, name="Other", config=replace(FAKE_CONFIG, version="2")))
    with open_nwb(path) as (nwbfile, _):
        module = nwbfile.processing["ophys"]
        assert module["fake_30Hz"].model.name == "fake_30Hz_abababab"
        assert module["Other"].model.name == "fake_30Hz_abababab_2"


def test_a_taken_name_is_refused_and_the_run_stays(recording: Path) -> None:
    record = run_record(recording)
    write_run(recording, record)
    match = r"The name /processing/ophys/Rates is taken by a run made from other inputs.*--run-name.*--overwrite"
    with pytest.raises(NameTakenError, match=match):
        write_run(recording, run_record(recording, run_key="2" * 64))
    check_run(recording, "/processing/ophys/Rates", record)


def test_overwriting_replaces_the_run_and_reuses_its_room(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb", simulated_dff(20, 2000))
    sizes = []
    for number in range(3):
        record = run_record(path, 20, 2000, run_key=str(number) * 64)
        check_run(path, write_run(path, record, overwrite=True), record)
        sizes.append(path.stat().st_size)
    assert max(sizes) < 1.02 * sizes[0]


def test_overwriting_works_in_zarr(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb.zarr")
    write_run(path, run_record(path))
    record = run_record(path, run_key="2" * 64, ensemble_std=None)
    check_run(path, write_run(path, record, overwrite=True), record)


def test_nothing_but_a_run_is_ever_overwritten(recording: Path) -> None:
    match = r"The name /processing/ophys/DfOverF is taken by a DfOverF\. Choose another with --run-name\.$"
    with pytest.raises(NameTakenError, match=match):
        write_run(recording, run_record(recording, name="DfOverF"), overwrite=True)


def test_programs_that_made_the_file_are_kept(tmp_path: Path) -> None:
    for name in ("a.nwb", "a.nwb.zarr"):
        nwbfile = bare_nwbfile(was_generated_by=[["suite2p", "1.0"]])
        add_dff(nwbfile, simulated_dff())
        path = write_recording(tmp_path / name, nwbfile)
        write_run(path, run_record(path))
        write_run(path, run_record(path, name="Again"))
        with open_nwb(path) as (nwbfile, _):
            programs = [row[0] for row in nwbfile.was_generated_by[:]]
        assert programs == ["suite2p", "nwb-cascade"]


def test_a_series_outside_any_module_gets_its_run_into_ophys(tmp_path: Path) -> None:
    nwbfile = bare_nwbfile()
    add_dff(nwbfile, simulated_dff(), name="other")
    source = nwbfile.processing["ophys"]["DfOverF"]["other"]
    nwbfile.add_acquisition(
        type(source)(name="RoiResponseSeries", data=source.data, rois=source.rois, unit="n.a.", rate=30.0)
    )
    path = write_recording(tmp_path / "a.nwb", nwbfile)
    with open_nwb(path) as (nwbfile, _):
        assert place_of(nwbfile, series_path_of(path), "Rates").object_path == "/processing/ophys/Rates"
    record = run_record(path)
    check_run(path, write_run(path, record), record)


def test_a_place_tells_what_is_there(recording: Path) -> None:
    write_run(recording, run_record(recording))
    with open_nwb(recording) as (nwbfile, _):
        source = series_path_of(recording)
        assert place_of(nwbfile, source, "Rates").key == "1" * 64
        assert place_of(nwbfile, source, "DfOverF").taken_by == "a DfOverF"
        assert place_of(nwbfile, source, "Free").taken_by is None


def test_a_source_that_is_not_in_the_file_is_named(recording: Path) -> None:
    with pytest.raises(InputError, match="a series of ROI traces at nowhere"):
        write_run(recording, run_record(recording, source_path="nowhere"))


def test_values_that_differ_from_the_computed_ones_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "COMPARED_BYTES", 300 * 4 * 2)
    path = dff_recording(tmp_path / "a.nwb")
    record = run_record(path)
    object_path = write_run(path, record)
    with h5py.File(path, "r+") as file:
        file["processing/ophys/Rates/ensemble_std"][100, 2] = 9.0
    with pytest.raises(OSError, match=r"Rates/ensemble_std: the values of ROIs 2 to 3 are not as computed"):
        check_run(path, object_path, record)
    with pytest.raises(OSError, match=r"Rates/data: expected shape \(299, 4\), found \(300, 4\)"):
        check_run(path, object_path, run_record(path, 4, 299))


def test_a_violation_of_the_schema_in_the_run_is_found(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb")
    record = run_record(path)
    object_path = write_run(path, record)
    with h5py.File(path, "r+") as file:
        del file["processing/ophys/Rates/noise_level"].attrs["unit"]
    with pytest.raises(OSError, match=r"expected valid NWB, 1 violations, first .*noise_level"):
        check_run(path, object_path, record)


def test_a_violation_elsewhere_is_reported_not_blamed_on_the_run(tmp_path: Path) -> None:
    path = dff_recording(tmp_path / "a.nwb")
    with h5py.File(path, "r+") as file:
        del file["general/keywords"]
        file["general/keywords"] = [1, 2]
    record = run_record(path)
    assert pynwb.validate(path=path)
    assert check_run(path, write_run(path, record), record)


def keywords_as_numbers(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["general/keywords"]
        file["general/keywords"] = [1, 2]


def no_namespaces(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["specifications"]
        del file.attrs[".specloc"]


def another_run_that_is_violated(path: Path) -> None:
    write_run(path, replace(run_record(path), name="Other"))
    with h5py.File(path, "r+") as file:
        del file["processing/ophys/Other/noise_level"].attrs["unit"]


CHANGES = (None, keywords_as_numbers, no_namespaces, another_run_that_is_violated)


@pytest.mark.parametrize(("name", "change"), [*(("a.nwb", change) for change in CHANGES), ("a.nwb.zarr", None)])
def test_violations_are_those_that_pynwb_finds_in_what_is_loaded_once(
    tmp_path: Path, name: str, change: Callable[[Path], None] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dff_recording(tmp_path / name)
    record = run_record(path)
    object_path = write_run(path, record)
    if change is not None:
        change(path)
    with open_nwb(path) as (_, io), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = tuple(map(str, pynwb.validate(io=io)))
    loads: list[object] = []
    loading = NamespaceCatalog.load_namespaces

    def noting(self: NamespaceCatalog, *given: Any, **named: Any) -> Any:
        loads.append(named)
        return loading(self, *given, **named)

    monkeypatch.setattr(NamespaceCatalog, "load_namespaces", noting)
    assert check_run(path, object_path, record) == expected
    assert bool(expected) == (change in (keywords_as_numbers, another_run_that_is_violated))
    # When the file is opened; those of a Zarr only where it holds some that are not known.
    assert len(loads) == (change is not no_namespaces) or (name.endswith(".zarr") and not loads)


def test_chunks_suit_reading_one_roi() -> None:
    assert chunk_shape(80_000, 1000) == (80_000, 1)
    assert chunk_shape(300_000, 5) == (131_072, 1)
    assert chunk_shape(6_001, 74) == (6_001, 21)
    assert chunk_shape(260, 3) == (260, 3)


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (7, 1000), (2, 5000)])
def test_pieces_cover_the_matrix_once(monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int]) -> None:
    monkeypatch.setattr(storage, "CHUNK_BYTES", 4 * 400)
    monkeypatch.setattr(storage, "CHUNK_FRAMES", 400)
    monkeypatch.setattr(storage, "WRITE_BYTES", 4 * 1000)
    matrix = np.random.default_rng(0).random(shape, dtype=np.float32)
    seen = np.full((shape[1], shape[0]), np.nan, np.float32)
    for piece in TimeFirst(matrix):
        assert piece.data.nbytes <= 4 * 1000
        assert np.isnan(seen[piece.selection]).all()
        seen[piece.selection] = piece.data
    np.testing.assert_array_equal(seen, matrix.T)


def test_appending_nothing_changes_no_object(recording: Path) -> None:
    with appending(recording) as (nwbfile, io):
        io.write(nwbfile)
    with open_nwb(recording) as (nwbfile, _):
        assert {type(o).__name__ for o in nwbfile.objects.values()}.isdisjoint({ndx.SpikeInferenceModel.__name__})
