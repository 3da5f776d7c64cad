"""Spellings, species and relatives of calcium indicators."""

from __future__ import annotations

import pytest

from ground_truth_nwb.indicators import INDICATORS
from nwb_cascade.core.indicators import canonical_indicator, indicator_code_name, match_indicator, unknown_indicator

CODES = (
    "Cal-520",
    "GCaMP6f",
    "GCaMP6f (zebrafish)",
    "GCaMP6s",
    "OGB-1",
    "jGCaMP8f",
    "jGCaMP8m",
    "jGCaMP8s",
    "jRGECO1a",
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("GCaMP6f", "GCaMP6f"),
        ("gcamp6F", "GCaMP6f"),
        ("GCaMP 6s", "GCaMP6s"),
        ("GCaMP6", "GCaMP6f"),
        ("AAV2/1-syn-FLEX-GCaMP6s", "GCaMP6s"),
        ("Ai93(TITL-GCaMP6f)", "GCaMP6f"),
        ("Ai94", "GCaMP6s"),
        ("jGCaMP7f", "jGCaMP7f"),
        ("GCaMP7s", "jGCaMP7s"),
        ("AAV-Syn-jGCaMP8s-WPRE", "jGCaMP8s"),
        ("GCaMP8", "jGCaMP8m"),
        ("OGB-1 AM", "OGB-1"),
        ("Oregon Green BAPTA-1", "OGB-1"),
        ("Cal-520 AM", "Cal-520"),
        ("jRGECO1a", "jRGECO1a"),
        ("NES-jRGECO1a", "jRGECO1a"),
        ("R-CaMP1.07", "R-CaMP1.07"),
        ("RCaMP2", "R-CaMP2"),
        ("jRCaMP1b", "jRCaMP1b"),
        ("xcampgf", "XCaMP-Gf"),
        ("jGCaMP-8s", "jGCaMP8s"),
        ("unknown", None),
        ("", None),
        (None, None),
        ("ASAP3 voltage", None),
    ],
)
def test_spellings_found_in_files_have_one_name(text, canonical):
    assert canonical_indicator(text) == canonical


def test_every_spelling_leads_to_its_own_name():
    for name, indicator in INDICATORS.items():
        for spelling in (name, *indicator.spellings):
            assert canonical_indicator(spelling) == name


def test_relatives_are_canonical_names_and_each_indicator_has_one():
    for name, indicator in INDICATORS.items():
        assert indicator.relatives
        assert name not in indicator.relatives
        assert set(indicator.relatives) <= set(INDICATORS)


def test_a_known_indicator_is_told_as_itself():
    match = match_indicator("GCaMP 8m", CODES)
    assert (match.code, match.canonical) == ("jGCaMP8m", "jGCaMP8m")


@pytest.mark.parametrize("text", ["jGCaMP8m (interneuron)", "GCaMP8m in PV interneurons"])
def test_interneurons_have_codes_of_their_own(text):
    codes = (*CODES, "jGCaMP8m (interneuron)")
    assert match_indicator(text, codes).code == "jGCaMP8m (interneuron)"
    assert match_indicator(text, codes, "Mus musculus").canonical == "jGCaMP8m"
    assert match_indicator(text, CODES).code == "near jGCaMP8m"
    assert match_indicator("XCaMP-Gf (interneuron)", codes).code == "near jGCaMP8m (interneuron)"


def test_zebrafish_has_a_code_of_its_own_where_the_model_has_one():
    assert match_indicator("GCaMP6f", CODES, "Danio rerio").code == "GCaMP6f (zebrafish)"
    assert match_indicator("OGB-1", CODES, "Danio rerio").code == "near OGB-1"
    assert match_indicator("GCaMP6f", CODES, "Mus musculus").code == "GCaMP6f"
    assert indicator_code_name("OGB-1", None) == "OGB-1"


def test_an_indicator_the_model_does_not_know_is_told_as_near_its_nearest_relative_and_says_so():
    match = match_indicator("jGCaMP7f", CODES)
    assert match.code == "near jGCaMP8m"
    assert "jGCaMP7f" in match.message
    assert "relative jGCaMP8m" in match.message


def test_an_unknown_text_is_told_as_unknown_and_quoted():
    match = match_indicator("Fluo-9000", CODES)
    assert match.code is None
    assert "'Fluo-9000'" in match.message


def test_an_indicator_without_known_relative_is_told_as_unknown():
    assert match_indicator("OGB-1", ("jGCaMP8m",)).code is None


@pytest.mark.parametrize(
    ("text", "begins"), [(None, "No indicator is stated, so"), ("ASAP3", "'ASAP3' is no indicator known")]
)
def test_an_unknown_indicator_is_told_with_all_names_that_are_known(text, begins):
    told = unknown_indicator(text)
    assert told.startswith(begins)
    assert "--indicator" in told
    assert all(name in told for name in INDICATORS)
    assert unknown_indicator("AAV-syn-GCaMP-6f") == ""
