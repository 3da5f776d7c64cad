"""Discrete spikes of estimates against known spikes."""

from __future__ import annotations

import numpy as np
import pytest

from nwb_cascade.evaluation.assessment import Condition, make_case
from nwb_cascade.evaluation.spike_scores import median_spike_scores, spike_scores
from tests.support.simulated_recordings import simulated_recording

CONDITION = Condition(30.0, 4.0)


def perfect(cases):
    return [case.truths for case in cases]


def half(cases):
    return [[0.5 * truth for truth in case.truths] for case in cases]


def absent(cases):
    return [[np.full_like(truth, np.nan) for truth in case.truths] for case in cases]


@pytest.fixture(scope="module")
def case():
    return make_case(simulated_recording(seed=3), CONDITION)


def test_the_spikes_of_perfect_estimates_are_the_known_ones(case):
    scores = spike_scores([case], perfect)
    assert [one.spike_total for one in scores] == ["conserved", "supported"]
    for one in scores:
        assert one.n_true == one.n_found == sum(trial.n_spikes for trial in case.recording.trials)
        assert one.match.f1 == pytest.approx(1)
        assert one.count_error == 0
        assert one.fit_error < 0.01


def test_too_few_spikes_are_told(case):
    conserved = spike_scores([case], half)[0]
    assert conserved.count_error == pytest.approx(-0.5, abs=0.05)
    assert conserved.match.recall < 0.6


def test_spikes_in_frames_without_an_estimate_are_not_asked_for(case):
    def until_half(cases):
        found = [[truth.copy() for truth in one.truths] for one in cases]
        for trials in found:
            for truth in trials:
                truth[truth.size // 2 :] = np.nan
        return found

    one = spike_scores([case], until_half)[0]
    assert 0 < one.n_true < 0.8 * sum(trial.n_spikes for trial in case.recording.trials)
    assert one.match.f1 > 0.95


def test_cells_without_an_estimate_are_left_out(case):
    assert spike_scores([case], absent) == []
    assert median_spike_scores([]) == {}


def test_medians_are_over_the_cells_of_a_dataset_and_over_all(case):
    medians = median_spike_scores(spike_scores([case, case], perfect))
    assert set(medians) == {(name, total) for name in ("DS10", "all") for total in ("conserved", "supported")}
    assert medians["all", "conserved"]["n"] == 2
    assert medians["DS10", "supported"]["f1"] == pytest.approx(1)
