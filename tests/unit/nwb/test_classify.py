import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.nwb.classify import (
    Evidence,
    Judgement,
    Sample,
    ScaleJudgement,
    classify,
    judge_scale,
    kind_of_words,
    looks_like_ratio,
    reconcile,
)
from tests.support.nwb_files import raw_fluorescence
from tests.support.recordings import simulated_dff


@pytest.mark.parametrize(
    "name",
    [
        *(
            "dff",
            "DfOverF",
            "Dff",
            "dF/F",
            "DF/F0",
            "ΔF/F",
            "∆F/F",
            "delta F over F",
            "deltaF_F",
            "dfof",
            "dFoF",
            "df_f",
        ),
        *("DFoverF", "DeltaFOverF", "dff_chn0", "DFFTraces", "dffTraces", "dff_traces2", "(F-F0)/F0", "dF_over_F"),
        *("dff_neuropil_corrected", "neuropil_subtracted_dff", "baseline corrected dF/F", "DFF_raw"),
    ],
)
def test_spellings_of_dff_are_recognised(name):
    assert kind_of_words(name) == "dff"


@pytest.mark.parametrize(
    "name, kind",
    [
        ("DfOverFEvents", "events"),
        ("ca_events_chn0", "events"),
        ("Deconvolved", "events"),
        ("spks", "events"),
        ("spike_rate", "events"),
        ("z_score_chn0", "z_scored"),
        ("dff_zscored", "z_scored"),
        ("Neuropil", "neuropil"),
        ("neuropil_fluorescence_chn0", "neuropil"),
        ("Fneu", "neuropil"),
        ("Background_Fluorescence_Response", "neuropil"),
        ("denoised_dff", "denoised"),
        ("Baseline", "baseline"),
        ("F0", "baseline"),
        ("F", "raw_fluorescence"),
        ("f_corrected_chn0", "raw_fluorescence"),
        ("neuropil_corrected", "raw_fluorescence"),
        ("Demixed", "raw_fluorescence"),
        ("raw_traces", "raw_fluorescence"),
        ("RoiResponseSeries", None),
        ("plane0", None),
        ("traces", None),
        ("r", None),
        ("buffer", None),
        ("diff", None),
        ("offset", None),
        ("ROI_handoff", None),
        ("no description", None),
        ("prevents", None),
    ],
)
def test_names_speak_of_kinds(name, kind):
    assert kind_of_words(name) == kind


def test_the_name_outweighs_the_container():
    evidence = Evidence("RoiResponseSeries", "DfOverFEvents", ancestors=(("DfOverF", "DfOverF"),))
    assert classify(evidence) == Judgement("events", "it is named 'DfOverFEvents'")


@pytest.mark.parametrize(
    "evidence, kind, why",
    [
        (Evidence("InferredSpikeRateSeries", "dff_rates"), "inferred", "its type is InferredSpikeRateSeries"),
        (Evidence("OphysEventDetection", "event_detection"), "events", "its type is OphysEventDetection"),
        (
            Evidence("RoiResponseSeries", "traces", ancestors=(("dff", "Fluorescence"), ("ophys", "ProcessingModule"))),
            "dff",
            "its container is named 'dff'",
        ),
        (Evidence("RoiResponseSeries", "x", ancestors=(("signals", "DfOverF"),)), "dff", "in a DfOverF container"),
        (
            Evidence(
                "RoiResponseSeries", "x", ancestors=(("Fluorescence", "Fluorescence"), ("dff", "ProcessingModule"))
            ),
            "dff",
            "it lies in 'dff'",
        ),
        (
            Evidence(
                "RoiResponseSeries",
                "x",
                description="Change of fluorescence over baseline, dF/F",
                ancestors=(("Fluorescence", "Fluorescence"),),
            ),
            "dff",
            "its description is 'Change of fluorescence over baseline, dF/F'",
        ),
        (Evidence("RoiResponseSeries", "x", unit="dF/F"), "dff", "its unit is 'dF/F'"),
        (
            Evidence("RoiResponseSeries", "x", ancestors=(("Fluorescence", "Fluorescence"),)),
            "raw_fluorescence",
            "in a Fluorescence container",
        ),
        (Evidence("RoiResponseSeries", "x"), "unknown", "no name, container or description"),
        (
            Evidence("RoiResponseSeries", "C", siblings=frozenset({"Background_Fluorescence_Response"})),
            "denoised",
            "CaImAn",
        ),
        (
            Evidence("RoiResponseSeries", "x", description="dF/F from which events are detected"),
            "unknown",
            "no name, container or description",
        ),
    ],
)
def test_evidence_decides_in_order_and_is_reported(evidence, kind, why):
    judgement = classify(evidence)
    assert judgement.kind == kind
    assert why in judgement.why


def sample_of(traces, rate=30.0):
    return Sample.of(np.asarray(traces, dtype=np.float32), rate)


@settings(max_examples=40)
@given(st.floats(1, 15), st.sampled_from([4.0, 7.5, 30.0, 100.0]), st.integers(0, 1000))
def test_dff_is_told_from_percent_and_counts_at_any_noise_and_rate(noise_level, rate, seed):
    noise = noise_level * np.sqrt(rate) / 95.4
    dff = simulated_dff(4, 400, noise=noise, seed=seed)
    assert judge_scale(sample_of(dff, rate), "n.a.").scale == "fraction"
    assert judge_scale(sample_of(100 * dff, rate), "n.a.").scale == "percent"
    assert judge_scale(sample_of(400 * (1 + 0.5 * dff), rate), "n.a.").scale != "fraction"


def test_raw_fluorescence_counts():
    judged = judge_scale(sample_of(raw_fluorescence(4, 400)), "lumens")
    assert judged.scale == "counts"
    assert "as raw fluorescence does" in judged.why


@pytest.mark.parametrize("unit", ["percent", "%", "per cent", "dF/F (%)", "Percent dF/F"])
def test_a_stated_percent_is_believed(unit):
    quiet = 100 * simulated_dff(4, 400, noise=0.05)
    stated = ScaleJudgement("percent", f"the unit is {unit!r}", stated=True)
    assert judge_scale(sample_of(quiet), unit) == stated
    assert judge_scale(None, unit) == stated


def test_a_stated_percent_that_the_values_contradict_is_unknown():
    judged = judge_scale(sample_of(simulated_dff(4, 400)), "percent")
    assert (judged.scale, judged.stated) == ("unknown", False)
    assert judged.why.startswith("the unit is 'percent', but traces rest near")


@pytest.mark.parametrize("values", [np.zeros((3, 50)), np.full((3, 50), np.nan), np.full((3, 50), 7.0)])
def test_traces_without_variation_are_taken_as_fraction(values):
    assert sample_of(values) is None
    assert judge_scale(None, "n.a.") == ScaleJudgement("fraction", "no sampled trace has values that differ")


def test_a_few_odd_traces_do_not_decide():
    dff = simulated_dff(9, 400)
    dff[:3] *= 1e4
    dff[3] = np.nan
    assert judge_scale(sample_of(dff), "n.a.").scale == "fraction"


def test_values_object_to_words():
    raw = "traces rest near 500"
    assert (
        reconcile(Judgement("dff", "its container is named 'DfOverF'"), ScaleJudgement("counts", raw)).kind == "unknown"
    )
    weak = Judgement("raw_fluorescence", "it lies in a Fluorescence container", certain=False)
    assert reconcile(weak, ScaleJudgement("fraction", "traces rest near 0")).kind == "unknown"
    assert (
        reconcile(Judgement("raw_fluorescence", "it is named 'raw'"), ScaleJudgement("fraction", "")).kind
        == "raw_fluorescence"
    )
    assert reconcile(Judgement("dff", "it is named 'dff'"), ScaleJudgement("percent", "")).kind == "dff"


def test_f_over_f0_is_noticed():
    dff = simulated_dff(4, 400, noise=0.05)
    assert looks_like_ratio(sample_of(1 + dff))
    assert not looks_like_ratio(sample_of(dff))
    assert not looks_like_ratio(sample_of(500 * (1 + dff)))
    assert not looks_like_ratio(None)
