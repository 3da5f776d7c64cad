"""Requests to an archive's API take turns: over threads and processes, for every kind of request."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import zarr

from nwb_cascade.dandi import turns
from nwb_cascade.dandi.assets import list_assets, with_record
from nwb_cascade.dandi.link import Link
from nwb_cascade.dandi.transport import RangeReader
from nwb_cascade.dandi.zarr_store import open_zarr
from tests.support.dandi_server import TOKEN

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no locks")
HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def asset(server):
    address = f"dandi://{server.url.removeprefix('http://')}/000001/sub-0/sub-0_ophys.nwb"
    (asset,) = list_assets(address)
    return asset


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the one turn of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path / "turn-0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def look_up(asset, times=6):
    with ThreadPoolExecutor(times) as pool:
        assert all(found.digest for found in pool.map(with_record, [asset] * times))


def test_without_a_limit_all_requests_are_there_at_once(server, asset):
    server.meeting = (6, 60.0)
    look_up(asset)
    assert server.most_api_calls == 6


@pytest.mark.parametrize("most", [1, 2])
def test_only_so_many_requests_are_there_at_once(server, asset, tmp_path, most):
    server.most_api_calls, server.meeting = 0, (most + 1, 0.1)
    with turns.limited(tmp_path, most):
        look_up(asset)
    assert server.most_api_calls == most


def test_fresh_links_and_listings_take_turns_and_content_takes_none(server, archive, tmp_path, monkeypatch):
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", TOKEN)
    data = np.arange(400.0).reshape(40, 10)
    zarr.open_group(str(tmp_path / "tree"), mode="w").create_dataset("a", data=data, chunks=(2, 10))
    archive.dandisets["000002"].add("sub-z/sub-z_ophys.nwb.zarr", tmp_path / "tree")
    blob, tree = map(with_record, list_assets(f"dandi://{server.url.removeprefix('http://')}/000002/"))
    server.reset()
    server.most_api_calls, server.meeting = 0, (2, 0.05)
    with turns.limited(tmp_path / "turns", 1):
        readers = [RangeReader(Link.of(blob), size=blob.size, etag=blob.digest) for _ in range(3)]
        with ThreadPoolExecutor(3) as pool:
            assert list(pool.map(lambda reader: reader.read(0, 6), readers)) == [b"secret"] * 3
        remote = open_zarr(tree)
        array = zarr.open_group(remote.url, mode="r", storage_options=remote.storage_options)["a"]
        np.testing.assert_array_equal(array[:], data)
    assert server.count("/download/") == 3
    assert server.count("download=true") > 20  # a link for each object of an embargoed Zarr
    assert server.most_api_calls == 1
    assert not any(served.has_authorization for served in server.served() if served.is_storage)


def test_the_turn_of_a_process_that_died_is_free(asset, tmp_path, holder, server):
    server.reset()
    with turns.limited(tmp_path, 1):
        waiting = threading.Thread(target=look_up, args=(asset, 1))
        waiting.start()
        waiting.join(0.3)
        assert (waiting.is_alive(), server.count()) == (True, 0)
        holder.kill()
        waiting.join(60)
    assert (waiting.is_alive(), server.count()) == (False, 1)


def test_nobody_waits_for_ever_for_his_own_process_but_as_long_as_need_be_for_others(
    asset, tmp_path, monkeypatch, holder
):
    """A thread with a turn may wait for a lock that the one without has."""
    monkeypatch.setattr(turns, "PATIENCE_S", 0.0)
    with turns.limited(tmp_path / "own", 1), turns.turn():
        look_up(asset, 1)
    with turns.limited(tmp_path, 1):
        waiting = threading.Thread(target=look_up, args=(asset, 1))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
        holder.kill()
        waiting.join(60)
    assert not waiting.is_alive()


def test_where_nothing_can_be_locked_requests_are_made(asset, tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(turns, "lock", refuse)
    with turns.limited(tmp_path, 1), turns.turn():
        look_up(asset)


def test_the_limit_ends_with_its_context(server, asset, tmp_path):
    with turns.limited(tmp_path, 1):
        pass
    server.meeting = (2, 60.0)
    look_up(asset, 2)
    assert server.most_api_calls == 2


def test_a_zarr_that_changed_since_it_was_looked_up_is_refused(server, archive, tmp_path):
    from nwb_cascade.errors import RemoteChangedError

    group = zarr.open_group(str(tmp_path / "z.nwb.zarr"), mode="w")
    group.create_dataset("a", data=np.arange(5))
    archive.dandisets["000001"].add("sub-z/z.nwb.zarr", tmp_path / "z.nwb.zarr")
    (asset,) = map(with_record, list_assets(f"dandi://{server.url.removeprefix('http://')}/000001@draft/sub-z/*"))
    open_zarr(asset)
    with pytest.raises(RemoteChangedError, match=r"has changed: expected the checksum ff, the server states \w+-"):
        open_zarr(replace(asset, digest="ff"))
