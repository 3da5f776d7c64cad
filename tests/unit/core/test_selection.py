"""The model that fits is chosen, and the reason says why; nothing fits: the nearest are named."""

import pytest

from nwb_cascade.core.selection import rate_mismatch, select_model
from nwb_cascade.errors import NoModelError
from tests.support.networks import cascade_config


def model(name, low, high=None, **changes):
    architecture = "cascade" if high is None else "conditional"
    return cascade_config(name=name, model_rates_hz=(low, high or low), architecture=architecture, **changes)


def test_nearest_rate_within_five_percent():
    selection = select_model([model("slow", 7.5), model("near", 30.0), model("nearer", 30.9)], 31.0)
    assert selection.config.name == "nearer"
    assert "was trained for 30.9 Hz" in selection.reason
    assert "chosen among 2 that fit" in selection.reason


def test_conditional_model_comes_first():
    selection = select_model([model("exact", 30.0), model("any", 1.0, 120.0)], 30.0)
    assert selection.config.name == "any"
    assert "hence 30 Hz" in selection.reason


def test_indicator_decides_between_models_of_one_rate():
    only = model("only", 30.0, indicators=("GCaMP8m",))
    among = model("among", 30.0, indicators=("GCaMP6f", "GCaMP8m"))
    other = model("other", 30.0, indicators=("OGB-1",))
    assert select_model([other, among, only], 30.0, "GCaMP8m").config is only
    assert select_model([other, among], 30.0, "GCaMP8m").config is among
    assert "was not trained on GCaMP8m" in select_model([other], 30.0, "GCaMP8m").reason


def test_nothing_fits_names_the_nearest():
    with pytest.raises(
        NoModelError, match=r"within 5 % of 12 Hz; the nearest installed models are b \(10 Hz\), a \(30 Hz\)"
    ):
        select_model([model("a", 30.0), model("b", 10.0)], 12.0)


def test_no_model_installed_says_how_to_get_one():
    with pytest.raises(NoModelError, match=r"no model is installed.*models fetch"):
        select_model([], 30.0)


@pytest.mark.parametrize(("rate", "expected"), [(5.0, 0.0), (1.0, 0.0), (120.0, 0.0), (0.5, 1.0), (150.0, 0.2)])
def test_mismatch_is_relative_to_the_recording(rate, expected):
    assert rate_mismatch(model("any", 1.0, 120.0), rate) == pytest.approx(expected)
