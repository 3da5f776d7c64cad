"""The fit of the distribution of counts: it finds what was put in, and uses no cell that it judges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nwb_cascade.core.count_model import CountModel
from nwb_cascade.evaluation.assessment import Condition
from nwb_cascade.evaluation.count_fit import KnownCounts, class_of, fit_class, fit_count_models, known_counts
from nwb_cascade.training.conditional_bundle import conditional_bundle, describe_member
from nwb_cascade.training.conditional_training import conditional_trainee
from nwb_cascade.training.training_plan import TrainingPlan
from tests.support.simulated_recordings import simulated_recording
from tests.unit.evaluation.test_evaluation_run import SIZES

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

TRUE = CountModel("unmet", (0.4, -0.2, 0.0), (-1.0, -0.3, 0.0, 0.2, -0.2), 0.4, 0.6)


def drawn_cells(model: CountModel, n_datasets: int = 12, n_cells: int = 12, n_windows: int = 60) -> list[KnownCounts]:
    """Cells whose counts are drawn from a model, in windows of one and of four seconds."""
    generator = np.random.default_rng(0)
    cells = []
    for dataset in range(n_datasets):
        gain = np.exp(model.preparation_sd * generator.standard_normal())
        for cell in range(n_cells):
            of_cell = replace(model, preparation_sd=0.0).scaled(gain, 0.0)
            level, recording = 2.0 + cell % 3, simulated_recording(f"DS{dataset}", str(cell))
            for window in (1.0, 4.0):
                expected = generator.gamma(0.7, 2.0 * window, (1, n_windows))
                counts = of_cell.sample(expected, level, window, np.random.default_rng([dataset, cell]))
                lengths = np.full(n_windows, window)
                cells.append(KnownCounts(recording, "0", "unmet", level, counts[0] * 1.0, expected[0], lengths))
    return cells


def test_the_parameters_of_drawn_counts_are_found() -> None:
    found, _ = fit_class("unmet", drawn_cells(TRUE))
    assert found.cell_sd == pytest.approx(TRUE.cell_sd, rel=0.25)
    assert found.preparation_sd == pytest.approx(TRUE.preparation_sd, rel=0.4)
    expected = np.array([0.5, 2.0, 8.0])
    ratios = found.means(expected, 3.0, 1.0) / TRUE.means(expected, 3.0, 1.0)
    assert np.abs(np.log(ratios)).max() < 0.4  # the mean of twelve preparations
    assert np.log(ratios).std() < 0.1
    spreads = found.overdispersion(expected, 3.0, 1.0) / TRUE.overdispersion(expected, 3.0, 1.0)
    assert np.abs(np.log(spreads)).max() < 0.5


@pytest.fixture(scope="module")
def recordings():
    return [simulated_recording("DS30", cell, seed=seed, seconds=12.0) for seed, cell in enumerate("abcd")]


@pytest.fixture(scope="module")
def bundle(recordings):
    """Two networks, each of which left out two of four animals."""
    from nwb_cascade.training.steps import network_weights

    members = [
        describe_member(
            [one for number, one in enumerate(recordings) if number % 2 != fold],
            network_weights(conditional_trainee(SIZES).model),
            fold=fold,
            seed=fold,
            n_steps=0,
        )
        for fold in (0, 1)
    ]
    return conditional_bundle(TrainingPlan("tiny"), SIZES, members, recordings)


def test_a_cell_is_met_if_other_animals_of_its_preparation_were_in_the_training(bundle, recordings):
    config, _ = bundle
    assert class_of(config, recordings[0], (0,)) == "met"
    assert class_of(config, replace(recordings[0], dataset="DS10"), (0,)) == "unmet"
    assert class_of(config, replace(recordings[0], species="Danio rerio"), (0,)) == "unmet"
    assert class_of(config, replace(recordings[0], cell_type="PV interneuron"), (0,)) == "unmet_interneuron"


def test_counts_are_those_of_the_windows_whose_frames_have_a_value(bundle, recordings):
    (of_cell,) = known_counts(*bundle, recordings[:1], Condition(30.0, 8.0), (1.0, None))
    seconds, trials = of_cell
    assert seconds.counts.size == 24
    assert trials.counts == pytest.approx([trial.n_spikes for trial in recordings[0].trials], abs=1)
    assert seconds.expected.sum() == pytest.approx(trials.expected.sum(), rel=0.05)
    assert (seconds.judge, seconds.kind) == ("0", "met")


def test_each_network_is_judged_with_parameters_from_the_others_cells(bundle, recordings, monkeypatch):
    used: list[set[str]] = []

    def watched(kind, cells, *start):
        used.append({one.recording.cell for one in cells})
        return fit_class(kind, cells, *start)

    monkeypatch.setattr("nwb_cascade.evaluation.count_fit.fit_class", watched)
    fitted = fit_count_models(*bundle, recordings, conditions=[Condition(30.0, 8.0)])
    assert fitted["met_indicators"] == ["GCaMP6f"]
    assert sorted(fitted["held_out"]) == ["0", "1"]
    assert used[:3] == [set("abcd"), set("bd"), set("ac")]
    kinds = {"met": "met", "unmet": "unmet", "unmet_interneuron": "unmet"}
    assert {fit: CountModel.from_dict(fitted[fit]).kind for fit in kinds} == kinds


def test_a_model_that_saw_every_cell_cannot_be_fitted(bundle, recordings):
    config, weights = bundle
    every = [{**one, "animals": [r.animal for r in recordings]} for one in config.extra["members"]]
    with pytest.raises(LookupError, match="Expected recordings that some network of tiny was not trained on"):
        fit_count_models(
            replace(config, extra={"members": every}), weights, recordings, conditions=[Condition(30.0, 8.0)]
        )
