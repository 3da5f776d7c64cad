"""Remote Zarr assets through zarr and hdmf-zarr, against the test server."""

import re

import numpy as np
import pytest
import zarr
from hdmf_zarr import NWBZarrIO

from nwb_cascade.dandi import zarr_objects
from nwb_cascade.dandi.assets import find_asset
from nwb_cascade.dandi.stream import StreamSettings, open_remote
from nwb_cascade.dandi.zarr_store import RemoteZarrFileSystem, open_zarr
from nwb_cascade.errors import InputError, RemoteChangedError, RemoteError
from nwb_cascade.nwb.discover import inspect
from tests.support.dandi_faults import PASSING_FAULTS, Fault, Faults
from tests.support.dandi_server import TOKEN
from tests.support.recordings import dff_recording, simulated_dff
from tests.unit.dandi.streaming import HASTY, PATIENT, fetched, publish

DATA = np.random.default_rng(0).normal(size=(60, 7)).astype(np.float32)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A Zarr with chunks named 0.0 and 0/0, one of them empty."""
    folder = tmp_path_factory.mktemp("zarr") / "tree.zarr"
    root = zarr.open_group(str(folder), mode="w")
    root.create_dataset("group/flat", data=DATA, chunks=(10, 7))
    root.create_dataset("group/nested", data=DATA, chunks=(10, 7), dimension_separator="/")
    sparse = root.create_dataset("sparse", shape=(60, 7), chunks=(10, 7), dtype=np.float32, fill_value=5)
    sparse[10:20] = DATA[10:20]
    root.attrs["name"] = "tree"
    return folder


@pytest.fixture
def address(archive, server, tree):
    return publish(archive, server, tree, path="sub-z/sub-z.nwb.zarr")


def open_group(remote, consolidated=False):
    opener = zarr.open_consolidated if consolidated else zarr.open_group
    return opener(remote.url, mode="r", storage_options=remote.storage_options)


def test_zarr_reads_the_same_data(address, server):
    group = open_group(open_zarr(address))
    assert (group.attrs["name"], sorted(group), sorted(group["group"])) == (
        "tree",
        ["group", "sparse"],
        ["flat", "nested"],
    )
    np.testing.assert_array_equal(group["group/flat"][:], DATA)
    np.testing.assert_array_equal(group["group/nested"][:], DATA)
    np.testing.assert_array_equal(group["sparse"][:20], np.concatenate([np.full((10, 7), 5), DATA[10:20]]))
    assert "nope" not in group
    assert all(served.status == 206 for served in server.served("^/zarr/"))


def test_a_small_zarr_is_listed_once_and_every_object_travels_once(address, server):
    remote = open_zarr(address)
    group = open_group(remote)
    for _ in range(2):
        group["group/flat"][:]
    assert server.count("/files") == 1
    assert len({served.target for served in server.served("^/zarr/")}) == server.count("^/zarr/")
    assert (remote.n_requests, remote.n_bytes) == (server.count("^/zarr/"), server.n_bytes("^/zarr/"))


@pytest.mark.parametrize("name", ["group/flat", "group/nested", "sparse"])
def test_the_next_block_is_fetched_ahead_and_nothing_twice(address, server, name):
    remote = open_zarr(address)
    array = open_group(remote)[name]
    ahead = remote.prefetched(array)
    assert (ahead.shape, ahead.dtype, ahead.chunks, ahead.ndim, len(ahead)) == ((60, 7), np.float32, (10, 7), 2, 60)
    blocks = [ahead[start : start + 10] for start in range(0, 30, 10)]
    on_the_way = {"group/flat": {"group/flat/3.0"}, "group/nested": {"group/nested/3/0"}, "sparse": set()}
    assert remote.objects.ahead == on_the_way[name]
    blocks += [ahead[start : start + 10] for start in range(30, 60, 10)]
    np.testing.assert_array_equal(np.concatenate(blocks), array[:])
    assert len({served.target for served in server.served("^/zarr/")}) == server.count("^/zarr/")
    assert remote.prefetched([1, 2]) == [1, 2]


def test_a_block_fetched_ahead_that_is_not_wanted_is_forgotten(address, server):
    remote = open_zarr(address)
    ahead = remote.prefetched(open_group(remote)["group/flat"])
    for start in (0, 10, 40):
        np.testing.assert_array_equal(ahead[start : start + 10], DATA[start : start + 10])
    ahead[50:60]
    assert remote.objects.ahead == frozenset()


def test_a_large_zarr_is_listed_array_by_array(address, server, monkeypatch):
    monkeypatch.setattr(zarr_objects, "PAGE_SIZE", 3)
    group = open_group(open_zarr(address))
    np.testing.assert_array_equal(group["group/flat"][:], DATA)
    np.testing.assert_array_equal(group["group/nested"][:], DATA)
    np.testing.assert_array_equal(group["sparse"][:10], 5)
    prefixes = [served.target.partition("prefix=")[2].partition("&")[0] for served in server.served("/files")]
    assert len(set(prefixes)) == len(prefixes)
    assert {"group%2Fflat%2F", "group%2Fnested%2F", "sparse%2F"} <= set(prefixes)


def test_what_was_read_is_on_disk_for_the_next_time(address, server):
    for _ in range(2):
        server.reset()
        np.testing.assert_array_equal(open_group(open_zarr(address))["group/flat"][:], DATA)
    assert fetched(server) == []


def test_hdmf_zarr_reads_an_nwb_file_like_the_local_one(archive, server, tmp_path):
    path = dff_recording(tmp_path / "local.nwb.zarr", simulated_dff())
    remote = open_zarr(publish(archive, server, path, path="sub-1/sub-1.nwb.zarr"))
    with NWBZarrIO(remote.url, mode="r", storage_options=remote.storage_options) as io:
        nwbfile = io.read()
        series = nwbfile.processing["ophys"]["DfOverF"]["RoiResponseSeries"]
        np.testing.assert_array_equal(series.data[:].T, simulated_dff())
        assert series.rois.table is nwbfile.processing["ophys"]["ImageSegmentation"]["rois_RoiResponseSeries"]
        assert nwbfile.subject.subject_id == "1"
    assert server.count("/files") == 1


def test_descriptions_come_from_the_list_of_all(archive, server, tree):
    zarr.consolidate_metadata(str(tree))
    remote = open_zarr(publish(archive, server, tree, path="sub-z/sub-z.nwb.zarr"))
    group = open_group(remote)
    np.testing.assert_array_equal(group["group/flat"][:], DATA)
    np.testing.assert_array_equal(group["sparse"][:20], np.concatenate([np.full((10, 7), 5), DATA[10:20]]))
    assert group.attrs["name"] == "tree"
    described = [one.target for one in server.served("^/zarr/") if "/.z" in one.target]
    assert [target.rpartition("/")[2] for target in described] == [".zmetadata"]


@pytest.mark.parametrize("content", [b"{", b"[" * 10**5, b'{"metadata": []}', b"{}", b"3"])
def test_single_descriptions_are_read_where_the_list_of_all_is_damaged(archive, server, tree, content):
    (tree / ".zmetadata").write_bytes(content)
    group = open_group(open_zarr(publish(archive, server, tree, path="sub-z/sub-z.nwb.zarr")))
    np.testing.assert_array_equal(group["group/flat"][:], DATA)


def test_an_embargoed_zarr_is_read_with_the_token_which_the_storage_never_sees(archive, server, tree, monkeypatch):
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", TOKEN)
    archive.dandisets["000002"].add("z.nwb.zarr", tree)
    remote = open_zarr(f"dandi://{server.url.removeprefix('http://')}/000002/z.nwb.zarr")
    np.testing.assert_array_equal(open_group(remote)["group/flat"][:], DATA)
    assert not any(served.has_authorization for served in server.served("^/zarr/"))
    assert sum(served.status == 403 for served in server.served("^/zarr/")) == 1
    assert TOKEN not in repr(remote)


def test_one_request_in_five_failing_changes_nothing(address, server):
    asset = find_asset(address)
    server.faults = Faults(0.2, seed=4, kinds=PASSING_FAULTS - {Fault.STALL})
    server.faults.probability = 0.0
    group = open_group(open_zarr(asset, StreamSettings(policy=PATIENT, cache_limit_bytes=0)))
    server.faults.probability = 0.2
    # Nothing is kept, so that every reading asks the server. Requests run side by side, so which of them the seeded
    # faults hit differs: read until some were hit.
    for _ in range(20):
        np.testing.assert_array_equal(group["group/flat"][:], DATA)
        np.testing.assert_array_equal(group["group/nested"][:], DATA)
        if any(served.fault for served in server.served("^/zarr/")):
            break
    assert any(served.fault for served in server.served("^/zarr/"))


@pytest.mark.parametrize("array", ["group/flat", "sparse"])
def test_a_chunk_that_does_not_come_is_an_error_not_zeros(address, server, array):
    group = open_group(open_zarr(address, StreamSettings(policy=HASTY)))
    chunks = group[array]
    server.faults.script(Fault.UNAVAILABLE, "^/zarr/.*/1.0", times=99)
    with pytest.raises(RemoteError, match=r"sub-z.nwb.zarr/.*1.0: bytes 0 to \d+ did not come in 3 attempts"):
        chunks[:]


def test_a_chunk_that_changed_since_it_was_listed_is_an_error(address, server):
    group = open_group(open_zarr(address, StreamSettings(policy=HASTY)))
    chunks = group["group/flat"]
    server.faults.script(Fault.ETAG, "^/zarr/.*/1.0")
    with pytest.raises(RemoteChangedError, match="has changed: expected the etag"):
        chunks[:]


def test_files_and_zarrs_are_told_apart(archive, server, address):
    with pytest.raises(InputError, match=r"Expected an HDF5 file, received dandi://.*, which is a Zarr store"):
        open_remote(address)
    with pytest.raises(InputError, match=r"Expected a Zarr store, received dandi://.*, which is a single file"):
        open_zarr(publish(archive, server, b"content"))


def test_the_filesystem_describes_what_is_there(address):
    remote = open_zarr(address)
    filesystem, root = RemoteZarrFileSystem(remote.objects), remote.asset.content_id
    assert filesystem.info(f"{root}/group")["type"] == "directory"
    assert filesystem.isdir(root)
    assert filesystem.isfile(f"{root}/group/flat/0.0")
    assert filesystem.info(f"{root}/.zattrs")["size"] > 0
    assert not filesystem.exists(f"{root}/group/nope")
    names = {each["name"].removeprefix(f"{root}/") for each in filesystem.ls(f"{root}/group")}
    assert names == {"group/.zgroup", "group/flat", "group/nested"}
    assert sorted(filesystem.ls(f"{root}/group", detail=False))[0] == f"{root}/group/.zgroup"
    assert filesystem.cat_file(f"{root}/.zgroup", 0, 1) == b"{"


@pytest.mark.parametrize("page_size", [3, 1000])
def test_no_listing_is_redirected_and_none_goes_below_a_description(address, server, monkeypatch, page_size):
    monkeypatch.setattr(zarr_objects, "PAGE_SIZE", page_size)
    group = open_group(open_zarr(address))
    np.testing.assert_array_equal(group["group/flat"][:], DATA)
    assert ".zgroup/.zarray" not in group
    listings = [one.target for one in server.served(r"/api/zarr/[^/]+/files")]
    assert listings
    assert all("/files/?" in target for target in listings)
    assert not any("zgroup" in target or "zarray" in target for target in listings)
    assert len(listings) == len(set(listings))


def test_a_recording_is_described_by_its_lists_and_a_request_for_each_of_its_values(archive, server, tmp_path):
    """What lies at the bottom: an object per value, which no server sends several of at once."""
    path = dff_recording(tmp_path / "local.nwb.zarr", simulated_dff())
    address = publish(archive, server, path, path="sub-1/sub-1.nwb.zarr")
    assert len(inspect(open_zarr(find_asset(address)))) == 1
    of_api = [one.target for one in server.served() if not one.is_storage]
    of_storage = [one.target.split("/", 3)[3] for one in server.served("^/zarr/")]
    assert len(of_api) <= 6, of_api
    assert len(set(of_storage)) == len(of_storage)
    assert of_storage[0] == ".zmetadata"
    assert all(re.fullmatch(r"(general|processing|\w+)/.*\b0(\.0)?", key) for key in of_storage[1:]), of_storage
    assert not any(key.startswith("specifications/") for key in of_storage)
    n_values = sum(1 for key in of_storage if (path / key).stat().st_size < 200)
    assert len(of_storage) == n_values + 2  # the list of all descriptions, and a chunk of the traces
