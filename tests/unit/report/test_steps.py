"""Quantised traces and their envelopes: what coarser steps show follows exactly from finer ones."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nwb_cascade.report.steps import MISSING, envelope, fitting_unit, quantise, summed

TRACES = arrays(np.int16, st.integers(1, 60), elements=st.integers(-32768, 32767))


@given(TRACES, st.integers(1, 9), st.integers(1, 9))
def test_merging_twice_is_merging_once(trace, first, second):
    twice = envelope(*envelope(trace, trace, first), second)
    once = envelope(trace, trace, first * second)
    np.testing.assert_array_equal(twice, once)


@given(TRACES, st.integers(1, 9))
def test_an_envelope_holds_every_value_and_touches_one(trace, n_merged):
    low, high = envelope(trace, trace, n_merged)
    for step, (least, most) in enumerate(zip(low, high, strict=True)):
        values = trace[step * n_merged : (step + 1) * n_merged]
        there = values[values != MISSING]
        assert (least, most) == ((there.min(), there.max()) if there.size else (MISSING, MISSING))


@given(
    arrays(np.float32, (2, 20), elements=st.floats(-50, 50, width=32) | st.just(np.nan)),
    st.sampled_from([0.0, np.nan, 0.001, 0.5]),
)
def test_rounding_is_half_a_unit_at_most_and_keeps_nan(values, wanted):
    unit = fitting_unit(values, np.full(2, wanted))
    quantised = quantise(values, unit)
    there = np.isfinite(values)
    assert ((quantised == MISSING) == ~there).all()
    assert (
        np.abs(quantised * unit[:, None] - values)[there] <= (0.5001 * unit[:, None] + 1e-6).repeat(20, 1)[there]
    ).all()


def test_a_wanted_unit_grows_where_int16_has_no_room():
    unit = fitting_unit(np.array([[0.0, 1000.0], [0.0, 1.0]]), np.array([0.001, 0.001]))
    np.testing.assert_allclose(unit, [1000 / 32767, 0.001])
    assert quantise(np.array([[0.0, 1000.0]]), unit[:1])[0, 1] == 32767


def test_a_trace_without_values_has_a_unit():
    assert fitting_unit(np.full((1, 3), np.nan), np.array([np.nan]))[0] > 0
    assert fitting_unit(np.empty((2, 0)), np.array([np.nan, 1.0])).tolist() == [1, 1]


def test_counts_add_up_and_stay_in_int16():
    np.testing.assert_array_equal(summed(np.array([1, 2, 3, 4, 5], np.int16), 2), [3, 7, 5])
    np.testing.assert_array_equal(summed(np.array([30000, 30000], np.int16), 2), [32767])
