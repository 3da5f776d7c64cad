"""Words and numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.core.wording import counted, natural_key, rounded


def test_only_one_is_singular():
    assert [counted(n, "ROI") for n in (0, 1, 2, 21)] == ["0 ROIs", "1 ROI", "2 ROIs", "21 ROIs"]
    assert [counted(n, "series", "series") for n in (1, 2)] == ["1 series", "2 series"]


@pytest.mark.parametrize(
    ("value", "shown"), [(112.3, "110"), (99.96, "100"), (0.0571, "0.057"), (1.0, "1"), (0.0, "0")]
)
def test_numbers_are_rounded_to_digits_without_an_exponent(value, shown):
    assert rounded(value, 2) == shown


@given(st.lists(st.integers(0, 10**9)), st.sampled_from(["", "cell-", "a.b_"]))
def test_names_sort_by_their_numbers(numbers, prefix):
    names = [f"{prefix}{number}x" for number in numbers]
    assert sorted(names, key=natural_key) == [f"{prefix}{number}x" for number in sorted(numbers)]


@given(st.lists(st.text(), min_size=2))
def test_any_names_can_be_sorted(names):
    assert len(sorted(names, key=natural_key)) == len(names)
