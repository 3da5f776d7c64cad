import dataclasses

import pytest

from nwb_cascade.errors import AmbiguousSeriesError, InputError
from nwb_cascade.nwb.candidate import Candidate
from nwb_cascade.nwb.choose import choose, require_usable, resolve_factor, resolve_rate

DFF = Candidate(
    object_path="/processing/ophys/dff/traces",
    object_id="id-dff",
    name="traces",
    neurodata_type="RoiResponseSeries",
    kind="dff",
    why="its container is named 'dff'",
    n_rois=5,
    n_frames=300,
    region_problem="",
    imaging_rate=30.0,
    imaging_rate_why="stated rate",
    stretches=(),
    unit="n.a.",
    scale="fraction",
    scale_why="traces rest near 0.1 and rise by 1.2",
    scale_stated=False,
    conversion=1.0,
    offset=0.0,
    transposed=False,
    nan_fraction=0.0,
    noise_levels=None,
    plane="ImagingPlane",
    plane_rate=31.0,
    indicator="GCaMP6f",
    location="V1",
    species="Mus musculus",
    genotype=None,
    roi_table="/processing/ophys/ImageSegmentation/PlaneSegmentation",
    problems=(),
)


def variant(where: str = "x/traces", **changes: object) -> Candidate:
    """Another candidate of the same file."""
    path = f"/processing/ophys/{where}"
    values = {"object_path": path, "object_id": f"id-{where}", "name": where.rsplit("/")[-1], **changes}
    return dataclasses.replace(DFF, **values)


RAW = variant("corrected/traces", kind="raw_fluorescence", scale="counts", scale_why="traces rest near 500")
EVENTS = variant("events", kind="events", why="it is named 'events'")
UNKNOWN = variant("Fluorescence/x", kind="unknown")


def test_the_one_dff_series_is_picked():
    assert choose([RAW, EVENTS, UNKNOWN, DFF]) is DFF


@pytest.mark.parametrize("word", ["traces", "dff/traces", "/processing/ophys/dff/traces", "id-dff"])
def test_a_series_is_named_by_name_path_end_of_path_or_id(word):
    assert choose([EVENTS, DFF], word) is DFF


def test_two_dff_series_are_ambiguous():
    other = variant("dff2/RoiResponseSeries")
    with pytest.raises(
        AmbiguousSeriesError, match=r"Expected one dF/F series, found 2: /processing/ophys/dff/traces"
    ) as caught:
        choose([DFF, other])
    message = str(caught.value)
    assert "/processing/ophys/dff2/RoiResponseSeries (dff, 5 ROIs, 300 frames, 30 Hz)" in message
    assert message.endswith("name one with series= (--series NAME), or take all (--series all).")


def test_a_name_that_several_series_have_is_ambiguous():
    with pytest.raises(AmbiguousSeriesError, match=r"Expected one series 'traces', found 2: .*give the path of one"):
        choose([DFF, RAW], "traces")


def test_a_series_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(InputError, match=r"Expected a series 'dfff', found /processing/ophys/dff/traces \(dff"):
        choose([DFF], "dfff")
    with pytest.raises(InputError, match="found no RoiResponseSeries at all"):
        choose([], "dff")


def test_an_unknown_series_has_to_be_named():
    with pytest.raises(AmbiguousSeriesError, match=r"none that is surely one, but /processing/ophys/Fluorescence/x"):
        choose([RAW, UNKNOWN])
    assert choose([RAW, UNKNOWN], "x") is UNKNOWN


def test_denoised_traces_have_to_be_named():
    denoised = variant("Denoised", kind="denoised")
    with pytest.raises(AmbiguousSeriesError, match="Denoised"):
        choose([denoised])
    assert choose([denoised], "Denoised") is denoised


def test_raw_fluorescence_alone_needs_dff_first():
    with pytest.raises(
        InputError, match=r"found only raw fluorescence: /processing/ophys/corrected/traces.* Compute dF/F"
    ):
        choose([RAW, EVENTS])


def test_raw_fluorescence_stays_raw_when_it_is_named():
    with pytest.raises(InputError, match=r"looks like raw fluorescence: traces rest near 500. Compute dF/F first"):
        choose([RAW], "traces", scale="fraction")


def test_a_raw_series_that_holds_dff_may_be_named():
    dff_as_raw = variant("Fluorescence/F", kind="raw_fluorescence")
    with pytest.raises(InputError, match=r"if one of them is dF/F, name one with series="):
        choose([dff_as_raw])
    assert choose([dff_as_raw], "F") is dff_as_raw


def test_a_file_without_series_says_so():
    with pytest.raises(InputError, match="Expected a dF/F series in the file, found no RoiResponseSeries at all"):
        choose([])
    with pytest.raises(InputError, match=r"found only /processing/ophys/events \(events"):
        choose([EVENTS])


@pytest.mark.parametrize(
    "kind, words",
    [
        ("events", "events"),
        ("neuropil", "neuropil"),
        ("z_scored", "z-scores"),
        ("inferred", "inferred spike rates"),
        ("baseline", "baseline"),
    ],
)
def test_what_is_surely_no_dff_cannot_be_named(kind, words):
    with pytest.raises(InputError, match=rf"Expected dF/F traces, but /processing/ophys/x/traces holds .*{words}"):
        choose([variant(kind=kind)], "traces")


def test_an_unclear_orientation_is_refused():
    problem = "No length tells its ROI axis from its time axis (shape (300, 7))."
    with pytest.raises(
        InputError, match=r"Cannot tell which axis of .* is time\. No length tells .* Correct its ROI region"
    ):
        require_usable(variant(transposed=None, problems=(problem,)))


def test_traces_without_values_are_refused():
    with pytest.raises(InputError, match=r"Expected dF/F values in .*, but all of them are NaN"):
        require_usable(variant(nan_fraction=1.0))
    with pytest.raises(InputError, match="received 5 ROIs, 0 frames"):
        require_usable(variant(n_frames=0))


def test_a_region_of_another_length_is_refused_with_both_numbers():
    with pytest.raises(InputError, match=r"but its ROI region names 3 ROIs, its data have 5\. Correct the region"):
        choose([variant(region_problem="Its ROI region names 3 ROIs, its data have 5.")])


def test_data_behind_a_broken_link_are_refused_by_that():
    problem = "Its data are a link to /x/data in not_there.nwb, which is not there."
    lost = variant(n_rois=0, n_frames=0, transposed=None, problems=(problem,))
    with pytest.raises(InputError, match=r"x/traces, but its data are a link to /x/data in not_there\.nwb, which is"):
        choose([lost])


def test_a_rate_that_can_be_none_is_told_before_a_scale_that_was_judged_by_it():
    slow = variant(imaging_rate=None, imaging_rate_why="its timestamps look like milliseconds", scale="percent")
    with pytest.raises(InputError, match="but its timestamps look like milliseconds, and its imaging plane states"):
        choose([slow])


def test_percent_is_refused_unless_somebody_says_so():
    seen = variant(scale="percent", scale_why="traces rest near 20 and rise by 150, too much for a fraction")
    with pytest.raises(InputError, match=r"may be in percent: traces rest .*scale='percent' or 'fraction' \(--scale\)"):
        choose([seen])
    assert resolve_factor(seen, "percent") == 0.01
    assert resolve_factor(seen, "fraction") == 1.0
    assert resolve_factor(variant(scale="percent", scale_stated=True)) == 0.01
    assert resolve_factor(DFF) == 1.0


def test_a_unit_that_the_values_contradict_is_asked_for():
    with pytest.raises(InputError, match="the unit is 'percent', but traces rest near 0"):
        resolve_factor(variant(scale="unknown", scale_why="the unit is 'percent', but traces rest near 0"))


def test_other_scales_are_refused():
    with pytest.raises(InputError, match="Expected scale 'fraction' or 'percent', received 'permille'"):
        resolve_factor(DFF, "permille")


def test_the_rate_of_the_file_counts():
    assert resolve_rate(DFF) == 30.0
    assert resolve_rate(DFF, 30.001) == 30.0
    with pytest.raises(InputError, match=r"has an imaging rate of 30 Hz, but 15 Hz was given: imaging_rate="):
        resolve_rate(DFF, 15.0)


def test_a_missing_rate_can_be_given():
    rateless = variant(imaging_rate=None, imaging_rate_why="the stated rate is 0 Hz")
    with pytest.raises(
        InputError, match=r"but the stated rate is 0 Hz, and its imaging plane states 31 Hz; .*\(--imaging-rate HZ\)"
    ):
        choose([rateless])
    assert choose([rateless], imaging_rate=15.5) is rateless
    assert resolve_rate(rateless, 15.5) == 15.5
    with pytest.raises(InputError) as caught:
        resolve_rate(dataclasses.replace(rateless, plane_rate=None))
    assert "plane" not in str(caught.value)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_given_rate_must_be_positive(rate):
    with pytest.raises(InputError, match="Expected a positive imaging rate in Hz, received"):
        resolve_rate(DFF, rate)
