"""Histograms hold every value that their axis can show, once."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_cascade.report.distributions import MOST_BINS, histogram_of


@pytest.mark.parametrize("values", [[0.2], [0.3] * 40, [1e-4, 0.1, 50.0, 0.0, np.nan], np.geomspace(0.01, 10, 5000)])
@pytest.mark.parametrize("is_log", [True, False])
def test_every_value_is_in_one_bar(values: list[float], is_log: bool) -> None:
    found = histogram_of(np.array(values), "rate-chart", "spikes/s", "ROIs", is_log=is_log)
    assert found is not None
    known = [value for value in values if np.isfinite(value) and (value > 0 or not is_log)]
    assert sum(found.bars[""]) == len(known)
    assert len(found.bars[""]) <= MOST_BINS
    assert (np.diff(found.edges) > 0).all()
    assert found.edges[0] <= min(known) * 1.001
    assert found.edges[-1] >= max(known) * 0.999


def test_bars_lie_where_the_values_are() -> None:
    found = histogram_of(np.array([0.01, 0.01, 10.0]), "rate-chart", "spikes/s", "ROIs", is_log=True)
    assert found is not None
    counts = np.array(found.bars[""])
    assert (counts[0], counts[-1]) == (2, 1)


def test_nothing_known_has_no_histogram() -> None:
    assert histogram_of(np.array([np.nan, 0.0]), "a", "b", "c", is_log=True) is None
    assert histogram_of(np.empty(0), "a", "b", "c") is None
