"""What a curator wrote on the archive stays; sources and what is empty are added, and nothing that harms."""

import pytest

from nwb_cascade.archive.merge import complaints, merge
from nwb_cascade.errors import InputError
from tests.support.dandi_content import COMPLETE, Archive


def source(number, version="0.1.2"):
    """A dandiset that others were derived from."""
    return {
        "schemaKey": "Resource",
        "identifier": f"DANDI:{number}/{version}",
        "name": f"Dandiset {number}",
        "url": f"https://dandiarchive.org/dandiset/{number}/{version}",
        "relation": "dcite:IsDerivedFrom",
        "resourceType": "dcite:Dataset",
    }


CITED = {"schemaKey": "Resource", "url": "https://doi.org/10.1/x", "relation": "dcite:IsCitedBy"}
OURS = {
    "identifier": "unregistered",
    "name": "Spike rates inferred by nwb-cascade",
    "description": "Expected spikes.",
    "keywords": ["calcium imaging", "spike inference"],
    "relatedResource": [source("000001"), source("000002")],
}


@pytest.fixture
def there():
    """Metadata of a draft that the archive calls valid."""
    values = Archive().add("000123", metadata=COMPLETE).version_metadata("draft")
    assert complaints(values) == []
    return values


def test_all_that_is_there_stays_and_the_sources_are_added(there):
    there["relatedResource"] = [CITED]
    merged = merge(there, OURS)
    expected = {**there, "keywords": OURS["keywords"], "relatedResource": [CITED, source("000001"), source("000002")]}
    assert merged.values == expected
    assert merged.additions == (
        "keywords: calcium imaging, spike inference",
        "relatedResource: dcite:IsDerivedFrom DANDI:000001/0.1.2",
        "relatedResource: dcite:IsDerivedFrom DANDI:000002/0.1.2",
    )
    assert complaints(merged.values) == []


def test_doing_it_again_adds_nothing(there):
    once = merge(there, OURS).values
    assert merge(once, OURS) == merge(once, {**OURS, "name": "Another", "keywords": ["x"]})
    assert merge(once, OURS).additions == ()
    assert merge(once, OURS).values == once


def test_every_source_is_there_once(there):
    by_address = {**source("000001"), "identifier": None, "url": f"{source('000001')['url']}/"}
    there["relatedResource"] = [by_address, {**source("000002"), "relation": "dcite:Cites"}]
    ours = {
        **OURS,
        "relatedResource": [source("000001"), source("000002"), source("000002"), source("000001", "0.2.0")],
    }
    added = merge(there, ours).values["relatedResource"][2:]
    assert added == [source("000002"), source("000001", "0.2.0")]


@pytest.mark.parametrize("name", ["description", "keywords"])
def test_only_what_is_empty_is_filled(there, name):
    assert merge({**there, name: []}, OURS).values[name] == OURS[name]
    kept = merge({**there, name: ["mine"]} if name == "keywords" else there, OURS).values[name]
    assert kept != OURS[name]


def test_other_fields_of_the_file_are_not_sent(there):
    merged = merge(there, {**OURS, "license": ["spdx:CC0-1.0"], "contributor": [], "identifier": "x"}).values
    assert {name: merged[name] for name in ("license", "contributor", "identifier")} == {
        name: there[name] for name in ("license", "contributor", "identifier")
    }


@pytest.mark.parametrize(
    ("ours", "field"),
    [
        ({"keywords": [1]}, "keywords.0"),
        ({"relatedResource": [{**source("000001"), "url": "no address"}]}, "relatedResource.0.url"),
    ],
)
def test_what_would_become_invalid_is_refused_by_its_field(there, ours, field):
    message = rf"^Expected metadata that DANDI calls valid, .* schema says of {field}: .*; nothing was sent\. Correct"
    with pytest.raises(InputError, match=message):
        merge(there, {**OURS, **ours})


def test_a_draft_that_is_invalid_already_may_be_added_to(there):
    del there["license"]
    there["description"] = ""
    assert complaints(there) != []
    merged = merge(there, OURS).values
    assert merged["description"] == OURS["description"]
    assert complaints(merged) == complaints(there)


def test_a_long_text_is_shown_by_its_start(there):
    there["description"] = ""
    (line,) = merge(there, {"description": "word " * 100}).additions
    assert len(line) < 140
    assert line.endswith("…")
