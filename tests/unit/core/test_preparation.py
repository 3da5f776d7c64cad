"""What is noted of one trace before a network reads it."""

import numpy as np
import pytest

from nwb_cascade.core.preparation import prepare_trace

N_FRAMES = 600


def codes_of(present):
    trace = np.random.default_rng(0).normal(size=N_FRAMES).astype(np.float32)
    trace[~present] = np.nan
    return dict(prepare_trace(trace, 64, fills_edges=True).notes)


@pytest.mark.parametrize("every", [2, 3, 4])
def test_values_in_every_kth_frame_are_told_with_what_to_do(every):
    found = codes_of(np.arange(N_FRAMES) % every == 0)
    assert found["scattered-values"].startswith(f"only one frame in {every} has a value")
    assert found["scattered-values"].endswith(f"at the imaging rate divided by {every}")


@pytest.mark.parametrize(("period", "valid"), [(4, 2), (10, 5), (20, 10), (4, 3)])
def test_values_in_short_pieces_are_told(period, valid):
    found = codes_of(np.arange(N_FRAMES) % period < valid)
    assert found["scattered-values"].startswith(f"values come in pieces of {valid}")


def test_a_few_gaps_are_nothing_to_tell_but_their_frames():
    present = np.ones(N_FRAMES, bool)
    present[[3, 100, 101, 102, 400]] = False
    present[200:350] = False
    assert set(codes_of(present)) == {"missing-frames"}
