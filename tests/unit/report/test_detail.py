"""What fits on a page: the room is kept, everything that fits is exact, the most active ROIs come in full."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_cascade.report.detail import RoiTraces, pack_roi, pack_rois
from nwb_cascade.report.steps import TICKS_PER_FRAME

N_ROIS, N_FRAMES = 30, 2000
ACTIVE = (7, 21)


def traces(roi: int) -> RoiTraces:
    """Noise, with rates that are ten times as high in two of the ROIs."""
    rng = np.random.default_rng(roi)
    rates = (rng.random(N_FRAMES) * (rng.random(N_FRAMES) < 0.1) * (10 if roi in ACTIVE else 1)).astype(np.float32)
    rates[:4] = np.nan
    dff = rng.normal(0, 0.1, N_FRAMES).astype(np.float32)
    return RoiTraces(rates, dff, 0.2 * rates, np.sort(rng.random(12)) * N_FRAMES, noise_std=0.1)


def packed_in(room: int, **options):
    return pack_rois(traces, [N_FRAMES] * N_ROIS, room, **options)


def test_with_room_every_frame_of_every_roi_is_there():
    for roi, one in enumerate(packed_in(10**6)):
        wanted, steps = traces(roi), one.steps()
        assert one.frames_per_step == 1
        np.testing.assert_allclose(steps.dff_low * one.dff_unit, wanted.dff, atol=0.1 / 16 / 2 * 1.001)
        np.testing.assert_array_equal(steps.dff_low, steps.dff_high)
        valid = np.isfinite(wanted.rates)
        largest = np.nanmax(wanted.rates)
        np.testing.assert_allclose((steps.rate_low * one.rate_unit)[valid], wanted.rates[valid], atol=largest / 499)
        np.testing.assert_allclose(
            (steps.deviation * one.rate_unit)[valid], wanted.deviation[valid], atol=largest / 499
        )
        assert (steps.rate_low[~valid] == -32768).all()
        np.testing.assert_allclose(steps.spike_ticks / TICKS_PER_FRAME, wanted.spike_frames, atol=0.5 / TICKS_PER_FRAME)
        assert steps.spike_count.sum() == 12


@pytest.mark.parametrize("room", [4_000, 12_000, 30_000, 60_000])
def test_the_room_is_kept_and_half_of_it_shows_rois_in_full(room):
    packed = packed_in(room)
    assert sum(one.n_bytes for one in packed) <= room
    steps = {one.frames_per_step for one in packed} - {1}
    assert len(steps) == 1, "all but those in full have the same frames per step"


def test_the_most_active_rois_come_in_full_first():
    packed = packed_in(30_000)
    full = [roi for roi, one in enumerate(packed) if one.frames_per_step == 1]
    assert set(ACTIVE) <= set(full)
    assert len(full) < N_ROIS


def test_preferred_rois_come_before_the_most_active():
    room = 22_000
    quietest = min(range(N_ROIS), key=lambda roi: np.nansum(traces(roi).rates))
    plain, asked = packed_in(room), packed_in(room, preferred=[quietest])
    assert plain[quietest].frames_per_step > 1
    assert asked[quietest].frames_per_step == 1
    assert sum(one.n_bytes for one in asked) <= room


def test_coarser_rois_are_the_envelope_of_the_full_ones():
    coarse = next(one for one in packed_in(30_000) if one.frames_per_step > 1)
    full = pack_roi(traces(0))
    step = coarse.frames_per_step
    wanted = full.steps().coarser(step)
    got = packed_in(30_000)[0].steps()
    for name in ("dff_low", "dff_high", "rate_low", "rate_high", "deviation", "spike_count"):
        np.testing.assert_array_equal(getattr(got, name), getattr(wanted, name))
    assert got.spike_count.sum() == 12


def test_every_roi_is_observed_once_in_order_and_counted():
    seen, counted = [], []
    packed_in(12_000, observe=lambda roi, one: seen.append(roi), progress=lambda *done: counted.append(done))
    assert seen == list(range(N_ROIS))
    assert counted[-1] == (N_ROIS, N_ROIS)


def test_one_frame_and_no_values_can_be_packed():
    empty = RoiTraces(np.full(1, np.nan, np.float32), None, None, np.empty(0), float("nan"))
    (one,) = pack_rois(lambda roi: empty, [1], 1000)
    steps = one.steps()
    assert steps.n_steps == 1
    assert steps.rate_low[0] == steps.dff_low[0] == -32768


@pytest.mark.parametrize("room", [0, 10])
def test_no_room_at_all_leaves_a_step_for_each_roi(room):
    packed = packed_in(room)
    assert {one.frames_per_step for one in packed} == {2048}
    assert {one.n_steps for one in packed} == {1}
