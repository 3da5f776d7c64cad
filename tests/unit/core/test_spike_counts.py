"""Spike counts in windows: sums of the rates, bounds around them, and sentences for what cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.spike_counts import count_model_of, spike_counts
from nwb_cascade.errors import InputError

MODEL = CountModel("met", (0.0, 0.0, 0.0), (-2.0, -0.3, 0.0, 0.1, -0.2), 0.3, 0.2)
RECORD = {
    "count_models": {
        "met": MODEL.to_dict(),
        "unmet": {**MODEL.to_dict(), "preparation_sd": 0.9},
        "unmet_interneuron": {**MODEL.to_dict(), "kind": "unmet", "preparation_sd": 1.5},
        "met_indicators": ["jGCaMP8m"],
    }
}


def rates(n_rois: int = 3, n_frames: int = 95) -> np.ndarray:
    return np.random.default_rng(0).gamma(0.3, 0.5, (n_rois, n_frames))


def test_windows_tile_the_recording_and_sum_its_rates() -> None:
    values, clock = rates(), FrameClock.from_rate(10.0, 95)
    found = spike_counts(values, np.full(3, 2.0), MODEL, clock, window_s=1.0)
    assert found.expected.shape == found.lower.shape == found.upper.shape == (3, 9)
    assert found.expected == pytest.approx(values[:, :90].reshape(3, 9, 10).sum(axis=2))
    assert found.start_s == pytest.approx(np.arange(9.0))
    assert (found.lower <= found.upper).all()
    assert (found.kind, found.level, found.window_s) == ("met", 0.8, 1.0)


def test_rates_that_divide_no_window_lose_no_frame() -> None:
    clock = FrameClock.from_rate(29.97, 2997)
    found = spike_counts(np.ones((1, 2997)), np.array([2.0]), MODEL, clock, window_s=1.0)
    assert found.expected.shape == (1, 100)
    assert found.expected.sum() == 2997
    assert set(found.expected.ravel()) == {29.0, 30.0}


def test_a_recording_as_a_whole_is_one_window() -> None:
    values = rates()
    found = spike_counts(values, np.full(3, 2.0), MODEL, FrameClock.from_rate(10.0, 95), window_s=None)
    assert found.expected == pytest.approx(values.sum(axis=1, keepdims=True))


def test_windows_without_half_of_their_values_have_none() -> None:
    values = rates(2, 100)
    values[0, :16] = np.nan
    values[1] = np.nan
    clock = FrameClock.from_rate(10.0, 100)
    found = spike_counts(values, np.full(2, 2.0), MODEL, clock)
    assert np.isnan(found.expected[0, 0])
    assert np.isnan(found.expected[0, 1])  # four of its ten frames
    assert np.isfinite(found.expected[0, 2:]).all()
    for of_counts in (found.expected, found.lower, found.upper):
        assert np.isnan(of_counts[1]).all()
    whole = spike_counts(values, np.full(2, 2.0), MODEL, clock, window_s=None)
    assert whole.expected[0, 0] == pytest.approx(np.nansum(values[0]))
    assert np.isnan(whole.expected[1, 0])


def test_intervals_are_nested_and_wider_for_what_was_not_met() -> None:
    values, clock = rates(4, 600), FrameClock.from_rate(10.0, 600)
    narrow, wide = (spike_counts(values, np.full(4, 2.0), MODEL, clock, level=level) for level in (0.5, 0.95))
    assert (wide.lower <= narrow.lower).all()
    assert (wide.upper >= narrow.upper).all()
    met, unmet = (count_model_of(RECORD, name, "m") for name in ("jGCaMP8m", "near jGCaMP8m"))
    assert (met.kind, unmet.kind) == ("met", "unmet")
    widths = [
        (found.upper - found.lower).mean()
        for found in (spike_counts(values, np.full(4, 2.0), one, clock) for one in (met, unmet))
    ]
    assert widths[0] < widths[1]


def test_interneurons_have_a_distribution_of_their_own_where_one_was_fitted() -> None:
    name = "jGCaMP8m (interneuron)"
    assert (count_model_of(RECORD, name, "m").kind, count_model_of(RECORD, name, "m").preparation_sd) == ("unmet", 1.5)
    fitted = {kind: RECORD["count_models"][kind] for kind in ("met", "unmet", "met_indicators")}
    assert count_model_of({"count_models": fitted}, name, "m").preparation_sd == 0.9


def test_a_gain_scales_counts_and_bounds() -> None:
    values, clock = rates(2, 600), FrameClock.from_rate(10.0, 600)
    plain, scaled = (
        spike_counts(values, np.full(2, 2.0), one, clock, window_s=30.0) for one in (MODEL, MODEL.scaled(3.0, 0.2))
    )
    assert scaled.expected == pytest.approx(3 * MODEL.means(plain.expected, 2.0, 30.0))
    assert (scaled.lower > plain.lower).all()


def test_pauses_between_stretches_hold_no_windows_with_values() -> None:
    times = np.concatenate([np.arange(50) / 10, 20 + np.arange(50) / 10])
    clock = FrameClock.from_timestamps(times)
    found = spike_counts(np.ones((1, 100)), np.array([2.0]), MODEL, clock, window_s=5.0)
    assert found.expected[0] == pytest.approx([50, np.nan, np.nan, np.nan, 50], nan_ok=True)


@pytest.mark.parametrize("window_s", [0.05, 9.6, -1.0, 0.0, float("nan"), "1"])
def test_windows_are_at_least_a_frame_and_at_most_the_recording(window_s: object) -> None:
    clock = FrameClock.from_rate(10.0, 95)
    with pytest.raises(
        InputError, match=r"Expected windows from one frame \(0\.1 s\) to the whole recording \(9\.5 s\)"
    ):
        spike_counts(rates(), np.full(3, 2.0), MODEL, clock, window_s=window_s)  # type: ignore[arg-type]


@pytest.mark.parametrize("record", [{}, {"count_models": 3}, {"count_models": {"met": {}}}])
def test_a_model_without_intervals_is_told(record: dict[str, object]) -> None:
    with pytest.raises(
        InputError, match=r"Expected a model whose intervals were fitted .*, received old, which has none"
    ):
        count_model_of(record, "jGCaMP8m", "old")
