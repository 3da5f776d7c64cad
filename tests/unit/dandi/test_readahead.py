"""How much is asked for: files with descriptions together, spread out, and in between; a series read on."""

import pytest

from nwb_cascade.dandi.ranges import Extents, total
from nwb_cascade.dandi.readahead import KIB, LONE_BYTES, MIB, NEAR_BYTES, ReadAhead, lone_range

SIZE = 400 * MIB


def fetch(reads, *, size=SIZE, readahead=None):
    """Ranges asked for when reading some bytes in order."""
    readahead, known, asked = readahead or ReadAhead(8 * MIB), Extents(), []
    for start, stop in reads:
        while start < stop:
            if extent := known.find(start):
                start = extent[1]
                continue
            chosen = readahead.choose(start, stop, known.hole(start, size))
            assert chosen[0] <= start < chosen[1] <= size
            assert known.missing([chosen]) == [chosen]
            known.add(chosen)
            asked.append(chosen)
    return asked


def test_descriptions_at_the_start_and_the_end_of_a_file_take_two_requests():
    reads = [(0, 8), (300_000, 301_000), (SIZE - 100_000, SIZE - 99_000), (2000, 2512), (SIZE - 600, SIZE)]
    assert fetch(reads) == [(0, 512 * KIB), (SIZE - 100_000 - LONE_BYTES // 4, SIZE)]


def test_descriptions_far_apart_are_fetched_without_the_data_in_between():
    asked = fetch([(0, 8), *[(n * 2 * MIB, n * 2 * MIB + 600) for n in range(1, 61)]])
    assert len(asked) == 61
    assert total(asked) <= 512 * KIB + 60 * LONE_BYTES


def test_descriptions_close_to_each_other_are_fetched_with_what_lies_between_in_few_requests():
    asked = fetch([(n * 300 * KIB, n * 300 * KIB + 600) for n in range(60)], size=18 * MIB)
    assert len(asked) <= 6
    assert total(asked) <= 18 * MIB


def test_what_lies_in_between_is_fetched_up_to_a_limit_only():
    asked = fetch([(n * 1 * MIB, n * 1 * MIB + 600) for n in range(400)])
    assert total(asked) <= 512 * KIB + 20 * MIB + 8 * MIB + 400 * LONE_BYTES


def test_descriptions_after_a_movie_are_fetched_with_the_small_data_between_them_at_once():
    movie = SIZE - 18 * MIB
    asked = fetch(
        [(0, 8), (SIZE - 600, SIZE), *[(movie + n * 300 * KIB, movie + n * 300 * KIB + 600) for n in range(60)]]
    )
    assert len(asked) == 3
    assert total(asked) <= 19 * MIB


def test_only_the_first_jump_takes_the_rest_of_the_file():
    asked = fetch([(0, 8), (100 * MIB, 100 * MIB + 600), (SIZE - 18 * MIB, SIZE - 18 * MIB + 600)])
    assert total(asked) <= 512 * KIB + 2 * LONE_BYTES


def test_a_read_goes_back_to_what_was_written_just_before():
    assert lone_range(1_000_000) == (1_000_000 - 16 * KIB, 1_000_000 + 48 * KIB)
    assert lone_range(100) == (0, 64 * KIB)


def test_reading_on_takes_ever_larger_steps_up_to_the_window():
    asked = fetch([(at, at + 4 * KIB) for at in range(0, 30 * MIB, 4 * KIB)])
    sizes = [stop - start for start, stop in asked]
    assert sizes[:5] == [512 * KIB, 4 * MIB, 8 * MIB, 8 * MIB, 8 * MIB]


def test_a_small_rest_of_the_unknown_bytes_is_fetched_too():
    assert fetch([(SIZE - 300 * KIB, SIZE - 299 * KIB)])[-1][1] == SIZE
    assert fetch([(0, 8)], size=900 * KIB) == [(0, 900 * KIB)]


def test_reading_on_is_not_limited_by_what_is_spared_for_gaps():
    readahead = ReadAhead(8 * MIB)
    readahead.spare_bytes = 0
    assert fetch([(0, 8), (512 * KIB, 513 * KIB)], readahead=readahead)[-1] == (512 * KIB, 512 * KIB + 4 * MIB)


def test_a_long_read_is_one_request():
    assert fetch([(50 * MIB, 90 * MIB)]) == [(50 * MIB - 16 * KIB, 90 * MIB)]


def test_exact_reads_neither_read_ahead_nor_change_what_follows():
    readahead = ReadAhead(8 * MIB)
    readahead.is_exact = True
    assert fetch([(20 * KIB, 21 * KIB)], readahead=readahead) == [(4 * KIB, 68 * KIB)]
    readahead.is_exact = False
    assert fetch([(0, 1)], readahead=readahead) == [(0, 512 * KIB)]


@pytest.mark.parametrize("gap, is_near", [(NEAR_BYTES, True), (NEAR_BYTES + 1, False)])
def test_near_is_what_arrives_while_a_request_is_waited_for(gap, is_near):
    start = ReadAhead(MIB).choose(gap, gap + 1, (0, SIZE))[0]
    assert (start == 0) is is_near
