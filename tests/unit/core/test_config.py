"""Configurations survive JSON and refuse what cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.core.config import BOUNDS_OF_EXTRA, ModelConfig
from nwb_cascade.errors import ModelFileError
from tests.support.networks import cascade_config


@given(
    st.from_regex(r"[a-z0-9][\w.+-]{0,20}[a-z]", fullmatch=True),
    st.lists(st.floats(0.1, 50), min_size=1, max_size=4).map(tuple),
    st.dictionaries(st.text().filter(lambda key: key not in BOUNDS_OF_EXTRA), st.integers() | st.text() | st.none()),
)
def test_json_round_trip(name, levels, extra):
    config = cascade_config(name=name, noise_levels=levels, extra=extra)
    assert ModelConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": ""}, "architecture of the model 'tiny' as a text of 1"),
        ({"kernel": "box"}, "kernel one of"),
        ({"model_rates_hz": (30.0, 7.5)}, "lowest <= highest"),
        ({"noise_levels": ()}, "noise_levels of the model 'tiny' as 1 to 100 numbers"),
        ({"before_frames": 24}, "before_frames < window_size"),
        (
            {"name": "../../<script>"},
            r"a model name of up to 150 .*, received '\.\./\.\./<script>'",
        ),
        ({"name": "x" * 36_000}, r"a model name of up to 150 .*, received 'x{59}\.\.\.\.$"),
        ({"citation": "a\x1b[31m"}, "citation of the model 'tiny' as a text"),
        ({"smoothing_s": "0.05"}, "smoothing_s of the model 'tiny' as a number from 0 to 10, received '0.05'"),
        ({"smoothing_s": float("nan")}, "smoothing_s .* from 0 to 10, received nan"),
        (
            {"model_rates_hz": (1.0, float("inf"))},
            r"2 numbers from 0.01 to 10000, received \(1.0, inf\)",
        ),
        ({"window_size": 2**40}, "window_size .* from 1 to 100000, received 1099511627776"),
        ({"window_size": 24.0}, "window_size .* as a whole number from 1 to 100000, received 24.0"),
        ({"ensemble_size": 10_000_000}, "ensemble_size .* from 1 to 100, received 10000000"),
        ({"noise_levels": (2.0,) * 200_000}, r"noise_levels .*, received \(2.0, 2.0.{0,60}\.\.\.\.$"),
        ({"noise_levels": (2.0,) * 100, "ensemble_size": 100}, "at most 1000 networks"),
        ({"network": []}, "network of the model 'tiny' as a few named values"),
        ({"extra": {"published_config": 5}}, "published_config with named values"),
        ({"extra": {"published_before_frames": "x"}}, "published_before_frames of the model 'tiny' as a whole number"),
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
        ("[" * 100_000, "text that fails"),
        ('{"format": ' + "9" * 5000 + "}", "text that fails"),
        ('{"format": 99}', "of format 1"),
        ('{"format": 1, "colour": 2}', r"unknown \['colour'\]"),
        ('{"format": 1, "name": "x"}', "incomplete"),
    ],
)
def test_broken_json(text, message):
    with pytest.raises(ModelFileError, match=message):
        ModelConfig.from_json(text)
