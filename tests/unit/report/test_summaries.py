"""Figures of a whole recording: raster, noise coverage, kinds of warnings."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.report.coverage import noise_coverage
from nwb_cascade.report.page import room_for_traces
from nwb_cascade.report.raster import LARGEST_SHADE, MOST_COLUMNS, MOST_ROWS, NO_VALUE, CellRasterMaker, RasterMaker


def raster_of(rates, clock=None):
    maker = RasterMaker(len(rates), clock or FrameClock.from_rate(10.0, rates.shape[1]))
    for roi, row in enumerate(rates):
        maker.add(roi, row)
    return maker.make()


def test_a_small_raster_shows_every_value_in_spikes_per_second() -> None:
    rates = np.array([[0.0, 0.5, 1.0, np.nan], [0.25, 0.0, 0.0, 0.0]])
    raster = raster_of(rates)
    assert raster.shades[0, 3] == NO_VALUE
    there = np.isfinite(rates)
    shown = raster.shades[there] / LARGEST_SHADE * raster.top_hz
    np.testing.assert_allclose(shown, np.minimum(10 * rates[there], raster.top_hz), atol=raster.top_hz / LARGEST_SHADE)


def test_a_large_raster_holds_means_over_neighbours() -> None:
    rates = np.zeros((2 * MOST_ROWS, 3 * MOST_COLUMNS))
    rates[10:12, 30:33] = 0.6
    rates[10, 31] = np.nan
    raster = raster_of(rates)
    assert raster.shades.shape == (MOST_ROWS, MOST_COLUMNS)
    assert (raster.rois_per_row, raster.column_s) == (2, pytest.approx(0.3))
    assert raster.top_hz == pytest.approx(6.0), "one busy cell among zeros still sets the scale"
    assert raster.shades[5, 10] == LARGEST_SHADE
    assert np.count_nonzero(raster.shades) == 1


def test_a_pause_is_a_part_of_the_raster_without_values() -> None:
    times = np.concatenate([np.arange(100) / 10, 20 + np.arange(200) / 20])
    raster = raster_of(np.full((2, 300), 0.1), FrameClock.from_timestamps(times))
    seconds = (np.arange(raster.shades.shape[1]) + 0.5) * raster.column_s
    shown = raster.shades[0] / LARGEST_SHADE * raster.top_hz
    assert (raster.shades[:, (seconds > 10.1) & (seconds < 19.9)] == NO_VALUE).all()
    np.testing.assert_allclose(shown[raster.shades[0] != NO_VALUE][[0, -1]], [1.0, 2.0], atol=0.01)


def test_cells_of_different_rates_share_the_time_of_a_raster() -> None:
    maker = CellRasterMaker([10.0, 40.0], [100, 200])  # 10 s and 5 s
    maker.add(0, np.where(np.arange(100) < 50, 0.2, 0.0))
    maker.add(1, np.where(np.arange(200) < 100, 0.1, np.nan))
    assert (maker.column_s, maker.rates_hz.shape) == (0.1, (2, 100))
    np.testing.assert_allclose(maker.rates_hz[0], np.repeat([2.0, 0.0], 50), atol=1e-6)
    np.testing.assert_allclose(maker.rates_hz[1, :25], 4.0, atol=1e-6)
    assert np.isnan(maker.rates_hz[1, 25:]).all()


def test_a_raster_without_values_can_be_made() -> None:
    assert (raster_of(np.full((1, 1), np.nan)).shades == NO_VALUE).all()


def test_every_roi_is_covered_uncovered_or_unknown() -> None:
    levels = np.array([0.5, 2.0, 2.5, 9.0, 9.5, np.nan])
    coverage = noise_coverage(levels, [9.0, 2.0])
    assert (coverage.below, coverage.within, coverage.above, coverage.unknown) == (1, 3, 1, 1)
    assert coverage.covered.sum() == 3
    assert coverage.uncovered.sum() == 2
    assert coverage.median == 2.5
    quiet = noise_coverage(levels, [2.0, 9.0], quieter_is_covered=True)
    assert (quiet.below, quiet.within, quiet.low) == (0, 4, 0.0)


def test_unknown_noise_levels_have_a_histogram() -> None:
    coverage = noise_coverage(np.full(3, np.nan), [2.0])
    assert coverage.covered.sum() == 0
    assert np.isfinite(coverage.edges).all()
    assert np.isnan(coverage.median)


@pytest.mark.parametrize("levels", [[2.0], [2.0] * 50, [2.0, 2.0 + 1e-12], [2.0, 2.0001, 2.001] * 20, [0.0], [1, 5.0]])
def test_bars_of_noise_levels_are_wide_enough_to_be_seen(levels: list[float]) -> None:
    coverage = noise_coverage(np.array(levels), [0.3, 30.0], quieter_is_covered=True)
    assert coverage.covered.sum() == len(levels)
    assert np.diff(coverage.edges) == pytest.approx(np.diff(coverage.edges)[0])
    assert np.diff(coverage.edges).min() > 30 / 101
    assert coverage.edges[0] >= 0


def test_more_rows_leave_less_room_and_never_less_than_none() -> None:
    pytest.importorskip("plotly", reason="reports need plotly: pip install 'nwb-cascade[report]'")
    assert 7_000_000 < room_for_traces(2000, 1_280_000) < room_for_traces(10, 8_000) < 10_000_000
    assert room_for_traces(10, 8_000) - room_for_traces(10, 808_000) == 800_000
    assert room_for_traces(10**6, 0) == 0
