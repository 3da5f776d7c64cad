"""The distribution of spike counts: its parts agree with each other, and with draws from it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from nwb_cascade.core.count_model import CountModel, require_level
from nwb_cascade.errors import InputError, ModelFileError

MODEL = CountModel("unmet", (0.1, -0.1, 0.05), (-1.0, -0.5, 0.05, 0.2, -0.3), 0.4, 0.5)
NARROW = CountModel("met", (0.0, 0.0, 0.0), (-20.0, 0.0, 0.0, 0.0, 0.0), 0.0, 0.0)


def test_a_model_comes_back_from_json() -> None:
    assert CountModel.from_dict(json.loads(json.dumps(MODEL.to_dict()))) == MODEL


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"cell_sd": -1}, "cell_sd"),
        ({"mean": [0.0]}, "mean"),
        ({"gain": float("nan")}, "gain"),
        ({"spread": "x"}, "spr"),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(change: dict[str, object], named: str) -> None:
    with pytest.raises(ModelFileError, match=f"Expected {named}"):
        CountModel.from_dict({**MODEL.to_dict(), **change})


@given(st.floats(0, 300), st.floats(0.1, 30), st.floats(0.05, 500), st.integers(0, 400))
def test_the_distribution_rises_from_0_to_1(expected: float, noise: float, window_s: float, count: int) -> None:
    values = MODEL.cdf([-1, count, count + 1, 1e9], expected, noise, window_s)
    assert values[0] == 0
    assert 0 < values[1] <= values[2] <= 1 + 1e-12
    assert values[3] == pytest.approx(1, abs=1e-4)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=20), st.floats(0.01, 0.99))
def test_a_quantile_is_the_least_count_that_is_likely_enough(expected: list[float], probability: float) -> None:
    # numbers of few bits and the noise level of the centre are not rounded
    few = np.round(np.array(expected) * 4) / 4
    few = few[few < 32] if (few < 32).any() else np.array([1.0])
    found = MODEL.quantiles(probability, few, 4.0, 1.0)
    assert (MODEL.cdf(found, few, 4.0, 1.0) >= probability).all()
    assert (MODEL.cdf(found - 1, few, 4.0, 1.0) < probability).all()


def test_quantiles_rise_with_expected_counts_and_gain_and_are_nan_where_these_are() -> None:
    expected = np.array([[0.0, 0.5, 5.0, 50.0, np.nan]])
    upper = MODEL.quantiles(0.9, expected, np.array([[3.0]]), 1.0)
    assert (np.diff(upper[0, :4]) > 0).all()
    assert np.isnan(upper[0, 4])
    doubled = MODEL.scaled(2.0, 0.5).quantiles(0.9, expected, np.array([[3.0]]), 1.0)
    assert (doubled[0, 1:4] > upper[0, 1:4]).all()


def test_without_gain_and_overdispersion_counts_are_poisson() -> None:
    from scipy.stats import nbinom

    reference = nbinom(100, 1 / (1 + 0.01 * 7.0))  # the least overdispersion is 0.01
    mean = NARROW.means(6.98, 4.0, 1.0)
    assert mean == pytest.approx(7.0)
    assert NARROW.cdf(np.arange(20), 6.98, 4.0, 1.0) == pytest.approx(reference.cdf(np.arange(20)), abs=1e-7)


@pytest.mark.parametrize("model", [MODEL, MODEL.scaled(3.0, 0.1), NARROW])
def test_the_transform_of_draws_is_uniform(model: CountModel) -> None:
    generator = np.random.default_rng(1)
    expected = generator.gamma(1.0, 3.0, (4000, 1))
    counts = model.sample(expected, 3.0, 1.0, generator)
    values = model.pit(counts, expected, 3.0, 1.0, generator)
    assert kstest(values.ravel(), "uniform").pvalue > 0.01
    wrong = model.pit(counts, 1.3 * expected, 3.0, 1.0, generator)
    assert kstest(wrong.ravel(), "uniform").pvalue < 0.01


def test_windows_of_a_cell_share_its_gain() -> None:
    generator = np.random.default_rng(0)
    counts = MODEL.sample(np.full((300, 40), 20.0), 3.0, 4.0, generator)
    spread_of_means = np.log(counts.mean(axis=1)).std()
    assert spread_of_means == pytest.approx(MODEL.gain_sd, rel=0.15)


@pytest.mark.parametrize("level", [0, 1, -0.5, float("nan"), 80, "0.8"])
def test_a_level_is_between_0_and_1(level: object) -> None:
    with pytest.raises(InputError, match=r"Expected a level between 0 and 1, such as 0\.8"):
        require_level(level)  # type: ignore[arg-type]
