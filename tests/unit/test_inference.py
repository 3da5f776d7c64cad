"""Inference on arrays: options, reasons and warnings around the engine."""

import re

import numpy as np
import pytest

import nwb_cascade
from nwb_cascade.core.traces import DffTraces
from nwb_cascade.errors import InputError, NoModelError
from nwb_cascade.inference import infer_blocks
from nwb_cascade.inference_run import prepare_run
from nwb_cascade.models.bundle import make_model, save_bundle
from nwb_cascade.options import InferenceOptions
from tests.support.cascade_files import CascadeSpec, write_cascade_folder
from tests.support.fresh_process import run_fresh
from tests.support.golden_recordings import RATE, golden_dff
from tests.support.networks import cascade_config, cascade_weights


@pytest.fixture
def model():
    """A small model of the published architecture with random weights."""
    config = cascade_config()
    return make_model(config, cascade_weights(config))


def traces(n_rois=3, n_frames=300, scale=0.1, seed=0):
    return (scale * np.random.default_rng(seed).normal(size=(n_rois, n_frames))).astype(np.float32)


def test_blocks_of_any_size_give_the_whole(model):
    dff = traces(n_rois=7)
    whole = nwb_cascade.infer(dff, 30.0, model=model)
    run = prepare_run(30.0, InferenceOptions(model=model))
    blocks = list(infer_blocks(DffTraces.from_array(dff, 30.0), run, block_bytes=2 * 4 * 300))
    assert len(blocks) == 4
    for name in ("expected_spikes", "ensemble_std", "noise_levels", "model_noise_levels", "valid_frames"):
        np.testing.assert_allclose(np.concatenate([getattr(b, name) for b in blocks]), getattr(whole, name), atol=1e-6)


def test_progress_counts_rois(model):
    seen = []
    nwb_cascade.infer(traces(n_rois=5), 30.0, model=model, progress=lambda *done: seen.append(done))
    assert seen == [(5, 5)]


def test_result_records_what_decided_the_numbers(model):
    result = nwb_cascade.infer(traces(), 30.0, model=model, indicator="AAV-syn-GCaMP-6f", threshold="raw")
    assert result.parameters == {
        "model": "tiny",
        "weights_sha256": model.sha256,
        "imaging_rate_hz": 30.0,
        "indicator": "GCaMP6f",
        "threshold": "raw",
        "alignment": "trained",
        "kernel": "gaussian",
        "smoothing_s": 0.05,
    }


def test_named_model_of_another_rate_runs_and_says_so(model):
    result = nwb_cascade.infer(traces(), 15.0, model=model)
    assert "trained for 30 Hz, the recording has 15 Hz" in result.reason


def test_unusual_traces_are_named_by_roi(model):
    dff = traces(n_rois=3, n_frames=400)
    dff[1] *= 100
    result = nwb_cascade.infer(dff, 30.0, model=model)
    assert {warning.roi for warning in result.warnings if warning.code != "no-events"} == {1}
    assert "noise-outside-training" in {warning.code for warning in result.warnings}


def test_automatic_choice_uses_what_is_installed(model, tmp_path, monkeypatch):
    monkeypatch.setenv("NWB_CASCADE_MODELS", str(tmp_path))
    monkeypatch.setattr("nwb_cascade.models.library.BUNDLED_FOLDER", tmp_path / "none")
    with pytest.raises(NoModelError, match="no model is installed"):
        nwb_cascade.infer(traces(), 30.0)
    save_bundle(tmp_path / "tiny", model.config, model.weights)
    assert nwb_cascade.infer(traces(), 30.5).reason.startswith("tiny was trained for 30 Hz")
    with pytest.raises(NoModelError, match=r"nearest installed models are tiny \(30 Hz\)"):
        nwb_cascade.infer(traces(), 12.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": "hard"}, "out of nonnegative, raw, single-spike, received 'hard'"),
        ({"smoothing_s": 0.2}, r"trained for \(gaussian, 0\.05 s\), received gaussian, 0\.2 s"),
        ({"kernel": "causal"}, "received causal"),
        ({"legacy_alignment": True}, "Expected no legacy alignment for tiny"),
    ],
)
def test_options_that_do_not_fit_the_model(model, options, message):
    with pytest.raises(InputError, match=message):
        nwb_cascade.infer(traces(), 30.0, model=model, **options)


def test_empty_recording(model):
    result = nwb_cascade.infer(np.zeros((0, 50)), 30.0, model=model)
    assert result.expected_spikes.shape == (0, 50)
    assert result.valid_frames.shape == (0, 2)
    assert result.warnings == ()


def test_trace_shorter_than_the_window_has_an_outcome_of_its_own(model):
    result = nwb_cascade.infer(traces(n_frames=20), 30.0, model=model)
    assert np.isnan(result.expected_spikes).all()
    assert all(re.search("shorter than the window of 24 frames", w.message) for w in result.warnings)
    assert len(result.warnings) == 3


@pytest.mark.parametrize("name", nwb_cascade.__all__)
def test_public_names_stay_what_they_are(name):
    first, second = getattr(nwb_cascade, name), getattr(nwb_cascade, name)
    assert callable(first)
    assert first is second


@pytest.mark.parametrize("model", ["conditional-1-120Hz", "cascade-30Hz-25ms"])
def test_a_run_is_prepared_without_tensorflow(model):
    run_fresh(
        "import sys\n"
        "from nwb_cascade.inference_run import prepare_run\n"
        "from nwb_cascade.options import InferenceOptions\n"
        f"assert prepare_run(30.0, InferenceOptions(model={model!r})).networks.ensemble_size > 0\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )


def test_a_published_folder_is_taken_and_the_reason_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("NWB_CASCADE_MODELS", str(tmp_path / "models"))
    write_cascade_folder(tmp_path / "downloaded", CascadeSpec())
    result = nwb_cascade.infer(traces(), 30.0, model=tmp_path / "downloaded")
    assert np.isfinite(result.expected_spikes).any()
    assert result.reason.endswith("was asked for. It was imported from the published folder downloaded.")


def test_spike_counts_sum_the_rates_and_widen_where_the_indicator_was_not_met():
    dff = golden_dff()
    met, unmet = (nwb_cascade.infer(dff, RATE, indicator=name) for name in ("jGCaMP8m", None))
    counts = met.spike_counts(2.0)
    length = round(2.0 * RATE)
    windows = met.expected_spikes[:, : counts.expected.shape[1] * length].reshape(len(dff), -1, length)
    assert counts.expected == pytest.approx(windows.sum(axis=2), rel=1e-4, abs=1e-4)
    assert (counts.kind, unmet.spike_counts(2.0).kind) == ("met", "unmet")
    shares = [
        ((one.upper - one.lower) / one.expected).mean() for one in (met.spike_counts(None), unmet.spike_counts(None))
    ]
    assert shares[0] < shares[1]


def test_a_model_without_fitted_intervals_says_so(model):
    result = nwb_cascade.infer(traces(), 30.0, model=model)
    with pytest.raises(InputError, match="Expected a model whose intervals were fitted"):
        result.spike_counts()
