"""Names of published models and datasets: all 155 are understood."""

import re

import pytest
import yaml

from nwb_cascade.models.published_names import dataset_indicators, parse_model_name
from tests.support.shared import shared_path


def published_names():
    return list(yaml.safe_load(shared_path("cascade_models/available_models.yaml").read_text()))


def test_every_published_name_gives_rate_and_smoothing():
    names = published_names()
    assert len(names) == 155
    for name in names:
        facts = parse_model_name(name)
        assert f"_{facts.model_rate:g}Hz" in name
        assert re.search(rf"smoothing_?{1000 * facts.smoothing_s:g}ms", name)
        assert facts.causal == ("causal" in name)
        assert facts.high_noise == ("high_noise" in name)
        assert (facts.frames_after is not None) == ("asymmetric" in name)
        assert (facts.integration_s is not None) == ("integration" in name)


@pytest.mark.parametrize(
    "name, rate, smoothing_s, indicators",
    [
        ("Global_EXC_4.25Hz_smoothing300ms_high_noise", 4.25, 0.3, ()),
        ("Global_EXC_30Hz_smoothing100ms_causalkernel_high_noise", 30, 0.1, ()),
        ("OGB_zf_pDp_7.5Hz_smoothing66ms", 7.5, 0.066, ("OGB-1",)),
        ("GCaMP6f_mouse_30Hz_smoothing200ms", 30, 0.2, ("GCaMP6f",)),
        ("GC8_EXC_100Hz_smoothing10ms", 100, 0.01, ("jGCaMP8f", "jGCaMP8m", "jGCaMP8s")),
        ("GC8m_EXC_15Hz_smoothing50ms_high_noise", 15, 0.05, ("jGCaMP8m",)),
        ("Online_model_60Hz_integration_33ms_smoothing_12ms_GCaMP6", 60, 0.012, ("GCaMP6f", "GCaMP6s")),
        ("my own model", None, None, ()),
    ],
)
def test_facts_of_a_name(name, rate, smoothing_s, indicators):
    facts = parse_model_name(name)
    assert (facts.model_rate, facts.smoothing_s, facts.indicators) == (rate, smoothing_s, indicators)


def test_window_and_delay_of_the_online_models():
    assert parse_model_name("Global_EXC_30Hz_smoothing50ms_asymmetric_window_1_frame").frames_after == 1
    assert parse_model_name("Global_EXC_30Hz_smoothing50ms_asymmetric_window_8_frames").frames_after == 8
    online = parse_model_name("Online_model_30Hz_integration_133ms_smoothing_25ms_GCaMP8")
    assert online.integration_s == pytest.approx(0.133)


def test_disagreement_with_the_configuration_is_said():
    facts = parse_model_name("Universal_30Hz_smoothing100ms_causalkernel")
    assert facts.disagreements(model_rate=30, smoothing_s=0.1, causal=True) == []
    said = facts.disagreements(model_rate=15, smoothing_s=0.2, causal=False)
    assert said == [
        "The name says 30 Hz, the configuration 15 Hz.",
        "The name says smoothing 0.1 s, the configuration 0.2 s.",
        "The name says a causal kernel, the configuration a Gaussian one.",
    ]


def test_indicators_of_all_shared_ground_truth_are_known():
    folders = [path.name for path in shared_path("ground_truth").iterdir() if path.name.startswith("DS")]
    silent = [name for name in folders if not dataset_indicators([name])]
    assert silent == [name for name in folders if "Interneurons2023" in name]


def test_indicators_are_spelled_canonically_and_once():
    datasets = [
        "DS03-Cal520-m-S1",
        "X-DS09-GCaMP6f-m-V1",
        "DS21-jGECO1a-m-V1",
        "DS10-GCaMP6f-m-V1",
        "DS18-R-CaMP-m-CA3",
    ]
    assert dataset_indicators(datasets) == ("Cal-520", "GCaMP6f", "jRGECO1a", "R-CaMP1.07")
    assert dataset_indicators(["DS33-Interneurons2023-m-V1", "something"]) == ()
