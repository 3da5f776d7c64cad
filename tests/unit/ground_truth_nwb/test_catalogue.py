"""The catalogue: its schema, its internal references, and what follows from it."""

import json
from importlib.resources import files

import jsonschema
import pytest

from ground_truth_nwb.catalogue import cells_groups, find_dataset, load_catalogue
from ground_truth_nwb.file_names import ANIMAL_PATTERNS
from ground_truth_nwb.indicators import KINETICS
from tests.support.shared import shared_path


def read_json(name):
    return json.loads(files("ground_truth_nwb").joinpath(name).read_text(encoding="utf-8"))


def test_data_file_follows_its_schema():
    schema = read_json("catalogue.schema.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(read_json("catalogue.json"))


def test_schema_refuses_an_invented_field():
    catalogue = read_json("catalogue.json")
    catalogue["datasets"][0]["mood"] = "good"
    with pytest.raises(jsonschema.ValidationError, match="mood"):
        jsonschema.validate(catalogue, read_json("catalogue.schema.json"))


def test_identifiers_are_unique_and_references_exist():
    catalogue = load_catalogue()
    ids = [dataset.id for dataset in catalogue.datasets]
    keys = {source.key for source in catalogue.sources}
    assert len(ids) == len(set(ids))
    assert {dataset.source for dataset in catalogue.datasets} == keys
    assert all(set(dataset.shares_cells_with) <= set(ids) for dataset in catalogue.datasets)
    assert {dataset.animal_rule for dataset in catalogue.datasets} - {None} == set(ANIMAL_PATTERNS)


def test_every_data_set_of_the_published_table_is_there():
    ids = {dataset.id for dataset in load_catalogue().datasets}
    published = {f"DS{number:02d}" for number in [*range(1, 34), 40, 41]}
    assert published | {"X-DS09", "X-DS10", "X-DS11", "X-DS12", "X-NAOMi"} <= ids


def test_every_indicator_has_kinetics():
    indicators = {dataset.indicator for dataset in load_catalogue().datasets} - {"mixed"}
    assert indicators <= set(KINETICS)


def test_folders_of_the_shared_ground_truth_are_known_with_at_most_their_cells():
    for folder in sorted(shared_path("ground_truth").iterdir()):
        dataset = find_dataset(folder.name)
        assert dataset is not None, folder
        assert dataset.folder == folder.name
        assert len(list(folder.glob("*.mat"))) <= dataset.n_cells


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DS10", "X-DS09"),
        ("DS11", "X-DS10"),
        ("DS12", "X-DS11"),
        ("DS13", "X-DS12"),
        ("DS30", "DS33"),
        ("DS06", "DS08"),
    ],
)
def test_data_sets_with_the_same_cells_or_animals_are_in_one_group(one, other):
    catalogue = load_catalogue()
    assert catalogue.dataset(one).cells_group == catalogue.dataset(other).cells_group


def test_groups_join_through_shared_cells_only_where_the_link_is_present():
    assert cells_groups(["DS15", "DS16"]) == {"DS15": "DS15", "DS16": "DS16"}
    assert cells_groups(["DS15", "DS16", "SPIKEFINDER"]) == dict.fromkeys(["DS15", "DS16", "SPIKEFINDER"], "DS15")


def test_short_names_of_folders_are_found_and_similar_ones_are_not():
    assert find_dataset("DS30").id == "DS30"
    assert find_dataset("DS30-renamed").id == "DS30"
    assert find_dataset("DS300") is None


def test_unknown_data_set_is_refused_with_the_known_ones():
    with pytest.raises(LookupError, match=r"received 'DS99'\. Known: DS01, "):
        load_catalogue().dataset("DS99")
    with pytest.raises(LookupError, match=r"received 'mars'\. Known: cascade, "):
        load_catalogue().source("mars")
