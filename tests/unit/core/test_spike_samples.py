"""Sampled trains: their counts follow the predictive distribution, their places the rates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.core.spike_samples import sample_trains
from nwb_cascade.errors import InputError

MODEL = CountModel("unmet", (0.1, -0.1, 0.05), (-1.0, -0.3, 0.0, 0.2, -0.3), 0.4, 0.3)
RATE = 10.0


def test_counts_of_samples_follow_the_distribution() -> None:
    generator = np.random.default_rng(0)
    rates = generator.gamma(0.4, 0.5, 300)
    clock = FrameClock.from_rate(RATE, 300)
    trains = sample_trains(rates, 3.0, MODEL, clock, 400, generator)
    counts = np.array([np.histogram(train + 0.05, bins=np.arange(31))[0] for train in trains])
    expected = np.broadcast_to(rates.reshape(30, 10).sum(axis=1), counts.shape)
    # the windows of a sample share its gain: one of each
    at = np.arange(400) % 30
    some = np.arange(400)
    values = MODEL.pit(counts[some, at], expected[some, at], 3.0, 1.0, generator)
    assert kstest(values, "uniform").pvalue > 0.01


def test_spikes_are_placed_by_the_rates_and_never_where_there_are_none() -> None:
    rates = np.zeros(200)
    rates[[52, 57]] = 3.0, 1.0
    rates[100:150] = np.nan
    trains = sample_trains(rates, 3.0, MODEL, FrameClock.from_rate(RATE, 200, 2.0), 300, np.random.default_rng(0))
    frames = np.round((np.concatenate(trains) - 2.0) * RATE).astype(int)
    window = frames[(frames >= 50) & (frames < 60)]
    assert set(window) == {52, 57}
    assert (window == 52).mean() == pytest.approx(0.75, abs=0.05)
    assert not ((frames >= 100) & (frames < 150)).any()
    assert all((np.diff(train) >= 0).all() for train in trains)


def test_equal_seeds_give_equal_trains() -> None:
    rates, clock = np.full(100, 0.2), FrameClock.from_rate(RATE, 100)
    first, again, other = (sample_trains(rates, 3.0, MODEL, clock, 5, np.random.default_rng(s)) for s in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_a_roi_without_values_gives_empty_trains() -> None:
    clock = FrameClock.from_rate(RATE, 50)
    trains = sample_trains(np.full(50, np.nan), 3.0, MODEL, clock, 3, np.random.default_rng(0))
    assert [train.size for train in trains] == [0, 0, 0]


@pytest.mark.parametrize("number", [0, 10_001])
def test_numbers_of_samples_are_bounded(number: int) -> None:
    with pytest.raises(InputError, match="Expected 1 to 10000 samples"):
        sample_trains(np.ones(50), 3.0, MODEL, FrameClock.from_rate(RATE, 50), number, np.random.default_rng(0))
