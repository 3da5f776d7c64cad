"""Arrays on a page are read back as they were, in no more bytes per value than they need."""

from __future__ import annotations

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nwb_cascade.report.arrays import MISSING, PackedArray, Packer, pack_array, pack_numbers, pack_steps, unpack_steps

FEW, MANY = st.integers(-127, 127), st.integers(-32768, 32767)


@given(arrays(np.int16, st.integers(0, 50), elements=st.one_of(FEW, st.just(MISSING))))
def test_small_steps_take_a_byte_each(values: np.ndarray) -> None:
    one = pack_steps(values)
    assert one.dtype == "i1"
    np.testing.assert_array_equal(unpack_steps(one), values)


@given(arrays(np.int16, st.integers(1, 50), elements=MANY))
def test_steps_are_read_back_as_they_were(values: np.ndarray) -> None:
    np.testing.assert_array_equal(unpack_steps(pack_steps(values)), values)


@given(arrays(np.int64, st.integers(0, 50), elements=st.integers(-(2**31), 2**31 - 1)))
def test_numbers_are_read_back_as_they_were(values: np.ndarray) -> None:
    np.testing.assert_array_equal(pack_numbers(values).values(), values)


@pytest.mark.parametrize(("largest", "dtype"), [(255, "u1"), (256, "u2"), (70_000, "u4")])
def test_numbers_take_the_smallest_type(largest: int, dtype: str) -> None:
    assert pack_numbers(np.array([0, largest])).dtype == dtype


def test_arrays_can_be_cut_out_of_the_text_again() -> None:
    packer, arrays_in = Packer(), [pack_array(np.arange(n, dtype=np.float32)) for n in (3, 0, 50)]
    places = [packer.add(one) for one in arrays_in]
    for (dtype, first, stop), one in zip(places, arrays_in, strict=True):
        read = PackedArray(dtype, base64.b64decode(packer.text()[first:stop]))
        np.testing.assert_array_equal(read.values(), one.values())
