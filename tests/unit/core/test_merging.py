"""Results of stretches put together."""

import numpy as np

from nwb_cascade.core.clock import FrameClock
from nwb_cascade.core.engine import infer_stretches
from nwb_cascade.core.joined import joined_grids
from nwb_cascade.core.merging import merged, stretch_noise_levels
from nwb_cascade.core.rest_level import tell_block
from tests.support.networks import MovingSum

RATE = 30.0


def paused(*lengths: int) -> FrameClock:
    return FrameClock.from_timestamps(np.concatenate([100 * n + np.arange(m) / RATE for n, m in enumerate(lengths)]))


def test_long_stretches_have_their_own_noise_level_and_short_ones_share() -> None:
    rng = np.random.default_rng(0)
    clock = paused(600, 600, 50)
    dff = np.concatenate([rng.normal(0, std, (2, n)) for std, n in ((0.1, 600), (0.6, 600), (0.1, 50))], axis=1)
    quiet, loud, short = stretch_noise_levels(list(clock.spread(dff.astype(np.float32))))
    np.testing.assert_allclose(loud / quiet, 6, rtol=0.2)
    assert ((short > 2 * quiet) & (short < loud)).all()


def test_values_lie_at_their_frames_and_each_kind_of_note_is_told_once() -> None:
    clock = paused(80, 3, 60, 2)
    dff = np.random.default_rng(0).normal(size=(2, clock.n_frames)).astype(np.float32)
    dff[1, 10] = np.nan
    parts = list(clock.spread(dff))
    told = [tell_block(part, RATE) for _, part in parts]
    blocks = infer_stretches([part for _, part in parts], told, MovingSum(before=4, after=2).network_set())
    whole = merged(clock, blocks, dff)
    np.testing.assert_array_equal(whole.expected_spikes[:, :80], blocks[0].expected_spikes)
    np.testing.assert_array_equal(whole.expected_spikes[:, 83:143], blocks[2].expected_spikes)
    assert whole.valid_frames.tolist() == [[4, 141], [4, 141]]
    told = [(one.roi, one.code, one.message) for one in whole.warnings]
    assert (1, "missing-frames", "1 frame is NaN and gets no value") in told
    too_short = [message for roi, code, message in told if (roi, code) == (0, "too-short")]
    assert len(too_short) == 1
    assert too_short[0].startswith("frames 80 to 82 and 1 more stretch: the trace is shorter than the window of 7")


def test_joined_stretches_are_apart_and_their_places_have_times() -> None:
    clock = paused(50, 40)
    values = np.arange(90.0)[None]
    (grid,) = joined_grids(clock, values, lambda _rate: 7)
    assert grid.values.shape == (1, 97)
    assert np.isnan(grid.values[0, 50:57]).all()
    np.testing.assert_array_equal(grid.values[0, 57:], np.arange(50.0, 90.0))
    np.testing.assert_allclose(
        grid.times(np.array([0.0, 49.0, 52.0, 55.0, 57.5, 96.0])),
        [0, 49 / RATE, 49 / RATE, 100, 100 + 0.5 / RATE, 100 + 39 / RATE],
    )
