"""Laws of byte ranges, checked byte by byte."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.dandi.ranges import Extents, bridge, split, subtract, total, union

SIZE = 40
byte_ranges = st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)), max_size=8)


def as_bytes(extents):
    return {position for start, stop in extents for position in range(start, stop)}


@settings(max_examples=60)
@given(byte_ranges)
def test_a_union_holds_the_same_bytes_in_sorted_ranges_that_do_not_touch(some):
    merged = union(some)
    assert as_bytes(merged) == as_bytes(some)
    assert all(first[1] < second[0] for first, second in pairwise(merged))
    assert total(merged) == len(as_bytes(some))


@settings(max_examples=60)
@given(byte_ranges, byte_ranges)
def test_a_difference_holds_the_bytes_of_the_first_that_are_not_in_the_second(some, known):
    assert as_bytes(subtract(some, known)) == as_bytes(some) - as_bytes(known)


@settings(max_examples=60)
@given(byte_ranges, st.integers(0, 20), st.integers(0, 10))
def test_a_bridge_holds_every_byte_and_wastes_no_more_than_it_may(some, spare_bytes, max_gap):
    bridged = bridge(some, spare_bytes=spare_bytes, max_gap=max_gap)
    assert as_bytes(bridged) >= as_bytes(some)
    assert len(as_bytes(bridged)) - len(as_bytes(some)) <= spare_bytes
    assert len(bridged) <= len(union(some))


def test_a_bridge_closes_the_smallest_gaps_first():
    assert bridge([(0, 5), (9, 12), (13, 20)], spare_bytes=4, max_gap=9) == [(0, 5), (9, 20)]


@settings(max_examples=60)
@given(byte_ranges, st.integers(1, 7))
def test_pieces_are_short_and_together_the_whole(some, max_bytes):
    pieces = split(union(some), max_bytes)
    assert as_bytes(pieces) == as_bytes(some)
    assert all(0 < stop - start <= max_bytes for start, stop in pieces)


@settings(max_examples=60)
@given(byte_ranges, byte_ranges)
def test_extents_know_what_they_hold_and_what_they_lack(added, dropped):
    extents = Extents()
    for extent in added:
        extents.add(extent)
    for extent in dropped:
        extents.discard(extent)
    held = as_bytes(set(added) - set(dropped))
    assert as_bytes(extents.missing([(0, SIZE)])) == set(range(SIZE)) - held
    for position in range(SIZE):
        found = extents.find(position)
        assert (found is not None) == (position in held)
        if found is not None:
            assert found in added
            assert found[0] <= position < found[1]
        else:
            start, stop = extents.hole(position, SIZE)
            assert as_bytes([(start, stop)]).isdisjoint(held)
            assert {start - 1, stop} - {-1, SIZE} <= held
            assert start <= position < stop
