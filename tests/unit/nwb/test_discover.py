"""What is found in files of every layout, and what is said about odd ones."""

import dataclasses
import json
from io import BytesIO

import h5py
import numpy as np
import pytest

from nwb_cascade.core.noise import noise_level
from nwb_cascade.errors import AmbiguousSeriesError, InputError
from nwb_cascade.nwb.blocks import StoredTraces
from nwb_cascade.nwb.candidate import KINDS, SCALES
from nwb_cascade.nwb.choose import choose
from nwb_cascade.nwb.discover import find_candidates, find_for_choice, inspect
from nwb_cascade.nwb.files import open_nwb
from tests.support import nwb_files, nwb_published
from tests.support.nwb_oddities import irregular_timestamps, one_series, set_rate
from tests.support.recordings import bare_nwbfile, simulated_dff, write_recording
from tests.support.run_records import run_record, write_run

SERIES = "/processing/ophys/DfOverF/RoiResponseSeries"
RAW, DFF, EVENTS, NEUROPIL = "raw_fluorescence", "dff", "events", "neuropil"
LAYOUTS = {
    nwb_files.suite2p: {
        "ophys/Deconvolved/plane0": (EVENTS, 4),
        "ophys/Deconvolved/plane1": (EVENTS, 3),
        "ophys/Fluorescence/plane0": (RAW, 4),
        "ophys/Fluorescence/plane1": (RAW, 3),
        "ophys/Neuropil/plane0": (NEUROPIL, 4),
        "ophys/Neuropil/plane1": (NEUROPIL, 3),
    },
    nwb_files.suite2p_transposed: {
        "ophys/Deconvolved/Deconvolved": (EVENTS, 5),
        "ophys/Fluorescence/Fluorescence": (RAW, 5),
        "ophys/Neuropil/Neuropil": (NEUROPIL, 5),
    },
    nwb_files.caiman: {
        "ophys/Fluorescence/Background_Fluorescence_Response": (NEUROPIL, 2),
        "ophys/Fluorescence/RoiResponseSeries": ("denoised", 5),
    },
    nwb_files.neuroconv: {
        "ophys/Fluorescence/Baseline": ("baseline", 5),
        "ophys/Fluorescence/Deconvolved": (EVENTS, 5),
        "ophys/Fluorescence/Denoised": ("denoised", 5),
        "ophys/Fluorescence/DfOverF": (DFF, 5),
        "ophys/Fluorescence/Neuropil": (NEUROPIL, 5),
        "ophys/Fluorescence/RoiResponseSeries": (RAW, 5),
    },
    nwb_files.neuroconv_lists: {
        "ophys/DfOverF/RoiResponseSeries": (DFF, 5),
        "ophys/Fluorescence/Deconvolved": (EVENTS, 5),
        "ophys/Fluorescence/Neuropil": (NEUROPIL, 5),
        "ophys/Fluorescence/RoiResponseSeries": (RAW, 5),
    },
    nwb_files.neuroconv_dff: {
        "ophys/Fluorescence/Dff": (DFF, 5),
        "ophys/Fluorescence/RoiResponseSeries": (RAW, 5),
    },
    nwb_published.allen_behavior: {
        "ophys/corrected_fluorescence/RMSE": (RAW, 5),
        "ophys/corrected_fluorescence/r": (RAW, 5),
        "ophys/corrected_fluorescence/traces": (RAW, 5),
        "ophys/demixed_trace/traces": (RAW, 5),
        "ophys/dff/traces": (DFF, 5),
        "ophys/event_detection": (EVENTS, 4),
        "ophys/neuropil_trace/traces": (NEUROPIL, 5),
    },
    nwb_published.allen_openscope: {
        "brain_observatory_pipeline/Fluorescence/DfOverF": (DFF, 5),
        "brain_observatory_pipeline/Fluorescence/demixed_traces": (RAW, 5),
        "brain_observatory_pipeline/Fluorescence/neuropil_traces": (NEUROPIL, 5),
        "brain_observatory_pipeline/Fluorescence/raw_traces": (RAW, 5),
        "brain_observatory_pipeline/l0_events/dff_events": (EVENTS, 5),
        "brain_observatory_pipeline/l0_events/true_false_events": (EVENTS, 5),
    },
    nwb_published.allen_coding: {
        "ophys/DfOverF/DfOverF": (DFF, 5),
        "ophys/DfOverF/DfOverFEvents": (EVENTS, 5),
        "ophys/Fluorescence/Corrected": (RAW, 5),
        "ophys/Fluorescence/Demixed": (RAW, 5),
        "ophys/Fluorescence/Neuropil": (NEUROPIL, 5),
    },
    nwb_published.janelia_movies: {
        "ophys of movie 0/Fluorescence/NeuropilResponseSeries": (NEUROPIL, 4),
        "ophys of movie 0/Fluorescence/RoiResponseSeries": (RAW, 4),
        "ophys of movie 1/Fluorescence/NeuropilResponseSeries": (NEUROPIL, 1),
        "ophys of movie 1/Fluorescence/RoiResponseSeries": (RAW, 1),
    },
    nwb_published.two_channels: {
        f"ophys/Fluorescence/{name}_chn{channel}": (kind, 5)
        for name, kind in (
            ("ca_events", EVENTS),
            ("dff", DFF),
            ("f_corrected", RAW),
            ("fluorescence", RAW),
            ("neuropil_fluorescence", NEUROPIL),
            ("z_score", "z_scored"),
        )
        for channel in (0, 1)
    },
    nwb_published.eight_fields: {f"ophys/Fluorescence/RoiResponseSeries{n}": (RAW, n) for n in range(1, 9)},
}


def only(path, **options):
    (candidate,) = inspect(path, **options)
    return candidate


@pytest.mark.parametrize("factory", LAYOUTS, ids=lambda factory: factory.__name__)
def test_every_series_of_a_layout_is_found_and_judged(factory, tmp_path):
    path = factory(tmp_path / "recording.nwb")
    found = {c.object_path: (c.kind, c.n_rois) for c in inspect(path)}
    assert found == {f"/processing/{where}": what for where, what in sorted(LAYOUTS[factory].items())}
    assert list(found) == sorted(found)
    headers = {c.object_path: (c.kind, c.n_rois) for c in inspect(path, statistics=False)}
    assert headers == found


def test_layouts_that_store_rois_first_are_recognised(tmp_path):
    for candidate in inspect(nwb_files.suite2p_transposed(tmp_path / "a.nwb")):
        assert (candidate.transposed, candidate.n_frames) == (True, 300)
    movies = inspect(nwb_published.janelia_movies(tmp_path / "b.nwb"))
    assert [(c.transposed, c.n_frames) for c in movies] == [(True, 400)] * 2 + [(False, 400)] * 2
    assert movies[0].problems == ("Its ROI region names 3 ROIs, its data have 4.",)
    assert movies[2].problems == ("Its ROI region names 0 ROIs, its data have 1.",)
    assert movies[0].imaging_rate == pytest.approx(122)


def test_planes_and_channels_keep_their_own_facts(tmp_path):
    by_name = {c.name: c for c in inspect(nwb_published.two_channels(tmp_path / "a.nwb"))}
    assert (by_name["dff_chn0"].indicator, by_name["dff_chn1"].indicator) == ("GCaMP6s", "jRGECO1a")
    assert by_name["dff_chn1"].plane == "ImagingPlane_1_chn2"
    assert by_name["dff_chn1"].roi_table == "/processing/ophys/ImageSegmentation/PlaneSegmentation_2"
    fields = inspect(nwb_published.eight_fields(tmp_path / "b.nwb"))
    assert [c.plane for c in fields] == [f"ImagingPlane{n}" for n in range(1, 9)]
    assert {c.imaging_rate for c in fields} == {6.3009}


def test_a_second_channel_of_suite2p_is_found(tmp_path):
    found = {c.object_path: c.kind for c in inspect(nwb_files.suite2p(tmp_path / "a.nwb", channels=2))}
    assert found["/processing/ophys/Fluorescence_chan2/plane1"] == RAW
    assert found["/processing/ophys/Neuropil_chan2/plane0"] == NEUROPIL


def test_padding_of_short_planes_is_reported(tmp_path):
    planes = {c.object_path: c.problems for c in inspect(nwb_files.suite2p(tmp_path / "a.nwb"))}
    assert planes["/processing/ophys/Fluorescence/plane0"] == ()
    (problem,) = planes["/processing/ophys/Fluorescence/plane1"]
    assert problem.startswith("3 of 3 ROIs end in exact zeros (up to 1 frame)")


def test_one_value_per_roi_is_no_trace(tmp_path):
    by_name = {c.object_path: c for c in inspect(nwb_published.allen_behavior(tmp_path / "a.nwb"))}
    rmse = by_name["/processing/ophys/corrected_fluorescence/RMSE"]
    assert (rmse.transposed, rmse.scale) == (None, "unknown")
    assert rmse.problems == ("It holds one value for each of 5 ROIs, not a trace.",)


def test_timestamps_that_are_linked_give_a_rate(tmp_path):
    for candidate in inspect(nwb_published.allen_coding(tmp_path / "a.nwb")):
        assert candidate.imaging_rate == pytest.approx(30.95, rel=1e-4)
        assert "from timestamps, whose intervals deviate by at most 1.2 %" in candidate.imaging_rate_why


def test_timestamps_in_milliseconds_give_no_rate(tmp_path):
    path = one_series(tmp_path / "a.nwb", simulated_dff(3, 300).T, timestamps=1000 * np.arange(300) / 30)
    candidate = only(path)
    assert (candidate.imaging_rate, candidate.scale) == (None, "fraction")
    assert candidate.problems == (
        "It has no usable imaging rate: its timestamps look like milliseconds: 0.03 Hz is no imaging rate, and its "
        "imaging plane states 30 Hz.",
    )


def link_to_nothing(path, place):
    """Replace an object of a file by an external link to a file that is not there."""
    with h5py.File(path, "r+") as file:
        del file[place]
        file[place] = h5py.ExternalLink("not_there.nwb", "/over/there")
    return path


def test_data_behind_a_broken_link_are_named_and_nothing_else_is_said(tmp_path, recwarn):
    path = link_to_nothing(one_series(tmp_path / "a.nwb", simulated_dff(3, 300).T), f"{SERIES}/data")
    candidate = only(path)
    assert (candidate.n_rois, candidate.n_frames) == (0, 0)
    assert candidate.problems == ("Its data are a link to /over/there in not_there.nwb, which is not there.",)
    assert not recwarn.list


def test_a_file_without_series_names_its_broken_links(tmp_path):
    path = link_to_nothing(one_series(tmp_path / "a.nwb", simulated_dff(3, 300).T), "/processing/ophys/DfOverF")
    with pytest.raises(InputError, match=r"DfOverF leads to /over/there in not_there\.nwb, which is not there"):
        inspect(path)


def test_a_candidate_says_all_that_is_known(tmp_path):
    dff = simulated_dff(6, 400)
    dff[1, :40] = np.nan
    candidate = only(one_series(tmp_path / "ü 1.nwb", dff.T, unit="dF/F", conversion=1.0))
    noise = noise_level(dff, 30.0)
    assert (candidate.object_path, candidate.name) == (SERIES, "RoiResponseSeries")
    assert (candidate.kind, candidate.why) == ("dff", "its container is named 'DfOverF'")
    assert (candidate.n_rois, candidate.n_frames, candidate.imaging_rate) == (6, 400, 30.0)
    assert (candidate.scale, candidate.unit) == ("fraction", "dF/F")
    assert candidate.nan_fraction == pytest.approx(40 / 2400)
    assert candidate.noise_levels.median == pytest.approx(np.median(noise), rel=1e-6)
    assert (candidate.plane, candidate.plane_rate, candidate.indicator) == ("ImagingPlane", 30.0, "GCaMP6f")
    assert (candidate.species, candidate.location, candidate.genotype) == ("Mus musculus", "V1", None)
    assert candidate.roi_table == "/processing/ophys/ImageSegmentation/PlaneSegmentation"
    assert candidate.transposed is False
    assert candidate.problems == ()


@pytest.mark.parametrize("factory", [nwb_files.neuroconv, nwb_published.allen_behavior], ids=lambda f: f.__name__)
def test_candidates_are_plain_json(factory, tmp_path):
    for candidate in inspect(factory(tmp_path / "a.nwb")):
        text = json.dumps(candidate.to_dict(), allow_nan=False)
        assert json.loads(text)["object_path"] == candidate.object_path
        assert candidate.kind in KINDS
        assert candidate.scale in SCALES
        with pytest.raises(dataclasses.FrozenInstanceError):
            candidate.kind = "dff"


@pytest.mark.parametrize(
    "place, container, where",
    [
        ("ophys", None, "/processing/ophys/dff"),
        ("acquisition", None, "/acquisition/dff"),
        ("analysis", None, "/analysis/dff"),
        ("ophys of movie 3", "Fluorescence", "/processing/ophys of movie 3/Fluorescence/dff"),
    ],
)
def test_a_series_is_found_anywhere(tmp_path, place, container, where):
    path = one_series(tmp_path / "a.nwb", simulated_dff().T, name="dff", place=place, container=container)
    candidate = only(path)
    assert (candidate.object_path, candidate.kind) == (where, "dff")


def test_a_module_may_name_the_kind(tmp_path):
    path = one_series(tmp_path / "a.nwb", simulated_dff().T, name="traces", container=None, place="dF over F")
    assert only(path).why == "its container is named 'dF over F'"


def test_nothing_says_what_it_is(tmp_path):
    candidate = only(one_series(tmp_path / "a.nwb", simulated_dff().T, name="traces", container=None))
    assert (candidate.kind, candidate.why) == ("unknown", "no name, container or description says what it holds")


def test_our_own_results_are_told_from_dff(tmp_path):
    path = one_series(tmp_path / "a.nwb", simulated_dff().T)
    write_run(path, run_record(path))
    kinds = {c.object_path: c.kind for c in inspect(path)}
    assert kinds == {SERIES: "dff", "/processing/ophys/Rates": "inferred"}
    assert choose(inspect(path)).object_path == SERIES


def test_raw_fluorescence_in_a_dff_container_is_not_believed(tmp_path):
    candidate = only(one_series(tmp_path / "a.nwb", nwb_files.raw_fluorescence(4, 300).T))
    assert (candidate.kind, candidate.scale) == ("unknown", "counts")
    assert candidate.why.startswith("its container is named 'DfOverF', but traces rest near")


def test_dff_in_a_fluorescence_container_is_left_open(tmp_path):
    candidate = only(one_series(tmp_path / "a.nwb", simulated_dff().T, container="Fluorescence"))
    assert (candidate.kind, candidate.scale) == ("unknown", "fraction")
    assert "as dF/F does" in candidate.why


def test_percent_is_noticed_and_its_noise_level_is_that_of_the_fraction(tmp_path):
    dff = simulated_dff(6, 400)
    plain = only(one_series(tmp_path / "a.nwb", dff.T))
    percent = only(one_series(tmp_path / "b.nwb", 100 * dff.T))
    stated = only(one_series(tmp_path / "c.nwb", 100 * dff.T, unit="percent"))
    assert (plain.scale, percent.scale, stated.scale) == ("fraction", "percent", "percent")
    assert stated.scale_why == "the unit is 'percent'"
    assert percent.noise_levels.median == pytest.approx(plain.noise_levels.median, rel=1e-5)


def test_conversion_and_offset_count_for_the_scale(tmp_path):
    stored = np.round(simulated_dff().T * 1000 + 5000).astype(np.int16)
    candidate = only(one_series(tmp_path / "a.nwb", stored, conversion=1e-3, offset=-5.0))
    assert (candidate.scale, candidate.conversion, candidate.offset) == ("fraction", 1e-3, -5.0)


def test_f_over_f0_is_noticed(tmp_path):
    candidate = only(one_series(tmp_path / "a.nwb", 1 + simulated_dff(noise=0.05).T))
    assert candidate.problems == ("The traces rest near 1: they may be F/F0, from which 1 has to be taken.",)


def test_useless_traces_are_counted(tmp_path):
    dff = simulated_dff(4, 300)
    dff[0], dff[1] = 0, np.nan
    problems = only(one_series(tmp_path / "a.nwb", dff.T)).problems
    assert problems == ("1 of 4 ROIs are NaN throughout.", "1 of 4 ROIs are zero throughout.")


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_series_without_any_signal_is_described(tmp_path, value):
    candidate = only(one_series(tmp_path / "a.nwb", np.full((300, 4), value, np.float32)))
    assert (candidate.kind, candidate.scale, candidate.noise_levels) == ("dff", "fraction", None)
    assert candidate.nan_fraction == float(np.isnan(value))


def test_one_dimensional_data_are_one_roi(tmp_path):
    candidate = only(one_series(tmp_path / "a.nwb", simulated_dff(1, 300)[0]))
    assert (candidate.n_rois, candidate.n_frames, candidate.transposed) == (1, 300, False)


def test_a_region_that_covers_part_of_the_table_is_fine(tmp_path):
    candidate = only(one_series(tmp_path / "a.nwb", simulated_dff(3, 300).T, n_table=9, region=[7, 2, 4]))
    assert (candidate.n_rois, candidate.transposed, candidate.problems) == (3, False, ())


def test_lengths_that_do_not_tell_the_axes_apart_are_reported(tmp_path):
    candidate = only(one_series(tmp_path / "a.nwb", simulated_dff(7, 300).T, n_table=6, region=range(5)))
    assert candidate.transposed is None
    assert candidate.problems[0].startswith("No length tells its ROI axis from its time axis (shape (300, 7), 5 ROIs")


def test_a_pause_is_reported_with_its_stretches(tmp_path):
    path = one_series(tmp_path / "a.nwb", simulated_dff(4, 300).T, timestamps=irregular_timestamps(300))
    candidate = only(path)
    assert candidate.imaging_rate == pytest.approx(30)
    assert [(one.first, one.stop) for one in candidate.stretches] == [(0, 101), (101, 300)]
    assert candidate.problems == (
        "The frames are 2 stretches of 101 and 199 frames at 30 Hz, 2.03 s apart, inferred one by one.",
    )
    assert json.loads(json.dumps(candidate.to_dict()))["stretches"][1]["first"] == 101
    assert only(path, statistics=False).problems == ()


@pytest.mark.parametrize("rate", [0.0, -2.0])
def test_a_rate_that_is_none_is_reported(tmp_path, rate):
    path = set_rate(one_series(tmp_path / "a.nwb", simulated_dff().T), SERIES, rate)
    candidate = only(path)
    assert candidate.imaging_rate is None
    assert candidate.problems == (
        f"It has no usable imaging rate: the stated rate is {rate:g} Hz, and its imaging plane states 30 Hz.",
    )


def test_a_plane_of_another_rate_is_reported(tmp_path):
    candidate = only(one_series(tmp_path / "a.nwb", simulated_dff().T, rate=10.0, plane_rate=30.0))
    assert candidate.problems == ("Its rate is 10 Hz, but its imaging plane 'ImagingPlane' states 30 Hz.",)


def test_a_series_without_frames_is_described(tmp_path):
    candidate = only(one_series(tmp_path / "a.nwb", np.zeros((0, 3), np.float32)))
    assert (candidate.n_rois, candidate.n_frames, candidate.nan_fraction) == (3, 0, None)


def test_a_file_without_series_has_no_candidates(tmp_path):
    assert inspect(write_recording(tmp_path / "a.nwb", bare_nwbfile())) == ()


def test_zarr_gives_what_hdf5_gives(tmp_path):
    pytest.importorskip("hdmf_zarr")
    dff = simulated_dff(5, 400)
    hdf5, zarr = (only(one_series(tmp_path / name, dff.T)) for name in ("a.nwb", "a.nwb.zarr"))
    assert dataclasses.replace(zarr, object_id=hdf5.object_id) == hdf5


def test_headers_alone_cost_little(tmp_path):
    dff = simulated_dff(200, 5000)
    path = one_series(tmp_path / "a.nwb", dff.T)

    class Counted(BytesIO):
        bytes_read = 0

        def readinto(self, buffer):
            count = super().readinto(buffer)
            self.bytes_read += count
            return count

    content = Counted(path.read_bytes())
    candidate = only(content, statistics=False)
    assert (candidate.kind, candidate.scale, candidate.nan_fraction) == ("dff", "fraction", None)
    with h5py.File(path) as file:
        headers = path.stat().st_size - file[f"{SERIES}/data"].id.get_storage_size()
    assert content.bytes_read < headers * 3 + 4 * 32 * 1000 + 2**20 // 8


def test_open_files_are_searched_without_closing_them(tmp_path):
    with open_nwb(one_series(tmp_path / "a.nwb", simulated_dff().T)) as (nwbfile, _):
        assert [c.object_path for c in find_candidates(nwbfile)] == [SERIES]
        assert nwbfile.objects[find_candidates(nwbfile)[0].object_id].data.shape == (300, 4)


@pytest.fixture
def looked_at(monkeypatch):
    """Paths of the series whose values are looked at."""
    paths, read = set(), StoredTraces.read

    def note(stored, *block):
        paths.add(stored.where.partition(":")[2])
        return read(stored, *block)

    monkeypatch.setattr(StoredTraces, "read", note)
    return paths


@pytest.mark.parametrize(
    ("layout", "series", "expected"),
    [
        (nwb_files.neuroconv, None, ["DfOverF"]),
        (nwb_files.neuroconv, "Baseline", ["Baseline"]),
        (nwb_files.neuroconv, "nothing", []),
        (nwb_files.suite2p_transposed, None, ["Deconvolved", "Fluorescence", "Neuropil"]),
    ],
)
def test_values_are_looked_at_where_the_choice_depends_on_them(layout, series, expected, looked_at, tmp_path):
    with open_nwb(layout(tmp_path / "a.nwb")) as (nwbfile, _):
        found = find_for_choice(nwbfile, series)
        assert sorted(path.rpartition("/")[2] for path in looked_at) == expected
        looked_at.clear()
        assert [c.kind for c in found] == [c.kind for c in find_candidates(nwbfile, statistics=False)]
    assert all(
        (c.scale_why == "its values were not looked at") == (c.name not in expected)
        for c in found
        if c.kind in (DFF, RAW)
    )


def test_values_that_contradict_the_words_are_found_out_before_a_choice(tmp_path, looked_at):
    path = one_series(tmp_path / "a.nwb", simulated_dff() * 1000 + 5000)
    with open_nwb(path) as (nwbfile, _), pytest.raises(AmbiguousSeriesError, match="none that is surely one"):
        choose(find_for_choice(nwbfile))
    assert looked_at


def test_one_series_is_described_without_a_look_at_the_others(looked_at, tmp_path):
    path = nwb_files.neuroconv(tmp_path / "a.nwb")
    (candidate,) = inspect(path, series="DfOverF")
    assert {path.rpartition("/")[2] for path in looked_at} == {"DfOverF"}
    assert candidate == next(c for c in inspect(path) if c.name == "DfOverF")
