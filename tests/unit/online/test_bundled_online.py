"""The bundled online model: small, honest about its training, and good at simulated spikes while they come."""

import numpy as np
import pytest

from nwb_cascade.evaluation.assessment import Condition, evaluate
from nwb_cascade.evaluation.online_estimator import online_estimator
from nwb_cascade.models.library import load_model
from nwb_cascade.online.replay import replay
from nwb_cascade.training.folds import ANIMAL_FOLDS
from tests.support.simulated_recordings import simulated_recording


@pytest.fixture(scope="module")
def model():
    return load_model("online-1-120Hz")


def test_it_is_one_small_network_whose_record_says_that_it_saw_all_animals(model):
    assert sum(path.stat().st_size for path in model.path.iterdir()) < 1e6
    (member,) = model.config.extra["members"]
    assert member["held_out_fold"] is None
    assert set(ANIMAL_FOLDS) <= set(member["animals"])


def test_more_look_ahead_finds_simulated_spikes_better(model):
    recordings = [simulated_recording("DS10", cell, seed=index) for index, cell in enumerate("ab")]
    estimators = {str(ahead): online_estimator(model, ahead) for ahead in (0.0, 0.1)}
    found = evaluate(recordings, Condition(30.0, 4.0), estimators)
    scores = {one.estimator: one.scores.correlation for one in found if one.cell == recordings[0].cell}
    assert scores["0.1"] > scores["0.0"] + 0.05
    assert scores["0.1"] > 0.4  # of single-exponential transients that no training had


def test_a_replay_tells_of_every_frame_in_time():
    found = replay(duration_s=4.0)
    assert found.n_frames == 120
    assert found.look_ahead_ms == pytest.approx(100)
    assert np.isfinite([found.correlation, found.n_expected_spikes, found.latest_ms]).all()
