"""Windows: what they are labelled by, what is drawn, which neurons are held out, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.spikefinder.cache import cached_windows
from nwb_cascade.spikefinder.neurons import Neuron, Segment, content_hash, neuron_from
from nwb_cascade.spikefinder.windows import (
    draw_windows,
    first_middle_bin,
    split_by_dataset,
    split_by_neuron,
    window_labels,
)
from nwb_cascade.training.recordings import KnownRecording, KnownTrial


def neuron(cell="a", *, dataset="DS1", animal=None, n_bins=300, spikes=(50, 120, 200), missing=()):
    """A neuron whose trace counts its bins up, so that a window shows where it was cut."""
    trace = np.arange(n_bins, dtype=np.float32)
    trace[list(missing)] = np.nan
    counts = np.zeros(n_bins, np.int64)
    counts[list(spikes)] = 1
    recording = KnownRecording(dataset, cell, animal or f"{dataset}-{cell}", "GCaMP6f", ())
    return Neuron(recording, (Segment(0.0, trace, counts),))


def test_a_window_is_positive_only_where_a_spike_falls_into_its_middle_five_bins():
    starts, labels = window_labels(neuron(spikes=[100], n_bins=200).segments[0], 20)
    assert starts.tolist() == list(range(181))
    assert np.flatnonzero(labels).tolist() == [88, 89, 90, 91, 92]
    assert first_middle_bin(20) == 8  # bins -2 to 2 around bin 10


@settings(deadline=None)
@given(st.integers(5, 80), st.integers(0, 2**31))
def test_labels_agree_with_counting_spikes_window_by_window(size, seed):
    generator = np.random.default_rng(seed)
    counts = generator.poisson(0.05, 150)
    starts, labels = window_labels(Segment(0.0, np.zeros(150, np.float32), counts), size)
    middle = first_middle_bin(size)
    assert labels.tolist() == [bool(counts[s + middle : s + middle + 5].sum()) for s in starts]


def test_windows_never_touch_missing_bins():
    starts, _ = window_labels(neuron(missing=range(250, 300)).segments[0], 20)
    assert starts.max() == 230
    starts, _ = window_labels(neuron(missing=[100]).segments[0], 20)
    assert not {*range(81, 101)} & {*starts.tolist()}


@pytest.mark.parametrize("balance", ["pooled", "neuron"])
def test_draws_are_balanced_without_repeats_and_cut_where_they_say(balance):
    neurons = [neuron("a"), neuron("b", spikes=[150]), neuron("c")]
    drawn = draw_windows(neurons, (0, 1), 20, 1000, np.random.default_rng(0), balance=balance)
    assert drawn.labels.sum() * 2 == len(drawn)
    assert {*drawn.neurons.tolist()} <= {0, 1}
    assert len({*zip(drawn.neurons.tolist(), drawn.starts.tolist(), strict=True)}) == len(drawn)
    np.testing.assert_array_equal(drawn.values, drawn.starts[:, None] + np.arange(20))


def test_balance_within_neurons_says_nothing_about_the_neuron():
    neurons = [neuron("a", spikes=range(20, 280, 4)), neuron("b", spikes=[150])]
    drawn = draw_windows(neurons, (0, 1), 20, 1000, np.random.default_rng(0), balance="neuron")
    for index in (0, 1):
        own = drawn.labels[drawn.neurons == index]
        assert own.mean() == 0.5


def test_the_same_seed_draws_the_same_windows():
    first, again, other = (draw_windows([neuron()], [0], 20, 12, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.starts, again.starts)
    assert first.starts.tolist() != other.starts.tolist()


def test_windows_longer_than_every_trial_are_refused():
    with pytest.raises(ValueError, match=r"at least 400 bins \(4 s\), the longest trial of DS1 a has 300"):
        draw_windows([neuron()], [0], 400, 10, np.random.default_rng(0))


def test_ground_truth_without_spikes_is_refused():
    with pytest.raises(ValueError, match="with a spike in their middle 5 bins, none of the 281 windows of 20 bins"):
        draw_windows([neuron(spikes=[])], [0], 20, 10, np.random.default_rng(0))


def test_ground_truth_of_nothing_but_spikes_is_refused():
    with pytest.raises(ValueError, match="with no spike in their middle"):
        draw_windows([neuron(spikes=range(300))], [0], 20, 10, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 4}, "at least 5 bins, received 4"),
        ({"n_windows": 1}, "at least 2 windows"),
        ({"balance": "both"}, "pooled or neuron, received 'both'"),
    ],
)
def test_impossible_draws_are_refused(options, message):
    given_ = {"size": 20, "n_windows": 10, "balance": "pooled"} | options
    with pytest.raises(ValueError, match=message):
        draw_windows(
            [neuron()], [0], given_["size"], given_["n_windows"], np.random.default_rng(0), balance=given_["balance"]
        )


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=12), st.integers(0, 99))
def test_no_animal_is_on_both_sides_of_a_split(animals, seed):
    neurons = [neuron(str(i), dataset=f"DS{a % 2}", animal=str(a)) for i, a in enumerate(animals)]
    if len({*animals}) < 2:
        with pytest.raises(ValueError, match="at least two animals"):
            split_by_neuron(neurons, seed=seed)
        return
    split = split_by_neuron(neurons, seed=seed)
    sides = [{neurons[i].recording.animal for i in side} for side in (split.training, split.held_out)]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert sorted(split.training + split.held_out) == list(range(len(neurons)))


def test_datasets_can_be_held_out_with_all_that_shares_their_animals():
    neurons = [neuron("a"), neuron("b", dataset="DS2", animal="m"), neuron("c", dataset="DS3", animal="m")]
    assert split_by_dataset(neurons, ["DS2"]).held_out == (1, 2)
    with pytest.raises(LookupError, match="data sets of DS1, DS2, DS3, received DS9"):
        split_by_dataset(neurons, ["DS9"])
    with pytest.raises(ValueError, match="at least two animals or data sets"):
        split_by_dataset(neurons, ["DS1", "DS2"])


def trial(values, rate=100.0):
    values = np.asarray(values, np.float32)
    return KnownTrial(np.arange(values.size) / rate, values, np.array([0.1]))


def test_scaling_makes_recordings_comparable_and_keeps_missing_bins():
    values = np.random.default_rng(0).normal(3, 0.2, 200)
    values[150:] = np.nan
    scaled = neuron_from(KnownRecording("DS1", "a", "m", "GCaMP6f", (trial(values),))).segments[0].trace
    assert np.isnan(scaled[150:]).all()
    assert np.nanpercentile(scaled, 20) == pytest.approx(0, abs=1e-5)
    assert np.nanmedian(np.abs(scaled[10:] - scaled[:-10])) == pytest.approx(1 / 3, rel=1e-4)
    again = neuron_from(KnownRecording("DS1", "a", "m", "GCaMP6f", (trial(7 * values - 1),))).segments[0].trace
    np.testing.assert_allclose(again, scaled, atol=1e-3)


def test_traces_in_bins_already_are_taken_as_they_are_others_are_resampled():
    values = np.random.default_rng(0).normal(size=60)
    made = neuron_from(KnownRecording("DS1", "a", "m", "GCaMP6f", (trial(values),)))
    unit = 3 * np.median(np.abs(values[10:] - values[:-10]))
    np.testing.assert_allclose(made.segments[0].trace, (values - np.percentile(values, 20)) / unit, atol=1e-4)
    slow = neuron_from(KnownRecording("DS1", "a", "m", "GCaMP6f", (trial(values, rate=20.0),)))
    assert slow.segments[0].trace.size == 296  # 59 intervals of 50 ms
    assert slow.segments[0].counts.sum() == 1


def test_a_trace_that_mostly_stands_still_is_scaled_by_its_standard_deviation():
    values = np.zeros(300)
    values[100] = 1.0
    scaled = neuron_from(KnownRecording("DS1", "a", "m", "GCaMP6f", (trial(values),))).segments[0].trace
    assert scaled.std() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("values", [np.full(100, 0.5), np.full(100, np.nan)])
def test_a_recording_without_variation_is_refused(values):
    with pytest.raises(ValueError, match="Expected dF/F that varies in DS1 a"):
        neuron_from(KnownRecording("DS1", "a", "m", "GCaMP6f", (trial(values),)))


def test_cached_windows_are_memory_mapped_and_keyed_by_content(tmp_path):
    calls = []

    def draw():
        calls.append(1)
        return draw_windows([neuron()], [0], 20, 12, np.random.default_rng(0))

    facts = {"data": content_hash([neuron()]), "size": 20}
    first = cached_windows(tmp_path / "cache", facts, draw)
    again = cached_windows(tmp_path / "cache", facts, draw)
    assert len(calls) == 1
    assert isinstance(again.values, np.memmap)
    np.testing.assert_array_equal(first.values, again.values)
    other = {**facts, "data": content_hash([neuron(spikes=[50])])}
    cached_windows(tmp_path / "cache", other, draw)
    assert len(calls) == 2
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name.startswith(".")]
