import numpy as np
import pytest

from nwb_cascade.core.noise import noise_level
from nwb_cascade.core.preparation import prepare_trace
from nwb_cascade.nwb import statistics
from nwb_cascade.nwb.blocks import StoredTraces
from nwb_cascade.nwb.statistics import noise_quantiles, trace_statistics
from tests.support.recordings import simulated_dff


def found_in(traces, *, kind="dff", rate=30.0, **options):
    return trace_statistics(StoredTraces(np.asarray(traces).T, **options), kind=kind, imaging_rate=rate)


def test_clean_dff_has_noise_levels_and_no_problems():
    dff = simulated_dff(9, 500)
    found = found_in(dff)
    noise = noise_level(dff, 30.0)
    assert found.nan_fraction == 0
    assert found.noise_levels.median == pytest.approx(np.median(noise), rel=1e-6)
    assert (found.noise_levels.minimum, found.noise_levels.maximum) == pytest.approx((noise.min(), noise.max()))
    assert found.noise_levels.undefined == 0
    assert found.problems == ()


@pytest.mark.parametrize("kind", ["dff", "raw_fluorescence"])
def test_small_pieces_give_what_one_piece_gives(monkeypatch, kind):
    dff = simulated_dff(7, 300)
    dff[2, 40:90] = np.nan
    dff[3] = 0
    dff[4, -20:] = 0
    whole = found_in(dff, kind=kind)
    monkeypatch.setattr(statistics, "READ_ITEMS", 50)
    assert found_in(dff, kind=kind) == whole
    assert whole.nan_fraction == pytest.approx(50 / 2100)


def test_each_kind_of_useless_trace_is_counted():
    dff = simulated_dff(8, 300)
    dff[0] = np.nan
    dff[1:3] = 0
    dff[3] = 0.7
    dff[4, 5] = np.inf
    dff[5, -12:] = 0
    dff[6, -3:] = 0
    found = found_in(dff)
    assert found.problems == (
        "1 of 8 ROIs are NaN throughout.",
        "1 of 8 ROIs have infinite values.",
        "2 of 8 ROIs are zero throughout.",
        "1 of 8 ROIs never change.",
        "2 of 8 ROIs end in exact zeros (up to 12 frames): padding, such as suite2p adds to short planes.",
    )
    assert found.noise_levels.undefined == 4


@pytest.mark.parametrize("read_items", [2**21, 50, 14, 7])  # in one piece, and in pieces that gaps span
def test_values_in_every_kth_frame_are_told(monkeypatch, read_items):
    monkeypatch.setattr(statistics, "READ_ITEMS", read_items)
    dff = simulated_dff(7, 300)
    dff[:3, 1::2] = np.nan
    dff[3] = np.where(np.arange(300) % 4 < 2, dff[3], np.nan)  # two values, two missing
    dff[4, 100:200] = np.nan  # one gap
    dff[5] = np.where(np.arange(300) % 75 < 5, np.nan, dff[5])  # four
    assert found_in(dff).problems == (
        "3 of 7 ROIs have values in one frame of 2 only: store these frames alone, at the imaging rate divided by 2.",
        "1 of 7 ROIs have values in pieces of 2 frames on average: rates are uncertain by a third.",
    )
    assert found_in(dff, kind="raw_fluorescence").problems == found_in(dff).problems
    assert found_in(dff, kind="events").problems == ()


def test_inspection_and_inference_tell_the_same_traces_as_scattered():
    rng = np.random.default_rng(1)
    for share in (0.02, 0.04, 0.06, 0.3, 0.97):
        trace = np.where(rng.random(400) < share, np.nan, simulated_dff(1, 400)[0]).astype(np.float32)
        notes = dict(prepare_trace(trace, 64, fills_edges=True).notes)
        told = [one for one in found_in(trace[None]).problems if "have values in" in one]
        assert len(told) == ("scattered-values" in notes)


def test_events_that_end_in_zeros_are_not_padded():
    events = np.zeros((2, 100), np.float32)
    events[:, 20] = 1
    assert found_in(events, kind="events").problems == ()


def test_raw_fluorescence_has_no_noise_level():
    assert found_in(simulated_dff(3, 100), kind="raw_fluorescence").noise_levels is None
    assert found_in(simulated_dff(3, 100), rate=None).noise_levels is None


def test_percent_is_scaled_before_it_is_judged():
    dff = simulated_dff(3, 300)
    percent = found_in(100 * dff, factor=0.01)
    assert percent.noise_levels.median == pytest.approx(found_in(dff).noise_levels.median, rel=1e-5)


def test_z_scores_are_noticed():
    dff = simulated_dff(6, 400)
    z_scores = (dff - dff.mean(axis=1, keepdims=True)) / dff.std(axis=1, keepdims=True)
    assert any("may be z-scores" in text for text in found_in(z_scores).problems)


@pytest.mark.parametrize("noise, words", [(0.001, "may have been denoised"), (5.0, "may be in percent")])
def test_noise_levels_that_no_recording_has_are_doubted(noise, words):
    dff = noise * np.random.default_rng(0).normal(size=(4, 300))
    assert any(words in text for text in found_in(dff).problems)


def test_denoised_traces_are_not_blamed_for_their_low_noise():
    assert found_in(0.001 * np.random.default_rng(0).normal(size=(4, 300)), kind="denoised").problems == ()


def test_no_known_noise_level_gives_no_quantiles():
    assert noise_quantiles(np.full(3, np.nan, np.float32)) is None


def test_scratch_files_go_when_the_traces_fail(tmp_path, monkeypatch):
    class Broken:
        shape, ndim, dtype, chunks = (400, 6), 2, np.dtype(np.float32), (100, 6)

        def __getitem__(self, key):
            if key[0].start >= 200:
                raise OSError("bad block")
            return np.zeros((key[0].stop - key[0].start, key[1].stop - key[1].start), np.float32)

    monkeypatch.setattr(statistics, "READ_ITEMS", 20)
    stored = StoredTraces(Broken(), where="a.nwb:/dff")
    with pytest.raises(OSError, match=r"The traces of a\.nwb:/dff cannot be read \(bad block\)"):
        trace_statistics(stored, kind="dff", imaging_rate=30.0, scratch_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []
