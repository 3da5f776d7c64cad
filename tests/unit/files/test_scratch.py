import errno
import gc
import io
import os
import shutil
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nwb_cascade.files.scratch import ScratchArray, span


def matrix(n_rois: int, n_frames: int) -> np.ndarray:
    return np.arange(n_rois * n_frames, dtype=np.float32).reshape(n_rois, n_frames)


@given(st.integers(1, 9), st.integers(1, 40), st.integers(1, 7), st.booleans())
def test_pieces_written_in_any_shape_read_back_as_the_whole(n_rois, n_frames, step, by_rows):
    expected = matrix(n_rois, n_frames)
    with ScratchArray(n_rois, n_frames) as scratch:
        if by_rows:
            for start in range(0, n_rois, step):
                scratch.write_rows(start, expected[start : start + step])
        else:
            for start in range(0, n_frames, step):
                scratch.write_block(0, start, expected[:, start : start + step].astype(np.float64))
        np.testing.assert_array_equal(scratch[:], expected)
        np.testing.assert_array_equal(scratch[:, step:], expected[:, step:])
        assert scratch[:].dtype == np.float32


@pytest.mark.parametrize(
    "key",
    [
        slice(1, 3),
        slice(-2, None),
        2,
        -1,
        (slice(0, 2), slice(3, 5)),
        (1, slice(2, 4)),
        (slice(None), -1),
        (0, 0),
    ],
)
def test_indexing_agrees_with_numpy(key):
    expected = matrix(4, 6)
    with ScratchArray(4, 6) as scratch:
        scratch.write_rows(0, expected)
        np.testing.assert_array_equal(scratch[key], expected[key])
        assert np.shape(scratch[key]) == expected[key].shape


def test_an_empty_selection_reads_nothing():
    with ScratchArray(3, 5) as scratch:
        assert scratch[2:1].shape == (0, 5)
        assert scratch[:, 5:].shape == (3, 0)


def test_unwritten_values_are_zero():
    with ScratchArray(2, 3) as scratch:
        assert not scratch[:].any()


@pytest.fixture
def opened(monkeypatch):
    """The temporary files that were made."""
    made, make = [], tempfile.TemporaryFile

    def note(**how):
        made.append(make(**how))
        return made[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", note)
    return made


@pytest.mark.skipif(os.name == "nt", reason="an open file keeps its name on Windows")
def test_no_file_stays_behind(tmp_path):
    scratch = ScratchArray(10, 10, tmp_path)
    assert list(tmp_path.iterdir()) == []
    scratch.close()
    scratch.close()
    assert scratch.closed


def test_a_forgotten_array_deletes_its_file_without_a_warning(opened):
    scratch = ScratchArray(2, 2)
    del scratch
    gc.collect()
    assert opened[0].closed


def test_a_block_in_the_middle_leaves_the_rest():
    with ScratchArray(4, 6) as scratch:
        scratch.write_block(1, 2, matrix(2, 3) + 1)
        expected = np.zeros((4, 6), np.float32)
        expected[1:3, 2:5] = matrix(2, 3) + 1
        np.testing.assert_array_equal(scratch[:], expected)


def test_it_closes_after_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="boom"), ScratchArray(2, 2, tmp_path) as scratch:
        raise RuntimeError("boom")
    assert scratch.closed


def test_a_disk_without_room_is_named_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=100, used=90, free=10))
    with pytest.raises(OSError, match=r"Expected 0\.4 MB of room in .* full \(0\.0 MB free\): make room") as caught:
        ScratchArray(100, 1000, tmp_path)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_disk_that_fills_up_while_writing_is_named(tmp_path, monkeypatch):
    class FullDisk(io.FileIO):
        def truncate(self, size):
            return size  # which a device cannot

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FullDisk("/dev/full", "r+"))
    with (
        ScratchArray(2, 3, tmp_path) as scratch,
        pytest.raises(OSError, match=r"the disk is full .*\(scratch_dir=, TMPDIR\)") as caught,
    ):
        scratch.write_rows(0, matrix(2, 3))
    assert caught.value.errno == errno.ENOSPC


def test_other_failures_of_the_file_stay_as_they_are(tmp_path, opened):
    scratch = ScratchArray(2, 3, tmp_path)
    opened[0].truncate(4)
    with scratch, pytest.raises(OSError, match="expected 20 more bytes, it ended"):
        scratch[:]


def test_pieces_of_another_shape_are_refused():
    with ScratchArray(2, 3) as scratch:
        with pytest.raises(ValueError, match=r"Expected rows of shape \(n, 3\), received \(1, 2\)"):
            scratch.write_rows(0, [[1, 2]])
        with pytest.raises(IndexError, match="Expected ROIs within 0 to 2, received 1 to 3"):
            scratch.write_rows(1, matrix(2, 3))
        with pytest.raises(IndexError, match="Expected frames within 0 to 3, received -1 to 1"):
            scratch.write_block(0, -1, matrix(2, 2))


def test_keys_that_a_file_cannot_serve_are_refused():
    with pytest.raises(TypeError, match="Expected a slice without a step"):
        span(slice(0, 4, 2), 4)
    with pytest.raises(TypeError, match="Expected a slice or an integer as index, received list"):
        span([0, 1], 4)
    with pytest.raises(IndexError, match="Index 4 is outside an axis of 4"):
        span(4, 4)
