"""Coverage of count intervals: that of drawn counts is nominal, that of wrong ones is not."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_cascade.core.count_model import CountModel
from nwb_cascade.evaluation import count_coverage as module
from nwb_cascade.evaluation.assessment import Condition
from nwb_cascade.evaluation.count_coverage import LEVELS, count_coverage, coverage_means, coverage_record
from nwb_cascade.evaluation.count_fit import KnownCounts
from tests.support.networks import cascade_config
from tests.support.simulated_recordings import simulated_recording

TRUE = CountModel("unmet", (0.2, -0.1, 0.0), (-1.0, -0.3, 0.0, 0.2, -0.2), 0.4, 0.4)


def drawn(kind: str, n_cells: int = 60) -> list[list[KnownCounts]]:
    generator = np.random.default_rng(0)
    expected = generator.gamma(0.7, 2.0, (n_cells, 400))
    counts = TRUE.sample(expected, 3.0, 1.0, generator)
    dataset = {"met": "DS30", "unmet": "DS10"}[kind]
    return [
        [
            KnownCounts(
                simulated_recording(dataset, str(row)), "0", kind, 3.0, counts[row] * 1.0, expected[row], np.ones(400)
            )
        ]
        for row in range(n_cells)
    ]


def judged(monkeypatch: pytest.MonkeyPatch, held_out: CountModel) -> list[module.CountCoverage]:
    monkeypatch.setattr(module, "known_counts", lambda *_, **__: drawn("met") + drawn("unmet"))
    wrong = CountModel("met", (5.0, 0.0, 0.0), (0.0,) * 5, 0.1, 0.1).to_dict()
    record = {"met": wrong, "unmet": wrong, "met_indicators": []}
    record["held_out"] = {"0": {"met": held_out.to_dict(), "unmet": held_out.to_dict()}}
    config = cascade_config(extra={"count_models": record})
    return count_coverage(config, {}, [], Condition(30.0, 3.0))


def test_intervals_of_the_true_distribution_hold_as_many_windows_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    unmet, met = judged(monkeypatch, TRUE)
    assert (met.dataset, met.kind, met.n_cells) == ("DS30", "met", 60)
    assert unmet.dataset == "DS10"
    assert met.within_all == pytest.approx(LEVELS, abs=0.05)
    assert 0 < met.n_event_windows < 60 * 400
    assert met.width > 0
    assert [one.dataset for one in coverage_means([met, unmet])] == ["mean", "mean"]
    assert coverage_record(met)["all_80"] == met.within_all[1]


def test_intervals_of_another_distribution_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    _, met = judged(monkeypatch, CountModel("met", (0.2, -0.1, 0.0), (-6.0, 0.0, 0.0, 0.0, 0.0), 0.05, 0.0))
    assert met.within_all[1] < 0.7


def test_a_model_without_fitted_intervals_is_told() -> None:
    with pytest.raises(LookupError, match="Expected a model with fitted intervals of counts, received"):
        count_coverage(cascade_config(), {}, [], Condition(30.0, 3.0))
