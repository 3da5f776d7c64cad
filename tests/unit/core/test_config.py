"""Configurations survive JSON and refuse what cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.core.config import ModelConfig
from nwb_cascade.errors import ModelFileError
from tests.support.networks import cascade_config


@given(
    st.text(min_size=1),
    st.lists(st.floats(0.1, 50), min_size=1, max_size=4).map(tuple),
    st.dictionaries(st.text(), st.integers() | st.text() | st.none()),
)
def test_json_round_trip(name, levels, extra):
    config = cascade_config(name=name, noise_levels=levels, extra=extra)
    assert ModelConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": ""}, "an architecture"),
        ({"kernel": "box"}, "kernel one of"),
        ({"model_rates_hz": (30.0, 7.5)}, "lowest <= highest"),
        ({"noise_levels": ()}, "at least one noise level"),
        ({"before_frames": 24}, "before_frames < window_size"),
    ],
)
def test_impossible_values(changes, message):
    with pytest.raises(ModelFileError, match=message):
        cascade_config(**changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "text that fails"),
        ("[]", "of format 1"),
        ('{"format": 99}', "of format 1"),
        ('{"format": 1, "colour": 2}', r"unknown \['colour'\]"),
        ('{"format": 1, "name": "x"}', "incomplete"),
    ],
)
def test_broken_json(text, message):
    with pytest.raises(ModelFileError, match=message):
        ModelConfig.from_json(text)
