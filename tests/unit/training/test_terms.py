"""Citation and licence of own models: from the datasets, never those of other data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ground_truth_nwb.catalogue import load_catalogue
from ground_truth_nwb.simulated_set import simulated_set_folder
from nwb_cascade.models.library import load_model
from nwb_cascade.training.recordings import load_recordings
from nwb_cascade.training.terms import data_terms, with_terms

BUNDLED = "conditional-1-120Hz"


@pytest.fixture(scope="module")
def config():
    return replace(load_model(BUNDLED).config, citation="", licence="")


def test_a_model_of_simulated_cells_cites_nobody(config):
    datasets = {recording.dataset for recording in load_recordings(simulated_set_folder())}
    trained = with_terms(replace(config, training_datasets=tuple(datasets)))
    assert trained.citation == "SIM: simulated by ground_truth_nwb, nothing to cite."
    assert trained.licence == "Terms of the training data: SIM: simulated, no terms of others."


@pytest.mark.parametrize("dataset", [dataset.id for dataset in load_catalogue().datasets])
def test_every_dataset_of_the_catalogue_is_cited_with_its_terms(dataset):
    known = load_catalogue().dataset(dataset)
    source = load_catalogue().source(known.source)
    terms = data_terms([dataset])
    assert all(f"doi:{reference}" in terms.citation for reference in (*known.references, *source.references))
    assert source.terms in terms.licence


def test_datasets_of_one_origin_are_told_together_and_unknown_ones_apart():
    terms = data_terms(["LAB7", "DANDI000168", "DS10", "DS12"])
    assert terms.citation == (
        "DANDI000168: doi:10.1038/s41586-023-05828-9. "
        "DS10, DS12: doi:10.7554/eLife.51675, doi:10.1038/s41593-021-00895-5. "
        "LAB7: not recorded, give --citation."
    )
    assert terms.licence.startswith("DANDI000168: CC-BY-4.0. ")
    assert terms.licence.endswith("LAB7: not recorded, give --licence.")


def test_what_the_maker_says_counts(config):
    trained = with_terms(config, citation="Mine (2026)", licence="CC0-1.0")
    assert (trained.citation, trained.licence) == ("Mine (2026)", "CC0-1.0")


def test_the_licence_of_the_model_that_a_training_began_with_is_told(config):
    start = load_model(BUNDLED).config
    assert with_terms(config, start=start).licence.endswith(f"Begun with {BUNDLED}, BSD-3-Clause.")
    assert with_terms(config, start=config).licence.endswith("no licence recorded.")


def test_the_bundled_models_say_what_the_script_that_trains_them_says():
    from scripts.train_bundled_models import PLANS

    for name in (BUNDLED, "cascade-30Hz-25ms"):
        bundled = load_model(name).config
        (plan,) = (plan for plan in PLANS.values() if plan.name == name)
        assert (bundled.citation, bundled.licence) == (plan.citation, plan.licence)
