"""The rest level: the same trace whatever F0 it was divided by, at 0 under noise, and a measure of activity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.core.noise import noise_level, noise_std
from nwb_cascade.core.rest_level import MOST_SCALED, from_rest, tell, tell_apart, tell_block

RATE, FRAMES = 30.0, 5400


def cells(event_rate: float, noise: float, *, n_rois: int = 12, seed: int = 0) -> np.ndarray:
    """dF/F of cells with transients of 0.3 dF/F that decay over 0.2 s."""
    rng = np.random.default_rng(seed)
    events = rng.random((n_rois, FRAMES)) < event_rate / RATE
    kernel = 0.3 * np.exp(-np.arange(60) / 6)
    clean = np.stack([np.convolve(row, kernel)[:FRAMES] for row in events])
    return clean + noise_std(noise, RATE) * rng.standard_normal(clean.shape)


def at_rest(dff: np.ndarray) -> np.ndarray:
    return from_rest(dff, tell_block(dff, RATE).rest(slice(None), dff.shape[1]))


@settings(max_examples=20, deadline=None)
@given(factor=st.floats(0.7, 1.4), event_rate=st.sampled_from([0.0, 0.3, 2.0]), noise=st.sampled_from([1.0, 8.0]))
def test_a_wrong_f0_changes_nothing(factor, event_rate, noise):
    dff = cells(event_rate, noise, n_rois=3)
    moved = factor * (1 + dff) - 1
    np.testing.assert_allclose(at_rest(moved), at_rest(dff), atol=1e-5)
    np.testing.assert_allclose(tell_block(moved, RATE).activity, tell_block(dff, RATE).activity, atol=1e-4)


@pytest.mark.parametrize("constant", [-0.2, 0.1, 0.3])
def test_a_constant_scales_transients_by_what_it_adds_to_f0(constant):
    dff = cells(0.3, 2.0)
    rest = tell_block(dff, RATE).rest(slice(None), FRAMES)
    np.testing.assert_allclose(at_rest(dff + constant) * (1 + rest + constant), dff - rest, atol=1e-5)


@pytest.mark.parametrize("bleached_by", [0.2, 0.6])
def test_transients_on_a_strong_slope_keep_their_size_on_average(bleached_by):
    """A slope that was added leaves transients as they are; a weak one is taken for a drift of F0 and scales them."""
    dff = cells(0.3, 2.0)
    bleached = dff - np.linspace(0.0, bleached_by, FRAMES, dtype=np.float32)
    told = tell_block(bleached, RATE)
    read = told.from_rest(bleached, slice(None))
    ratio = [
        np.diff(read[:, part]).std() / np.diff(dff[:, part]).std() for part in (slice(0, 1000), slice(-1000, None))
    ]
    if bleached_by > MOST_SCALED:
        assert ratio[0] == pytest.approx(ratio[1], rel=0.01)
        assert ratio[0] == pytest.approx(1 / (1 - bleached_by / 2), rel=0.05)
        np.testing.assert_allclose(told.noise_from_rest(FRAMES), noise_level(read, RATE), rtol=0.01)
    else:
        assert ratio[1] / ratio[0] == pytest.approx(1 / (1 - bleached_by), rel=0.08)
        assert np.isnan(told.scale).all()


def test_a_drift_of_f0_is_undone():
    dff = cells(0.3, 3.0)
    drifting = np.linspace(0.85, 1.15, FRAMES) * (1 + dff) - 1
    assert np.abs(at_rest(drifting) - at_rest(dff)).max() < 0.03


@pytest.mark.parametrize("noise", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("event_rate", [0.0, 0.05, 0.3, 1.0])
def test_noise_and_sparse_activity_leave_the_rest_level_where_it_is(event_rate, noise):
    rest = tell_block(cells(event_rate, noise), RATE).mean_rest(FRAMES)
    assert abs(rest.mean()) < 0.02
    assert rest.std() < 0.03


def test_activity_tells_noise_from_cells_with_transients():
    noise, sparse, busy = (tell_block(cells(rate, 2.0), RATE).activity for rate in (0.0, 0.1, 1.0))
    assert noise.mean() < -0.9
    assert sparse.min() > noise.max()
    assert busy.min() > sparse.max()


def test_stretches_share_one_line_in_recorded_time():
    dff = np.linspace(0.9, 1.1, FRAMES) * (1 + cells(0.3, 2.0)) - 1
    whole = tell_block(dff, RATE)
    parts = [dff[:, :2000], dff[:, 2000:]]
    told = tell(parts, [RATE, RATE], [noise_level(part, RATE) for part in parts])
    joined = np.concatenate(
        [one.rest(slice(None), part.shape[1]) for one, part in zip(told, parts, strict=True)], axis=1
    )
    np.testing.assert_allclose(joined, whole.rest(slice(None), FRAMES), atol=0.01)
    np.testing.assert_allclose(told[0].activity, told[1].activity)


def test_traces_of_many_lengths_and_rates_are_told_as_alone():
    traces = [row[:n] for row, n in zip(cells(0.5, 3.0), (5400, 3000, 400, 40, 7, 2), strict=False)]
    rates = [30.0, 15.0, 7.5, 30.0, 1.0, 60.0]
    levels = [float(noise_level(trace[None], rate)[0]) for trace, rate in zip(traces, rates, strict=True)]
    first, step, activity, scale = tell_apart(traces, rates, levels)
    for row, (trace, rate) in enumerate(zip(traces, rates, strict=True)):
        alone = tell_block(trace[None], rate)
        assert first[row] == pytest.approx(alone.first[0], abs=1e-9)
        assert step[row] == pytest.approx(alone.step[0], abs=1e-9)
        assert activity[row] == pytest.approx(alone.activity[0], abs=1e-6)
        np.testing.assert_allclose(scale[row], alone.scale[0])


def test_missing_frames_padding_and_nothing_at_all():
    dff = cells(0.3, 2.0) + 0.5
    gappy = dff.copy()
    gappy[:, 1000:2500] = np.nan
    gappy[0] = np.nan
    padded = dff.copy()
    padded[:, 4000:] = 0.0
    for changed in (gappy[1:], padded):
        rest = tell_block(changed, RATE).mean_rest(4000)
        assert np.abs(rest - tell_block(dff, RATE).mean_rest(4000)[-len(rest) :]).max() < 0.1
    assert tell_block(gappy, RATE).mean_rest(FRAMES)[0] == 0
    assert tell_block(np.zeros((0, 10)), RATE).activity.shape == (0,)
    assert np.isfinite(tell_block(np.zeros((2, 1), np.float32), RATE).first).all()
