"""dF/F from raw fluorescence: what is subtracted, what divides, and what is said about it."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nwb_cascade.dff import DffMethod, compute_dff, fit_neuropil_factor, running_percentile
from nwb_cascade.errors import InputError

RATE = 10.0
PLAIN = DffMethod(neuropil="none")
traces = arrays(np.float32, st.integers(2, 60), elements=st.floats(50, 500, width=32))


def recording(n_frames=3000, factor=0.6, seed=0):
    """Raw fluorescence of one ROI with known transients and neuropil, and both of them."""
    rng = np.random.default_rng(seed)
    frames = np.arange(n_frames)
    neuropil = 200 + 30 * np.convolve(rng.normal(size=n_frames), np.ones(30) / 5, "same")
    transients = np.convolve(rng.random(n_frames) < 0.004, np.exp(-np.arange(40) / 10.0))[:n_frames]
    own = 100 * (1 + transients) + rng.normal(0, 2, n_frames)
    bleaching = np.exp(-frames / (3.0 * n_frames))
    return own * bleaching + factor * neuropil, neuropil, transients * bleaching


@settings(max_examples=50, deadline=None)
@given(trace=traces, percentile=st.floats(0, 99.9), half=st.integers(0, 20))
def test_the_running_percentile_is_the_lower_rank_in_every_window(trace, percentile, half):
    window = 2 * half + 1
    found = running_percentile(trace, percentile, window)
    if window >= trace.size:
        expected = np.full(trace.size, np.percentile(trace, percentile, method="lower"))
    else:
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(trace, half, mode="symmetric"), window)
        expected = np.sort(windows, axis=1)[:, int(window * percentile / 100.0)]
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=50, deadline=None)
@given(
    trace=traces, gain=st.floats(0.125, 8.0), method=st.sampled_from([PLAIN, DffMethod.allen(), DffMethod.suite2p()])
)
def test_the_detector_gain_does_not_matter(trace, gain, method):
    neuropil = np.full_like(trace, 10.0)
    once = compute_dff(trace[None], RATE, method, neuropil=neuropil[None])
    amplified = compute_dff(gain * trace[None], RATE, method, neuropil=gain * neuropil[None])
    assert once.outcomes == amplified.outcomes
    np.testing.assert_allclose(amplified.dff, once.dff, rtol=1e-3, atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(trace=traces, factor=st.floats(0, 1.5))
def test_subtracting_added_neuropil_gives_the_trace_back(trace, factor):
    neuropil = 40 + 20 * np.sin(np.arange(trace.size))
    without = compute_dff(trace[None], RATE, PLAIN)
    method = DffMethod(neuropil_factor=factor, least_baseline=0.0)
    corrected = compute_dff((trace + factor * neuropil)[None], RATE, method, neuropil=neuropil[None])
    np.testing.assert_allclose(corrected.dff, without.dff, atol=1e-3)
    assert corrected.neuropil_factor[0] == np.float32(factor)


def test_a_transient_keeps_its_size_on_a_bleaching_baseline():
    fluorescence, neuropil, transients = recording()
    method = DffMethod(neuropil_factor=0.6, baseline="percentile", percentile=10.0, window_s=30.0)
    result = compute_dff(fluorescence[None], RATE, method, neuropil=neuropil[None])
    assert result.outcomes == ("ok",)
    assert result.messages() == {}
    bleaching = np.exp(-np.arange(3000) / 9000.0)
    np.testing.assert_allclose(result.dff[0], transients / bleaching, atol=0.25)
    assert abs(np.median(result.dff[0] - transients / bleaching)) < 0.05


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("rate", [7.5, 30.0])
def test_at_rest_df_f_is_0_whatever_the_noise(rate, noise):
    rng = np.random.default_rng(0)
    n_frames = int(300 * rate)
    events = rng.random((8, n_frames)) < 0.1 / rate
    transients = np.stack(
        [np.convolve(row, 0.5 * np.exp(-np.arange(n_frames) / (0.3 * rate)))[:n_frames] for row in events]
    )
    fluorescence = 500 * (1 + transients + noise * rng.standard_normal((8, n_frames)))
    error = compute_dff(fluorescence, rate, PLAIN).dff - (fluorescence / 500 - 1)
    assert abs(error.mean()) < 0.02 + 0.03 * noise
    low = compute_dff(fluorescence, rate, DffMethod(neuropil="none", baseline="percentile")).dff
    assert (low - fluorescence / 500 + 1).mean() > noise


def test_maximin_is_minimum_then_maximum_of_the_smoothed_trace():
    trace = np.random.default_rng(1).uniform(50, 100, 200)
    method = DffMethod(neuropil="none", baseline="maximin", window_s=2.1, smoothing_frames=0.0)
    pad, window = 10, 21

    def running(extreme, values):
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, pad, mode="symmetric"), window)
        return extreme(windows, axis=1)

    baseline = running(np.max, running(np.min, trace))
    result = compute_dff(trace[None], RATE, method)
    np.testing.assert_allclose(result.dff[0], trace / baseline - 1, rtol=1e-4, atol=1e-5)


def test_the_robust_factor_ignores_transients_and_bleaching():
    fluorescence, neuropil, _ = recording(factor=0.6)
    result = compute_dff(fluorescence[None], RATE, DffMethod(neuropil="robust"), neuropil=neuropil[None])
    assert result.neuropil_factor[0] == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize(("true", "found"), [(-0.5, 0.0), (0.3, 0.3), (1.7, 1.0)])
def test_the_robust_factor_stays_between_0_and_1(true, found):
    rng = np.random.default_rng(2)
    neuropil = rng.normal(100, 10, 500).astype(np.float32)
    trace = (100 + true * neuropil + rng.normal(0, 1, 500)).astype(np.float32)
    assert fit_neuropil_factor(trace, neuropil, 101) == pytest.approx(found, abs=0.02)


def test_neuropil_that_does_not_vary_is_not_subtracted():
    assert fit_neuropil_factor(np.arange(50, dtype=np.float32), np.full(50, 7, np.float32), 11) == 0.0


def test_frames_left_out_are_nan_and_touch_no_others():
    fluorescence = np.random.default_rng(3).uniform(90, 110, (2, 300))
    bad = np.zeros(300, bool)
    bad[100:120] = True
    damaged = fluorescence.copy()
    damaged[:, 100:120] = 1e6
    damaged[0, 200] = np.nan
    result = compute_dff(damaged, RATE, PLAIN, bad_frames=bad)
    assert np.flatnonzero(np.isnan(result.dff[0])).tolist() == [*range(100, 120), 200]
    assert np.flatnonzero(np.isnan(result.dff[1])).tolist() == [*range(100, 120)]
    intact = compute_dff(fluorescence, RATE, PLAIN)
    kept = ~np.isnan(result.dff)
    np.testing.assert_allclose(result.dff[kept], intact.dff[kept], atol=0.02)


def test_nan_in_the_neuropil_leaves_the_frame_out():
    neuropil = np.full((1, 50), 10.0)
    neuropil[0, 7] = np.nan
    result = compute_dff(np.full((1, 50), 100.0), RATE, DffMethod(), neuropil=neuropil)
    assert np.flatnonzero(np.isnan(result.dff[0])).tolist() == [7]


@pytest.mark.parametrize(
    ("guard", "outcome", "offset", "message"),
    [
        (
            "exclude",
            "excluded",
            0.0,
            "ROI in row 1: its baseline fell to -40.*5 % of its median.*undefined, set to NaN",
        ),
        ("restore-neuropil", "restored", 140.0, "ROI in row 1: .*140 was added"),
        ("noise-floor", "floored", 0.0, "ROI in row 1: .*noise limits the divisor"),
    ],
)
def test_a_baseline_that_cannot_divide_is_handled_as_asked_and_reported(guard, outcome, offset, message):
    rng = np.random.default_rng(4)
    fluorescence = np.stack([np.full(400, 300.0), np.full(400, 100.0)]) + rng.normal(0, 0.01, (2, 400))
    fluorescence[:, 200] += 50
    result = compute_dff(fluorescence, RATE, DffMethod(guard=guard), neuropil=np.full((2, 400), 200.0))
    assert result.outcomes == ("ok", outcome)
    assert result.offset == pytest.approx([0.0, offset])
    assert result.lowest_baseline == pytest.approx([160.0, -40.0], abs=0.1)
    assert list(result.messages()) == [1]
    assert re.search(message, result.messages()[1])
    peak = {"exclude": np.nan, "restore-neuropil": 0.5, "noise-floor": 50 / 0.01}[guard]
    assert result.dff[1, 200] == pytest.approx(peak, rel=0.3, nan_ok=True)
    assert result.dff[0, 200] == pytest.approx(50 / 160, rel=0.01)


def test_restoring_the_neuropil_equals_adding_its_median_first():
    rng = np.random.default_rng(5)
    fluorescence, neuropil = rng.uniform(100, 120, (1, 300)), rng.uniform(190, 210, (1, 300))
    restored = compute_dff(fluorescence, RATE, DffMethod(guard="restore-neuropil"), neuropil=neuropil)
    assert restored.outcomes == ("restored",)
    by_hand = compute_dff(fluorescence, RATE, DffMethod(offset=0.7 * np.median(neuropil)), neuropil=neuropil)
    np.testing.assert_allclose(restored.dff, by_hand.dff, atol=1e-4)
    assert restored.offset == pytest.approx(by_hand.offset, rel=1e-5)


def test_fluorescence_below_zero_is_excluded_whatever_the_guard():
    for guard in ("exclude", "restore-neuropil"):
        result = compute_dff(np.full((1, 20), -5.0), RATE, DffMethod(neuropil="none", guard=guard))
        assert result.outcomes == ("excluded",)
        assert np.isnan(result.dff).all()
    constant = compute_dff(np.zeros((1, 20)), RATE, DffMethod(neuropil="none", guard="noise-floor"))
    assert constant.outcomes == ("excluded",)


@pytest.mark.parametrize("method", [PLAIN, DffMethod(neuropil="none", baseline="maximin")])
def test_a_window_longer_than_the_trace_gives_one_baseline(method):
    trace = 100 + np.arange(50.0)
    result = compute_dff(trace[None], RATE, method)
    np.testing.assert_allclose(trace / (1 + result.dff[0]), result.lowest_baseline[0], rtol=1e-5)


def test_no_rois_one_frame_no_frames_and_no_data():
    assert compute_dff(np.empty((0, 30)), RATE, PLAIN).dff.shape == (0, 30)
    assert compute_dff([[5.0]], RATE, PLAIN).dff.tolist() == [[0.0]]
    assert compute_dff([[5.0]], RATE, DffMethod(neuropil="robust"), neuropil=[[1.0]]).dff.tolist() == [[0.0]]
    assert compute_dff(np.empty((1, 0)), RATE, PLAIN).outcomes == ("no-data",)
    empty = compute_dff(np.full((1, 9), np.nan), RATE, PLAIN)
    assert empty.outcomes == ("no-data",)
    assert "no finite frame" in empty.messages()[0]


def test_rois_do_not_influence_each_other():
    rng = np.random.default_rng(6)
    fluorescence, neuropil = rng.uniform(50, 150, (4, 200)), rng.uniform(20, 60, (4, 200))
    method = DffMethod(neuropil="robust", guard="restore-neuropil")
    together = compute_dff(fluorescence, RATE, method, neuropil=neuropil)
    for roi in range(4):
        alone = compute_dff(fluorescence[[roi]], RATE, method, neuropil=neuropil[[roi]])
        np.testing.assert_array_equal(alone.dff[0], together.dff[roi])


@given(
    method=st.builds(
        DffMethod,
        neuropil=st.sampled_from(["none", "fixed", "robust"]),
        neuropil_factor=st.floats(0, 2),
        baseline=st.just("percentile"),
        percentile=st.floats(0, 100),
        window_s=st.floats(0.1, 1e4),
        smoothing_frames=st.floats(0, 100),
        offset=st.floats(-1e5, 1e5),
        guard=st.sampled_from(["exclude", "restore-neuropil", "noise-floor"]),
        least_baseline=st.floats(0, 1),
    )
)
def test_a_method_survives_json(method):
    assert DffMethod.from_json(method.to_json()) == method


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "as JSON, received text that fails"),
        ("[1]", "a JSON object with fields"),
        ('{"colour": 1}', "a JSON object with fields"),
        ('{"percentile": 101}', "percentile as a finite number from 0 to 100, received 101"),
    ],
)
def test_text_that_is_no_method_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        DffMethod.from_json(text)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"neuropil": "some"}, "neuropil out of none, fixed, robust, received 'some'"),
        ({"baseline": "mode"}, "baseline out of rest, percentile, maximin"),
        ({"guard": "none"}, "guard out of exclude, restore-neuropil, noise-floor"),
        ({"window_s": 0.0}, "window_s > 0"),
        ({"window_s": np.inf}, "window_s as a finite number"),
        ({"neuropil_factor": -0.1}, "neuropil_factor as a finite number from 0 to 2"),
        ({"percentile": 20.0}, "no percentile with baseline 'rest', received 20; pass baseline='percentile'"),
        ({"percentile": "8"}, "percentile as a finite number from 0 to 100, received '8'"),
    ],
)
def test_a_method_with_values_out_of_range_is_refused(values, message):
    with pytest.raises(InputError, match=message):
        DffMethod(**values)


@pytest.mark.parametrize(
    ("fluorescence", "options", "message"),
    [
        (np.zeros(5), {}, r"fluorescence as numbers of shape .*fluorescence\[None, :\]"),
        ([["a"]], {}, "fluorescence as numbers"),
        (np.ones((2, 5)), {}, "neuropil traces for neuropil='fixed', received none"),
        (np.ones((2, 5)), {"neuropil": np.ones((5, 2))}, r"shape \(2, 5\), received \(5, 2\)"),
        (np.ones((2, 5)), {"neuropil": np.zeros((2, 5))}, "received only zeros, as suite2p"),
        (np.ones((2, 5)), {"method": PLAIN, "bad_frames": [True]}, r"5 bool values, received bool of shape \(1,\)"),
        (np.ones((2, 5)), {"method": PLAIN, "bad_frames": [0, 1, 2, 3, 4]}, "5 bool values, received int"),
        (np.ones((2, 5)), {"method": PLAIN, "imaging_rate": -1.0}, "positive imaging rate"),
    ],
)
def test_bad_input_is_refused(fluorescence, options, message):
    arguments = {"imaging_rate": RATE, "method": DffMethod(), **options}
    with pytest.raises(InputError, match=message):
        compute_dff(fluorescence, **arguments)
