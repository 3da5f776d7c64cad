"""Evaluation: cases at a stated rate and noise, and held-out recordings that no network of theirs ever saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nwb_cascade.architectures.conditional_sizes import ConditionalSizes
from nwb_cascade.architectures.told_sizes import CODES
from nwb_cascade.architectures.told_sizes import CONDITION as CONDITION_LAYER
from nwb_cascade.core.noise import noise_level
from nwb_cascade.errors import InputError
from nwb_cascade.evaluation.assessment import Case, Condition, assess, evaluate, make_case, medians
from nwb_cascade.evaluation.evaluation_run import held_out_estimator, judges
from nwb_cascade.training.conditional_bundle import (
    adopt_codes,
    conditional_bundle,
    describe_member,
    members_without,
    take_members,
)
from nwb_cascade.training.conditional_training import conditional_trainee, train_member
from nwb_cascade.training.folds import ANIMAL_FOLDS, DATASET_FOLDS, fold_of, split
from nwb_cascade.training.plans import run_plan
from nwb_cascade.training.steps import TrainingSettings
from nwb_cascade.training.training_plan import TrainingPlan
from nwb_cascade.training.warm_start import WarmStart
from tests.support.simulated_recordings import simulated_recording

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

CONDITION = Condition(30.0, 4.0)
SIZES = ConditionalSizes(
    widths=(2, 2), depths=(1, 1), condition=2, embedding=2, indicators=("GCaMP6f", "GCaMP6f (zebrafish)", "OGB-1")
)


def perfect(cases):
    return [case.truths for case in cases]


def test_a_case_has_the_rate_and_noise_level_that_were_asked_for():
    case = make_case(simulated_recording(), CONDITION)
    assert isinstance(case, Case)
    assert [trace.size for trace in case.traces] == [900, 900]
    measured = noise_level(np.concatenate(case.traces)[None], 30.0)[0]
    assert measured == pytest.approx(4.0, rel=0.02)


def test_a_cell_may_be_seen_for_a_part_of_each_frame():
    def first_frames(exposure):
        case = make_case(simulated_recording(noise=1.0), replace(CONDITION, noise_level=None, exposure=exposure))
        return case.traces[0], case.truths[0]

    (whole, known), (part, known_too) = first_frames(1.0), first_frames(0.1)
    assert np.array_equal(known, known_too)
    assert np.corrcoef(whole, part)[0, 1] > 0.5
    assert np.std(np.diff(part)) > np.std(np.diff(whole))


def test_a_case_is_the_same_whichever_other_recordings_are_tested():
    alone = make_case(simulated_recording(), CONDITION)
    again = make_case(simulated_recording(), CONDITION)
    other_seed = make_case(simulated_recording(), CONDITION, seed=1)
    assert np.array_equal(alone.traces[0], again.traces[0])
    assert not np.array_equal(alone.traces[0], other_seed.traces[0])


def test_recordings_noisier_than_asked_for_are_listed_with_the_reason():
    results = evaluate([simulated_recording(noise=1.0)], CONDITION, {"perfect": perfect})
    assert results[0].scores is None
    assert "is above 4" in results[0].skipped
    assert medians(results) == {}


def test_a_perfect_estimate_scores_perfectly_over_all_trials():
    (result,) = evaluate([simulated_recording()], CONDITION, {"perfect": perfect})
    assert result.scores.correlation == pytest.approx(1)
    assert result.scores.bias == pytest.approx(0, abs=1e-6)
    assert medians([result])["DS10", "perfect"]["n"] == 1


def test_the_lag_of_an_estimate_is_found():
    case = make_case(simulated_recording(seconds=60.0), CONDITION)
    late = [np.concatenate([np.zeros(2), truth[:-2]]) for truth in case.truths]
    assert assess(case, late, "late").scores.lag_s == pytest.approx(2 / 30, abs=3e-3)


def test_every_fold_holds_out_whole_animals_and_whole_datasets():
    recordings = [simulated_recording(dataset, cell) for dataset in ("DS10", "DS11", "DS13") for cell in "ab"]
    for fold in range(5):
        inside, outside = split(recordings, fold)
        assert not {r.dataset for r in inside} & {r.dataset for r in outside}
    assert fold_of(replace(recordings[0], dataset="DS31", animal="479115")) == ANIMAL_FOLDS["479115"]


def test_a_recording_without_fold_is_refused():
    with pytest.raises(LookupError, match="DS99"):
        fold_of(simulated_recording("DS99"))


def test_datasets_that_share_cells_or_animals_share_a_fold():
    from ground_truth_nwb.catalogue import cells_groups

    by_animal = {"DS28", "DS29", "DS30", "DS31", "DS32", "DS33"}
    for dataset, group in cells_groups(sorted(set(DATASET_FOLDS) - by_animal)).items():
        assert DATASET_FOLDS[dataset] == DATASET_FOLDS[group]


class PoisonedRecordingError(Exception):
    """Raised when anything reads the trials of a recording that must not be read."""


class Poisoned(tuple):
    """Trials that must not be touched."""

    def __iter__(self):
        raise PoisonedRecordingError

    def __getitem__(self, index):
        raise PoisonedRecordingError


def poisoned(recording):
    return replace(recording, trials=Poisoned(recording.trials))


@pytest.fixture(scope="module")
def recordings():
    cells = (("DS10", 0), ("DS11", 1), ("DS12", 2), ("DS17", 3), ("DS16", 4))
    return [simulated_recording(dataset, "a", seed=fold, seconds=8.0) for dataset, fold in cells]


def test_no_network_of_a_held_out_recording_was_trained_on_it(recordings, monkeypatch, tmp_path):
    from nwb_cascade.training import told_training

    settings = TrainingSettings(n_steps=1, batch_size=2, n_frames=32)
    plan = TrainingPlan("tiny", folds=True, versions=1, network=SIZES.to_network(), settings=settings)
    for member in range(2):
        # The recordings of the member's own fold raise when they are read, so the training cannot have read them.
        watched = [poisoned(r) if fold_of(r) == member else r for r in recordings]
        with monkeypatch.context() as patch:
            patch.setattr(told_training, "split", lambda chosen, fold: (split(chosen, fold)[0], []))
            trained = train_member(plan, watched, member, tmp_path)
        assert recordings[member].dataset not in trained.datasets
        assert recordings[member].animal not in trained.animals


def test_a_poisoned_recording_stops_a_training_that_reads_it(recordings, tmp_path):
    settings = TrainingSettings(n_steps=1, batch_size=2)
    plan = TrainingPlan("tiny", ensemble_size=1, versions=1, network=SIZES.to_network(), settings=settings)
    with pytest.raises(PoisonedRecordingError):
        run_plan(plan, [poisoned(recordings[0]), *recordings[1:]], tmp_path)


@pytest.fixture(scope="module")
def bundle(recordings):
    from nwb_cascade.training.steps import network_weights

    members = [
        describe_member(
            split(recordings, fold)[0],
            network_weights(conditional_trainee(SIZES).model),
            fold=fold,
            seed=fold,
            n_steps=1,
        )
        for fold in range(5)
    ]
    return conditional_bundle(TrainingPlan("tiny"), SIZES, members, recordings)


@pytest.fixture
def warm_plan():
    settings = TrainingSettings(n_steps=1, batch_size=2, n_frames=32, learning_rate=0.0, weight_decay=0.0)
    return TrainingPlan("warm", folds=True, versions=1, settings=settings)


def test_a_warm_start_begins_with_the_networks_of_the_model_and_keeps_its_record(
    bundle, recordings, warm_plan, tmp_path
):
    config, weights = bundle
    some = [r for r in recordings if r.dataset in ("DS10", "DS11")]
    member = train_member(warm_plan, some, 2, tmp_path, start=WarmStart(config, weights))
    for key, value in member.weights.items():
        np.testing.assert_array_equal(value, weights[f"2/{key}"])
    assert member.datasets == ("DS10", "DS11", "DS16", "DS17")
    assert member.fold == 2


def test_a_warm_start_is_told_more_than_its_model_and_says_the_same_at_first(bundle, recordings):
    config, weights = bundle
    sizes = ConditionalSizes.from_network(config.network)
    earlier = {k: np.delete(v, 2, axis=0) if k.endswith(CONDITION_LAYER) else v for k, v in weights.items()}
    start = WarmStart(replace(config, network={**sizes.to_network(), "conditions": 2}), earlier)
    assert start.sizes(recordings) == sizes
    begun = start.member(0, 0, sizes)
    assert not begun[CONDITION_LAYER][2].any()
    np.testing.assert_array_equal(np.delete(begun[CONDITION_LAYER], 2, axis=0), earlier[f"0/{CONDITION_LAYER}"])


def test_a_warm_start_never_begins_with_a_network_that_saw_the_fold(bundle, recordings, warm_plan, tmp_path):
    config, weights = bundle
    moved = replace(config, extra={**config.extra, "members": config.extra["members"][::-1]})
    with pytest.raises(InputError, match="without fold 0: it was not"):
        train_member(warm_plan, recordings, 0, tmp_path, start=WarmStart(moved, weights))


def test_a_warm_start_needs_a_code_for_every_indicator(bundle, recordings, warm_plan, tmp_path):
    foreign = [*(replace(one, indicator="Fluo-4") for one in recordings[:2]), *recordings[2:]]
    with pytest.raises(InputError, match="received Fluo-4"):
        train_member(warm_plan, foreign, 0, tmp_path, start=WarmStart(*bundle))


def test_a_warm_start_is_for_conditional_models(bundle, recordings, tmp_path):
    plan = TrainingPlan("c", architecture="cascade", imaging_rate=30.0)
    with pytest.raises(InputError, match="conditional model only"):
        run_plan(plan, recordings, tmp_path, start=WarmStart(*bundle))
    with pytest.raises(InputError, match="architecture cascade"):
        WarmStart(replace(bundle[0], architecture="cascade"), {})


def test_a_model_from_a_warm_start_says_what_it_started_from(bundle, recordings, warm_plan, tmp_path):
    config, _ = run_plan(warm_plan, recordings[:3], tmp_path, start=WarmStart(*bundle))
    assert config.extra["started_from"]["name"] == "tiny"
    assert set(config.extra["dataset_sha256"]) == {recording.dataset for recording in recordings}
    assert config.network == bundle[0].network


def test_only_networks_trained_without_a_dataset_judge_it(bundle, recordings):
    config, _ = bundle
    for fold, recording in enumerate(recordings):
        case = make_case(recording, CONDITION)
        assert judges(config, case, "dataset") == (fold,)
        assert judges(config, case, "animal") == (fold,)


def test_a_held_out_estimate_is_that_of_the_one_network(bundle, recordings):
    config, weights = bundle
    cases = [make_case(recording, CONDITION) for recording in recordings[:2]]
    both = held_out_estimator(config, weights, "dataset")(cases)
    for fold, case in enumerate(cases):
        alone = take_members(config, weights, [fold])
        from nwb_cascade.evaluation.evaluation_run import bundle_estimator

        expected = bundle_estimator(*alone)([case])[0]
        assert both[fold][0] == pytest.approx(expected[0], abs=1e-6)


def test_a_recording_that_every_network_saw_gets_no_estimate(bundle):
    config, weights = bundle
    saw_all = replace(config, extra={"members": [{"datasets": ["DS10"], "animals": []}] * 5})
    case = make_case(simulated_recording(), CONDITION)
    assert np.isnan(held_out_estimator(saw_all, weights, "dataset")([case])[0][0]).all()


def test_a_bundle_without_record_cannot_be_called_held_out(bundle):
    config, _ = bundle
    with pytest.raises(LookupError, match="nothing of it can be called held out"):
        members_without(replace(config, extra={}), dataset="DS10")


def test_the_record_names_what_each_network_was_trained_on(bundle, recordings):
    config, _ = bundle
    assert set(config.extra["dataset_sha256"]) == {recording.dataset for recording in recordings}
    assert [member["held_out_fold"] for member in config.extra["members"]] == [0, 1, 2, 3, 4]
    assert {"python", "keras", "numpy"} <= set(config.extra["packages"])


def test_indicators_that_a_network_never_met_are_near_the_nearest_it_met():
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    adopted = adopt_codes({CODES: table}, SIZES, {"GCaMP6f"})[CODES]
    assert adopted[1].tolist() == table[1].tolist()
    assert adopted[2].tolist() == ((table[0] + table[1]) / 2).tolist()
    assert adopted[3].tolist() == table[0].tolist()
