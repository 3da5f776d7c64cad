"""Remote HDF5 files as file objects, against the test server."""

import gc
import logging
import pickle
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from nwb_cascade.dandi import cache as cache_module
from nwb_cascade.dandi.assets import find_asset, list_assets
from nwb_cascade.dandi.stream import StreamSettings, open_remote
from nwb_cascade.dandi.transport import RangeReader
from nwb_cascade.errors import InputError, RemoteChangedError, RemoteError
from tests.support.dandi_faults import PASSING_FAULTS, Fault, Faults
from tests.support.dandi_server import TOKEN
from tests.support.hdf5_layouts import LAYOUTS, N_SERIES, contiguous, hdf5_bytes, series
from tests.unit.dandi.streaming import HASTY, PATIENT, fetched, fetched_twice, publish

CONTENT = hdf5_bytes(contiguous)


@pytest.fixture
def address(archive, server):
    return publish(archive, server, CONTENT)


def read_all(file):
    with h5py.File(file, "r") as opened:
        return [opened[f"series{number}/data"][:] for number in range(N_SERIES)]


def assert_complete(found):
    for number, values in enumerate(found):
        np.testing.assert_array_equal(values, series(number))


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_h5py_reads_the_same_data_and_no_byte_travels_twice(archive, server, layout, libver):
    address = publish(archive, server, hdf5_bytes(LAYOUTS[layout], libver=libver))
    with open_remote(address) as file:
        assert_complete(read_all(file))
    assert fetched_twice(server) == 0


def test_it_is_a_file_object_like_any_other(address):
    with open_remote(address) as file:
        assert file.readable()
        assert file.seekable()
        assert not file.writable()
        assert (file.read(4), file.tell(), file.size) == (CONTENT[:4], 4, len(CONTENT))
        file.seek(-10, 2)
        assert file.read() == CONTENT[-10:]
        assert file.read(5) == b""
        buffer = bytearray(6)
        file.seek(1000)
        assert (file.readinto(buffer), bytes(buffer)) == (6, CONTENT[1000:1006])
        numbers = np.zeros(3, np.int32)
        file.seek(-6, 1)
        assert (file.readinto(numbers), numbers.tobytes()) == (12, CONTENT[1000:1012])
        with pytest.raises(ValueError, match="received -1 from origin 0"):
            file.seek(-1)
        assert repr(file) == f"<RemoteFile {file.path}>" == f"<RemoteFile {address}>"
    with pytest.raises(ValueError, match="closed file"):
        file.read(1)


def test_it_counts_what_it_fetches(address, server):
    with open_remote(address) as file:
        read_all(file)
        assert file.n_bytes == server.n_bytes("^/blobs") == sum(stop - start for start, stop in fetched(server))
        assert file.n_requests == server.count("^/blobs")


def test_a_file_that_was_read_is_read_again_without_any_request(address, server):
    asset = find_asset(address)
    for _ in range(2):
        with open_remote(asset) as file:
            assert_complete(read_all(file))
        server.reset()
    assert server.count() == 0


def test_without_a_cache_on_disk_memory_serves(address, server, tmp_path):
    with open_remote(address, StreamSettings(cache_limit_bytes=0)) as file:
        assert_complete(read_all(file))
        assert_complete(read_all(file))
    assert fetched_twice(server) == 0
    assert not (tmp_path / "cache").exists()


def test_a_cache_and_memory_smaller_than_the_file_cost_requests_but_no_data(address, tmp_path):
    limits = {"cache_limit_bytes": 3_000_000, "memory_bytes": 500_000}
    with open_remote(address, StreamSettings(cache_dir=tmp_path / "small", **limits)) as file:
        for _ in range(2):
            assert_complete(read_all(file))
    assert sum(path.stat().st_size for path in (tmp_path / "small").glob("*/*/*")) <= 3_000_000


def test_pieces_deleted_behind_the_back_are_fetched_again(address, tmp_path, server):
    with open_remote(address, StreamSettings(memory_bytes=1)) as file:
        read_all(file)
        for path in Path(tmp_path / "cache").glob("*/*/*"):
            path.unlink()
        assert_complete(read_all(file))
    assert fetched_twice(server) > 0


def test_another_process_reads_what_the_first_one_stored(address, server):
    first, second = open_remote(address), open_remote(address)
    assert_complete(read_all(first))
    server.reset()
    assert_complete(read_all(second))
    assert fetched(server) == []
    first.close()
    second.close()


def test_one_request_in_three_failing_changes_nothing(archive, server):
    asset = find_asset(publish(archive, server, hdf5_bytes(LAYOUTS["interleaved"])))
    server.faults = Faults(0.33, seed=1, kinds=PASSING_FAULTS - {Fault.STALL})
    with open_remote(asset, StreamSettings(policy=PATIENT)) as file, h5py.File(file, "r") as opened:
        for number in range(N_SERIES):
            data = file.prefetched(opened[f"series{number}/data"])
            blocks = [data[start : start + 1200] for start in range(0, len(data), 1200)]
            np.testing.assert_array_equal(np.concatenate(blocks), series(number))
    assert sum(served.fault is not None for served in server.served()) > 5


def test_a_connection_lost_in_the_middle_is_an_error_and_reading_goes_on_when_it_is_back(address, server):
    with open_remote(address, StreamSettings(policy=HASTY)) as file, h5py.File(file, "r") as opened:
        server.faults.script(Fault.UNAVAILABLE, "^/blobs", times=3)
        with pytest.raises(RemoteError, match="did not come in 3 attempts"):
            opened["series3/data"][:]
        np.testing.assert_array_equal(opened["series3/data"][:], series(3))


def test_other_content_behind_the_same_id_is_noticed(archive, address):
    with open_remote(address) as file, h5py.File(file, "r") as opened:
        stored = archive.dandisets["000001"].versions["draft"]["sub-1/sub-1_ophys.nwb"]
        archive.overwrite(stored, CONTENT[:-1] + b"!")
        with pytest.raises(RemoteChangedError, match="has changed: expected the etag"):
            opened["series3/data"][:]


def test_a_new_version_of_a_draft_is_not_mixed_with_the_cached_one(archive, server, address):
    with open_remote(address) as file:
        read_all(file)
    other = hdf5_bytes(lambda file: file.create_dataset("x", data=np.arange(100_000)))
    publish(archive, server, other)
    with open_remote(address) as file, h5py.File(file, "r") as opened:
        np.testing.assert_array_equal(opened["x"][:], np.arange(100_000))


def test_an_embargoed_file_is_read_with_the_token_only(archive, server, monkeypatch, caplog):
    archive.dandisets["000002"].add("sub-s/sub-s_ophys.nwb", CONTENT)
    address = f"dandi://{server.url.removeprefix('http://')}/000002/sub-s/sub-s_ophys.nwb"
    with pytest.raises(PermissionError, match="is embargoed"):
        open_remote(address)
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", TOKEN)
    with open_remote(address) as file:
        assert_complete(read_all(file))
        assert TOKEN not in repr(vars(file))
    assert not any(served.has_authorization for served in server.served("^/blobs"))
    assert not any(TOKEN in repr(record.__dict__) for record in caplog.records)


def test_a_url_of_a_file_is_read_like_an_asset(archive, server):
    publish(archive, server, CONTENT)
    url = find_asset(publish(archive, server, CONTENT)).storage_url
    with open_remote(url) as file:
        assert_complete(read_all(file))
        assert (file.asset.size, file.asset.dandiset) == (len(CONTENT), "")
        assert file.asset.digest.endswith("-1")


@pytest.mark.parametrize(
    "content, sentence",
    [
        (b"", r"received dandi://.*, which is empty \(0 bytes\)"),
        (b"PK\x03\x04 a zip file", r"Expected an NWB file \(HDF5\), received dandi://.*, which starts with b'PK"),
        (b"\x89HDF", r"which starts with b'\\x89HDF'"),
    ],
)
def test_what_is_no_hdf5_file_is_refused(archive, server, content, sentence):
    address = publish(archive, server, content)
    with pytest.raises(InputError, match=sentence):
        open_remote(address)


def test_an_empty_file_at_a_url_is_refused(archive, server):
    url = find_asset(publish(archive, server, b"")).storage_url
    with pytest.raises(InputError, match=r"which is empty \(0 bytes\)"):
        open_remote(url)


def test_a_file_that_begins_as_hdf5_but_is_damaged_is_left_to_h5py(archive, server):
    address = publish(archive, server, CONTENT[:1_000_000])
    with open_remote(address) as file, pytest.raises(OSError, match="truncated file"):
        h5py.File(file, "r")


def test_a_user_block_before_the_signature_is_allowed(archive, server):
    address = publish(archive, server, hdf5_bytes(contiguous, userblock_size=1024))
    with open_remote(address) as file:
        assert_complete(read_all(file))


def test_workers_get_the_asset_not_the_open_file(address):
    with open_remote(address) as file:
        with pytest.raises(TypeError, match=r"pass its asset and open dandi://.* there"):
            pickle.dumps(file)
        with open_remote(pickle.loads(pickle.dumps(file.asset))) as again:
            assert again.read(8) == CONTENT[:8]


def test_an_asset_from_a_listing_is_enough(server, address):
    (asset,) = [asset for asset in list_assets(address.rpartition("/")[0] + "/") if asset.size == len(CONTENT)]
    assert asset.digest == ""
    with open_remote(asset) as file:
        assert_complete(read_all(file))
        assert file.asset.digest


def test_a_thread_that_waits_for_hdf5_does_not_keep_the_reader_waiting(address, monkeypatch):
    """The garbage collector of a fetching thread may need HDF5's lock, which the reader holds while it waits."""
    monkeypatch.setattr(cache_module, "PATIENCE_S", 0.05)
    read = RangeReader.read

    def read_after_collecting(self, start, stop):
        if threading.current_thread() is not threading.main_thread():
            with h5py._objects.phil:
                gc.collect()
        return read(self, start, stop)

    with open_remote(address) as file, h5py.File(file, "r") as opened:
        monkeypatch.setattr(RangeReader, "read", read_after_collecting)
        with h5py._objects.phil:
            file.prefetch([(0, len(CONTENT))])
            np.testing.assert_array_equal(opened["series2/data"][:], series(2))
        file.wait([(0, len(CONTENT))])
