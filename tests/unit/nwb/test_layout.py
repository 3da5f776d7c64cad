import numpy as np
import pytest

from nwb_cascade.nwb.layout import Layout, layout, region_problem


def judged(shape, n_region=None, n_timestamps=None, n_table=None):
    return layout(shape, n_region=n_region, n_timestamps=n_timestamps, n_table=n_table)


@pytest.mark.parametrize(
    "shape, lengths, expected",
    [
        ((300, 5), {"n_region": 5}, Layout(5, 300, False)),
        ((5, 300), {"n_region": 5}, Layout(5, 300, True)),
        ((300, 1), {"n_region": 1}, Layout(1, 300, False)),
        ((1, 300), {"n_region": 1}, Layout(1, 300, True)),
        ((7, 7), {"n_region": 7}, Layout(7, 7, False)),
        ((300,), {"n_region": 1}, Layout(1, 300, False)),
        ((5, 300), {"n_region": 5, "n_timestamps": 300}, Layout(5, 300, True)),
        ((300, 5), {"n_region": 5, "n_timestamps": 301}, Layout(5, 300, False)),
    ],
)
def test_lengths_that_agree_decide_the_orientation(shape, lengths, expected):
    assert judged(shape, **lengths) == expected


def test_timestamps_decide_where_the_region_is_one_roi_short():
    found = judged((7, 1000), n_region=6, n_timestamps=1000, n_table=7)
    assert found == Layout(7, 1000, True)


@pytest.mark.parametrize("shape, transposed", [((300, 5), False), ((5, 300), True)])
def test_the_roi_table_decides_where_nothing_else_does(shape, transposed):
    found = judged(shape, n_region=3, n_table=5)
    assert found == Layout(5, 300, transposed)


def test_a_squeezed_trace_with_an_empty_region_is_one_roi():
    found = judged((400,), n_region=0, n_timestamps=400, n_table=1)
    assert found == Layout(1, 400, False)


@pytest.mark.parametrize(
    "shape, lengths, problem",
    [
        ((300, 7), {"n_region": 5, "n_table": 6}, "No length tells its ROI axis from its time axis"),
        ((300, 5), {"n_region": 300, "n_timestamps": 300}, "Its lengths contradict each other"),
        ((6,), {"n_region": 6}, "one value for each of 6 ROIs, not a trace"),
        ((4, 5, 6), {"n_region": 4}, "The data have shape (4, 5, 6)"),
        ((), {"n_region": 4}, "The data have shape ()"),
    ],
)
def test_lengths_that_do_not_tell_leave_the_orientation_open(shape, lengths, problem):
    found = judged(shape, **lengths)
    assert found.transposed is None
    assert problem in found.problem


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([0, 1, 2], ""),
        ([2, 2, 0], ""),
        ([0, 1], "Its ROI region names 2 ROIs, its data have 3."),
        ([2, 3, 4], "Its ROI region names rows 2 to 4 of a table whose 4 rows are 0 to 3: it may count from 1, as MAT"),
        ([0, 1, 4], "Its ROI region names rows 0 to 4 of a table whose 4 rows are 0 to 3."),
        ([-1, 0, 1], "Its ROI region names rows -1 to 1 of a table whose 4 rows are 0 to 3."),
        ([0.0, 1.0, 2.0], "Its ROI region holds values of type float64, not rows of its table."),
    ],
)
def test_a_region_names_a_row_of_the_table_for_every_trace(rows, problem):
    assert region_problem(np.array(rows), 3, 4).startswith(problem)
    assert bool(problem) == bool(region_problem(np.array(rows), 3, 4))


def test_a_region_of_nothing_suits_no_traces():
    assert region_problem(np.empty(0), 0, 0) == ""
