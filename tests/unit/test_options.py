"""Options are checked once, come back from JSON as they were, and name nothing that the core does not know."""

from __future__ import annotations

import json
from dataclasses import fields
from inspect import signature
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.annotation.annotate import annotate
from nwb_cascade.core import thresholds
from nwb_cascade.core.spike_total import SPIKE_TOTALS
from nwb_cascade.dff import DffMethod, method
from nwb_cascade.errors import InputError
from nwb_cascade.options import GUARDS, THRESHOLDS, FromRaw, InferenceOptions, OutputOptions
from nwb_cascade.results.found_spikes import TOTAL_IN_WORDS

texts = st.none() | st.text(min_size=1, max_size=5).filter(lambda text: text.strip() and not set(text) & {"/", ":"})
raw = st.builds(
    FromRaw,
    method=st.none()
    | st.builds(DffMethod, baseline=st.just("percentile"), percentile=st.floats(0, 100), guard=st.sampled_from(GUARDS)),
    neuropil=st.none() | st.sampled_from(["fit", "none"]) | st.floats(0, 2),
    neuropil_series=texts,
    window_s=st.none() | st.floats(0.1, 100),
)
options = st.builds(
    InferenceOptions,
    series=texts,
    imaging_rate=st.none() | st.floats(0.1, 1000),
    from_raw=st.none() | raw,
    model=st.text(min_size=1, max_size=5),
    threshold=st.sampled_from(THRESHOLDS),
    ensemble_std=st.booleans(),
    spikes=st.none() | st.sampled_from(SPIKE_TOTALS),
    run_name=texts,
)


@given(options=options)
def test_options_come_back_from_json(options: InferenceOptions) -> None:
    assert InferenceOptions.from_dict(json.loads(json.dumps(options.to_dict()))) == options


def test_only_what_differs_from_the_defaults_is_told() -> None:
    assert InferenceOptions().to_dict() == {}
    told = InferenceOptions(threshold="nonnegative", from_raw=FromRaw(neuropil="fit"), ensemble_std=False).to_dict()
    assert told == {"from_raw": {"neuropil": "fit"}, "ensemble_std": False}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": "high"}, "threshold out of nonnegative, raw, single-spike, received 'high'"),
        ({"scale": "permille"}, "scale out of fraction, percent, received 'permille'"),
        ({"kernel": "box"}, "kernel out of gaussian, causal, received 'box'"),
        ({"spikes": "many"}, "spikes out of conserved, supported, received 'many'"),
        ({"imaging_rate": 0.0}, "positive imaging rate in Hz, received 0.0"),
        ({"run_name": "a/b"}, "run name that is not empty and has no '/' or ':', received 'a/b'"),
        ({"run_name": " "}, "run name that is not empty"),
        ({"sampling": 3}, "Expected options out of .*, received sampling"),
        ({"from_raw": {"guard": "none"}}, "guard out of exclude"),
        ({"from_raw": {"window_s": -1.0}}, "window_s as a finite number from 0"),
    ],
)
def test_what_an_option_cannot_be_is_told(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        InferenceOptions.from_dict(values)


def test_how_raw_fluorescence_is_read_is_no_yes() -> None:
    with pytest.raises(InputError, match=r"from_raw as nwb_cascade\.options\.FromRaw\(\.\.\.\) or None, received True"):
        InferenceOptions(from_raw=True)  # type: ignore[arg-type]


def test_outputs_do_not_contradict_each_other() -> None:
    with pytest.raises(InputError, match="either an output or in_place"):
        OutputOptions("a.nwb", in_place=True)
    with pytest.raises(InputError, match="--in-place does not apply to sidecars"):
        OutputOptions(sidecar=True, in_place=True)
    with pytest.raises(InputError, match="either a method or a preset"):
        FromRaw(DffMethod(), preset="allen")


def test_every_option_is_a_keyword_of_annotate() -> None:
    keywords = signature(annotate).parameters
    for one in (*fields(InferenceOptions), *fields(OutputOptions)):
        assert keywords[one.name].default == one.default, one.name


def test_choices_are_those_of_the_core() -> None:
    assert set(THRESHOLDS) == set(thresholds.THRESHOLDS)
    assert GUARDS == method.GUARD_CHOICES
    assert set(TOTAL_IN_WORDS) == set(SPIKE_TOTALS)
    told = {one.name: one.metadata for one in fields(InferenceOptions)}
    assert set(told["spikes"]["flags"]) == set(SPIKE_TOTALS)


def test_a_recording_states_its_own_neuropil_factor() -> None:
    assert FromRaw().applied(0.5).neuropil_factor == 0.5
    assert FromRaw(preset="suite2p").applied(0.5) == DffMethod.suite2p(0.5)
    assert FromRaw(DffMethod()).applied(0.5).neuropil_factor == 0.7
    assert FromRaw(neuropil=0.9).applied(0.5).neuropil_factor == 0.9
    assert FromRaw(neuropil="fit").applied(0.5).neuropil == "robust"
    assert FromRaw(preset="suite2p", percentile=20.0).applied().baseline == "percentile"
