"""Datasets of remote files: which bytes a part needs, and fetching them ahead of the reading."""

import time
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.dandi.assets import find_asset
from nwb_cascade.dandi.chunks import PrefetchedDataset, as_slices, chunk_infos, next_selection
from nwb_cascade.dandi.stream import StreamSettings, open_remote
from nwb_cascade.errors import RemoteError
from tests.support.dandi_faults import Fault
from tests.support.hdf5_layouts import LAYOUTS, N_SERIES, SHAPE, contiguous, hdf5_bytes, interleaved, series
from tests.unit.dandi.streaming import HASTY, fetched, fetched_twice, publish

N_FRAMES, N_ROIS = SHAPE
BLOCKS = {
    "whole": [np.s_[:, :]],
    "by frames": [np.s_[start : start + 1200] for start in range(0, N_FRAMES, 1200)],
    "by rois": [np.s_[:, start : start + 4] for start in range(0, N_ROIS, 4)],
    "tiles": [np.s_[a : a + 4000, b : b + 20] for a in range(0, N_FRAMES, 4000) for b in range(0, N_ROIS, 20)],
    "backwards": [np.s_[start : start + 2400] for start in range(N_FRAMES - 2400, -1, -2400)],
}


@pytest.fixture
def opened(archive, server):
    """Open a layout remotely; yields a function that returns the file, the remote file and a dataset."""
    held = []

    def open_layout(layout, number=2, **options):
        address = publish(archive, server, hdf5_bytes(LAYOUTS[layout]), path=f"sub-1/{layout}.nwb")
        remote = open_remote(address, StreamSettings(**options))
        file = h5py.File(remote, "r")
        held.extend([file, remote])
        dataset = file[f"series{number}/data"]
        server.reset()
        return SimpleNamespace(file=file, remote=remote, dataset=dataset, array=remote.prefetched(dataset))

    yield open_layout
    for each in held:
        each.close()


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("blocks", sorted(BLOCKS))
def test_every_chunk_is_fetched_once_in_whatever_order_it_is_read(opened, server, layout, blocks):
    found = opened(layout)
    values = np.full(SHAPE, np.nan, np.float32)
    for block in BLOCKS[blocks]:
        values[block] = found.array[block]
    np.testing.assert_array_equal(values, series(2))
    assert fetched_twice(server) == 0
    stored = found.dataset.id.get_storage_size()
    assert sum(stop - start for start, stop in fetched(server)) <= 1.15 * stored + 64 * 1024


def test_the_chunks_of_a_series_are_fetched_together_not_one_by_one(opened, server):
    assert len(opened("chunked_by_time").dataset.id.get_storage_size() and fetched(server)) == 0
    found = opened("chunked_by_time")
    found.array[:]
    assert found.dataset.id.get_num_chunks() == 15
    assert len(fetched(server)) <= 3


def test_chunks_between_those_of_others_are_fetched_alone(opened, server):
    found = opened("interleaved")
    found.array[:]
    assert (
        sum(stop - start for start, stop in fetched(server)) <= 1.15 * found.dataset.id.get_storage_size() + 64 * 1024
    )


def test_the_next_block_is_on_its_way_while_the_current_one_is_worked_on(opened, server):
    found = opened("chunked_by_time")
    found.array[0:2400]
    found.array[2400:4800]
    coming = found.array.ranges((slice(4800, 7200), slice(0, N_ROIS)))
    deadline = time.monotonic() + 10
    while not set(coming) & set(fetched(server)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(coming) & set(fetched(server))
    server.faults.script(Fault.UNAVAILABLE, "^/blobs", times=99)  # whatever comes after is not needed
    found.remote.wait(coming)
    np.testing.assert_array_equal(found.dataset[4800:7200], series(2)[4800:7200])


def test_a_failure_of_the_background_is_raised_when_its_block_is_read_and_passes(opened, server):
    found = opened("chunked_by_roi", policy=HASTY)
    server.faults.script(Fault.UNAVAILABLE, "^/blobs", times=3)
    with pytest.raises(RemoteError, match="did not come in 3 attempts"):
        found.array[:, 0:4]
    np.testing.assert_array_equal(found.array[:, 0:4], series(2)[:, 0:4])


def test_blocks_that_cannot_be_kept_until_they_are_read_are_not_fetched_ahead(opened, server):
    found = opened("chunked_by_time", cache_limit_bytes=0, memory_bytes=1_000_000)
    np.testing.assert_array_equal(found.array[:], series(2))
    assert not found.remote.can_hold(600_000)
    assert found.remote.can_hold(500_000)


def test_it_looks_like_the_dataset(opened):
    found = opened("chunked_by_time")
    assert (found.array.shape, found.array.dtype, found.array.ndim) == (SHAPE, np.float32, 2)
    assert (found.array.chunks, len(found.array)) == ((800, N_ROIS), N_FRAMES)
    rows = opened("contiguous")
    assert rows.array.chunks is None
    data = series(2)
    for key in [5, -1, np.s_[::7], np.s_[..., 3], np.s_[2, 3], np.s_[10:5], [1, 4], np.s_[3:9, -2:], np.s_[:5, 1:2]]:
        np.testing.assert_array_equal(found.array[key], data[key])
        np.testing.assert_array_equal(rows.array[key], data[key])


def test_what_is_no_dataset_of_numbers_in_the_file_is_left_as_it_is(opened):
    found = opened("contiguous")
    assert found.remote.prefetched([1, 2]) == [1, 2]


@pytest.mark.parametrize(
    "create",
    [
        lambda file: file.create_dataset("x", (100, 3), np.float32),
        lambda file: file.create_dataset("x", (100, 3), np.float32, chunks=(10, 3), fillvalue=2),
        lambda file: file.create_dataset("x", (0, 3), np.float32, maxshape=(None, 3), chunks=(10, 3)),
        lambda file: file.create_dataset("x", data=np.arange(5)),
    ],
)
def test_datasets_of_which_nothing_is_stored(archive, server, create):
    content = hdf5_bytes(create)
    with open_remote(publish(archive, server, content)) as remote, h5py.File(remote, "r") as file:
        np.testing.assert_array_equal(remote.prefetched(file["x"])[:], file["x"][:])


def test_the_places_found_hold_the_data(archive, server):
    content = hdf5_bytes(contiguous)
    with open_remote(publish(archive, server, content)) as remote, h5py.File(remote, "r") as file:
        array = PrefetchedDataset(file["series1/data"], remote)
        ((start, stop),) = array.ranges((slice(10, 20), slice(0, 5)))
    assert content[start:stop] == series(1)[10:20].tobytes()


@pytest.mark.parametrize(
    "dtype", ["<f4", ">f4", "<f8", ">i2", "u1", "complex64", "S3", [("a", "<f4"), ("b", "<i2")], bool]
)
@pytest.mark.parametrize("options", [{}, {"userblock_size": 1024}])
def test_rows_of_any_type_are_those_that_h5py_reads(archive, server, dtype, options):
    data = np.arange(600).reshape(100, 6)
    data = data.astype(bytes).astype(dtype) if dtype == "S3" else (data % 100).astype(dtype)

    def write(file):
        file["rows"] = data
        file.create_dataset("chunks", data=data, chunks=(30, 4))

    with open_remote(publish(archive, server, hdf5_bytes(write, **options))) as remote, h5py.File(remote, "r") as file:
        for name in ("rows", "chunks"):
            array = remote.prefetched(file[name])
            for key in [np.s_[:], np.s_[5:20], np.s_[90:, 2:4], np.s_[:, 5:], np.s_[7, 1:3], np.s_[3:3]]:
                np.testing.assert_array_equal(array[key], data[key])
                assert array[key].dtype == file[name].dtype
            assert array[0:2].flags.writeable


def test_an_hdf5_without_chunk_iteration_lists_the_same_chunks(tmp_path):
    (tmp_path / "a.h5").write_bytes(hdf5_bytes(interleaved))
    with h5py.File(tmp_path / "a.h5") as file:
        dataset_id = file["series0/data"].id
        old = SimpleNamespace(get_chunk_info=dataset_id.get_chunk_info, get_num_chunks=dataset_id.get_num_chunks)
        places = {(info.chunk_offset, info.byte_offset, info.size) for info in chunk_infos(old)}
        assert places == {(info.chunk_offset, info.byte_offset, info.size) for info in chunk_infos(dataset_id)}
        assert len(places) == 20


indices = st.one_of(
    st.integers(-9, 8), st.builds(slice, *[st.one_of(st.none(), st.integers(-12, 12))] * 2, st.sampled_from([None, 1]))
)


@settings(max_examples=60)
@given(st.tuples(indices, indices) | indices | st.just(...) | st.tuples(st.just(...), indices))
def test_slices_select_what_the_index_selects(key):
    data = np.arange(9 * 9).reshape(9, 9)
    slices = as_slices(key, data.shape)
    assert slices is not None
    np.testing.assert_array_equal(data[slices].ravel(), data[key].ravel())


@pytest.mark.parametrize("key", [np.s_[::2], [0, 1], np.array([True] * 9), (0, 0, 0), None, "name", 9, -10, True])
def test_other_indices_are_left_to_the_dataset(key):
    assert as_slices(key, (9, 9)) is None


def test_what_comes_next_is_the_block_moved_on_by_the_last_step():
    def blocks(*pairs):
        return tuple(slice(*pair) for pair in pairs)

    shape = (100, 10)
    assert next_selection(blocks((0, 40), (0, 10)), blocks((40, 80), (0, 10)), shape) == blocks((80, 100), (0, 10))
    assert next_selection(blocks((0, 40), (0, 5)), blocks((0, 40), (5, 10)), shape) is None  # the end of an axis
    assert next_selection(blocks((0, 40), (5, 10)), blocks((40, 80), (0, 5)), shape) is None  # a jump
    assert next_selection(blocks((40, 80), (0, 10)), blocks((0, 40), (0, 10)), shape) is None  # backwards
    assert next_selection(None, blocks((0, 40), (0, 10)), shape) is None


def test_series_are_read_one_after_the_other_without_reading_what_lies_between(archive, server):
    content = hdf5_bytes(interleaved)
    asset = find_asset(publish(archive, server, content))
    with open_remote(asset) as remote, h5py.File(remote, "r") as file:
        for number in range(N_SERIES):
            np.testing.assert_array_equal(remote.prefetched(file[f"series{number}/data"])[:], series(number))
    assert fetched_twice(server) == 0
