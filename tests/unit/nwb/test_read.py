"""Traces of series as they are in files, opened as DffTraces."""

import gc

import h5py
import numpy as np
import pytest
from hdmf.backends.hdf5 import H5DataIO

from nwb_cascade.core.traces import DffTraces
from nwb_cascade.errors import InputError
from nwb_cascade.nwb.access import Access
from nwb_cascade.nwb.choose import choose
from nwb_cascade.nwb.discover import inspect
from nwb_cascade.nwb.files import open_nwb
from nwb_cascade.nwb.read import open_traces
from tests.support.nwb_files import neuroconv, raw_fluorescence, store_rois_first
from tests.support.nwb_oddities import one_series, replace_timestamps, set_rate
from tests.support.nwb_published import allen_behavior
from tests.support.recordings import simulated_dff

SERIES = "/processing/ophys/DfOverF/RoiResponseSeries"


def read_all(path, *, series=None, scratch_dir=None, **options):
    """Choose a series of a file and read all of it, in blocks of two ROIs."""
    candidate = choose(inspect(path), series, **{k: v for k, v in options.items() if k in ("scale", "imaging_rate")})
    with open_nwb(path) as (nwbfile, _):
        traces = open_traces(nwbfile, candidate, Access(str(path), scratch_dir), **options)
        blocks = [values for _, values in traces.blocks(8 * traces.n_frames)]
        traces.dff.close()
        return traces, np.concatenate(blocks)


@pytest.mark.parametrize("suffix", [".nwb", ".nwb.zarr"])
def test_traces_come_rois_first_as_stored(tmp_path, suffix):
    if suffix == ".nwb.zarr":
        pytest.importorskip("hdmf_zarr")
    dff = simulated_dff(5, 300)
    dff[2, 7:30] = np.nan
    path = one_series(tmp_path / f"ä 1{suffix}", dff.T, n_table=9, region=[8, 6, 4, 2, 0])
    traces, values = read_all(path)
    assert isinstance(traces, DffTraces)
    assert (traces.n_rois, traces.n_frames, traces.imaging_rate) == (5, 300, 30.0)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, dff)
    np.testing.assert_array_equal(traces.roi_ids, [8, 6, 4, 2, 0])


def test_the_source_is_recorded(tmp_path):
    path = one_series(tmp_path / "a.nwb", simulated_dff().T)
    traces, _ = read_all(path)
    candidate = inspect(path)[0]
    assert dict(traces.source) == {
        "path": str(path),
        "object_path": SERIES,
        "object_id": candidate.object_id,
        "file_identifier": "recording-1",
        "unit": "n.a.",
        "scale": "fraction",
        "scale_from": candidate.scale_why,
        "imaging_rate_from": "stated rate",
    }


def test_rois_first_in_the_file_are_read_all_the_same(tmp_path):
    dff = simulated_dff(5, 300)
    path = store_rois_first(one_series(tmp_path / "a.nwb", dff.T))
    np.testing.assert_array_equal(read_all(path)[1], dff)


def test_a_single_trace_of_one_dimension(tmp_path):
    dff = simulated_dff(1, 300)
    traces, values = read_all(one_series(tmp_path / "a.nwb", dff[0]))
    np.testing.assert_array_equal(values, dff)
    np.testing.assert_array_equal(traces.roi_ids, [0])


def test_conversion_and_offset_are_applied(tmp_path):
    dff = simulated_dff(4, 300)
    stored = np.round(dff.T * 1000 + 5000).astype(np.int16)
    _, values = read_all(one_series(tmp_path / "a.nwb", stored, conversion=1e-3, offset=-5.0))
    np.testing.assert_allclose(values, dff, atol=5.1e-4)


@pytest.mark.parametrize("unit, scale", [("percent", None), ("n.a.", "percent")])
def test_percent_becomes_a_fraction_and_that_is_recorded(tmp_path, unit, scale):
    dff = simulated_dff(4, 300)
    traces, values = read_all(one_series(tmp_path / "a.nwb", 100 * dff.T, unit=unit), scale=scale)
    np.testing.assert_allclose(values, dff, rtol=1e-6)
    assert traces.source["scale"] == "percent"
    assert traces.source["scale_from"] == ("option" if scale else "the unit is 'percent'")


def test_percent_that_nobody_states_is_refused(tmp_path):
    with pytest.raises(InputError, match="may be in percent"):
        read_all(one_series(tmp_path / "a.nwb", 100 * simulated_dff().T))


def test_raw_fluorescence_is_refused(tmp_path):
    path = one_series(tmp_path / "a.nwb", raw_fluorescence(4, 300).T, container="Fluorescence")
    with pytest.raises(InputError, match="found only raw fluorescence"):
        read_all(path)
    with pytest.raises(InputError, match="looks like raw fluorescence"):
        read_all(path, series="RoiResponseSeries")


def test_too_few_timestamps_need_a_rate(tmp_path):
    path = one_series(tmp_path / "a.nwb", simulated_dff(4, 300).T, timestamps=np.arange(300) / 30)
    replace_timestamps(path, np.arange(299) / 30)
    with pytest.raises(InputError, match=r"there are 299 timestamps for 300 frames.*--imaging-rate HZ"):
        read_all(path)
    traces, _ = read_all(path, imaging_rate=30.0)
    assert (traces.imaging_rate, traces.source["imaging_rate_from"]) == (30.0, "option")


def test_a_rate_of_zero_needs_a_rate(tmp_path):
    path = set_rate(one_series(tmp_path / "a.nwb", simulated_dff().T), SERIES, 0.0)
    with pytest.raises(InputError, match=r"Expected the imaging rate of /processing.*, but the stated rate is 0 Hz"):
        read_all(path)
    assert read_all(path, imaging_rate=12.0)[0].imaging_rate == 12.0


def test_nan_everywhere_is_refused(tmp_path):
    with pytest.raises(InputError, match="all of them are NaN"):
        read_all(one_series(tmp_path / "a.nwb", np.full((300, 3), np.nan)))


def test_an_unclear_orientation_is_refused(tmp_path):
    path = one_series(tmp_path / "a.nwb", simulated_dff(7, 300).T, n_table=6, region=range(5))
    with pytest.raises(InputError, match="Cannot tell which axis of"):
        read_all(path)


def test_a_series_itself_can_be_opened(tmp_path):
    with open_nwb(allen_behavior(tmp_path / "a.nwb")) as (nwbfile, _):
        series = nwbfile.processing["ophys"]["dff"]["traces"]
        traces = open_traces(nwbfile, series)
        np.testing.assert_array_equal(traces.dff[1:3], series.data[:, 1:3].T)
        assert traces.imaging_rate == pytest.approx(30.95, rel=1e-4)
        with pytest.raises(InputError, match="holds events or deconvolved activity"):
            open_traces(nwbfile, nwbfile.processing["ophys"]["event_detection"])


def test_a_candidate_of_another_file_is_refused(tmp_path):
    candidate = choose(inspect(neuroconv(tmp_path / "a.nwb")))
    with (
        open_nwb(neuroconv(tmp_path / "b.nwb")) as (nwbfile, _),
        pytest.raises(InputError, match=r"Expected the series .*/DfOverF .* in .*b\.nwb, but it is not there"),
    ):
        open_traces(nwbfile, candidate)


@pytest.mark.parametrize("chunks", [True, (300, 1), (7, 20), None])
def test_every_storage_gives_the_same_traces_and_leaves_no_file(tmp_path, chunks):
    dff = simulated_dff(20, 300)
    data = H5DataIO(dff.T, chunks=chunks, compression="gzip") if chunks else dff.T
    path = one_series(tmp_path / "a.nwb", data)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    _, values = read_all(path, scratch_dir=scratch, block_bytes=3000)
    np.testing.assert_array_equal(values, dff)
    assert list(scratch.iterdir()) == []


def test_forgotten_traces_leave_no_warning(tmp_path):
    path = one_series(tmp_path / "a.nwb", simulated_dff(20, 300).T)
    with open_nwb(path) as (nwbfile, _):
        traces = open_traces(nwbfile, inspect(path)[0], block_bytes=2000)
        traces.dff[0]
        assert traces.dff.spools
        del traces
        gc.collect()


def test_a_region_beyond_its_table_is_refused(tmp_path):
    path = one_series(tmp_path / "a.nwb", simulated_dff(4, 300).T)
    with h5py.File(path, "r+") as file:
        file["/processing/ophys/DfOverF/RoiResponseSeries/rois"][3] = 9
    with pytest.raises(InputError, match=r"region names rows 0 to 9 of a table whose 4 rows are 0 to 3\. Correct"):
        read_all(path)
