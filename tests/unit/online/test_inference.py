"""Spikes frame by frame: those of the network on the whole trace, whatever is added, saved, missing or wrong."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.architectures.online_sizes import OnlineSizes
from nwb_cascade.architectures.registry import build_networks
from nwb_cascade.core.engine import infer_block
from nwb_cascade.core.kernels import gaussian_kernel
from nwb_cascade.errors import InputError, ModelFileError
from nwb_cascade.models.library import load_model
from nwb_cascade.online.block import MISSING, NO_BASELINE, NOT_YET
from nwb_cascade.online.inference import OnlineInference, OnlineOptions, explained
from tests.support.online_models import SIZES, online_model

RATE = 30.0
MODEL = online_model()


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """A few hundred ROIs make several blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nwb_cascade.online.inference.BLOCK_ROIS", 256)
        yield


def traces(seed, n_rois=5, n_frames=120):
    """dF/F with drift, single missing frames and a gap."""
    rng = np.random.default_rng(seed)
    dff = 0.3 * rng.standard_normal((n_rois, n_frames)) + np.cumsum(
        0.05 * rng.standard_normal((n_rois, n_frames)), axis=1
    )
    dff[rng.random(dff.shape) < 0.03] = np.nan
    start = int(rng.integers(0, max(n_frames - 30, 1)))
    dff[rng.integers(n_rois), start : start + int(rng.integers(1, 30))] = np.nan
    return dff.astype(np.float32)


def online(n_rois, **keywords):
    """An inference with the test's model; keywords of its options or its own."""
    options = {key: keywords.pop(key) for key in ("smoothing_s", "n_networks", "n_threads") if key in keywords}
    given = {"model": MODEL, "indicator": "GCaMP6f", **keywords}
    return OnlineInference(n_rois, RATE, options=OnlineOptions(**options), **given)


def pushed(inference, dff):
    """Results (..., n_rois, n_frames), each where its frame was pushed."""
    return np.stack([inference.push(frame).copy() for frame in dff.T], axis=-1)


def whole(dff, frames, levels, rate=RATE):
    """What the engine makes of the whole trace with the same networks, told these noise levels."""
    config = replace(MODEL.config, network={**MODEL.config.network, "whole_delay": frames})
    networks = build_networks(config, MODEL.weights, imaging_rate=rate, indicator="GCaMP6f")
    tell = replace(networks, ensemble=lambda _: _Told(networks.ensemble(np.nan), levels))
    return infer_block(dff, rate, tell).expected_spikes


class _Told:
    """An ensemble that is told given noise levels, whatever the traces show; every trace is a row of its own."""

    def __init__(self, ensemble, levels):
        self.before, self.after, self.fills_edges = ensemble.before, ensemble.after, ensemble.fills_edges
        self._ensemble, self._levels = ensemble, levels

    def __call__(self, rows, present, noise_level, *rest):
        noise_level = np.ones(len(rows), np.float32)
        noise_level[: len(self._levels)] = self._levels
        return self._ensemble(rows, present, noise_level, *rest)


@given(seed=st.integers(0, 1000), frames=st.sampled_from(SIZES.delays), n_networks=st.just(2))
@settings(max_examples=8, deadline=None)
def test_frame_by_frame_equals_the_whole_trace(seed, frames, n_networks):
    dff = traces(seed)
    levels = np.random.default_rng(seed).uniform(1, 9, len(dff)).astype(np.float32)
    inference = online(len(dff), look_ahead_s=frames / RATE, noise_level=levels, n_networks=n_networks)
    late = np.concatenate([dff, np.full((len(dff), frames), np.nan, np.float32)], axis=1)
    found = pushed(inference, late)[:, frames:]
    assert found == pytest.approx(whole(dff, frames, levels), abs=1e-5, nan_ok=True)


@given(seed=st.integers(0, 1000), cut=st.integers(1, 119), raw=st.booleans())
@settings(max_examples=8, deadline=None)
def test_a_saved_run_goes_on_as_if_nothing_had_happened(seed, cut, raw, tmp_path_factory):
    dff = traces(seed) + (5 if raw else 0)
    path = tmp_path_factory.mktemp("state") / "state.npz"
    options = {"look_ahead_s": (0.0, 2 / RATE), "smoothing_s": 0.05}

    def push(inference, frames):
        step = inference.push_raw if raw else inference.push
        return np.stack([step(frame).copy() for frame in frames.T], axis=-1)

    through = push(online(5, **options), dff)
    first = online(5, **options)
    push(first, dff[:, :cut])
    first.save(path)
    resumed = OnlineInference.resume(path, model=MODEL)
    assert np.array_equal(push(resumed, dff[:, cut:]), through[..., cut:], equal_nan=True)
    assert resumed.n_frames == 120


@given(
    seed=st.integers(0, 1000),
    cut=st.integers(1, 100),
    parts=st.lists(st.sampled_from([1, 2, 300]), min_size=1, max_size=3),
)
@settings(max_examples=5, deadline=None)
def test_rois_that_are_added_equal_rois_alone(seed, cut, parts):
    dff = traces(seed, n_rois=3 + sum(parts))
    inference = online(3, smoothing_s=0.03)
    before = pushed(inference, dff[:3, :cut])
    for n_rois in parts:
        inference.add_rois(n_rois)
    after = pushed(inference, dff[:, cut:])
    assert after[3:] == pytest.approx(
        pushed(online(sum(parts), smoothing_s=0.03), dff[3:, cut:]), abs=1e-5, nan_ok=True
    )
    undisturbed = pushed(online(3, smoothing_s=0.03), dff[:3])
    assert np.concatenate([before, after[:3]], axis=1) == pytest.approx(undisturbed, abs=1e-5, nan_ok=True)


def test_the_last_minute_equals_that_minute_alone_after_the_warm_up():
    """With the noise level given; five time constants of the slow way of the rest level are the warm-up."""
    rate = 4
    rng = np.random.default_rng(0)
    dff = (0.2 * rng.standard_normal((2, rate * 1200))).astype(np.float32)
    minute, warm_up = rate * 60, rate * 400
    inference = OnlineInference(2, rate, model=MODEL, noise_level=4.0)
    bytes_before = inference.nbytes
    long = pushed(inference, dff)[:, -minute:]
    alone = pushed(OnlineInference(2, rate, model=MODEL, noise_level=4.0), dff[:, -minute - warm_up :])[:, -minute:]
    assert inference.nbytes == bytes_before
    assert long == pytest.approx(alone, abs=1e-4)


def test_several_look_aheads_come_at_once():
    dff = traces(1)
    together = pushed(online(5, look_ahead_s=(0.0, 1 / RATE, 4 / RATE)), dff)
    for row, frames in enumerate((0, 1, 4)):
        assert np.array_equal(together[row], pushed(online(5, look_ahead_s=frames / RATE), dff), equal_nan=True)


def test_smoothing_takes_of_frames_to_come_what_there_is():
    """In the middle it is the kernel over the newest estimates; it never reaches beyond the current frame."""
    dff = np.nan_to_num(traces(2))
    heads = pushed(online(5, look_ahead_s=[delay / RATE for delay in SIZES.delays]), dff)
    smoothed = pushed(online(5, look_ahead_s=1 / RATE, smoothing_s=0.02), dff)
    kernel = gaussian_kernel(0.02, RATE)
    half, t = len(kernel) // 2, 60
    newest = {0: heads[0][:, t], 1: heads[1][:, t], 2: heads[2][:, t], 3: heads[2][:, t - 1], 4: heads[3][:, t]}
    weights = {1 + lag: kernel[half + lag] for lag in range(-half, half + 1) if 0 <= 1 + lag <= 4}
    wanted = sum(weights[delay] * newest[delay] for delay in weights) / sum(weights.values())
    assert smoothed[:, t] == pytest.approx(wanted, abs=1e-5)


def test_what_gives_no_value_says_why():
    inference = online(2, look_ahead_s=1 / RATE)
    assert np.isnan(inference.push([0.1, 0.1])).all()
    assert inference.reasons.tolist() == [NOT_YET, NOT_YET]
    assert np.isfinite(inference.push(None)).all()
    assert np.isnan(inference.push([0.1, np.nan])).all()
    assert explained(inference.reasons) == {"the frame that is told of was not measured": 2}
    assert np.isnan(inference.push([0.1, 0.1])).tolist() == [False, True]
    assert inference.reasons.tolist() == [0, MISSING]


def test_minutes_without_a_value_end_as_they_began():
    inference = online(1)
    fresh = online(1)
    dff = traces(3, n_rois=1)
    pushed(inference, dff)
    for _ in range(3000):
        inference.push([np.nan])
    assert np.isfinite(inference.rest_levels).all()
    later = np.nan_to_num(traces(4, n_rois=1))
    assert np.isfinite(pushed(inference, later)[:, 10:]).all()
    assert np.isfinite(pushed(fresh, later)[:, 10:]).all()


def test_raw_fluorescence_gives_the_spikes_of_its_dff():
    """Scaled fluorescence with neuropil: dF/F is the same, and so is what is inferred."""
    rng = np.random.default_rng(5)
    counts, around = 100 + 5 * rng.standard_normal((3, 200)), 40 + rng.standard_normal((3, 200))
    one, other = online(3), online(3)
    for frame, near in zip(counts.T, around.T, strict=True):
        first = one.push_raw(frame, near).copy()
        assert other.push_raw(7 * frame, 7 * near) == pytest.approx(first, abs=1e-4, nan_ok=True)
    assert one.noise_levels == pytest.approx(100 * 5 * 0.954 / 72 / np.sqrt(RATE), rel=0.25)


def test_fluorescence_without_a_positive_baseline_has_no_dff():
    inference = online(2, look_ahead_s=0.0)
    for _ in range(20):
        values = inference.push_raw([100.0, 10.0], [50.0, 50.0])
    assert np.isnan(values).tolist() == [False, True]
    assert inference.reasons.tolist() == [0, NO_BASELINE]


def test_threads_change_nothing():
    dff = traces(6, n_rois=600, n_frames=30)
    assert np.array_equal(pushed(online(600, n_threads=3), dff), pushed(online(600), dff), equal_nan=True)


def test_a_frame_of_another_length_is_refused_and_not_taken_in():
    inference = online(2)
    with pytest.raises(
        InputError, match=r"dff of shape \(2,\), one value per ROI, received \(3,\) at frame 0.*add_rois"
    ):
        inference.push([1.0, 2.0, 3.0])
    assert inference.n_frames == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"look_ahead_s": -1.0}, "look-aheads of 0 s or more"),
        ({"n_networks": 3}, "1 to 2 networks of online-test, received 3"),
        ({"noise_level": 0.0}, "noise levels above 0"),
        (
            {"model": "conditional-1-120Hz"},
            "architecture online, received conditional-1-120Hz.*needs the whole recording",
        ),
    ],
)
def test_what_cannot_be_is_said(options, message):
    with pytest.raises(InputError, match=message):
        online(2, **options)


def test_a_rate_that_no_network_was_trained_for_is_refused():
    with pytest.raises(InputError, match=r"imaging rate of 1 to 120 Hz.*received 500 Hz"):
        OnlineInference(1, 500.0, model=MODEL)


def test_a_state_of_other_weights_is_refused(tmp_path):
    online(1).save(tmp_path / "state.npz")
    with pytest.raises(InputError, match=r"Expected the weights .* that .*state.npz was written with"):
        OnlineInference.resume(tmp_path / "state.npz", model=online_model(seed=1))
    (tmp_path / "broken.npz").write_bytes(b"no")
    with pytest.raises(InputError, match=r"state that OnlineInference.save wrote"):
        OnlineInference.resume(tmp_path / "broken.npz", model=MODEL)


def test_delays_of_a_network_ascend_from_0():
    with pytest.raises(ModelFileError, match="ascend from 0"):
        OnlineSizes(delays=(1, 2))


def test_nobody_gets_the_online_model_who_does_not_name_it():
    from nwb_cascade.inference_run import choose_model

    assert choose_model("auto", RATE)[0].config.name == load_model("conditional-1-120Hz").config.name
