import tracemalloc
from io import BytesIO

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nwb_cascade.errors import InputError
from nwb_cascade.files.scratch import ScratchArray
from nwb_cascade.nwb import blocks as module
from nwb_cascade.nwb.blocks import StoredTraces, TraceBlocks
from tests.support.counted_reads import CountedStore, chunk_reads, counted_dataset


def matrix(n_rois: int, n_frames: int, dtype: type = np.float32) -> np.ndarray:
    return (np.arange(n_rois * n_frames) % 997).astype(dtype).reshape(n_rois, n_frames)


@st.composite
def layouts(draw):
    """A matrix, how it is stored, and how it is read."""
    n_rois, n_frames = draw(st.integers(1, 12)), draw(st.integers(1, 60))
    dtype = draw(st.sampled_from([np.float32, np.float64, np.int16, np.uint8, np.float16]))
    transposed = draw(st.booleans())
    shape = (n_rois, n_frames) if transposed else (n_frames, n_rois)
    chunks = draw(st.none() | st.tuples(*(st.integers(1, n) for n in shape)))
    block_bytes = draw(st.integers(1, 5000))
    step = draw(st.integers(1, n_rois))
    return matrix(n_rois, n_frames, dtype), transposed, chunks, block_bytes, step


@settings(max_examples=150)
@given(layouts())
def test_blocks_reassemble_to_the_whole(layout):
    expected, transposed, chunks, block_bytes, step = layout
    with h5py.File(BytesIO(), "w") as file:
        data = file.create_dataset("x", data=expected if transposed else expected.T, chunks=chunks)
        blocks = TraceBlocks(StoredTraces(data, transposed=transposed), block_bytes=block_bytes)
        assert blocks.shape == expected.shape
        rows = [blocks[start : start + step] for start in range(0, len(expected), step)]
        np.testing.assert_array_equal(np.concatenate(rows), expected.astype(np.float32))
        assert all(row.dtype == np.float32 for row in rows)
        half = expected.shape[1] // 2
        np.testing.assert_array_equal(blocks[-1], expected[-1].astype(np.float32))
        np.testing.assert_array_equal(blocks[0:1, half:], expected[0:1, half:].astype(np.float32))
        blocks.close()


@settings(max_examples=60)
@given(layouts())
def test_every_chunk_is_fetched_once(layout):
    expected, transposed, chunks, block_bytes, step = layout
    stored = expected if transposed else expected.T
    counted, data = counted_dataset(stored, chunks=chunks or stored.shape, compression="gzip")
    blocks = TraceBlocks(StoredTraces(data, transposed=transposed), block_bytes=block_bytes)
    for start in range(0, len(expected), step):
        np.testing.assert_array_equal(blocks[start : start + step], expected[start : start + step].astype(np.float32))
    assert set(chunk_reads(counted, data)) == {1}
    blocks.close()


def test_a_contiguous_dataset_is_read_once_though_it_is_stored_frame_by_frame():
    expected = matrix(20, 3000)
    counted, data = counted_dataset(expected.T)
    blocks = TraceBlocks(StoredTraces(data), block_bytes=20_000)
    assert blocks.spools
    for roi in range(20):
        np.testing.assert_array_equal(blocks[roi], expected[roi])
    start = data.id.get_offset()
    read = sum(n for position, n in counted.bytes_read.items() if position >= start)
    assert read == expected.nbytes
    blocks.close()


def test_every_chunk_of_a_zarr_array_is_fetched_once():
    zarr = pytest.importorskip("zarr")
    store = CountedStore()
    expected = matrix(9, 400)
    data = zarr.array(expected.T, chunks=(70, 4), store=store)
    for block_bytes in (1, 2000, 7000, 10**6):
        store.reads.clear()
        blocks = TraceBlocks(StoredTraces(data), block_bytes=block_bytes)
        np.testing.assert_array_equal(np.concatenate([blocks[roi : roi + 2] for roi in range(0, 9, 2)]), expected)
        chunks = {key: n for key, n in store.reads.items() if not key.startswith(".")}
        assert len(chunks) == 6 * 3
        assert set(chunks.values()) == {1}
        blocks.close()


@pytest.mark.parametrize("chunks", [None, (100, 500), (5000, 10)])
def test_memory_stays_near_the_block_whatever_the_layout(chunks, tmp_path):
    expected = matrix(500, 5000)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        data = file.create_dataset("x", data=expected.T, chunks=chunks)
        blocks = TraceBlocks(StoredTraces(data), block_bytes=2**20, scratch_dir=tmp_path)
        tracemalloc.start()
        try:
            for roi in range(0, 500, 25):
                assert blocks[roi : roi + 25, 0].shape == (25,)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        blocks.close()
    assert expected.nbytes > 9 * 2**20
    assert peak < 3 * 2**20


def test_one_dimensional_data_are_one_roi():
    values = np.arange(50, dtype=np.int16)
    blocks = TraceBlocks(StoredTraces(values, conversion=0.5), block_bytes=64)
    assert blocks.shape == (1, 50)
    np.testing.assert_array_equal(blocks[:], 0.5 * values[None, :])
    assert blocks[0:0].shape == (0, 50)


def test_conversion_offset_and_factor_are_applied_in_this_order():
    stored = StoredTraces(np.array([[10.0], [20.0]]), conversion=0.5, offset=3.0, factor=0.01)
    np.testing.assert_allclose(TraceBlocks(stored)[:], [[0.08, 0.13]], rtol=1e-6)


def test_integers_are_scaled_in_double_precision():
    stored = StoredTraces(np.array([[16_777_217], [16_777_219]], np.int32), offset=-16_777_216.0)
    np.testing.assert_array_equal(TraceBlocks(stored)[:], [[1, 3]])


def test_nan_stays_nan():
    data = np.array([[0.0, np.nan], [np.nan, 1.0]], np.float32)
    np.testing.assert_array_equal(TraceBlocks(StoredTraces(data))[:], data.T)


def test_what_is_returned_can_be_changed_without_harm():
    blocks = TraceBlocks(StoredTraces(matrix(3, 5).T))
    blocks[:][:] = -1
    np.testing.assert_array_equal(blocks[:], matrix(3, 5))


@pytest.mark.parametrize("shape", [(), (2, 3, 4)])
def test_other_dimensions_are_refused(shape):
    with pytest.raises(InputError, match=r"Expected traces of shape \(time,\) or \(time, ROIs\) in a\.nwb:/x"):
        StoredTraces(np.zeros(shape), where="a.nwb:/x")


@pytest.mark.parametrize("dtype", ["S4", "complex64", "bool"])
def test_values_that_are_no_numbers_are_refused(dtype):
    with pytest.raises(InputError, match=r"Expected numbers in the data, received values of type"):
        StoredTraces(np.zeros((4, 2), dtype))


def test_damaged_data_are_reported_with_their_place(tmp_path):
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("x", data=matrix(4, 1000).T, chunks=(1000, 4), compression="gzip")
        offset = data.id.get_chunk_info(0).byte_offset
    with open(path, "r+b") as raw:
        raw.seek(offset)
        raw.write(b"\xff" * 20)
    with h5py.File(path, "r") as file:
        blocks = TraceBlocks(StoredTraces(file["x"], where="x.nwb:/dff"))
        with pytest.raises(OSError, match=r"The traces of x\.nwb:/dff cannot be read .*damaged or incomplete"):
            blocks[:]


def test_a_scratch_file_goes_when_writing_it_fails(tmp_path, monkeypatch):
    made = []

    class Noted(ScratchArray):
        def __init__(self, *args):
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr("nwb_cascade.nwb.blocks.ScratchArray", Noted)
    expected = matrix(10, 300)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        data = file.create_dataset("x", data=expected.T)
        blocks = TraceBlocks(StoredTraces(data), block_bytes=400, scratch_dir=tmp_path / "missing")
        with pytest.raises(FileNotFoundError):
            blocks[0]
        blocks.scratch_dir = tmp_path
        np.testing.assert_array_equal(blocks[0], expected[0])
        blocks.close()
        assert made[-1].closed
        np.testing.assert_array_equal(blocks[9], expected[9])
        blocks.close()
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]


class Ahead:
    """An array in chunks of 2 ROIs that notes what is to be fetched ahead."""

    chunks = (100, 2)
    dtype = np.dtype(np.float32)
    shape = (100, 7)
    ndim = 2

    def __init__(self):
        self.announced = []

    def prefetch(self, selection):
        self.announced.append((selection[1].start, selection[1].stop))

    def __getitem__(self, key):
        return np.ones(self.shape, np.float32)[key]


def test_of_a_remote_dataset_the_next_group_is_announced(monkeypatch):
    monkeypatch.setattr(module, "AHEAD_BYTES", 4 * 100 * 2)
    data = Ahead()
    traces = TraceBlocks(StoredTraces(data))
    traces[0:1]
    assert data.announced == [(2, 4)]
    traces[1:6]
    assert data.announced == [(2, 4), (4, 6), (6, 7)]
    traces[6:7]
    assert data.announced[-1] == (6, 7)
