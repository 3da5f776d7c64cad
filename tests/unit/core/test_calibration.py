"""The gain of a preparation: what is known moves and narrows it, and what cannot be is told."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nwb_cascade.core.calibration import Calibration, gain_from_cells, gain_from_mean_rate, require_gain
from nwb_cascade.core.count_model import CountModel
from nwb_cascade.errors import InputError

MODEL = CountModel("unmet", (0.2, -0.1, 0.05), (-2.0, -0.3, 0.0, 0.1, -0.2), 0.4, 0.8)
FOUND = Calibration(0.5, 0.2, "labelled cells", "m", "0" * 64, "GCaMP6f", {"cells": ["a"]})


def drawn_cells(generator: np.random.Generator, n_cells: int, gain: float) -> tuple[np.ndarray, np.ndarray]:
    expected = generator.uniform(100, 400, (n_cells, 1))
    counts = MODEL.scaled(gain, 0.0).sample(expected, 3.0, 100.0, generator)
    return counts[:, 0], expected[:, 0]


def test_gains_from_more_cells_come_closer_to_the_true_one_and_say_so() -> None:
    generator = np.random.default_rng(0)
    errors: dict[int, list[float]] = {1: [], 3: [], 30: []}
    stated = {}
    for n_cells, found in errors.items():
        for _ in range(60):
            gain, stated[n_cells] = gain_from_cells(*drawn_cells(generator, n_cells, 2.5), 3.0, 100.0, MODEL)
            found.append(float(np.log(gain / 2.5)))
    spreads = [float(np.std(errors[n])) for n in (1, 3, 30)]
    assert spreads[2] < 0.15
    assert abs(np.mean(errors[30])) < 0.05
    assert stated[1] > stated[3] > stated[30]
    assert stated[30] == pytest.approx(spreads[2], rel=0.4)


def test_gains_of_drawn_preparations_lie_within_what_is_stated() -> None:
    generator = np.random.default_rng(1)
    scores = []
    for _ in range(300):
        true = float(np.exp(MODEL.preparation_sd * generator.standard_normal()))
        gain, sd = gain_from_cells(*drawn_cells(generator, 3, true), 3.0, 100.0, MODEL)
        scores.append(np.log(gain / true) / sd)
    assert np.std(scores) == pytest.approx(1, rel=0.12)


def test_a_calibration_narrows_intervals_and_moves_counts() -> None:
    narrowed = FOUND.applied(MODEL)
    assert narrowed.gain_sd < MODEL.gain_sd
    assert narrowed.stated(100.0, 3.0, 100.0) == pytest.approx(0.5 * MODEL.means(100.0, 3.0, 100.0))
    widths = [
        one.quantiles(0.9, 100.0, 3.0, 100.0) / one.quantiles(0.1, 100.0, 3.0, 100.0) for one in (MODEL, narrowed)
    ]
    assert widths[1] < widths[0]
    assert CountModel.from_dict(json.loads(json.dumps(narrowed.to_dict()))) == narrowed


def test_a_known_mean_rate_gives_the_ratio_as_gain() -> None:
    stated = np.exp(np.full(400, np.log(2.0)))
    gain, sd = gain_from_mean_rate(4.0, 0.05, stated, MODEL)
    assert gain == pytest.approx(2 * np.exp(-(0.4**2) / 2), rel=0.02)
    assert sd == pytest.approx(np.hypot(0.05, 0.4 / 20), rel=0.1)
    unsure, wide = gain_from_mean_rate(4.0, 2.0, stated, MODEL)
    assert 1 < unsure < gain
    assert sd < wide < MODEL.preparation_sd


def test_a_calibration_comes_back_from_its_file() -> None:
    assert Calibration.from_json(FOUND.to_json(), "lab.json") == FOUND


@pytest.mark.parametrize("text", ["", "3", "{}", '{"format": "x"}', "[" * 5000])
def test_what_is_no_calibration_is_told(text: str) -> None:
    with pytest.raises(InputError, match=r"Expected a calibration in lab\.json, as 'nwb-cascade calibrate' writes it"):
        Calibration.from_json(text, "lab.json")


@pytest.mark.parametrize(
    ("change", "said"),
    [({"gain": 30.0}, "Expected a gain from 0.05 to 20, received 30"), ({"gain_sd": -1}, "gain_sd"), ({"x": 1}, "x")],
)
def test_a_calibration_with_impossible_values_is_told(change: dict[str, object], said: str) -> None:
    text = json.dumps({**json.loads(FOUND.to_json()), **change})
    with pytest.raises(InputError, match=rf"Expected a calibration in lab\.json: .*{said}"):
        Calibration.from_json(text, "lab.json")


@pytest.mark.parametrize("gain", [0.04, 20.5, float("nan"), "1"])
def test_a_gain_is_from_a_twentieth_to_twenty(gain: object) -> None:
    with pytest.raises(InputError, match=r"Expected a gain from 0\.05 to 20, received"):
        require_gain(gain)  # type: ignore[arg-type]


def test_cells_without_spikes_give_no_gain() -> None:
    with pytest.raises(InputError, match="Expected at least one labelled cell with spikes, received 2 without"):
        gain_from_cells([0, 0], [10.0, 20.0], 3.0, 100.0, MODEL)
