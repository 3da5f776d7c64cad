"""Ranges of a remote file in spite of every fault of the server."""

import logging
import traceback
from dataclasses import replace
from types import SimpleNamespace

import pytest

from nwb_cascade.dandi.assets import find_asset, list_assets
from nwb_cascade.dandi.link import Link, RetryPolicy, without_query
from nwb_cascade.dandi.transport import PIECE_BYTES, RangeReader
from nwb_cascade.errors import RemoteChangedError, RemoteError
from tests.support.dandi_faults import PASSING_FAULTS, Fault, Faults
from tests.support.dandi_server import TOKEN

CONTENT = bytes(range(256)) * 4000
HASTY = RetryPolicy(attempts=3, first_wait_s=0.0, longest_wait_s=0.0)


@pytest.fixture
def asset(archive, server):
    archive.dandisets["000001"].add("big.nwb", CONTENT)
    found = find_asset(f"dandi://{server.url.removeprefix('http://')}/000001@draft/big.nwb")
    server.reset()
    return found


def policy_for(fault):
    """Silence alone ends by a time limit, and not by one that a busy machine breaks."""
    return replace(HASTY, read_timeout_s=1.5) if fault is Fault.STALL else HASTY


def reader(asset, policy=HASTY):
    return RangeReader(Link.of(asset), size=asset.size, etag=asset.digest, policy=policy)


def test_a_range_is_read_straight_from_the_storage(asset, server):
    read = reader(asset)
    assert read.read(1000, 5000) == CONTENT[1000:5000]
    assert (server.count(), server.count("^/blobs"), read.n_requests, read.n_bytes) == (1, 1, 1, 4000)


def test_an_asset_without_its_record_is_read_by_a_link_of_the_api(asset, server):
    read = reader(replace(asset, storage_url="", digest=""))
    assert read.read(0, 10) + read.read(10, 20) == CONTENT[:20]
    assert (server.count("/download/"), server.count("^/blobs")) == (1, 2)
    assert read.etag == asset.digest


@pytest.mark.parametrize("fault", sorted(PASSING_FAULTS, key=lambda fault: fault.name))
def test_every_passing_fault_is_survived(asset, server, fault):
    server.faults.script(fault, "^/blobs", times=2)
    assert reader(asset, policy_for(fault)).read(100, len(CONTENT)) == CONTENT[100:]
    assert sum(served.fault is fault for served in server.served()) == 2


@pytest.mark.parametrize("fault", [Fault.DROP, Fault.TRUNCATE, Fault.STALL])
def test_a_broken_answer_is_continued_where_it_broke(asset, server, fault):
    server.faults.script(fault, "^/blobs")
    read = reader(asset, policy_for(fault))
    assert read.read(0, len(CONTENT)) == CONTENT
    assert read.n_bytes == len(CONTENT)
    broken_at = server.served()[1].first_byte
    assert len(CONTENT) // 2 - PIECE_BYTES <= broken_at <= len(CONTENT) // 2


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.RATE_LIMIT, Fault.UNAVAILABLE])
def test_faults_of_the_api_are_survived(asset, server, fault):
    server.faults.script(fault, "/download/", times=2)
    assert reader(replace(asset, storage_url="")).read(0, 10) == CONTENT[:10]


def test_an_expired_link_is_replaced_at_once(asset, server):
    patient = RetryPolicy(attempts=2, first_wait_s=60.0)
    read = reader(replace(asset, storage_url=""), patient)
    read.read(0, 10)
    server.expire_links()
    assert read.read(10, 20) == CONTENT[10:20]
    assert [served.status for served in server.served()] == [302, 206, 403, 302, 206]


def test_attempts_that_bring_bytes_do_not_count_against_the_reader(asset, server):
    server.faults.script(Fault.TRUNCATE, "^/blobs", times=6)
    assert reader(asset).read(0, len(CONTENT)) == CONTENT


def test_a_server_that_never_delivers_ends_in_one_sentence(asset, server):
    server.faults.script(Fault.UNAVAILABLE, "^/blobs", times=99)
    with pytest.raises(RemoteError, match=r"@draft/big.nwb: bytes 7 to 9 did not come in 3 attempts \(status 503\)"):
        reader(asset).read(7, 9)
    assert server.count() == 3


def test_waits_double_up_to_the_longest_and_heed_the_server():
    policy = RetryPolicy(first_wait_s=1.0, longest_wait_s=10.0)
    for failures, wait in [(1, 1.0), (2, 2.0), (4, 8.0), (9, 10.0)]:
        assert all(wait / 2 <= policy.wait_s(failures, 0.0) <= wait for _ in range(50))
    assert 5.0 <= policy.wait_s(1, 5.0) <= 10.0
    assert policy.wait_s(1, 3600.0) == 10.0


def test_the_server_is_waited_for_as_long_as_it_asks(asset, server, monkeypatch):
    waited = []
    monkeypatch.setattr("nwb_cascade.dandi.transport.time", SimpleNamespace(sleep=waited.append))
    server.faults.script(Fault.RATE_LIMIT, "^/blobs", times=99)
    server.faults.retry_after_s = 7
    with pytest.raises(RemoteError, match="status 429"):
        reader(asset, RetryPolicy(attempts=3, first_wait_s=0.0)).read(0, 1)
    assert waited == [7.0, 7.0]


def test_other_content_is_noticed_by_its_etag(asset, archive, server):
    read = reader(asset)
    read.read(0, 10)
    stored = archive.dandisets["000001"].versions["draft"]["big.nwb"]
    archive.overwrite(stored, CONTENT[::-1])
    with pytest.raises(RemoteChangedError, match=f"has changed: expected the etag {asset.digest}, the server sends"):
        read.read(10, 20)


def test_an_etag_that_changes_between_two_answers_is_noticed_without_a_record(asset, server):
    read = reader(replace(asset, digest=""))
    read.read(0, 10)
    server.faults.script(Fault.ETAG, "^/blobs")
    with pytest.raises(RemoteChangedError, match="has changed"):
        read.read(10, 20)


def test_other_sizes_are_noticed(asset):
    with pytest.raises(RemoteChangedError, match=f"expected 5 bytes, the server has {len(CONTENT)}"):
        reader(replace(asset, size=5)).read(0, 5)
    with pytest.raises(RemoteChangedError, match="it is shorter than it was"):
        reader(replace(asset, size=10**7)).read(len(CONTENT) + 5, len(CONTENT) + 9)


def test_an_asset_that_is_gone_is_named(asset, archive):
    del archive.dandisets["000001"].versions["draft"]["big.nwb"]
    with pytest.raises(RemoteChangedError, match=r"big.nwb is no longer on the server; look it up again"):
        reader(asset).read(0, 10)


def test_an_embargoed_asset_is_read_with_the_token_which_the_storage_never_sees(server, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", TOKEN)
    (asset,) = list_assets(f"dandi://{server.url.removeprefix('http://')}/000002")
    assert reader(asset).read(0, asset.size) == b"secret content"
    assert not any(served.has_authorization for served in server.served("^/blobs"))
    assert all(served.has_authorization for served in server.served("/download/"))
    assert not any(TOKEN in repr(record.__dict__) for record in caplog.records)


def test_an_embargoed_asset_without_a_token_is_refused_in_one_sentence(server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("DANDI_INSTANCE", server.api_url)
        patch.setenv("DANDI_API_KEY", TOKEN)
        asset = find_asset(f"dandi://{server.url.removeprefix('http://')}/000002/sub-s/sub-s_ophys.nwb")
    with pytest.raises(PermissionError, match="may not be read without an API key"):
        reader(asset).read(0, 5)
    monkeypatch.setenv("DANDI_INSTANCE", server.api_url)
    monkeypatch.setenv("DANDI_API_KEY", "wrong-token")
    with pytest.raises(PermissionError, match="may not be read with this API key") as caught:
        reader(asset).read(0, 5)
    assert "wrong-token" not in "".join(traceback.format_exception(caught.value))


def test_signed_links_appear_in_no_error(asset, server):
    read = reader(replace(asset, storage_url=""))
    read.read(0, 10)
    server.faults.script(Fault.RESET, "^/blobs", times=99)
    with pytest.raises(RemoteError) as caught:
        read.read(0, 10)
    assert "X-Amz" not in "".join(traceback.format_exception(caught.value))
    assert without_query("get http://h/p?X-Amz-Signature=1 (x='/q?a=2')") == "get http://h/p (x='/q')"


def test_a_url_of_which_nothing_is_known_is_probed(asset, server):
    for url, size in [(asset.storage_url, len(CONTENT)), (asset.storage_url + "?v=1", len(CONTENT))]:
        read = RangeReader(Link("url", url, "", None), size=-1, policy=HASTY)
        read.probe()
        assert (read.size, read.etag) == (size, asset.digest)


def test_a_url_that_does_not_exist_is_named(server):
    read = RangeReader(Link("http://x/a.nwb", f"{server.url}/blobs/none", "", None), size=-1, policy=HASTY)
    with pytest.raises(RemoteError, match=r"http://x/a.nwb cannot be read: status 404; check the address"):
        read.probe()


def test_a_server_without_ranges_is_named(server):
    read = RangeReader(Link("page", f"{server.api_url}/info/", "", None), size=-1, policy=HASTY)
    with pytest.raises(RemoteError, match="page: the server does not serve parts of files; download the file"):
        read.probe()


def test_a_server_that_is_not_there_is_named():
    read = RangeReader(Link("gone", "http://127.0.0.1:9/a.nwb?key=secret", "", None), size=5, policy=HASTY)
    with pytest.raises(RemoteError, match=r"gone: bytes 0 to 5 did not come in 3 attempts \([^(]*Connection refused\)"):
        read.read(0, 5)


def test_one_request_in_three_failing_changes_nothing(asset, server):
    server.faults = Faults(0.33, seed=3, kinds=PASSING_FAULTS - {Fault.STALL})
    read = reader(replace(asset, storage_url=""), RetryPolicy(attempts=9, first_wait_s=0.0))
    for start in range(0, len(CONTENT), 20_000):
        assert read.read(start, min(start + 20_000, len(CONTENT))) == CONTENT[start : start + 20_000]
    assert sum(served.fault is not None for served in server.served()) >= 12
