"""ROIs in other orders: by rate, by place, and with those that are active together side by side."""

from __future__ import annotations

import numpy as np

from nwb_cascade.report.orders import by_correlation, by_place, by_rate


def test_the_busiest_come_first_and_those_without_a_value_last() -> None:
    assert by_rate(np.array([0.0, np.nan, 3.0, 1.0])).tolist() == [2, 3, 0, 1]


def test_places_run_from_left_to_right() -> None:
    centres = np.array([[30.0, 1.0], [np.nan, np.nan], [10.0, 5.0], [20.0, 0.0]])
    assert by_place(centres).tolist() == [2, 3, 0, 1]


def test_rois_that_are_active_together_stand_side_by_side() -> None:
    rng = np.random.default_rng(3)
    group = rng.permutation(np.repeat([0, 1, 2], 8))
    rates = rng.random((3, 500))[group] + 0.3 * rng.random((24, 500))
    rates[:, 40:60] = np.nan
    order = by_correlation(np.vstack([np.full((1, 500), 0.5), rates, np.full((1, 500), np.nan)]).astype(np.float32))
    assert sorted(order.tolist()) == list(range(26))
    assert set(order[-2:].tolist()) == {0, 25}, "what never changes comes last"
    changes = np.count_nonzero(np.diff(group[order[:-2] - 1]))
    assert changes == 2


def test_too_few_have_no_order_by_correlation() -> None:
    assert by_correlation(np.eye(2, 10, dtype=np.float32)) is None
    assert by_correlation(np.zeros((5, 10), np.float32)) is None
